/* Sessions that are open, and the records of all that were. */
#include "sessions.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/uri.h"

#include <errno.h>
#include <stdlib.h>

enum { TOKEN_BYTES = 48, LOOK_US = 15 * 1000000, ID_DIGITS = 17, OPEN_MAX = 1000 };
#define TOKEN_US INT64_C(300000000)
#define IDLE_US INT64_C(1200000000)
#define KEPT_MS (INT64_C(30) * 24 * 3600 * 1000)
#define SWEEP_US INT64_C(3600000000)

static const struct record_type session_row = {&state_ssm_api, "SessionRecord"};

struct ssm_live {
	struct list node;
	struct sessions *all;
	struct arena arena;
	struct ssm_session_spec spec;
	unsigned char token[32]; /* its digest */
	int64_t token_until_us;  /* 0: used up */
	int64_t said_us;         /* when something was said last */
	const struct ssm_session_events *events;
	void *owner;
	bool connected;
};

struct sessions {
	struct cloud *cloud;
	struct list open, edits;
	unsigned count; /* that are open */
	struct loop_timer *timer;
	int64_t swept_us;
	bool stopping; /* what is open is found open, and ended, by the next process */
};

/* --- records */

struct str ssm_sessions_under(struct arena *a, struct str account, struct str region)
{
	return KEY_UNDER(a, S("ssm"), S("session"), account, region);
}

static struct str session_key(struct arena *a, const struct ssm_session_spec *spec)
{
	return KEY(a, S("ssm"), S("session"), spec->account, spec->region, spec->id);
}

bool ssm_session_read(struct arena *a, struct str value, struct state_ssm_session_record *ret)
{
	return record_read(a, value, &session_row, ret);
}

bool ssm_session_find(struct call *c, struct str id, struct state_ssm_session_record *ret)
{
	struct ssm_session_spec spec = {.account = c->account, .region = c->region, .id = id};
	return !memchr(id.p, 0, id.n) && record_get(call_txn(c), c->arena, session_key(c->arena, &spec), &session_row, ret);
}

/* One record's change on its way to the store, tried again when somebody was faster. */
struct edit {
	struct list node;
	struct sessions *all;
	struct arena arena, scratch;
	struct str key, status;
	bool drop; /* the record goes */
};

static void edit_run(struct edit *e);

static void edit_done(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	struct edit *e = ctx;
	arena_done(&e->scratch);
	if (result == -EAGAIN) {
		edit_run(e);
		return;
	}
	if (result < 0)
		log_error("ssm: a session's record cannot be written: %s", strerror(-result));
	list_remove(&e->node);
	arena_done(&e->arena);
	free(e);
}

static void edit_run(struct edit *e)
{
	struct store_txn *t = store_begin(e->all->cloud->store, &e->scratch);
	struct state_ssm_session_record r = {0};
	if (record_get(t, &e->scratch, e->key, &session_row, &r) && !str_is(r.status, "Terminated") && !e->drop) {
		r.status = e->status;
		if (str_is(e->status, "Terminated"))
			r.ended = OPT_TIME(clock_wall_ms());
		record_put(t, &e->scratch, e->key, &session_row, &r);
	} else if (e->drop) {
		store_delete(t, e->key);
	}
	store_commit(t, edit_done, e);
}

static void edit(struct sessions *all, struct str key, const char *status)
{
	struct edit *e = calloc(1, sizeof(*e));
	if (!e)
		abort();
	e->all = all;
	e->key = arena_dup(&e->arena, key);
	e->drop = !status;
	e->status = str_from(status ? status : "");
	list_push(&all->edits, &e->node);
	edit_run(e);
}

static void set_status(struct ssm_live *s, const char *status)
{
	struct arena CLEAN_ARENA a = {0};
	if (!s->all->stopping)
		edit(s->all, session_key(&a, &s->spec), status);
}

