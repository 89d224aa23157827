/* Records of fleets: what DescribeFleets shows, their deletion, and their end. */
#include "aws/ec2/capacity/fleet_plan.h"

#include "base/clock.h"

enum { LISTED_MS = 48 * 3600 * 1000, LOOK_MS = 60 * 1000 };

struct str fleet_of(const struct ec2_instance *i)
{
	for (uint32_t k = 0; k < i->tags.n; k++)
		if (str_is(i->tags.v[k].key, FLEET_TAG))
			return i->tags.v[k].value;
	return STR_NONE;
}

static bool is_instant(const struct state_ec2_fleet_record *r)
{
	return str_is(r->fleet->type, "instant");
}

/* Ids of its instances; *ret_alive: how many of them are not terminated. */
static struct str_list instances_of(const struct ec2_scope *s, struct str fleet, uint32_t *ret_alive)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_instance);
	struct str_list ids = {0};
	*ret_alive = 0;
	for (;;) {
		struct state_ec2_instance_record r = {0};
		if (!ec2_next(&all, &r))
			return ids;
		if (!str_eq(fleet_of(r.instance), fleet))
			continue;
		*LIST_ADD(s->arena, &ids) = all.id;
		*ret_alive += ec2_instance_state(r.instance) != INSTANCE_TERMINATED;
	}
}

/* --- describing */

static const struct ec2_field fields[] = {
        FIELD_TEXT("activity-status", ec2_fleet_data, activity_status),
        FIELD_TEXT("excess-capacity-termination-policy", ec2_fleet_data, excess_capacity_termination_policy),
        FIELD_TEXT("fleet-state", ec2_fleet_data, fleet_state),
        FIELD_FLAG("replace-unhealthy-instances", ec2_fleet_data, replace_unhealthy_instances),
        FIELD_TEXT("type", ec2_fleet_data, type),
        {0},
};

static void show(struct call *c, void *record, void *output)
{
	struct ec2_describe_fleets_result *out = output;
	struct ec2_scope s = ec2_scope(c);
	struct ec2_fleet_data *to = LIST_ADD(c->arena, &out->fleets);
	*to = *((struct state_ec2_fleet_record *)record)->fleet;
	uint32_t alive;
	if (!str_is(to->type, "instant") || !str_is(to->fleet_state, "deleted_terminating"))
		return;
	instances_of(&s, to->fleet_id, &alive);
	if (!alive)
		to->fleet_state = S("deleted");
}

/* Instant fleets are shown to who names them, as on AWS. */
static bool is_hidden(struct call *c, void *record)
{
	(void)c;
	return is_instant(record);
}

int ec2_describe_fleets(struct call *c, const struct ec2_describe_fleets_request *in, struct ec2_describe_fleets_result *out)
{
	const struct ec2_walk walk = {.kind = &ec2_kind_fleet,
	                              .fields = fields,
	                              .filters = &in->filters,
	                              .ids = &in->fleet_ids,
	                              .max_results = &in->max_results,
	                              .next_token = in->next_token,
	                              .hidden = in->fleet_ids.n ? NULL : is_hidden,
	                              .show = show};
	out->fleets.set = true;
	return ec2_describe(c, &walk, out, &out->next_token);
}

/* --- deleting */

static void refuse(struct call *c, struct str id, const char *code, struct str message, struct ec2_delete_fleets_result *out)
{
	struct ec2_delete_fleet_error_item *item = LIST_ADD(c->arena, &out->unsuccessful_fleet_deletions);
	item->fleet_id = id;
	item->error = arena_new(c->arena, struct ec2_delete_fleet_error);
	*item->error = (struct ec2_delete_fleet_error){.code = str_from(code), .message = message};
}

/* One that has an instance which may not be terminated stays as it is. */
static void delete_one(struct call *c, struct str id, struct state_ec2_fleet_record *r, bool terminate,
                       struct ec2_delete_fleets_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	uint32_t alive;
	struct ec2_terminate_instances_request end = {.instance_ids = instances_of(&s, id, &alive)};
	struct ec2_terminate_instances_result ended = {0};
	if (terminate && end.instance_ids.n && ec2_terminate_all(c, &end, &ended) != CALL_OK) {
		refuse(c, id, "unexpectedError", c->error.message, out);
		c->error = (struct call_error){0};
		return;
	}
	struct str before = r->fleet->fleet_state;
	const char *state = !alive ? "deleted" : terminate ? "deleted_terminating" : "deleted_running";
	r->fleet->fleet_state = str_from(state);
	r->fleet->activity_status = STR_NONE;
	if (!is_instant(r))
		fleet_note(&s, r, c->now_ms, "fleet-change", state, STR_NONE, STR_NONE);
	r->ended = OPT_TIME(c->now_ms);
	ec2_put(&s, &ec2_kind_fleet, id, r);
	*LIST_ADD(c->arena, &out->successful_fleet_deletions) = (struct ec2_delete_fleet_success_item){
	        .fleet_id = id, .current_fleet_state = r->fleet->fleet_state, .previous_fleet_state = before};
}

