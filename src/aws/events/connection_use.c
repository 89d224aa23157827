/* What a connection's requests need: its secret, read from Secrets Manager once for each change of the connection, and for OAuth a
 * token, which is asked for when there is none that is good for another minute. Both live in memory alone. A connection whose
 * token has never been asked for (AUTHORIZING) is tried as soon as it is seen, and its record says how that went. */
#include "connection.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/uri.h"
#include "engine/fetch/post.h"
#include "gen/secretsmanager.h"
#include "io/work.h"

#include <errno.h>
#include <stdlib.h>

enum {
	THREADS = 8,
	TIMEOUT_US = 5 * 1000 * 1000,
	TOKEN_S = 3600,
	LEFT_MS = 60000,
	FORM_MAX = 1 << 20,
	HEADERS_MAX = 101,
	AGAIN_US = 1000000
};

struct kept {
	struct arena arena;
	int64_t modified_ms; /* of the connection, when the secret was read */
	struct str secret, token;
	int64_t token_until_ms;
};
struct connections {
	struct cloud *cloud;
	struct map by_arn; /* struct kept */
	struct map slots;  /* ARN of a destination -> struct slot */
	struct list waiting;
	struct work *work; /* NULL: nobody has needed it */
	atomic_bool cancel;
	struct store_watch *watch;
};
struct slot {
	double next_ms;
};

/* Somebody who waits for a secret or a token. */
struct wanted {
	struct list link;
	struct connections *all; /* NULL: the service has ended */
	struct arena *arena;
	struct connection connection; /* of the arena */
	struct connection_auth auth;
	connection_ready_fn *fn;
	void *ctx;
	struct post post;
	struct post_header headers[HEADERS_MAX];
	struct post_answer answer;
	unsigned status;
	struct str why;
};

/* --- what is kept */

static struct kept *kept_of(struct connections *all, const struct connection *c)
{
	struct kept *k = map_get(&all->by_arn, c->arn);
	if (k && k->modified_ms == c->r.modified.ms)
		return k;
	if (!k) {
		k = calloc(1, sizeof(*k));
		if (!k)
			die("out of memory (connections)");
		map_put(&all->by_arn, c->arn, k);
	}
	arena_reset(&k->arena);
	k->modified_ms = c->r.modified.ms;
	k->secret = k->token = STR_NONE;
	return k;
}

void connection_distrust(struct connections *all, const struct connection *c)
{
	struct kept *k = map_get(&all->by_arn, c->arn);
	if (k)
		k->token = STR_NONE;
}

static void give(struct wanted *w, struct str token)
{
	list_remove(&w->link);
	w->fn(w->ctx, &w->auth, token, false, STR_NONE);
}

static void refuse(struct wanted *w, bool later, struct str why)
{
	list_remove(&w->link);
	w->fn(w->ctx, NULL, STR_NONE, later, why);
}

/* --- a token */

static void put_pair(struct buf *b, struct str key, struct str value)
{
	if (b->n)
		buf_add_char(b, '&');
	uri_put(b, key, false);
	buf_add_char(b, '=');
	uri_put(b, value, false);
}

static bool among(const struct events_connection_http_parameters *p, const char *key)
{
	for (uint32_t i = 0; i < p->body_parameters.n; i++)
		if (str_is(p->body_parameters.v[i].key, key))
			return true;
	for (uint32_t i = 0; i < p->query_string_parameters.n; i++)
		if (str_is(p->query_string_parameters.v[i].key, key))
			return true;
	return false;
}

