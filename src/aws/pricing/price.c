#include "aws/pricing/pricing.h"

#include <stddef.h>

static const struct {
	const char *region, *prefix;
} regions[] = {
        {"af-south-1", "AFS1"},     {"ap-east-1", "APE1"},    {"ap-northeast-1", "APN1"}, {"ap-northeast-2", "APN2"},
        {"ap-northeast-3", "APN3"}, {"ap-south-1", "APS3"},   {"ap-southeast-1", "APS1"}, {"ap-southeast-2", "APS2"},
        {"ca-central-1", "CAN1"},   {"eu-central-1", "EUC1"}, {"eu-north-1", "EUN1"},     {"eu-south-1", "EUS1"},
        {"eu-west-1", "EU"},        {"eu-west-2", "EUW2"},    {"eu-west-3", "EUW3"},      {"me-south-1", "MES1"},
        {"sa-east-1", "SAE1"},      {"us-east-2", "USE2"},    {"us-west-1", "USW1"},      {"us-west-2", "USW2"},
};

const struct price *price_exactly(struct str usage)
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
	const struct price *p = price_exactly(usage);
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
			*ret_region = at ? region_of(str_sub(usage, 0, at - 1)) : S(PRICE_HOME);
			return &prices[i];
		}
	}
	return NULL;
}

struct str price_usage_type(struct arena *a, struct str region, struct str usage)
{
	usage = shown(usage);
	if (str_is(region, PRICE_HOME))
		return usage;
	for (size_t i = 0; i < sizeof(regions) / sizeof(*regions); i++)
		if (str_is(region, regions[i].region))
			return ARENA_CAT(a, str_from(regions[i].prefix), S("-"), usage);
	return ARENA_CAT(a, region, S("-"), usage);
}

enum { HOUR_MS = 3600000, DAY_MS = 86400000 };
#define E2 100

/* One unit is so many numerators of what is counted. */
static __int128 denominator(const struct price *p, int month_days)
{
	__int128 n = p->denominator;
	return p->per == PER_HOUR ? n * HOUR_MS : p->per == PER_MONTH ? n * DAY_MS * month_days : n;
}

/* To the nearest whole one, halves up; amounts are not negative. */
static __int128 rounded(__int128 n, __int128 by)
{
	return (n + by / 2) / by;
}

/* Whole units first, so that large amounts do not leave 127 bits. */
__int128 price_units_e10(const struct price *p, __int128 amount, int month_days)
{
	__int128 e10 = INT64_C(10000000000), by = denominator(p, month_days), n = amount * p->numerator;
	return n / by * e10 + rounded(n % by * e10, by);
}

__int128 price_usd_e10(const struct price *p, __int128 amount, int month_days)
{
	__int128 by = denominator(p, month_days), n = amount * p->numerator, from = 0, whole = 0, part = 0;
	for (unsigned i = 0; i < p->tier_count && from < n; i++) {
		__int128 end = p->tiers[i].up_to ? p->tiers[i].up_to * by : n;
		if (end > n)
			end = n;
		__int128 of_tier = end - from;
		whole += of_tier / by * p->tiers[i].usd_e12;
		part += of_tier % by * p->tiers[i].usd_e12;
		from = end;
	}
	return rounded(whole * by + part, by * E2);
}

__int128 price_free_amount(const struct price *p, int month_days)
{
	return p->free_units * denominator(p, month_days) / p->numerator;
}

static struct str text(struct arena *a, __int128 n, unsigned decimals)
{
	char digits[64];
	size_t at = sizeof(digits);
	bool negative = n < 0, shown = false;
	unsigned __int128 rest = negative ? -(unsigned __int128)n : (unsigned __int128)n;
	for (unsigned i = 0; i <= decimals || rest; i++, rest /= 10) {
		if (i == decimals && shown)
			digits[--at] = '.';
		shown |= rest % 10 != 0 || i >= decimals;
		if (shown)
			digits[--at] = (char)('0' + (int)(rest % 10));
	}
	if (negative)
		digits[--at] = '-';
	return arena_dup(a, str_of(digits + at, sizeof(digits) - at));
}

struct str price_text_e10(struct arena *a, __int128 n_e10)
{
	return text(a, n_e10, 10);
}

struct str price_text_e12(struct arena *a, __int128 n_e12)
{
	return text(a, n_e12, 12);
}

bool price_parse(struct str text, unsigned decimals, __int128 *ret)
{
	enum { DIGITS_MAX = 36 };
	int64_t exponent = 0, digits = 0, behind = 0;
	__int128 n = 0;
	bool negative = str_starts(text, S("-")), point = false, any = false;
	ptrdiff_t e = str_find_char(text, 'e') >= 0 ? str_find_char(text, 'e') : str_find_char(text, 'E');
	struct str mantissa = str_sub(text, negative, (e < 0 ? text.n : (size_t)e) - negative);
	if (e >= 0 && (!str_to_i64(str_from_at(text, (size_t)e + 1), &exponent) || exponent < -DIGITS_MAX || exponent > DIGITS_MAX))
		return false;
	for (size_t i = 0; i < mantissa.n; i++) {
		char ch = mantissa.p[i];
		if (ch == '.' && !point) {
			point = true;
			continue;
		}
		if (ch < '0' || ch > '9' || (n && ++digits > DIGITS_MAX))
			return false;
		n = n * 10 + (ch - '0');
		behind += point;
		any = true;
	}
	int64_t shift = (int64_t)decimals + exponent - behind;
	for (; shift < 0; shift++)
		n /= 10;
	for (; shift > 0 && n; shift--)
		if (__builtin_mul_overflow(n, (__int128)10, &n))
			return false;
	*ret = negative ? -n : n;
	return any;
}
