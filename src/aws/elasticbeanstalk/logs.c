/* Logs on request: the instance puts them into the storage bucket, and who asks for them gets a URL that is signed as the
 * instance's role. An answer that does not come in time is an event. */
#include "health.h"

#include "aws/iam/iam.h"
#include "core/sigv4.h"
#include "gen/beanstalk_agent.h"

enum { PATIENCE_MS = 3 * 60 * 1000, URL_S = 15 * 60 };

static int check_type(struct call *c, struct str type)
{
	if (str_is(type, "tail") || str_is(type, "bundle"))
		return CALL_OK;
	return beanstalk_invalid(c, "The info type %.*s is not supported.", STR_ARG(type));
}

static void say(const struct scope *s, struct environment_record *r, const char *severity, struct str message)
{
	struct str request = r->request;
	r->request = r->logs_request;
	environment_event(s, r, severity, message);
	r->request = request;
}

int elasticbeanstalk_request_environment_info(struct call *c, const struct elasticbeanstalk_request_environment_info_message *in,
                                              struct model_none *out)
{
	(void)out;
	struct scope s = beanstalk_scope(c);
	struct environment_record r;
	if (environment_get(c, in->environment_id, in->environment_name, &r) != CALL_OK || check_type(c, in->info_type) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(r.environment->status, "Ready"))
		return beanstalk_invalid(c, "Environment named %.*s is in an invalid state for this operation. Must be Ready.",
		                         STR_ARG(r.environment->environment_name));
	r.logs_type = in->info_type;
	r.logs_number = OPT_INT(r.logs_number.v + 1);
	r.logs_request = c->request_id;
	r.logs_until = OPT_TIME(c->now_ms + PATIENCE_MS);
	say(&s, &r, "INFO", S("requestEnvironmentInfo is starting."));
	environment_put(&s, &r);
	return CALL_OK;
}

static struct str bucket_of(struct arena *a, struct str account, struct str region)
{
	return arena_printf(a, "elasticbeanstalk-%.*s-%.*s", STR_ARG(region), STR_ARG(account));
}

void logs_order(struct call *c, const struct environment_record *r, struct str instance,
                struct beanstalk_agent_report_response *out)
{
	if (!r->logs_until.set)
		return;
	out->logs_type = r->logs_type;
	out->logs_number = r->logs_number;
	out->logs_bucket = bucket_of(c->arena, c->account, c->region);
	out->logs_key = arena_printf(c->arena, "resources/environments/logs/%.*s/%.*s/%.*s/%s-%lld.%s", STR_ARG(r->logs_type),
	                             STR_ARG(r->environment->environment_id), STR_ARG(instance),
	                             str_is(r->logs_type, "tail") ? "TailLogs" : "BundleLogs", (long long)c->now_ms,
	                             str_is(r->logs_type, "tail") ? "txt" : "zip");
}

/* One of a kind from each instance: those of before are older. */
static struct state_elasticbeanstalk_log *log_of(struct call *c, struct environment_record *r, struct str instance)
{
	for (uint32_t i = 0; i < r->logs.n; i++)
		if (str_eq(r->logs.v[i].type, r->logs_type) && str_eq(r->logs.v[i].instance, instance))
			return &r->logs.v[i];
	struct state_elasticbeanstalk_log *l = LIST_ADD(c->arena, &r->logs);
	*l = (struct state_elasticbeanstalk_log){.type = r->logs_type, .instance = instance};
	r->logs.set = true;
	return l;
}

/* Those of instances that are gone go when others come. */
static void forget(struct environment_record *r)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < r->logs.n; i++)
		if (!str_eq(r->logs.v[i].type, r->logs_type) || member_find(r, r->logs.v[i].instance))
			r->logs.v[left++] = r->logs.v[i];
	r->logs.n = left;
}

