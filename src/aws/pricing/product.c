#include "aws/pricing/product.h"

#include "base/hash.h"
#include "base/json.h"

#include <stdlib.h>

/* What the prices are of: the list that tools/prices was given has this date. */
#define VERSION "20260720134430"
#define PUBLISHED "2026-07-20T13:44:30Z"
#define ON_DEMAND "JRTCKXETXF" /* AWS's code of the term */
#define RESERVED "4NA7Y494T4"  /* of a standard reservation of a year, nothing upfront */
#define ONE_TIER "6YS6EN2CT7"  /* and of a price without tiers */

enum { JSON_MAX = 64 * 1024, CODE_BYTES = 16 };

static const struct {
	const char *region, *location;
} locations[] = {
        {"af-south-1", "Africa (Cape Town)"},
        {"ap-east-1", "Asia Pacific (Hong Kong)"},
        {"ap-northeast-1", "Asia Pacific (Tokyo)"},
        {"ap-northeast-2", "Asia Pacific (Seoul)"},
        {"ap-northeast-3", "Asia Pacific (Osaka)"},
        {"ap-south-1", "Asia Pacific (Mumbai)"},
        {"ap-southeast-1", "Asia Pacific (Singapore)"},
        {"ap-southeast-2", "Asia Pacific (Sydney)"},
        {"ca-central-1", "Canada (Central)"},
        {"eu-central-1", "EU (Frankfurt)"},
        {"eu-north-1", "EU (Stockholm)"},
        {"eu-south-1", "EU (Milan)"},
        {"eu-west-1", "EU (Ireland)"},
        {"eu-west-2", "EU (London)"},
        {"eu-west-3", "EU (Paris)"},
        {"me-south-1", "Middle East (Bahrain)"},
        {"sa-east-1", "South America (Sao Paulo)"},
        {"us-east-1", "US East (N. Virginia)"},
        {"us-east-2", "US East (Ohio)"},
        {"us-west-1", "US West (N. California)"},
        {"us-west-2", "US West (Oregon)"},
};

struct str price_location(struct str region)
{
	for (size_t i = 0; i < sizeof(locations) / sizeof(*locations); i++)
		if (str_is(region, locations[i].region))
			return str_from(locations[i].location);
	return region;
}

/* Letters and digits as AWS's codes have them, always the same of the same text. */
static struct str code_of(struct arena *a, struct str text, unsigned n)
{
	static const char letters[] = "23456789ABCDEFGHJKMNPQRSTUVWXYZ7";
	unsigned char digest[HASH_MAX_BYTES];
	char *code = arena_alloc(a, CODE_BYTES);
	hash_of(HASH_SHA256, text, digest);
	for (unsigned i = 0; i < n; i++)
		code[i] = letters[digest[i] % 32];
	return str_of(code, n);
}

static void add(struct arena *a, struct product *p, struct str name, struct str value)
{
	*LIST_ADD(a, &p->attributes) = (struct product_attribute){name, value};
}

static int by_name(const void *x, const void *y)
{
	const struct product_attribute *a = x, *b = y;
	return str_cmp(a->name, b->name);
}

/* Spot prices are no products, as on AWS: DescribeSpotPriceHistory has them. */
static bool listed(const struct price *p)
{
	struct str usage = str_from(p->usage);
	return !str_ends(usage, S("*")) && !str_starts(usage, S("SpotUsage:")) && !str_starts(usage, S("HeavyUsage:"));
}

static void make(struct arena *a, const struct price *p, struct str region, struct str code, struct str words, struct product *ret)
{
	*ret = (struct product){.price = p, .code = code, .name = str_cut(&words, '\t'), .family = str_cut(&words, '\t')};
	while (str_set(words)) {
		struct str value = str_cut(&words, '\t'), name = str_cut(&value, '=');
		add(a, ret, name, str_set(value) ? value : S(""));
	}
	add(a, ret, S("location"), price_location(region));
	add(a, ret, S("locationType"), S("AWS Region"));
	add(a, ret, S("regionCode"), region);
	add(a, ret, S("servicecode"), code);
	add(a, ret, S("servicename"), ret->name);
	add(a, ret, S("usagetype"), price_usage_type(a, region, str_from(p->usage)));
	qsort(ret->attributes.v, ret->attributes.n, sizeof(*ret->attributes.v), by_name);
	ret->sku = code_of(a, ARENA_CAT(a, region, S("/"), str_from(p->usage)), CODE_BYTES);
}

