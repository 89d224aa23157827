/* Worker environments: instead of an address they have a queue, and another one for what could not be done. The daemon in the
 * instance posts what comes there to the application. */
#include "health.h"

#include "gen/sqs.h"

#include <string.h>

static const char urls[] = "WorkerQueueURL";

bool environment_is_worker(const struct environment_record *r)
{
	return r->environment && r->environment->tier && str_is(r->environment->tier->name, "Worker");
}

static bool has_own_queues(const struct environment_record *r)
{
	return !option_value(r, SQSD, urls).n;
}

static struct str name_of(struct arena *a, const struct environment_record *r, const char *what)
{
	return ARENA_CAT(a, S("awseb-"), r->environment->environment_id, S("-stack-"), str_from(what), S("-"), r->suffix);
}
#define QUEUE "AWSEBWorkerQueue"
#define DEAD_QUEUE "AWSEBWorkerDeadLetterQueue"

static int64_t number_of(const struct environment_record *r, const char *name)
{
	int64_t n = 0;
	str_to_i64(option_value(r, SQSD, name), &n);
	return n;
}

static bool is_queue_url(struct str url)
{
	ptrdiff_t scheme = str_find(url, S("://"));
	struct str rest = scheme > 0 ? str_from_at(url, (size_t)scheme + 3) : STR_NONE, host = STR_NONE, account = STR_NONE;
	if (str_set(rest))
		host = str_cut(&rest, '/');
	if (str_set(rest))
		account = str_cut(&rest, '/');
	return host.n && account.n && str_set(rest) && rest.n;
}

int worker_check(struct call *c, const struct environment_record *r)
{
	struct str url = option_value(r, SQSD, urls);
	if (!environment_is_worker(r)) {
		for (uint32_t i = 0; i < r->options.n; i++)
			if (str_is(r->options.v[i].namespace, SQSD))
				return call_fail(
				        c, "ConfigurationValidationException", 400,
				        "Configuration validation exception: Invalid option specification (Namespace: '%s', "
				        "OptionName: '%.*s'): It is for worker environments.",
				        SQSD, STR_ARG(r->options.v[i].option_name));
		return CALL_OK;
	}
	if (str_is(option_value(r, "aws:elasticbeanstalk:command", "DeploymentPolicy"), "TrafficSplitting"))
		return beanstalk_invalid(c, "TrafficSplitting is for environments with a load balancer.");
	if (number_of(r, "InactivityTimeout") >= number_of(r, "VisibilityTimeout"))
		return beanstalk_invalid(c, "InactivityTimeout must be less than VisibilityTimeout.");
	if (url.n && !is_queue_url(url))
		return beanstalk_invalid(c, "The WorkerQueueURL '%.*s' is not the URL of a queue.", STR_ARG(url));
	return CALL_OK;
}

int worker_check_change(struct call *c, const struct environment_record *before, const struct environment_record *after)
{
	struct str was = option_value(before, SQSD, urls), is = option_value(after, SQSD, urls);
	if (was.n != is.n || (was.n && !str_eq(was, is)))
		return beanstalk_invalid(c, "Changing %s of an environment is not supported.", urls);
	return worker_check(c, after);
}

/* --- questions */

const char *worker_question(struct arena *a, const struct environment_record *r, struct str region, enum ask_kind kind,
                            const void **ret_in)
{
	struct str rest = r->environment->environment_arn, account = STR_NONE; /* arn:aws:elasticbeanstalk:REGION:ACCOUNT:... */
	for (int i = 0; i < 5; i++)
		account = str_cut(&rest, ':');
	bool dead = kind == ASK_DEAD_QUEUE || kind == ASK_DROP_DEAD_QUEUE || kind == ASK_DEAD_QUEUE_SET;
	struct str name = name_of(a, r, dead ? DEAD_QUEUE : QUEUE), url = ARENA_CAT(a, S("http://sqs/"), account, S("/"), name);
	if (kind == ASK_DROP_QUEUE || kind == ASK_DROP_DEAD_QUEUE) {
		struct sqs_delete_queue_request *in = arena_new(a, struct sqs_delete_queue_request);
		in->queue_url = url;
		*ret_in = in;
		return "DeleteQueue";
	}
	struct str redrive = arena_printf(a, "{\"deadLetterTargetArn\":\"arn:aws:sqs:%.*s:%.*s:%.*s\",\"maxReceiveCount\":%lld}",
	                                  STR_ARG(region), STR_ARG(account), STR_ARG(name_of(a, r, DEAD_QUEUE)),
	                                  (long long)number_of(r, "MaxRetries"));
	struct str_map attributes = {.set = true};
	*LIST_ADD(a, &attributes) = (struct str_map_entry){S("MessageRetentionPeriod"), option_value(r, SQSD, "RetentionPeriod")};
	if (!dead) {
		*LIST_ADD(a, &attributes) =
		        (struct str_map_entry){S("VisibilityTimeout"), option_value(r, SQSD, "VisibilityTimeout")};
		*LIST_ADD(a, &attributes) = (struct str_map_entry){S("RedrivePolicy"), redrive};
	}
	if (kind == ASK_QUEUE_SET || kind == ASK_DEAD_QUEUE_SET) {
		struct sqs_set_queue_attributes_request *in = arena_new(a, struct sqs_set_queue_attributes_request);
		in->queue_url = url;
		in->attributes = attributes;
		*ret_in = in;
		return "SetQueueAttributes";
	}
	struct sqs_create_queue_request *in = arena_new(a, struct sqs_create_queue_request);
	in->queue_name = name;
	in->attributes = attributes;
	in->attributes.set = in->tags.set = true;
	for (uint32_t i = 0; i < r->tags.n; i++)
		*LIST_ADD(a, &in->tags) = (struct str_map_entry){r->tags.v[i].key, r->tags.v[i].value};
	*LIST_ADD(a, &in->tags) = (struct str_map_entry){S("elasticbeanstalk:environment-name"), r->environment->environment_name};
	*LIST_ADD(a, &in->tags) = (struct str_map_entry){S("elasticbeanstalk:environment-id"), r->environment->environment_id};
	*ret_in = in;
	return "CreateQueue";
}

