#include "aws/ec2/page.h"

#include "base/base64.h"
#include "base/hash.h"
#include "core/service.h"

/* A token is the id that came last behind a digest with the operation's name in it: one of another operation, region or account is
 * refused, and so is one that was made up. */
static struct str token_mark(struct call *c, struct str last)
{
	struct str op = api_text(c->service->api, c->op->name);
	struct str what = ARENA_CAT(c->arena, op, S("\n"), c->account, S("\n"), c->region, S("\n"), last);
	return str_sub(hash_hex(c->arena, HASH_SHA256, what), 0, 16);
}

struct str ec2_page_token(struct call *c, struct str last)
{
	return base64url_encode(c->arena, ARENA_CAT(c->arena, token_mark(c, last), last));
}

int ec2_page_begin(struct call *c, const struct opt_int *max_results, int64_t min, int64_t max, struct str token,
                   struct str *ret_after)
{
	if (max_results && max_results->set && (max_results->v < min || max_results->v > max))
		return ec2_invalid(c,
		                   "Value ( %ld ) for parameter maxResults is invalid. Expecting a value %s than or equal to %ld.",
		                   max_results->v, max_results->v < min ? "greater" : "lesser", max_results->v < min ? min : max);
	*ret_after = STR_NONE;
	if (!str_set(token))
		return CALL_OK;
	struct str inside = base64url_decode(c->arena, token);
	if (!str_set(inside) || inside.n < 17 || !str_eq(str_sub(inside, 0, 16), token_mark(c, str_from_at(inside, 16))))
		return call_fail(c, "InvalidNextToken", 400, "The token '%.*s' is invalid", STR_ARG(token));
	*ret_after = str_from_at(inside, 16);
	return CALL_OK;
}

static bool listed(const struct str_list *ids, uint32_t before, struct str id)
{
	for (uint32_t i = 0; i < before; i++)
		if (str_eq(ids->v[i], id))
			return true;
	return false;
}

static int by_ids(struct call *c, const struct ec2_walk *w, const struct ec2_field *fields, void *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct str_list missing = {0};
	for (uint32_t i = 0; i < w->ids->n; i++)
		if (!ec2_id_well_formed(w->ids->v[i], w->kind->prefix))
			return ec2_malformed(c, w->kind, w->ids->v[i]);
	for (uint32_t i = 0; i < w->ids->n; i++) {
		struct str id = w->ids->v[i];
		void *record = arena_zalloc(c->arena, w->kind->size);
		if (listed(w->ids, i, id))
			continue;
		if (!ec2_find(&s, w->kind, id, record))
			*LIST_ADD(c->arena, &missing) = id;
		else if (ec2_filters_pass(c, w->kind, record, fields, w->filters))
			w->show(c, record, out);
	}
	return missing.n ? ec2_not_found(c, w->kind, &missing) : CALL_OK;
}

int ec2_describe(struct call *c, const struct ec2_walk *w, void *out, struct str *ret_token)
{
	static const struct ec2_field none[] = {{0}};
	const struct ec2_field *fields = w->fields ? w->fields : none;
	struct str after, last = STR_NONE;
	if (ec2_filters_check(c, fields, w->filters) != CALL_OK ||
	    ec2_page_begin(c, w->max_results, w->min ? w->min : 5, w->max ? w->max : 1000, w->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	bool paged = w->max_results && w->max_results->set;
	if (w->ids && w->ids->n && paged)
		return ec2_combination(c, "The parameter %s cannot be used with the parameter maxResults", w->kind->ids);
	if (w->ids && w->ids->n)
		return by_ids(c, w, fields, out);
	struct ec2_scope s = ec2_scope(c);
	struct ec2_all all = ec2_all_after(&s, w->kind, after);
	int64_t limit = paged ? w->max_results->v : INT64_MAX, n = 0;
	for (;;) {
		void *record = arena_zalloc(c->arena, w->kind->size);
		if (!ec2_next(&all, record))
			return CALL_OK;
		if ((w->hidden && w->hidden(c, record)) || !ec2_filters_pass(c, w->kind, record, fields, w->filters))
			continue;
		if (n == limit)
			break;
		w->show(c, record, out);
		last = all.id;
		n++;
	}
	*ret_token = ec2_page_token(c, last);
	return CALL_OK;
}
