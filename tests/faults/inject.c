/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands in the place of banger-helper in the world of the fault tests, and becomes it under a seccomp filter that asks
 * a supervisor, also ours, about every system call that creates or changes something: of the helper, of the
 * launcher of jails that it starts, and of each jail up to the VMM's own code. The product has no hook for it.
 *
 * DIRECTORY/plan says what the supervisor does:
 *    trace               writes every such call to DIRECTORY/trace, in order
 *    fail POINT          refuses the call POINT with EIO
 *    kill POINT          kills, by SIGKILL, the process that was about to make it
 * A point is "ROLE CALL N": the N-th of its name in that role. A role is the program and how many forks it is away from
 * the first process of that program, with a "t" for threads beside the main one, so that points do not depend on who
 * is scheduled first. DIRECTORY/hit exists once the point was reached; whoever is started after it is left alone. */
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
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/macro.h"
#include "faults/calls.h"

#define PROGRAM   "/usr/src/banger-faults/banger-helper"
#define DIRECTORY "/run/banger-faults"

#define ROLES_MAX     64
#define PROCESSES_MAX 512

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

/* An orphan's parent had forked for that alone: it is two away from whom it comes from. */
static Process *
note_process(pid_t pid, pid_t parent, const char *program)
{
	Process *process = find_process(pid), *from;

	if (process && strcmp(process->program, program) == 0)
		return process;
	from = process ? NULL : find_process(parent);
	if (!process) {
		if (supervisor.n_processes == PROCESSES_MAX)
			die("too many processes");
		process = &supervisor.processes[supervisor.n_processes++];
	}
	process->pid = pid;
	process->depth = from && strcmp(from->program, program) == 0 ? from->depth + 1 : 0;
	if (!from && supervisor.n_processes > 1 && strcmp(program, "banger-helper") == 0)
		process->depth = 2;
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
	/* The VMM's own code is not ours to test, and the first exec is how the helper begins. */
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

/* Ends with the last process under the filter. */
static _noreturn_ void
supervise(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };

	(void)setsid();
	while (poll(&p, 1, -1) >= 0 && !(p.revents & POLLHUP))
		if (p.revents & POLLIN)
			answer_one(listener);
	_exit(0);
}

/* False where there is none, or where it was carried out: then nobody is supervised. */
static bool
read_plan(void)
{
	_cleanup_fclose_ FILE *plan = fopen(DIRECTORY "/plan", "re");
	int n = plan ? fscanf(plan, "%7s %47s %31s %u", supervisor.verb, supervisor.role,
			      supervisor.call, &supervisor.n)
		     : 0;

	if (access(DIRECTORY "/hit", F_OK) == 0)
		return false;
	if (n == 1 && strcmp(supervisor.verb, "trace") == 0) {
		supervisor.trace = fopen(DIRECTORY "/trace", "we");
		return supervisor.trace != NULL;
	}
	return n == 4;
}

/* Forked twice, so that it is nobody's child whom the helper would find. It hears by the end of a pipe, which is no
 * call that it is asked about, that the filter is there, and by shared memory under which number. */
static void
start_supervisor(const volatile int *listener_number, int ready[2])
{
	pid_t service = getpid(), child = fork();
	char c;
	int fd;

	if (child < 0)
		die("fork");
	if (child > 0) {
		(void)waitpid(child, NULL, 0);
		return;
	}
	if (fork() != 0)
		_exit(0);
	(void)close(ready[1]);
	if (read(ready[0], &c, 1) != 0)
		die("read");
	fd = (int)syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, service, 0), *listener_number,
			  0);
	if (fd < 0)
		die("pidfd_getfd");
	(void)note_process(service, 0, "banger-helper");
	supervise(fd);
}

int
main(int argc, char **argv)
{
	volatile int *listener;
	int ready[2];

	if (read_plan()) {
		listener = mmap(NULL, sizeof(*listener), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (listener == MAP_FAILED || pipe2(ready, O_CLOEXEC) < 0)
			die("shared memory");
		start_supervisor(listener, ready);
		*listener = notifier_install(fault_calls, BN_ELEMENTSOF(fault_calls));
		if (*listener < 0)
			die("seccomp");
		(void)close(ready[1]);
	}
	argv[0] = (char *)PROGRAM;
	(void)execv(PROGRAM, argv);
	die(PROGRAM);
}
