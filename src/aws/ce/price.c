#include "aws/ce/price.h"

#include <stddef.h>

#define HOME "us-east-1"

static const struct {
	const char *region, *prefix;
} regions[] = {
        {"af-south-1", "AFS1"},     {"ap-east-1", "APE1"},    {"ap-northeast-1", "APN1"}, {"ap-northeast-2", "APN2"},
        {"ap-northeast-3", "APN3"}, {"ap-south-1", "APS3"},   {"ap-southeast-1", "APS1"}, {"ap-southeast-2", "APS2"},
        {"ca-central-1", "CAN1"},   {"eu-central-1", "EUC1"}, {"eu-north-1", "EUN1"},     {"eu-south-1", "EUS1"},
        {"eu-west-1", "EU"},        {"eu-west-2", "EUW2"},    {"eu-west-3", "EUW3"},      {"me-south-1", "MES1"},
        {"sa-east-1", "SAE1"},      {"us-east-2", "USE2"},    {"us-west-1", "USW1"},      {"us-west-2", "USW2"},
};

static const struct price *exactly(struct str usage)
{
	unsigned from = 0, to = price_count;
	while (from < to) {
		unsigned middle = from + (to - from) / 2;
		int order = str_cmp(usage, str_from(prices[middle].usage));
		if (order == 0)
			return &prices[middle];
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

/* Without what keeps the types of two services apart. */
static struct str shown(struct str usage)
{
	return str_from_at(usage, (size_t)(str_find_char(usage, '/') + 1));
}

const struct price *price_find(struct str usage)
{
	const struct price *p = exactly(usage);
	for (unsigned i = 0; i < price_count && !p; i++) {
		struct str name = str_from(prices[i].usage);
		if (str_eq(shown(name), usage))
			p = &prices[i];
		if (str_ends(name, S("*")) && str_starts(usage, str_sub(name, 0, name.n - 1)))
			p = &prices[i];
	}
	return p;
}

static struct str region_of(struct str prefix)
{
	for (size_t i = 0; i < sizeof(regions) / sizeof(*regions); i++)
		if (str_is(prefix, regions[i].prefix))
			return str_from(regions[i].region);
	return prefix;
}

static bool is_of(const struct price *p, struct str service, struct str usage)
{
	struct str name = str_from(p->usage);
	bool group = str_ends(name, S("*"));
	return str_is(service, p->service) &&
	       (group ? str_starts(usage, str_sub(name, 0, name.n - 1)) : str_eq(shown(name), usage));
}

const struct price *price_find_shown(struct str service, struct str usage, struct str *ret_region)
{
	/* A region's prefix ends with the first dash that leaves a usage type that there is. */
	for (size_t at = 0; at < usage.n; at++) {
		if (at && usage.p[at - 1] != '-')
			continue;
		for (unsigned i = 0; i < price_count; i++) {
			if (!is_of(&prices[i], service, str_from_at(usage, at)))
				continue;
			*ret_region = at ? region_of(str_sub(usage, 0, at - 1)) : S(HOME);
			return &prices[i];
		}
	}
	return NULL;
}

struct str price_usage_type(struct arena *a, struct str region, struct str usage)
{
	usage = shown(usage);
	if (str_is(region, HOME))
		return usage;
	for (size_t i = 0; i < sizeof(regions) / sizeof(*regions); i++)
		if (str_is(region, regions[i].region))
			return ARENA_CAT(a, str_from(regions[i].prefix), S("-"), usage);
	return ARENA_CAT(a, region, S("-"), usage);
}

bool price_known(const struct price *p, struct str region)
{
	return p && p->tier_count && str_is(region, HOME);
}

double price_quantity(const struct price *p, int64_t amount, int month_days)
{
	if (p->per == PER_HOUR)
		return (double)amount * p->scale / 3600000.0;
	if (p->per == PER_MONTH)
		return (double)amount * p->scale / (86400000.0 * month_days);
	return (double)amount * p->scale;
}

double price_cost(const struct price *p, double before, double quantity)
{
	double usd = 0, from = before, to = before + quantity;
	for (unsigned i = 0; i < p->tier_count && from < to; i++) {
		double end = p->tiers[i].up_to > 0 && p->tiers[i].up_to < to ? p->tiers[i].up_to : to;
		if (end <= from)
			continue;
		usd += (end - from) * p->tiers[i].usd;
		from = end;
	}
	return usd;
}
