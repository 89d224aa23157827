/* HTTP/1.1 as the rest of the program sees it: requests with streamed bodies, replies now or later, files, streams, upgrade.
 *
 * Everything happens on the loop's thread. A request object and its arena live from on_request() until its reply has been handed
 * over (they are good until the caller returns to the loop) or the client is gone. No callback comes from inside a call made here.
 * The server answers itself, with a clear 4xx or 5xx and a closed connection, what never becomes a request: malformed heads, heads
 * or header counts over the limits, slow or idle clients. */
#pragma once
#include "base/arena.h"
#include "io/loop.h"

#include <sys/socket.h>

struct http_server;
struct http_listener;
struct http_request;
struct http_tls; /* a server certificate and key, see tls.h */

struct http_limits {        /* 0: the default in brackets */
	size_t head_bytes;  /* request line and headers together [65536] */
	unsigned headers;   /* [200] */
	size_t connections; /* [20000]; above it new ones wait in the backlog */
	int64_t head_us;    /* a head must arrive within [20 s] */
	int64_t idle_us;    /* a kept-alive connection may idle for [75 s] */
	int64_t stall_us;   /* a body or reply that does not move for [60 s] ends the connection */
};

struct http_header {
	struct str name, value; /* the name as it came; compare without case */
};

/* What on_request sees. All strs are raw bytes as they came (paths and queries stay percent-encoded: signatures need them). */
struct http_head {
	struct str method, target; /* target: path and query */
	struct str path, query;    /* query without '?', absent when there was none */
	struct str host;           /* the Host header */
	const struct http_header *headers;
	unsigned header_count;
	int64_t content_length; /* -1: none given */
	bool chunked;           /* body in transfer chunks */
	bool has_body;          /* chunked, or content_length > 0 */
	bool expects_continue;
	bool tls;
	void *listener_ctx; /* as given to http_listen */
	struct sockaddr_storage peer;
};

typedef void http_request_fn(void *ctx, struct http_request *r);

struct http_server *http_server_new(struct loop *l, const struct http_limits *limits, http_request_fn *on_request, void *ctx);
/* What becomes of clients at the end whose requests nobody has read yet. */
enum http_drain {
	HTTP_DRAIN_SERVE, /* those that have come are served still: nobody comes after us */
	HTTP_DRAIN_LEAVE, /* they are for the server that comes after us: connections that wait stay in the backlog, idle ones end
	                     now */
};
/* Refuses new connections, lets requests under way finish for at most grace_us, then calls drained(ctx). */
void http_server_drain(struct http_server *s, enum http_drain how, int64_t grace_us, loop_fn *drained, void *ctx);
/* Not from inside one of its callbacks. The server ignores SIGPIPE for the process: whoever starts programs resets that. */
void http_server_free(struct http_server *s);
/* Serves a listening socket (made by anybody, in any network namespace); owns the fd from now on, even on failure (NULL). tls NULL:
 * plain. */
struct http_listener *http_listen(struct http_server *s, int fd, struct http_tls *tls, void *listener_ctx);
/* Serves one connected, non-blocking socket that came by another way, as if the listener had accepted it; owns it. A listener made
 * with fd -1 serves these alone. False: the kernel or TLS refused it. */
bool http_serve(struct http_listener *l, int fd);
/* Stops listening and ends this listener's connections at once; requests under way get their on_gone. */
void http_listener_close(struct http_listener *l);
/* The peers of this listener are part of the cloud's own work (functions in their cells): a drain neither stops it nor waits for
 * it. */
void http_listener_aside(struct http_listener *l);
/* The peers of this listener may be silent as long as they like, between requests and in the middle of one. */
void http_listener_patient(struct http_listener *l);
size_t http_connections(const struct http_server *s);

const struct http_head *http_head(const struct http_request *r);
/* The time to live of packets on the request's connection from now on (IPv4); 0: the system's own. */
void http_hop_limit(struct http_request *r, int hops);
struct arena *http_arena(struct http_request *r);
/* First header of that name (any case), or absent; several of one name: http_header_joined() joins them with ", ". */
struct str http_header(const struct http_request *r, struct str name);
struct str http_header_joined(struct http_request *r, struct str name);
/* The caller's own pointer on a request. */
void http_set_ctx(struct http_request *r, void *ctx);
void *http_ctx(const struct http_request *r);
/* gone(ctx) comes when the client disconnects (or the server is freed) before the reply is complete. After it the request is
 * invalid. It never comes after the reply has been handed over completely. A handler that keeps a request beyond on_request() sets
 * it. A piece function that waits then gets -ECONNRESET first, and may reply (into the void) to be done with it: gone() does not
 * follow then. */