struct str worker_answer(struct arena *a, const void *out)
{
	return arena_dup(a, ((const struct sqs_create_queue_result *)out)->queue_url);
}

/* --- steps */

static void say(const struct scope *s, const struct environment_record *r, const char *what, struct str name)
{
	environment_event(s, r, "INFO", ARENA_CAT(s->arena, str_from(what), S(" SQS queue named: "), name));
}

bool worker_make(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret)
{
	switch (a->kind) {
	case ASK_DEAD_QUEUE:
		r->dead_queue = a->first;
		say(s, r, "Created", r->dead_queue);
		*ret = (struct next){.ask = ASK_QUEUE, .changed = true};
		return false;
	case ASK_QUEUE:
		r->queue = a->first;
		say(s, r, "Created", r->queue);
		return true;
	default:
		if (!has_own_queues(r))
			r->queue = option_value(r, SQSD, urls);
		*ret = (struct next){.ask = ASK_DEAD_QUEUE};
		return !has_own_queues(r);
	}
}

bool worker_drop(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret)
{
	switch (a->kind) {
	case ASK_DROP_QUEUE:
		if (str_set(r->queue))
			say(s, r, "Deleted", r->queue);
		r->queue = STR_NONE;
		*ret = (struct next){.ask = ASK_DROP_DEAD_QUEUE, .changed = true};
		return false;
	case ASK_DROP_DEAD_QUEUE:
		if (str_set(r->dead_queue))
			say(s, r, "Deleted", r->dead_queue);
		r->dead_queue = STR_NONE;
		return true;
	default:
		*ret = (struct next){.ask = ASK_DROP_QUEUE};
		return !has_own_queues(r);
	}
}

/* Of what the queues themselves have to know. */
static bool queues_differ(const struct environment_record *r)
{
	static const char *const names[] = {"RetentionPeriod", "MaxRetries", "VisibilityTimeout"};
	struct environment_record before = *r;
	before.options = r->previous;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!str_eq(option_value(&before, SQSD, names[i]), option_value(r, SQSD, names[i])))
			return true;
	return false;
}

bool worker_settle(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret)
{
	bool begins = r->step.v == 0 || r->step.v == CHANGE_STEPS,
	     asked = a->kind == ASK_QUEUE_SET || a->kind == ASK_DEAD_QUEUE_SET;
	if (!environment_is_worker(r) || !has_own_queues(r) || !r->previous.set || !begins ||
	    !(step_is(r, "deploy") || step_is(r, "configure") || step_is(r, "abort")) || !queues_differ(r))
		return false;
	if (asked && str_set(a->code))
		*ret = step_failed(s, r, a->message);
	else if (!asked)
		*ret = step_ask(ASK_QUEUE_SET);
	else if (a->kind == ASK_QUEUE_SET)
		*ret = step_ask(ASK_DEAD_QUEUE_SET);
	else
		return false;
	return true;
}

void worker_queues(struct arena *a, const struct environment_record *r, struct elasticbeanstalk_queue_list *ret)
{
	if (str_set(r->queue))
		*LIST_ADD(a, ret) = (struct elasticbeanstalk_queue){S("WorkerQueue"), r->queue};
	if (str_set(r->dead_queue))
		*LIST_ADD(a, ret) = (struct elasticbeanstalk_queue){S("WorkerDeadLetterQueue"), r->dead_queue};
}
