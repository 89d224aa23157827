/* Who else hears of an environment's events: the topic of its notifications, and EventBridge of those that say how it stands. */
#include "environment.h"

#include "aws/events/events.h"
#include "aws/sns/sns.h"
#include "base/id.h"

#include <time.h>

enum { DETAIL_MAX = 16384, SUBJECT_MAX = 100 };

#define RESOURCE "Elastic Beanstalk resource status change"
#define OTHER "Other resource status change"
#define HEALTH "Health status change"
#define MANAGED "Managed update status change"

/* By how a message begins. */
static const struct kind {
	const char *message, *type, *status;
} kinds[] = {
        {"createEnvironment is starting.", RESOURCE, "Environment creation started"},
        {"Successfully launched environment: ", RESOURCE, "Environment creation successful"},
        {"Failed to launch environment.", RESOURCE, "Environment creation failed"},
        {"Create environment operation is complete, but with errors", RESOURCE, "Environment creation failed"},
        {"Environment update is starting.", RESOURCE, "Environment update started"},
        {"Environment update completed successfully.", RESOURCE, "Environment update successful"},
        {"Successfully deployed new configuration to environment.", RESOURCE, "Environment update successful"},
        {"Failed to deploy ", RESOURCE, "Environment update failed"},
        {"Update environment operation is complete, but with errors", RESOURCE, "Environment update failed"},
        {"terminateEnvironment is starting.", RESOURCE, "Environment termination started"},
        {"terminateEnvironment completed successfully.", RESOURCE, "Environment termination successful"},
        {"Created Auto Scaling group named: ", OTHER, "Auto Scaling group created"},
        {"Deleted Auto Scaling group named: ", OTHER, "Auto Scaling group deleted"},
        {"Created load balancer named: ", OTHER, "Load balancer created"},
        {"Deleted load balancer named: ", OTHER, "Load balancer deleted"},
        {"Environment health has ", HEALTH, "Environment health changed"},
        {"Managed platform update is in progress", MANAGED, "Managed update in progress"},
        {"Managed platform update completed", MANAGED, "Managed update completed"},
        {"Managed platform update failed", MANAGED, "Managed update failed"},
};

static const struct kind *kind_of(struct str message)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (str_starts(message, str_from(kinds[i].message)))
			return &kinds[i];
	return NULL;
}

static void put(struct json_out *j, const char *key, struct str value)
{
	json_key(j, str_from(key));
	json_string(j, value);
}

static void tell_rules(const struct scope *s, const struct environment_record *r, const char *severity, struct str message)
{
	const struct kind *kind = events_heard(s->account, s->region) ? kind_of(message) : NULL;
	struct buf CLEAN_BUF b = {0};
	if (!kind)
		return;
	buf_init(&b, DETAIL_MAX);
	struct json_out j = json_out(&b);
	json_open(&j, '{');
	put(&j, "Status", str_from(kind->status));
	json_key(&j, S("EventDate"));
	json_int(&j, s->now_ms);
	put(&j, "ApplicationName", r->environment->application_name);
	put(&j, "Message", message);
	put(&j, "EnvironmentName", r->environment->environment_name);
	put(&j, "Severity", str_from(severity));
	json_close(&j, '}');
	const struct events_news news = {.account = s->account,
	                                 .region = s->region,
	                                 .source = S("aws.elasticbeanstalk"),
	                                 .type = str_from(kind->type),
	                                 .resource = r->environment->environment_arn,
	                                 .detail = arena_dup(s->arena, buf_str(&b)),
	                                 .at_ms = s->now_ms};
	events_tell(s->txn, s->arena, &news);
}

/* Thu Jan 05 18:44:22 UTC 2017 */
static struct str written(struct arena *a, int64_t ms)
{
	time_t at = (time_t)(ms / 1000);
	struct tm tm;
	char text[40];
	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%a %b %d %H:%M:%S UTC %Y", &tm);
	return arena_dup(a, str_from(text));
}

static void tell_topic(const struct scope *s, const struct environment_record *r, struct str message)
{
	const struct elasticbeanstalk_environment_description *e = r->environment;
	struct str request = str_set(r->request) ? r->request : S("");
	struct str subject = ARENA_CAT(s->arena, S("AWS Elastic Beanstalk Notification - "), message);
	if (!str_set(r->topic))
		return;
	struct str url = str_set(e->cname) ? ARENA_CAT(s->arena, S("http://"), e->cname) : S("");
	const struct sns_notice n = {
	        .account = s->account,
	        .source = e->environment_arn,
	        .topic = r->topic,
	        .subject = subject.n > SUBJECT_MAX ? ARENA_CAT(s->arena, str_sub(subject, 0, SUBJECT_MAX - 3), S("...")) : subject,
	        .message = ARENA_CAT(s->arena, S("Timestamp: "), written(s->arena, s->now_ms), S("\nMessage: "), message,
	                             S("\n\nEnvironment: "), e->environment_name, S("\nApplication: "), e->application_name,
	                             S("\n\nEnvironment URL: "), url, S("\nRequestId: "), request, S("\nNotificationProcessId: "),
	                             id_uuid(s->arena), S("\n"))};
	sns_notify(s->txn, s->arena, &n);
}

void news_tell(const struct scope *s, const struct environment_record *r, const char *severity, struct str message)
{
	tell_rules(s, r, severity, message);
	tell_topic(s, r, message);
}