int ec2_delete_fleets(struct call *c, const struct ec2_delete_fleets_request *in, struct ec2_delete_fleets_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	out->successful_fleet_deletions.set = out->unsuccessful_fleet_deletions.set = true;
	if (!in->terminate_instances.set)
		return ec2_missing(c, "TerminateInstances");
	for (uint32_t k = 0; k < in->fleet_ids.n; k++) {
		struct state_ec2_fleet_record r;
		struct str id = in->fleet_ids.v[k];
		if (!ec2_id_well_formed(id, "fleet"))
			refuse(c, id, "fleetIdMalformed", arena_printf(c->arena, "Invalid id: \"%.*s\"", STR_ARG(id)), out);
		else if (!ec2_find(&s, &ec2_kind_fleet, id, &r))
			refuse(c, id, "fleetIdDoesNotExist",
			       arena_printf(c->arena, "The fleet ID '%.*s' does not exist", STR_ARG(id)), out);
		else if (r.ended.set || (is_instant(&r) && fleet_launch_is_under_way(ec2_state(c)->desk, id)))
			refuse(c, id, "fleetNotInDeletableState",
			       arena_printf(c->arena, "The fleet '%.*s' is not in a state from which it can be deleted.",
			                    STR_ARG(id)),
			       out);
		else if (!in->terminate_instances.v && is_instant(&r))
			refuse(c, id, "unexpectedError",
			       S("An instant fleet cannot be deleted without its instances. Set TerminateInstances to true."), out);
		else
			delete_one(c, id, &r, in->terminate_instances.v, out);
	}
	return CALL_OK;
}

/* --- what time and restarts do */

static void edit_settled(const struct ec2_scope *s, void *ctx)
{
	const struct desk_item *i = ctx;
	struct state_ec2_fleet_record r;
	uint32_t alive;
	if (!ec2_find(s, &ec2_kind_fleet, i->id, &r) || !str_is(r.fleet->fleet_state, "submitted"))
		return;
	r.fleet->fleet_state = S("active");
	r.fleet->activity_status = S("error");
	struct str_list ids = instances_of(s, i->id, &alive);
	if (ids.n)
		LIST_ADD(s->arena, &r.fleet->instances)->instance_ids = ids;
	ec2_put(s, &ec2_kind_fleet, i->id, &r);
}

static void edit_forget(const struct ec2_scope *s, void *ctx)
{
	ec2_drop(s, &ec2_kind_fleet, ((const struct desk_item *)ctx)->id);
}

static void ended(void *ctx)
{
	desk_done(ctx);
}

static void look(void *ctx)
{
	struct desk_item *i = ctx;
	i->timer = NULL;
	desk_mark(i);
}

void fleet_instance_ends(struct desk_item *i, const struct ec2_instance *instance)
{
	struct str fleet = fleet_of(instance);
	if (str_set(fleet))
		desk_look(i->desk, &ec2_kind_fleet, i->account, i->region, fleet);
}

void fleet_step(struct desk_item *i, const struct ec2_scope *s)
{
	struct state_ec2_fleet_record r;
	loop_remove_timer(i->desk->cloud->loop, i->timer);
	i->timer = NULL;
	if (!ec2_find(s, &ec2_kind_fleet, i->id, &r))
		return;
	bool cut_off = is_instant(&r) && str_is(r.fleet->fleet_state, "submitted") && !fleet_launch_is_under_way(i->desk, i->id);
	int64_t left = r.ended.set ? r.ended.ms + LISTED_MS - clock_wall_ms() : LISTED_MS;
	if (!is_instant(&r) && !(r.ended.set && left <= 0 && str_is(r.fleet->fleet_state, "deleted"))) {
		fleet_keep_step(i, s, &r);
		if (i->busy || i->timer || !r.ended.set)
			return;
		left = left > 0 ? left : LOOK_MS; /* it is listed as long as an instance of it runs */
	}
	if (cut_off || left <= 0) {
		i->busy++;
		desk_edit(i->desk, i->account, i->region, cut_off ? edit_settled : edit_forget, ended, i);
	} else if (r.ended.set) {
		i->timer = loop_add_clock_timer(i->desk->cloud->loop, (left < LOOK_MS ? left : LOOK_MS) * 1000, look, i);
	}
}
