/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files that speak with nf_tables by libnftnl share: a connection of one's own for each conversation. */
#pragma once

#include <libmnl/libmnl.h>
#include <stddef.h>

/* A transaction: all of it, or nothing and the errno of what was refused. */
int netfilter_send(const void *batch, size_t size);
/* Calls `on_message` for each answer to a question that asks for all there is. -EINTR where that changed meanwhile. */
int netfilter_dump(const struct nlmsghdr *question, mnl_cb_t on_message, void *data);
