/* Filter patterns of event source mappings: which records a function wants. A pattern is JSON whose leaves are lists of conditions;
 * a record matches when every leaf has a condition that holds. Pure; results are views of the parsed pattern, which its owner
 * keeps. */
#pragma once
#include "base/json.h"

/* Is it a pattern at all? False: *ret_why says what is wrong, in the arena. */
bool filter_valid(struct arena *a, const struct json_value *pattern, struct str *ret_why);
bool filter_matches(const struct json_value *pattern, const struct json_value *record);
