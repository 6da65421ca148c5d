/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/exec.h"
#include "agent/requests.h"
#include "shared/base/cleanup.h"
#include "shared/base/clock.h"
#include "shared/base/errno-util.h"
#include "shared/base/fd-util.h"
#include "shared/base/macro.h"

/* Reading from commands pauses while so much waits for the host. */
#define OUT_HIGH (128 * 1024)
/* Room for that, and for the small frames that cannot wait. */
#define OUT_MAX (OUT_HIGH + (size_t)BN_FRAME_STREAMS * 4 * BN_FRAME_MAX / 16 + 4 * BN_FRAME_MAX)
/* Credit is returned in portions, not per byte. */
#define CREDIT_PORTION (BN_FRAME_WINDOW / 4)

struct AgentSession {
	const AgentConfig *config;
	int signals;
	int port; /* an epoll over the descriptor, edge-triggered: a port without a host is always "hung up" */
	bool open;  /* a RESET has been answered */
	bool lost;  /* a bad frame came: only a RESET counts */
	bool ready; /* commands can run */
	bool ends;  /* SHUTDOWN has been answered, and is to be carried out */
	uint8_t in[2 * BN_FRAME_MAX];
	size_t in_size;
	uint8_t out[OUT_MAX];
	size_t out_start, out_size;
	AgentExec *execs[BN_FRAME_STREAMS];
	size_t n_execs;
};

/* What does not fit is a host that stopped reading while it went on asking: its session is over. */
static void
send_frame(AgentSession *s, BnFrameType type, uint16_t stream, const void *payload, size_t length)
{
	if (s->out_start + s->out_size + length + BN_FRAME_HEADER + 1 > sizeof(s->out)) {
		memmove(s->out, s->out + s->out_start, s->out_size);
		s->out_start = 0;
	}
	if (s->out_size + length + BN_FRAME_HEADER + 1 > sizeof(s->out)) {
		s->lost = true;
		return;
	}
	s->out_size +=
		bn_frame_render(s->out + s->out_start + s->out_size, type, stream, payload, length);
}

static void
send_failed(AgentSession *s, uint16_t stream, const char *text)
{
	send_frame(s, BN_FRAME_FAILED, stream, text, strlen(text));
}

static AgentExec *
find_exec(AgentSession *s, uint16_t stream)
{
	for (size_t i = 0; i < s->n_execs; i++)
		if (s->execs[i]->stream == stream)
			return s->execs[i];
	return NULL;
}

static void
drop_exec(AgentSession *s, AgentExec *exec)
{
	for (size_t i = 0; i < s->n_execs; i++) {
		if (s->execs[i] != exec)
			continue;
		s->execs[i] = s->execs[--s->n_execs];
		agent_exec_free(exec);
		return;
	}
}

/* Nobody listens to it any more. It gets its SIGHUP; what survives that goes on without us, as after a closed
 * terminal. */
static void
hang_up(AgentExec *exec)
{
	agent_exec_signal(exec, SIGHUP);
	agent_exec_signal(exec, SIGCONT);
	bn_fd_close_many(exec->fds, BN_ELEMENTSOF(exec->fds));
	exec->hung_up = true;
}

static void
handle_reset(AgentSession *s, const BnFrame *frame)
{
	BnPack pack = { .data = (uint8_t *)frame->payload, .size = frame->length };
	uint16_t newest = (uint16_t)bn_pack_get_uint(&pack, 2);
	uint16_t oldest = (uint16_t)bn_pack_get_uint(&pack, 2);
	const void *nonce = bn_pack_get(&pack, BN_FRAME_NONCE);
	uint8_t payload[BN_HELLO_SIZE];
	BnHello hello = { .version = BN_MIN(newest, BN_FRAME_VERSION),
			  .first_us = s->config->first_us,
			  .hello_us = bn_clock_us() };

	/* The host speaks nothing we know: silence is the only answer it could not misread. */
	if (pack.bad || oldest > BN_FRAME_VERSION || newest < BN_FRAME_VERSION_MIN)
		return;
	for (size_t i = s->n_execs; i > 0; i--) {
		hang_up(s->execs[i - 1]);
		drop_exec(s, s->execs[i - 1]);
	}
	s->out_start = s->out_size = 0;
	s->lost = false;
	s->open = true;
	memcpy(hello.nonce, nonce, BN_FRAME_NONCE);
	memcpy(hello.boot_id, s->config->boot_id, sizeof(hello.boot_id));
	bn_hello_render(&hello, payload);
	send_frame(s, BN_FRAME_HELLO, 0, payload, sizeof(payload));
}

