/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "helper/helper-conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/cleanup.h"
#include "shared/base/io-util.h"
#include "shared/base/macro.h"
#include "shared/base/str-util.h"
#include "shared/rules/conf.h"

#define FILE_SIZE_MAX (64 * 1024)
/* More than a host can run; keeps a slip of the finger from meaning "no limit". */
#define LIMIT_MAX 4096
/* Room for the host, a VM, and the two addresses that are nobody's; what a bridge can carry. */
#define SUBNET_LENGTH_MIN 16
#define SUBNET_LENGTH_MAX 29

void
helper_conf_init(OpLimits *ret)
{
	*ret = (OpLimits){ .vms_per_user = BN_VMS_PER_USER, .subnet_length = BN_NET_SUBNET_LENGTH };
	(void)bn_prefix_parse(BN_NET_POOL, &ret->pool);
}

static const char *
read_limit(OpLimits *limits, const char *key, const char *value)
{
	uint64_t number = 0;

	if (!bn_str_equal(key, "vms-per-user"))
		return "unknown key";
	if (bn_str_parse_u64(value, LIMIT_MAX, &number) < 0)
		return "not a number from 0 to 4096";
	limits->vms_per_user = (unsigned)number;
	return NULL;
}

/* What is nobody's in the world: VMs would hide whoever has it there. */
static const char *
read_pool(OpLimits *limits, const char *value)
{
	static const char *const private[] = { "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12",
					       "192.168.0.0/16" };
	BnPrefix pool, within;

	if (bn_prefix_parse(value, &pool) < 0)
		return "not a network like " BN_NET_POOL;
	for (size_t i = 0; i < BN_ELEMENTSOF(private); i++)
		if (bn_prefix_parse(private[i], &within) >= 0 && pool.length >= within.length &&
		    bn_prefix_contains(&within, pool.address)) {
			limits->pool = pool;
			return NULL;
		}
	return "not within 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12 or 192.168.0.0/16";
}

static const char *
read_network(OpLimits *limits, const char *key, const char *value)
{
	uint64_t number = 0;

	if (bn_str_equal(key, "pool"))
		return read_pool(limits, value);
	if (!bn_str_equal(key, "subnet-length"))
		return "unknown key";
	if (bn_str_parse_u64(value, SUBNET_LENGTH_MAX, &number) < 0 || number < SUBNET_LENGTH_MIN)
		return "not a number from 16 to 29";
	limits->subnet_length = (uint8_t)number;
	return NULL;
}

static const char *
read_key(void *data, const char *group, const char *key, const char *value)
{
	if (bn_str_equal(group, "limits"))
		return read_limit(data, key, value);
	if (bn_str_equal(group, "network"))
		return read_network(data, key, value);
	return "unknown group";
}

int
helper_conf_parse(const char *text, size_t size, OpLimits *ret, char *reterr, size_t reterr_size)
{
	BnConfError error = {};
	OpLimits limits;

	helper_conf_init(&limits);
	if (bn_conf_parse(text, size, read_key, &limits, &error) < 0) {
		(void)snprintf(reterr, reterr_size, "line %u: %s", error.line, error.text);
		return -EINVAL;
	}
	if (limits.subnet_length <= limits.pool.length) {
		(void)snprintf(reterr, reterr_size,
			       "subnet-length %u: the pool, with its /%u, has no room for it",
			       limits.subnet_length, limits.pool.length);
		return -EINVAL;
	}
	*ret = limits;
	return 0;
}

int
helper_conf_load(const char *path, OpLimits *ret, char *reterr, size_t reterr_size)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r;

	r = bn_io_read_file(AT_FDCWD, path, FILE_SIZE_MAX, &text, &size);
	if (r == -ENOENT) {
		helper_conf_init(ret);
		return 0;
	}
	if (r < 0) {
		(void)snprintf(reterr, reterr_size, "%s", strerror(-r));
		return r;
	}
	return helper_conf_parse(text, size, ret, reterr, reterr_size);
}
