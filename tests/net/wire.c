/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A cable between two taps, given as numbers of descriptors: a VM's card without the VM. Both have the header of
 * virtio-net before each frame, and no offloads, so that a frame of one is a frame of the other. Nothing is dropped:
 * what one side does not take yet is kept, and nothing more is read meanwhile. Ends when one of them is gone. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FRAME_MAX (64 * 1024 + 64)

typedef struct Way {
	int from, to;
	ssize_t size; /* of the frame that `to` does not take yet; 0: none */
	char frame[FRAME_MAX];
} Way;

/* False where a side is gone. One that is down loses what is sent to it, as a card does. */
static bool
carry(Way *way)
{
	ssize_t n;

	if (way->size == 0) {
		n = read(way->from, way->frame, sizeof(way->frame));
		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EINTR);
		way->size = n;
	}
	n = write(way->to, way->frame, (size_t)way->size);
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
		return true;
	way->size = 0;
	return n >= 0 || errno == EIO;
}

int
main(int argc, char **argv)
{
	static Way ways[2];
	struct pollfd p[2];

	if (argc != 3)
		return 2;
	for (int i = 0; i < 2; i++) {
		ways[i].from = ways[1 - i].to = atoi(argv[1 + i]);
		p[i].fd = ways[i].from;
	}
	for (;;) {
		for (int i = 0; i < 2; i++)
			p[i].events = (short)((ways[i].size ? 0 : POLLIN) |
					      (ways[1 - i].size ? POLLOUT : 0));
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return 1;
		for (int i = 0; i < 2; i++) {
			bool ready =
				ways[i].size ? p[1 - i].revents & POLLOUT : p[i].revents & POLLIN;

			if ((p[i].revents & (POLLERR | POLLHUP | POLLNVAL)) ||
			    (ready && !carry(&ways[i])))
				return 0;
		}
	}
}
