/* Unicode's general categories as sorted ranges of code points, generated from python's unicodedata.
 * src/model/pattern.c alone reads them. */
#pragma once
#include <stdint.h>

struct unicode_range {
	uint32_t low, high;
};

extern const struct unicode_range unicode_letters[], unicode_numbers[], unicode_separators[];
extern const unsigned unicode_letters_count, unicode_numbers_count, unicode_separators_count;
