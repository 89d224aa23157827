/* Subscriptions and their buffers. An event is spelled once for each subscriber, into the buffer of its next batch. */
#include "aws/lambda/telemetry.h"

#include "aws/lambda/extension.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "core/listen.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	EARLY_EVENTS = 1000,
	EARLY_BYTES = 256 * 1024,
	EVENT_BYTES = 2 << 20,
	ALL_BYTES = 64 << 20, /* in all environments together */
};

/* An event of the initialisation, for whoever subscribes later in it. */
struct early {
	struct list at;
	enum telemetry_kind kind;
	const char *type; /* a constant */
	int64_t ms;
	size_t record_n, plain_n;
	bool has_plain;
	char bytes[];
};

struct telemetry *telemetry_new(struct environment *e)
{
	struct telemetry *t = calloc(1, sizeof(*t));
	if (!t)
		abort();
	t->environment = e;
	list_init(&t->early);
	return t;
}

static void forget_early(struct telemetry *t)
{
	list_each (&t->early, struct early, at, one) {
		list_remove(&one->at);
		free(one);
	}
	t->early_count = 0;
	t->early_bytes = 0;
}

static void count_bytes(struct telemetry *t, size_t added, size_t gone)
{
	t->environment->lambda->telemetry_bytes += added;
	t->environment->lambda->telemetry_bytes -= gone;
}

static void free_subscription(struct subscription *s)
{
	telemetry_send_stop(s);
	count_bytes(s->telemetry, 0, s->pending.n + s->sending.n);
	buf_done(&s->pending);
	buf_done(&s->sending);
	free(s);
}

void telemetry_end_of_init(struct telemetry *t)
{
	t->collecting = false;
	forget_early(t);
}

void telemetry_reset(struct telemetry *t)
{
	for (unsigned i = 0; i < t->count; i++)
		free_subscription(t->v[i]);
	t->count = 0;
	t->collecting = t->paused = t->flushing = false;
	forget_early(t);
}

void telemetry_free(struct telemetry *t)
{
	telemetry_reset(t);
	free(t);
}

/* --- events into buffers */

static void add(struct subscription *s, struct str event)
{
	size_t before = s->pending.n;
	if (before)
		buf_add_char(&s->pending, s->wanted.tcp ? '\n' : ',');
	buf_add_str(&s->pending, event);
	s->pending_count++;
	count_bytes(s->telemetry, s->pending.n - before, 0);
}

static bool has_room(struct subscription *s, size_t n)
{
	struct telemetry *t = s->telemetry;
	if (s->pending.n && ((int64_t)(s->pending.n + n) > s->wanted.max_bytes || s->pending_count >= s->wanted.max_items))
		telemetry_send(s); /* the batch is full; the next one begins, if nothing is under way */
	bool fits = !s->pending.n || ((int64_t)(s->pending.n + n) <= s->wanted.max_bytes && s->pending_count < s->wanted.max_items);
	return fits && t->environment->lambda->telemetry_bytes + n <= ALL_BYTES;
}

static void spell(struct buf *b, const char *type, int64_t ms, struct str record)
{
	char when[40];
	time_format_to(when, ms, TIME_ISO8601_MS);
	buf_printf(b, "{\"time\":\"%s\",\"type\":\"%s\",\"record\":", when, type);
	buf_add_str(b, record);
	buf_add_char(b, '}');
}

static void give(struct subscription *s, enum telemetry_kind kind, const char *type, int64_t ms, struct str record,
                 struct str plain)
{
	if (!(s->wanted.types & kind) || !telemetry_has_type(s->wanted.schema, type))
		return;
	bool old =
	        s->wanted.schema < TELEMETRY_2022_07_01 || (s->wanted.schema == TELEMETRY_2022_07_01 && kind != TELEMETRY_PLATFORM);
	struct arena CLEAN_ARENA a;
	struct buf CLEAN_BUF b, dropped;
	arena_init(&a, 0);
	buf_init(&b, EVENT_BYTES);
	buf_init(&dropped, EVENT_BYTES);
	spell(&b, type, ms, old && str_set(plain) ? plain : record);
	if (s->dropped_records)
		spell(&dropped, "platform.logsDropped", clock_wall_ms(),
		      telemetry_dropped_record(&a, s->dropped_records, s->dropped_bytes));
	if (b.overflow || !has_room(s, b.n + dropped.n)) {
		s->dropped_records++;
		s->dropped_bytes += b.n;
		return;
	}
	/* first what is missing before it */
	if (s->dropped_records)
		add(s, buf_str(&dropped));
	s->dropped_records = s->dropped_bytes = 0;
	add(s, buf_str(&b));
	bool full = s->pending_count >= s->wanted.max_items || (int64_t)s->pending.n >= s->wanted.max_bytes;
	if (full || s->telemetry->flushing)
		telemetry_send(s);
	else
		telemetry_send_soon(s, s->wanted.timeout_ms * 1000);
}

