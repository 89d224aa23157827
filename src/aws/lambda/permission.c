/* Resource policies of functions and layer versions: statements that are added and removed one by one. */
#include "aws/lambda/lambda.h"

#include "aws/iam/iam.h"
#include "base/id.h"
#include "base/json.h"

#include <stdio.h>

struct str lambda_policy_document(struct arena *a, const struct state_lambda_policy_record *policy)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 20);
	buf_add_lit(&b, "{\"Version\":\"2012-10-17\",\"Id\":\"default\",\"Statement\":[");
	for (uint32_t i = 0; i < policy->statements.n; i++) {
		if (i)
			buf_add_char(&b, ',');
		buf_add_str(&b, policy->statements.v[i].json);
	}
	buf_add_lit(&b, "]}");
	return arena_dup(a, buf_str(&b));
}

/* Changes the statements in memory; the caller writes them. */
static int add_statement(struct call *c, struct state_lambda_policy_record *row, struct str sid, struct str json)
{
	for (uint32_t i = 0; i < row->statements.n; i++)
		if (str_eq(row->statements.v[i].sid, sid)) {
			return call_fail(
			        c, "ResourceConflictException", 409,
			        "The statement id (%.*s) provided already exists. Please provide a new statement id, or remove the existing statement.",
			        STR_ARG(sid));
		}
	struct state_lambda_statement_record *s = LIST_ADD(c->arena, &row->statements);
	s->sid = sid;
	s->json = json;
	row->statements.set = true;
	size_t bytes = lambda_policy_document(c->arena, row).n;
	if (bytes > LAMBDA_POLICY_BYTES) {
		return call_fail(c, "PolicyLengthExceededException", 400,
		                 "The final policy size (%zu) is bigger than the limit (20480).", bytes);
	}
	return CALL_OK;
}

static int remove_statement(struct call *c, struct state_lambda_policy_record *row, struct str sid)
{
	if (!row->statements.n)
		return call_fail(c, "ResourceNotFoundException", 404, "No policy is associated with the given resource.");
	for (uint32_t i = 0; i < row->statements.n; i++) {
		if (!str_eq(row->statements.v[i].sid, sid))
			continue;
		memmove(&row->statements.v[i], &row->statements.v[i + 1], (--row->statements.n - i) * sizeof(*row->statements.v));
		return CALL_OK;
	}
	return call_fail(c, "ResourceNotFoundException", 404, "Statement %.*s is not found in resource policy.", STR_ARG(sid));
}

static void put_policy(struct call *c, struct str key, const struct state_lambda_policy_record *row)
{
	if (row->statements.n)
		record_put(call_txn(c), c->arena, key, ROW("Policy"), row);
	else
		store_delete(call_txn(c), key);
}

/* --- principals */

/* s3.amazonaws.com, logs.us-east-1.amazonaws.com, alexa-appkit.amazon.com */
static bool is_service(struct str s)
{
	static const char *const ends[] = {".amazonaws.com", ".amazon.com", ".amazonaws.com.cn"};
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]) && s.p[i] != '-' && s.p[i] != '.')
			return false;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (str_ends(s, str_from(ends[i])) && s.n > strlen(ends[i]) && s.p[0] != '.')
			return true;
	return false;
}

/* arn:aws:iam::123456789012:root, :user/..., :role/...; arn:aws:sts::123456789012:assumed-role/... */
static bool is_principal_arn(struct str s)
{
	struct str parts[5] = {0}, rest = s;
	for (int i = 0; i < 5; i++)
		parts[i] = str_cut(&rest, ':');
	return str_set(rest) && !str_empty(rest) && str_is(parts[0], "arn") && str_starts(parts[1], S("aws")) &&
	       (str_is(parts[2], "iam") || str_is(parts[2], "sts")) && str_empty(parts[3]) && lambda_is_account(parts[4]);
}

static int check_principal(struct call *c, struct str principal)
{
	if (str_is(principal, "*") || lambda_is_account(principal) || is_service(principal) ||
	    (is_principal_arn(principal) && iam_principal_exists(c, principal)))
		return CALL_OK;
	return lambda_invalid(c, "The provided principal was invalid. Please check the principal and try again.");
}

static void put_principal(struct json_out *o, struct str principal)
{
	json_key(o, S("Principal"));
	if (str_eq(principal, S("*"))) {
		json_string(o, principal);
		return;
	}
	char root[64];
	snprintf(root, sizeof(root), "arn:aws:iam::%.12s:root", principal.p);
	bool service = is_service(principal);
	json_open(o, '{');
	json_key(o, service ? S("Service") : S("AWS"));
	json_string(o, !service && lambda_is_account(principal) ? str_from(root) : principal);
	json_close(o, '}');
}

