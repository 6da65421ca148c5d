/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two programs in one. "inject PROGRAM [ARGUMENT...]" becomes PROGRAM, which is banger-helper or the launcher of jails,
 * under a seccomp filter that asks a supervisor about every system call that creates or changes something: of PROGRAM,
 * of whatever it starts, and of each jail up to the VMM's own code. The product has no hook for it. "inject" alone is
 * the supervisor, says so by a line, and ends with standard input. Where there is none PROGRAM runs as ever.
 *
 * DIRECTORY/plan says what the supervisor does:
 *    trace               writes every such call to DIRECTORY/trace, in order
 *    fail POINT          refuses the call POINT with EIO
 *    kill POINT          kills, by SIGKILL, the process that was about to make it
 * A point is "ROLE CALL N": the N-th of its name in that role. A role is the program and how many forks it is away from
 * the first process of that program, with a "t" for threads beside the main one, so that points do not depend on who
 * is scheduled first. DIRECTORY/hit exists once the point was reached; whoever is started after it is left alone.
 *
 * The supervisor is no child of those whom it judges, and shares neither their sandbox nor their cgroup. It takes the
 * filter's listener out of the process: handing it over would be a call that nobody answers yet. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/macro.h"
#include "faults/calls.h"

#define DIRECTORY "/run/banger-faults"

#define ROLES_MAX     64
#define PROCESSES_MAX 512
#define LISTENERS_MAX 16

typedef struct Process {
	pid_t pid;
	char program[32];
	unsigned depth;
} Process;

typedef struct Role {
	char name[48];
	unsigned counts[BN_ELEMENTSOF(fault_calls)];
} Role;

static struct {
	char verb[8], role[48], call[32];
	unsigned n;
	bool hit;
	FILE *trace;
	Process processes[PROCESSES_MAX];
	size_t n_processes;
	Role roles[ROLES_MAX];
	size_t n_roles;
	/* Behind the socket to which they come who want to be supervised, and standard input. */
	struct pollfd listeners[LISTENERS_MAX];
	size_t n_listeners;
} supervisor;

static _noreturn_ void
die(const char *what)
{
	(void)fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	_exit(1);
}

/* The thread group, the parent and the program of a thread; false where it has ended meanwhile. */
static bool
look_at(pid_t tid, pid_t *ret_tgid, pid_t *ret_parent, char program[static 32])
{
	_cleanup_fclose_ FILE *status = NULL;
	char path[64], link[256], line[256];
	ssize_t size;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", tid);
	size = readlink(path, link, sizeof(link) - 1);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", tid);
	status = fopen(path, "re");
	if (size < 0 || !status)
		return false;
	link[size] = '\0';
	(void)snprintf(program, 32, "%.31s", strrchr(link, '/') + 1);
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "Tgid: %d", ret_tgid) != 1)
			(void)sscanf(line, "PPid: %d", ret_parent);
	return true;
}

static Process *
find_process(pid_t pid)
{
	for (size_t i = supervisor.n_processes; i > 0; i--)
		if (supervisor.processes[i - 1].pid == pid)
			return &supervisor.processes[i - 1];
	return NULL;
}

/* A helper's orphan has a parent that had forked for that alone: it is two away from whom it comes from. */
static Process *
note_process(pid_t pid, pid_t parent, const char *program)
{
	Process *process = find_process(pid), *from = NULL;

	if (process && strcmp(process->program, program) == 0)
		return process;
	if (!process) {
		if (supervisor.n_processes == PROCESSES_MAX)
			die("too many processes");
		from = find_process(parent);
		process = &supervisor.processes[supervisor.n_processes++];
		*process = (Process){ .pid = pid };
		if (!from && strcmp(program, "banger-helper") == 0)
			process->depth = 2;
	} else {
		process->depth = 0;
	}
	if (from && strcmp(from->program, program) == 0)
		process->depth = from->depth + 1;
	(void)snprintf(process->program, sizeof(process->program), "%s", program);
	return process;
}

static Role *
find_role(const char *name)
{
	for (size_t i = 0; i < supervisor.n_roles; i++)
		if (strcmp(supervisor.roles[i].name, name) == 0)
			return &supervisor.roles[i];
	if (supervisor.n_roles == ROLES_MAX)
		die("too many roles");
	(void)snprintf(supervisor.roles[supervisor.n_roles].name, sizeof(supervisor.roles[0].name),
		       "%s", name);
	return &supervisor.roles[supervisor.n_roles++];
}

static size_t
find_call(int nr)
{
	for (size_t i = 0; i < BN_ELEMENTSOF(fault_calls); i++)
		if (fault_calls[i].nr == nr)
			return i;
	abort();
}

