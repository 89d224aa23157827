/* CreateArchive, UpdateArchive, DescribeArchive, ListArchives, DeleteArchive. An archive is a rule that nobody but it may change,
 * as on AWS: its target keeps what it gets (kept.h). */
#include "kept.h"

#include "base/clock.h"

enum { ARCHIVES_MAX = 100 };
#define DAY_MS INT64_C(86400000)
#define TICK_US INT64_C(3600000000)
#define RULE_PREFIX "Events-Archive-"
static const char managed_by[] = "prod.vhs.events.aws.internal";
static const char unreplayed[] = "\"replay-name\":[{\"exists\":false}]";

struct archive {
	struct str key, arn;
	struct state_events_archive_record r;
};

static struct str archive_arn(struct call *c, struct str name)
{
	return ARENA_CAT(c->arena, S("arn:aws:events:"), c->region, S(":"), c->account, S(":archive/"), name);
}

static bool find(struct call *c, struct str name, struct archive *ret)
{
	*ret = (struct archive){.key = KEY(c->arena, S("events"), S("archive"), c->account, c->region, name),
	                        .arn = archive_arn(c, name)};
	return record_get(call_txn(c), c->arena, ret->key, EVENTS_ROW("Archive"), &ret->r);
}

static int get(struct call *c, struct str name, struct archive *ret)
{
	return find(c, name, ret) ? CALL_OK : events_absent(c, "Archive %.*s does not exist.", STR_ARG(name));
}

bool archive_of_arn(struct call *c, struct str arn, struct state_events_archive_record *ret)
{
	struct archive a;
	struct str name = str_from_at(arn, (size_t)(str_rfind_char(arn, '/') + 1));
	if (!str_eq(arn, archive_arn(c, name)) || !find(c, name, &a))
		return false;
	*ret = a.r;
	return true;
}

/* The archive's pattern, without what was replayed. */
static int pattern_of(struct call *c, struct str pattern, struct str *ret)
{
	struct str why = STR_NONE;
	if (!pattern.n) {
		*ret = ARENA_CAT(c->arena, S("{"), str_from(unreplayed), S("}"));
		return CALL_OK;
	}
	if (!event_pattern_compile(c->arena, pattern, &why))
		return call_fail(c, "InvalidEventPatternException", 400, "Event pattern is not valid. Reason: %.*s", STR_ARG(why));
	ptrdiff_t brace = str_find_char(pattern, '{');
	*ret = ARENA_CAT(c->arena, S("{"), str_from(unreplayed), S(","), str_from_at(pattern, (size_t)brace + 1));
	return CALL_OK;
}

static int keep(struct call *c, struct archive *a, const struct bus_name *bus)
{
	struct rule rule;
	struct str name = ARENA_CAT(c->arena, S(RULE_PREFIX), a->r.name);
	if (!rule_find(call_txn(c), c->arena, bus, name, &rule)) {
		rule.r = (struct state_events_rule_record){
		        .name = name, .state = S("ENABLED"), .created = OPT_TIME(c->now_ms), .managed_by = str_from(managed_by)};
		*LIST_ADD(c->arena, &rule.r.targets) = (struct events_target){.id = S("Archive"), .arn = a->arn};
	}
	if (pattern_of(c, a->r.pattern, &rule.r.pattern) != CALL_OK)
		return CALL_FAIL;
	rule_put(c, &rule);
	record_put(call_txn(c), c->arena, a->key, EVENTS_ROW("Archive"), &a->r);
	return CALL_OK;
}

static int no_keys(struct call *c, struct str kms)
{
	return kms.n ? events_invalid(
	                       c,
	                       "Parameter KmsKeyIdentifier is not valid. Reason: Archives are not encrypted with keys of KMS here.")
	             : CALL_OK;
}

int events_create_archive(struct call *c, const struct events_create_archive_request *in,
                          struct events_create_archive_response *out)
{
	struct archive a;
	struct bus b;
	struct events_page p;
	struct str token = STR_NONE;
	if (no_keys(c, in->kms_key_identifier) != CALL_OK || bus_get(c, in->event_source_arn, &b) != CALL_OK)
		return CALL_FAIL;
	if (!str_eq(b.at.account, c->account))
		return events_invalid(c, "Parameter EventSourceArn is not valid. Reason: The bus is another account's.");
	if (find(c, in->archive_name, &a))
		return call_fail(c, "ResourceAlreadyExistsException", 400, "Archive %.*s already exists.",
		                 STR_ARG(in->archive_name));
	events_page_begin(c, &p, KEY_UNDER(c->arena, S("events"), S("archive"), c->account, c->region), OPT_INT(ARCHIVES_MAX - 1),
	                  STR_NONE);
	while (events_page_next(c, &p, STR_NONE, &token))
		;
	if (str_set(token))
		return call_fail(c, "LimitExceededException", 400, "The requested resource exceeds the maximum number allowed.");
	if (!kept_open(events_state(c->cloud), true))
		return call_broken(c, "the store of archives cannot be opened");
	a.r = (struct state_events_archive_record){.name = in->archive_name,
	                                           .bus = bus_arn(c->arena, &b.at),
	                                           .description = in->description,
	                                           .pattern = in->event_pattern.n ? in->event_pattern : STR_NONE,
	                                           .retention = OPT_INT(in->retention_days.v),
	                                           .created = OPT_TIME(c->now_ms)};
	if (keep(c, &a, &b.at) != CALL_OK)
		return CALL_FAIL;
	out->archive_arn = a.arn;
	out->state = S("ENABLED");
	out->creation_time = a.r.created;
	return CALL_OK;
}