static bool
add_description(AgentSession *s, const BnFrame *frame)
{
	AgentExec *exec = find_exec(s, frame->stream);
	uint8_t *more;

	if (!exec) {
		exec = s->n_execs < BN_FRAME_STREAMS ? agent_exec_new(frame->stream) : NULL;
		if (!exec) {
			send_failed(s, frame->stream, "too many commands run at once");
			return true;
		}
		s->execs[s->n_execs++] = exec;
	}
	if (exec->pid || exec->description_size + frame->length > BN_FRAME_EXEC_MAX)
		return false;
	more = realloc(exec->description, exec->description_size + frame->length + 1);
	if (!more)
		return false;
	exec->description = more;
	if (frame->length > 0)
		memcpy(more + exec->description_size, frame->payload, frame->length);
	exec->description_size += frame->length;
	return true;
}

static bool
run_command(AgentSession *s, const BnFrame *frame)
{
	AgentExec *exec = find_exec(s, frame->stream);
	_cleanup_(bn_exec_request_done) BnExecRequest request = {};
	char text[256];
	int r;

	/* It was refused already, and the host did not know yet. */
	if (!exec)
		return true;
	r = exec->pid ? -EBADMSG
		      : bn_exec_request_parse(exec->description, exec->description_size, &request);
	if (r == -EBADMSG)
		return false;
	bn_freep(&exec->description);
	if (r < 0)
		(void)snprintf(text, sizeof(text), "the command cannot be read: %s", strerror(-r));
	else
		r = agent_exec_start(exec, &request, text);
	if (r < 0) {
		send_failed(s, frame->stream, text);
		drop_exec(s, exec);
	}
	return true;
}

/* Frames of a stream that has just ended may still be under way: those are not errors. */
static bool
handle_stream(AgentSession *s, const BnFrame *frame)
{
	AgentExec *exec = find_exec(s, frame->stream);
	BnPack pack = { .data = (uint8_t *)frame->payload, .size = frame->length };
	uint64_t a, b;

	if (!exec)
		return true;
	switch (frame->type) {
	case BN_FRAME_DATA:
		if (bn_pack_get_uint(&pack, 1) != BN_CHANNEL_IN || pack.bad)
			return false;
		return agent_exec_take_input(exec, frame->payload + 1, frame->length - 1);
	case BN_FRAME_END:
		exec->input_ended = true;
		return true;
	case BN_FRAME_CREDIT:
		a = bn_pack_get_uint(&pack, 1);
		b = bn_pack_get_uint(&pack, 4);
		if (pack.bad || a >= _BN_CHANNEL_MAX || b > BN_FRAME_WINDOW - exec->credit[a])
			return false;
		exec->credit[a] += (uint32_t)b;
		return true;
	case BN_FRAME_SIGNAL:
		a = bn_pack_get_uint(&pack, 1);
		if (pack.bad || a < 1 || a > 64)
			return false;
		agent_exec_signal(exec, (int)a);
		return true;
	case BN_FRAME_RESIZE:
		a = bn_pack_get_uint(&pack, 2);
		b = bn_pack_get_uint(&pack, 2);
		agent_exec_resize(exec, (uint16_t)a, (uint16_t)b);
		return !pack.bad;
	case BN_FRAME_HANGUP:
		hang_up(exec);
		return true;
	default:
		return false;
	}
}

static bool
handle_request(AgentSession *s, const BnFrame *frame)
{
	uint8_t status[AGENT_STATUS_SIZE];
	BnPack pack = { .data = (uint8_t *)frame->payload, .size = frame->length };

	switch (frame->type) {
	case BN_FRAME_SYNC:
		sync();
		break;
	case BN_FRAME_SHUTDOWN:
		sync();
		send_frame(s, BN_FRAME_DONE, frame->stream, NULL, 0);
		s->ends = true;
		return true;
	case BN_FRAME_CLOCK:
		agent_set_clock(bn_pack_get_uint(&pack, 8));
		break;
	case BN_FRAME_QUERY:
		agent_get_status(status);
		send_frame(s, BN_FRAME_STATUS, frame->stream, status, sizeof(status));
		return true;
	default:
		return false;
	}
	send_frame(s, BN_FRAME_DONE, frame->stream, NULL, 0);
	return !pack.bad;
}

static bool
handle_frame(AgentSession *s, const BnFrame *frame)
{
	if (frame->type == BN_FRAME_RESET) {
		handle_reset(s, frame);
		return true;
	}
	if (!s->open || s->lost)
		return true;
	if (frame->stream == 0)
		return false;
	if (frame->type == BN_FRAME_EXEC)
		return add_description(s, frame);
	if (frame->type == BN_FRAME_RUN)
		return run_command(s, frame);
	if (frame->type >= BN_FRAME_SYNC)
		return handle_request(s, frame);
	return handle_stream(s, frame);
}