/* What an earlier process has left open has ended with it; what ended long ago is forgotten. */
static void sweep(struct sessions *all, bool first)
{
	struct arena CLEAN_ARENA a = {0};
	struct store_txn *t = store_begin(all->cloud->store, &a);
	struct str under = KEY_UNDER(&a, S("ssm"), S("session")), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(&a, under), false);
	struct store_value v;
	struct str_list over = {0}, old = {0};
	while (store_next(i, &key, &v)) {
		struct state_ssm_session_record r = {0};
		if (!ssm_session_read(&a, v.value, &r))
			continue;
		if (!str_is(r.status, "Terminated") && first)
			*LIST_ADD(&a, &over) = arena_dup(&a, key);
		else if (r.ended.set && r.ended.ms < clock_wall_ms() - KEPT_MS)
			*LIST_ADD(&a, &old) = arena_dup(&a, key);
	}
	store_abort(t);
	for (uint32_t n = 0; n < over.n; n++)
		edit(all, over.v[n], "Terminated");
	for (uint32_t n = 0; n < old.n; n++)
		edit(all, old.v[n], NULL);
	all->swept_us = clock_mono_us();
}

/* --- what is open */

static void session_end(struct ssm_live *s, struct str why)
{
	if (s->events)
		s->events->end(s->owner, why);
	else
		ssm_session_over(s);
}

static void look(void *ctx)
{
	struct sessions *all = ctx;
	int64_t now_us = clock_mono_us();
	all->timer = loop_add_timer(all->cloud->loop, LOOK_US, look, all);
	list_each (&all->open, struct ssm_live, node, s)
		if (now_us - s->said_us > IDLE_US)
			session_end(s, S("Your session timed out due to inactivity."));
	if (now_us - all->swept_us > SWEEP_US)
		sweep(all, false);
}

struct sessions *sessions_new(struct cloud *cloud)
{
	struct sessions *all = calloc(1, sizeof(*all));
	if (!all)
		abort();
	all->cloud = cloud;
	list_init(&all->open);
	list_init(&all->edits);
	all->timer = loop_add_timer(cloud->loop, LOOK_US, look, all);
	sweep(all, true);
	return all;
}

static void session_free(struct ssm_live *s)
{
	s->all->count--;
	list_remove(&s->node);
	arena_done(&s->arena);
	free(s);
}

void sessions_free(struct sessions *all)
{
	if (!all)
		return;
	all->stopping = true;
	list_each (&all->open, struct ssm_live, node, s) {
		if (s->events)
			s->events->end(s->owner, S("The cloud stops."));
		else
			session_free(s);
	}
	loop_remove_timer(all->cloud->loop, all->timer);
	free(all);
}

bool sessions_busy(const struct sessions *all)
{
	return !list_empty(&all->edits);
}

static struct ssm_live *find(struct sessions *all, struct str account, struct str region, struct str id)
{
	list_each (&all->open, struct ssm_live, node, s)
		if (str_eq(s->spec.id, id) &&
		    (!str_set(account) || (str_eq(s->spec.account, account) && str_eq(s->spec.region, region))))
			return s;
	return NULL;
}

static struct str new_token(struct call *c, unsigned char digest[static 32])
{
	unsigned char bytes[TOKEN_BYTES], all[HASH_MAX_BYTES];
	char text[2 * TOKEN_BYTES + 1];
	rand_bytes(bytes, sizeof(bytes));
	hex_encode(bytes, sizeof(bytes), text);
	struct str token = arena_dup(c->arena, str_of(text, sizeof(text) - 1));
	hash_of(HASH_SHA256, token, all);
	memcpy(digest, all, 32);
	return token;
}

/* By the way that the client came itself. */
static struct str stream_url(struct call *c, struct str id)
{
	struct buf CLEAN_BUF b;
	struct str host = call_header(c, S("host")), endpoint = str_from(c->cloud->endpoint);
	buf_init(&b, 4096);
	buf_add_str(&b, call_over_tls(c) ? S("wss://") : S("ws://"));
	buf_add_str(&b, host.n ? host : str_from_at(endpoint, (size_t)(str_find(endpoint, S("://")) + 3)));
	buf_add_lit(&b, "/v1/data-channel/");
	uri_put(&b, id, false);
	buf_add_lit(&b, "?role=publish_subscribe");
	return arena_dup(c->arena, buf_str(&b));
}

/* What a call leaves behind once it is durable. */
struct begun {
	const struct ssm_session_spec *spec; /* NULL: of a session that is there */
	struct ssm_live *session;
	unsigned char token[32];
};

static void take_token(struct ssm_live *s, const unsigned char token[static 32])
{
	memcpy(s->token, token, sizeof(s->token));
	s->token_until_us = clock_mono_us() + TOKEN_US;
}

