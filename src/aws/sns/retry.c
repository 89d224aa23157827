/* Delivery policies: how often and after what pauses an HTTP(S) endpoint is tried. Functions have a policy that nobody can change.
 */
#include "sns.h"

#include "base/json.h"

#include <math.h>

enum { RETRIES_MAX = 100, DELAY_MAX_S = 3600, TOTAL_MAX_S = 3600 };
static const struct retry_policy standard = {.min_s = 20, .max_s = 20, .retries = 3, .backoff = S_INIT("linear")};

static const struct {
	const char *name;
	size_t at;
} numbers[] = {
        {"minDelayTarget", offsetof(struct retry_policy, min_s)},
        {"maxDelayTarget", offsetof(struct retry_policy, max_s)},
        {"numRetries", offsetof(struct retry_policy, retries)},
        {"numNoDelayRetries", offsetof(struct retry_policy, no_delay)},
        {"numMinDelayRetries", offsetof(struct retry_policy, min_delay)},
        {"numMaxDelayRetries", offsetof(struct retry_policy, max_delay)},
};
enum { NUMBERS = sizeof(numbers) / sizeof(*numbers) };

static int64_t *number_of(struct retry_policy *p, unsigned i)
{
	return (int64_t *)(void *)((char *)p + numbers[i].at);
}

/* False: a member is none, which *ret_why names. */
static bool read_policy(const struct json_value *v, struct retry_policy *p, struct str *ret_why)
{
	json_each(v, m)
	{
		bool known = false;
		for (unsigned i = 0; i < NUMBERS; i++)
			if (str_is(m->key, numbers[i].name)) {
				known = m->kind == JSON_NULL || (m->kind == JSON_NUMBER && json_to_int(m->text, number_of(p, i)));
				break;
			}
		if (str_is(m->key, "backoffFunction")) {
			known = m->kind == JSON_STRING && (str_is(m->text, "linear") || str_is(m->text, "arithmetic") ||
			                                   str_is(m->text, "geometric") || str_is(m->text, "exponential"));
			p->backoff = m->text;
		}
		if (!known) {
			*ret_why = m->key;
			return false;
		}
	}
	return true;
}

static const char *wrong(const struct retry_policy *p)
{
	if (p->retries < 0 || p->retries > RETRIES_MAX)
		return "numRetries must be between 0 and 100";
	if (p->min_s < 1 || p->min_s > p->max_s)
		return "minDelayTarget must be at least 1 and not more than maxDelayTarget";
	if (p->max_s > DELAY_MAX_S)
		return "maxDelayTarget must be less than or equal to 3600";
	if (p->no_delay < 0 || p->min_delay < 0 || p->max_delay < 0 || p->no_delay + p->min_delay + p->max_delay > p->retries)
		return "numRetries must be greater than or equal to the sum of the retries of its phases";
	int64_t total_s = 0;
	for (int64_t n = 1; n <= p->retries; n++)
		total_s += sns_retry_delay_ms(p, n) / 1000;
	return total_s > TOTAL_MAX_S ? "total retry time must not exceed 3600 seconds" : NULL;
}

bool sns_check_delivery(struct call *c, struct str json, bool of_topic)
{
	const struct json_value *v = json_parse(c->arena, json, NULL), *http = of_topic ? json_get(v, S("http")) : v;
	struct retry_policy p = standard;
	struct str what = STR_NONE;
	const char *why = NULL;
	if (!json_is(v, JSON_OBJECT) || !json_is(http, JSON_OBJECT))
		why = "failed to parse JSON";
	json_each(why ? NULL : v, m)
	{
		if (of_topic && !str_is(m->key, "http"))
			what = m->key;
	}
	json_each(why ? NULL : http, m)
	{
		bool retry = str_is(m->key, of_topic ? "defaultHealthyRetryPolicy" : "healthyRetryPolicy");
		bool other = of_topic ? str_is(m->key, "disableSubscriptionOverrides") || str_is(m->key, "defaultRequestPolicy")
		                      : str_is(m->key, "requestPolicy") || str_is(m->key, "throttlePolicy") ||
		                                str_is(m->key, "sicklyRetryPolicy") || str_is(m->key, "guaranteed");
		if (!retry && !other)
			what = m->key;
		/* What would be kept and not acted on. */
		if ((str_is(m->key, "throttlePolicy") || str_is(m->key, "sicklyRetryPolicy")) && m->kind != JSON_NULL)
			why = "throttlePolicy and sicklyRetryPolicy are not supported by this cloud";
		if (retry && m->kind != JSON_NULL && (m->kind != JSON_OBJECT || !read_policy(m, &p, &what)))
			why = "retry policy is not valid";
	}
	if (str_set(what))
		sns_invalid(c, "DeliveryPolicy: Unexpected JSON member: %.*s", STR_ARG(what));
	else if (why || (why = wrong(&p)))
		sns_invalid(c, "DeliveryPolicy: %s", why);
	return !str_set(what) && !why;
}

