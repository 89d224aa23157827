#include "aws/ec2/metadata/metadata_serve.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/uri.h"

#include <stdlib.h>

struct door {
	struct metadata_server *server;
	struct listener *listener;
	struct str vpc_id, key;
	bool ipv6;
	struct arena arena;
};
struct metadata_server {
	struct cloud *cloud;
	struct metadata_source source;
	struct roles *roles;
	const struct identity *identity;
	unsigned char key[METADATA_KEY_BYTES];
	struct map doors; /* by VPC; those of IPv6 by VPC and "/6" */
};

/* A request that waits for credentials; in the request's arena. */
struct asking {
	struct http_request *request;
	struct metadata_view view;
	struct str path;
	struct role_wait *wait;
	bool answered;
};

static void reply(struct http_request *r, unsigned status, struct str type, struct str body, struct str ttl)
{
	struct listen_header headers[] = {
	        {S("Content-Type"), type}, {S("Server"), S("EC2ws")}, {S("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"), ttl}};
	listen_reply(r, status, headers, str_set(ttl) ? 3 : 2, body);
}

static void refuse(struct http_request *r, unsigned status, const char *title)
{
	struct str page = arena_printf(listen_arena(r),
	                               "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n"
	                               "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\"\n"
	                               "\t\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n"
	                               "<html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n"
	                               " <head>\n  <title>%u - %s</title>\n </head>\n"
	                               " <body>\n  <h1>%u - %s</h1>\n </body>\n</html>\n",
	                               status, title, status, title);
	reply(r, status, S("text/html"), page, STR_NONE);
}

static void answer(struct asking *q)
{
	struct str text = metadata_text(listen_arena(q->request), &q->view, q->path);
	q->answered = true;
	if (!str_set(text))
		refuse(q->request, 404, "Not Found");
	else
		reply(q->request, 200, S("text/plain"), text, STR_NONE);
}

static void got_credentials(void *ctx, const struct role_credentials *r)
{
	struct asking *q = ctx;
	struct arena *a = listen_arena(q->request);
	q->wait = NULL;
	q->view.credentials = r->good ? METADATA_ROLE : METADATA_ROLE_FAILED;
	q->view.access_key = arena_dup(a, r->access_key);
	q->view.secret = arena_dup(a, r->secret);
	q->view.token = arena_dup(a, r->token);
	q->view.issued_ms = r->issued_ms;
	q->view.expires_ms = r->expires_ms;
	answer(q);
}

static void asker_gone(void *ctx)
{
	role_forget(((struct asking *)ctx)->wait);
}

/* A token's life is a whole number of seconds in its header. */
static void give_token(struct metadata_server *s, struct http_request *r, const struct metadata_view *v)
{
	int64_t ttl;
	struct arena *a = listen_arena(r);
	if (str_set(listen_header(r, S("X-Forwarded-For")))) {
		refuse(r, 403, "Forbidden");
		return;
	}
	struct str asked = listen_header(r, S("X-aws-ec2-metadata-token-ttl-seconds"));
	if (!str_set(asked) || !str_to_i64(str_trim(asked), &ttl) || ttl < 1 || ttl > METADATA_TTL_MAX_S) {
		refuse(r, 400, "Bad Request");
		return;
	}
	struct str token = metadata_token_make(a, s->key, v->instance_id, clock_wall_ms() + ttl * 1000);
	reply(r, 200, S("text/plain"), token, arena_printf(a, "%lld", (long long)ttl));
}

static bool token_lets_in(struct metadata_server *s, struct http_request *r, const struct metadata_view *v, bool required)
{
	struct str token = listen_header(r, S("X-aws-ec2-metadata-token"));
	if (!str_set(token)) {
		if (s->source.tokenless)
			s->source.tokenless(s->source.ctx, v->instance_id, required);
		return !required;
	}
	return metadata_token_good(listen_arena(r), s->key, v->instance_id, token, clock_wall_ms());
}

