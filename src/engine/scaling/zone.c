/* TZif files (RFC 8536): a list of moments at which the offset changes, and a rule in POSIX's form for what comes after the last.
 */
#include "engine/scaling/zone.h"

#include "base/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FILE_MAX = 64 * 1024, HEAD = 44, NAME_MAX_BYTES = 64, DAY_S = 24 * 3600 };

/* "the second Sunday of March at two o'clock" */
struct turn {
	int month, week, weekday;
	int64_t at_s;
};
struct rule {
	int64_t standard_s, summer_s;
	bool has_summer;
	struct turn begin, end;
};
struct change {
	int64_t from_s, offset_s;
};
struct zone {
	struct change *changes;
	size_t count;
	int64_t first_s; /* before all changes */
	struct rule rule;
	bool has_rule;
};

static struct map known; /* by name; of one that there is not: NULL is not kept */

/* --- the rule */

static bool take_number(const char **p, int64_t *ret)
{
	char *end;
	if (!ascii_is_digit(**p))
		return false;
	*ret = strtol(*p, &end, 10);
	*p = end;
	return true;
}

/* [+-]h[:m[:s]] */
static bool take_time(const char **p, int64_t *ret)
{
	int64_t sign = **p == '-' ? -1 : 1, h, m = 0, s = 0;
	if (**p == '-' || **p == '+')
		++*p;
	if (!take_number(p, &h))
		return false;
	if (**p == ':' && (++*p, !take_number(p, &m)))
		return false;
	if (**p == ':' && (++*p, !take_number(p, &s)))
		return false;
	*ret = sign * (h * 3600 + m * 60 + s);
	return true;
}

static bool skip_name(const char **p)
{
	const char *from = *p;
	if (**p == '<') {
		while (**p && **p != '>')
			++*p;
		return **p && ++*p;
	}
	while (ascii_is_alpha(**p))
		++*p;
	return *p > from;
}

static bool take_turn(const char **p, struct turn *ret)
{
	int64_t month, week, day;
	if (*(*p)++ != ',' || *(*p)++ != 'M' || !take_number(p, &month) || *(*p)++ != '.' || !take_number(p, &week) ||
	    *(*p)++ != '.' || !take_number(p, &day))
		return false;
	*ret = (struct turn){(int)month, (int)week, (int)day, 2 * 3600};
	return **p != '/' || (++*p, take_time(p, &ret->at_s));
}

static bool read_rule(const char *p, struct rule *ret)
{
	int64_t west;
	if (!skip_name(&p) || !take_time(&p, &west))
		return false;
	*ret = (struct rule){.standard_s = -west};
	if (!*p)
		return true;
	ret->has_summer = true;
	ret->summer_s = ret->standard_s + 3600;
	if (!skip_name(&p))
		return false;
	if (*p && *p != ',') {
		if (!take_time(&p, &west))
			return false;
		ret->summer_s = -west;
	}
	return take_turn(&p, &ret->begin) && take_turn(&p, &ret->end) && !*p;
}

/* By the clock that is in force before it. */
static int64_t turn_in(const struct turn *t, int year)
{
	struct tm first = {.tm_year = year - 1900, .tm_mon = t->month - 1, .tm_mday = 1};
	int64_t at = timegm(&first);
	int64_t day = (t->weekday - first.tm_wday + 7) % 7 + (t->week - 1) * 7;
	struct tm next = {.tm_year = year - 1900, .tm_mon = t->month, .tm_mday = 1};
	int64_t days = (timegm(&next) - at) / DAY_S;
	while (day >= days) /* the fifth is the last */
		day -= 7;
	return at + day * DAY_S + t->at_s;
}

static int64_t by_rule(const struct rule *r, int64_t utc_s)
{
	struct tm t;
	time_t at = utc_s + r->standard_s;
	if (!r->has_summer)
		return r->standard_s;
	gmtime_r(&at, &t);
	int64_t begin = turn_in(&r->begin, t.tm_year + 1900) - r->standard_s;
	int64_t end = turn_in(&r->end, t.tm_year + 1900) - r->summer_s;
	bool summer = begin < end ? utc_s >= begin && utc_s < end : utc_s >= begin || utc_s < end;
	return summer ? r->summer_s : r->standard_s;
}

/* --- the file */