static void keep_early(struct telemetry *t, enum telemetry_kind kind, const char *type, int64_t ms, struct str record,
                       struct str plain)
{
	size_t n = record.n + plain.n;
	if (t->early_count >= EARLY_EVENTS || t->early_bytes + n > EARLY_BYTES)
		return;
	struct early *one = calloc(1, sizeof(*one) + n);
	if (!one)
		abort();
	*one = (struct early){
	        .kind = kind, .type = type, .ms = ms, .record_n = record.n, .plain_n = plain.n, .has_plain = str_set(plain)};
	memcpy(one->bytes, record.p, record.n);
	if (plain.n)
		memcpy(one->bytes + record.n, plain.p, plain.n);
	list_init(&one->at);
	list_push(&t->early, &one->at);
	t->early_count++;
	t->early_bytes += n;
}

void telemetry_put(struct telemetry *t, enum telemetry_kind kind, const char *type, struct str record, struct str plain)
{
	int64_t ms = clock_wall_ms();
	if (t->collecting)
		keep_early(t, kind, type, ms, record, plain);
	for (unsigned i = 0; i < t->count; i++)
		give(t->v[i], kind, type, ms, record, plain);
}

/* --- subscriptions */

static struct subscription *subscription_of(struct telemetry *t, const struct extension *one)
{
	for (unsigned i = 0; i < t->count; i++)
		if (!strcmp(t->v[i]->name, one->name))
			return t->v[i];
	return NULL;
}

/* old: what it had in another form; NULL: nothing. */
static void subscribe(struct telemetry *t, const struct extension *one, const struct telemetry_request *wanted,
                      struct subscription *old)
{
	if (old) {
		unsigned at = 0;
		while (t->v[at] != old)
			at++;
		t->v[at] = t->v[--t->count];
		free_subscription(old);
	}
	struct subscription *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->telemetry = t;
	s->fd = -1;
	s->wanted = *wanted;
	memcpy(s->name, one->name, sizeof(s->name));
	buf_init(&s->pending, EVENT_BYTES + 1);
	buf_init(&s->sending, EVENT_BYTES + 4096);
	t->v[t->count++] = s;
	list_each (&t->early, struct early, at, early)
		give(s, early->kind, early->type, early->ms, str_of(early->bytes, early->record_n),
		     early->has_plain ? str_of(early->bytes + early->record_n, early->plain_n) : STR_NONE);
}

void telemetry_take_subscription(struct telemetry *t, struct extension *one, bool logs_api, struct http_request *r, struct str body)
{
	static const struct listen_header json_type = {S_INIT("Content-Type"), S_INIT("application/json")};
	struct telemetry_request wanted;
	struct str why;
	const char *invalid = logs_api ? "Logs.ValidationError" : "ValidationError";
	if (t->environment->extensions->closed) {
		extension_api_refuse(r, 403, logs_api ? "Logs.SubscriptionClosed" : "Telemetry.SubscriptionClosed",
		                     S("Subscriptions are taken during the initialisation only"));
		return;
	}
	if (!telemetry_read_request(listen_arena(r), logs_api, body, &wanted, &why)) {
		extension_api_refuse(r, 400, invalid, why);
		return;
	}
	struct subscription *old = subscription_of(t, one);
	if (old && (old->wanted.schema < TELEMETRY_2022_07_01) != logs_api) {
		extension_api_refuse(r, 400, invalid, S("the extension is subscribed through the other API"));
		return;
	}
	/* the same again is no second one: it has begun, and goes on as it is now wanted */
	if (old && old->wanted.tcp == wanted.tcp)
		old->wanted = wanted;
	else
		subscribe(t, one, &wanted, old);
	telemetry_subscribed(t, one, &wanted);
	listen_reply(r, 200, &json_type, 1, S("\"OK\""));
}

/* --- all of them */

void telemetry_pause(struct telemetry *t)
{
	t->paused = true;
	for (unsigned i = 0; i < t->count; i++)
		telemetry_send_pause(t->v[i]);
}

void telemetry_resume(struct telemetry *t)
{
	if (!t->paused)
		return;
	t->paused = false;
	for (unsigned i = 0; i < t->count; i++)
		telemetry_send_resume(t->v[i]);
}

void telemetry_flush(struct telemetry *t)
{
	telemetry_resume(t);
	t->flushing = true;
	for (unsigned i = 0; i < t->count; i++)
		telemetry_send(t->v[i]);
}

void telemetry_connected(struct telemetry *t, unsigned question, int fd)
{
	for (unsigned i = 0; i < t->count; i++)
		if (t->v[i]->delivery == DELIVERY_ASKED && t->v[i]->question == question) {
			telemetry_send_connected(t->v[i], fd);
			return;
		}
	if (fd >= 0)
		close(fd);
}
