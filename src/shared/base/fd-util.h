/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors: what they are, and how they travel. All functions return 0 or negative errno unless said. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int bn_fd_set_nonblock(int fd, bool on);
/* Puts /dev/null where standard input, output or error are closed, or whatever is opened next becomes one of them. */
void bn_fd_fill_standard(void);
/* As many descriptors as this process may have: it began with fewer for the sake of programs that use select(2). Those
 * that it starts get what was before by the second, which may be called between fork and exec. */
void bn_fd_raise_limit(void);
void bn_fd_restore_limit(void);
int bn_fd_set_cloexec(int fd, bool on);

/* An owned copy with close-on-exec set; negative errno on failure. */
int bn_fd_dup(int fd);

/* Closes `n` descriptors and sets each to -1. */
void bn_fd_close_many(int *fds, size_t n);

/* Closes every descriptor of the process above standard error that is not among the `n` of `keep`,
 * which may hold -1 and stand in any order. */
int bn_fd_close_except(const int *keep, size_t n);

/* A sealed memfd (mode 0444, no writes, no resizing) holding what `source` holds from its start, or `data`, or parts of
 * either kind one behind the other. `name` is for /proc only. Returns a descriptor or negative errno. */
typedef struct BnFdPart {
	const void *data; /* NULL: the first `size` bytes of `source` */
	int source;
	size_t size;
} BnFdPart;

int bn_fd_memfd_copy(const char *name, int source);
int bn_fd_memfd_new(const char *name, const void *data, size_t size);
int bn_fd_memfd_join(const char *name, const BnFdPart *parts, size_t n);

/* A memfd whose content and size are settled for good. */
bool bn_fd_is_sealed(int fd);

/* Sends one message with up to BN_FD_MESSAGE_MAX descriptors; they stay the caller's.
 * Never raises SIGPIPE. Returns 0, -EAGAIN on a full non-blocking socket, or negative errno. */
#define BN_FD_MESSAGE_MAX 16
int bn_fd_send(int sock, const void *data, size_t size, const int *fds, size_t n_fds);

/* Receives one SOCK_SEQPACKET message of at most `size` bytes. Descriptors arrive close-on-exec in
 * ret_fds (room for `max_fds`); a message that was cut, or that carries more descriptors than
 * `max_fds`, is refused with -EMSGSIZE and every descriptor in it is closed.
 * Returns the number of bytes (0: the peer is gone) or negative errno. */
ssize_t bn_fd_receive(int sock, void *data, size_t size, int *ret_fds, size_t max_fds,
		      size_t *ret_n_fds);

/* As bn_fd_receive(), on a socket with SO_PASSCRED (bn_fd_set_passcred()): who sent this very message,
 * checked by the kernel when it was sent. All -1 where the kernel did not say. */
struct ucred;
int bn_fd_set_passcred(int sock);
ssize_t bn_fd_receive_from(int sock, void *data, size_t size, int *ret_fds, size_t max_fds,
			   size_t *ret_n_fds, struct ucred *ret_sender);

/* Kernel-checked identity of the process that called connect() or listen() on the other end. */
int bn_fd_peer(int sock, pid_t *ret_pid, uid_t *ret_uid, gid_t *ret_gid);