static int64_t big(const unsigned char *p, int bytes)
{
	uint64_t v = p[0] & 0x80 ? UINT64_MAX : 0;
	for (int i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return (int64_t)v;
}

struct part {
	int64_t changes, types, chars, leaps, standards, utcs;
};

static bool read_head(const unsigned char *p, const unsigned char *end, struct part *ret)
{
	if (end - p < HEAD || memcmp(p, "TZif", 4) != 0)
		return false;
	*ret = (struct part){.utcs = big(p + 20, 4),
	                     .standards = big(p + 24, 4),
	                     .leaps = big(p + 28, 4),
	                     .changes = big(p + 32, 4),
	                     .types = big(p + 36, 4),
	                     .chars = big(p + 40, 4)};
	const int64_t all[] = {ret->utcs, ret->standards, ret->leaps, ret->changes, ret->types, ret->chars};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i] < 0 || all[i] > FILE_MAX)
			return false;
	return ret->types > 0;
}

static int64_t size_of(const struct part *h, int time_bytes)
{
	return h->changes * (time_bytes + 1) + h->types * 6 + h->chars + h->leaps * (time_bytes + 4) + h->standards + h->utcs;
}

static struct zone *read_zone(const unsigned char *p, const unsigned char *end)
{
	struct part h;
	if (!read_head(p, end, &h) || p[4] < '2' || end - p < HEAD + size_of(&h, 4))
		return NULL;
	p += HEAD + size_of(&h, 4); /* what follows has 64 bits for the same */
	if (!read_head(p, end, &h) || end - p < HEAD + size_of(&h, 8))
		return NULL;
	const unsigned char *times = p + HEAD, *kinds = times + h.changes * 8, *types = kinds + h.changes;
	struct zone *z = calloc(1, sizeof(*z));
	if (!z)
		abort();
	z->count = (size_t)h.changes;
	z->changes = calloc(z->count + 1, sizeof(*z->changes));
	if (!z->changes)
		abort();
	z->first_s = big(types, 4);
	for (size_t i = 0; i < z->count; i++)
		z->changes[i] = (struct change){big(times + i * 8, 8), kinds[i] < h.types ? big(types + kinds[i] * 6, 4) : 0};
	p += HEAD + size_of(&h, 8);
	const unsigned char *last = end > p ? memchr(p + 1, '\n', (size_t)(end - p - 1)) : NULL;
	char text[128];
	if (last && *p == '\n' && last - p - 1 < (ptrdiff_t)sizeof(text)) {
		snprintf(text, sizeof(text), "%.*s", (int)(last - p - 1), (const char *)p + 1);
		z->has_rule = read_rule(text, &z->rule);
	}
	return z;
}

static bool good(struct str name)
{
	if (!name.n || name.n > NAME_MAX_BYTES || !ascii_is_alpha(name.p[0]))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && !strchr("_+-/", name.p[i]))
			return false;
	return true;
}

const struct zone *zone_find(struct str name)
{
	struct zone *z = good(name) ? map_get(&known, name) : NULL;
	char path[128];
	if (z || !good(name))
		return z;
	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%.*s", STR_ARG(name));
	FILE *f = fopen(path, "re");
	if (!f)
		return NULL;
	unsigned char *bytes = malloc(FILE_MAX);
	if (!bytes)
		abort();
	z = read_zone(bytes, bytes + fread(bytes, 1, FILE_MAX, f));
	fclose(f);
	free(bytes);
	if (z)
		map_put(&known, name, z);
	return z;
}

/* --- asking */

int64_t zone_offset_s(const struct zone *z, int64_t utc_s)
{
	if (!z)
		return 0;
	size_t low = 0, high = z->count;
	while (low < high) { /* the first that is later */
		size_t mid = (low + high) / 2;
		if (z->changes[mid].from_s <= utc_s)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == z->count && z->has_rule)
		return by_rule(&z->rule, utc_s);
	return low ? z->changes[low - 1].offset_s : z->first_s;
}

int64_t zone_to_utc_s(const struct zone *z, int64_t local_s)
{
	int64_t before = zone_offset_s(z, local_s - DAY_S), after = zone_offset_s(z, local_s + DAY_S);
	if (zone_offset_s(z, local_s - before) == before)
		return local_s - before;
	return zone_offset_s(z, local_s - after) == after ? local_s - after : local_s - before;
}