/* --- statements */

static void put_condition(struct json_out *o, bool *open, const char *op, const char *key, struct str value)
{
	if (!str_set(value))
		return;
	if (!*open) {
		json_key(o, S("Condition"));
		json_open(o, '{');
		*open = true;
	}
	json_key(o, str_from(op));
	json_open(o, '{');
	json_key(o, str_from(key));
	json_string(o, value);
	json_close(o, '}');
}

static struct str statement_of(struct call *c, const struct lambda_add_permission_request *in, struct str arn)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 16);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("Sid"));
	json_string(&o, in->statement_id);
	json_key(&o, S("Effect"));
	json_string(&o, S("Allow"));
	put_principal(&o, in->principal);
	json_key(&o, S("Action"));
	json_string(&o, in->action);
	json_key(&o, S("Resource"));
	json_string(&o, arn);
	/* Conditions with one operator share its object. */
	bool open = false;
	struct buf CLEAN_BUF equals;
	buf_init(&equals, 1 << 16);
	struct json_out e = json_out(&equals);
	json_open(&e, '{');
	struct {
		const char *key;
		struct str value;
	} same[] = {
	        {"AWS:SourceAccount", in->source_account},
	        {"lambda:EventSourceToken", in->event_source_token},
	        {"lambda:FunctionUrlAuthType", in->function_url_auth_type},
	        {"aws:PrincipalOrgID", in->principal_org_id},
	};
	bool any = false;
	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++) {
		if (!str_set(same[i].value))
			continue;
		json_key(&e, str_from(same[i].key));
		json_string(&e, same[i].value);
		any = true;
	}
	json_close(&e, '}');
	if (any) {
		json_key(&o, S("Condition"));
		json_open(&o, '{');
		open = true;
		json_key(&o, S("StringEquals"));
		json_raw(&o, buf_str(&equals));
	}
	if (in->invoked_via_function_url.set)
		put_condition(&o, &open, "Bool", "lambda:InvokedViaFunctionUrl",
		              in->invoked_via_function_url.v ? S("true") : S("false"));
	put_condition(&o, &open, "ArnLike", "AWS:SourceArn", in->source_arn);
	if (open)
		json_close(&o, '}');
	json_close(&o, '}');
	return arena_dup(c->arena, buf_str(&b));
}

/* --- functions: a policy is a part of the version or alias that it stands at, and has that one's revision */

struct target {
	struct lambda_name name;
	struct str key; /* of the policy */
	struct state_lambda_policy_record policy;
	struct state_lambda_version_record version;
	struct state_lambda_alias_record alias;
	struct str *revision;
};

static int load_target(struct call *c, struct str text, struct str qualifier, struct target *t)
{
	struct lambda_name *n = &t->name;
	*t = (struct target){0};
	if (lambda_load_qualified(c, text, qualifier, n, &t->version) != CALL_OK)
		return CALL_FAIL;
	bool alias = str_set(n->qualifier) && lambda_get_alias_row(c, n, n->qualifier, &t->alias);
	t->revision = alias ? &t->alias.config->revision_id : &t->version.config->revision_id;
	t->key = lambda_policy_key(c->arena, n->account, n->region, n->name, n->qualifier);
	record_get(call_txn(c), c->arena, t->key, ROW("Policy"), &t->policy);
	return CALL_OK;
}

static int load_changeable(struct call *c, struct str text, struct str qualifier, struct str revision, struct target *t)
{
	if (load_target(c, text, qualifier, t) != CALL_OK)
		return CALL_FAIL;
	if (str_eq(t->name.qualifier, S(LAMBDA_LATEST)))
		return lambda_invalid(c, "We currently do not support adding policies for $LATEST.");
	return lambda_check_revision(c, revision, *t->revision);
}

static void put_target(struct call *c, struct target *t)
{
	put_policy(c, t->key, &t->policy);
	*t->revision = id_uuid(c->arena);
	if (t->alias.config)
		lambda_put_alias_row(c, &t->name, &t->alias);
	else
		lambda_put_version_row(c, &t->name, t->version.config->version, &t->version);
}

int lambda_add_permission(struct call *c, const struct lambda_add_permission_request *in,
                          struct lambda_add_permission_response *out)
{
	struct target t;
	if (load_changeable(c, in->function_name, in->qualifier, in->revision_id, &t) != CALL_OK ||
	    check_principal(c, in->principal) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->function_url_auth_type) && !str_is(in->action, "lambda:InvokeFunctionUrl"))
		return lambda_invalid(c, "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action");
	const struct lambda_name *n = &t.name;
	out->statement = statement_of(c, in, lambda_function_arn(c->arena, n->region, n->account, n->name, n->qualifier));
	if (add_statement(c, &t.policy, in->statement_id, out->statement) != CALL_OK)
		return CALL_FAIL;
	put_target(c, &t);
	return CALL_OK;
}