static int64_t reserved_e12(struct arena *a, const struct price_book *b, const struct price *p, struct str region)
{
	static const char box[] = "BoxUsage:";
	struct str usage = str_from(p->usage);
	if (!str_starts(usage, str_from(box)))
		return 0;
	struct str fee = ARENA_CAT(a, S("HeavyUsage:"), str_from_at(usage, sizeof(box) - 1));
	const struct price *its = price_exactly(fee), *own = its ? price_in(b, its, fee, region) : NULL;
	return own ? own->tiers[0].usd_e12 : 0;
}

void product_each(struct arena *a, const struct price_book *b, struct str code,
                  bool (*found)(void *ctx, struct arena *a, const struct product *p), void *ctx)
{
	struct str_list regions = price_book_regions(b, a);
	for (uint32_t r = 0; r < regions.n; r++)
		for (unsigned i = 0; i < price_count; i++) {
			const struct price *p = price_in(b, &prices[i], str_from(prices[i].usage), regions.v[r]);
			struct str words = str_from(price_products + prices[i].product), its = str_cut(&words, '\t');
			struct product made;
			if (!p || !listed(p) || (str_set(code) && !str_eq(its, code)))
				continue;
			make(a, p, regions.v[r], its, words, &made);
			made.reserved_e12 = reserved_e12(a, b, p, regions.v[r]);
			if (!found(ctx, a, &made))
				return;
		}
}

static bool same_name(struct str x, struct str y)
{
	for (size_t i = 0; i < x.n && x.n == y.n; i++)
		if (ascii_lower(x.p[i]) != ascii_lower(y.p[i]))
			return false;
	return x.n == y.n;
}

struct str product_attribute(const struct product *p, struct str name)
{
	if (same_name(name, S("productFamily")))
		return p->family;
	for (uint32_t i = 0; i < p->attributes.n; i++)
		if (same_name(p->attributes.v[i].name, name))
			return p->attributes.v[i].value;
	return STR_NONE;
}

static void put(struct json_out *o, const char *key, struct str value)
{
	json_key(o, str_from(key));
	json_string(o, value);
}

/* "0.0104000000": ten decimals at least. */
static struct str padded(struct arena *a, int64_t usd_e12)
{
	struct str text = price_text_e12(a, usd_e12);
	ptrdiff_t point = str_find_char(text, '.');
	size_t behind = point < 0 ? 0 : text.n - (size_t)point - 1;
	return behind >= 10 ? text : ARENA_CAT(a, text, point < 0 ? S(".") : S(""), str_sub(S("0000000000"), 0, 10 - behind));
}

static void put_dimension(struct json_out *o, struct arena *a, const struct product *p, struct str term, unsigned i)
{
	const struct price *price = p->price;
	int64_t begin = i ? price->tiers[i - 1].up_to : 0, end = price->tiers[i].up_to;
	struct str number = arena_printf(a, "%u", i);
	struct str code = price->tier_count == 1 ? S(ONE_TIER) : code_of(a, ARENA_CAT(a, p->sku, number), 10);
	struct str rate = ARENA_CAT(a, term, S("."), code), usd = price_text_e12(a, price->tiers[i].usd_e12);
	json_key(o, rate);
	json_open(o, '{');
	put(o, "unit", str_from(price->unit));
	put(o, "endRange", end ? arena_printf(a, "%lld", (long long)end) : S("Inf"));
	put(o, "description",
	    arena_printf(a, "$%.*s per %s of %.*s", STR_ARG(usd), price->unit, STR_ARG(product_attribute(p, S("usagetype")))));
	json_key(o, S("appliesTo"));
	json_open(o, '[');
	json_close(o, ']');
	put(o, "rateCode", rate);
	put(o, "beginRange", arena_printf(a, "%lld", (long long)begin));
	json_key(o, S("pricePerUnit"));
	json_open(o, '{');
	put(o, "USD", padded(a, price->tiers[i].usd_e12));
	json_close(o, '}');
	json_close(o, '}');
}

