/* Resource policies of functions and layer versions: statements that are added and removed one by one. */
#include "aws/lambda/lambda.h"
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

static int add_statement(struct call *c, struct str key, struct str sid, struct str json, struct str revision,
                         struct str *ret_revision)
{
	struct state_lambda_policy_record row = {0};
	bool there = record_get(call_txn(c), c->arena, key, ROW("Policy"), &row);
	if (str_set(revision) && !there)
		return lambda_check_revision(c, revision, S(""));
	if (lambda_check_revision(c, revision, row.revision_id) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < row.statements.n; i++)
		if (str_eq(row.statements.v[i].sid, sid)) {
			return call_fail(
			        c, "ResourceConflictException", 409,
			        "The statement id (%.*s) provided already exists. Please provide a new statement id, or remove the existing statement.",
			        STR_ARG(sid));
		}
	struct state_lambda_statement_record *s = LIST_ADD(c->arena, &row.statements);
	s->sid = sid;
	s->json = json;
	row.statements.set = true;
	row.revision_id = id_uuid(c->arena);
	if (lambda_policy_document(c->arena, &row).n > LAMBDA_POLICY_BYTES) {
		return call_fail(c, "PolicyLengthExceededException", 400,
		                 "The final policy size (%zu) is bigger than the limit (20480).",
		                 lambda_policy_document(c->arena, &row).n);
	}
	record_put(call_txn(c), c->arena, key, ROW("Policy"), &row);
	if (ret_revision)
		*ret_revision = row.revision_id;
	return CALL_OK;
}

static int remove_statement(struct call *c, struct str key, struct str sid, struct str revision)
{
	struct state_lambda_policy_record row = {0};
	record_get(call_txn(c), c->arena, key, ROW("Policy"), &row);
	for (uint32_t i = 0; i < row.statements.n; i++) {
		if (!str_eq(row.statements.v[i].sid, sid))
			continue;
		if (lambda_check_revision(c, revision, row.revision_id) != CALL_OK)
			return CALL_FAIL;
		memmove(&row.statements.v[i], &row.statements.v[i + 1], (row.statements.n - i - 1) * sizeof(*row.statements.v));
		row.revision_id = id_uuid(c->arena);
		if (--row.statements.n)
			record_put(call_txn(c), c->arena, key, ROW("Policy"), &row);
		else
			store_delete(call_txn(c), key);
		return CALL_OK;
	}
	return call_fail(c, "ResourceNotFoundException", 404, "Statement %.*s is not found in resource policy.", STR_ARG(sid));
}

/* "s3.amazonaws.com" is a service, "*" everybody, the rest an account or an ARN. */
static void put_principal(struct json_out *o, struct str principal)
{
	int64_t account;
	json_key(o, S("Principal"));
	if (str_eq(principal, S("*"))) {
		json_string(o, principal);
		return;
	}
	json_open(o, '{');
	if (str_find_char(principal, '.') >= 0 && !str_starts(principal, S("arn:"))) {
		json_key(o, S("Service"));
		json_string(o, principal);
	} else {
		char arn[64];
		bool number = principal.n == 12 && str_to_i64(principal, &account);
		json_key(o, S("AWS"));
		snprintf(arn, sizeof(arn), "arn:aws:iam::%.12s:root", principal.p);
		json_string(o, number ? str_from(arn) : principal);
	}
	json_close(o, '}');
}

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

static int check_qualifier(struct call *c, const struct lambda_name *n)
{
	struct state_lambda_version_record row = {0};
	if (str_eq(n->qualifier, S(LAMBDA_LATEST)))
		return lambda_invalid(c, "We currently do not support adding policies for $LATEST.");
	return lambda_load_version(c, n, &row);
}

int lambda_add_permission(struct call *c, const struct lambda_add_permission_request *in,
                          struct lambda_add_permission_response *out)
{
	struct lambda_name n;
	if (lambda_name_parse(c, in->function_name, in->qualifier, &n) != CALL_OK || check_qualifier(c, &n) != CALL_OK)
		return CALL_FAIL;
	if (!str_eq(in->action, S("*")) && !str_starts(in->action, S("lambda:")))
		return call_fail(
		        c, "ValidationException", 400,
		        "1 validation error detected: Value '%.*s' at 'action' failed to satisfy constraint: Member must satisfy regular expression "
		        "pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*])",
		        STR_ARG(in->action));
	struct str arn = lambda_function_arn(c->arena, n.region, n.account, n.name, n.qualifier);
	out->statement = statement_of(c, in, arn);
	return add_statement(c, lambda_policy_key(c->arena, n.account, n.region, n.name, n.qualifier), in->statement_id,
	                     out->statement, in->revision_id, NULL);
}

