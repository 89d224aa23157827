/* GetOperation and ListOperations. What AWS does later is done here before the answer, so every operation has succeeded; it can be
 * asked about for a day. */
#include "rows.h"

#include "base/id.h"

static const struct record_type operation_row = {&state_servicediscovery_api, "OperationRecord"};

static struct str operation_key(struct call *c, struct str id)
{
	return KEY(c->arena, S("discovery"), S("operation"), c->account, c->region, id);
}

struct str discovery_done(struct call *c, const char *type, const char *target, struct str id, const char *target2, struct str id2)
{
	struct servicediscovery_operation *o = arena_new(c->arena, struct servicediscovery_operation);
	struct state_servicediscovery_operation_record r = {.operation = o};
	struct str text = ARENA_CAT(c->arena, id_base32(c->arena, STR_NONE, 32), S("-"), id_base32(c->arena, STR_NONE, 8));
	*o = (struct servicediscovery_operation){.id = discovery_lower(c->arena, text),
	                                         .owner_account = c->account,
	                                         .type = str_from(type),
	                                         .status = S("SUCCESS"),
	                                         .create_date = OPT_TIME(c->now_ms),
	                                         .update_date = OPT_TIME(c->now_ms)};
	*LIST_ADD(c->arena, &o->targets) = (struct str_map_entry){str_from(target), id};
	if (target2)
		*LIST_ADD(c->arena, &o->targets) = (struct str_map_entry){str_from(target2), id2};
	store_put_leased(call_txn(c), operation_key(c, o->id), record_write(c->arena, &operation_row, &r), discovery_lease(c));
	return o->id;
}

int servicediscovery_get_operation(struct call *c, const struct servicediscovery_get_operation_request *in,
                                   struct servicediscovery_get_operation_response *out)
{
	struct state_servicediscovery_operation_record r;
	if (in->operation_id.n > 255 || !record_get(call_txn(c), c->arena, operation_key(c, in->operation_id), &operation_row, &r))
		return call_fail(c, "OperationNotFound", 400, "Operation %.*s was not found", STR_ARG(in->operation_id));
	out->operation = r.operation;
	return CALL_OK;
}

/* --- lists */

static bool date_passes(struct opt_time date, const struct servicediscovery_operation_filter *f)
{
	int64_t from = 0, to = 0;
	if (f->values.n != 2 || !str_to_i64(f->values.v[0], &from) || !str_to_i64(f->values.v[1], &to))
		return false;
	return date.ms >= from && date.ms <= to;
}

static bool passes(const struct servicediscovery_operation *o, const struct servicediscovery_operation_filters *filters)
{
	for (uint32_t i = 0; i < filters->n; i++) {
		const struct servicediscovery_operation_filter *f = &filters->v[i];
		bool good;
		if (str_is(f->name, "UPDATE_DATE"))
			good = date_passes(o->update_date, f);
		else if (str_is(f->name, "STATUS"))
			good = discovery_passes(o->status, &f->values, f->condition);
		else if (str_is(f->name, "TYPE"))
			good = discovery_passes(o->type, &f->values, f->condition);
		else
			good = discovery_passes(
			        str_map_get(&o->targets, str_is(f->name, "SERVICE_ID") ? S("SERVICE") : S("NAMESPACE")), &f->values,
			        f->condition);
		if (!good)
			return false;
	}
	return true;
}

int servicediscovery_list_operations(struct call *c, const struct servicediscovery_list_operations_request *in,
                                     struct servicediscovery_list_operations_response *out)
{
	struct discovery_walk w;
	struct str last = STR_NONE, under = KEY_UNDER(c->arena, S("discovery"), S("operation"), c->account, c->region);
	out->operations.set = true;
	for (uint32_t i = 0; i < in->filters.n; i++)
		if (str_is(in->filters.v[i].name, "UPDATE_DATE") != str_is(in->filters.v[i].condition, "BETWEEN"))
			return discovery_invalid(c, "The condition BETWEEN goes with the filter UPDATE_DATE.");
	if (discovery_walk_begin(c, &w, under, in->next_token, in->max_results) != CALL_OK)
		return CALL_FAIL;
	while (discovery_walk_next(&w)) {
		struct state_servicediscovery_operation_record r;
		if (!record_read(c->arena, w.value, &operation_row, &r) || !passes(r.operation, &in->filters))
			continue;
		if (out->operations.n == w.limit) {
			out->next_token = discovery_page_token(c, last);
			break;
		}
		*LIST_ADD(c->arena, &out->operations) =
		        (struct servicediscovery_operation_summary){.id = r.operation->id, .status = r.operation->status};
		last = w.key;
	}
	return CALL_OK;
}
