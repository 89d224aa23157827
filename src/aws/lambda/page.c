/* Pages of lists: a marker is the last key that was listed, in base64, and is good only for the list that gave it. */
#include "aws/lambda/lambda.h"
#include "base/base64.h"

int lambda_list_begin(struct call *c, struct str prefix, bool descending, struct str marker, struct opt_int max_items,
                      struct lambda_list *ret)
{
	struct lambda_list l = {.call = c, .left = LAMBDA_PAGE};
	if (max_items.set && max_items.v > 0 && max_items.v < LAMBDA_PAGE)
		l.left = (uint32_t)max_items.v;
	struct str from = prefix, to = store_prefix_end(c->arena, prefix);
	if (str_set(marker) && !str_empty(marker)) {
		struct str after = base64url_decode(c->arena, marker);
		if (!str_set(after) || !str_starts(after, prefix))
			return lambda_invalid(c, "Invalid Marker: %.*s", STR_ARG(marker));
		if (descending)
			to = after;
		else
			from = ARENA_CAT(c->arena, after, str_of("", 1));
	}
	l.it = store_scan(call_txn(c), from, to, descending);
	*ret = l;
	return CALL_OK;
}

int lambda_list_of_function(struct call *c, struct str kind, struct str text, struct str marker, struct opt_int max_items,
                            struct lambda_list *ret)
{
	struct lambda_name n;
	struct state_lambda_function_record function = {0};
	if (lambda_load_function(c, text, &n, &function) != CALL_OK)
		return CALL_FAIL;
	struct str prefix = KEY_UNDER(c->arena, S("lambda"), kind, n.account, n.region, n.name);
	return lambda_list_begin(c, prefix, false, marker, max_items, ret);
}

bool lambda_list_next(struct lambda_list *l, const struct record_type *type, void *row)
{
	struct store_value value;
	return store_next(l->it, &l->key, &value) && record_read(l->call->arena, value.value, type, row);
}

bool lambda_list_take(struct lambda_list *l, struct str *ret_next_marker)
{
	if (l->left) {
		l->left--;
		l->last = arena_dup(l->call->arena, l->key);
		return true;
	}
	*ret_next_marker = base64url_encode(l->call->arena, l->last);
	return false;
}
