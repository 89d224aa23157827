/* Pages of lists: a marker is the last key that was listed, in base64, and is good only for the list that gave it. */
#include "aws/lambda/lambda.h"
#include "base/base64.h"

int lambda_page_begin(struct call *c, struct str marker, struct opt_int max_items, uint32_t most, struct lambda_page *ret)
{
	struct lambda_page page = {.max = most};
	if (max_items.set && max_items.v > 0 && max_items.v < most)
		page.max = (uint32_t)max_items.v;
	if (str_set(marker) && !str_empty(marker)) {
		page.after = base64url_decode(c->arena, marker);
		if (!str_set(page.after) || !str_starts(page.after, S("lambda")))
			return lambda_invalid(c, "Invalid Marker: %.*s", STR_ARG(marker));
	}
	*ret = page;
	return CALL_OK;
}

struct str lambda_page_marker(struct call *c, struct str last_key)
{
	return base64url_encode(c->arena, last_key);
}
