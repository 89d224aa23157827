/* What the files of the HTTP server share with each other and with nobody else: one connection, its request, its output queue.
 *
 * conn.c reads and decides what comes next, body.c hands out the request's body, reply.c writes heads and bodies, out.c is the
 * queue towards the socket, server.c owns listeners, deadlines and the connections as a whole. */
#pragma once
#include "base/buf.h"
#include "base/list.h"
#include "http/http.h"
#include "http/parse.h"
#include "http/tls.h"
#include "http/transfer.h"

#include <netinet/in.h>
#include <sys/uio.h>

enum {
	SCRATCH_BYTES = 65536,       /* one read */
	OUT_HIGH_BYTES = 256 * 1024, /* a stream's writer is told to wait above it */
	OUT_LOW_BYTES = 64 * 1024,   /* and to go on below it */
	LINGER_BYTES = 256 << 20,    /* discarded of a refused upload before the connection is cut */
	REQUESTS_KEPT = 64,          /* request objects kept for reuse */
};

enum deadline { DEADLINE_IDLE, DEADLINE_HEAD, DEADLINE_STALL, DEADLINE_LINGER, DEADLINES };
enum conn_state {
	CONN_IDLE,    /* no byte of a request yet */
	CONN_HEAD,    /* part of a head */
	CONN_BUSY,    /* one request under way */
	CONN_CLOSING, /* the last reply is on its way out */
	CONN_LINGER,  /* our side is closed; what still comes is discarded so that the client can read that reply */
};

/* Bytes on their way out, in this order: two borrowed pieces (in the request's arena or constant), the owned buffer, a file. */
struct out {
	struct str ref[2];
	char *p;
	size_t at, n, cap;
	int file; /* valid while file_left > 0 */
	uint64_t file_at, file_left;
	bool held; /* what is queued may wait in the kernel for what follows, a fifth of a second at most */
};

struct http_request {
	struct http_conn *conn;
	struct arena arena;
	struct http_head head;
	struct head_facts facts;
	uint64_t names; /* a bit for each kind of header name there is (request.c): most look-ups are for what is not there */
	void *ctx;
	loop_fn *gone, *drained, *done;
	void *gone_ctx, *drained_ctx, *done_ctx;
	struct http_request *next_free;

	http_piece_fn *body_fn; /* set while the caller waits for a piece */
	void *body_ctx;
	bool collect;
	char *collected;
	size_t collected_n, collected_cap, collect_max;
	uint64_t body_left; /* with Content-Length */
	bool body_ended, continued;
	int body_error;
	struct transfer transfer;
	const struct http_header *trailers;
	unsigned trailer_count;

	bool started, replied; /* a reply has begun; all of it has been handed over */
	bool is_head, chunked; /* leave the body out; send it in chunks */
	bool waiting;          /* the writer was told to wait */
	bool close;            /* the reply's head says so */
	bool kept;             /* outlives its connection: http_keep() */
	bool counted;          /* the stream's length was announced; this much is still owed: */
	uint64_t owed;
	http_upgraded_fn *upgraded;
	void *upgraded_ctx;
	struct str text; /* the head as it came */
	bool passed;     /* http_pass_on() */
	int passed_to;
};

struct http_conn {
	struct http_server *server;
	struct http_listener *listener;
	struct list in_listener, timed, later;
	struct loop_fd *watch;
	struct tls_conn *tls; /* NULL: plain */
	struct http_request *req;
	int fd;
	uint8_t state, deadline; /* deadline: DEADLINES when on no list */
	bool running, dead, broken, borrowed, progress;
	bool mute_in, mute_hup; /* the kernel reported what is not wanted now */
	int64_t due_us;
	char *in; /* unread input: in[in_at .. in_at + in_n); borrowed: the server's scratch buffer */
	uint32_t in_at, in_n, in_cap;
	uint32_t scan, lingered; /* lingered: in KiB */
	struct out out;
	union {
		struct sockaddr any;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	} peer;
};

