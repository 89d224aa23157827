/* Which state an alarm goes into. Points beyond the alarm's own periods are fetched so that one that is late does not count as
 * missing: with enough real ones, the newest of these decide alone. With fewer, all real ones count and only what is lacking is
 * filled up as the alarm says. */
#include "aws/cloudwatch/alarm.h"

#include "base/json.h"

#include <math.h>
#include <time.h>

const char *const alarm_state_names[3] = {"OK", "ALARM", "INSUFFICIENT_DATA"};

enum alarm_state alarm_state_of(struct str name)
{
	return str_is(name, "OK") ? ALARM_OK : str_is(name, "ALARM") ? ALARM_ALARM : ALARM_INSUFFICIENT;
}

bool alarm_breaches(struct str operator, double value, double threshold)
{
	if (str_is(operator, "GreaterThanOrEqualToThreshold"))
		return value >= threshold;
	if (str_is(operator, "GreaterThanThreshold"))
		return value > threshold;
	if (str_is(operator, "LessThanThreshold"))
		return value < threshold;
	return value <= threshold;
}

struct counts {
	unsigned real, breaching, oldest; /* oldest: how many periods ago the oldest breaching one began */
	bool few;
};

static struct counts count(const struct alarm_rule *r, const struct alarm_point *points, unsigned n, unsigned most)
{
	struct counts k = {0};
	for (unsigned i = n; i-- > 0 && k.real < most;) {
		if (!points[i].there)
			continue;
		k.real++;
		k.few |= points[i].few;
		if (alarm_breaches(r->operator, points[i].value, r->threshold)) {
			k.breaching++;
			k.oldest = n - i;
		}
	}
	return k;
}

struct alarm_verdict alarm_decide(const struct alarm_rule *r, const struct alarm_point *points, unsigned n)
{
	struct counts k = count(r, points, n, r->periods);
	struct alarm_verdict v = {.looked = k.real, .filled = r->periods - k.real};
	bool breaching = str_is(r->missing, "breaching"), not_breaching = str_is(r->missing, "notBreaching"),
	     ignore = str_is(r->missing, "ignore");
	if (k.few) {
		v.keep = true;
		return v;
	}
	if (!v.filled || breaching || not_breaching) {
		v.state = k.breaching + (breaching ? v.filled : 0) >= r->to_alarm ? ALARM_ALARM : ALARM_OK;
		return v;
	}
	v.filled = 0;
	if (!k.real) {
		v.keep = ignore;
		v.state = ALARM_INSUFFICIENT;
	} else if (k.breaching >= r->to_alarm)
		v.state = ALARM_ALARM;
	else if (k.breaching < k.real)
		v.state = ALARM_OK;
	else if (!ignore && k.oldest >= r->to_alarm)
		v.state = ALARM_ALARM; /* it was breached long enough ago, and nothing has come since to say otherwise */
	else
		v.keep = true;
	return v;
}

/* --- in AWS's words */

void alarm_put_double(struct buf *b, double x)
{
	char text[32];
	size_t n = json_double_to(text, isfinite(x) ? x : 0);
	buf_add(b, text, n);
	if (!memchr(text, '.', n) && !memchr(text, 'e', n))
		buf_add_lit(b, ".0");
}

static void put_point(struct buf *b, const struct alarm_point *p)
{
	struct tm t;
	time_t at = p->time_ms / 1000;
	char text[40];
	alarm_put_double(b, p->value);
	gmtime_r(&at, &t);
	buf_printf(b, " (%02d/%02d/%02d", t.tm_mday, t.tm_mon + 1, t.tm_year % 100);
	buf_add(b, text, strftime(text, sizeof(text), " %H:%M:%S)", &t));
}

static const char *comparison(struct str operator, bool not, bool many)
{
	static const struct {
		const char *operator, * words[4]; /* was, was not, were, were not */
	} all[] = {
	        {"GreaterThanOrEqualToThreshold",
	         {"was greater than or equal to", "was not greater than or equal to", "were greater than or equal to",
	          "were not greater than or equal to"}},
	        {"GreaterThanThreshold",
	         {"was greater than", "was not greater than", "were greater than", "were not greater than"}},
	        {"LessThanThreshold", {"was less than", "was not less than", "were less than", "were not less than"}},
	        {"LessThanOrEqualToThreshold",
	         {"was less than or equal to", "was not less than or equal to", "were less than or equal to",
	          "were not less than or equal to"}},
	};
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (str_is(operator, all[i].operator))
			return all[i].words[(many ? 2 : 0) + (not ? 1 : 0)];
	return "";
}

static const char *plural(unsigned n)
{
	return n == 1 ? "" : "s";
}

/* The datapoints that speak for the state, newest first. */
static void put_crossed(struct buf *b, const struct alarm_rule *r, const struct alarm_point *points, unsigned n,
                        const struct alarm_verdict *v, enum alarm_state before)
{
	bool alarm = v->state == ALARM_ALARM;
	unsigned found = 0, looked = 0;
	struct buf CLEAN_BUF list;
	buf_init(&list, 65536);
	for (unsigned i = n; i-- > 0 && looked < v->looked;) {
		if (!points[i].there)
			continue;
		looked++;
		if (alarm_breaches(r->operator, points[i].value, r->threshold) != alarm)
			continue;
		if (found++ < 5) {
			buf_add_str(&list, found > 1 ? S(", ") : S(""));
			put_point(&list, &points[i]);
		}
	}
	unsigned needed = alarm ? r->to_alarm : r->periods - r->to_alarm + 1;
	buf_printf(b, "Threshold Crossed: %u out of the last %u datapoint%s [", found, v->looked, plural(v->looked));
	buf_add_str(b, buf_str(&list));
	buf_printf(b, "] %s the threshold (", comparison(r->operator, !alarm, found != 1));
	alarm_put_double(b, r->threshold);
	buf_printf(b, ") (minimum %u datapoint%s for %s -> %s transition).", needed, plural(needed),
	           before == ALARM_INSUFFICIENT ? (alarm ? "OK" : "ALARM") : alarm_state_names[before],
	           alarm_state_names[v->state]);
}

struct str alarm_reason(struct arena *a, const struct alarm_rule *r, const struct alarm_point *points, unsigned n,
                        const struct alarm_verdict *v, enum alarm_state before)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 65536);
	bool breaching = str_is(r->missing, "breaching");
	if (v->state == ALARM_INSUFFICIENT)
		buf_printf(&b, "Insufficient Data: %u datapoint%s %s unknown.", r->periods, plural(r->periods),
		           r->periods == 1 ? "was" : "were");
	else if (!v->looked)
		buf_printf(
		        &b,
		        "Threshold Crossed: no datapoints were received for %u period%s and %u missing datapoint%s %s treated as [%s].",
		        r->periods, plural(r->periods), v->filled, plural(v->filled), v->filled == 1 ? "was" : "were",
		        breaching ? "Breaching" : "NonBreaching");
	else
		put_crossed(&b, r, points, n, v, before);
	return str_sub(arena_dup(a, buf_str(&b)), 0, 1023);
}
