/* One document against one request. The cheap tests come first: action, then resource, then principal, and conditions last because
 * their keys may have to be looked up. */
#include "core/policy_compiled.h"

static bool action_matches(const struct policy_action *a, struct str service, struct str name)
{
	if (a->any)
		return true;
	if (!str_ieq(a->service, service))
		return false;
	return a->name_any || (a->name_wild ? str_glob(a->name, name, true) : str_ieq(a->name, name));
}

static bool actions_hold(const struct policy_statement *s, struct str service, struct str name)
{
	for (unsigned i = 0; i < s->action_count; i++)
		if (action_matches(&s->actions[i], service, name))
			return !s->not_action;
	return s->not_action;
}

/* Where some NotResource cannot be filled in, what it excludes is unknown, and the statement is left out. */
static bool resources_hold(const struct policy_statement *s, const struct policy_request *q)
{
	if (!s->has_resource)
		return true;
	for (unsigned i = 0; i < s->resource_count; i++) {
		struct str text;
		const char *literal;
		if (policy_pattern_arn(&s->resources[i], q, q->resource))
			return !s->not_resource;
		if (s->not_resource && s->resources[i].variables && !policy_expand(&s->resources[i], q, &text, &literal))
			return false;
	}
	return s->not_resource;
}

static enum policy_grant aws_grant(const struct policy_principal *p, const struct principal *who)
{
	if (p->any) /* services too: so are the queues open that SNS's oldest policies describe */
		return who->kind == PRINCIPAL_SERVICE ? GRANT_DIRECT : GRANT_ROLE;
	if (who->kind == PRINCIPAL_ANONYMOUS || who->kind == PRINCIPAL_SERVICE)
		return GRANT_NONE;
	if (str_set(p->account)) {
		if (!str_eq(p->account, who->account))
			return GRANT_NONE;
		return who->kind == PRINCIPAL_ROOT ? GRANT_DIRECT : GRANT_ACCOUNT;
	}
	if (str_eq(p->value, who->arn) || (who->kind != PRINCIPAL_ROOT && str_eq(p->value, who->user_id)))
		return GRANT_DIRECT;
	if (str_set(who->issuer_arn) &&
	    (str_eq(p->value, who->issuer_arn) || (str_set(who->issuer_id) && str_eq(p->value, who->issuer_id))))
		return GRANT_ROLE;
	return GRANT_NONE;
}

static enum policy_grant principal_grant(const struct policy_principal *p, const struct principal *who)
{
	switch (p->type) {
	case PRINCIPAL_TYPE_AWS:
		return aws_grant(p, who);
	case PRINCIPAL_TYPE_SERVICE:
		return who->kind == PRINCIPAL_SERVICE && (p->any || str_ieq(p->value, who->name)) ? GRANT_DIRECT : GRANT_NONE;
	case PRINCIPAL_TYPE_FEDERATED:
	case PRINCIPAL_TYPE_CANONICAL:
		break;
	}
	return GRANT_NONE;
}

/* The strongest way in which the statement names the caller; NotPrincipal names everybody that it does not list. */
static enum policy_grant principals_hold(const struct policy_statement *s, const struct policy_request *q)
{
	if (!s->has_principal)
		return GRANT_DIRECT;
	if (!q->who)
		return GRANT_NONE;
	enum policy_grant best = GRANT_NONE;
	for (unsigned i = 0; i < s->principal_count; i++) {
		enum policy_grant g = principal_grant(&s->principals[i], q->who);
		best = g > best ? g : best;
	}
	if (s->not_principal)
		return best == GRANT_NONE ? GRANT_ROLE : GRANT_NONE;
	return best;
}

static bool conditions_hold(const struct policy_statement *s, const struct policy_request *q)
{
	for (unsigned i = 0; i < s->condition_count; i++)
		if (!policy_condition_holds(&s->conditions[i], q))
			return false;
	return true;
}

/* How strongly the statement names the caller, conditions aside; GRANT_NONE: it is not about this request. */
static enum policy_grant statement_concerns(const struct policy_statement *s, const struct policy_request *q)
{
	struct str name = q->action, service = str_cut(&name, ':');
	if (!actions_hold(s, service, name) || !resources_hold(s, q))
		return GRANT_NONE;
	return principals_hold(s, q);
}

void policy_each_holding(const struct policy *p, const struct policy_request *q, enum policy_effect effect, policy_statement_fn *fn,
                         void *ctx)
{
	for (unsigned i = 0; i < p->count; i++) {
		const struct policy_statement *s = &p->statements[i];
		if (s->deny == (effect == POLICY_DENY) && statement_concerns(s, q) != GRANT_NONE && conditions_hold(s, q))
			fn(ctx, p, i);
	}
}

static bool statement_public(const struct policy_statement *s);