void http_on_gone(struct http_request *r, loop_fn *gone, void *ctx);
/* done(ctx) comes once, last of all, whatever the request's end: its reply has left this process, or its client is gone. The arena
 * is still there. */
void http_on_done(struct http_request *r, loop_fn *done, void *ctx);
/* From inside gone(): keeps the request's head, collected body and arena, and nothing else of it, until http_release(). For work
 * that cannot be called back and still reads them. */
void http_keep(struct http_request *r);
void http_release(struct http_request *r);

/* --- body in. Asking for the body sends "100 Continue" where the client waits for it. A reply given without reading the body
 * closes the connection after it (after draining a little, so that the client reads the reply). */

/* The next piece: fn(ctx, piece, status); status > 0: more may follow, 0: the end (the piece may still hold bytes), negative errno:
 * -ECONNRESET (client gone, cut short), -EPROTO (bad chunking), -ETIMEDOUT. The piece lives until the next call. Not asking is
 * back-pressure. */
typedef void http_piece_fn(void *ctx, struct str piece, int status);
void http_body_next(struct http_request *r, http_piece_fn *fn, void *ctx);
/* All of it into the request's arena, at most max_bytes: fn(ctx, body, 0), or -EMSGSIZE and as above. */
void http_body_collect(struct http_request *r, size_t max_bytes, http_piece_fn *fn, void *ctx);
/* Trailers of a chunked body, after its end. */
const struct http_header *http_trailers(const struct http_request *r, unsigned *ret_count);

/* --- reply. Headers are copied. Date, Content-Length or Transfer-Encoding and Connection are the server's. HEAD requests: give the
 * same reply as for GET; the body is left out but its length is announced. */

/* A whole reply; the body is copied unless it lies in the request's arena. */
void http_reply(struct http_request *r, unsigned status, const struct http_header *headers, unsigned header_count, struct str body);
/* The same, sent once the callback under way has returned: what else it does, such as answering somebody who waits longer, goes
 * first. A client that has sent its next request already gets both replies together, if the next one comes within 200 ms: it is
 * woken once. */
void http_reply_after(struct http_request *r, unsigned status, const struct http_header *headers, unsigned header_count,
                      struct str body);
/* `length` bytes of fd from offset on, by sendfile where plain. Owns fd. */
void http_reply_file(struct http_request *r, unsigned status, const struct http_header *headers, unsigned header_count, int fd,
                     uint64_t offset, uint64_t length);
/* A stream: length -1 is sent in chunks. Then http_reply_write() any number of times: it copies the piece and returns false when
 * more than 256 KiB are waiting; wait then for drained(ctx). http_reply_end() completes it, with trailers if any;
 * http_reply_abort() cuts the connection. */
void http_reply_start(struct http_request *r, unsigned status, const struct http_header *headers, unsigned header_count,
                      int64_t length, loop_fn *drained, void *ctx);
bool http_reply_write(struct http_request *r, struct str piece);
void http_reply_end(struct http_request *r, const struct http_header *trailers, unsigned count);
void http_reply_abort(struct http_request *r);
/* 101 Switching Protocols, then a socket of the connection, non-blocking, is the caller's: fn(ctx, fd, bytes that came early); with
 * TLS it is one that the server puts into TLS, and fd is negative where there was none left for that. When the client is lost
 * before that, gone() comes instead. -EPROTO for HTTP/1.0 and while a body is unread: the request is then still to be answered. */
typedef void http_upgraded_fn(void *ctx, int fd, struct str early);
int http_upgrade(struct http_request *r, const struct http_header *headers, unsigned header_count, http_upgraded_fn *fn, void *ctx);
/* The request and all that comes after it on its connection goes to the stream socket `to`, non-blocking, as it came, and what
 * comes from there to the client, until one of them ends. Owns `to`. For whoever has neither asked for the body nor replied. */
void http_pass_on(struct http_request *r, int to);
