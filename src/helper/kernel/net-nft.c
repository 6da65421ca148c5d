/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The filter into the kernel: tables by libnftables, what changes in them by libnftnl. */
#include <errno.h>
#include <nftables/libnftables.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "helper/kernel/kernel-real.h"
#include "helper/kernel/net-elements.h"
#include "shared/base/cleanup.h"
#include "shared/base/str-util.h"

/* One for the process: a fresh one for each call costs a look at the whole ruleset with it. libnftables has no locks of
 * its own. */
static struct {
	pthread_mutex_t lock;
	struct nft_ctx *ctx;
	BnPrefix near[KERNEL_NEAR_MAX]; /* that we have put into the set */
	size_t n_near;
} nft = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* It has texts for errors, and for one of them a meaning that callers need. */
static int
get_error(KernelText *reterr)
{
	const char *text = nft_ctx_get_error_buffer(nft.ctx);

	jail_copy_text(text, strcspn(text, "\n"), reterr);
	return strstr(text, strerror(ENOENT)) ? -ENOENT : -EIO;
}

static int
run(const char *text, KernelText *reterr)
{
	if (!nft.ctx)
		nft.ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!nft.ctx || nft_ctx_buffer_error(nft.ctx) < 0 || nft_ctx_buffer_output(nft.ctx) < 0)
		return -ENOMEM;
	return nft_run_cmd_from_buffer(nft.ctx, text) == 0 ? 0 : get_error(reterr);
}

/* What is near is told with every VM, and is nearly always what it was. */
static bool
is_known(const NetChange *change)
{
	for (size_t i = 0; i < nft.n_near; i++)
		if (change->kind == NET_CHANGE_NEAR && !change->remove &&
		    nft.near[i].address == change->prefix.address &&
		    nft.near[i].length == change->prefix.length)
			return true;
	return false;
}

static void
remember(const NetChange *changes, size_t n)
{
	for (size_t i = 0; i < n && nft.n_near < KERNEL_NEAR_MAX; i++)
		if (changes[i].kind == NET_CHANGE_NEAR && !changes[i].remove)
			nft.near[nft.n_near++] = changes[i].prefix;
}

static int
apply_text(bool base, const NetChange *changes, size_t n, KernelText *reterr)
{
	_cleanup_free_ char *text = net_filter_render(base, changes, n);

	return text ? run(text, reterr) : -ENOMEM;
}

static int
apply_elements(const NetChange *changes, size_t n, KernelText *reterr)
{
	int r = net_elements_apply(changes, n);

	if (r < 0)
		jail_copy_text(strerror(-r), strlen(strerror(-r)), reterr);
	return r;
}

static int
apply(bool base, const NetChange *changes, size_t n, KernelText *reterr)
{
	_cleanup_free_ NetChange *rest = calloc(n + 1, sizeof(*rest));
	bool near = false;
	size_t n_rest = 0;
	int r;

	if (!rest)
		return -ENOMEM;
	if (base)
		nft.n_near = 0;
	for (size_t i = 0; i < n; i++) {
		if (is_known(&changes[i]))
			continue;
		near |= changes[i].kind == NET_CHANGE_NEAR;
		rest[n_rest++] = changes[i];
	}
	r = base || near ? apply_text(base, rest, n_rest, reterr)
			 : apply_elements(rest, n_rest, reterr);
	if (r < 0)
		nft.n_near = 0; /* nor is it known what of the tables is still there */
	else
		remember(rest, n_rest);
	return r;
}

int
filter_apply(void *ctx, bool base, const NetChange *changes, size_t n, KernelText *reterr)
{
	int r;

	(void)pthread_mutex_lock(&nft.lock);
	r = apply(base, changes, n, reterr);
	(void)pthread_mutex_unlock(&nft.lock);
	return r;
}

int
filter_end(void *ctx)
{
	KernelText ignored;
	int r;

	(void)pthread_mutex_lock(&nft.lock);
	nft.n_near = 0;
	r = run(net_filter_end, &ignored);
	(void)pthread_mutex_unlock(&nft.lock);
	return r;
}
