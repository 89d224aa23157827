/* DescribeReservedInstancesOfferings, PurchaseReservedInstancesOffering, DescribeReservedInstances. One kind is offered, the one
 * whose prices are known: standard, regional, for a year, nothing upfront, Linux. */
#include "aws/ec2/capacity/reserved_instances.h"

#include "aws/ec2/filter.h"
#include "aws/ec2/instance/instance_type.h"
#include "aws/ec2/page.h"
#include "aws/pricing/pricing.h"
#include "base/hash.h"
#include "base/id.h"
#include "core/meter.h"

#include <time.h>

enum { YEAR_S = 31536000, MONTHLY_MAX = 20, PAGE_MAX = 100 };
#define PRODUCT "Linux/UNIX"

/* --- offerings */

/* The same for ever: made of what it offers. */
static struct str offering_id(struct arena *a, struct str region, struct str type)
{
	struct str h = hash_hex(a, HASH_SHA256, ARENA_CAT(a, S("standard/1yr/no upfront/"), region, S("/"), type));
	return ARENA_CAT(a, str_sub(h, 0, 8), S("-"), str_sub(h, 8, 4), S("-"), str_sub(h, 12, 4), S("-"), str_sub(h, 16, 4),
	                 S("-"), str_sub(h, 20, 12));
}

/* The fee of an hour; 0: it is not known there, and nothing is offered. */
static int64_t price_e12(struct call *c, struct str type)
{
	struct str usage = ARENA_CAT(c->arena, S("HeavyUsage:"), type);
	const struct price *p = price_find(usage), *own = p ? price_in(c->cloud->prices, p, usage, c->region) : NULL;
	return own ? own->tiers[0].usd_e12 : 0;
}

static struct ec2_recurring_charges_list hourly(struct call *c, int64_t usd_e12)
{
	struct ec2_recurring_charges_list list = {0};
	*LIST_ADD(c->arena, &list) =
	        (struct ec2_recurring_charge){.amount = OPT_DOUBLE((double)usd_e12 / 1e12), .frequency = S("Hourly")};
	return list;
}

static struct ec2_reserved_instances_offering offering(struct call *c, struct str type, int64_t usd_e12)
{
	return (struct ec2_reserved_instances_offering){.reserved_instances_offering_id = offering_id(c->arena, c->region, type),
	                                                .instance_type = type,
	                                                .product_description = S(PRODUCT),
	                                                .instance_tenancy = S("default"),
	                                                .offering_class = S("standard"),
	                                                .offering_type = S("No Upfront"),
	                                                .scope = S("Region"),
	                                                .currency_code = S("USD"),
	                                                .marketplace = OPT_BOOL(false),
	                                                .duration = OPT_INT(YEAR_S),
	                                                .usage_price = OPT_DOUBLE(0),
	                                                .fixed_price = OPT_DOUBLE(0),
	                                                .pricing_details = {.set = true},
	                                                .recurring_charges = hourly(c, usd_e12)};
}

/* What all offerings and reservations are, by the names of filters; absent: it differs among them. */
static struct str common(struct str name)
{
	return str_is(name, "duration")                                     ? S("31536000")
	       : str_is(name, "product-description")                        ? S(PRODUCT)
	       : str_is(name, "scope")                                      ? S("Region")
	       : str_is(name, "marketplace")                                ? S("false")
	       : str_is(name, "fixed-price") || str_is(name, "usage-price") ? S("0.0")
	                                                                    : STR_NONE;
}

static const struct ec2_field offering_fields[] = {{.name = "availability-zone"},
                                                   {.name = "duration"},
                                                   {.name = "fixed-price"},
                                                   {.name = "instance-type"},
                                                   {.name = "marketplace"},
                                                   {.name = "product-description"},
                                                   {.name = "reserved-instances-offering-id"},
                                                   {.name = "scope"},
                                                   {.name = "usage-price"},
                                                   {0}};

static bool passes(const struct ec2_filter_list *filters, const struct ec2_reserved_instances_offering *o)
{
	for (uint32_t i = 0; i < filters->n; i++) {
		const struct ec2_filter *f = &filters->v[i];
		struct str value = str_is(f->name, "instance-type")                    ? o->instance_type
		                   : str_is(f->name, "reserved-instances-offering-id") ? o->reserved_instances_offering_id
		                                                                       : common(f->name);
		if (!str_set(value) || !ec2_filter_matches(f, value))
			return false;
	}
	return true;
}

