/* The regular expressions of API models, in time that grows with the text alone.
 *
 * Models state patterns in Java's dialect and mean the whole string. Clients choose the text, so a backtracking matcher would let
 * them choose our CPU time as well. This one follows every path through the pattern at once and never goes back.
 *
 * Known: classes, ranges, \d \w \s \b, \p{L} \p{N} \p{Z} \p{ASCII} \p{Print}, escapes with code points, groups, alternatives,
 * repeats with and without bounds, ^ $, (?i), look-ahead that is bounded or stands near the start, look-behind of one character.
 * Not known: back references, possessive repeats, class intersections.
 * Users: model_check(). A compiled pattern lives as long as its arena and may be shared by threads. */
#pragma once
#include "base/arena.h"

struct pattern;

/* NULL when the pattern is malformed, not supported or too large; *ret_why then says which, if it is not NULL. */
const struct pattern *pattern_compile(struct arena *a, struct str text, const char **ret_why);

/* The same for a constant of the tables, whose address stands for it: compiled at its first use and kept for good. */
const struct pattern *pattern_cached(const char *text);

/* Does the pattern match all of the text? Bytes that are no UTF-8 count as U+FFFD. Scratch memory comes from `a`. */
bool pattern_match(struct arena *a, const struct pattern *pattern, struct str text);