static void begun(struct call *c)
{
	const struct begun *b = c->state;
	struct sessions *all = ssm_sessions(c->cloud);
	struct ssm_live *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	const struct ssm_session_spec *from = b->spec;
	struct arena *a = &s->arena;
	s->all = all;
	s->spec = *from;
	struct str *texts[] = {&s->spec.id,       &s->spec.account, &s->spec.region,     &s->spec.target,
	                       &s->spec.document, &s->spec.type,    &s->spec.properties, &s->spec.owner,
	                       &s->spec.why,      &s->spec.place,   &s->spec.container};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		*texts[i] = str_set(*texts[i]) ? arena_dup(a, *texts[i]) : STR_NONE;
	s->spec.words = (struct str_list){0};
	for (uint32_t i = 0; i < from->words.n; i++)
		*LIST_ADD(a, &s->spec.words) = arena_dup(a, from->words.v[i]);
	s->said_us = clock_mono_us();
	take_token(s, b->token);
	list_push(&all->open, &s->node);
	all->count++;
}

int ssm_session_begin(struct call *c, struct str prefix, struct ssm_session_spec *spec, struct ssm_session_keys *ret)
{
	struct begun *b = arena_new(c->arena, struct begun);
	if (ssm_sessions(c->cloud)->count >= OPEN_MAX)
		return call_fail(c, "ThrottlingException", 400, "Rate exceeded: %d sessions are open.", OPEN_MAX);
	spec->account = c->account;
	spec->region = c->region;
	spec->owner = c->caller->arn;
	spec->id = ARENA_CAT(c->arena, prefix, S("-"), id_hex(c->arena, ID_DIGITS));
	*ret = (struct ssm_session_keys){.id = spec->id, .url = stream_url(c, spec->id), .token = new_token(c, b->token)};
	b->spec = spec;
	struct state_ssm_session_record r = {.session_id = spec->id,
	                                     .target = spec->target,
	                                     .status = S("Connecting"),
	                                     .started = OPT_TIME(c->now_ms),
	                                     .document = spec->document,
	                                     .owner = spec->owner,
	                                     .owner_id = c->caller->user_id,
	                                     .reason = spec->why};
	record_put(call_txn(c), c->arena, session_key(c->arena, spec), &session_row, &r);
	c->state = b;
	call_after_commit(c, begun);
	return CALL_OK;
}

static void resumed(struct call *c)
{
	const struct begun *b = c->state;
	take_token(b->session, b->token);
}

bool ssm_session_resume(struct call *c, struct str id, struct ssm_session_keys *ret)
{
	struct begun *b = arena_new(c->arena, struct begun);
	b->session = find(ssm_sessions(c->cloud), c->account, c->region, id);
	if (!b->session)
		return false;
	*ret = (struct ssm_session_keys){.id = id, .url = stream_url(c, id), .token = new_token(c, b->token)};
	c->state = b;
	call_after_commit(c, resumed);
	return true;
}

void ssm_session_terminate(struct cloud *cloud, struct str account, struct str region, struct str id)
{
	struct ssm_live *s = find(ssm_sessions(cloud), account, region, id);
	if (s)
		session_end(s, STR_NONE);
}

/* --- for the data channel */

struct ssm_live *ssm_session_open(struct cloud *cloud, struct str id, struct str token)
{
	unsigned char digest[HASH_MAX_BYTES];
	struct ssm_live *s = find(ssm_sessions(cloud), STR_NONE, STR_NONE, id);
	hash_of(HASH_SHA256, token, digest);
	if (!s || !hash_equal(str_of((const char *)digest, 32), str_of((const char *)s->token, 32)) ||
	    clock_mono_us() >= s->token_until_us)
		return NULL;
	s->token_until_us = 0;
	s->said_us = clock_mono_us();
	return s;
}

const struct ssm_session_spec *ssm_session_spec(const struct ssm_live *s)
{
	return &s->spec;
}

void *ssm_session_owner(const struct ssm_live *s)
{
	return s->owner;
}

void ssm_session_own(struct ssm_live *s, const struct ssm_session_events *events, void *owner)
{
	s->events = events;
	s->owner = owner;
}

void ssm_session_connected(struct ssm_live *s, bool is)
{
	if (s->connected != is)
		set_status(s, is ? "Connected" : "Disconnected");
	s->connected = is;
}

void ssm_session_touch(struct ssm_live *s)
{
	s->said_us = clock_mono_us();
}

void ssm_session_over(struct ssm_live *s)
{
	set_status(s, "Terminated");
	session_free(s);
}
