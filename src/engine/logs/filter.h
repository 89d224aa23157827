/* The filter patterns of CloudWatch Logs: which messages does a pattern select?
 *
 *	ERROR "exact phrase" -without ?or ?or %regex%          words, anywhere in the message
 *	{ $.a.b[0] = "x*" && ($.n >= 5 || $.m NOT EXISTS) }    a message that is a JSON object
 *	[ip, ..., status = 4* && status != 404, bytes]         a message of fields separated by spaces
 *
 * A compiled filter lives as long as its arena and is never changed by matching. Matching takes time in proportion to the
 * message; what it needs meanwhile comes from a scratch arena, which the caller resets when it likes. */
#pragma once
#include "base/arena.h"
#include "model/model.h"

struct log_filter;

enum { LOG_FILTER_REGEX_MAX = 2 };

/* NULL: the pattern is not valid and *ret_error says so in AWS's words. An absent or blank pattern selects everything. */
const struct log_filter *log_filter_compile(struct arena *a, struct str pattern, struct str *ret_error);
bool log_filter_match(struct arena *scratch, const struct log_filter *f, struct str message);
/* The fields of a message that a pattern in square brackets selects, as $name or, without a name, $position; views of the message.
 * None for other patterns. */
struct str_map log_filter_fields(struct arena *a, const struct log_filter *f, struct str message);

/* Where in a message a value is: $.a.b[0] with a pattern in braces, $name with one in square brackets. NULL: it is no such thing,
 * or the pattern has no field of that name. Lives as long as its arena, and no longer than the filter. */
struct log_selector;
const struct log_selector *log_selector_compile(struct arena *a, const struct log_filter *f, struct str text);
/* What is there in a message that the filter selects; STR_NONE: nothing, or no single value. */
struct str log_selector_take(struct arena *scratch, const struct log_filter *f, const struct log_selector *s, struct str message);
