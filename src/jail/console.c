/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "jail/console.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/cleanup.h"
#include "shared/base/errno-util.h"
#include "shared/base/fd-util.h"
#include "shared/base/macro.h"

/* Appends; what is oldest makes room. */
static void
ring_put(Console *c, const char *data, size_t n)
{
	while (n > 0) {
		size_t end = (c->start + c->used) % sizeof(c->ring);
		size_t run = BN_MIN(n, sizeof(c->ring) - end);
		size_t lost;

		memcpy(c->ring + end, data, run);
		data += run;
		n -= run;
		lost = c->used + run > sizeof(c->ring) ? c->used + run - sizeof(c->ring) : 0;
		c->start = (c->start + lost) % sizeof(c->ring);
		c->used += run - lost;
	}
}

/* One read from the VMM; false where there was nothing, or it closed this end, which is then
 * ours to close. */
static bool
take(Console *c, int *fd)
{
	char buffer[16384];
	ssize_t n = read(*fd, buffer, sizeof(buffer));

	if (n > 0)
		ring_put(c, buffer, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		bn_closep(fd);
	return n > 0;
}

/* Gives the reader all that it takes now; false where it is gone. */
static bool
give(Console *c)
{
	while (c->used > 0) {
		size_t run = BN_MIN(c->used, sizeof(c->ring) - c->start);
		ssize_t n = send(c->reader, c->ring + c->start, run, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->start = (c->start + (size_t)n) % sizeof(c->ring);
		c->used -= (size_t)n;
	}
	return true;
}

/* From the reader; false where it is gone. */
static bool
take_input(Console *c)
{
	ssize_t n = recv(c->reader, c->input, sizeof(c->input), 0);

	if (n > 0)
		c->n_input = (size_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void
give_input(Console *c)
{
	ssize_t n = send(c->serial, c->input, c->n_input, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A VMM that has stopped listening: kept, it would have us try again at once and for ever. */
	if (n < 0)
		n = (ssize_t)c->n_input;
	c->n_input -= (size_t)n;
	memmove(c->input, c->input + n, c->n_input);
}

void
console_prepare(const Console *c, struct pollfd ret[static _CONSOLE_POLL_MAX])
{
	short reader = (c->used > 0 ? POLLOUT : 0);

	/* Input is read only when there is room: who types into a VMM that does not listen has
	 * to wait. */
	if (c->n_input == 0)
		reader |= POLLIN;
	ret[CONSOLE_POLL_SERIAL] =
		(struct pollfd){ .fd = c->serial,
				 .events = (short)(POLLIN | (c->n_input > 0 ? POLLOUT : 0)) };
	ret[CONSOLE_POLL_ERROR] = (struct pollfd){ .fd = c->error, .events = POLLIN };
	ret[CONSOLE_POLL_READER] = (struct pollfd){ .fd = c->reader, .events = reader };
}

bool
console_move(Console *c, const struct pollfd polled[static _CONSOLE_POLL_MAX])
{
	bool gone = false;

	if (polled[CONSOLE_POLL_SERIAL].revents & POLLOUT)
		give_input(c);
	if (polled[CONSOLE_POLL_SERIAL].revents & (POLLIN | POLLHUP | POLLERR))
		(void)take(c, &c->serial);
	if (polled[CONSOLE_POLL_ERROR].revents)
		(void)take(c, &c->error);
	if (c->reader < 0)
		return false;
	if (polled[CONSOLE_POLL_READER].revents & POLLIN)
		gone = !take_input(c);
	/* A hang-up is reported asked or unasked: with input waiting it would spin. */
	if (polled[CONSOLE_POLL_READER].revents & (POLLHUP | POLLERR))
		gone = true;
	if (!gone)
		gone = !give(c);
	if (gone)
		bn_closep(&c->reader);
	return gone;
}

int
console_open(Console *c)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return bn_errno();
	r = bn_fd_set_nonblock(pair[0], true);
	if (r < 0) {
		bn_fd_close_many(pair, 2);
		return r;
	}
	bn_closep(&c->reader);
	c->reader = pair[0];
	c->n_input = 0;
	return pair[1];
}

void
console_drain(Console *c)
{
	while (c->serial >= 0 && take(c, &c->serial))
		;
	while (c->error >= 0 && take(c, &c->error))
		;
	if (c->reader >= 0)
		(void)give(c);
}
