/* The book as a list of products, each a usage type in a region, in the words of AWS's price list. Private to aws/pricing. */
#pragma once
#include "aws/pricing/pricing.h"
#include "core/call.h"
#include "gen/pricing.h"

struct product_attribute {
	struct str name, value;
};
struct product_attributes {
	struct product_attribute *v;
	uint32_t n;
	bool set;
};
struct product {
	const struct price *price; /* what it costs in its region */
	struct str code, name, family, sku;
	struct product_attributes attributes; /* by name */
	int64_t reserved_e12; /* an hour of a standard reservation of a year without anything upfront; 0: there is none */
};
/* Calls `found` for every product of a service (absent: of all), in one order, until it returns false. A product and what it points
 * to live in the arena. */
void product_each(struct arena *a, const struct price_book *b, struct str code,
                  bool (*found)(void *ctx, struct arena *a, const struct product *p), void *ctx);
/* STR_NONE: it has none of that name, whose letters may be of any case. "productFamily" is one too. */
struct str product_attribute(const struct product *p, struct str name);
/* As GetProducts has it: one text of JSON. */
struct str product_json(struct arena *a, const struct product *p);

pricing_describe_services_handler pricing_describe_services;
pricing_get_attribute_values_handler pricing_get_attribute_values;
pricing_get_products_handler pricing_get_products;
