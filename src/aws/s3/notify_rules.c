/* What a notification configuration says, and whether it makes sense. */
#include "aws/s3/notify.h"

#include "base/id.h"

enum { RULES_MAX = 100, VALUE_MAX = 1024 };

static void add(struct arena *a, struct notify_rules *to, enum notify_kind kind, struct str *id, struct str arn,
                const struct str_list *events, const struct s3_notification_configuration_filter *filter)
{
	*LIST_ADD(a, to) = (struct notify_rule){kind, id, arn, events, filter};
}

void notify_rules(struct arena *a, const struct s3_notification_configuration *k, struct notify_rules *ret)
{
	*ret = (struct notify_rules){0};
	for (uint32_t i = 0; k && i < k->queue_configurations.n; i++) {
		struct s3_queue_configuration *one = &k->queue_configurations.v[i];
		add(a, ret, NOTIFY_QUEUE, &one->id, one->queue_arn, &one->events, one->filter);
	}
	for (uint32_t i = 0; k && i < k->topic_configurations.n; i++) {
		struct s3_topic_configuration *one = &k->topic_configurations.v[i];
		add(a, ret, NOTIFY_TOPIC, &one->id, one->topic_arn, &one->events, one->filter);
	}
	for (uint32_t i = 0; k && i < k->lambda_function_configurations.n; i++) {
		struct s3_lambda_function_configuration *one = &k->lambda_function_configurations.v[i];
		add(a, ret, NOTIFY_FUNCTION, &one->id, one->lambda_function_arn, &one->events, one->filter);
	}
}

/* The value of a prefix or suffix; "" where there is none. */
static struct str part(const struct notify_rule *r, const char *name)
{
	const struct s3_s3_key_filter *k = r->filter ? r->filter->key : NULL;
	for (uint32_t i = 0; k && i < k->filter_rules.n; i++)
		if (str_ieq(k->filter_rules.v[i].name, str_from(name)))
			return str_set(k->filter_rules.v[i].value) ? k->filter_rules.v[i].value : S("");
	return S("");
}

/* "s3:ObjectCreated:*" takes in all of its kind. */
static bool event_takes(struct str asked, struct str event)
{
	return str_eq(asked, event) || (str_ends(asked, S(":*")) && str_starts(event, str_sub(asked, 0, asked.n - 1)));
}

bool notify_matches(const struct notify_rule *r, struct str event, struct str key)
{
	bool wanted = false;
	for (uint32_t i = 0; i < r->events->n; i++)
		wanted |= event_takes(r->events->v[i], event);
	return wanted && str_starts(key, part(r, "prefix")) && str_ends(key, part(r, "suffix"));
}

/* --- checking */

static bool share_event(const struct notify_rule *x, const struct notify_rule *y)
{
	for (uint32_t i = 0; i < x->events->n; i++)
		for (uint32_t k = 0; k < y->events->n; k++)
			if (event_takes(x->events->v[i], y->events->v[k]) || event_takes(y->events->v[k], x->events->v[i]))
				return true;
	return false;
}

static bool overlap(const struct notify_rule *x, const struct notify_rule *y)
{
	struct str px = part(x, "prefix"), py = part(y, "prefix"), sx = part(x, "suffix"), sy = part(y, "suffix");
	return (str_starts(px, py) || str_starts(py, px)) && (str_ends(sx, sy) || str_ends(sy, sx));
}

static int check_filter(struct call *c, const struct notify_rule *r)
{
	const struct s3_s3_key_filter *k = r->filter ? r->filter->key : NULL;
	unsigned prefixes = 0, suffixes = 0;
	for (uint32_t i = 0; k && i < k->filter_rules.n; i++) {
		struct str name = k->filter_rules.v[i].name;
		prefixes += str_ieq(name, S("prefix"));
		suffixes += str_ieq(name, S("suffix"));
		if (k->filter_rules.v[i].value.n > VALUE_MAX)
			return s3_bad_argument(c, "Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation",
			                       "FilterRule.Value", k->filter_rules.v[i].value);
		if (!str_ieq(name, S("prefix")) && !str_ieq(name, S("suffix")))
			return s3_bad_argument(c, "filter rule name must be either prefix or suffix", "FilterRule.Name", name);
	}
	if (prefixes > 1 || suffixes > 1)
		return s3_bad_argument(c, "Cannot specify more than one filter rule of the same name in a filter.",
		                       "FilterRule.Name", prefixes > 1 ? S("prefix") : S("suffix"));
	return CALL_OK;
}

static int check_arn(struct call *c, const struct notify_rule *r, struct str region)
{
	static const char *const services[] = {"sqs", "sns", "lambda"};
	struct str rest = r->arn, parts[6] = {STR_NONE};
	for (unsigned i = 0; i < 6 && str_set(rest); i++)
		parts[i] = str_cut(&rest, ':');
	if (!parts[5].n || !str_is(parts[0], "arn") || !str_is(parts[2], services[r->kind]) || parts[4].n != 12)
		return s3_bad_argument(c, "The ARN could not be parsed", services[r->kind], r->arn);
	if (!str_eq(parts[3], region))
		return s3_bad_argument(
		        c, "The notification destination service region is not valid for the bucket location constraint",
		        services[r->kind], r->arn);
	if (r->kind != NOTIFY_FUNCTION && str_ends(r->arn, S(".fifo")))
		return s3_bad_argument(c, "FIFO SQS queues and SNS topics are not supported as destinations.", services[r->kind],
		                       r->arn);
	return CALL_OK;
}

int notify_check_rules(struct call *c, const struct notify_rules *rules, struct str region)
{
	if (rules->n > RULES_MAX)
		return s3_bad_argument(c, "You have exceeded the limit of notification configurations.",
		                       "NotificationConfiguration", STR_NONE);
	for (uint32_t i = 0; i < rules->n; i++) {
		struct notify_rule *r = &rules->v[i];
		if (!r->events->n)
			return s3_fail(c, S3_MALFORMED_XML);
		if (check_arn(c, r, region) != CALL_OK || check_filter(c, r) != CALL_OK)
			return CALL_FAIL;
		if (!r->id->n)
			*r->id = id_uuid(c->arena);
		for (uint32_t k = 0; k < i; k++) {
			if (str_eq(*rules->v[k].id, *r->id))
				return s3_bad_argument(c, "Same ID used for multiple configurations. IDs must be unique", "Id",
				                       *r->id);
			if (share_event(&rules->v[k], r) && overlap(&rules->v[k], r))
				return s3_bad_argument(
				        c,
				        "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules "
				        "if the prefixes are overlapping for the same event type.",
				        "Event", r->events->v[0]);
		}
	}
	return CALL_OK;
}
