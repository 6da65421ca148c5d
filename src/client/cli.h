/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every command of banger has in common. */
#pragma once

#include <gio/gio.h>
#include <glib/gi18n.h>
#include <stdbool.h>

#include "banger-dbus.h"

/* Exit statuses of our own; where a command runs in a guest it is that command's. */
enum {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_OWN_FAILURE = 125, /* ours, where the status would be the remote command's */
	CLI_INTERRUPTED = 130, /* by a signal: where the error is G_IO_ERROR_CANCELLED */
};

typedef struct Cli {
	bool json;
	bool quiet;
	bool no_ask;
	bool tell_stages; /* also where nobody watches: for jobs that take minutes */
	bool interrupted; /* while a job was waited for */
	GDBusConnection *bus;
	BangerDBusManager *manager;
} Cli;

typedef struct Command {
	const char *noun;
	const char *verb;      /* NULL: the noun alone is the command */
	const char *arguments; /* for the usage line */
	const char *summary;
	const char *details; /* for its own help, or NULL */
	int (*run)(Cli *cli, int argc, char **argv);
} Command;

/* The one table: dispatch, help, completion and the manual page come from it. Ends with a NULL noun. */
extern const Command commands[];

enum {
	CLI_ANY = -1,     /* however many arguments */
	CLI_COMMAND = -2, /* and from the first on they are somebody else's, options too */
};

/* Reads a command's options, and those that every command has, and is the first thing a command does: false after it
 * has said what is wrong. What is left in argv are the other arguments. `least` and `most` bound their number. */
bool cli_parse(Cli *cli, const GOptionEntry *entries, int *argc, char ***argv, int least, int most);

/* Connects to bangerd, which the bus starts: false after it has said what is wrong. */
bool cli_connect(Cli *cli);

/* Begins the options of a call: they carry this process's operation id, by which one command is found again
 * in what bangerd and the helper write. */
void cli_options_init(GVariantDict *options);

BangerDBusVM *cli_vm(Cli *cli, const char *path, GError **error);
/* The VM a reference means; NULL with the error. */
BangerDBusVM *cli_find_vm(Cli *cli, const char *reference, GError **error);

/* Each says what is wrong and what to do next, on standard error, and returns the exit status for it. The error is
 * taken over. cli_fail_own(): where the status would be the remote command's. */
int cli_fail(GError *error);
int cli_fail_own(GError *error);
/* From now on the VM goes when this process or bangerd does: cli_fail() tells no other story. */
void cli_set_ephemeral(void);
int cli_usage(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* Why our own output could not be written, but where its reader has merely left. */
void cli_tell_write_error(int error);

/* What a boolean property of the Manager says; false where it says nothing. */
bool cli_flag(Cli *cli, const char *property);

/* Every object of `interface` with its properties: path → a{sv}. */
GHashTable *cli_list(Cli *cli, const char *interface, GError **error);
const char *cli_text(GVariant *properties, const char *name);
guint64 cli_number(GVariant *properties, const char *name);

/* Waits for a job with its progress on standard error; Ctrl-C cancels it. The result (owned), or NULL with
 * the error. */
GVariant *cli_wait(Cli *cli, const char *job, GError **error);

/* A question on the terminal; `otherwise` where there is none. */
bool cli_ask(Cli *cli, bool otherwise, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* A command in a VM on this process's standard streams. */
typedef struct CliExec {
	char **argv;
	char **environment;
	char *user;
	char *workdir;
} CliExec;

/* $TERM, or NULL. */
const char *cli_terminal_kind(void);

/* Asks for the command, one at a time; it begins as soon as the VM can run it. False after it has said what is
 * wrong. */
bool cli_exec_begin(Cli *cli, BangerDBusVM *vm, const CliExec *exec);
/* Whether bangerd has gone away under it. */
bool cli_exec_is_lost(void);
/* Stays with it to its end: its exit status, or CLI_OWN_FAILURE. Leaving it out hangs up on the command when this
 * process ends. */
int cli_exec_finish(void);

int cmd_vm_run(Cli *cli, int argc, char **argv);
int cmd_vm_create(Cli *cli, int argc, char **argv);
int cmd_vm_start(Cli *cli, int argc, char **argv);
int cmd_vm_set(Cli *cli, int argc, char **argv);
int cmd_vm_stop(Cli *cli, int argc, char **argv);
int cmd_vm_restart(Cli *cli, int argc, char **argv);
int cmd_vm_kill(Cli *cli, int argc, char **argv);
int cmd_vm_delete(Cli *cli, int argc, char **argv);
int cmd_vm_list(Cli *cli, int argc, char **argv);
int cmd_vm_show(Cli *cli, int argc, char **argv);
int cmd_vm_ports(Cli *cli, int argc, char **argv);
int cmd_vm_exec(Cli *cli, int argc, char **argv);
int cmd_vm_shell(Cli *cli, int argc, char **argv);
int cmd_vm_logs(Cli *cli, int argc, char **argv);
int cmd_vm_console(Cli *cli, int argc, char **argv);
int cmd_image_build(Cli *cli, int argc, char **argv);
int cmd_image_import(Cli *cli, int argc, char **argv);
int cmd_image_list(Cli *cli, int argc, char **argv);
int cmd_image_show(Cli *cli, int argc, char **argv);
int cmd_image_delete(Cli *cli, int argc, char **argv);
int cmd_image_default(Cli *cli, int argc, char **argv);
int cmd_kernel_import(Cli *cli, int argc, char **argv);
int cmd_kernel_list(Cli *cli, int argc, char **argv);
int cmd_kernel_show(Cli *cli, int argc, char **argv);
int cmd_kernel_delete(Cli *cli, int argc, char **argv);
int cmd_kernel_default(Cli *cli, int argc, char **argv);
int cmd_doctor(Cli *cli, int argc, char **argv);
int cmd_version(Cli *cli, int argc, char **argv);
int cmd_completion(Cli *cli, int argc, char **argv);
