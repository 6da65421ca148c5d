/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's root, in a directory instead of on a disk. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/boot.h"
#include "shared/base/macro.h"

static const char *const directories[] = { "sbin",     "bin",     "etc",
					   "lib",      "usr",     "lib/systemd",
					   "usr/sbin", "usr/lib", "usr/lib/systemd" };

int
agent_device_wait_disk(AgentDisk kind, char ret[static 32])
{
	return -ENODEV;
}

/* Below a root that has this file alone. */
static void
check_found(const char *path)
{
	const AgentBoot automatic = { .init = BN_BOOT_INIT_AUTO },
			none = { .init = BN_BOOT_INIT_NONE };
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);

	check(fd >= 0);
	(void)close(fd);
	check_str(agent_root_find_init(&automatic), path);
	check(!agent_root_find_init(&none));
	check_int(chmod(path, 0644), 0);
	check(!agent_root_find_init(&automatic));
	check_int(unlink(path), 0);
}

/* The places that banger-image-writer looks at. */
static void
test_init_when_where_an_image_is_said_to_have_one_then_found(void)
{
	static const char *const paths[] = {
		"/sbin/init", "/usr/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd",
		"/etc/init",  "/bin/init"
	};
	char root[] = "/tmp/banger-root-XXXXXX";
	int status;
	pid_t pid;

	check(mkdtemp(root) && chdir(root) == 0);
	for (size_t i = 0; i < BN_ELEMENTSOF(directories); i++)
		check_int(mkdir(directories[i], 0755), 0);
	pid = fork();
	check(pid >= 0);
	if (pid == 0) {
		/* Who is not root is, in a namespace of its own. */
		check(geteuid() == 0 || unshare(CLONE_NEWUSER) == 0);
		check_int(chroot("."), 0);
		for (size_t i = 0; i < BN_ELEMENTSOF(paths); i++)
			check_found(paths[i]);
		_exit(0);
	}
	check_int(waitpid(pid, &status, 0), pid);
	for (size_t i = BN_ELEMENTSOF(directories); i > 0; i--)
		check_int(rmdir(directories[i - 1]), 0);
	check_int(rmdir(root), 0);
	check_int(status, 0);
}

TEST_MAIN(TEST(test_init_when_where_an_image_is_said_to_have_one_then_found))