/* Takes every whole frame, but none that must wait. After something that is none, byte by byte until a RESET begins. */
static void
parse_input(AgentSession *s)
{
	size_t at = 0;

	for (;;) {
		BnFrame frame;
		size_t used = 0;
		int r = bn_frame_parse(s->in + at, s->in_size - at, &frame, &used);

		if (r > 0 && !s->ready && frame.type != BN_FRAME_RESET)
			break;
		if (r == 0) {
			at += used;
			break;
		}
		if (r < 0) {
			s->lost = true;
			at += used + 1;
			continue;
		}
		if (!handle_frame(s, &frame))
			s->lost = true;
		at += used;
	}
	memmove(s->in, s->in + at, s->in_size - at);
	s->in_size -= at;
}

/* Returns 0 to go on, 1 at the end of a socket, or negative errno. A port without a host reads as empty. */
static int
read_port(AgentSession *s)
{
	while (s->in_size < sizeof(s->in)) {
		ssize_t n = read(s->config->fd, s->in + s->in_size, sizeof(s->in) - s->in_size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : bn_errno();
		if (n == 0)
			return s->config->is_port ? 0 : 1;
		s->in_size += (size_t)n;
		parse_input(s);
	}
	/* Only before commands can run: the rest stays where it is. */
	return 0;
}

static int
write_port(AgentSession *s)
{
	while (s->out_size > 0) {
		ssize_t n = write(s->config->fd, s->out + s->out_start, s->out_size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EPIPE ? 0 : bn_errno();
		s->out_start += (size_t)n;
		s->out_size -= (size_t)n;
	}
	s->out_start = 0;
	return 0;
}

/* Moves one portion of a command's output. False at its end. */
static bool
read_output(AgentSession *s, AgentExec *exec, int channel)
{
	uint8_t data[BN_FRAME_PAYLOAD_MAX];
	size_t room = BN_MIN(sizeof(data) - 1, (size_t)exec->credit[channel]);
	ssize_t n = read(exec->fds[channel], data + 1, room);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) /* EIO: nobody has the terminal open any more */
		return false;
	data[0] = (uint8_t)channel;
	exec->credit[channel] -= (uint32_t)n;
	send_frame(s, BN_FRAME_DATA, exec->stream, data, (size_t)n + 1);
	return true;
}

static void
end_output(AgentSession *s, AgentExec *exec, int channel)
{
	uint8_t payload = (uint8_t)channel;

	bn_closep(&exec->fds[channel]);
	send_frame(s, BN_FRAME_END, exec->stream, &payload, 1);
}

static bool
is_empty(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd < 0 || poll(&p, 1, 0) <= 0 || !(p.revents & POLLIN);
}

/* Something to read, or nobody who could write any more: of a pipe that is told alone. */
static bool
has_news(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0 && p.revents;
}

/* It has ended, and everything that it wrote itself is on its way. What its children still hold open is
 * theirs. */
static bool
is_finished(const AgentExec *exec)
{
	return exec->pid == 0 && !exec->description &&
	       (exec->hung_up ||
		(is_empty(exec->fds[BN_CHANNEL_OUT]) && is_empty(exec->fds[BN_CHANNEL_ERR])));
}

static void
finish(AgentSession *s, AgentExec *exec)
{
	/* Not WIFSIGNALED, which has a sign: tests/lint/test_agent_code.py tells what QEMU makes of storing one. */
	bool exited = WIFEXITED(exec->status);
	uint8_t payload[2] = { !exited, (uint8_t)(exited ? WEXITSTATUS(exec->status)
							 : WTERMSIG(exec->status)) };

	send_frame(s, BN_FRAME_EXITED, exec->stream, payload, sizeof(payload));
	drop_exec(s, exec);
}

/* Returns true where the command is gone from the table. */
static bool
serve_exec(AgentSession *s, AgentExec *exec)
{
	agent_exec_flush_input(exec);
	if (exec->input_taken >= CREDIT_PORTION) {
		uint8_t payload[5];
		BnPack pack = { .data = payload, .size = sizeof(payload) };

		bn_pack_put_uint(&pack, BN_CHANNEL_IN, 1);
		bn_pack_put_uint(&pack, exec->input_taken, 4);
		send_frame(s, BN_FRAME_CREDIT, exec->stream, payload, sizeof(payload));
		exec->input_taken = 0;
	}
	for (int c = BN_CHANNEL_OUT; c <= BN_CHANNEL_ERR; c++)
		if (exec->fds[c] >= 0 && exec->credit[c] > 0 && s->out_size < OUT_HIGH &&
		    has_news(exec->fds[c]) && !read_output(s, exec, c))
			end_output(s, exec, c);
	if (!is_finished(exec))
		return false;
	finish(s, exec);
	return true;
}

static void
reap(AgentSession *s)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < s->n_execs; i++)
			if (s->execs[i]->pid == pid) {
				s->execs[i]->pid = 0;
				s->execs[i]->status = status;
			}
}

