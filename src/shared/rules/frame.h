/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The agent channel: one framed, multiplexed protocol over one byte stream between host and guest. Pure.
 *
 * A frame is a header of 8 bytes, a payload, and one trailing byte:
 *
 *    u8 type    u8 zero    u16 stream    u32 length    payload[length]    u8 BN_FRAME_MARK
 *
 * All numbers are little-endian. Zero bytes between frames mean nothing.
 *
 * The transport keeps bytes of a host that died, and nobody is told that it did. Hence sessions: the host begins one
 * with as many zero bytes as a frame can be long, which complete whatever its predecessor may have left half sent (a
 * frame completed so has a zero at its end, and the guest drops it and all that follows), then RESET with a random
 * nonce. The guest forgets everything of before, ends what runs, and answers HELLO with the nonce; the host drops
 * everything until it has seen that. A host that knows it is the first may leave the zeros out.
 *
 * Only the host opens streams: numbers of its choice, 1 to 65535, one per request, free again after its last
 * frame. The guest can answer and nothing else. Data flows under credit: for each direction of each
 * stream BN_FRAME_WINDOW bytes may be under way, and the receiver returns credit as it passes them on.
 *
 *    RESET    → u16 newest version, u16 oldest version, nonce[16]
 *    HELLO    ← nonce[16], u16 version, u16 flags, boot id[36], u64 µs of the guest's monotonic clock at
 *               its first process, u64 the same now
 *    EXEC     → more of a command's description (BnExecRequest), which may be longer than a frame
 *    RUN      → the description is complete: run it
 *    DATA     ↔ u8 channel, bytes: 0 is its input, 1 its output, 2 its errors
 *    END      ↔ u8 channel: no more data
 *    CREDIT   ↔ u8 channel, u32 bytes: so many more may be sent
 *    SIGNAL   → u8 signal number, for the command and its process group
 *    RESIZE   → u16 rows, u16 columns
 *    HANGUP   → nobody listens any more: SIGHUP, and its output is dropped
 *    EXITED   ← u8 0 and the exit status, or u8 1 and the signal's number; the stream ends
 *    FAILED   ← text: the request could not be served; the stream ends
 *    SYNC     → all filesystems; answered by DONE
 *    SHUTDOWN → sync, then power off; answered by DONE as soon as it has begun
 *    CLOCK    → u64 nanoseconds since 1970; answered by DONE
 *    QUERY    → answered by STATUS
 *    STATUS   ← u64 memory total, available, disk total, available (bytes), uptime (µs), u32 processes, u32
 *               thousandths of the load over a minute; the stream ends
 *    DONE     ← the stream ends */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BN_FRAME_VERSION     1
#define BN_FRAME_VERSION_MIN 1
#define BN_FRAME_HEADER      8
#define BN_FRAME_PAYLOAD_MAX 16384
#define BN_FRAME_MAX         (BN_FRAME_HEADER + BN_FRAME_PAYLOAD_MAX + 1)
#define BN_FRAME_MARK        0xa5
#define BN_FRAME_NONCE       16
#define BN_FRAME_BOOT_ID     36
#define BN_FRAME_WINDOW      (256 * 1024)
/* Streams open at once. */
#define BN_FRAME_STREAMS 256
/* A whole command description. */
#define BN_FRAME_EXEC_MAX (256 * 1024)

typedef enum BnFrameType {
	BN_FRAME_RESET = 1,
	BN_FRAME_HELLO,
	BN_FRAME_EXEC,
	BN_FRAME_RUN,
	BN_FRAME_DATA,
	BN_FRAME_END,
	BN_FRAME_CREDIT,
	BN_FRAME_SIGNAL,
	BN_FRAME_RESIZE,
	BN_FRAME_HANGUP,
	BN_FRAME_EXITED,
	BN_FRAME_FAILED,
	BN_FRAME_SYNC,
	BN_FRAME_SHUTDOWN,
	BN_FRAME_CLOCK,
	BN_FRAME_QUERY,
	BN_FRAME_STATUS,
	BN_FRAME_DONE,
	_BN_FRAME_TYPE_MAX,
} BnFrameType;

enum { BN_CHANNEL_IN, BN_CHANNEL_OUT, BN_CHANNEL_ERR, _BN_CHANNEL_MAX };

typedef struct BnFrame {
	BnFrameType type;
	uint16_t stream;
	uint32_t length;
	const uint8_t *payload; /* inside the parsed buffer */
} BnFrame;

/* Looks for one frame at the start of `data`. Returns 1 and fills `ret`; 0 where more bytes are needed;
 * -EBADMSG where this is no frame. *ret_used says how many bytes it takes, with leading zeros. */
int bn_frame_parse(const uint8_t *data, size_t size, BnFrame *ret, size_t *ret_used);

/* Writes a frame into `ret`, which has room for BN_FRAME_HEADER + length + 1. Returns its size. */
size_t bn_frame_render(uint8_t *ret, BnFrameType type, uint16_t stream, const void *payload,
		       size_t length);

/* Reads and writes the fields of a payload. Reading beyond the end, or writing beyond `size`, sets `bad` and
 * yields zero; it is looked at once, at the end. */
typedef struct BnPack {
	uint8_t *data;
	size_t size;
	size_t at;
	bool bad;
} BnPack;

void bn_pack_put(BnPack *pack, const void *data, size_t size);
void bn_pack_put_uint(BnPack *pack, uint64_t value, size_t bytes);
/* u32 length, then the bytes. */
void bn_pack_put_string(BnPack *pack, const char *s);
const void *bn_pack_get(BnPack *pack, size_t size);
uint64_t bn_pack_get_uint(BnPack *pack, size_t bytes);
/* An owned copy; NULL and `bad` where it is longer than `max` or has a NUL inside. */
char *bn_pack_get_string(BnPack *pack, size_t max);

typedef struct BnHello {
	uint8_t nonce[BN_FRAME_NONCE];
	uint16_t version;
	uint16_t flags;
	char boot_id[BN_FRAME_BOOT_ID + 1];
	uint64_t first_us;
	uint64_t hello_us;
} BnHello;

#define BN_HELLO_SIZE (BN_FRAME_NONCE + 2 + 2 + BN_FRAME_BOOT_ID + 8 + 8)
void bn_hello_render(const BnHello *hello, uint8_t ret[static BN_HELLO_SIZE]);
/* False where the size is wrong or the boot id has another character than hex digits and '-'. */
bool bn_hello_parse(const BnFrame *frame, BnHello *ret);

/* A command to run. All strings are owned; arrays end with NULL. */
typedef struct BnExecRequest {
	bool tty;
	uint16_t rows;
	uint16_t columns;
	char *user;    /* empty: root */
	char *workdir; /* empty: the user's home */
	char **argv;   /* empty: the user's login shell */
	char **environment;
} BnExecRequest;

void bn_exec_request_done(BnExecRequest *request);
/* 0, or -E2BIG where arguments and variables are beyond BN_EXEC_STRINGS_MAX or BN_EXEC_BYTES_MAX. */
int bn_exec_request_check(const BnExecRequest *request);
/* The size it takes; -E2BIG where it does not pass the check or is beyond BN_FRAME_EXEC_MAX. With ret NULL only
 * measures. */
ssize_t bn_exec_request_render(const BnExecRequest *request, uint8_t *ret, size_t size);
/* 0, -EBADMSG, -ENOMEM, or -E2BIG where it does not pass the check. */
int bn_exec_request_parse(const uint8_t *data, size_t size, BnExecRequest *ret);
