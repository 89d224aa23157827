#include "core/listen.h"

#include "http/http.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct listener {
	listener_fn *fn;            /* NULL: the gate's */
	listener_endpoint_fn *find; /* NULL: no endpoint of a VPC's */
	void *ctx;
	struct http_listener *http;
};

static struct listener *open_with(struct cloud *cloud, int fd, listener_fn *fn, struct http_tls *tls, void *ctx)
{
	struct listener *l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	l->fn = fn;
	l->ctx = ctx;
	l->http = http_listen(cloud->http, fd, tls, l);
	if (!l->http) {
		free(l);
		return NULL;
	}
	http_listener_aside(l->http);
	/* A function may run for a quarter of an hour before its runtime answers. */
	if (fn)
		http_listener_patient(l->http);
	return l;
}

struct listener *listener_open(struct cloud *cloud, int fd, listener_fn *fn, void *ctx)
{
	return open_with(cloud, fd, fn, NULL, ctx);
}

void listener_serve(struct listener *l, int fd)
{
	http_serve(l->http, fd);
}

struct listener *listener_open_gate(struct cloud *cloud, int fd)
{
	return open_with(cloud, fd, NULL, NULL, NULL);
}

struct listener *listener_open_endpoint(struct cloud *cloud, int fd, bool tls, listener_endpoint_fn *find, void *ctx)
{
	if (tls && !cloud->tls) {
		close(fd);
		return NULL;
	}
	struct listener *l = open_with(cloud, fd, NULL, tls ? cloud->tls : NULL, ctx);
	if (l)
		l->find = find;
	return l;
}

bool listener_endpoint(struct http_request *r, struct call_endpoint *ret, bool *ret_refused)
{
	struct listener *l = http_head(r)->listener_ctx;
	*ret_refused = false;
	if (!l || !l->find)
		return false;
	const struct sockaddr_storage *peer = listen_peer(r);
	uint32_t address =
	        peer->ss_family == AF_INET ? ntohl(((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr) : 0;
	*ret_refused = !l->find(l->ctx, http_arena(r), address, ret);
	return !*ret_refused;
}

void listener_close(struct listener *l)
{
	if (!l)
		return;
	http_listener_close(l->http);
	free(l);
}

void listener_refuse_waiting(int fd)
{
	int waiting;
	while ((waiting = accept(fd, NULL, NULL)) >= 0)
		close(waiting);
}

bool listener_take(struct http_request *r)
{
	struct listener *l = http_head(r)->listener_ctx;
	if (!l || !l->fn)
		return false;
	l->fn(l->ctx, r);
	return true;
}

bool listener_is_inside(const struct http_request *r)
{
	return http_head(r)->listener_ctx != NULL;
}

struct str listen_method(const struct http_request *r)
{
	return http_head(r)->method;
}

struct str listen_path(const struct http_request *r)
{
	return http_head(r)->path;
}

struct str listen_query(const struct http_request *r)
{
	return http_head(r)->query;
}

struct str listen_header(const struct http_request *r, struct str name)
{
	return http_header(r, name);
}

bool listen_header_at(const struct http_request *r, unsigned at, struct listen_header *ret)
{
	const struct http_head *h = http_head(r);
	if (at >= h->header_count)
		return false;
	*ret = (struct listen_header){h->headers[at].name, h->headers[at].value};
	return true;
}

const struct sockaddr_storage *listen_peer(const struct http_request *r)
{
	return &http_head(r)->peer;
}

void listen_hop_limit(struct http_request *r, int hops)
{
	http_hop_limit(r, hops);
}

struct arena *listen_arena(struct http_request *r)
{
	return http_arena(r);
}

void listen_on_gone(struct http_request *r, void (*gone)(void *ctx), void *ctx)
{
	http_on_gone(r, gone, ctx);
}

void listen_on_done(struct http_request *r, void (*done)(void *ctx), void *ctx)
{
	http_on_done(r, done, ctx);
}

void listen_body_next(struct http_request *r, listen_piece_fn *fn, void *ctx)
{
	http_body_next(r, fn, ctx);
}

void listen_body_collect(struct http_request *r, size_t max_bytes, listen_piece_fn *fn, void *ctx)
{
	http_body_collect(r, max_bytes, fn, ctx);
}

struct str listen_trailer(const struct http_request *r, struct str name)
{
	unsigned count = 0;
	const struct http_header *trailers = http_trailers(r, &count);
	for (unsigned i = 0; i < count; i++)
		if (str_ieq(trailers[i].name, name))
			return trailers[i].value;
	return STR_NONE;
}

_Static_assert(sizeof(struct listen_header) == sizeof(struct http_header) &&
                       offsetof(struct listen_header, value) == offsetof(struct http_header, value),
               "listen_header is http_header under another name");

void listen_reply(struct http_request *r, unsigned status, const struct listen_header *headers, unsigned count, struct str body)
{
	http_reply(r, status, (const struct http_header *)(const void *)headers, count, body);
}

void listen_reply_after(struct http_request *r, unsigned status, const struct listen_header *headers, unsigned count,
                        struct str body)
{
	http_reply_after(r, status, (const struct http_header *)(const void *)headers, count, body);
}

void listen_reply_file(struct http_request *r, unsigned status, const struct listen_header *headers, unsigned count, int fd,
                       uint64_t offset, uint64_t length)
{
	http_reply_file(r, status, (const struct http_header *)(const void *)headers, count, fd, offset, length);
}
