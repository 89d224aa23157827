/* PutPermission, RemovePermission: a bus's policy, as a document or a statement at a time. */
#include "rows.h"

#include "core/policy.h"

enum { POLICY_MAX = 10240 };

static struct str sid_of(const struct json_value *statement)
{
	struct str sid = json_get_str(statement, S("Sid"));
	return str_set(sid) ? sid : S("");
}

/* The policy without the statement of this id; *ret_had: there was one. Its array is still open. */
static void begin_policy(struct json_out *j, struct arena *a, struct str policy, struct str without, bool *ret_had,
                         unsigned *ret_left)
{
	const struct json_value *all = json_get(json_parse(a, policy, NULL), S("Statement"));
	*ret_had = false;
	*ret_left = 0;
	json_open(j, '{');
	json_key(j, S("Version"));
	json_string(j, S("2012-10-17"));
	json_key(j, S("Statement"));
	json_open(j, '[');
	for (const struct json_value *s = json_is(all, JSON_ARRAY) ? all->first : all; s;
	     s = json_is(all, JSON_ARRAY) ? s->next : NULL) {
		struct buf CLEAN_BUF one = {0};
		if (str_eq(sid_of(s), without)) {
			*ret_had = true;
			continue;
		}
		buf_init(&one, 2 * POLICY_MAX);
		json_put_value(&one, s);
		json_raw(j, buf_str(&one));
		++*ret_left;
	}
}

static void member(struct json_out *j, const char *key, struct str value)
{
	json_key(j, str_from(key));
	json_string(j, value);
}

static void put_statement(struct json_out *j, struct call *c, const struct bus *b, const struct events_put_permission_request *in)
{
	json_open(j, '{');
	member(j, "Sid", in->statement_id);
	member(j, "Effect", S("Allow"));
	json_key(j, S("Principal"));
	if (str_is(in->principal, "*")) {
		json_string(j, S("*"));
	} else {
		json_open(j, '{');
		member(j, "AWS", ARENA_CAT(c->arena, S("arn:aws:iam::"), in->principal, S(":root")));
		json_close(j, '}');
	}
	member(j, "Action", str_set(in->action) ? in->action : S("events:PutEvents"));
	member(j, "Resource", bus_arn(c->arena, &b->at));
	if (in->condition) {
		json_key(j, S("Condition"));
		json_open(j, '{');
		json_key(j, in->condition->type);
		json_open(j, '{');
		member(j, arena_dupz(c->arena, in->condition->key), in->condition->value);
		json_close(j, '}');
		json_close(j, '}');
	}
	json_close(j, '}');
}

static int keep(struct call *c, struct bus *b, struct str json)
{
	struct str why = STR_NONE;
	if (json.n > POLICY_MAX)
		return call_fail(c, "PolicyLengthExceededException", 400, "The policy is longer than %d characters.", POLICY_MAX);
	struct policy *p = policy_parse(json, POLICY_RESOURCE, S("event bus policy"), c->arena, &why);
	if (!p)
		return events_invalid(c, "Parameter Policy is not valid. Reason: %.*s", STR_ARG(why));
	policy_free(p);
	b->r.policy = json;
	bus_put(c, b);
	return CALL_OK;
}

int events_put_permission(struct call *c, const struct events_put_permission_request *in, struct model_none *out)
{
	struct bus b;
	struct buf CLEAN_BUF text = {0};
	bool had;
	unsigned left;
	(void)out;
	if (bus_get(c, in->event_bus_name, &b) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->policy))
		return str_set(in->statement_id) || str_set(in->principal) || str_set(in->action)
		               ? events_invalid(c, "Policy cannot be given together with Action, Principal or StatementId.")
		               : keep(c, &b, in->policy);
	if (!str_set(in->statement_id) || !str_set(in->principal) || !str_set(in->action))
		return events_invalid(c, "Parameter(s) Action, Principal and StatementId must be specified.");
	if (!str_is(in->action, "events:PutEvents"))
		return events_invalid(c, "Provided value in parameter 'action' is not supported.");
	buf_init(&text, 4 * POLICY_MAX);
	struct json_out j = json_out(&text);
	begin_policy(&j, c->arena, b.r.policy, in->statement_id, &had, &left);
	put_statement(&j, c, &b, in);
	json_close(&j, ']');
	json_close(&j, '}');
	return keep(c, &b, arena_dup(c->arena, buf_str(&text)));
}

int events_remove_permission(struct call *c, const struct events_remove_permission_request *in, struct model_none *out)
{
	struct bus b;
	struct buf CLEAN_BUF text = {0};
	bool had;
	unsigned left = 0;
	(void)out;
	if (bus_get(c, in->event_bus_name, &b) != CALL_OK)
		return CALL_FAIL;
	if (in->remove_all_permissions.v) {
		b.r.policy = STR_NONE;
		bus_put(c, &b);
		return CALL_OK;
	}
	if (!str_set(in->statement_id))
		return events_invalid(c, "Parameter StatementId is required.");
	if (!str_set(b.r.policy))
		return events_absent(c, "EventBus does not have a policy.");
	buf_init(&text, 4 * POLICY_MAX);
	struct json_out j = json_out(&text);
	begin_policy(&j, c->arena, b.r.policy, in->statement_id, &had, &left);
	json_close(&j, ']');
	json_close(&j, '}');
	if (!had)
		return events_absent(c, "Statement with the provided id does not exist.");
	b.r.policy = left ? arena_dup(c->arena, buf_str(&text)) : STR_NONE;
	bus_put(c, &b);
	return CALL_OK;
}