int events_update_archive(struct call *c, const struct events_update_archive_request *in,
                          struct events_update_archive_response *out)
{
	struct archive a;
	struct bus_name bus;
	if (no_keys(c, in->kms_key_identifier) != CALL_OK || get(c, in->archive_name, &a) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->description))
		a.r.description = in->description;
	if (str_set(in->event_pattern))
		a.r.pattern = in->event_pattern.n ? in->event_pattern : STR_NONE;
	if (in->retention_days.set)
		a.r.retention = in->retention_days;
	bus_name_of(c, a.r.bus, &bus);
	if (keep(c, &a, &bus) != CALL_OK)
		return CALL_FAIL;
	out->archive_arn = a.arn;
	out->state = S("ENABLED");
	out->creation_time = a.r.created;
	return CALL_OK;
}

int events_describe_archive(struct call *c, const struct events_describe_archive_request *in,
                            struct events_describe_archive_response *out)
{
	struct archive a;
	int64_t count, bytes;
	if (get(c, in->archive_name, &a) != CALL_OK)
		return CALL_FAIL;
	kept_count(kept_open(events_state(c->cloud), false), kept_archive(c->arena, c->account, c->region, a.r.name), &count,
	           &bytes);
	*out = (struct events_describe_archive_response){.archive_arn = a.arn,
	                                                 .archive_name = a.r.name,
	                                                 .event_source_arn = a.r.bus,
	                                                 .description = a.r.description,
	                                                 .event_pattern = a.r.pattern,
	                                                 .state = S("ENABLED"),
	                                                 .retention_days = a.r.retention,
	                                                 .size_bytes = OPT_INT(bytes),
	                                                 .event_count = OPT_INT(count),
	                                                 .creation_time = a.r.created};
	return CALL_OK;
}

int events_list_archives(struct call *c, const struct events_list_archives_request *in, struct events_list_archives_response *out)
{
	struct events_page p;
	out->archives.set = true;
	events_page_begin(c, &p, KEY_UNDER(c->arena, S("events"), S("archive"), c->account, c->region), in->limit, in->next_token);
	while (events_page_next(c, &p, in->name_prefix, &out->next_token)) {
		struct state_events_archive_record r;
		int64_t count, bytes;
		if (!record_read(c->arena, p.value, EVENTS_ROW("Archive"), &r) ||
		    (str_set(in->event_source_arn) && !str_eq(in->event_source_arn, r.bus)) ||
		    (str_set(in->state) && !str_is(in->state, "ENABLED")))
			continue;
		kept_count(kept_open(events_state(c->cloud), false), kept_archive(c->arena, c->account, c->region, r.name), &count,
		           &bytes);
		*LIST_ADD(c->arena, &out->archives) = (struct events_archive){.archive_name = r.name,
		                                                              .event_source_arn = r.bus,
		                                                              .state = S("ENABLED"),
		                                                              .retention_days = r.retention,
		                                                              .size_bytes = OPT_INT(bytes),
		                                                              .event_count = OPT_INT(count),
		                                                              .creation_time = r.created};
	}
	return CALL_OK;
}

static void drop_kept(struct call *c)
{
	const struct events_delete_archive_request *in = c->in;
	kept_forget(kept_open(events_state(c->cloud), false), kept_archive(c->arena, c->account, c->region, in->archive_name),
	            INT64_MAX);
}

int events_delete_archive(struct call *c, const struct events_delete_archive_request *in,
                          struct events_delete_archive_response *out)
{
	struct archive a;
	struct bus_name bus;
	struct rule rule;
	(void)out;
	if (get(c, in->archive_name, &a) != CALL_OK)
		return CALL_FAIL;
	bus_name_of(c, a.r.bus, &bus);
	if (rule_find(call_txn(c), c->arena, &bus, ARENA_CAT(c->arena, S(RULE_PREFIX), a.r.name), &rule))
		store_delete(call_txn(c), rule.key);
	store_delete(call_txn(c), a.key);
	call_after_commit(c, drop_kept);
	return CALL_OK;
}

/* --- what is older than it is to be kept */

static void tick(void *ctx)
{
	struct events_state *s = ctx;
	struct arena CLEAN_ARENA a = {0};
	s->tick = loop_add_clock_timer(s->cloud->loop, TICK_US, tick, s);
	struct kept_events *k = kept_open(s, false);
	if (!k)
		return;
	struct store_txn *t = store_begin(s->cloud->store, &a);
	struct str under = KEY_UNDER(&a, S("events"), S("archive")), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(&a, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(&a, key);
		struct state_events_archive_record r;
		if (record_read(&a, v.value, EVENTS_ROW("Archive"), &r) && r.retention.v)
			kept_forget(k, kept_archive(&a, parts.v[2], parts.v[3], r.name), clock_wall_ms() - r.retention.v * DAY_MS);
	}
	store_abort(t);
}

void archives_tick_start(struct events_state *s)
{
	s->tick = loop_add_clock_timer(s->cloud->loop, TICK_US, tick, s);
}
