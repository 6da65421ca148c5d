/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A throw-away world for trying the product: what its parts know of each other.
 *
 * Two processes are ours. The outer one stays in the caller's namespaces, passes signals on and takes the exit
 * status; the first process of the new pid namespace makes the world, starts the buses, runs the command and
 * reaps. The first dies with the outer (PR_SET_PDEATHSIG), and the kernel ends every other process with the
 * first; mounts, interfaces and files live in namespaces and on a tmpfs that end with the last process. So
 * nothing has to be undone, whichever of them is killed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define STACK_LIST_MAX 16

/* Our own failure, told apart from the command's status as container tools do. */
#define STACK_EXIT_FAILURE 125

/* What happens between the outer process and the first one, one byte each, either way. */
enum {
	/* first → outer */
	STACK_MSG_STARTED = 'r', /* the command runs */
	STACK_MSG_STOPPED = 's', /* the command was stopped: stop too */
	/* outer → first */
	STACK_MSG_FOREGROUND = 'f', /* continued, and the terminal is the command's again */
	STACK_MSG_BACKGROUND = 'b', /* continued */
	STACK_MSG_INTERRUPT = 'i',
	STACK_MSG_QUIT = 'q',
};

typedef struct StackBind {
	const char *source; /* in the caller's world */
	const char *target; /* absolute, in the new root; made where it is missing */
	bool read_only;
} StackBind;

typedef struct StackUser {
	const char *name;
	uid_t uid;   /* also the gid */
	bool member; /* of group banger */
} StackUser;

/* Everything that main() decided. Strings belong to argv and the environment. */
typedef struct Stack {
	bool host_net;
	bool verbose;       /* the services' output goes to our stderr */
	bool take_terminal; /* the command gets the terminal's foreground */
	const char *user;   /* "root" or one of stack_users */
	const char *term;
	const char *lang;
	const char *stage;  /* a tree to be copied over /, or NULL */
	const char *world;  /* the program that makes the neighbourhood, or NULL for none */
	const char *home;   /* what dev finds at home, or NULL for an empty one */
	bool home_writable; /* what is written to it stays; else it is covered by the tmpfs */
	char *resolv_conf;  /* content, or NULL */
	StackBind binds[STACK_LIST_MAX];
	size_t n_binds;
	const char *sessions[STACK_LIST_MAX]; /* users who get a session bus */
	size_t n_sessions;
	const char *environment[STACK_LIST_MAX]; /* NAME=VALUE for the command */
	size_t n_environment;
	char **command;
	int outer; /* the first process's end of the socket between the two */
} Stack;

/* Ends with an entry whose name is NULL. Their numbers are far from what hosts hand out: they own files in caches. */
extern const StackUser stack_users[];
/* NULL where there is none of that name. */
const StackUser *stack_user_find(const char *name);

/* Makes the tmpfs, the overlay over /, and enters it. Changes only the calling process's namespaces, which must be
 * new. Returns 0 or negative errno after saying what failed. */
int stack_world_enter(const Stack *stack);

/* Writes users, groups, subordinate ids, machine id and run directories of the world just entered. */
int stack_people_make(const Stack *stack);

/* Becomes that user for good, with their groups; root keeps what it has. 0 or negative errno. */
int stack_become(const char *name);
/* Environment of that user's processes; the array and its strings are the caller's and never freed. */
char **stack_environment(const Stack *stack, const char *name);

/* What runs as long as everything does: the system bus, the session buses, the world around. */
#define STACK_SERVICES_MAX (STACK_LIST_MAX + 2)

typedef struct StackService {
	pid_t pid;
	const char *what; /* for messages */
} StackService;

/* Starts them and waits until each has said that it is ready; `ret` has room for STACK_SERVICES_MAX. */
int stack_services_start(const Stack *stack, StackService *ret, size_t *ret_n);

/* The first process: never returns. */
__attribute__((noreturn)) void stack_first_run(const Stack *stack);

/* "banger-stack: WHAT: strerror" on stderr; returns `error`, so that a failure is one line. */
int stack_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
