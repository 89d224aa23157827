/* PutEvents, and events of our own services. What is written in the transaction that takes an event are its deliveries, one a
 * target, so that an acknowledged event cannot be lost; one that nobody wants costs no write. */
#include "rows.h"

#include "base/clock.h"
#include "base/id.h"
#include "core/meter.h"

enum { CHUNK_BYTES = 64 * 1024 };

/* --- an event as text */

static void put_member(struct json_out *j, const char *key, struct str value)
{
	json_key(j, str_from(key));
	json_string(j, value);
}

struct str events_text(struct arena *a, const struct event_text *e)
{
	struct buf CLEAN_BUF b = {0};
	char when[40];
	buf_init(&b, 4 * EVENTS_ENTRIES_BYTES_MAX);
	struct json_out j = json_out(&b);
	/* In whole seconds, as AWS writes it. */
	time_format_to(when, e->at_ms - e->at_ms % 1000, TIME_ISO8601);
	json_open(&j, '{');
	put_member(&j, "version", S("0"));
	put_member(&j, "id", e->id);
	put_member(&j, "detail-type", e->type);
	put_member(&j, "source", e->source);
	put_member(&j, "account", e->account);
	put_member(&j, "time", str_from(when));
	put_member(&j, "region", e->region);
	json_key(&j, S("resources"));
	json_open(&j, '[');
	for (uint32_t i = 0; i < e->resources->n; i++)
		json_string(&j, e->resources->v[i]);
	json_close(&j, ']');
	json_key(&j, S("detail"));
	json_raw(&j, e->detail);
	json_close(&j, '}');
	return arena_dup(a, buf_str(&b));
}

/* --- to the targets */

void events_give(const struct happening *h, const struct state_events_rule_record *rule)
{
	struct arena *a = h->arena;
	struct str arn = rule_arn(a, &h->bus, rule->name);
	events_count(h->cloud, h->bus.account, h->bus.region, h->bus.name, rule->name, "TriggeredRules", 1);
	for (uint32_t i = 0; i < rule->targets.n; i++) {
		struct events_target *t = &rule->targets.v[i];
		if (h->forwarded && str_find(t->arn, S(":event-bus/")) >= 0)
			continue;
		if (h->given_bytes && (*h->given_bytes += h->text.n) > EVENTS_GIVEN_BYTES_MAX)
			return;
		const struct state_events_delivery_record row = {
		        .rule = arn,
		        .rule_name = rule->name,
		        .bus = h->bus.name,
		        .event = h->text,
		        .role = str_set(t->role_arn) ? t->role_arn : rule->role,
		        .dead_letter = t->dead_letter_config ? t->dead_letter_config->arn : STR_NONE,
		        .target = t,
		        .accepted = OPT_TIME(h->now_ms),
		        .due = OPT_TIME(h->now_ms),
		};
		events_deliver(h->txn, a, h->bus.account, h->bus.region, &row);
	}
}

static void wanted(void *ctx, const struct state_events_rule_record *rule)
{
	const struct happening *h = ctx;
	events_count(h->cloud, h->bus.account, h->bus.region, h->bus.name, rule->name, "MatchedEvents", 1);
	events_give(h, rule);
}

void events_take(const struct happening *h)
{
	struct events_state *s = events_state(h->cloud);
	struct happening copy = *h;
	if (s && event_rules_count(s->rules, &h->bus))
		event_rules_match(s->rules, &h->bus, json_parse(h->arena, h->text, NULL), wanted, &copy);
}

/* --- PutEvents */

/* What is wrong with an entry: its code; NULL: nothing. */
static const char *entry_wrong(struct call *c, const struct events_put_events_request_entry *e, struct str *ret_why)
{
	static const char invalid[] = "InvalidArgument";
	if (!e->source.n)
		*ret_why = S("Parameter Source is not valid. Reason: Source is a required argument.");
	else if (!e->detail_type.n)
		*ret_why = S("Parameter DetailType is not valid. Reason: DetailType is a required argument.");
	else if (!e->detail.n)
		*ret_why = S("Parameter Detail is not valid. Reason: Detail is a required argument.");
	else if (str_starts(e->source, S("aws."))) {
		*ret_why = S("Not authorized for the source.");
		return "NotAuthorizedForSourceException";
	} else if (!json_is(json_parse(c->arena, e->detail, NULL), JSON_OBJECT)) {
		*ret_why = S("Detail is malformed.");
		return "MalformedDetail";
	} else
		return NULL;
	return invalid;
}

