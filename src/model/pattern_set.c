#include "model/pattern_tree.h"
#include "model/unicode.h"

#define LAST_CODE_POINT 0x10ffff

void pattern_set_add(struct arena *a, struct pattern_set *set, uint32_t low, uint32_t high)
{
	/* Full when the count is zero or a power of two. */
	if ((set->count & (set->count - 1)) == 0) {
		struct pattern_range *grown = arena_array(a, set->count ? (size_t)set->count * 2 : 1, sizeof(*grown));
		if (set->count)
			memcpy(grown, set->ranges, set->count * sizeof(*grown));
		set->ranges = grown;
	}
	set->ranges[set->count++] = (struct pattern_range){low, high};
}

void pattern_set_add_others(struct arena *a, struct pattern_set *set, const struct pattern_range *ranges, uint32_t count)
{
	uint32_t low = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (ranges[i].low > low)
			pattern_set_add(a, set, low, ranges[i].low - 1);
		low = ranges[i].high + 1;
	}
	pattern_set_add(a, set, low, LAST_CODE_POINT);
}

static bool in_ranges(const struct unicode_range *ranges, unsigned count, uint32_t c)
{
	unsigned low = 0, high = count;
	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		if (c < ranges[middle].low)
			high = middle;
		else if (c > ranges[middle].high)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

static bool in_category(unsigned category, uint32_t c)
{
	switch (category) {
	case SET_LETTERS:
		return in_ranges(unicode_letters, unicode_letters_count, c);
	case SET_NUMBERS:
		return in_ranges(unicode_numbers, unicode_numbers_count, c);
	default:
		return in_ranges(unicode_separators, unicode_separators_count, c);
	}
}

static bool set_has_slowly(const struct pattern_set *set, uint32_t c)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (c >= set->ranges[i].low && c <= set->ranges[i].high)
			return !set->negated;
	for (unsigned category = SET_LETTERS; category <= SET_SEPARATORS; category *= 2) {
		if (set->categories & category && in_category(category, c))
			return !set->negated;
		if (set->not_categories & category && !in_category(category, c))
			return !set->negated;
	}
	return set->negated;
}

/* Adds the other case of the ASCII letters in [low, high] that lie between first and last. */
static void add_other_case(struct arena *a, struct pattern_set *set, struct pattern_range range, char first, char last,
                           int distance)
{
	uint32_t low = range.low > (uint32_t)first ? range.low : (uint32_t)first;
	uint32_t high = range.high < (uint32_t)last ? range.high : (uint32_t)last;
	if (low <= high)
		pattern_set_add(a, set, (uint32_t)((int)low + distance), (uint32_t)((int)high + distance));
}

void pattern_set_finish(struct arena *a, struct pattern_set *set, bool fold_case)
{
	uint32_t given = set->count;
	for (uint32_t i = 0; fold_case && i < given; i++) {
		add_other_case(a, set, set->ranges[i], 'a', 'z', 'A' - 'a');
		add_other_case(a, set, set->ranges[i], 'A', 'Z', 'a' - 'A');
	}
	for (uint32_t c = 0; c < 128; c++)
		if (set_has_slowly(set, c))
			set->ascii[c / 64] |= 1ull << (c % 64);
}

bool pattern_set_has(const struct pattern_set *set, uint32_t c)
{
	return c < 128 ? set->ascii[c / 64] >> (c % 64) & 1 : set_has_slowly(set, c);
}