static bool is_or_absent(struct str wanted, const char *value)
{
	return !str_set(wanted) || str_is(wanted, value);
}

static bool wanted(const struct ec2_describe_reserved_instances_offerings_request *in,
                   const struct ec2_reserved_instances_offering *o)
{
	bool named = !in->reserved_instances_offering_ids.n;
	for (uint32_t i = 0; i < in->reserved_instances_offering_ids.n; i++)
		named |= str_eq(in->reserved_instances_offering_ids.v[i], o->reserved_instances_offering_id);
	return named && !str_set(in->availability_zone) && !str_set(in->availability_zone_id) &&
	       (!str_set(in->instance_type) || str_eq(in->instance_type, o->instance_type)) &&
	       is_or_absent(in->offering_class, "standard") && is_or_absent(in->offering_type, "No Upfront") &&
	       is_or_absent(in->instance_tenancy, "default") &&
	       (is_or_absent(in->product_description, PRODUCT) || str_is(in->product_description, PRODUCT " (Amazon VPC)")) &&
	       (!in->min_duration.set || in->min_duration.v <= YEAR_S) && (!in->max_duration.set || in->max_duration.v >= YEAR_S) &&
	       passes(&in->filters, o);
}

int ec2_describe_reserved_instances_offerings(struct call *c, const struct ec2_describe_reserved_instances_offerings_request *in,
                                              struct ec2_describe_reserved_instances_offerings_result *out)
{
	struct str after;
	if (ec2_filters_check(c, offering_fields, &in->filters) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 1, PAGE_MAX, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	uint32_t most = in->max_results.set ? (uint32_t)in->max_results.v : PAGE_MAX;
	out->reserved_instances_offerings.set = true;
	for (unsigned t = 0; t < instance_type_count; t++) {
		struct str type = str_from(instance_types[t].name);
		int64_t usd_e12 = str_set(after) && str_cmp(type, after) <= 0 ? 0 : price_e12(c, type);
		struct ec2_reserved_instances_offering o = {0};
		if (usd_e12)
			o = offering(c, type, usd_e12);
		if (!usd_e12 || !wanted(in, &o))
			continue;
		if (out->reserved_instances_offerings.n == most) {
			out->next_token = ec2_page_token(c, out->reserved_instances_offerings.v[most - 1].instance_type);
			break;
		}
		*LIST_ADD(c->arena, &out->reserved_instances_offerings) = o;
	}
	return CALL_OK;
}

/* --- buying */

static bool same_month(int64_t x_ms, int64_t y_ms)
{
	time_t x = (time_t)(x_ms / 1000), y = (time_t)(y_ms / 1000);
	struct tm a, b;
	gmtime_r(&x, &a);
	gmtime_r(&y, &b);
	return a.tm_year == b.tm_year && a.tm_mon == b.tm_mon;
}

static int64_t bought_this_month(struct call *c, const struct meter_commitments *all)
{
	int64_t n = 0;
	for (uint32_t i = 0; i < all->n; i++)
		if (str_eq(all->v[i].region, c->region) && same_month(all->v[i].from_ms, c->now_ms))
			n += all->v[i].count;
	return n;
}

int ec2_purchase_reserved_instances_offering(struct call *c, const struct ec2_purchase_reserved_instances_offering_request *in,
                                             struct ec2_purchase_reserved_instances_offering_result *out)
{
	struct meter_commitment m = {0};
	for (unsigned t = 0; t < instance_type_count && !str_set(m.instance_type); t++)
		if (str_eq(in->reserved_instances_offering_id, offering_id(c->arena, c->region, str_from(instance_types[t].name))))
			m.instance_type = str_from(instance_types[t].name);
	m.price_e12 = str_set(m.instance_type) ? price_e12(c, m.instance_type) : 0;
	if (!m.price_e12)
		return call_fail(c, "InvalidReservedInstancesOfferingId", 400,
		                 "The specified Reserved Instances offering '%.*s' does not exist.",
		                 STR_ARG(in->reserved_instances_offering_id));
	if (in->instance_count.v < 1)
		return ec2_invalid(c, "The instance count %lld is less than 1", (long long)in->instance_count.v);
	if (in->purchase_time.set)
		return call_fail(c, "UnsupportedOperation", 400, "A purchase at a later time is not supported.");
	struct meter_commitments all = meter_commitments(call_txn(c), c->arena, c->account);
	if (bought_this_month(c, &all) + in->instance_count.v > MONTHLY_MAX)
		return call_fail(c, "ReservedInstancesLimitExceeded", 400,
		                 "Your current quota does not allow you to purchase the required number of reserved instances.");
	m.id = id_uuid(c->arena);
	m.region = c->region;
	m.count = in->instance_count.v;
	m.from_ms = c->now_ms / 1000 * 1000;
	m.to_ms = m.from_ms + YEAR_S * INT64_C(1000);
	meter_commit(call_txn(c), c->arena, c->account, &m);
	out->reserved_instances_id = m.id;
	return CALL_OK;
}

/* --- what was bought */

static const struct ec2_field fields[] = {{.name = "availability-zone"},
                                          {.name = "duration"},
                                          {.name = "end"},
                                          {.name = "fixed-price"},
                                          {.name = "instance-type"},
                                          {.name = "product-description"},
                                          {.name = "reserved-instances-id"},
                                          {.name = "scope"},
                                          {.name = "start"},
                                          {.name = "state"},
                                          {.name = "usage-price"},
                                          {0}};

static struct ec2_reserved_instances shown(struct call *c, const struct meter_commitment *m)
{
	return (struct ec2_reserved_instances){.reserved_instances_id = m->id,
	                                       .instance_type = m->instance_type,
	                                       .instance_count = OPT_INT(m->count),
	                                       .start = OPT_TIME(m->from_ms),
	                                       .end = OPT_TIME(m->to_ms),
	                                       .state = c->now_ms < m->to_ms ? S("active") : S("retired"),
	                                       .duration = OPT_INT((m->to_ms - m->from_ms) / 1000),
	                                       .product_description = S(PRODUCT),
	                                       .instance_tenancy = S("default"),
	                                       .offering_class = S("standard"),
	                                       .offering_type = S("No Upfront"),
	                                       .scope = S("Region"),
	                                       .currency_code = S("USD"),
	                                       .usage_price = OPT_DOUBLE(0),
	                                       .fixed_price = OPT_DOUBLE(0),
	                                       .recurring_charges = hourly(c, m->price_e12)};
}

static bool fits(struct call *c, const struct ec2_filter_list *filters, const struct ec2_reserved_instances *r)
{
	for (uint32_t i = 0; i < filters->n; i++) {
		const struct ec2_filter *f = &filters->v[i];
		struct str_list values = {0};
		if (str_is(f->name, "start") || str_is(f->name, "end"))
			ec2_path_values(c->arena, "ReservedInstances", r, str_is(f->name, "start") ? "Start" : "End", &values);
		struct str value = str_is(f->name, "instance-type")           ? r->instance_type
		                   : str_is(f->name, "reserved-instances-id") ? r->reserved_instances_id
		                   : str_is(f->name, "state")                 ? r->state
		                   : values.n                                 ? values.v[0]
		                                                              : common(f->name);
		if (!str_set(value) || !ec2_filter_matches(f, value))
			return false;
	}
	return true;
}

int ec2_describe_reserved_instances(struct call *c, const struct ec2_describe_reserved_instances_request *in,
                                    struct ec2_describe_reserved_instances_result *out)
{
	struct meter_commitments all = meter_commitments(call_txn(c), c->arena, c->account);
	if (ec2_filters_check(c, fields, &in->filters) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->reserved_instances_ids.n; i++) {
		bool known = false;
		for (uint32_t k = 0; k < all.n; k++)
			known |= str_eq(all.v[k].id, in->reserved_instances_ids.v[i]) && str_eq(all.v[k].region, c->region);
		if (!known)
			return call_fail(c, "InvalidReservedInstancesId", 400,
			                 "The specified Reserved Instances ID '%.*s' does not exist.",
			                 STR_ARG(in->reserved_instances_ids.v[i]));
	}
	out->reserved_instances.set = true;
	for (uint32_t k = 0; k < all.n; k++) {
		bool named = !in->reserved_instances_ids.n;
		for (uint32_t i = 0; i < in->reserved_instances_ids.n; i++)
			named |= str_eq(all.v[k].id, in->reserved_instances_ids.v[i]);
		struct ec2_reserved_instances r = shown(c, &all.v[k]);
		if (named && str_eq(all.v[k].region, c->region) && is_or_absent(in->offering_class, "standard") &&
		    is_or_absent(in->offering_type, "No Upfront") && fits(c, &in->filters, &r))
			*LIST_ADD(c->arena, &out->reserved_instances) = r;
	}
	return CALL_OK;
}