static void put_reserved(struct json_out *o, struct arena *a, const struct product *p)
{
	struct str term = ARENA_CAT(a, p->sku, S("." RESERVED)), rate = ARENA_CAT(a, term, S("." ONE_TIER));
	json_key(o, S("Reserved"));
	json_open(o, '{');
	json_key(o, term);
	json_open(o, '{');
	json_key(o, S("priceDimensions"));
	json_open(o, '{');
	json_key(o, rate);
	json_open(o, '{');
	put(o, "unit", S("Hrs"));
	put(o, "endRange", S("Inf"));
	put(o, "description", arena_printf(a, "%.*s reserved instance applied", STR_ARG(product_attribute(p, S("instanceType")))));
	json_key(o, S("appliesTo"));
	json_open(o, '[');
	json_close(o, ']');
	put(o, "rateCode", rate);
	put(o, "beginRange", S("0"));
	json_key(o, S("pricePerUnit"));
	json_open(o, '{');
	put(o, "USD", padded(a, p->reserved_e12));
	json_close(o, '}');
	json_close(o, '}');
	json_close(o, '}');
	put(o, "sku", p->sku);
	put(o, "effectiveDate", S(PUBLISHED));
	put(o, "offerTermCode", S(RESERVED));
	json_key(o, S("termAttributes"));
	json_open(o, '{');
	put(o, "LeaseContractLength", S("1yr"));
	put(o, "OfferingClass", S("standard"));
	put(o, "PurchaseOption", S("No Upfront"));
	json_close(o, '}');
	json_close(o, '}');
	json_close(o, '}');
}

static void put_terms(struct json_out *o, struct arena *a, const struct product *p)
{
	struct str term = ARENA_CAT(a, p->sku, S("." ON_DEMAND));
	json_key(o, S("terms"));
	json_open(o, '{');
	json_key(o, S("OnDemand"));
	json_open(o, '{');
	json_key(o, term);
	json_open(o, '{');
	json_key(o, S("priceDimensions"));
	json_open(o, '{');
	for (unsigned i = 0; i < p->price->tier_count; i++)
		put_dimension(o, a, p, term, i);
	json_close(o, '}');
	put(o, "sku", p->sku);
	put(o, "effectiveDate", S(PUBLISHED));
	put(o, "offerTermCode", S(ON_DEMAND));
	json_key(o, S("termAttributes"));
	json_open(o, '{');
	json_close(o, '}');
	json_close(o, '}');
	json_close(o, '}');
	if (p->reserved_e12)
		put_reserved(o, a, p);
	json_close(o, '}');
}

struct str product_json(struct arena *a, const struct product *p)
{
	struct buf b;
	buf_init(&b, JSON_MAX);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("product"));
	json_open(&o, '{');
	put(&o, "productFamily", p->family);
	json_key(&o, S("attributes"));
	json_open(&o, '{');
	for (uint32_t i = 0; i < p->attributes.n; i++) {
		json_key(&o, p->attributes.v[i].name);
		json_string(&o, p->attributes.v[i].value);
	}
	json_close(&o, '}');
	put(&o, "sku", p->sku);
	json_close(&o, '}');
	put(&o, "serviceCode", p->code);
	put_terms(&o, a, p);
	put(&o, "version", S(VERSION));
	put(&o, "publicationDate", S(PUBLISHED));
	json_close(&o, '}');
	struct str text = arena_dup(a, buf_str(&b));
	buf_done(&b);
	return text;
}