bool logs_take(struct call *c, struct environment_record *r, const struct beanstalk_agent_report_request *in)
{
	struct scope s = beanstalk_scope(c);
	bool tail = str_is(r->logs_type, "tail");
	struct str place = arena_printf(c->arena, "resources/environments/logs/%.*s/%.*s/%.*s/", STR_ARG(r->logs_type),
	                                STR_ARG(r->environment->environment_id), STR_ARG(in->instance_id));
	if (!r->logs_until.set || in->logs_done.v != r->logs_number.v || !str_starts(in->logs_key, place) ||
	    in->logs_key.n > place.n + 64)
		return false;
	struct state_elasticbeanstalk_log *l = log_of(c, r, in->instance_id);
	if (l->number.v == r->logs_number.v)
		return false;
	l->number = r->logs_number;
	l->key = in->logs_key;
	l->at = OPT_TIME(c->now_ms);
	forget(r);
	say(&s, r, "INFO",
	    arena_printf(c->arena, "[Instance: %.*s] Successfully finished %s %lld log(s)", STR_ARG(in->instance_id),
	                 tail ? "tailing" : "bundling", (long long)in->logs_count.v));
	for (uint32_t i = 0; i < r->members.n; i++)
		if (log_of(c, r, r->members.v[i].instance)->number.v != r->logs_number.v)
			return true;
	r->logs_until = (struct opt_time){0};
	say(&s, r, "INFO", S("Pulled logs for environment instances."));
	return true;
}

bool logs_late(const struct scope *s, struct environment_record *r)
{
	if (!r->logs_until.set || s->now_ms < r->logs_until.ms)
		return false;
	r->logs_until = (struct opt_time){0};
	say(s, r, "ERROR", S("Failed to pull logs for environment instances."));
	return true;
}

/* As the role of the instances: they may read what they have put there. */
static bool sign(struct call *c, const struct environment_record *r, struct str key, struct str *ret)
{
	struct str profile, id, role_arn = STR_NONE, host = call_header(c, S("host"));
	struct iam_role_view role;
	struct iam_credentials made;
	if (!iam_find_profile(c->cloud, c->arena, c->account,
	                      option_value(r, "aws:autoscaling:launchconfiguration", "IamInstanceProfile"), &profile, &id,
	                      &role_arn) ||
	    !str_set(role_arn) || !iam_find_role(c->cloud, role_arn, &role))
		return false;
	int64_t now_ms = c->now_ms - c->now_ms % 1000;
	struct state_iam_session_record session = {.kind = OPT_INT(PRINCIPAL_ROLE),
	                                           .account = role.account,
	                                           .name = S("elasticbeanstalk-logs"),
	                                           .issuer_name = role.name,
	                                           .issuer_id = role.id,
	                                           .issuer_arn = role.arn,
	                                           .issued = OPT_TIME(now_ms),
	                                           .expires = OPT_TIME(now_ms + (int64_t)URL_S * 1000)};
	iam_session_make(c->cloud, c->arena, &session, &made);
	const struct sigv4_signer who = {.access_key_id = made.access_key_id,
	                                 .secret = made.secret,
	                                 .token = made.token,
	                                 .region = c->region,
	                                 .service = S("s3"),
	                                 .now_ms = c->now_ms};
	const struct sigv4_header header = {S("host"), str_set(host) ? host : S("")};
	struct str path = ARENA_CAT(c->arena, S("/"), bucket_of(c->arena, c->account, c->region), S("/"), key);
	const struct sigv4_request request = {.method = S("GET"), .path = path, .headers = &header, .header_count = 1};
	*ret = ARENA_CAT(c->arena, call_over_tls(c) ? S("https://") : S("http://"), header.value, path, S("?"),
	                 sigv4_presign(c->arena, &who, &request, URL_S, S("UNSIGNED-PAYLOAD")));
	return true;
}

int elasticbeanstalk_retrieve_environment_info(struct call *c, const struct elasticbeanstalk_retrieve_environment_info_message *in,
                                               struct elasticbeanstalk_retrieve_environment_info_result_message *out)
{
	struct environment_record r;
	struct str url;
	if (environment_get(c, in->environment_id, in->environment_name, &r) != CALL_OK || check_type(c, in->info_type) != CALL_OK)
		return CALL_FAIL;
	out->environment_info.set = true;
	for (uint32_t i = 0; i < r.logs.n; i++) {
		const struct state_elasticbeanstalk_log *l = &r.logs.v[i];
		if (str_eq(l->type, in->info_type) && str_set(l->key) && sign(c, &r, l->key, &url))
			*LIST_ADD(c->arena, &out->environment_info) = (struct elasticbeanstalk_environment_info_description){
			        .info_type = l->type, .ec2_instance_id = l->instance, .sample_timestamp = l->at, .message = url};
	}
	return CALL_OK;
}