struct http_listener {
	struct http_server *server;
	struct list in_server, conns;
	int fd;      /* -1: none */
	bool closed; /* freed with its last connection */
	struct loop_fd *watch;
	struct http_tls *tls;
	void *ctx;
	bool aside;   /* http_listener_aside() */
	bool patient; /* http_listener_patient() */
};

struct http_server {
	struct loop *loop;
	struct http_limits limits;
	http_request_fn *on_request;
	void *ctx;
	struct list listeners, later, tunnels, timed[DEADLINES];
	size_t conns;
	struct loop_timer *later_timer, *deadline_timer, *accept_timer, *drain_timer, *drained_timer;
	int64_t deadline_due_us;
	bool paused, draining, leaving; /* leaving: HTTP_DRAIN_LEAVE */
	loop_fn *drained;
	void *drained_ctx;
	struct http_request *free_requests;
	unsigned free_count;
	int64_t date_s;
	char date[48]; /* "Date: ...\r\n" */
	size_t date_n;
	char *scratch;
};

/* conn.c */
struct http_conn *conn_new(struct http_listener *l, int fd, const struct sockaddr *peer, socklen_t peer_bytes);
/* Does all that can be done now; the connection may be gone afterwards. */
void conn_run(struct http_conn *c);
/* Has conn_run called before the loop waits again. */
void conn_later(struct http_conn *c);
/* Ends it at once, telling the request's owner. Freed now, or when conn_run returns. */
void conn_kill(struct http_conn *c);
/* Its deadline has passed. */
void conn_timeout(struct http_conn *c);
/* Takes the first n bytes of the input. */
void conn_consume(struct http_conn *c, size_t n);
/* Moves the input out of the shared scratch buffer, so that pointers into it stay good. */
void conn_own_input(struct http_conn *c);
/* Takes the request off its connection and recycles it. */
void conn_request_free(struct http_conn *c);

/* request.c: notes which names the head has. */
void request_note_names(struct http_request *r);

/* body.c: delivers the next piece if there is one. False: more input is needed. */
bool body_step(struct http_conn *c);
/* Tells a waiting reader that no more will come. */
void body_fail(struct http_conn *c, int error);
/* Is the whole body read, or here and of no interest (it is then skipped)? Decides whether the connection can be kept. */
bool body_skip(struct http_request *r);

/* reply.c: queues the server's own refusal; the connection closes after it. */
void reply_refuse(struct http_conn *c, unsigned status, const char *why);
const char *reply_reason(unsigned status);

/* tunnel.c: the descriptor by which an upgraded TLS connection is spoken with; negative errno: there is none. Owns both. */
struct http_tunnel;
int tunnel_open(struct http_server *s, struct tls_conn *tls, int client);
/* A tunnel (tls NULL: without TLS) to a socket that is there already; `early` is what the client has sent so far. Owns all three.
 */
void tunnel_join(struct http_server *s, struct tls_conn *tls, int client, int to, const struct str early[2]);
void tunnel_free(struct http_tunnel *t);
/* The first of those that are open; NULL: none is. */
struct http_tunnel *tunnel_first(struct http_server *s);

/* out.c */
size_t out_waiting(const struct out *o);
static inline bool out_empty(const struct out *o)
{
	return !o->ref[0].n && !o->ref[1].n && o->at == o->n && !o->file_left;
}
void out_add(struct out *o, const void *p, size_t n);
/* Sends what the socket takes. 0: all sent, 1: some is left, negative errno: the connection is lost. */
int out_flush(struct http_conn *c);
/* Sends the queue and then these pieces; what is not taken of them is copied into the queue. As out_flush(). */
int out_send(struct http_conn *c, const struct str *pieces, unsigned count);
void out_done(struct out *o);

/* server.c */
void server_set_deadline(struct http_conn *c, enum deadline d);
void server_conn_gone(struct http_server *s);
struct str server_date(struct http_server *s);
