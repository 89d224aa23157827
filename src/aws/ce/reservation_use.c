/* GetReservationUtilization: how much of what was reserved was used, and what that saved. */
#include "aws/ce/savings.h"

static __int128 hours_of(const struct meter_commitment *m, int64_t from_ms, int64_t to_ms)
{
	int64_t from = m->from_ms > from_ms ? m->from_ms : from_ms, to = m->to_ms < to_ms ? m->to_ms : to_ms;
	return to > from ? (__int128)(to - from) * m->count * INT64_C(10000000000) / METER_HOUR_MS : 0;
}

/* Of a commitment, as if it were a line of its fee: what a filter is held against. */
static bool is_asked(const struct cost_scope *s, const struct ce_expression *filter, const struct meter_commitment *m)
{
	struct str usage = ARENA_CAT(s->arena, S("HeavyUsage:"), m->instance_type);
	const struct cost_line l = {.region = m->region,
	                            .account = s->account,
	                            .usage_type = price_usage_type(s->arena, m->region, usage),
	                            .record = "RIFee",
	                            .reservation = m->id,
	                            .price = price_find(usage)};
	return l.price && cost_filter_matches(s->arena, filter, &l);
}

struct reservation_uses reservation_uses(const struct cost_scope *s, const struct cost_lines *lines,
                                         const struct ce_expression *filter, int64_t from_hour, int64_t to_hour)
{
	struct meter_commitments *all = arena_new(s->arena, struct meter_commitments);
	struct reservation_uses uses = {0};
	int64_t from_ms = from_hour * METER_HOUR_MS, to_ms = to_hour * METER_HOUR_MS;
	*all = meter_commitments(s->txn, s->arena, s->account);
	if (to_ms > s->now_ms)
		to_ms = s->now_ms;
	for (uint32_t i = 0; i < all->n; i++) {
		const struct meter_commitment *m = &all->v[i];
		struct str usage = ARENA_CAT(s->arena, S("BoxUsage:"), m->instance_type);
		const struct price *p = price_find(usage), *own = p ? price_in(s->prices, p, usage, m->region) : NULL;
		struct reservation_use u = {.id = m->id, .c = m, .hours = hours_of(m, from_ms, to_ms)};
		int64_t size = cost_size_e2(m->instance_type) ? cost_size_e2(m->instance_type) : 100;
		if (!u.hours || !is_asked(s, filter, m))
			continue;
		u.units = u.hours * size / 100;
		for (uint32_t k = 0; k < lines->n; k++) {
			const struct cost_line *l = &lines->v[k];
			if (!str_set(l->reservation) || !str_eq(l->reservation, m->id))
				continue;
			bool used = str_is(str_from(l->record), "DiscountedUsage");
			int64_t its = used ? cost_size_e2(cost_instance_type(l)) : 0;
			u.used_hours += used ? l->quantity_e10 * (its ? its : size) / size : 0;
			u.used_units += used ? l->quantity_e10 * (its ? its : size) / 100 : 0;
			u.demand += l->demand_e10;
			u.fee += l->amortized_e10;
			u.unused_fee += used ? 0 : l->amortized_e10;
		}
		u.demand_all = own ? u.hours * own->tiers[0].usd_e12 / INT64_C(1000000000000) : 0;
		*LIST_ADD(s->arena, &uses) = u;
	}
	return uses;
}

struct reservation_use reservation_sum(const struct reservation_uses *uses)
{
	struct reservation_use sum = {0};
	for (uint32_t i = 0; i < uses->n; i++) {
		const struct reservation_use *u = &uses->v[i];
		sum.hours += u->hours;
		sum.units += u->units;
		sum.used_hours += u->used_hours;
		sum.used_units += u->used_units;
		sum.fee += u->fee;
		sum.unused_fee += u->unused_fee;
		sum.demand += u->demand;
		sum.demand_all += u->demand_all;
	}
	return sum;
}

static struct ce_reservation_aggregates *shown(struct arena *a, const struct reservation_use *u)
{
	struct ce_reservation_aggregates *r = arena_new(a, struct ce_reservation_aggregates);
	*r = (struct ce_reservation_aggregates){.utilization_percentage = cost_percentage(a, u->used_hours, u->hours),
	                                        .utilization_percentage_in_units = cost_percentage(a, u->used_units, u->units),
	                                        .purchased_hours = price_text_e10(a, u->hours),
	                                        .purchased_units = price_text_e10(a, u->units),
	                                        .total_actual_hours = price_text_e10(a, u->used_hours),
	                                        .total_actual_units = price_text_e10(a, u->used_units),
	                                        .unused_hours = price_text_e10(a, u->hours - u->used_hours),
	                                        .unused_units = price_text_e10(a, u->units - u->used_units),
	                                        .on_demand_cost_of_ri_hours_used = price_text_e10(a, u->demand),
	                                        .net_ri_savings = price_text_e10(a, u->demand - u->fee),
	                                        .total_potential_ri_savings = price_text_e10(a, u->demand_all - u->fee),
	                                        .amortized_upfront_fee = S("0"),
	                                        .amortized_recurring_fee = price_text_e10(a, u->fee),
	                                        .total_amortized_fee = price_text_e10(a, u->fee),
	                                        .ri_cost_for_unused_hours = price_text_e10(a, u->unused_fee),
	                                        .realized_savings = price_text_e10(a, u->demand - (u->fee - u->unused_fee)),
	                                        .unrealized_savings = price_text_e10(a, u->demand_all - u->demand - u->unused_fee)};
	return r;
}

