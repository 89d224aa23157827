/* What every Describe operation does: ids, filters, pages. Private to aws/ec2. */
#pragma once
#include "aws/ec2/filter.h"

struct ec2_walk {
	const struct ec2_kind *kind;
	const struct ec2_field *fields; /* NULL: tags alone */
	const struct ec2_filter_list *filters;
	const struct str_list *ids;        /* NULL: the operation takes none */
	const struct opt_int *max_results; /* NULL: the operation has no pages */
	struct str next_token;
	void (*show)(struct call *c, void *record, void *out); /* appends a record to the reply */
	bool (*hidden)(struct call *c, void *record);          /* what is not listed; NULL: all is */
	int64_t min, max;                                      /* of MaxResults; 0: 5 and 1000 */
};
/* CALL_OK with every record that was asked for shown, and *ret_token (may be NULL) set when there are more. */
int ec2_describe(struct call *c, const struct ec2_walk *w, void *out, struct str *ret_token);

/* For lists that are walked otherwise. Checks MaxResults and the token; *ret_after: the text that the token holds, or absent. */
int ec2_page_begin(struct call *c, const struct opt_int *max_results, int64_t min, int64_t max, struct str token,
                   struct str *ret_after);
struct str ec2_page_token(struct call *c, struct str last);