static const struct json_value *part(struct arena *a, const struct topic *t, const char *name)
{
	const struct json_value *v = json_parse(a, sns_attribute(&t->record.attributes, "DeliveryPolicy"), NULL);
	return json_get(json_get(v, S("http")), str_from(name));
}

struct retry_policy sns_retry_policy(struct arena *a, const struct topic *t, const struct sns_sub *s)
{
	struct retry_policy p = standard;
	struct str why;
	const struct json_value *mine = s ? json_parse(a, sns_attribute(&s->record.attributes, "DeliveryPolicy"), NULL) : NULL;
	bool own = mine && !json_is(part(a, t, "disableSubscriptionOverrides"), JSON_TRUE);
	const struct json_value *retry = own ? json_get(mine, S("healthyRetryPolicy")) : NULL;
	if (!json_is(retry, JSON_OBJECT))
		retry = part(a, t, "defaultHealthyRetryPolicy");
	if (json_is(retry, JSON_OBJECT))
		read_policy(retry, &p, &why);
	struct str type = own ? json_get_str(json_get(mine, S("requestPolicy")), S("headerContentType")) : STR_NONE;
	if (!str_set(type))
		type = json_get_str(part(a, t, "defaultRequestPolicy"), S("headerContentType"));
	p.content_type = type;
	return p;
}

struct str sns_effective_delivery(struct arena *a, const struct topic *t, const struct sns_sub *s)
{
	const struct retry_policy p = sns_retry_policy(a, t, s);
	struct str retry =
	        arena_printf(a,
	                     "{\"minDelayTarget\":%ld,\"maxDelayTarget\":%ld,\"numRetries\":%ld,\"numMaxDelayRetries\":%ld,"
	                     "\"numNoDelayRetries\":%ld,\"numMinDelayRetries\":%ld,\"backoffFunction\":\"%.*s\"}",
	                     p.min_s, p.max_s, p.retries, p.max_delay, p.no_delay, p.min_delay, STR_ARG(p.backoff));
	struct str type = str_set(p.content_type) ? p.content_type : S("text/plain; charset=UTF-8");
	if (s)
		return arena_printf(a,
		                    "{\"healthyRetryPolicy\":%.*s,\"sicklyRetryPolicy\":null,\"throttlePolicy\":null,"
		                    "\"requestPolicy\":{\"headerContentType\":\"%.*s\"},\"guaranteed\":false}",
		                    STR_ARG(retry), STR_ARG(type));
	bool fixed = json_is(part(a, t, "disableSubscriptionOverrides"), JSON_TRUE);
	return arena_printf(a,
	                    "{\"http\":{\"defaultHealthyRetryPolicy\":%.*s,\"disableSubscriptionOverrides\":%s,"
	                    "\"defaultRequestPolicy\":{\"headerContentType\":\"%.*s\"}}}",
	                    STR_ARG(retry), fixed ? "true" : "false", STR_ARG(type));
}

/* Four phases: at once, after the least pause, after growing ones, after the longest. */
int64_t sns_retry_delay_ms(const struct retry_policy *p, int64_t tries)
{
	int64_t n = tries, growing = p->retries - p->no_delay - p->min_delay - p->max_delay;
	if (tries > p->retries)
		return -1;
	if (n <= p->no_delay)
		return 0;
	n -= p->no_delay;
	if (n <= p->min_delay)
		return p->min_s * 1000;
	n -= p->min_delay;
	if (n > growing)
		return p->max_s * 1000;
	double at = growing > 1 ? (double)(n - 1) / (double)(growing - 1) : 0, span = (double)(p->max_s - p->min_s);
	double s = (double)p->min_s + span * at;
	if (str_is(p->backoff, "arithmetic"))
		s = (double)p->min_s + span * (at + at * at) / 2;
	else if (str_is(p->backoff, "geometric") || str_is(p->backoff, "exponential"))
		s = (double)p->min_s * pow((double)p->max_s / (double)p->min_s, at);
	return (int64_t)(s * 1000);
}
