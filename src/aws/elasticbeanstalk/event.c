/* Events: what happened, newest first, kept for six weeks. Whoever made a call finds what came of it by the call's request id. */
#include "environment.h"

#include <stdlib.h>

enum { USUAL = 1000, KEPT_DAYS = 42 };
#define DAY_MS ((int64_t)24 * 3600 * 1000)

static const struct record_type event_row = {&state_elasticbeanstalk_api, "EventRecord"};

struct events {
	int64_t lease, lease_until_ms;
};

/* One a day is enough for all events of that day. */
static int64_t lease(const struct scope *s)
{
	struct events *e = environments_events(s->cloud);
	if (!e->lease || s->now_ms >= e->lease_until_ms) {
		e->lease = store_lease_grant(s->cloud->store, (KEPT_DAYS + 1) * DAY_MS);
		e->lease_until_ms = s->now_ms + DAY_MS;
	}
	return e->lease;
}

struct events *events_new(void)
{
	struct events *e = calloc(1, sizeof(*e));
	if (!e)
		abort();
	return e;
}

void events_free(struct events *e)
{
	free(e);
}

void event_add(const struct scope *s, struct str request, struct elasticbeanstalk_event_description *e)
{
	struct state_elasticbeanstalk_event_record r = {.event = e};
	struct str key;
	struct store_value v;
	e->event_date = OPT_TIME(s->now_ms);
	e->request_id = request;
	/* the number keeps those of one millisecond in order */
	for (unsigned n = 0;; n++) {
		struct str at = arena_printf(s->arena, "%016llx%04x", (unsigned long long)s->now_ms, n);
		key = KEY(s->arena, S("elasticbeanstalk"), S("event"), s->account, s->region, at);
		if (!store_get(s->txn, key, &v))
			break;
	}
	store_put_leased(s->txn, key, record_write(s->arena, &event_row, &r), lease(s));
}

static int rank(struct str severity)
{
	static const char *const all[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
	for (int i = 0; i < (int)(sizeof(all) / sizeof(*all)); i++)
		if (str_is(severity, all[i]))
			return i;
	return 0;
}

static bool same(struct str wish, struct str is)
{
	return !str_set(wish) || str_eq(wish, is);
}

static bool passes(const struct elasticbeanstalk_describe_events_message *in, const struct elasticbeanstalk_event_description *e)
{
	return same(in->application_name, e->application_name) && same(in->version_label, e->version_label) &&
	       same(in->template_name, e->template_name) && same(in->environment_name, e->environment_name) &&
	       same(in->platform_arn, e->platform_arn) && same(in->request_id, e->request_id) &&
	       (!str_set(in->severity) || rank(e->severity) >= rank(in->severity)) &&
	       (!in->start_time.set || e->event_date.ms >= in->start_time.ms) &&
	       (!in->end_time.set || e->event_date.ms < in->end_time.ms);
}

int elasticbeanstalk_describe_events(struct call *c, const struct elasticbeanstalk_describe_events_message *in,
                                     struct elasticbeanstalk_event_descriptions_message *out)
{
	struct scope s = beanstalk_scope(c);
	struct page p;
	struct str under = beanstalk_under(&s, "event", STR_NONE), key, last = STR_NONE;
	struct store_value v;
	if (beanstalk_page(c, in->max_records, in->next_token, USUAL, &p) != CALL_OK)
		return CALL_FAIL;
	struct elasticbeanstalk_describe_events_message wish = *in;
	struct environment_record environment = {0};
	if (str_set(in->environment_id)) {
		if (!environment_find(&s, in->environment_id, &environment))
			return beanstalk_invalid(c, "No Environment found for EnvironmentId = '%.*s'.",
			                         STR_ARG(in->environment_id));
		wish.environment_name = environment.environment->environment_name;
	}
	struct store_iter *iter = store_scan(s.txn, under, store_prefix_end(s.arena, under), true);
	out->events.set = true;
	while (store_next(iter, &key, &v)) {
		struct state_elasticbeanstalk_event_record r = {0};
		struct str_list parts = record_key_parts(c->arena, key);
		struct str at = parts.v[parts.n - 1];
		if ((str_set(p.after) && str_cmp(at, p.after) >= 0) || !record_read(c->arena, v.value, &event_row, &r) ||
		    !passes(&wish, r.event))
			continue;
		if (!p.left--) {
			out->next_token = beanstalk_token(c, last);
			break;
		}
		last = at;
		*LIST_ADD(c->arena, &out->events) = *r.event;
	}
	return CALL_OK;
}
