/* DescribeServices, GetAttributeValues and GetProducts: three views of the same list of products. */
#include "aws/pricing/product.h"
#include "core/cloud.h"

#include <stdlib.h>

#define FORMAT "aws_v1"

enum { SERVICES_MAX = 100, VALUES_MAX = 1000, PRODUCTS_MAX = 100 };

static int check_format(struct call *c, struct str format)
{
	if (!str_set(format) || str_is(format, FORMAT))
		return CALL_OK;
	return call_fail(c, "InvalidParameterException", 400, "Invalid FormatVersion: %.*s", STR_ARG(format));
}

/* A token is how many came before. */
static int skip_of(struct call *c, struct str token, int64_t *ret)
{
	*ret = 0;
	if (!str_set(token) || (str_to_i64(token, ret) && *ret > 0))
		return CALL_OK;
	return call_fail(c, "InvalidNextTokenException", 400,
	                 "The pagination token is invalid. Try again without a pagination token.");
}

static struct str token_of(struct call *c, int64_t next)
{
	return arena_printf(c->arena, "%lld", (long long)next);
}

static bool is_service(void *ctx, struct arena *a, const struct product *p)
{
	(void)a;
	(void)p;
	*(bool *)ctx = true;
	return false;
}

static int check_service(struct call *c, struct str code)
{
	bool there = false;
	product_each(c->arena, c->cloud->prices, code, is_service, &there);
	return there ? CALL_OK : call_fail(c, "NotFoundException", 400, "Service code %.*s was not found", STR_ARG(code));
}

static int by_text(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static void add_once(struct arena *a, struct str_list *all, struct str text)
{
	for (uint32_t i = all->n; i-- > 0;)
		if (str_eq(all->v[i], text))
			return;
	*LIST_ADD(a, all) = text;
}

/* --- services */

struct services {
	struct pricing_service_list list;
};

static bool add_service(void *ctx, struct arena *a, const struct product *p)
{
	struct services *s = ctx;
	struct pricing_service *of = NULL;
	for (uint32_t i = 0; i < s->list.n && !of; i++)
		if (str_eq(s->list.v[i].service_code, p->code))
			of = &s->list.v[i];
	if (!of) {
		of = LIST_ADD(a, &s->list);
		of->service_code = p->code;
		add_once(a, &of->attribute_names, S("productFamily"));
	}
	for (uint32_t i = 0; i < p->attributes.n; i++)
		add_once(a, &of->attribute_names, p->attributes.v[i].name);
	return true;
}

static int by_code(const void *x, const void *y)
{
	const struct pricing_service *a = x, *b = y;
	return str_cmp(a->service_code, b->service_code);
}

int pricing_describe_services(struct call *c, const struct pricing_describe_services_request *in,
                              struct pricing_describe_services_response *out)
{
	struct services all = {0};
	int64_t skip, limit = in->max_results.set ? in->max_results.v : SERVICES_MAX;
	if (check_format(c, in->format_version) != CALL_OK || skip_of(c, in->next_token, &skip) != CALL_OK ||
	    (str_set(in->service_code) && check_service(c, in->service_code) != CALL_OK))
		return CALL_FAIL;
	product_each(c->arena, c->cloud->prices, in->service_code, add_service, &all);
	qsort(all.list.v, all.list.n, sizeof(*all.list.v), by_code);
	out->services.set = true;
	for (int64_t i = skip; i < all.list.n && i - skip < limit; i++) {
		struct pricing_service *s = LIST_ADD(c->arena, &out->services);
		*s = all.list.v[i];
		qsort(s->attribute_names.v, s->attribute_names.n, sizeof(*s->attribute_names.v), by_text);
	}
	if (skip + limit < all.list.n)
		out->next_token = token_of(c, skip + limit);
	out->format_version = S(FORMAT);
	return CALL_OK;
}

/* --- values */

struct values {
	struct str name;
	struct str_list list;
};

static bool add_value(void *ctx, struct arena *a, const struct product *p)
{
	struct values *v = ctx;
	struct str value = product_attribute(p, v->name);
	if (str_set(value))
		add_once(a, &v->list, value);
	return true;
}

int pricing_get_attribute_values(struct call *c, const struct pricing_get_attribute_values_request *in,
                                 struct pricing_get_attribute_values_response *out)
{
	struct values all = {.name = in->attribute_name};
	int64_t skip, limit = in->max_results.set ? in->max_results.v : VALUES_MAX;
	if (skip_of(c, in->next_token, &skip) != CALL_OK || check_service(c, in->service_code) != CALL_OK)
		return CALL_FAIL;
	product_each(c->arena, c->cloud->prices, in->service_code, add_value, &all);
	if (!all.list.n)
		return call_fail(c, "NotFoundException", 400, "Attribute %.*s of service %.*s was not found",
		                 STR_ARG(in->attribute_name), STR_ARG(in->service_code));
	qsort(all.list.v, all.list.n, sizeof(*all.list.v), by_text);
	out->attribute_values.set = true;
	for (int64_t i = skip; i < all.list.n && i - skip < limit; i++)
		LIST_ADD(c->arena, &out->attribute_values)->value = all.list.v[i];
	if (skip + limit < all.list.n)
		out->next_token = token_of(c, skip + limit);
	return CALL_OK;
}

/* --- products */

struct products {
	const struct pricing_get_products_request *in;
	struct pricing_get_products_response *out;
	int64_t skip, limit, seen;
	bool more;
};

static bool any_of(struct str value, struct str list)
{
	while (str_set(list))
		if (str_eq(value, str_trim(str_cut(&list, ','))))
			return true;
	return false;
}

/* A product without the field matches nothing but NONE_OF. */
static bool matches(const struct product *p, const struct pricing_filter *f)
{
	struct str value = product_attribute(p, f->field);
	if (str_is(f->type, "NONE_OF"))
		return !str_set(value) || !any_of(value, f->value);
	if (!str_set(value))
		return false;
	if (str_is(f->type, "CONTAINS"))
		return str_find(value, f->value) >= 0;
	if (str_is(f->type, "ANY_OF"))
		return any_of(value, f->value);
	return str_eq(value, f->value); /* TERM_MATCH, EQUALS */
}

static bool add_product(void *ctx, struct arena *a, const struct product *p)
{
	struct products *all = ctx;
	for (uint32_t i = 0; i < all->in->filters.n; i++)
		if (!matches(p, &all->in->filters.v[i]))
			return true;
	if (all->seen++ < all->skip)
		return true;
	if (all->out->price_list.n >= all->limit) {
		all->more = true;
		return false;
	}
	*LIST_ADD(a, &all->out->price_list) = product_json(a, p);
	return true;
}

int pricing_get_products(struct call *c, const struct pricing_get_products_request *in, struct pricing_get_products_response *out)
{
	struct products all = {.in = in, .out = out, .limit = in->max_results.set ? in->max_results.v : PRODUCTS_MAX};
	if (check_format(c, in->format_version) != CALL_OK || skip_of(c, in->next_token, &all.skip) != CALL_OK ||
	    check_service(c, in->service_code) != CALL_OK)
		return CALL_FAIL;
	out->price_list.set = true;
	product_each(c->arena, c->cloud->prices, in->service_code, add_product, &all);
	if (all.more)
		out->next_token = token_of(c, all.skip + out->price_list.n);
	out->format_version = S(FORMAT);
	return CALL_OK;
}