static void tell(struct metadata_server *s, struct http_request *r, const struct metadata_view *v, struct str path,
                 const struct metadata_options *options)
{
	struct asking *q = arena_new(listen_arena(r), struct asking);
	*q = (struct asking){.request = r, .view = *v, .path = path};
	if (s->identity && metadata_wants_identity(path)) {
		struct arena *a = listen_arena(r);
		struct str document = metadata_identity_document(a, v);
		q->view.identity_signature = identity_signature(s->identity, a, document);
		q->view.identity_pkcs7 = q->view.identity_rsa2048 = identity_envelope(s->identity, a, document);
	}
	if (!str_set(options->role_arn) || !metadata_wants_credentials(path)) {
		answer(q);
		return;
	}
	q->wait = role_get(s->roles, v->region, options->role_arn, v->instance_id, got_credentials, q);
	if (!q->answered)
		listen_on_gone(r, asker_gone, q);
}

static void on_request(void *ctx, struct http_request *r)
{
	struct door *d = ctx;
	struct metadata_server *s = d->server;
	struct metadata_view v = {0};
	struct metadata_options options = {0};
	struct arena *a = listen_arena(r);
	struct str method = listen_method(r), path = uri_decode(a, listen_path(r));
	bool there = s->source.find(s->source.ctx, a, d->vpc_id, listen_peer(r), &v, &options);
	/* A connection may ask for more than a token. */
	listen_hop_limit(r, str_is(method, "PUT") ? options.hop_limit : 0);
	if (!there || options.disabled || (d->ipv6 && !options.ipv6))
		refuse(r, 403, "Forbidden");
	else if (str_is(method, "PUT") && str_set(path) && str_is(path, "/latest/api/token"))
		give_token(s, r, &v);
	else if (!str_is(method, "GET") && !str_is(method, "HEAD"))
		refuse(r, 405, "Method Not Allowed");
	else if (!token_lets_in(s, r, &v, options.token_required))
		refuse(r, 401, "Unauthorized");
	else if (!str_set(path))
		refuse(r, 400, "Bad Request");
	else
		tell(s, r, &v, path, &options);
}

struct metadata_server *metadata_server_new(struct cloud *cloud, const unsigned char key[METADATA_KEY_BYTES],
                                            const struct metadata_source *source, struct roles *roles,
                                            const struct identity *identity)
{
	struct metadata_server *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	*s = (struct metadata_server){.cloud = cloud, .source = *source, .roles = roles, .identity = identity};
	memcpy(s->key, key, METADATA_KEY_BYTES);
	return s;
}

static void door_close(struct door *d)
{
	if (!d)
		return;
	listener_close(d->listener);
	arena_done(&d->arena);
	free(d);
}

void metadata_server_free(struct metadata_server *s)
{
	if (!s)
		return;
	size_t at = 0;
	struct str vpc;
	void *door;
	while (map_next(&s->doors, &at, &vpc, &door))
		door_close(door);
	map_done(&s->doors);
	free(s);
}

static struct str key_of(struct arena *a, struct str vpc_id, bool ipv6)
{
	return ipv6 ? ARENA_CAT(a, vpc_id, S("/6")) : arena_dup(a, vpc_id);
}

static void leave(struct metadata_server *s, struct str vpc_id, bool ipv6)
{
	struct arena CLEAN_ARENA a = {0};
	door_close(map_remove(&s->doors, key_of(&a, vpc_id, ipv6)));
}

void metadata_serve(struct metadata_server *s, struct str vpc_id, bool ipv6, int fd)
{
	leave(s, vpc_id, ipv6);
	struct door *d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	d->server = s;
	d->vpc_id = arena_dup(&d->arena, vpc_id);
	d->key = key_of(&d->arena, vpc_id, ipv6);
	d->ipv6 = ipv6;
	d->listener = listener_open(s->cloud, fd, on_request, d);
	if (d->listener)
		map_put(&s->doors, d->key, d);
	else
		door_close(d);
}

void metadata_leave(struct metadata_server *s, struct str vpc_id)
{
	leave(s, vpc_id, false);
	leave(s, vpc_id, true);
}
