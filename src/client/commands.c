/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one table: dispatch, help, completion and the manual page come from it. */
#include "client/cli.h"

const Command commands[] = {
	{ "vm", "run", N_("[OPTIONS] [-- COMMAND...]"),
	  N_("create and start a VM, and run a command or a shell in it"),
	  N_("Standard input, output and error are the command's, and its exit status is ours; 125 is a\n"
	     "failure of our own. Without --rm the VM stays, and runs on.\n\n"
	     "  banger vm run                        a fresh VM, and a shell in it\n"
	     "  banger vm run --rm -- make test      gone when the command ends\n"
	     "  banger vm run -d --name box          a VM that stays in the background\n"
	     "  banger vm run --nat -- curl URL      with a way to the world"),
	  cmd_vm_run },
	{ "vm", "create", N_("[OPTIONS]"), N_("create a VM without starting it"), NULL,
	  cmd_vm_create },
	{ "vm", "start", N_("VM..."), N_("start VMs, or let paused ones go on"), NULL,
	  cmd_vm_start },
	{ "vm", "set", N_("OPTIONS VM..."),
	  N_("change how far VMs reach, and which ports of this computer lead to them"),
	  N_("Of VMs that run too, at once: none takes a stop, and so does a card for one that has none."),
	  cmd_vm_set },
	{ "vm", "stop", N_("[OPTIONS] VM..."), N_("shut VMs down, losing nothing"), NULL,
	  cmd_vm_stop },
	{ "vm", "restart", N_("[OPTIONS] VM..."), N_("stop VMs and start them again"), NULL,
	  cmd_vm_restart },
	{ "vm", "kill", N_("[OPTIONS] VM..."),
	  N_("end VMs at once, without a word to their guests"),
	  N_("What a guest has not synced is lost; its filesystem recovers at the next start."),
	  cmd_vm_kill },
	{ "vm", "delete", N_("[OPTIONS] VM..."), N_("destroy VMs and their disks"), NULL,
	  cmd_vm_delete },
	{ "vm", "ports", N_("[VM]"), N_("list the ports of this computer that lead to VMs"),
	  N_("They do so while their VMs run."), cmd_vm_ports },
	{ "vm", "list", "", N_("list the VMs"), NULL, cmd_vm_list },
	{ "vm", "show", N_("VM"), N_("tell all about a VM"), NULL, cmd_vm_show },
	{ "vm", "exec", N_("[OPTIONS] VM [--] COMMAND..."), N_("run a command in a VM"),
	  N_("Standard input, output and error are the command's, and its exit status is ours; 125 is a\n"
	     "failure of our own. On a terminal, Ctrl-C is the command's; elsewhere it is forwarded, and a\n"
	     "second one gives up, as a second SIGTERM or SIGHUP does.\n\n"
	     "Where a guest answers nothing to three Ctrl-C on a terminal, Ctrl-] leaves it; else that is the\n"
	     "guest's too."),
	  cmd_vm_exec },
	{ "vm", "shell", N_("[OPTIONS] VM"), N_("open a login shell in a VM"),
	  N_("Where a guest answers nothing to three Ctrl-C, Ctrl-] leaves it."), cmd_vm_shell },
	{ "vm", "logs", N_("[OPTIONS] VM"),
	  N_("show what a guest wrote to its serial port since its last start"), NULL,
	  cmd_vm_logs },
	{ "vm", "console", N_("VM"), N_("open a guest's serial port; Ctrl-] leaves it"), NULL,
	  cmd_vm_console },
	{ "ps", NULL, "", N_("the same as 'vm list'"), NULL, cmd_vm_list },
	{ "image", "build", N_("[OPTIONS]"), N_("build an image from Debian packages"), NULL,
	  cmd_image_build },
	{ "image", "import", N_("--name NAME [OPTIONS] FILE|-"),
	  N_("make an image of a tar archive, compressed or not"),
	  N_("With - the archive is read from standard input."), cmd_image_import },
	{ "image", "list", "", N_("list the images"), NULL, cmd_image_list },
	{ "image", "show", N_("IMAGE"), N_("tell all about an image"), NULL, cmd_image_show },
	{ "image", "delete", N_("[OPTIONS] IMAGE..."), N_("delete images that no VM uses"), NULL,
	  cmd_image_delete },
	{ "image", "default", N_("IMAGE"),
	  N_("make an image the one a VM gets where none is named"), NULL, cmd_image_default },
	{ "kernel", "import", N_("[OPTIONS] --fetch [PACKAGE] | --package FILE | --vmlinuz FILE"),
	  N_("make a kernel that VMs can boot"), NULL, cmd_kernel_import },
	{ "kernel", "list", "", N_("list the kernels"), NULL, cmd_kernel_list },
	{ "kernel", "show", N_("KERNEL"), N_("tell all about a kernel"), NULL, cmd_kernel_show },
	{ "kernel", "delete", N_("[OPTIONS] KERNEL..."), N_("delete kernels that no VM uses"), NULL,
	  cmd_kernel_delete },
	{ "kernel", "default", N_("KERNEL"),
	  N_("make a kernel the one a VM gets where none is named"), NULL, cmd_kernel_default },
	{ "doctor", NULL, "", N_("look whether everything VMs need is there; changes nothing"),
	  N_("The exit status is 1 where something is missing that a VM needs."), cmd_doctor },
	{ "completion", NULL, "bash|zsh|fish", N_("print a completion script"),
	  N_("To complete words from now on:\n\n"
	     "  source <(banger completion bash)     in bash\n"
	     "  source <(banger completion zsh)      in zsh\n"
	     "  banger completion fish | source      in fish"),
	  cmd_completion },
	{ "version", NULL, "", N_("print the version"), NULL, cmd_version },
	{ NULL, NULL, NULL, NULL, NULL, NULL },
};
