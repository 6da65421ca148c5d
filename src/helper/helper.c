/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "helper/budget.h"
#include "helper/bus.h"
#include "helper/helper-conf.h"
#include "helper/ledger.h"
#include "helper/net-reconcile.h"
#include "helper/polkit.h"
#include "helper/reconcile.h"
#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/log.h"

/* A wrong configuration is read again by the next helper, which shall come soon. */
#define WRONG_IDLE_MS 1000

typedef struct Helper {
	int lock;
	OpEnv env;
	sd_event *event;
	sd_event_source *worker_source;
	Workers *workers;
	Bus *bus;
	Polkit *polkit;
	Dispatch *dispatch;
} Helper;

/* In the order in which each may still be used by those before it. */
static void
helper_done(Helper *h)
{
	sd_event_source_unref(h->worker_source);
	workers_free(h->workers);
	dispatch_free(h->dispatch);
	polkit_free(h->polkit);
	bus_free(h->bus);
	sd_event_unref(h->event);
	net_ledger_free(h->env.net);
	ledger_free(h->env.ledger);
	bn_closep(&h->lock);
}

static int
fail(int r, const char *what)
{
	bn_log_error("%s: %s", what, strerror(-r));
	return r;
}

/* One helper at a time has the ledger. A predecessor that gave its name back may still finish
 * something: its successor waits here for its end. */
static int
lock_run_dir(const char *path, int *ret_lock)
{
	_cleanup_close_ int fd = -1;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return bn_errno();
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return bn_errno();
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return bn_errno();
	*ret_lock = BN_TAKE_FD(fd);
	return 0;
}

static int
open_ledger(Helper *h, const HelperSetup *setup)
{
	Reconciled found = {};
	unsigned damaged = 0;
	int r;

	r = lock_run_dir(setup->run_dir, &h->lock);
	if (r >= 0)
		r = ledger_open(setup->run_dir, &h->env.ledger, &damaged);
	if (r < 0)
		return fail(r, setup->run_dir);
	r = reconcile(h->env.ledger, setup->kernel, &found);
	if (r < 0)
		return fail(r, "cannot compare the ledger with what runs");
	if (damaged || found.ended || found.undone || found.strange || found.failed)
		bn_log_notice(
			"ledger reconciled: damaged=%u ended=%u undone=%u strange=%u failed=%u",
			damaged, found.ended, found.undone, found.strange, found.failed);
	return 0;
}

static int
open_net_ledger(Helper *h, const HelperSetup *setup)
{
	NetReconciled found = {};
	unsigned damaged = 0;
	int r;

	if (mkdir(setup->lib_dir, 0700) < 0 && errno != EEXIST)
		return fail(bn_errno(), setup->lib_dir);
	r = net_ledger_open(setup->run_dir, setup->lib_dir, &h->env.net, &damaged);
	if (r < 0)
		return fail(r, "cannot read the ledger of networks");
	r = net_reconcile(h->env.net, setup->kernel, &found);
	if (r < 0)
		return fail(r, "cannot compare the ledger of networks with the host's");
	if (damaged || found.undone || found.strange || found.failed)
		bn_log_notice("networks reconciled: damaged=%u undone=%u strange=%u failed=%u",
			      damaged, found.undone, found.strange, found.failed);
	return 0;
}

static int
on_worker(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	workers_dispatch(userdata);
	return 0;
}

static int
on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	bus_terminate(userdata);
	return 0;
}

static int
make_event_loop(Helper *h)
{
	sigset_t signals;
	int fd = -1, r;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return bn_errno();
	r = sd_event_new(&h->event);
	if (r >= 0)
		r = workers_new(&h->workers, &fd);
	if (r >= 0)
		r = sd_event_add_io(h->event, &h->worker_source, fd, EPOLLIN, on_worker,
				    h->workers);
	return r;
}

static int
join_bus(Helper *h, const HelperSetup *setup)
{
	DispatchSetup dispatch = { .env = h->env, .workers = h->workers };
	BusSetup bus = { .address = setup->bus_address,
			 .idle_ms = h->env.limits.wrong[0] != '\0' ? WRONG_IDLE_MS : setup->idle_ms,
			 .last_ms = setup->last_ms };
	struct rlimit descriptors = {};
	Budget budget;
	int r;

	if (getrlimit(RLIMIT_NOFILE, &descriptors) < 0)
		return bn_errno();
	budget = budget_make(descriptors.rlim_cur);
	bus.arrivals_max = budget.arrivals;
	dispatch.calls_max = budget.calls;
	r = bus_new(h->event, &bus, &h->bus);
	if (r >= 0)
		r = polkit_new(bus_get_connection(h->bus), &h->polkit, &dispatch.authority);
	if (r < 0)
		return r;
	dispatch.transport = bus_get_transport(h->bus);
	r = dispatch_new(&dispatch, &h->dispatch);
	if (r >= 0)
		r = sd_event_add_signal(h->event, NULL, SIGTERM, on_signal, h->bus);
	if (r >= 0)
		r = sd_event_add_signal(h->event, NULL, SIGINT, on_signal, h->bus);
	return r < 0 ? r : bus_start(h->bus, h->dispatch);
}

/* Where they are wrong, what runs can still be used and ended. A helper that did not start would say nothing to
 * anybody: the bus, which waits for it, only gives up in the end. */
static void
load_limits(const char *path, OpLimits *ret)
{
	char wrong[128] = "";

	if (helper_conf_load(path, ret, wrong, sizeof(wrong)) >= 0)
		return;
	(void)snprintf(ret->wrong, sizeof(ret->wrong), "%s: %s", path, wrong);
	bn_log_error("%s", ret->wrong);
}

int
helper_run(const HelperSetup *setup)
{
	_cleanup_(helper_done) Helper h = { .lock = -1, .env.kernel = setup->kernel };
	int r;

	load_limits(setup->conf_path, &h.env.limits);
	r = open_ledger(&h, setup);
	if (r >= 0)
		r = open_net_ledger(&h, setup);
	if (r < 0)
		return r;
	r = make_event_loop(&h);
	if (r < 0)
		return fail(r, "cannot make the event loop");
	r = join_bus(&h, setup);
	if (r < 0)
		return fail(r, "cannot serve on the bus");
	r = sd_event_loop(h.event);
	return r < 0 ? fail(r, "the event loop ended") : r > 0 ? -EIO : 0;
}
