/* Prices, as the cloud's price list has them: it may be the user's own. */
#include "role/bill/bill.h"

#include "base/json.h"
#include "gen/pricing.h"

struct str bill_code(const struct bill_line *l)
{
	struct str words = str_from(price_products + l->price->product);
	return str_cut(&words, '\t');
}

/* A product's first price goes to its lines: the first product of a usage type wins. */
static void take_product(struct bill *b, struct str code, const struct json_value *product)
{
	const struct json_value *of = json_get(product, S("product"));
	struct str usage = json_get_str(json_get(of, S("attributes")), S("usagetype"));
	const struct json_value *terms = json_get(json_get(product, S("terms")), S("OnDemand"));
	const struct json_value *tiers = terms && terms->first ? json_get(terms->first, S("priceDimensions")) : NULL;
	for (uint32_t i = 0; i < b->lines.n; i++) {
		struct bill_line *l = &b->lines.v[i];
		if (l->known || !str_eq(l->usage, usage) || !str_eq(bill_code(l), code))
			continue;
		l->tiers = tiers && tiers->count > 1;
		json_each(tiers, tier)
		{
			struct str usd = json_get_str(json_get(tier, S("pricePerUnit")), S("USD"));
			if (str_is(json_get_str(tier, S("beginRange")), "0"))
				l->known = price_parse(usd, 12, &l->price_e12);
		}
	}
}

static int ask_prices(struct cli *cli, const struct cli_cloud *cloud, struct bill *b, struct str code, struct str usages)
{
	struct pricing_filter any = {.type = S("ANY_OF"), .field = S("usagetype"), .value = usages};
	struct pricing_get_products_request in = {.service_code = code, .filters = {.v = &any, .n = 1, .set = true}};
	struct pricing_get_products_response out = {0};
	do {
		int status = cli_call(cli, cloud, &pricing_api, "GetProducts", &in, &out, NULL);
		if (status != CLI_OK)
			return status;
		for (uint32_t i = 0; i < out.price_list.n; i++)
			take_product(b, code, json_parse(&cli->arena, out.price_list.v[i], NULL));
		in.next_token = out.next_token;
	} while (str_set(in.next_token));
	return CLI_OK;
}

int bill_find_prices(struct cli *cli, const struct cli_cloud *cloud, struct bill *b)
{
	enum { VALUE_MAX = 1000 };
	bool *asked = arena_array(&cli->arena, b->lines.n + 1, sizeof(*asked));
	for (uint32_t i = 0; i < b->lines.n; i++) {
		if (!b->lines.v[i].price)
			continue;
		struct str code = bill_code(&b->lines.v[i]), usages = STR_NONE;
		for (uint32_t k = i; k < b->lines.n; k++) {
			const struct bill_line *l = &b->lines.v[k];
			if (asked[k] || !l->price || !str_eq(bill_code(l), code) || usages.n + l->usage.n >= VALUE_MAX)
				continue;
			usages = str_set(usages) ? ARENA_CAT(&cli->arena, usages, S(","), l->usage) : l->usage;
			asked[k] = true;
		}
		int status = str_set(usages) ? ask_prices(cli, cloud, b, code, usages) : CLI_OK;
		if (status != CLI_OK)
			return status;
	}
	/* Spot prices are no products. */
	for (uint32_t i = 0; i < b->lines.n; i++) {
		struct bill_line *l = &b->lines.v[i];
		const struct price *p = l->price ? price_in(NULL, l->price, l->usage, l->region) : NULL;
		if (!l->known && p &&
		    (str_starts(str_from(p->usage), S("SpotUsage:")) || str_starts(str_from(p->usage), S("HeavyUsage:")))) {
			l->known = true;
			l->price_e12 = p->tiers[0].usd_e12;
		}
	}
	return CLI_OK;
}