enum { POLL_PORT, POLL_SIGNALS, POLL_READY, _POLL_FIXED };

/* What is worth waking up for now. */
static size_t
collect(AgentSession *s, struct pollfd *polls)
{
	size_t n = _POLL_FIXED;

	polls[POLL_PORT] = (struct pollfd){ .fd = s->port, .events = POLLIN };
	polls[POLL_SIGNALS] = (struct pollfd){ .fd = s->signals, .events = POLLIN };
	polls[POLL_READY] =
		(struct pollfd){ .fd = s->ready ? -1 : s->config->ready_fd, .events = POLLIN };
	for (size_t i = 0; i < s->n_execs; i++) {
		const AgentExec *exec = s->execs[i];

		if (exec->fds[BN_CHANNEL_IN] >= 0 && exec->input_size > 0)
			polls[n++] = (struct pollfd){ .fd = exec->fds[BN_CHANNEL_IN],
						      .events = POLLOUT };
		for (int c = BN_CHANNEL_OUT; c <= BN_CHANNEL_ERR; c++)
			if (exec->fds[c] >= 0 && exec->credit[c] > 0 && s->out_size < OUT_HIGH)
				polls[n++] =
					(struct pollfd){ .fd = exec->fds[c], .events = POLLIN };
	}
	return n;
}

/* Commands can run: those that wait are begun. */
static int
begin(AgentSession *s)
{
	int r;

	s->config->ready(s->config->data);
	s->ready = true;
	parse_input(s);
	r = read_port(s);
	s->config->settled(s->config->data);
	return r;
}

static bool
is_host_gone(AgentSession *s)
{
	struct pollfd p = { .fd = s->config->fd };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

/* The end of the guest may be all that follows: a host that is there has its answer before. */
static void
end_if_asked(AgentSession *s)
{
	if (!s->ends || (s->out_size > 0 && !is_host_gone(s)))
		return;
	s->ends = false;
	s->config->power_off(s->config->data);
}

/* One round: wait, read, serve every command once (so that none starves another), write. */
static int
run_round(AgentSession *s, struct pollfd *polls)
{
	size_t n = collect(s, polls);
	int r;

	if (poll(polls, n, -1) < 0)
		return errno == EINTR ? 0 : bn_errno();
	if (polls[POLL_SIGNALS].revents)
		reap(s);
	if (polls[POLL_PORT].revents) {
		struct epoll_event event;

		(void)epoll_wait(s->port, &event, 1, 0);
		r = read_port(s);
		if (r != 0)
			return r;
	}
	if (polls[POLL_READY].revents) {
		r = begin(s);
		if (r != 0)
			return r;
	}
	for (size_t i = s->n_execs; i > 0; i--)
		(void)serve_exec(s, s->execs[i - 1]);
	r = write_port(s);
	end_if_asked(s);
	return r;
}

static int
open_events(AgentSession *s)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	sigset_t mask;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL);
	s->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	s->port = epoll_create1(EPOLL_CLOEXEC);
	if (s->signals < 0 || s->port < 0 ||
	    epoll_ctl(s->port, EPOLL_CTL_ADD, s->config->fd, &event) < 0)
		return bn_errno();
	return 0;
}

int
agent_session_run(const AgentConfig *config)
{
	_cleanup_free_ AgentSession *s = calloc(1, sizeof(*s));
	_cleanup_free_ struct pollfd *polls =
		calloc(_POLL_FIXED + 3 * BN_FRAME_STREAMS, sizeof(*polls));
	int r;

	if (!s || !polls)
		return -ENOMEM;
	s->config = config;
	s->ready = config->ready_fd < 0;
	r = open_events(s);
	while (r == 0)
		r = run_round(s, polls);
	while (s->n_execs > 0) {
		hang_up(s->execs[0]);
		drop_exec(s, s->execs[0]);
	}
	bn_closep(&s->signals);
	bn_closep(&s->port);
	return r > 0 ? 0 : r;
}
