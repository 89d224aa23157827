/* Listening sockets that are not the cloud's public door: the Lambda Runtime API inside a cell, and the cloud's own endpoint there.
 *
 * A service is handed a listening socket (made in a cell's network namespace, say) and has it served with a callback a request,
 * without seeing src/http: the functions below are the part of http/http.h that it needs, and `struct http_request` stays opaque.
 * A request lives until its reply has been sent or on_gone came; everything runs on the loop's thread. */
#pragma once
#include "base/arena.h"
#include "core/cloud.h"

#include <sys/socket.h>

struct http_request;
struct listener;

struct listen_header {
	struct str name, value;
};

/* Serves fd with fn(ctx, request) a request. The fd is the listener's from now on, even on failure (NULL). */
typedef void listener_fn(void *ctx, struct http_request *r);
struct listener *listener_open(struct cloud *cloud, int fd, listener_fn *fn, void *ctx);
/* Serves one connected, non-blocking socket more, as if it had been accepted; owns it. listener_open() with -1 serves these alone.
 */
void listener_serve(struct listener *l, int fd);
/* Serves fd with the cloud's own API, through the same gate as every client. Owns fd too. */
struct listener *listener_open_gate(struct cloud *cloud, int fd);
/* The same as a VPC endpoint: find() says at each request through which one it came, from the peer's address (host byte order);
 * false: nobody may come from there. tls: the cloud's own certificate; NULL when there is none, and the fd closed. */
struct call_endpoint;
typedef bool listener_endpoint_fn(void *ctx, struct arena *a, uint32_t peer, struct call_endpoint *ret);
struct listener *listener_open_endpoint(struct cloud *cloud, int fd, bool tls, listener_endpoint_fn *find, void *ctx);
/* For the gate: did the request come by such a listener? False with *ret_refused: nobody may come from there. */
bool listener_endpoint(struct http_request *r, struct call_endpoint *ret, bool *ret_refused);
/* Stops listening and ends its connections; requests under way get their on_gone. NULL is harmless. */
void listener_close(struct listener *l);
/* Closes the connections that wait to be accepted at a listening, non-blocking fd. */
void listener_refuse_waiting(int fd);

/* For whoever receives the server's requests (the gate): true: r came in by a listener of listener_open() and is handed to it. */
bool listener_take(struct http_request *r);
/* Did it come in by a listener inside a sandbox (of either kind), not by the public door? */
bool listener_is_inside(const struct http_request *r);

struct str listen_method(const struct http_request *r);
struct str listen_path(const struct http_request *r);                    /* still percent-encoded, without the query */
struct str listen_query(const struct http_request *r);                   /* raw, without '?'; absent when there was none */
struct str listen_header(const struct http_request *r, struct str name); /* any case; absent when there is none */
/* All of its headers, one by one. False: there are no more. */
bool listen_header_at(const struct http_request *r, unsigned at, struct listen_header *ret);
/* The peer's address, as long as the request. */
const struct sockaddr_storage *listen_peer(const struct http_request *r);
/* How many routers what is sent on the connection from now on may pass, its acknowledgements too; 0: as the system has it. */
void listen_hop_limit(struct http_request *r, int hops);
struct arena *listen_arena(struct http_request *r);
void listen_on_gone(struct http_request *r, void (*gone)(void *ctx), void *ctx);

/* done(ctx) comes once, last of all: the reply has left this process, or the client is gone. The request's arena is still there. */
void listen_on_done(struct http_request *r, void (*done)(void *ctx), void *ctx);

/* The body, as http_body_next() and http_body_collect() give it; statuses are theirs. */
typedef void listen_piece_fn(void *ctx, struct str piece, int status);
void listen_body_next(struct http_request *r, listen_piece_fn *fn, void *ctx);
void listen_body_collect(struct http_request *r, size_t max_bytes, listen_piece_fn *fn, void *ctx);
/* A trailer of a chunked body, after its end. */
struct str listen_trailer(const struct http_request *r, struct str name);

/* The whole reply. The body is copied unless it lies in the request's arena. */
void listen_reply(struct http_request *r, unsigned status, const struct listen_header *headers, unsigned count, struct str body);
/* The same, sent once the callback under way has returned. */
void listen_reply_after(struct http_request *r, unsigned status, const struct listen_header *headers, unsigned count,
                        struct str body);
/* `length` bytes of fd from offset on; owns fd. */
void listen_reply_file(struct http_request *r, unsigned status, const struct listen_header *headers, unsigned count, int fd,
                       uint64_t offset, uint64_t length);
