/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jail-client.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "shared/base/macro.h"
#include "test.h"

typedef struct Case {
	BnJailRequest request;
	size_t size;
	int fds[BN_FD_MESSAGE_MAX];
	size_t n_fds;
} Case;

/* One thing wrong at a time: the answer names it, nothing is left, and the next request is
 * served. */
#define check_refused(code, what, ...)                                                             \
	do {                                                                                       \
		Case c = { .size = sizeof(BnJailRequest), .n_fds = 4 };                            \
		c.request = request_make(2, c.fds);                                                \
		__VA_ARGS__;                                                                       \
		check_case(&c, __LINE__, code, "request: " what);                                  \
	} while (0)

static pid_t launcher;

static void
check_case(Case *c, int line, int error, const char *text)
{
	char message[sizeof(BnJailRequest) + 1] = {};
	Launched l;

	memcpy(message, &c->request, sizeof(c->request));
	l = reply_receive(request_send(message, c->size, c->fds, c->n_fds));
	bn_fd_close_many(c->fds, BN_FD_MESSAGE_MAX);
	if (l.reply.error != error || strcmp(l.reply.text, text) != 0) {
		fprintf(stderr, "line %d: %d \"%s\", expected %d \"%s\"\n", line, l.reply.error,
			l.reply.text, error, text);
		exit(1);
	}
}

static void
replace(Case *c, size_t i, int fd)
{
	check(fd >= 0);
	check_int(dup2(fd, c->fds[i]), c->fds[i]);
	(void)close(fd);
}

static int
open_pipe(void)
{
	int ends[2];

	check_int(pipe(ends), 0);
	(void)close(ends[1]);
	return ends[0];
}

/* One VM could write what another boots. */
static int
open_unsealed(void)
{
	int fd = memfd_create("unsealed", MFD_ALLOW_SEALING);

	check(fd >= 0 && write(fd, "kernel", 6) == 6);
	return fd;
}