int lambda_remove_permission(struct call *c, const struct lambda_remove_permission_request *in, struct model_none *out)
{
	(void)out;
	struct target t;
	if (load_changeable(c, in->function_name, in->qualifier, in->revision_id, &t) != CALL_OK ||
	    remove_statement(c, &t.policy, in->statement_id) != CALL_OK)
		return CALL_FAIL;
	put_target(c, &t);
	return CALL_OK;
}

int lambda_get_policy(struct call *c, const struct lambda_get_policy_request *in, struct lambda_get_policy_response *out)
{
	struct target t;
	if (load_target(c, in->function_name, in->qualifier, &t) != CALL_OK)
		return CALL_FAIL;
	if (!t.policy.statements.n)
		return call_fail(c, "ResourceNotFoundException", 404, "The resource you requested does not exist.");
	out->policy = lambda_policy_document(c->arena, &t.policy);
	out->revision_id = *t.revision;
	return CALL_OK;
}

/* --- layers: a policy has a revision of its own */

static int load_layer_policy(struct call *c, struct str layer, int64_t version, struct lambda_layer_name *ret_name,
                             struct str *ret_key, struct state_lambda_policy_record *ret)
{
	struct state_lambda_layer_version_record row = {0};
	struct lambda_layer_name *n = ret_name;
	if (lambda_layer_parse(c, layer, version, n) != CALL_OK)
		return CALL_FAIL;
	if (!lambda_get_layer_row(c, n, &row)) {
		return call_fail(c, "ResourceNotFoundException", 404, "Layer version %.*s does not exist.",
		                 STR_ARG(lambda_layer_arn(c->arena, n)));
	}
	*ret_key = lambda_layer_policy_key(c->arena, n->account, n->region, n->name, n->version);
	*ret = (struct state_lambda_policy_record){.revision_id = S("")};
	record_get(call_txn(c), c->arena, *ret_key, ROW("Policy"), ret);
	return CALL_OK;
}

int lambda_add_layer_version_permission(struct call *c, const struct lambda_add_layer_version_permission_request *in,
                                        struct lambda_add_layer_version_permission_response *out)
{
	struct lambda_layer_name n;
	struct str key;
	struct state_lambda_policy_record policy;
	if (load_layer_policy(c, in->layer_name, in->version_number.v, &n, &key, &policy) != CALL_OK ||
	    lambda_check_revision(c, in->revision_id, policy.revision_id) != CALL_OK)
		return CALL_FAIL;
	struct lambda_add_permission_request same = {
	        .statement_id = in->statement_id,
	        .action = in->action,
	        .principal = in->principal,
	        .principal_org_id = in->organization_id,
	};
	out->statement = statement_of(c, &same, lambda_layer_arn(c->arena, &n));
	if (add_statement(c, &policy, in->statement_id, out->statement) != CALL_OK)
		return CALL_FAIL;
	out->revision_id = policy.revision_id = id_uuid(c->arena);
	put_policy(c, key, &policy);
	return CALL_OK;
}

int lambda_remove_layer_version_permission(struct call *c, const struct lambda_remove_layer_version_permission_request *in,
                                           struct model_none *out)
{
	(void)out;
	struct lambda_layer_name n;
	struct str key;
	struct state_lambda_policy_record policy;
	if (load_layer_policy(c, in->layer_name, in->version_number.v, &n, &key, &policy) != CALL_OK ||
	    lambda_check_revision(c, in->revision_id, policy.revision_id) != CALL_OK ||
	    remove_statement(c, &policy, in->statement_id) != CALL_OK)
		return CALL_FAIL;
	policy.revision_id = id_uuid(c->arena);
	put_policy(c, key, &policy);
	return CALL_OK;
}

int lambda_get_layer_version_policy(struct call *c, const struct lambda_get_layer_version_policy_request *in,
                                    struct lambda_get_layer_version_policy_response *out)
{
	struct lambda_layer_name n;
	struct str key;
	struct state_lambda_policy_record policy;
	if (load_layer_policy(c, in->layer_name, in->version_number.v, &n, &key, &policy) != CALL_OK)
		return CALL_FAIL;
	if (!policy.statements.n)
		return call_fail(c, "ResourceNotFoundException", 404, "No policy is associated with the given resource.");
	out->policy = lambda_policy_document(c->arena, &policy);
	out->revision_id = policy.revision_id;
	return CALL_OK;
}
