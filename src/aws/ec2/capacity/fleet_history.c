/* What is asked about a fleet that is kept: what has happened to it, and which instances it has. */
#include "aws/ec2/capacity/fleet_plan.h"

#include "aws/ec2/ec2.h"

enum { EVENTS_MAX = 100, LISTED_MS = 48 * 3600 * 1000 };

void fleet_note(const struct ec2_scope *s, struct state_ec2_fleet_record *r, int64_t now_ms, const char *type, const char *subtype,
                struct str instance, struct str description)
{
	struct ec2_history_record_set kept = {0};
	uint32_t from = r->history.n < EVENTS_MAX ? 0 : r->history.n - EVENTS_MAX + 1;
	for (uint32_t k = from; k < r->history.n; k++)
		*LIST_ADD(s->arena, &kept) = r->history.v[k];
	struct ec2_history_record_entry *e = LIST_ADD(s->arena, &kept);
	e->event_type = str_from(type);
	e->timestamp = OPT_TIME(now_ms);
	e->event_information = arena_new(s->arena, struct ec2_event_information);
	*e->event_information = (struct ec2_event_information){
	        .event_sub_type = str_from(subtype), .instance_id = instance, .event_description = description};
	r->history = kept;
}

/* The fleet, if it is one that is kept. */
static int find_kept(struct call *c, struct str id, const char *what, struct state_ec2_fleet_record *ret)
{
	if (ec2_get(c, &ec2_kind_fleet, id, ret) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(ret->fleet->type, "instant"))
		return CALL_OK;
	return call_fail(c, "Unsupported", 400, "Fleet %.*s is instant fleet. %s is not supported by this type of fleet",
	                 STR_ARG(id), what);
}

int ec2_describe_fleet_history(struct call *c, const struct ec2_describe_fleet_history_request *in,
                               struct ec2_describe_fleet_history_result *out)
{
	struct state_ec2_fleet_record r;
	struct str after;
	uint64_t skip = 0;
	if (find_kept(c, in->fleet_id, "Describe fleet history", &r) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 1, 1000, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	if (str_set(after) && !str_to_u64(after, &skip))
		return ec2_invalid(c, "The token '%.*s' is invalid", STR_ARG(in->next_token));
	out->history_records.set = true;
	out->fleet_id = in->fleet_id;
	out->start_time = in->start_time;
	out->last_evaluated_time = OPT_TIME(c->now_ms);
	uint64_t at = 0;
	for (uint32_t k = 0; k < r.history.n; k++) {
		const struct ec2_history_record_entry *e = &r.history.v[k];
		if (e->timestamp.ms < in->start_time.ms || e->timestamp.ms + LISTED_MS < c->now_ms ||
		    (in->event_type.n && !str_eq(in->event_type, e->event_type)) || at++ < skip)
			continue;
		if (in->max_results.set && out->history_records.n == (uint64_t)in->max_results.v) {
			out->next_token = ec2_page_token(c, arena_printf(c->arena, "%llu", (unsigned long long)at - 1));
			break;
		}
		*LIST_ADD(c->arena, &out->history_records) = *e;
	}
	return CALL_OK;
}

static const struct ec2_field fields[] = {
        FIELD_TEXT("instance-type", ec2_instance, instance_type),
        {0},
};

int ec2_describe_fleet_instances(struct call *c, const struct ec2_describe_fleet_instances_request *in,
                                 struct ec2_describe_fleet_instances_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_fleet_record r;
	struct str after;
	if (ec2_filters_check(c, fields, &in->filters) != CALL_OK ||
	    find_kept(c, in->fleet_id, "Describe fleet instances", &r) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 1, 1000, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	bool begun = !str_set(after);
	out->active_instances.set = true;
	out->fleet_id = in->fleet_id;
	for (uint32_t k = 0; k < r.members.n; k++) {
		struct str id = r.members.v[k].instance;
		struct state_ec2_instance_record i;
		if (!begun || !ec2_find(&s, &ec2_kind_instance, id, &i) ||
		    !ec2_filters_pass(c, &ec2_kind_instance, &i, fields, &in->filters)) {
			begun = begun || str_eq(id, after);
			continue;
		}
		uint32_t n = out->active_instances.n;
		if (in->max_results.set && n == (uint64_t)in->max_results.v) {
			out->next_token = ec2_page_token(c, out->active_instances.v[n - 1].instance_id);
			break;
		}
		bool ill = ec2_instance_state(i.instance) == INSTANCE_RUNNING && ec2_instance_impaired(&i, c->now_ms);
		*LIST_ADD(c->arena, &out->active_instances) =
		        (struct ec2_active_instance){.instance_id = id,
		                                     .instance_type = i.instance->instance_type,
		                                     .spot_instance_request_id = i.instance->spot_instance_request_id,
		                                     .instance_health = ill ? S("unhealthy") : S("healthy")};
	}
	return CALL_OK;
}