/* Read-only by its descriptor: but a VMM could open it once more by /proc, and for writing. */
static int
open_writable_by_all(void)
{
	int fd = open("/run/shared", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	check(fd >= 0 && write(fd, "shared", 6) == 6 && fchmod(fd, 0646) == 0);
	(void)close(fd);
	return open("/run/shared", O_RDONLY | O_CLOEXEC);
}

static void
test_message_when_malformed_then_refused(void)
{
	check_refused(-EBADMSG, "size", c.size = 1);
	check_refused(-EBADMSG, "size", c.size -= 1);
	check_refused(-EMSGSIZE, "size", c.size += 1);
	check_refused(-EBADMSG, "magic", c.request.magic++);
	check_refused(-EINVAL, "verb", c.request.verb = 0);
	check_refused(-EINVAL, "verb", c.request.verb = _BN_JAIL_VERB_MAX);
	check_refused(-EINVAL, "verb", c.request.verb = UINT32_MAX);
	check_refused(-EINVAL, "descriptors", c.request.verb = BN_JAIL_PROBE);
	check_refused(-EINVAL, "descriptors", c.n_fds = 0);
	check_refused(-EINVAL, "descriptors", c.n_fds = 3);
	check_refused(-EINVAL, "descriptors", c.fds[4] = dup(c.fds[3]); c.n_fds = 5);
	check_refused(-EINVAL, "descriptors",
		      for (; c.n_fds < BN_FD_MESSAGE_MAX; c.n_fds++) c.fds[c.n_fds] = dup(0));
}

static int
open_tun(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	check(fd >= 0);
	return fd;
}

/* It goes with the world. */
static int
open_persistent(void)
{
	int fd = tap_open("persistent", TAP_FLAGS);

	check_int(ioctl(fd, TUNSETPERSIST, 1), 0);
	return fd;
}

/* A spec with a network, and in the tap's place something else. */
#define check_tap_refused(code, fd)                                                                \
	check_refused(code, "network", c.request.spec.network = 1;                                 \
		      bn_net_mac(0x0a010002, c.request.spec.mac); c.fds[c.n_fds++] = (fd))

static void
test_tap_when_another_thing_then_refused(void)
{
	check_tap_refused(-EINVAL, open_tun("/dev/null", O_RDWR));
	check_tap_refused(-EINVAL, open_unsealed());
	check_tap_refused(-EINVAL, open_pipe());
	check_tap_refused(-EINVAL, open_tun("/dev/net/tun", O_RDONLY));
	check_tap_refused(-EINVAL, open_tun("/dev/net/tun", O_PATH));
	check_tap_refused(-EBADFD, open_tun("/dev/net/tun", O_RDWR));
	check_tap_refused(-EPROTO, tap_open("plain", IFF_TAP | IFF_NO_PI));
	check_tap_refused(-EPROTO, tap_open("tun", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR));
	check_tap_refused(-EPROTO, tap_open("queues", TAP_FLAGS | IFF_MULTI_QUEUE));
	check_tap_refused(-EPROTO, open_persistent());
	check_tap_refused(-EINVAL, tap_open("tap0", TAP_FLAGS));
	check_tap_refused(-EINVAL, tap_open("bgr-t0a010003", TAP_FLAGS));
}

static void
test_tap_when_spec_and_descriptors_disagree_then_refused(void)
{
	check_refused(-EINVAL, "descriptors", request_add_tap(&c.request, c.fds, c.n_fds));
	check_refused(-EINVAL, "descriptors", request_add_tap(&c.request, c.fds, c.n_fds++);
		      c.request.spec.network = 0;
		      memset(c.request.spec.mac, 0, sizeof(c.request.spec.mac)));
	check_refused(-EINVAL, "network", request_add_tap(&c.request, c.fds, c.n_fds++);
		      c.request.spec.network = 2);
	/* The name of the last disk's argument: it is no file. */
	check_refused(-EINVAL, "disks", request_add_tap(&c.request, c.fds, c.n_fds++);
		      c.fds[c.n_fds] = c.fds[3]; c.fds[3] = c.fds[4]; c.fds[4] = c.fds[c.n_fds];
		      c.fds[c.n_fds] = -1);
}

static void
test_uid_when_not_a_jails_then_refused(void)
{
	check_refused(-EINVAL, "uid", c.request.jail_uid = 0);
	check_refused(-EINVAL, "uid", c.request.jail_uid = 1000);
	check_refused(-EINVAL, "uid", c.request.jail_uid = 65535);
	check_refused(-EINVAL, "uid", c.request.jail_uid = UINT32_MAX);
	check_refused(-EINVAL, "uid", c.request.jail_uid = UINT32_MAX - 1);
}

static void
test_key_when_not_derived_then_refused(void)
{
	check_refused(-EINVAL, "key", c.request.key[0] = '\0');
	check_refused(-EINVAL, "key", strcpy(c.request.key, "../../etc/shadow"));
	check_refused(-EINVAL, "key", c.request.key[10] = '/');
	check_refused(-EINVAL, "key", c.request.key[10] = '\n');
	check_refused(-EINVAL, "key", c.request.key[10] = 'A');
	check_refused(-EINVAL, "key", c.request.key[0] = '0');
	check_refused(-EINVAL, "key", c.request.key[0] = '-');
	check_refused(-EINVAL, "key", c.request.key[4] = '0');
	check_refused(-EINVAL, "key", c.request.key[36] = '\0');
	check_refused(-EINVAL, "key", strcpy(c.request.key, "socket"));
	check_refused(-EINVAL, "key", c.request.key[sizeof(c.request.key) - 1] = 'x');
	check_refused(-EINVAL, "key", memset(c.request.key, '1', sizeof(c.request.key)));
	check_refused(-EINVAL, "key", memcpy(c.request.key, "4294967295", 10);
		      memcpy(c.request.key + 10, "-0123456789abcdef0123456789abcdef", 33));
}

static void
test_spec_when_out_of_bounds_then_argument_is_named(void)
{
	check_refused(-EINVAL, "vmm", c.request.spec.kind = _BN_VMM_MAX);
	check_refused(-EINVAL, "vmm", c.request.spec.kind = INT32_MIN);
	check_refused(-EINVAL, "kvm", c.request.spec.kvm = 2);
	check_refused(-EINVAL, "vcpus", c.request.spec.vcpus = 0);
	check_refused(-EINVAL, "memory", c.request.spec.memory_bytes = UINT64_MAX);
	check_refused(-EINVAL, "disks", c.request.spec.n_disks = UINT32_MAX);
	check_refused(-EINVAL, "cmdline", c.request.spec.cmdline[5] = '\n');
}

/* What a descriptor is, not what somebody says of it. */
static void
test_t10_t15_descriptor_when_of_another_kind_then_refused(void)
{
	check_refused(-EINVAL, "kernel", replace(&c, 0, open_pipe()));
	check_refused(-EINVAL, "kernel", replace(&c, 0, open("/", O_RDONLY)));
	check_refused(-EINVAL, "kernel", replace(&c, 0, open("/dev/zero", O_RDONLY)));
	check_refused(-EINVAL, "kernel", replace(&c, 0, open("/run/disk-a", O_PATH)));
	check_refused(-EINVAL, "kernel", replace(&c, 0, bn_fd_memfd_new("empty", "", 0)));
	check_refused(-EBADF, "kernel", replace(&c, 0, open("/run/disk-a", O_WRONLY)));
	check_refused(-EBADF, "kernel", replace(&c, 0, open("/run/disk-a", O_RDWR)));
	check_refused(-EBADF, "kernel", replace(&c, 0, open_unsealed()));
	check_refused(-EPERM, "kernel", replace(&c, 0, open_writable_by_all()));
	check_refused(-EINVAL, "initramfs", replace(&c, 1, open_pipe()));
	check_refused(-EPERM, "disks", replace(&c, 2, open_writable_by_all()));
	check_refused(-EBADF, "disks", replace(&c, 2, open("/run/disk-a", O_RDWR)));
	check_refused(-EBADF, "disks", replace(&c, 3, open("/run/disk-b", O_RDONLY)));
	check_refused(-EBADF, "disks", replace(&c, 3, open("/run/disk-b", O_WRONLY)));
	check_refused(-EINVAL, "disks", replace(&c, 3, open("/run", O_RDONLY)));
}

/* As uid 65534, to a socket whose mode lets it in. */
static void
test_t26_peer_when_not_root_then_gets_nothing(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX,
				       .sun_path = BN_JAIL_RUN_DIR "/" BN_JAIL_SOCKET };
	int status, fds[BN_FD_MESSAGE_MAX], fd;
	BnJailRequest r = request_make(0, fds);
	BnJailReply reply;
	pid_t pid;

	check_int(chmod(BN_JAIL_RUN_DIR, 0711), 0);
	pid = fork();
	check(pid >= 0);
	if (pid == 0) {
		check_int(setgroups(0, NULL), 0);
		check_int(setresuid(65534, 65534, 65534), 0);
		fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		check_int(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
		/* The launcher may have hung up already. */
		(void)bn_fd_send(fd, &r, sizeof(r), fds, 2);
		check(bn_fd_receive(fd, &reply, sizeof(reply), NULL, 0, NULL) <= 0);
		_exit(0);
	}
	check_int(waitpid(pid, &status, 0), pid);
	check_int(status, 0);
	bn_fd_close_many(fds, BN_FD_MESSAGE_MAX);
	check_int(chmod(BN_JAIL_RUN_DIR, 0700), 0);
}

/* A directory that others may enter is not the place for sockets of root. */
static void
test_t24_run_directory_when_open_to_others_then_no_jail(void)
{
	Launched l;

	check_int(chmod(BN_JAIL_RUN_DIR, 0755), 0);
	l = launch(0);
	check_int(l.reply.error, -EPERM);
	check_str(l.reply.text, "lock run directory");
	check_int(chmod(BN_JAIL_RUN_DIR, 0700), 0);
	check_int(chown(BN_JAIL_RUN_DIR, 1000, 0), 0);
	l = launch(0);
	check_int(l.reply.error, -EPERM);
	check_int(chown(BN_JAIL_RUN_DIR, 0, 0), 0);
}

/* A name of ours that leads elsewhere is replaced, not followed. */
static void
test_t14_t33_run_directory_when_names_are_links_then_not_followed(void)
{
	static const char path[] = BN_JAIL_RUN_DIR "/" JAIL_KEY;
	char target[16] = {};
	int fd = open("/run/target", O_CREAT | O_RDWR, 0600);
	Launched l;

	check(fd >= 0 && write(fd, "untouched", 9) == 9);
	check_int(symlink("/run/target", path), 0);
	check_int(symlink("/run/target", BN_JAIL_RUN_DIR "/" JAIL_KEY ".exit"), 0);
	l = launch(0);
	check_int(l.reply.error, 0);
	check_int(command(l.control, BN_JAIL_END, 0, NULL).error, 0);
	wait_end(l.pidfd);
	check_int(pread(fd, target, sizeof(target) - 1, 0), 9);
	check_str(target, "untouched");
	(void)close(l.pidfd);
	(void)close(l.control);
	(void)close(fd);
	check_int(unlink(path), 0);
	check_int(unlink(BN_JAIL_RUN_DIR "/" JAIL_KEY ".exit"), 0);
}

/* Root speaks to the first process; what it says is checked all the same. */
static void
test_command_when_malformed_then_refused_and_jail_unharmed(void)
{
	static const int bad_signals[] = {
		0, -1, SIGSTOP, SIGCONT, SIGSEGV, SIGCHLD, 64, INT32_MAX
	};
	char message[sizeof(BnJailCommand) + 1] = {};
	BnJailCommand good = { .magic = BN_JAIL_WIRE_MAGIC, .verb = BN_JAIL_OPEN };
	BnJailAnswer a;
	Launched l = launch(0);
	int fds[_BN_JAIL_OUT_MAX];

	check_int(command(l.control, BN_JAIL_GO, 0, fds).error, 0);
	for (size_t i = 0; i < BN_ELEMENTSOF(bad_signals); i++)
		check_int(command(l.control, BN_JAIL_SIGNAL, bad_signals[i], NULL).error, -EINVAL);
	check_int(command(l.control, 0, 0, NULL).error, -EINVAL);
	check_int(command(l.control, _BN_JAIL_COMMAND_MAX, 0, NULL).error, -EINVAL);
	check_int(command(l.control, UINT32_MAX, 0, NULL).error, -EINVAL);
	memcpy(message, &good, sizeof(good));
	for (size_t size = 1; size <= sizeof(message); size++) {
		if (size == sizeof(good))
			continue;
		check_int(bn_fd_send(l.control, message, size, NULL, 0), 0);
		check_int(bn_fd_receive(l.control, &a, sizeof(a), NULL, 0, NULL), sizeof(a));
		check_int(a.error, -EBADMSG);
	}
	/* Descriptors belong to no command. */
	check_int(bn_fd_send(l.control, &good, sizeof(good), fds, 1), 0);
	check_int(bn_fd_receive(l.control, &a, sizeof(a), NULL, 0, NULL), sizeof(a));
	check_int(a.error, -EBADMSG);
	check_str(ask(fds[BN_JAIL_OUT_CONTROL], "nothing"), "nothing\n\n");
}

static void
test_everything_when_over_then_nothing_is_left_and_a_jail_starts(void)
{
	Launched l;

	check_nothing_left(launcher);
	launcher = launcher_start(launcher_program, NULL);
	l = launch(2);
	check_int(l.reply.error, 0);
	check_int(command(l.control, BN_JAIL_END, 0, NULL).error, 0);
	wait_end(l.pidfd);
	(void)close(l.pidfd);
	(void)close(l.control);
}

int
main(int argc, char **argv)
{
	static const Test tests[] = {
		TEST(test_message_when_malformed_then_refused),
		TEST(test_tap_when_another_thing_then_refused),
		TEST(test_tap_when_spec_and_descriptors_disagree_then_refused),
		TEST(test_uid_when_not_a_jails_then_refused),
		TEST(test_key_when_not_derived_then_refused),
		TEST(test_spec_when_out_of_bounds_then_argument_is_named),
		TEST(test_t10_t15_descriptor_when_of_another_kind_then_refused),
		TEST(test_t26_peer_when_not_root_then_gets_nothing),
		TEST(test_t24_run_directory_when_open_to_others_then_no_jail),
		TEST(test_t14_t33_run_directory_when_names_are_links_then_not_followed),
		TEST(test_everything_when_over_then_nothing_is_left_and_a_jail_starts),
		TEST(test_command_when_malformed_then_refused_and_jail_unharmed),
	};

	world_begin(argc, argv);
	launcher = launcher_start(launcher_program, NULL);
	return test_run_all(tests, BN_ELEMENTSOF(tests));
}
