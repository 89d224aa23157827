/* CreateEventBus, UpdateEventBus, DescribeEventBus, ListEventBuses, DeleteEventBus. The default bus has a record once something of
 * it was changed. */
#include "rows.h"

enum { BUSES_MAX = 100 };

static int check_settings(struct call *c, struct str kms, const struct events_log_config *log,
                          const struct events_dead_letter_config *dead)
{
	if (kms.n)
		return events_invalid(
		        c, "Parameter KmsKeyIdentifier is not valid. Reason: Buses are not encrypted with keys of KMS here.");
	if (log && str_set(log->level) && !str_is(log->level, "OFF"))
		return events_invalid(c, "Parameter LogConfig is not valid. Reason: Buses write no logs here.");
	if (dead && str_set(dead->arn) && !str_starts(dead->arn, S("arn:aws:sqs:")))
		return events_invalid(c, "Parameter DeadLetterConfig is not valid. Reason: %.*s is no queue.", STR_ARG(dead->arn));
	return CALL_OK;
}

static struct events_dead_letter_config *dead_letter(struct arena *a, struct str arn)
{
	struct events_dead_letter_config *d = arena_new(a, struct events_dead_letter_config);
	d->arn = arn;
	return str_set(arn) ? d : NULL;
}

int events_create_event_bus(struct call *c, const struct events_create_event_bus_request *in,
                            struct events_create_event_bus_response *out)
{
	struct bus b;
	struct str under = KEY_UNDER(c->arena, S("events"), S("bus"), c->account, c->region), token = STR_NONE;
	struct events_page p;
	if (str_set(in->event_source_name))
		return events_invalid(c,
		                      "Parameter EventSourceName is not valid. Reason: There are no partner event sources here.");
	if (str_find_char(in->name, '/') >= 0 || str_starts(in->name, S("arn:")))
		return events_invalid(c, "Event bus name must not contain '/'.");
	if (check_settings(c, in->kms_key_identifier, in->log_config, in->dead_letter_config) != CALL_OK)
		return CALL_FAIL;
	const struct bus_name at = {c->account, c->region, in->name};
	if (bus_find(call_txn(c), c->arena, &at, &b))
		return call_fail(c, "ResourceAlreadyExistsException", 400, "Event bus %.*s already exists.", STR_ARG(in->name));
	events_page_begin(c, &p, under, OPT_INT(BUSES_MAX - 1), STR_NONE);
	while (events_page_next(c, &p, STR_NONE, &token))
		;
	if (str_set(token))
		return call_fail(c, "LimitExceededException", 400, "The requested resource exceeds the maximum number allowed.");
	if (events_take_tags(c, &b.r.tags, &in->tags) != CALL_OK)
		return CALL_FAIL;
	b.r.description = in->description;
	b.r.dead_letter = in->dead_letter_config ? in->dead_letter_config->arn : STR_NONE;
	bus_put(c, &b);
	out->event_bus_arn = bus_arn(c->arena, &at);
	out->description = in->description;
	out->dead_letter_config = in->dead_letter_config;
	return CALL_OK;
}

int events_update_event_bus(struct call *c, const struct events_update_event_bus_request *in,
                            struct events_update_event_bus_response *out)
{
	struct bus b;
	if (bus_get(c, in->name, &b) != CALL_OK ||
	    check_settings(c, in->kms_key_identifier, in->log_config, in->dead_letter_config) != CALL_OK)
		return CALL_FAIL;
	b.r.description = in->description;
	b.r.dead_letter = in->dead_letter_config ? in->dead_letter_config->arn : STR_NONE;
	bus_put(c, &b);
	out->arn = bus_arn(c->arena, &b.at);
	out->name = b.at.name;
	out->description = in->description;
	out->dead_letter_config = in->dead_letter_config;
	return CALL_OK;
}

int events_describe_event_bus(struct call *c, const struct events_describe_event_bus_request *in,
                              struct events_describe_event_bus_response *out)
{
	struct bus b;
	if (bus_get(c, in->name, &b) != CALL_OK)
		return CALL_FAIL;
	out->name = b.at.name;
	out->arn = bus_arn(c->arena, &b.at);
	out->description = b.r.description;
	out->policy = b.r.policy;
	out->dead_letter_config = dead_letter(c->arena, b.r.dead_letter);
	out->creation_time = b.r.created;
	out->last_modified_time = b.r.modified;
	return CALL_OK;
}

static void show(struct call *c, struct events_list_event_buses_response *out, const struct bus *b)
{
	struct events_event_bus *e = LIST_ADD(c->arena, &out->event_buses);
	e->name = b->at.name;
	e->arn = bus_arn(c->arena, &b->at);
	e->description = b->r.description;
	e->policy = b->r.policy;
	e->creation_time = b->r.created;
	e->last_modified_time = b->r.modified;
}

int events_list_event_buses(struct call *c, const struct events_list_event_buses_request *in,
                            struct events_list_event_buses_response *out)
{
	struct str under = KEY_UNDER(c->arena, S("events"), S("bus"), c->account, c->region);
	const struct bus_name standard = {c->account, c->region, S("default")};
	struct events_page p;
	struct bus b;
	out->event_buses.set = true;
	events_page_begin(c, &p, under, in->limit, in->next_token);
	/* First and apart from the others: it is there even if it has no record. */
	if (!str_set(in->next_token) && (!str_set(in->name_prefix) || str_starts(standard.name, in->name_prefix))) {
		bus_find(call_txn(c), c->arena, &standard, &b);
		show(c, out, &b);
	}
	while (events_page_next(c, &p, in->name_prefix, &out->next_token)) {
		b = (struct bus){.at = {c->account, c->region, p.last}};
		if (!str_is(p.last, "default") && record_read(c->arena, p.value, EVENTS_ROW("Bus"), &b.r))
			show(c, out, &b);
	}
	return CALL_OK;
}

int events_delete_event_bus(struct call *c, const struct events_delete_event_bus_request *in, struct model_none *out)
{
	struct bus b;
	struct bus_name at;
	(void)out;
	if (!bus_name_of(c, in->name, &at) || str_is(at.name, "default"))
		return events_invalid(c, "Cannot delete event bus %.*s.", STR_ARG(in->name));
	if (!bus_find(call_txn(c), c->arena, &at, &b))
		return CALL_OK;
	struct str under = KEY_UNDER(c->arena, S("events"), S("rule"), at.account, at.region, at.name), key;
	struct store_value v;
	if (store_next(store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false), &key, &v))
		return events_invalid(c, "Cannot delete event bus %.*s: it has rules.", STR_ARG(at.name));
	store_delete(call_txn(c), b.key);
	return CALL_OK;
}
