#include "engine/metrics/series.h"

#include "base/hash.h"

#include <stdlib.h>

/* CloudWatch's units; the position is what is kept. */
static const char *const units[] = {"None",
                                    "Seconds",
                                    "Microseconds",
                                    "Milliseconds",
                                    "Bytes",
                                    "Kilobytes",
                                    "Megabytes",
                                    "Gigabytes",
                                    "Terabytes",
                                    "Bits",
                                    "Kilobits",
                                    "Megabits",
                                    "Gigabits",
                                    "Terabits",
                                    "Percent",
                                    "Count",
                                    "Bytes/Second",
                                    "Kilobytes/Second",
                                    "Megabytes/Second",
                                    "Gigabytes/Second",
                                    "Terabytes/Second",
                                    "Bits/Second",
                                    "Kilobits/Second",
                                    "Megabits/Second",
                                    "Gigabits/Second",
                                    "Terabits/Second",
                                    "Count/Second"};
enum { UNITS = sizeof(units) / sizeof(*units), UNIT_BASE = 'A' };

struct str metrics_unit(char code)
{
	unsigned at = (unsigned char)code - UNIT_BASE;
	return str_from(units[at < UNITS ? at : 0]);
}

bool metrics_unit_known(struct str unit)
{
	return metrics_unit_code(unit) != UNIT_BASE || str_is(unit, units[0]);
}

char metrics_unit_code(struct str unit)
{
	for (unsigned i = 1; i < UNITS; i++)
		if (str_is(unit, units[i]))
			return (char)(UNIT_BASE + i);
	return UNIT_BASE;
}

static int by_name(const void *x, const void *y)
{
	const struct metric_dimension *a = x, *b = y;
	int order = str_cmp(a->name, b->name);
	return order ? order : str_cmp(a->value, b->value);
}

struct str metrics_names(struct buf *b, const struct metric *m)
{
	struct metric_dimension sorted[METRIC_DIMENSIONS_MAX];
	struct str zero = str_of("", 1);
	size_t from = b->n;
	memcpy(sorted, m->dimensions ? m->dimensions : sorted, m->dimension_count * sizeof(*sorted));
	if (m->dimension_count > 1)
		qsort(sorted, m->dimension_count, sizeof(*sorted), by_name);
	buf_add_str(b, m->space);
	buf_add_str(b, zero);
	buf_add_str(b, m->name);
	buf_add_str(b, zero);
	for (size_t i = 0; i < m->dimension_count; i++) {
		buf_add_str(b, sorted[i].name);
		buf_add_str(b, zero);
		buf_add_str(b, sorted[i].value);
		buf_add_str(b, zero);
	}
	return str_from_at(buf_str(b), from);
}

struct str metrics_key(struct arena *a, struct str account, struct str region, struct str names)
{
	struct str zero = str_of("", 1);
	return ARENA_CAT(a, S("s"), account, zero, region, zero, hash_hex(a, HASH_SHA256, names));
}

static void add_number(struct buf *b, uint64_t x, size_t bytes)
{
	x = __builtin_bswap64(x);
	buf_add(b, (const char *)&x + sizeof(x) - bytes, bytes);
}

enum { NUMBER_BYTES = 5, TIER_BYTES = 1, BLOCK_BYTES = 4 };

static struct str place_key(struct arena *a, char kind, uint64_t number, unsigned tier, int64_t block)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 64);
	buf_add_char(&b, kind);
	add_number(&b, number, NUMBER_BYTES);
	add_number(&b, tier, TIER_BYTES);
	add_number(&b, (uint64_t)block, BLOCK_BYTES);
	return arena_dup(a, buf_str(&b));
}

struct str metrics_block_key(struct arena *a, uint64_t id, unsigned tier, int64_t block)
{
	return place_key(a, 'h', id, tier, block);
}

struct str metrics_pack_key(struct arena *a, uint64_t group, unsigned tier, int64_t span)
{
	return place_key(a, 'p', group, tier, span);
}

static uint64_t number_at(struct str key, size_t from, size_t bytes)
{
	uint64_t x = 0;
	for (size_t i = from; i < from + bytes && i < key.n; i++)
		x = x << 8 | (uint8_t)key.p[i];
	return x;
}

uint64_t metrics_key_number(struct str key)
{
	return number_at(key, 1, NUMBER_BYTES);
}

int64_t metrics_key_block(struct str key)
{
	return (int64_t)number_at(key, 1 + NUMBER_BYTES + TIER_BYTES, BLOCK_BYTES);
}

bool metrics_row_read(struct arena *a, struct str key, struct str value, struct metric *ret, struct series_row *ret_row)
{
	struct metric_dimension dimensions[METRIC_DIMENSIONS_MAX];
	if (value.n < sizeof(*ret_row) || key.n < 2)
		return false;
	memcpy(ret_row, value.p, sizeof(*ret_row));
	struct str rest = arena_dup(a, str_from_at(value, sizeof(*ret_row))), where = arena_dup(a, str_from_at(key, 1));
	*ret = (struct metric){.unit = metrics_unit(key.p[key.n - 1])};
	ret->account = str_cut(&where, '\0');
	ret->region = str_cut(&where, '\0');
	ret->space = str_cut(&rest, '\0');
	ret->name = str_cut(&rest, '\0');
	while (rest.n && ret->dimension_count < METRIC_DIMENSIONS_MAX) {
		struct metric_dimension *d = &dimensions[ret->dimension_count++];
		d->name = str_cut(&rest, '\0');
		d->value = str_cut(&rest, '\0');
	}
	size_t bytes = ret->dimension_count * sizeof(*dimensions);
	ret->dimensions = bytes ? memcpy(arena_alloc(a, bytes), dimensions, bytes) : NULL;
	return true;
}