/* Client, secret and grant are a form in the body, or in the query of a GET. */
static void fill_request(struct wanted *w)
{
	const struct connection_auth *auth = &w->auth;
	struct buf CLEAN_BUF form, query;
	bool get = str_is(auth->method, "GET");
	struct buf *to = get ? &query : &form;
	buf_init(&form, FORM_MAX);
	buf_init(&query, FORM_MAX);
	if (!among(&auth->oauth, "grant_type"))
		put_pair(to, S("grant_type"), S("client_credentials"));
	if (!among(&auth->oauth, "client_id"))
		put_pair(to, S("client_id"), auth->client_id);
	if (!among(&auth->oauth, "client_secret"))
		put_pair(to, S("client_secret"), auth->client_secret);
	for (uint32_t i = 0; i < auth->oauth.body_parameters.n && !get; i++)
		put_pair(&form, auth->oauth.body_parameters.v[i].key, auth->oauth.body_parameters.v[i].value);
	for (uint32_t i = 0; i < auth->oauth.query_string_parameters.n; i++)
		put_pair(&query, auth->oauth.query_string_parameters.v[i].key, auth->oauth.query_string_parameters.v[i].value);
	struct str url = auth->endpoint;
	if (query.n)
		url = ARENA_CAT(w->arena, url, str_find_char(url, '?') >= 0 ? S("&") : S("?"), buf_str(&query));
	w->post = (struct post){.method = arena_dupz(w->arena, auth->method),
	                        .url = url,
	                        .headers = w->headers,
	                        .body = get ? STR_NONE : arena_dup(w->arena, buf_str(&form)),
	                        .anywhere = w->connection.r.local.v,
	                        .timeout_us = TIMEOUT_US,
	                        .cancel = &w->all->cancel,
	                        .ret_answer = &w->answer};
	w->headers[w->post.header_count++] =
	        (struct post_header){"Content-Type", S("application/x-www-form-urlencoded; charset=utf-8")};
	for (uint32_t i = 0; i < auth->oauth.header_parameters.n && w->post.header_count < HEADERS_MAX; i++)
		w->headers[w->post.header_count++] = (struct post_header){
		        arena_dupz(w->arena, auth->oauth.header_parameters.v[i].key), auth->oauth.header_parameters.v[i].value};
}

static void ask(void *job)
{
	struct wanted *w = job;
	w->status = post_send(w->arena, &w->post, &w->why);
}

static void asked(void *job)
{
	struct wanted *w = job;
	if (!w->all) {
		refuse(w, true, S("the service ends"));
		return;
	}
	if (w->status < 200 || w->status > 299) {
		bool later = !w->status || w->status == 429 || w->status >= 500;
		refuse(w, later,
		       w->status ? arena_printf(w->arena, "The authorization endpoint answered %u.", w->status)
		                 : ARENA_CAT(w->arena, S("The authorization endpoint did not answer: "), w->why));
		return;
	}
	const struct json_value *v = json_parse(w->arena, w->answer.body, NULL), *life = json_get(v, S("expires_in"));
	struct str token = json_get_str(v, S("access_token"));
	int64_t life_s = TOKEN_S;
	if (!str_set(token)) {
		refuse(w, false, S("The authorization endpoint answered without an access token."));
		return;
	}
	if (life && !json_to_int(life->text, &life_s) && !str_to_i64(life->text, &life_s))
		life_s = TOKEN_S;
	struct kept *k = kept_of(w->all, &w->connection);
	k->token = arena_dup(&k->arena, token);
	k->token_until_ms = clock_wall_ms() + life_s * 1000;
	give(w, token);
}

/* --- the secret */

static void use_secret(struct wanted *w, struct kept *k)
{
	if (!connection_auth_read(w->arena, arena_dup(w->arena, k->secret), &w->auth))
		refuse(w, false, S("The secret of the connection is not what it was."));
	else if (!str_is(w->connection.r.type, CONNECTION_OAUTH))
		give(w, STR_NONE);
	else if (str_set(k->token) && k->token_until_ms - LEFT_MS > clock_wall_ms())
		give(w, arena_dup(w->arena, k->token));
	else {
		fill_request(w);
		work_add(connections_work(w->all), ask, asked, w);
	}
}

static void got_secret(void *ctx, struct call *sub)
{
	struct wanted *w = ctx;
	const struct secretsmanager_get_secret_value_response *out = sub->out;
	if (!w->all)
		refuse(w, true, S("the service ends"));
	else if (str_set(sub->error.code))
		refuse(w, sub->error.receiver, arena_dup(w->arena, sub->error.message));
	else {
		struct kept *k = kept_of(w->all, &w->connection);
		k->secret = arena_dup(&k->arena, out->secret_string);
		use_secret(w, k);
	}
}

void connection_ready(struct connections *all, struct arena *a, const struct connection *c, connection_ready_fn *fn, void *ctx)
{
	struct wanted *w = arena_new(a, struct wanted);
	struct kept *k = kept_of(all, c);
	*w = (struct wanted){.all = all, .arena = a, .connection = *c, .fn = fn, .ctx = ctx};
	list_init(&w->link);
	list_push(&all->waiting, &w->link);
	if (str_set(k->secret)) {
		use_secret(w, k);
		return;
	}
	struct principal *self = principal_new(PRINCIPAL_ROOT, c->account);
	const struct secretsmanager_get_secret_value_request in = {.secret_id = c->r.secret};
	call_op(all->cloud, self, c->region, &secretsmanager_api, "GetSecretValue", &in, got_secret, w);
	principal_unref(self);
}

