/* RotateSecret, CancelRotateSecret: a function of the user's makes a new value in four steps, which the keeper asks for one after
 * the other. What is under way is part of the secret's record, so it goes on after a crash. */
#include "rows.h"

#include "base/id.h"
#include "engine/scaling/cron.h"
#include "gen/lambda.h"

enum { RATE_MIN_MS = 4 * 3600 * 1000, STEP_TEST = 3 };

int64_t secret_rotation_next(const struct state_secretsmanager_rotation *r, int64_t after_ms)
{
	struct when w;
	if (str_set(r->schedule))
		return when_parse(r->schedule, NULL, &w) ? when_next(&w, after_ms, after_ms) : 0;
	return r->after_days.set ? after_ms + r->after_days.v * SECRET_DAY_MS : 0;
}

static int take_rules(struct call *c, const struct secretsmanager_rotation_rules_type *rules,
                      struct state_secretsmanager_rotation *r)
{
	struct when w;
	if (!rules)
		return CALL_OK;
	if (rules->automatically_after_days.set == str_set(rules->schedule_expression))
		return secret_invalid(c, "You must specify exactly one of AutomaticallyAfterDays and ScheduleExpression.");
	if (str_set(rules->schedule_expression) && (!when_parse(rules->schedule_expression, NULL, &w) || w.kind == WHEN_AT ||
	                                            (w.kind == WHEN_RATE && w.period_ms < RATE_MIN_MS)))
		return secret_invalid(c, "The schedule expression %.*s is not valid: a rate has four hours at least.",
		                      STR_ARG(rules->schedule_expression));
	r->after_days = rules->automatically_after_days;
	r->schedule = rules->schedule_expression;
	r->duration = rules->duration;
	return CALL_OK;
}

static int check_function(struct call *c, const struct secret *s, struct str function)
{
	const char *code;
	if (!call_tried(c, &code)) {
		struct principal *self = principal_new(PRINCIPAL_SERVICE, s->account);
		self->name = self->arn = self->user_id = S("secretsmanager.amazonaws.com");
		self->issuer_arn = arena_dup(&self->arena, s->arn);
		const struct lambda_invocation_request in = {.function_name = function, .invocation_type = S("DryRun")};
		int r = call_try(c, self, c->region, &lambda_api, "Invoke", &in);
		principal_unref(self);
		return r;
	}
	if (!*code)
		return CALL_OK;
	return call_fail(
	        c, "AccessDeniedException", 400,
	        "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to "
	        "the principal secretsmanager.amazonaws.com.");
}

/* A rotation that has begun and is not over, or that failed: its version is the one that is AWSPENDING and not current. */
static bool under_way(struct secret *s)
{
	const struct state_secretsmanager_version *v = secret_staged(s, SECRET_PENDING);
	return v && !secret_has_stage(v, SECRET_CURRENT);
}

int secretsmanager_rotate_secret(struct call *c, const struct secretsmanager_rotate_secret_request *in,
                                 struct secretsmanager_rotate_secret_response *out)
{
	struct secret s;
	if (in->external_secret_rotation_metadata.n || str_set(in->external_secret_rotation_role_arn))
		return secret_refused(c, "Secrets of other services are not supported by this cloud.");
	if (secret_find(c, in->secret_id, false, &s) != CALL_OK || secret_unowned(c, &s) != CALL_OK)
		return CALL_FAIL;
	struct state_secretsmanager_rotation *r =
	        s.r.rotation ? s.r.rotation : arena_new(c->arena, struct state_secretsmanager_rotation);
	s.r.rotation = r;
	if (in->rotation_lambda_arn.n)
		r->lambda = in->rotation_lambda_arn;
	if (!r->lambda.n)
		return secret_refused(c, "No Lambda rotation function ARN is associated with this secret.");
	if (take_rules(c, in->rotation_rules, r) != CALL_OK)
		return CALL_FAIL;
	if (str_set(r->token) || under_way(&s))
		return secret_refused(c, "A previous rotation isn't complete. That rotation will be reattempted.");
	if (!secret_staged(&s, SECRET_CURRENT))
		return secret_refused(c, "The secret has no value to rotate.");
	if (!call_allowed(c, "lambda:InvokeFunction", r->lambda))
		return CALL_FAIL;
	int said = check_function(c, &s, r->lambda);
	if (said != CALL_OK)
		return said;
	bool now = !in->rotate_immediately.set || in->rotate_immediately.v;
	struct str token = str_set(in->client_request_token) ? in->client_request_token : id_uuid(c->arena);
	if (secret_version(&s, token))
		return call_fail(c, "ResourceExistsException", 0, "There is a version with this client request token already.");
	r->enabled = OPT_BOOL(true);
	r->token = token;
	r->step = OPT_INT(now ? 1 : STEP_TEST);
	r->only = OPT_INT(now ? 0 : STEP_TEST);
	r->tries = OPT_INT(0);
	r->again = (struct opt_time){0};
	int64_t next = secret_rotation_next(r, c->now_ms);
	r->next = next ? OPT_TIME(next) : (struct opt_time){0};
	*LIST_ADD(c->arena, &s.r.versions) = (struct state_secretsmanager_version){.id = token, .created = OPT_TIME(c->now_ms)};
	secret_stage(c->arena, &s, token, SECRET_PENDING);
	secret_save(c, &s);
	call_after_commit(c, secret_keeper_wake);
	out->arn = s.arn;
	out->name = s.r.name;
	if (now)
		out->version_id = token;
	return CALL_OK;
}

int secretsmanager_cancel_rotate_secret(struct call *c, const struct secretsmanager_cancel_rotate_secret_request *in,
                                        struct secretsmanager_cancel_rotate_secret_response *out)
{
	struct secret s;
	if (secret_find(c, in->secret_id, false, &s) != CALL_OK)
		return CALL_FAIL;
	if (s.r.rotation) {
		if (str_set(s.r.rotation->token))
			out->version_id = s.r.rotation->token;
		s.r.rotation->enabled = OPT_BOOL(false);
		s.r.rotation->token = STR_NONE;
		s.r.rotation->next = s.r.rotation->again = (struct opt_time){0};
		secret_save(c, &s);
	}
	out->arn = s.arn;
	out->name = s.r.name;
	return CALL_OK;
}