static struct cost_lines part_of(struct arena *a, const struct cost_lines *lines, int64_t from, int64_t to)
{
	struct cost_lines part = {0};
	for (uint32_t i = 0; i < lines->n; i++)
		if (cost_line_hour(&lines->v[i]) >= from && cost_line_hour(&lines->v[i]) < to)
			*LIST_ADD(a, &part) = lines->v[i];
	return part;
}

static void add(struct arena *a, struct str_map *to, const char *key, struct str value)
{
	*LIST_ADD(a, to) = (struct str_map_entry){str_from(key), value};
}

static void add_groups(struct call *c, const struct reservation_uses *uses, struct ce_utilization_by_time *r)
{
	struct arena *a = c->arena;
	for (uint32_t i = 0; i < uses->n; i++) {
		const struct meter_commitment *m = uses->v[i].c;
		struct ce_reservation_utilization_group *g = LIST_ADD(a, &r->groups);
		g->key = S("SUBSCRIPTION_ID");
		g->value = m->id;
		add(a, &g->attributes, "accountId", c->account);
		add(a, &g->attributes, "region", m->region);
		add(a, &g->attributes, "instanceType", m->instance_type);
		add(a, &g->attributes, "numberOfInstances", arena_printf(a, "%lld", (long long)m->count));
		add(a, &g->attributes, "platform", S("Linux/UNIX"));
		add(a, &g->attributes, "tenancy", S("Shared"));
		add(a, &g->attributes, "scope", S("Region"));
		add(a, &g->attributes, "offeringType", S("standard"));
		add(a, &g->attributes, "subscriptionStatus", c->now_ms < m->to_ms ? S("Active") : S("Expired"));
		add(a, &g->attributes, "leaseId", m->id);
		g->utilization = shown(a, &uses->v[i]);
	}
}

int ce_get_reservation_utilization(struct call *c, const struct ce_get_reservation_utilization_request *in,
                                   struct ce_get_reservation_utilization_response *out)
{
	static const char *const names[] = {"INSTANCE_TYPE", "LINKED_ACCOUNT",   "PLATFORM", "REGION",
	                                    "SERVICE",       "OPERATING_SYSTEM", "TENANCY",  NULL};
	struct cost_period p;
	bool groups = in->group_by.n > 0;
	if (cost_question_period(c, in->time_period, in->granularity, groups, &p) != CALL_OK ||
	    cost_only_dimensions(c, in->filter, names) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->next_page_token))
		return call_fail(c, "InvalidNextTokenException", 400, "The pagination token is invalid. Try again without one.");
	if (groups && (in->group_by.n > 1 || !str_is(in->group_by.v[0].key, "SUBSCRIPTION_ID")))
		return cost_invalid(c, "GroupBy supports SUBSCRIPTION_ID alone");
	if (in->sort_by)
		return cost_invalid(c, "SortBy is not supported: groups come by their beginnings");
	const struct cost_scope s = cost_scope(c);
	struct cost_lines lines = cost_read(&s, METER_PLAIN, &p);
	struct reservation_uses all = reservation_uses(&s, &lines, in->filter, p.from, p.to);
	struct reservation_use total = reservation_sum(&all);
	out->total = shown(c->arena, &total);
	out->utilizations_by_time.set = true;
	while (p.from < p.to) {
		int64_t end = groups ? p.to : cost_part_end(&p, p.from);
		struct cost_lines part = part_of(c->arena, &lines, p.from, end);
		struct reservation_uses uses = reservation_uses(&s, &part, in->filter, p.from, end);
		struct reservation_use sum = reservation_sum(&uses);
		struct ce_utilization_by_time *r = LIST_ADD(c->arena, &out->utilizations_by_time);
		r->time_period = arena_new(c->arena, struct ce_date_interval);
		*r->time_period =
		        (struct ce_date_interval){cost_time_text(c->arena, &p, p.from), cost_time_text(c->arena, &p, end)};
		r->total = shown(c->arena, &sum);
		r->groups.set = true;
		if (groups)
			add_groups(c, &uses, r);
		p.from = end;
	}
	return CALL_OK;
}
