/* What stands beside an environment and is no part of it: the log groups that its instances write to, the topic of its
 * notifications, and the cluster of the platform ECS (cluster.c). Its options say what is wished for; what there is lies in the
 * record, and one question at a time makes the second the first. All of it is made before anything else of an operation, and what
 * shall end with the environment ends last. */
#include "environment.h"

#include "aws/sns/sns.h"
#include "gen/logs.h"

#define LOGS "aws:elasticbeanstalk:cloudwatch:logs"
#define HEALTH_LOGS "aws:elasticbeanstalk:cloudwatch:logs:health"
#define TOPICS "aws:elasticbeanstalk:sns:topics"
#define HEALTH_LOG "environment-health.log"

/* As the instances' agent names them (guest/beanstalk_stream.py). */
static const char *const streamed[] = {"var/log/eb-engine.log", "var/log/eb-hooks.log", "var/log/nginx/access.log",
                                       "var/log/nginx/error.log", "var/log/web.stdout.log"};
enum { STREAMED = sizeof(streamed) / sizeof(*streamed) };

static bool on(const struct environment_record *r, const char *namespace, const char *name)
{
	return str_is(option_value(r, namespace, name), "true");
}

bool beside_streams_health(const struct environment_record *r)
{
	return on(r, HEALTH_LOGS, "HealthStreamingEnabled");
}

static struct str group_name(struct arena *a, const struct environment_record *r, const char *log)
{
	return ARENA_CAT(a, S("/aws/elasticbeanstalk/"), r->environment->environment_name, S("/"), str_from(log));
}

struct str beside_health_group(struct arena *a, const struct environment_record *r)
{
	return group_name(a, r, HEALTH_LOG);
}

static struct state_elasticbeanstalk_log_group *group_of(const struct environment_record *r, struct str name)
{
	for (uint32_t i = 0; i < r->log_groups.n; i++)
		if (str_eq(r->log_groups.v[i].name, name))
			return &r->log_groups.v[i];
	return NULL;
}

/* The next log whose group is not as it should be, and how many days its events shall be kept. NULL: there is none. */
static const char *log_to_do(struct arena *a, const struct environment_record *r, int64_t *ret_days)
{
	bool streams = on(r, LOGS, "StreamLogs"), health = beside_streams_health(r);
	for (int i = 0; i < STREAMED + 1; i++) {
		const char *log = i < STREAMED ? streamed[i] : HEALTH_LOG, *space = i < STREAMED ? LOGS : HEALTH_LOGS;
		const struct state_elasticbeanstalk_log_group *g = group_of(r, group_name(a, r, log));
		*ret_days = option_number(r, space, "RetentionInDays");
		if ((i < STREAMED ? streams : health) && (!g || g->days.v != *ret_days))
			return log;
	}
	return NULL;
}

/* --- the topic */

static struct str said(const struct environment_record *r, const char *name)
{
	struct str value = option_value(r, TOPICS, name);
	return str_set(value) && value.n ? value : STR_NONE;
}

/* The name of a topic that is the environment's own. Absent: it has none. */
static struct str own_topic(struct arena *a, const struct environment_record *r)
{
	struct str name = said(r, "Notification Topic Name");
	if (str_set(said(r, "Notification Topic ARN")) || (!str_set(name) && !str_set(said(r, "Notification Endpoint"))))
		return STR_NONE;
	return str_set(name) ? name
	                     : ARENA_CAT(a, S("ElasticBeanstalkNotifications-Environment-"), r->environment->environment_name);
}

static struct str subscription(struct arena *a, const struct environment_record *r)
{
	struct str endpoint = said(r, "Notification Endpoint");
	return str_set(endpoint) ? ARENA_CAT(a, said(r, "Notification Protocol"), S(" "), endpoint) : STR_NONE;
}

static bool same(struct str one, struct str other)
{
	return str_set(one) == str_set(other) && str_eq(one, other);
}