static size_t entry_bytes(const struct events_put_events_request_entry *e)
{
	size_t n = e->source.n + e->detail_type.n + e->detail.n + (e->time.set ? 14 : 0);
	for (uint32_t i = 0; i < e->resources.n; i++)
		n += e->resources.v[i].n;
	return n;
}

static void take_entry(struct call *c, const struct events_put_events_request_entry *e, struct events_put_events_result_entry *r,
                       size_t *given_bytes)
{
	struct happening h = {
	        .cloud = c->cloud, .txn = call_txn(c), .arena = c->arena, .now_ms = c->now_ms, .given_bytes = given_bytes};
	struct bus b;
	r->event_id = id_uuid(c->arena);
	/* As on AWS, what is sent to a bus that is not there is taken, and heard by nobody. */
	if (!bus_name_of(c, e->event_bus_name, &h.bus) || !bus_find(call_txn(c), c->arena, &h.bus, &b))
		return;
	h.text = events_text(c->arena, &(struct event_text){.id = r->event_id,
	                                                    .type = e->detail_type,
	                                                    .source = e->source,
	                                                    .account = c->account,
	                                                    .region = c->region,
	                                                    .detail = e->detail,
	                                                    .resources = &e->resources,
	                                                    .at_ms = e->time.set ? e->time.ms : c->now_ms});
	events_take(&h);
}

int events_put_events(struct call *c, const struct events_put_events_request *in, struct events_put_events_response *out)
{
	size_t bytes = 0, given = 0;
	int64_t failed = 0;
	if (str_set(in->endpoint_id))
		return events_invalid(c, "Parameter EndpointId is not valid. Reason: There are no global endpoints here.");
	for (uint32_t i = 0; i < in->entries.n; i++)
		bytes += entry_bytes(&in->entries.v[i]);
	if (bytes > EVENTS_ENTRIES_BYTES_MAX)
		return events_invalid(c, "Total size of the entries in the request is over the limit.");
	out->entries.set = true;
	for (uint32_t i = 0; i < in->entries.n; i++) {
		const struct events_put_events_request_entry *e = &in->entries.v[i];
		struct events_put_events_result_entry *r = LIST_ADD(c->arena, &out->entries);
		const char *code = entry_wrong(c, e, &r->error_message);
		if (code) {
			r->error_code = str_from(code);
			failed++;
			continue;
		}
		take_entry(c, e, r, &given);
		/* Large events that very many targets want would not fit into one transaction. */
		if (given > EVENTS_GIVEN_BYTES_MAX)
			return call_fail(c, "ThrottlingException", 400, "Rate exceeded");
		meter_count(c->cloud->meter, c->account, c->region, S("Event-64K-Chunks"),
		            (int64_t)((entry_bytes(e) + CHUNK_BYTES - 1) / CHUNK_BYTES));
	}
	out->failed_entry_count = OPT_INT(failed);
	events_measure(c->cloud, c->account, c->region, "PutEventsApproximateCallCount", "Count", 1);
	events_measure(c->cloud, c->account, c->region, "PutEventsApproximateSuccessCount", "Count", 1);
	events_measure(c->cloud, c->account, c->region, "PutEventsEntriesCount", "Count", in->entries.n);
	events_measure(c->cloud, c->account, c->region, "PutEventsFailedEntriesCount", "Count", (double)failed);
	events_measure(c->cloud, c->account, c->region, "PutEventsRequestSize", "Bytes", (double)bytes);
	return CALL_OK;
}

/* --- our own services */

static struct events_state *listening; /* the process's; NULL: it has not begun, or has ended */

void events_listen(struct events_state *s)
{
	listening = s;
}

bool events_heard(struct str account, struct str region)
{
	return listening && event_rules_count(listening->rules, &(struct bus_name){account, region, S("default")});
}

void events_tell(struct store_txn *t, struct arena *a, const struct events_news *n)
{
	struct str resource = n->resource;
	const struct str_list resources = {.v = &resource, .n = str_set(resource)};
	if (!events_heard(n->account, n->region))
		return;
	const struct happening h = {.cloud = listening->cloud,
	                            .txn = t,
	                            .arena = a,
	                            .bus = {n->account, n->region, S("default")},
	                            .now_ms = clock_wall_ms(),
	                            .text = events_text(a, &(struct event_text){.id = id_uuid(a),
	                                                                        .type = n->type,
	                                                                        .source = n->source,
	                                                                        .account = n->account,
	                                                                        .region = n->region,
	                                                                        .detail = n->detail,
	                                                                        .resources = &resources,
	                                                                        .at_ms = n->at_ms})};
	events_take(&h);
}
