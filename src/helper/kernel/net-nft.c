/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The filter's text into the kernel, by libnftables. */
#include <errno.h>
#include <nftables/libnftables.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "helper/kernel/kernel-real.h"
#include "shared/base/str-util.h"

/* One for the process: a fresh one for each call costs a look at the whole ruleset with it. libnftables has no locks of
 * its own. */
static struct {
	pthread_mutex_t lock;
	struct nft_ctx *ctx;
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

static int
run_locked(const char *text, KernelText *reterr)
{
	int r;

	(void)pthread_mutex_lock(&nft.lock);
	r = run(text, reterr);
	(void)pthread_mutex_unlock(&nft.lock);
	return r;
}

int
filter_apply(void *ctx, bool base, const NetChange *changes, size_t n, KernelText *reterr)
{
	_cleanup_free_ char *text = net_filter_render(base, changes, n);

	return text ? run_locked(text, reterr) : -ENOMEM;
}

int
filter_end(void *ctx)
{
	KernelText ignored;

	return run_locked(net_filter_end, &ignored);
}