/* False: the topic is as it should be. A change that needs no question is made at once. */
static bool topic_to_do(struct arena *a, struct environment_record *r, struct next *ret)
{
	struct str arn = said(r, "Notification Topic ARN"), own = own_topic(a, r), who = subscription(a, r);
	if (str_set(r->topic_own) && !same(r->topic_own, own)) {
		*ret = step_ask(ASK_DROP_TOPIC);
	} else if (str_set(own) && !str_set(r->topic_own)) {
		*ret = step_ask(ASK_TOPIC);
	} else if (!str_set(own) && !same(r->topic, arn)) {
		r->topic = arn;
		r->subscribed = STR_NONE;
		*ret = (struct next){.changed = true};
	} else if (str_set(who) && !same(r->subscribed, who)) {
		*ret = step_ask(ASK_SUBSCRIBE);
	} else {
		return false;
	}
	return true;
}

/* --- questions and answers */

bool beside_is(enum ask_kind kind)
{
	return kind >= ASK_LOG_GROUP && kind <= ASK_DROP_TOPIC;
}

const struct api *beside_question(struct arena *a, const struct environment_record *r, enum ask_kind kind,
                                  const char **ret_operation, const void **ret_in)
{
	int64_t days = 0;
	const char *log = log_to_do(a, r, &days);
	struct str name = log ? group_name(a, r, log) : S("");
	switch (kind) {
	case ASK_LOG_GROUP: {
		struct logs_create_log_group_request *in = arena_new(a, struct logs_create_log_group_request);
		in->log_group_name = name;
		*ret_operation = "CreateLogGroup";
		*ret_in = in;
		return &logs_api;
	}
	case ASK_LOG_RETENTION: {
		struct logs_put_retention_policy_request *in = arena_new(a, struct logs_put_retention_policy_request);
		*in = (struct logs_put_retention_policy_request){name, OPT_INT(days)};
		*ret_operation = "PutRetentionPolicy";
		*ret_in = in;
		return &logs_api;
	}
	case ASK_DROP_LOG_GROUP: {
		struct logs_delete_log_group_request *in = arena_new(a, struct logs_delete_log_group_request);
		in->log_group_name = r->log_groups.n ? r->log_groups.v[r->log_groups.n - 1].name : S("");
		*ret_operation = "DeleteLogGroup";
		*ret_in = in;
		return &logs_api;
	}
	case ASK_TOPIC: {
		struct sns_create_topic_input *in = arena_new(a, struct sns_create_topic_input);
		in->name = own_topic(a, r);
		*ret_operation = "CreateTopic";
		*ret_in = in;
		return &sns_api;
	}
	case ASK_SUBSCRIBE: {
		struct sns_subscribe_input *in = arena_new(a, struct sns_subscribe_input);
		*in = (struct sns_subscribe_input){.topic_arn = r->topic,
		                                   .protocol = said(r, "Notification Protocol"),
		                                   .endpoint = said(r, "Notification Endpoint")};
		*ret_operation = "Subscribe";
		*ret_in = in;
		return &sns_api;
	}
	case ASK_CLUSTER:
	case ASK_DROP_DEFINITION:
	case ASK_DROP_CLUSTER:
		return cluster_question(a, r, kind, ret_operation, ret_in);
	default: {
		struct sns_delete_topic_input *in = arena_new(a, struct sns_delete_topic_input);
		in->topic_arn = r->topic;
		*ret_operation = "DeleteTopic";
		*ret_in = in;
		return &sns_api;
	}
	}
}

struct str beside_answer(struct arena *a, const void *out)
{
	return arena_dup(a, ((const struct sns_create_topic_response *)out)->topic_arn);
}

