/* One writer a configuration. Its lines are put by the service's principal, through the gate like everybody's: the account's
 * resource policy has to allow it. The stream is made when the first put finds none. */
#include "query_log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "engine/dns/name.h"
#include "engine/dns/rdata.h"
#include "gen/logs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	SECOND_US = 1000 * 1000,
	WAITING_MAX = 4 << 20,
	EVENTS_MAX = 10000,
	EVENT_BYTES_MAX = 1000 * 1000,
	EVENT_EXTRA = 26,
	LINE_MAX_BYTES = 1536
};

struct writer {
	struct arena arena;
	struct query_logs *logs;
	struct str id, account, zone, group, stream;
	struct buf waiting; /* lines; each behind its time, 8 bytes, and its length, 4 */
	uint64_t lost;
	bool busy, gone, tried_stream, complained;
};
struct query_logs {
	struct cloud *cloud;
	struct map by_zone, by_id; /* the same writers */
	struct loop_timer *timer;
	unsigned under_way;
	bool closing;
};

struct principal *query_log_principal(struct str account, struct str zone)
{
	struct principal *p = principal_new(PRINCIPAL_SERVICE, account);
	p->name = p->arn = p->user_id = S("route53.amazonaws.com");
	p->issuer_arn = ARENA_CAT(&p->arena, S("arn:aws:route53:::hostedzone/"), zone);
	return p;
}

struct str query_log_group(struct str arn, struct str account)
{
	const struct str head = S("arn:aws:logs:" ROUTE53_REGION ":");
	struct str rest = str_from_at(arn, head.n < arn.n ? head.n : arn.n);
	if (!str_starts(arn, head) || !str_eq(str_cut(&rest, ':'), account) || !str_starts(rest, S("log-group:")))
		return STR_NONE;
	rest = str_from_at(rest, sizeof("log-group:") - 1);
	if (str_ends(rest, S(":*")))
		rest.n -= 2;
	return rest.n && str_find_char(rest, ':') < 0 ? rest : STR_NONE;
}

/* --- writers */

static void writer_free(struct writer *w)
{
	buf_done(&w->waiting);
	arena_done(&w->arena);
	free(w);
}

static void drop(struct query_logs *q, struct str id)
{
	struct writer *w = map_remove(&q->by_id, id);
	if (!w)
		return;
	map_remove(&q->by_zone, w->zone);
	w->gone = true;
	if (!w->busy)
		writer_free(w);
}

void query_logs_take(struct query_logs *q, struct str account, struct str id, struct str value)
{
	struct arena CLEAN_ARENA a = {0};
	struct route53_query_logging_config config;
	drop(q, id);
	if (!str_set(value) || !route53_logging_read(&a, value, &config))
		return;
	struct str group = query_log_group(config.cloud_watch_logs_log_group_arn, account);
	struct writer *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	w->logs = q;
	w->id = arena_dup(&w->arena, id);
	w->account = arena_dup(&w->arena, account);
	w->zone = arena_dup(&w->arena, config.hosted_zone_id);
	w->group = arena_dup(&w->arena, group);
	w->stream = ARENA_CAT(&w->arena, w->zone, S("/" QUERY_LOG_EDGE));
	buf_init(&w->waiting, WAITING_MAX);
	map_put(&q->by_id, w->id, w);
	map_put(&q->by_zone, w->zone, w);
}

/* --- putting */

static void put(struct writer *w);

static void ended(struct writer *w)
{
	struct query_logs *q = w->logs;
	w->busy = false;
	q->under_way--;
	if (w->gone)
		writer_free(w);
	if (q->closing && !q->under_way)
		free(q);
}

static void complain(struct writer *w, const struct call *sub)
{
	if (!w->complained)
		log_warn("queries of zone %.*s cannot be logged to %.*s: %.*s: %.*s", STR_ARG(w->zone), STR_ARG(w->group),
		         STR_ARG(sub->error.code), STR_ARG(sub->error.message));
	w->complained = true;
}

static void stream_made(void *ctx, struct call *sub)
{
	struct writer *w = ctx;
	if (str_set(sub->error.code) && !str_is(sub->error.code, "ResourceAlreadyExistsException"))
		complain(w, sub);
	ended(w);
}

static void put_done(void *ctx, struct call *sub)
{
	struct writer *w = ctx;
	if (str_is(sub->error.code, "ResourceNotFoundException")) {
		/* what was in this batch comes again from the buffer's front: see put() */
		struct logs_create_log_stream_request in = {.log_group_name = w->group, .log_stream_name = w->stream};
		struct principal *as = query_log_principal(w->account, w->zone);
		call_op(w->logs->cloud, as, S(ROUTE53_REGION), &logs_api, "CreateLogStream", &in, stream_made, w);
		principal_unref(as);
		return;
	}
	if (str_set(sub->error.code)) {
		complain(w, sub);
	} else {
		w->complained = false;
	}
	const struct logs_put_log_events_request *in = sub->in;
	size_t bytes = 0;
	for (uint32_t i = 0; i < in->log_events.n; i++)
		bytes += sizeof(int64_t) + sizeof(uint32_t) + in->log_events.v[i].message.n;
	buf_consume(&w->waiting, bytes < w->waiting.n ? bytes : w->waiting.n);
	if (w->waiting.n && !w->gone && !w->logs->closing && !str_set(sub->error.code))
		put(w);
	else
		ended(w);
}

