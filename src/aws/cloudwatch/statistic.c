/* Percentiles lie between the samples next to them, in proportion; a trimmed part takes samples that its bounds cut through by the
 * share that is inside. */
#include "aws/cloudwatch/statistic.h"

#include <math.h>

static const struct {
	const char *name;
	enum statistic_kind kind;
} simple[] = {{"SampleCount", STAT_SAMPLE_COUNT},
              {"Average", STAT_AVERAGE},
              {"Sum", STAT_SUM},
              {"Minimum", STAT_MINIMUM},
              {"Maximum", STAT_MAXIMUM}},
  trimmed[] = {{"TM", STAT_TRIMMED_MEAN},
               {"WM", STAT_WINSORIZED_MEAN},
               {"TC", STAT_TRIMMED_COUNT},
               {"TS", STAT_TRIMMED_SUM},
               {"PR", STAT_PERCENTILE_RANK}};

/* Digits with at most `places` behind the point. */
static bool number(struct str s, size_t places, double *ret)
{
	ptrdiff_t point = str_find_char(s, '.');
	if (!s.n || s.n > 20 || (point >= 0 && s.n - (size_t)point - 1 > places))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_digit(s.p[i]) && (ptrdiff_t)i != point)
			return false;
	return str_to_double(s, ret);
}

static bool bound(struct str s, bool *percent, bool *has, double *ret)
{
	*percent = str_ends(s, S("%"));
	*has = s.n > 0;
	return !s.n || (number(*percent ? str_sub(s, 0, s.n - 1) : s, 10, ret) && (!*percent || *ret <= 100));
}

/* (10%:90%), (:300), (20:) */
static bool range(struct str s, struct statistic *made)
{
	bool first, second;
	if (!str_starts(s, S("(")) || !str_ends(s, S(")")) || str_find_char(s, ':') < 0)
		return false;
	struct str to = str_sub(s, 1, s.n - 2), from = str_cut(&to, ':');
	if (!bound(from, &first, &made->has_from, &made->from) || !str_set(to) || !bound(to, &second, &made->has_to, &made->to) ||
	    (!made->has_from && !made->has_to))
		return false;
	if (made->has_from && made->has_to && (first != second || made->from >= made->to))
		return false;
	made->percent = made->has_from ? first : second;
	return made->kind != STAT_PERCENTILE_RANK || !made->percent;
}

bool statistic_parse(struct str name, struct statistic *ret)
{
	struct statistic made = {0};
	for (size_t i = 0; i < sizeof(simple) / sizeof(*simple); i++)
		if (str_is(name, simple[i].name)) {
			*ret = (struct statistic){.kind = simple[i].kind};
			return true;
		}
	if (str_is(name, "IQM")) {
		*ret = (struct statistic){
		        .kind = STAT_TRIMMED_MEAN, .percent = true, .has_from = true, .has_to = true, .from = 25, .to = 75};
		return true;
	}
	if (str_starts(name, S("p")) && number(str_from_at(name, 1), 10, &made.from) && made.from <= 100) {
		made.kind = STAT_PERCENTILE;
		*ret = made;
		return true;
	}
	for (size_t i = 0; i < sizeof(trimmed) / sizeof(*trimmed); i++) {
		made = (struct statistic){.kind = trimmed[i].kind};
		bool short_form = made.kind != STAT_PERCENTILE_RANK && number(str_from_at(name, 2), 10, &made.to) && made.to <= 100;
		if (short_form && str_ieq(str_sub(name, 0, 2), str_from(trimmed[i].name))) {
			made.percent = made.has_to = true;
			*ret = made;
			return true;
		}
		if (str_starts(name, str_from(trimmed[i].name)) && range(str_from_at(name, 2), &made)) {
			*ret = made;
			return true;
		}
	}
	return false;
}

static double percentile(const struct metric_point *p, double percent)
{
	double at = (p->set.count - 1) * percent / 100, passed = 0;
	if (at < 0)
		at = 0;
	for (uint32_t i = 0; i < p->value_count; i++) {
		const struct metric_value *v = &p->values[i];
		passed += v->count;
		if (at <= passed - 1)
			return v->value;
		if (at < passed && i + 1 < p->value_count)
			return v->value + (at - (passed - 1)) * (v[1].value - v->value);
	}
	return p->values[p->value_count - 1].value;
}

struct part {
	double count, sum, below, above; /* below and above: how many are outside */
	double least, greatest;
};

static struct part part_of(const struct statistic *s, const struct metric_point *p)
{
	struct part made = {.least = NAN, .greatest = NAN};
	double total = p->set.count, passed = 0;
	for (uint32_t i = 0; i < p->value_count; i++) {
		const struct metric_value *v = &p->values[i];
		double from = passed, to = passed += v->count;
		if (s->percent) {
			double low = s->has_from ? total * s->from / 100 : 0, high = s->has_to ? total * s->to / 100 : total;
			made.below += fmax(0, fmin(to, low) - from);
			made.above += fmax(0, to - fmax(from, high));
			from = fmax(from, low);
			to = fmin(to, high);
		} else if (s->has_from && v->value <= s->from) {
			made.below += v->count;
			continue;
		} else if (s->has_to && v->value > s->to) {
			made.above += v->count;
			continue;
		}
		if (to <= from)
			continue;
		made.count += to - from;
		made.sum += (to - from) * v->value;
		made.least = isnan(made.least) ? v->value : made.least;
		made.greatest = v->value;
	}
	return made;
}

/* What is outside counts as what is next to it inside. */
static double winsorized(const struct part *k)
{
	double count = k->count + k->below + k->above;
	return (k->sum + k->below * k->least + k->above * k->greatest) / count;
}

bool statistic_of(const struct statistic *s, const struct metric_point *p, double *ret)
{
	const struct metric_set *set = &p->set;
	switch (s->kind) {
	case STAT_SAMPLE_COUNT:
		*ret = set->count;
		return true;
	case STAT_AVERAGE:
		*ret = set->sum / set->count;
		return true;
	case STAT_SUM:
		*ret = set->sum;
		return true;
	case STAT_MINIMUM:
		*ret = set->min;
		return true;
	case STAT_MAXIMUM:
		*ret = set->max;
		return true;
	default:
		break;
	}
	if (!p->value_count)
		return false;
	if (s->kind == STAT_PERCENTILE) {
		*ret = percentile(p, s->from);
		return true;
	}
	struct part k = part_of(s, p);
	if (s->kind == STAT_TRIMMED_COUNT)
		*ret = k.count;
	else if (s->kind == STAT_TRIMMED_SUM)
		*ret = k.sum;
	else if (s->kind == STAT_PERCENTILE_RANK)
		*ret = k.count / set->count * 100;
	else if (k.count <= 0)
		return false;
	else
		*ret = s->kind == STAT_TRIMMED_MEAN ? k.sum / k.count : winsorized(&k);
	return true;
}