static void
mark_hit(void)
{
	int fd = open(DIRECTORY "/hit", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		die(DIRECTORY "/hit");
	(void)close(fd);
	supervisor.hit = true;
}

/* What becomes of this call. */
static void
judge(const struct seccomp_notif *question, struct seccomp_notif_resp *response)
{
	char program[32], name[48];
	size_t call = find_call(question->data.nr);
	pid_t tgid = 0, parent = 0;
	Process *process;
	Role *role;

	if (!look_at((pid_t)question->pid, &tgid, &parent, program))
		return;
	process = note_process(tgid, parent, program);
	/* The VMM's own code is not ours to test, nor is our own. */
	if (strncmp(program, "banger-", 7) != 0)
		return;
	(void)snprintf(name, sizeof(name), "%.31s.%u%s", program, process->depth,
		       tgid == (pid_t)question->pid ? "" : "t");
	role = find_role(name);
	role->counts[call]++;
	if (supervisor.trace)
		(void)fprintf(supervisor.trace, "%s %s %u\n", name, fault_calls[call].name,
			      role->counts[call]);
	if (supervisor.hit || strcmp(name, supervisor.role) != 0 ||
	    strcmp(fault_calls[call].name, supervisor.call) != 0 ||
	    role->counts[call] != supervisor.n)
		return;
	mark_hit();
	response->flags = 0;
	response->error = -EIO;
	if (strcmp(supervisor.verb, "kill") == 0)
		(void)kill(tgid, SIGKILL);
}

static void
answer_one(int listener)
{
	struct seccomp_notif question = {};
	struct seccomp_notif_resp response = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question) < 0)
		return; /* it was killed meanwhile */
	response.id = question.id;
	judge(&question, &response);
	if (supervisor.trace)
		(void)fflush(supervisor.trace);
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

/* False where there is none. */
static bool
read_plan(void)
{
	_cleanup_fclose_ FILE *plan = fopen(DIRECTORY "/plan", "re");
	int n = plan ? fscanf(plan, "%7s %47s %31s %u", supervisor.verb, supervisor.role,
			      supervisor.call, &supervisor.n)
		     : 0;

	if (n == 1 && strcmp(supervisor.verb, "trace") == 0) {
		supervisor.trace = fopen(DIRECTORY "/trace", "we");
		return supervisor.trace != NULL;
	}
	return n == 4;
}

static int
make_socket(struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX, .sun_path = DIRECTORY "/socket" };
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

static void
add_listener(int fd)
{
	if (supervisor.n_listeners == LISTENERS_MAX)
		die("too many listeners");
	supervisor.listeners[supervisor.n_listeners++] =
		(struct pollfd){ .fd = fd, .events = POLLIN };
}

/* Says that it will be heard, is told which number the listener is going to have, and hears by the connection's end
 * that the filter is there. */
static void
take_one(int sock)
{
	_cleanup_close_ int connection = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
	struct ucred peer = {};
	socklen_t size = sizeof(peer);
	int number = -1, fd;
	char end;

	if (connection < 0 || supervisor.hit)
		return;
	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		die("SO_PEERCRED");
	if (send(connection, "", 1, MSG_NOSIGNAL) != 1 ||
	    recv(connection, &number, sizeof(number), 0) != sizeof(number))
		return;
	(void)!recv(connection, &end, 1, 0);
	fd = (int)syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, peer.pid, 0), number, 0);
	if (fd < 0)
		die("pidfd_getfd");
	(void)note_process(peer.pid, 0, "inject");
	add_listener(fd);
}

/* With the last process under it a listener ends. */
static void
answer_all(void)
{
	for (size_t i = 2; i < supervisor.n_listeners; i++) {
		struct pollfd *p = &supervisor.listeners[i];

		if (p->revents & POLLIN)
			answer_one(p->fd);
		else if (p->revents & POLLHUP)
			p->fd = -1;
	}
}

/* Ends with standard input. */
static _noreturn_ void
supervise(void)
{
	struct sockaddr_un address;
	int sock = make_socket(&address);

	if (!read_plan())
		die(DIRECTORY "/plan");
	(void)unlink(address.sun_path);
	if (bind(sock, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(sock, 16) < 0)
		die(address.sun_path);
	add_listener(sock);
	add_listener(STDIN_FILENO);
	(void)puts("supervises");
	(void)fflush(stdout);
	while (poll(supervisor.listeners, supervisor.n_listeners, -1) > 0) {
		if (supervisor.listeners[1].revents)
			_exit(0);
		answer_all();
		if (supervisor.listeners[0].revents)
			take_one(sock);
	}
	die("poll");
}

static void
ask_to_be_supervised(void)
{
	struct sockaddr_un address;
	int sock = make_socket(&address), number;
	char c;

	if (sock < 0)
		die("socket");
	if (connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    recv(sock, &c, 1, 0) != 1) {
		(void)close(sock);
		return;
	}
	/* The lowest number that is free. */
	number = dup(sock);
	(void)close(number);
	if (send(sock, &number, sizeof(number), MSG_NOSIGNAL) != sizeof(number))
		die("send");
	if (notifier_install(fault_calls, BN_ELEMENTSOF(fault_calls), FAULT_IOCTL) != number)
		die("seccomp");
	(void)close(sock);
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		supervise();
	ask_to_be_supervised();
	(void)execv(argv[1], argv + 1);
	die(argv[1]);
}