/* What is refused is told once, and not asked for again. */
static void take(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	int64_t days = 0;
	const char *log = log_to_do(s->arena, r, &days);
	struct str name = log ? group_name(s->arena, r, log) : S("");
	bool there = str_is(a->code, "ResourceAlreadyExistsException"), gone = str_is(a->code, "ResourceNotFoundException");
	if (a->kind == ASK_CLUSTER || a->kind == ASK_DROP_DEFINITION || a->kind == ASK_DROP_CLUSTER) {
		cluster_take(s, r, a);
		return;
	}
	if (str_set(a->code) && !there && !(gone && a->kind == ASK_DROP_LOG_GROUP))
		environment_event(s, r, "WARN", a->message);
	switch (a->kind) {
	case ASK_LOG_GROUP:
		LIST_ADD(s->arena, &r->log_groups)->name = name;
		r->log_groups.set = true;
		if (str_set(a->code) && !there)
			group_of(r, name)->days = OPT_INT(days);
		break;
	case ASK_LOG_RETENTION:
		if (group_of(r, name))
			group_of(r, name)->days = OPT_INT(days);
		break;
	case ASK_DROP_LOG_GROUP:
		r->log_groups.n -= r->log_groups.n > 0;
		break;
	case ASK_TOPIC:
		r->topic_own = own_topic(s->arena, r);
		r->topic = a->first;
		if (!str_set(a->code))
			step_say(s, r, "Created SNS topic named: ", a->first);
		break;
	case ASK_SUBSCRIBE:
		r->subscribed = subscription(s->arena, r);
		break;
	default:
		r->topic = r->topic_own = r->subscribed = STR_NONE;
		break;
	}
}

bool beside_step(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret)
{
	int64_t days;
	if (step_is(r, "terminate") || step_is(r, "rebuild") || str_is(r->environment->status, "Terminated"))
		return false;
	if (beside_is(a->kind)) {
		take(s, r, a);
		*ret = (struct next){.changed = true};
		return true;
	}
	if (a->kind != ASK_NOTHING)
		return false;
	if (cluster_is_wanted(r)) {
		*ret = step_ask(ASK_CLUSTER);
		return true;
	}
	const char *log = log_to_do(s->arena, r, &days);
	if (!log)
		return topic_to_do(s->arena, r, ret);
	*ret = step_ask(group_of(r, group_name(s->arena, r, log)) ? ASK_LOG_RETENTION : ASK_LOG_GROUP);
	return true;
}

/* Groups of the two kinds may have to stay or go. */
static bool goes(const struct environment_record *r, struct str group)
{
	return on(r, str_ends(group, S("/" HEALTH_LOG)) ? HEALTH_LOGS : LOGS, "DeleteOnTerminate");
}

bool beside_end(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret)
{
	if (a->kind == ASK_DROP_CLUSTER && str_set(a->code) && !str_is(a->code, "ClusterNotFoundException")) {
		*ret = step_ask_later(ASK_DROP_CLUSTER, STEP_AGAIN_MS); /* its instances have ended just now */
		return true;
	}
	if (beside_is(a->kind)) {
		take(s, r, a);
		*ret = (struct next){.changed = true};
		return true;
	}
	if (cluster_left(r)) {
		*ret = step_ask(cluster_left(r));
		return true;
	}
	while (r->log_groups.n && !goes(r, r->log_groups.v[r->log_groups.n - 1].name))
		r->log_groups.n--;
	if (r->log_groups.n) {
		*ret = (struct next){.changed = true, .ask = ASK_DROP_LOG_GROUP};
		return true;
	}
	if (!str_set(r->topic_own))
		return false;
	step_say(s, r, "Deleting SNS topic for environment ", ARENA_CAT(s->arena, r->environment->environment_name, S(".")));
	*ret = (struct next){.changed = true, .ask = ASK_DROP_TOPIC};
	return true;
}

static int wrong(struct call *c, const char *option, struct str value, const char *why)
{
	return call_fail(c, "ConfigurationValidationException", 400,
	                 "Configuration validation exception: Invalid option value: '%.*s' (Namespace: '" TOPICS
	                 "', OptionName: '%s'): %s",
	                 STR_ARG(value), option, why);
}

int beside_check(struct call *c, const struct environment_record *r)
{
	struct str protocol = said(r, "Notification Protocol"), arn = said(r, "Notification Topic ARN"),
	           name = own_topic(c->arena, r);
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '_')
			return wrong(c, "Notification Topic Name", name, "Topics have no such names.");
	if (str_set(arn) && !sns_has_topic(call_txn(c), c->arena, arn))
		return wrong(c, "Notification Topic ARN", arn, "There is no such topic.");
	if (str_set(said(r, "Notification Endpoint")) && str_starts(protocol, S("email")))
		return wrong(c, "Notification Protocol", protocol,
		             "Nobody is sent mail by this cloud: http, https and sqs are supported.");
	return CALL_OK;
}
