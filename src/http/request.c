/* What a handler asks of its request besides body and reply. */
#include "http/conn.h"

#include <stdlib.h>

const struct http_head *http_head(const struct http_request *r)
{
	return &r->head;
}

void http_hop_limit(struct http_request *r, int hops)
{
	int ttl = hops ? hops : -1;
	/* each is refused by sockets of the other family */
	setsockopt(r->conn->fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	setsockopt(r->conn->fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &ttl, sizeof(ttl));
}

struct arena *http_arena(struct http_request *r)
{
	return &r->arena;
}

static uint64_t name_bit(struct str name)
{
	unsigned last = name.n ? (unsigned char)name.p[name.n - 1] | 0x20u : 0;
	return UINT64_C(1) << ((name.n * 5 + last) & 63);
}

void request_note_names(struct http_request *r)
{
	for (unsigned i = 0; i < r->head.header_count; i++)
		r->names |= name_bit(r->head.headers[i].name);
}

struct str http_header(const struct http_request *r, struct str name)
{
	if (!(r->names & name_bit(name)))
		return STR_NONE;
	for (unsigned i = 0; i < r->head.header_count; i++)
		if (str_ieq(r->head.headers[i].name, name))
			return r->head.headers[i].value;
	return STR_NONE;
}

struct str http_header_joined(struct http_request *r, struct str name)
{
	struct str all = STR_NONE;
	if (!(r->names & name_bit(name)))
		return all;
	for (unsigned i = 0; i < r->head.header_count; i++) {
		const struct http_header *h = &r->head.headers[i];
		if (str_ieq(h->name, name))
			all = str_set(all) ? ARENA_CAT(&r->arena, all, S(", "), h->value) : h->value;
	}
	return all;
}

void http_set_ctx(struct http_request *r, void *ctx)
{
	r->ctx = ctx;
}

void *http_ctx(const struct http_request *r)
{
	return r->ctx;
}

void http_on_gone(struct http_request *r, loop_fn *gone, void *ctx)
{
	r->gone = gone;
	r->gone_ctx = ctx;
}

void http_on_done(struct http_request *r, loop_fn *done, void *ctx)
{
	r->done = done;
	r->done_ctx = ctx;
}

void http_keep(struct http_request *r)
{
	r->kept = true;
}

void http_release(struct http_request *r)
{
	arena_done(&r->arena);
	free(r);
}
