/* The user's own prices in front of AWS's. */
#include "aws/pricing/offer.h"

#include "base/map.h"

#include <stdlib.h>

enum { OWN_MAX = 20000 };

struct price_book {
	struct map own; /* "REGION/USAGE": struct price; in memory of its own, as long as the book */
	struct str_list regions;
	struct price_offers offers;
	bool no_free;
};

static struct str key_of(struct arena *a, struct str region, struct str usage)
{
	return ARENA_CAT(a, region, S("/"), usage);
}

static bool read_tier(const struct json_value *number, struct price_tier *ret)
{
	__int128 n;
	if (!json_is(number, JSON_NUMBER) || !price_parse(number->text, 12, &n) || n < 0 || n > INT64_MAX)
		return false;
	ret->usd_e12 = (int64_t)n;
	return true;
}

/* [[up to, usd], ..., [null, usd]] */
static bool read_tiers(const struct json_value *v, struct price *ret)
{
	int64_t before = 0;
	if (v->count == 0 || v->count > PRICE_TIERS_MAX)
		return false;
	json_each(v, pair)
	{
		struct price_tier *tier = &ret->tiers[ret->tier_count++];
		bool last = !pair->next;
		if (!json_is(pair, JSON_ARRAY) || pair->count != 2 || !read_tier(pair->first->next, tier))
			return false;
		if (last != json_is(pair->first, JSON_NULL))
			return false;
		if (!last &&
		    (!json_is(pair->first, JSON_NUMBER) || !json_to_int(pair->first->text, &tier->up_to) || tier->up_to <= before))
			return false;
		before = tier->up_to;
	}
	return true;
}

static bool read_price(const struct json_value *v, struct price *ret)
{
	ret->tier_count = 0;
	for (unsigned i = 0; i < PRICE_TIERS_MAX; i++)
		ret->tiers[i] = (struct price_tier){0};
	if (json_is(v, JSON_NULL))
		return true;
	if (json_is(v, JSON_ARRAY))
		return read_tiers(v, ret);
	ret->tier_count = 1;
	return read_tier(v, &ret->tiers[0]);
}

static bool read_region(struct arena *a, struct price_book *b, const struct json_value *region, struct str *ret_why)
{
	*LIST_ADD(a, &b->regions) = region->key;
	json_each(region, v)
	{
		const struct price *of = price_find(v->key);
		if (!of) {
			*ret_why = arena_printf(a, "%.*s: there is no usage type %.*s", STR_ARG(region->key), STR_ARG(v->key));
			return false;
		}
		struct price *own = arena_new(a, struct price);
		*own = *of;
		if (!read_price(v, own)) {
			*ret_why = arena_printf(
			        a,
			        "%.*s: %.*s: a price is a number of USD, [[up to, USD], ..., [null, USD]] of at most %d tiers, or null",
			        STR_ARG(region->key), STR_ARG(v->key), PRICE_TIERS_MAX);
			return false;
		}
		if (b->own.count >= OWN_MAX) {
			*ret_why = arena_printf(a, "more than %d prices", OWN_MAX);
			return false;
		}
		bool group = str_ends(str_from(of->usage), S("*"));
		map_put(&b->own, key_of(a, region->key, group ? v->key : str_from(of->usage)), own);
	}
	return true;
}

/* A plan that is dearer than no plan is a slip: AWS has none. */
static bool check_offers(struct arena *a, const struct price_book *b, struct str *ret_why)
{
	for (uint32_t i = 0; i < b->offers.n; i++)
		for (uint32_t k = 0; k < b->offers.v[i].rates.n; k++) {
			const struct price_rate *r = &b->offers.v[i].rates.v[k];
			const struct price *p = price_in(b, price_find(r->usage), r->usage, r->region);
			if (p && r->usd_e12 <= p->tiers[0].usd_e12)
				continue;
			*ret_why = arena_printf(a, "savings_plans: %.*s: %.*s: a rate is below the price on demand, which is %.*s",
			                        STR_ARG(r->region), STR_ARG(r->usage),
			                        STR_ARG(p ? price_text_e12(a, p->tiers[0].usd_e12) : S("not known there")));
			return false;
		}
	return true;
}

void price_book_done(struct price_book *b)
{
	if (b)
		map_done(&b->own);
}

struct price_book *price_book_read(struct arena *a, struct str json, struct str *ret_why)
{
	struct price_book *b = arena_new(a, struct price_book);
	const struct json_value *all = json_parse(a, json, ret_why);
	if (!all)
		return NULL;
	if (!json_is(all, JSON_OBJECT)) {
		*ret_why = S("prices are a JSON object of regions");
		return NULL;
	}
	json_each(all, member)
	{
		if (str_is(member->key, "free_tiers") && (json_is(member, JSON_TRUE) || json_is(member, JSON_FALSE))) {
			b->no_free = json_is(member, JSON_FALSE);
		} else if (str_is(member->key, "savings_plans")) {
			if (!price_offers_read(a, member, &b->offers, ret_why)) {
				price_book_done(b);
				return NULL;
			}
		} else if (!json_is(member, JSON_OBJECT)) {
			*ret_why = arena_printf(
			        a,
			        "%.*s is neither \"free_tiers\" with true or false, nor \"savings_plans\", nor a region with prices",
			        STR_ARG(member->key));
			price_book_done(b);
			return NULL;
		} else if (!read_region(a, b, member, ret_why)) {
			price_book_done(b);
			return NULL;
		}
	}
	if (!check_offers(a, b, ret_why)) {
		price_book_done(b);
		return NULL;
	}
	return b;
}

struct price_offers price_book_offers(const struct price_book *b)
{
	return b ? b->offers : (struct price_offers){0};
}

const struct price *price_in(const struct price_book *b, const struct price *p, struct str usage, struct str region)
{
	char text[256];
	struct str name = str_ends(str_from(p->usage), S("*")) ? usage : str_from(p->usage);
	if (b && region.n + name.n + 1 <= sizeof(text)) {
		memcpy(text, region.p, region.n);
		text[region.n] = '/';
		memcpy(text + region.n + 1, name.p, name.n);
		const struct price *own = map_get(&b->own, str_of(text, region.n + 1 + name.n));
		if (own)
			return own->tier_count ? own : NULL;
	}
	return p->tier_count && str_is(region, PRICE_HOME) ? p : NULL;
}

bool price_book_free(const struct price_book *b)
{
	return !b || !b->no_free;
}

static int by_text(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

struct str_list price_book_regions(const struct price_book *b, struct arena *a)
{
	struct str_list found = {0};
	bool home = false;
	for (uint32_t i = 0; b && i < b->regions.n; i++) {
		*LIST_ADD(a, &found) = b->regions.v[i];
		home |= str_is(b->regions.v[i], PRICE_HOME);
	}
	if (!home)
		*LIST_ADD(a, &found) = S(PRICE_HOME);
	qsort(found.v, found.n, sizeof(*found.v), by_text);
	return found;
}
