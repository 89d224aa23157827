/* A session: one program inside something that runs (an instance, a container), its input and output carried in frames over one
 * stream of bytes. The stream goes from a client through `api`, which looks at nothing but the answer to START, to whoever serves
 * it with session_serve(): a child of a container's shim, or the agent inside a virtual machine (guest/sessions.c), behind a
 * virtio-serial port. The same source is compiled for both, so it needs the C library and nothing else.
 *
 * Numbers are little-endian. A frame is a head and its payload. A session ends when either side closes the stream; EXITED is the
 * last frame. What comes from inside is not trusted: neither by `api` nor by the client. */
#pragma once
#include <stdint.h>

enum { SESSION_PAYLOAD_MAX = 32768, SESSION_WORDS_MAX = 256 };

/* Comes before START: what an earlier session of the same port has left unread is passed over up to here. */
#define SESSION_BEGIN "\1qsession"

enum session_kind {
	/* to the program */
	SESSION_START = 1, /* struct session_start, then texts that end with NUL: TERM, and `words` words of the command */
	SESSION_INPUT,
	SESSION_INPUT_END,
	SESSION_WINDOW, /* struct session_window */
	/* from it */
	SESSION_READY = 16, /* it runs */
	SESSION_FAILED,     /* int32_t: an errno; nothing follows */
	SESSION_OUTPUT,
	SESSION_ERRORS, /* its standard error, where there is no terminal */
	SESSION_EXITED, /* int32_t: its exit status, or 128 and a signal's number */
};

struct session_head {
	uint8_t kind, zero[3];
	uint32_t bytes;
};
struct session_window {
	uint16_t rows, columns;
};
struct session_start {
	struct session_window window;
	uint32_t terminal; /* 1: it gets a terminal; 0: pipes */
	uint32_t words;    /* 0: a shell */
};

/* Serves one session on `fd` (any stream that can be polled; made non-blocking), which stays the caller's. enter(ctx) is called
 * when START has come, to get where the program is to run; 0 or negative errno. Blocks until the session is over, so it is for a
 * process of its own; signals that end the caller end the session. 0, or negative errno when there was no proper START. */
int session_serve(int fd, int (*enter)(void *ctx), void *ctx);
