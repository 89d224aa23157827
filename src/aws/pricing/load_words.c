#include "aws/pricing/load_words.h"

#include "model/model.h"

#define RATE_MAX 1e9

bool load_rate_read(struct str text, double *ret)
{
	if (str_ends(text, S("rps")))
		text.n -= 3;
	return str_to_double(text, ret) && *ret >= 0 && *ret <= RATE_MAX;
}

/* In words the unit is said. */
static bool read_rate(struct str text, double *ret)
{
	return str_ends(text, S("rps")) && load_rate_read(text, ret);
}

/* "30s", "5m", "2h", "1d" */
static bool read_seconds(struct str text, double *ret)
{
	static const struct {
		char unit;
		double s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (text.n > 1 && text.p[text.n - 1] == units[i].unit && str_to_double(str_sub(text, 0, text.n - 1), ret) &&
		    *ret > 0) {
			*ret *= units[i].s;
			return true;
		}
	return false;
}

bool load_words_read(struct str text, struct load_words *ret)
{
	struct str words = text, kind = str_cut(&words, ':');
	struct load_words w = {0};
	if (!str_set(words))
		return false;
	if (str_is(kind, "steady")) {
		w.kind = LOAD_STEADY;
		if (!read_rate(words, &w.low_s) || w.low_s <= 0)
			return false;
		w.high_s = w.low_s;
	} else if (str_is(kind, "cron")) {
		w.kind = LOAD_CRON;
		if (!read_seconds(words, &w.period_s))
			return false;
		w.low_s = w.high_s = 1 / w.period_s;
	} else if (str_is(kind, "spiky")) {
		w.kind = LOAD_SPIKY;
		struct str rates = str_cut(&words, '/'), low = str_cut(&rates, '-');
		if (!str_set(words) || !str_set(rates) || !read_rate(low, &w.low_s) || !read_rate(rates, &w.high_s) ||
		    w.high_s <= 0 || !read_seconds(words, &w.period_s))
			return false;
	} else {
		return false;
	}
	*ret = w;
	return true;
}