int lambda_remove_permission(struct call *c, const struct lambda_remove_permission_request *in, struct model_none *out)
{
	(void)out;
	struct lambda_name n;
	if (lambda_name_parse(c, in->function_name, in->qualifier, &n) != CALL_OK || check_qualifier(c, &n) != CALL_OK)
		return CALL_FAIL;
	return remove_statement(c, lambda_policy_key(c->arena, n.account, n.region, n.name, n.qualifier), in->statement_id,
	                        in->revision_id);
}

int lambda_get_policy(struct call *c, const struct lambda_get_policy_request *in, struct lambda_get_policy_response *out)
{
	struct lambda_name n;
	struct state_lambda_policy_record row = {0};
	struct state_lambda_version_record version = {0};
	if (lambda_name_parse(c, in->function_name, in->qualifier, &n) != CALL_OK ||
	    lambda_load_version(c, &n, &version) != CALL_OK)
		return CALL_FAIL;
	if (!record_get(call_txn(c), c->arena, lambda_policy_key(c->arena, n.account, n.region, n.name, n.qualifier), ROW("Policy"),
	                &row))
		return call_fail(c, "ResourceNotFoundException", 404, "The resource you requested does not exist.");
	out->policy = lambda_policy_document(c->arena, &row);
	out->revision_id = row.revision_id;
	return CALL_OK;
}

/* --- layers */

static int layer_policy_key(struct call *c, struct str layer, int64_t version, struct str *ret_key, struct str *ret_arn)
{
	if (str_starts(layer, S("arn:")))
		layer = str_from_at(layer, (size_t)str_rfind_char(layer, ':') + 1);
	struct state_lambda_layer_version_record row = {0};
	struct str arn = arena_printf(c->arena, "arn:aws:lambda:%.*s:%.*s:layer:%.*s:%lld", STR_ARG(c->region), STR_ARG(c->account),
	                              STR_ARG(layer), (long long)version);
	if (!record_get(call_txn(c), c->arena, lambda_layer_version_key(c->arena, c->account, c->region, layer, version),
	                ROW("LayerVersion"), &row))
		return call_fail(c, "ResourceNotFoundException", 404, "Layer version %.*s does not exist.", STR_ARG(arn));
	*ret_key = lambda_layer_policy_key(c->arena, c->account, c->region, layer, version);
	*ret_arn = arn;
	return CALL_OK;
}

int lambda_add_layer_version_permission(struct call *c, const struct lambda_add_layer_version_permission_request *in,
                                        struct lambda_add_layer_version_permission_response *out)
{
	struct str key, arn;
	if (layer_policy_key(c, in->layer_name, in->version_number.v, &key, &arn) != CALL_OK)
		return CALL_FAIL;
	struct lambda_add_permission_request same = {
	        .statement_id = in->statement_id,
	        .action = in->action,
	        .principal = in->principal,
	        .principal_org_id = in->organization_id,
	};
	out->statement = statement_of(c, &same, arn);
	return add_statement(c, key, in->statement_id, out->statement, in->revision_id, &out->revision_id);
}

int lambda_remove_layer_version_permission(struct call *c, const struct lambda_remove_layer_version_permission_request *in,
                                           struct model_none *out)
{
	(void)out;
	struct str key, arn;
	if (layer_policy_key(c, in->layer_name, in->version_number.v, &key, &arn) != CALL_OK)
		return CALL_FAIL;
	return remove_statement(c, key, in->statement_id, in->revision_id);
}

int lambda_get_layer_version_policy(struct call *c, const struct lambda_get_layer_version_policy_request *in,
                                    struct lambda_get_layer_version_policy_response *out)
{
	struct str key, arn;
	struct state_lambda_policy_record row = {0};
	if (layer_policy_key(c, in->layer_name, in->version_number.v, &key, &arn) != CALL_OK)
		return CALL_FAIL;
	if (!record_get(call_txn(c), c->arena, key, ROW("Policy"), &row))
		return call_fail(c, "ResourceNotFoundException", 404, "No policy is associated with the given resource.");
	out->policy = lambda_policy_document(c->arena, &row);
	out->revision_id = row.revision_id;
	return CALL_OK;
}