void policy_eval(const struct policy *p, const struct policy_request *q, struct policy_answer *ret)
{
	struct policy_answer answer = {.effect = POLICY_SILENT, .sid = S("")};
	for (unsigned i = 0; i < p->count; i++) {
		const struct policy_statement *s = &p->statements[i];
		/* An Allow that cannot improve on what was found need not be looked at. */
		if (!s->deny && answer.effect == POLICY_ALLOW && (!s->has_principal || answer.grant == GRANT_DIRECT))
			continue;
		enum policy_grant grant = statement_concerns(s, q);
		if (grant == GRANT_NONE || (!s->deny && grant <= answer.grant))
			continue;
		if (!s->deny && q->public_blocked && statement_public(s))
			continue;
		if (!conditions_hold(s, q))
			continue;
		answer = (struct policy_answer){
		        .effect = s->deny ? POLICY_DENY : POLICY_ALLOW, .grant = grant, .sid = s->sid, .statement = i};
		if (s->deny)
			break;
	}
	*ret = answer;
}

/* --- looking at a document without a request */

/* Keys that tie a statement to somebody when they are compared with fixed values. */
static bool condition_narrows(const struct policy_condition *c)
{
	static const char *const keys[] = {"aws:SourceIp",         "aws:SourceArn",
	                                   "aws:SourceVpc",        "aws:SourceVpce",
	                                   "aws:SourceOwner",      "aws:SourceAccount",
	                                   "aws:PrincipalOrgID",   "aws:PrincipalOrgPaths",
	                                   "aws:PrincipalAccount", "aws:PrincipalArn",
	                                   "aws:userid",           "aws:username",
	                                   "aws:PrincipalType",    "s3:DataAccessPointAccount",
	                                   "s3:DataAccessPointArn"};
	if (c->negated || c->if_exists || c->set == SET_ALL || c->test == TEST_NULL || c->test == TEST_BOOL)
		return false;
	bool known = false;
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		known = known || str_ieq(c->key, str_from(keys[i]));
	if (!known)
		return false;
	for (unsigned i = 0; i < c->count; i++) {
		const struct policy_pattern *v = &c->values[i];
		/* An account within an ARN is fixed enough; a wildcard alone, or all of the Internet, is not. */
		if (v->any || v->variables || str_ends(v->text, S("/0")) || (c->test == TEST_STRING_LIKE && v->wild))
			return false;
		if (c->test == TEST_ARN && v->wild) {
			struct str rest = v->text, account = STR_NONE;
			for (int part = 0; part < 5; part++)
				account = str_set(rest) ? str_cut(&rest, ':') : STR_NONE;
			bool s3 = str_starts(v->text, S("arn:aws:s3:::"));
			if (s3 ? v->text.n == 13 || v->text.p[13] == '*' : account.n == 0 || str_find_char(account, '*') >= 0)
				return false;
		}
	}
	return true;
}

static bool statement_public(const struct policy_statement *s)
{
	bool everybody = s->not_principal;
	for (unsigned i = 0; i < s->principal_count; i++)
		everybody = everybody || s->principals[i].any;
	if (!everybody || s->deny)
		return false;
	for (unsigned i = 0; i < s->condition_count; i++)
		if (condition_narrows(&s->conditions[i]))
			return false;
	return true;
}

bool policy_is_public(const struct policy *p)
{
	for (unsigned i = 0; i < p->count; i++)
		if (statement_public(&p->statements[i]))
			return true;
	return false;
}

struct names {
	struct arena *a;
	struct str_list *list;
};

static void add_name(void *ctx, struct str name)
{
	struct names *n = ctx;
	for (uint32_t i = 0; i < n->list->n; i++)
		if (str_ieq(n->list->v[i], name))
			return;
	*LIST_ADD(n->a, n->list) = arena_dup(n->a, name);
}

void policy_context_keys(const struct policy *p, struct arena *a, struct str_list *ret)
{
	struct names names = {a, ret};
	ret->set = true;
	for (unsigned i = 0; i < p->count; i++) {
		const struct policy_statement *s = &p->statements[i];
		for (unsigned r = 0; r < s->resource_count; r++)
			if (s->resources[r].variables)
				policy_each_variable(s->resources[r].text, add_name, &names);
		for (unsigned c = 0; c < s->condition_count; c++) {
			add_name(&names, s->conditions[c].key);
			for (unsigned v = 0; v < s->conditions[c].count; v++)
				if (s->conditions[c].values[v].variables)
					policy_each_variable(s->conditions[c].values[v].text, add_name, &names);
		}
	}
}

bool policy_each_principal(const struct policy *p, policy_principal_fn *fn, void *ctx)
{
	static const char *const types[] = {"AWS", "Service", "Federated", "CanonicalUser"};
	for (unsigned i = 0; i < p->count; i++)
		for (unsigned k = 0; k < p->statements[i].principal_count; k++) {
			const struct policy_principal *who = &p->statements[i].principals[k];
			if (!fn(ctx, str_from(types[who->type]), who->value))
				return false;
		}
	return true;
}