/* The lines stay where they are until they have been taken. */
static void put(struct writer *w)
{
	struct arena CLEAN_ARENA a = {0};
	struct logs_put_log_events_request in = {
	        .log_group_name = w->group, .log_stream_name = w->stream, .log_events = {.set = true}};
	size_t bytes = 0, at = 0;
	while (at < w->waiting.n && in.log_events.n < EVENTS_MAX) {
		int64_t ms;
		uint32_t n;
		memcpy(&ms, w->waiting.p + at, sizeof(ms));
		memcpy(&n, w->waiting.p + at + sizeof(ms), sizeof(n));
		bytes += n + EVENT_EXTRA;
		if (bytes > EVENT_BYTES_MAX)
			break;
		struct logs_input_log_event *e = LIST_ADD(&a, &in.log_events);
		e->timestamp = OPT_INT(ms);
		e->message = str_of(w->waiting.p + at + sizeof(ms) + sizeof(n), n);
		at += sizeof(ms) + sizeof(n) + n;
	}
	struct principal *as = query_log_principal(w->account, w->zone);
	call_op(w->logs->cloud, as, S(ROUTE53_REGION), &logs_api, "PutLogEvents", &in, put_done, w);
	principal_unref(as);
}

static void put_all(void *ctx)
{
	struct query_logs *q = ctx;
	size_t at = 0;
	struct str id;
	void *one;
	q->timer = NULL;
	while (map_next(&q->by_id, &at, &id, &one)) {
		struct writer *w = one;
		if (w->lost)
			log_warn("%llu queries of zone %.*s were not logged: they came too fast", (unsigned long long)w->lost,
			         STR_ARG(w->zone));
		w->lost = 0;
		if (!w->waiting.n || w->busy)
			continue;
		w->busy = true;
		q->under_way++;
		put(w);
	}
	if (q->by_id.count)
		q->timer = loop_add_timer(q->cloud->loop, SECOND_US, put_all, q);
}

/* --- lines */

bool query_logs_any(const struct query_logs *q)
{
	return q->by_zone.count > 0;
}

static size_t write_subnet(char *out, size_t max, const struct dns_query *q)
{
	if (!q->has_subnet)
		return (size_t)snprintf(out, max, "-");
	if (!q->subnet_is_6)
		return (size_t)snprintf(out, max, "%u.%u.%u.%u/%u", q->subnet >> 24, q->subnet >> 16 & 255, q->subnet >> 8 & 255,
		                        q->subnet & 255, q->subnet_bits);
	size_t n = 0;
	for (unsigned i = 0; i < 16; i += 2)
		n += (size_t)snprintf(out + n, max - n, i ? ":%x" : "%x", q->subnet6[i] << 8 | q->subnet6[i + 1]);
	return n + (size_t)snprintf(out + n, max - n, "/%u", q->subnet_bits);
}

/* "1.0 2017-12-13T08:16:02.130Z Z123412341234 example.com A NOERROR UDP FRA6 192.168.1.1 -" */
void query_logs_add(struct query_logs *q, const struct dns_found *found, uint32_t peer, const struct dns_query *query,
                    enum dns_said said)
{
	struct writer *w = found->private ? NULL : map_get(&q->by_zone, str_from(found->zone));
	if (!w)
		return;
	struct arena CLEAN_ARENA a = {0};
	char line[LINE_MAX_BYTES], when[24], subnet[64], other[16];
	int64_t ms = clock_wall_ms();
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	const char *type = dns_type_name(query->type);
	struct str name = query->plain ? str_from(query->name) : dns_name_text(&a, query->wire);
	if (!query->plain && name.n > 1)
		name.n--;
	gmtime_r(&s, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(other, sizeof(other), query->type == DNS_ANY ? "ANY" : "TYPE%u", query->type);
	write_subnet(subnet, sizeof(subnet), query);
	int n = snprintf(line, sizeof(line), "1.0 %s.%03dZ %s %.*s %s %s %s " QUERY_LOG_EDGE " %u.%u.%u.%u %s", when,
	                 (int)(ms % 1000), found->zone, STR_ARG(name), type ? type : other,
	                 said == DNS_ABSENT ? "NXDOMAIN" : "NOERROR", query->over_tcp ? "TCP" : "UDP", peer >> 24, peer >> 16 & 255,
	                 peer >> 8 & 255, peer & 255, subnet);
	uint32_t size = n < (int)sizeof(line) ? (uint32_t)n : sizeof(line) - 1;
	if (w->waiting.n + sizeof(ms) + sizeof(size) + size > WAITING_MAX) {
		w->lost++;
		return;
	}
	buf_add(&w->waiting, &ms, sizeof(ms));
	buf_add(&w->waiting, &size, sizeof(size));
	buf_add(&w->waiting, line, size);
	if (!q->timer)
		q->timer = loop_add_timer(q->cloud->loop, SECOND_US, put_all, q);
}

/* --- the whole */

struct query_logs *query_logs_new(struct cloud *cloud)
{
	struct query_logs *q = calloc(1, sizeof(*q));
	if (!q)
		abort();
	q->cloud = cloud;
	return q;
}

void query_logs_free(struct query_logs *q)
{
	size_t at = 0;
	struct str id;
	void *one;
	if (!q)
		return;
	q->closing = true;
	loop_remove_timer(q->cloud->loop, q->timer);
	while (map_next(&q->by_id, &at, &id, &one))
		if (((struct writer *)one)->busy)
			((struct writer *)one)->gone = true; /* ended() frees it */
		else
			writer_free(one);
	map_done(&q->by_id);
	map_done(&q->by_zone);
	if (!q->under_way)
		free(q);
}