/* --- how fast */

int64_t connections_slot_ms(struct connections *all, struct str destination_arn, int64_t rate, int64_t now_ms)
{
	struct slot *s = map_get(&all->slots, destination_arn);
	double now = (double)now_ms;
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			die("out of memory (connections)");
		map_put(&all->slots, destination_arn, s);
	}
	/* What was not used within the last second is lost. */
	if (s->next_ms < now)
		s->next_ms = now;
	int64_t at_ms = (int64_t)s->next_ms;
	s->next_ms += 1000.0 / (double)(rate > 0 ? rate : 1);
	return at_ms;
}

/* --- connections that wait for their first token */

struct first {
	struct connections *all;
	struct arena arena;
	struct connection connection;
	struct str state, reason;
};

static void first_free(struct first *f)
{
	arena_done(&f->arena);
	free(f);
}

static void first_write(void *ctx);

static void first_written(void *ctx, int result, uint64_t revision)
{
	struct first *f = ctx;
	(void)revision;
	if (result == -EAGAIN)
		loop_add_timer(f->all->cloud->loop, 0, first_write, f);
	else
		first_free(f);
}

static void first_write(void *ctx)
{
	struct first *f = ctx;
	struct connection now;
	struct store_txn *t = store_begin(f->all->cloud->store, &f->arena);
	if (!connection_find(t, &f->arena, f->connection.account, f->connection.region, f->connection.name, &now) ||
	    now.r.modified.ms != f->connection.r.modified.ms || !str_is(now.r.state, "AUTHORIZING")) {
		store_abort(t);
		first_free(f);
		return;
	}
	now.r.state = f->state;
	now.r.reason = f->reason;
	if (str_is(f->state, "AUTHORIZED"))
		now.r.authorized = OPT_TIME(clock_wall_ms());
	record_put(t, &f->arena, now.key, EVENTS_ROW("Connection"), &now.r);
	store_commit(t, first_written, f);
}

static void first_ready(void *ctx, const struct connection_auth *auth, struct str token, bool later, struct str why)
{
	struct first *f = ctx;
	(void)token, (void)later;
	f->state = auth ? S("AUTHORIZED") : S("DEAUTHORIZED");
	f->reason = auth ? STR_NONE : arena_dup(&f->arena, str_sub(why, 0, 500));
	if (atomic_load(&f->all->cancel))
		first_free(f);
	else
		first_write(f);
}

static void changed(void *ctx, const struct store_event *e)
{
	struct connections *all = ctx;
	struct first *f = calloc(1, sizeof(*f));
	if (!f)
		die("out of memory (connections)");
	f->all = all;
	struct str_list parts = record_key_parts(&f->arena, arena_dup(&f->arena, e->key));
	struct store_txn *t = store_begin(all->cloud->store, &f->arena);
	bool there = str_set(e->value) && connection_find(t, &f->arena, parts.v[2], parts.v[3], parts.v[4], &f->connection);
	store_abort(t);
	if (there && str_is(f->connection.r.state, "AUTHORIZING"))
		connection_ready(all, &f->arena, &f->connection, first_ready, f);
	else
		first_free(f);
}

/* --- all of them */

struct work *connections_work(struct connections *all)
{
	if (!all->work)
		all->work = work_new(all->cloud->loop, THREADS);
	return all->work;
}

const atomic_bool *connections_cancel(const struct connections *all)
{
	return &all->cancel;
}

struct connections *connections_new(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct connections *all = calloc(1, sizeof(*all));
	if (!all)
		die("out of memory (connections)");
	all->cloud = cloud;
	list_init(&all->waiting);
	all->watch = record_follow(cloud->store, KEY_UNDER(&a, S("events"), S("connection")), changed, all);
	return all;
}

void connections_free(struct connections *all)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!all)
		return;
	store_unwatch(all->watch);
	atomic_store(&all->cancel, true);
	list_each (&all->waiting, struct wanted, link, w)
		w->all = NULL;
	if (all->work)
		work_free(all->work);
	while (map_next(&all->by_arn, &at, &key, &value)) {
		arena_done(&((struct kept *)value)->arena);
		free(value);
	}
	map_done(&all->by_arn);
	for (at = 0; map_next(&all->slots, &at, &key, &value);)
		free(value);
	map_done(&all->slots);
	free(all);
}
