/* Simulation: the gate's own evaluation, with documents and condition keys from the request in place of those of a call. */
#include "aws/iam/nouns.h"
#include "aws/iam/source.h"

enum { DOCUMENTS_MAX = 128, RESULTS_MAX = 1000 };

struct simulation {
	struct call *c;
	const struct iam_context_entry_list_type *context;
	struct principal who;
	struct principal_policies policies;
	const struct policy *documents[DOCUMENTS_MAX];
	const struct policy *boundary;
	struct policy *parsed[DOCUMENTS_MAX + 12]; /* to be freed */
	unsigned parsed_count;
	struct str_list missing; /* keys that were asked for and are not there */
	struct str resource_policy;
	struct str owner; /* account of the simulated resources */
};

static bool simulated_key(void *ctx, struct str key, struct str_list *ret)
{
	struct simulation *s = ctx;
	for (uint32_t i = 0; i < s->context->n; i++)
		if (str_ieq(s->context->v[i].context_key_name, key)) {
			*ret = s->context->v[i].context_key_values;
			return true;
		}
	for (uint32_t i = 0; i < s->missing.n; i++)
		if (str_ieq(s->missing.v[i], key))
			return false;
	/* The policy that spells it is gone before the reply is. */
	*LIST_ADD(s->c->arena, &s->missing) = arena_dup(s->c->arena, key);
	return false;
}

static const struct policy *parse_input(struct simulation *s, struct str json, const char *kind, uint32_t number)
{
	struct str message;
	if (s->parsed_count == sizeof(s->parsed) / sizeof(s->parsed[0]))
		return NULL;
	struct policy *p =
	        policy_parse(json, POLICY_IDENTITY, arena_printf(s->c->arena, "%s.%u", kind, number + 1), s->c->arena, &message);
	if (!p)
		call_fail(s->c, "InvalidInput", 400, "Invalid input policy %u: %.*s", number + 1, STR_ARG(message));
	else
		s->parsed[s->parsed_count++] = p;
	return p;
}

static bool add_documents(struct simulation *s, const struct str_list *from, const char *kind)
{
	for (uint32_t i = 0; i < from->n; i++) {
		if (s->policies.identity_count == DOCUMENTS_MAX) {
			call_fail(s->c, "InvalidInput", 400, "Too many policies.");
			return false;
		}
		const struct policy *p = parse_input(s, from->v[i], kind, i);
		if (!p)
			return false;
		s->documents[s->policies.identity_count++] = p;
	}
	return true;
}

static void simulation_done(struct simulation *s)
{
	for (unsigned i = 0; i < s->parsed_count; i++)
		policy_free(s->parsed[i]);
}

/* A user, group or role of this account, with what holds for it. */
static const struct iam_cached *source_entity(struct call *c, struct str arn)
{
	struct str account, path, name;
	for (enum iam_kind kind = IAM_USER; kind <= IAM_ROLE; kind++)
		if (iam_arn_parse(arn, iam_kinds[kind].key, &account, &path, &name) && str_eq(account, c->account)) {
			const struct iam_cached *e = iam_cached_entity(iam_of(c->cloud), account, kind, name);
			if (e && str_eq(e->arn, arn))
				return e;
			call_fail(c, "NoSuchEntity", 404, "The %s with name %.*s cannot be found.", iam_kinds[kind].word,
			          STR_ARG(name));
			return NULL;
		}
	call_fail(c, "InvalidInput", 400, "Invalid Entity Arn: %.*s does not clearly define entity type and name.", STR_ARG(arn));
	return NULL;
}

static struct str decision_name(enum authz_result r)
{
	return r == AUTHZ_ALLOW ? S("allowed") : r == AUTHZ_DENY_EXPLICIT ? S("explicitDeny") : S("implicitDeny");
}

/* A document as simulations call it: one of the request by its number, a managed policy by its name, an inline one by whose it is.
 */
static struct str source_id(struct arena *a, const struct policy *p)
{
	struct str name = policy_name(p), managed = S("managed policy "), inlined = S("inline policy ");
	if (str_starts(name, managed))
		return arena_dup(a, str_from_at(name, (size_t)str_rfind_char(name, '/') + 1));
	if (!str_starts(name, inlined))
		return arena_dup(a, name);
	/* "inline policy P of role R" */
	struct str rest = str_from_at(name, inlined.n), policy = str_cut(&rest, ' ');
	str_cut(&rest, ' ');
	struct str word = str_cut(&rest, ' ');
	return ARENA_CAT(a, word, S("_"), rest, S("_"), policy);
}

/* Documents of the request have no home, so no type either. */
static struct str source_type(const struct policy *p)
{
	static const struct {
		const char *in_name, *type;
	} rows[] = {
	        {"managed policy arn:aws:iam::aws:", "aws-managed"},
	        {"managed policy ", "user-managed"},
	        {" of user ", "user"},
	        {" of group ", "group"},
	        {" of role ", "role"},
	};
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (str_find(policy_name(p), str_from(rows[i].in_name)) >= 0)
			return str_from(rows[i].type);
	return STR_NONE;
}

struct matching {
	struct arena *arena;
	struct iam_statement_list_type *to;
	bool resource;
};

static struct iam_position *position(struct arena *a, struct policy_place place)
{
	struct iam_position *p = arena_new(a, struct iam_position);
	*p = (struct iam_position){.line = OPT_INT(place.line), .column = OPT_INT(place.column)};
	return p;
}

static void matched(void *ctx, const struct policy *p, unsigned statement)
{
	struct matching *m = ctx;
	struct policy_place begins, ends;
	policy_statement_places(p, statement, &begins, &ends);
	*LIST_ADD(m->arena, m->to) = (struct iam_statement){.source_policy_id = source_id(m->arena, p),
	                                                    .source_policy_type = m->resource ? S("resource") : source_type(p),
	                                                    .start_position = position(m->arena, begins),
	                                                    .end_position = position(m->arena, ends)};
}

/* The statements that made the decision: of an Allow by the caller's policies every one that allows, else the one that decided. */
static void show_matched(struct simulation *s, const struct authz_decision *d, const struct policy_request *q,
                         struct iam_statement_list_type *to)
{
	struct matching m = {s->c->arena, to, d->layer == AUTHZ_LAYER_RESOURCE};
	to->set = true;
	if (d->result == AUTHZ_ALLOW && d->layer == AUTHZ_LAYER_IDENTITY)
		for (unsigned i = 0; i < s->policies.identity_count; i++)
			policy_each_holding(s->policies.identity[i], q, POLICY_ALLOW, matched, &m);
	else if (d->policy)
		matched(&m, d->policy, d->statement);
}

/* One action on one resource. AWS says it twice where resources were named, and so do we. */
static void simulate_one(struct simulation *s, struct str action, struct str resource, bool named, struct iam_evaluation_result *r)
{
	struct call *c = s->c;
	struct authz az = {
	        .action = action, .resource = resource, .resource_policy = s->resource_policy, .resource_account = s->owner};
	struct authz_context context = {.arena = c->arena, .key = simulated_key, .ctx = s};
	struct policy_request q = {
	        .action = action, .resource = resource, .who = &s->who, .key = simulated_key, .ctx = s, .arena = c->arena};
	struct authz_decision d;
	s->missing = (struct str_list){.set = true};
	authz_evaluate(&context, &s->who, &s->policies, &az, &d);
	*r = (struct iam_evaluation_result){
	        .eval_action_name = action, .eval_resource_name = resource, .eval_decision = decision_name(d.result)};
	show_matched(s, &d, &q, &r->matched_statements);
	if (s->policies.boundary) {
		struct principal_policies alone = {.identity = &s->policies.boundary, .identity_count = 1};
		struct authz_decision b;
		authz_evaluate(&context, &s->who, &alone, &az, &b);
		r->permissions_boundary_decision_detail = arena_new(c->arena, struct iam_permissions_boundary_decision_detail);
		r->permissions_boundary_decision_detail->allowed_by_permissions_boundary = OPT_BOOL(b.result == AUTHZ_ALLOW);
	}
	r->missing_context_values = s->missing;
	if (!named)
		return;
	*LIST_ADD(c->arena, &r->resource_specific_results) = (struct iam_resource_specific_result){
	        .eval_resource_name = resource,
	        .eval_resource_decision = r->eval_decision,
	        .matched_statements = r->matched_statements,
	        .missing_context_values = r->missing_context_values,
	        .permissions_boundary_decision_detail = r->permissions_boundary_decision_detail};
}

static int simulate(struct simulation *s, const struct str_list *actions, const struct str_list *resources,
                    struct opt_int max_items, struct str marker, struct iam_evaluation_results_list_type *to,
                    struct opt_bool *ret_truncated, struct str *ret_marker)
{
	struct call *c = s->c;
	struct iam_page page;
	struct str any = S("*");
	struct str_list everything = {.v = &any, .n = 1};
	const struct str_list *over = resources->n ? resources : &everything;
	if (!iam_page_open(c, max_items, marker, &page))
		return CALL_FAIL;
	if ((uint64_t)actions->n * over->n > RESULTS_MAX)
		return call_fail(c, "InvalidInput", 400, "Too many actions and resources to simulate.");
	to->set = true;
	s->policies.identity = s->documents;
	for (uint32_t i = 0; i < actions->n; i++) {
		if (str_find_char(actions->v[i], ':') < 1)
			return call_fail(c, "InvalidInput", 400, "Invalid action name: %.*s", STR_ARG(actions->v[i]));
		for (uint32_t k = 0; k < over->n; k++) {
			bool skip;
			if (!iam_page_take(&page, arena_printf(c->arena, "%04u.%04u", i, k), &skip))
				break;
			if (skip)
				continue;
			simulate_one(s, actions->v[i], over->v[k], resources->n > 0, LIST_ADD(c->arena, to));
		}
	}
	iam_page_close(c, &page, ret_truncated, ret_marker);
	return CALL_OK;
}

/* "arn:aws:iam::ACCOUNT:user/x": whom the simulation takes for the caller. */
static bool set_caller(struct simulation *s, struct str arn)
{
	struct str account = s->c->account, path, name = S("simulated");
	if (str_set(arn) && !iam_arn_parse(arn, S("user"), &account, &path, &name)) {
		call_fail(s->c, "InvalidInput", 400, "Invalid caller ARN: %.*s", STR_ARG(arn));
		return false;
	}
	s->who = (struct principal){
	        .refs = 1,
	        .kind = PRINCIPAL_USER,
	        .account = account,
	        .name = name,
	        .user_id = S(""),
	        .arn = str_set(arn) ? arn : arena_printf(s->c->arena, "arn:aws:iam::%.*s:user/simulated", STR_ARG(account))};
	return true;
}

static bool set_rest(struct simulation *s, bool caller_known, struct str resource_policy, struct str owner,
                     const struct str_list *boundary)
{
	struct str rest = owner, account = STR_NONE;
	s->owner = s->who.account;
	s->resource_policy = resource_policy;
	for (int i = 0; i < 5 && str_set(rest); i++)
		account = str_cut(&rest, ':');
	if (str_set(owner))
		s->owner = account.n == 12 ? account : owner;
	if (str_set(resource_policy)) {
		struct str message;
		if (!caller_known) {
			call_fail(s->c, "InvalidInput", 400, "CallerArn is required when a resource policy is simulated.");
			return false;
		}
		struct policy *p = policy_parse(resource_policy, POLICY_RESOURCE, S("resource policy"), s->c->arena, &message);
		if (!p) {
			call_fail(s->c, "InvalidInput", 400, "Invalid resource policy: %.*s", STR_ARG(message));
			return false;
		}
		policy_free(p);
	}
	if (boundary->n) {
		s->policies.boundary = parse_input(s, boundary->v[0], "PermissionsBoundaryPolicyInputList", 0);
		return s->policies.boundary != NULL;
	}
	return true;
}

int iam_simulate_custom_policy(struct call *c, const struct iam_simulate_custom_policy_request *in,
                               struct iam_simulate_policy_response *out)
{
	struct simulation s = {.c = c, .context = &in->context_entries};
	int said = CALL_FAIL;
	if (set_caller(&s, in->caller_arn) && add_documents(&s, &in->policy_input_list, "PolicyInputList") &&
	    set_rest(&s, str_set(in->caller_arn), in->resource_policy, in->resource_owner,
	             &in->permissions_boundary_policy_input_list))
		said = simulate(&s, &in->action_names, &in->resource_arns, in->max_items, in->marker, &out->evaluation_results,
		                &out->is_truncated, &out->marker);
	simulation_done(&s);
	return said;
}

int iam_simulate_principal_policy(struct call *c, const struct iam_simulate_principal_policy_request *in,
                                  struct iam_simulate_policy_response *out)
{
	struct simulation s = {.c = c, .context = &in->context_entries};
	const struct iam_cached *e = source_entity(c, in->policy_source_arn);
	struct principal_policies has = {0};
	int said = CALL_FAIL;
	if (!e || !set_caller(&s, str_set(in->caller_arn) ? in->caller_arn : e->kind == IAM_USER ? e->arn : STR_NONE))
		return CALL_FAIL;
	iam_cached_policies(iam_of(c->cloud), e, &has);
	for (unsigned i = 0; i < has.identity_count && s.policies.identity_count < DOCUMENTS_MAX; i++)
		s.documents[s.policies.identity_count++] = has.identity[i];
	s.policies.boundary = has.boundary;
	if (add_documents(&s, &in->policy_input_list, "PolicyInputList") &&
	    set_rest(&s, str_set(in->caller_arn) || e->kind == IAM_USER, in->resource_policy, in->resource_owner,
	             &in->permissions_boundary_policy_input_list))
		said = simulate(&s, &in->action_names, &in->resource_arns, in->max_items, in->marker, &out->evaluation_results,
		                &out->is_truncated, &out->marker);
	simulation_done(&s);
	return said;
}

/* --- which keys policies ask for */

static bool keys_of(struct simulation *s, const struct str_list *documents, struct str_list *ret)
{
	s->policies.identity_count = 0;
	if (!add_documents(s, documents, "PolicyInputList"))
		return false;
	for (unsigned i = 0; i < s->policies.identity_count; i++)
		policy_context_keys(s->documents[i], s->c->arena, ret);
	return true;
}

int iam_get_context_keys_for_custom_policy(struct call *c, const struct iam_get_context_keys_for_custom_policy_request *in,
                                           struct iam_get_context_keys_for_policy_response *out)
{
	struct simulation s = {.c = c};
	out->context_key_names.set = true;
	bool ok = keys_of(&s, &in->policy_input_list, &out->context_key_names);
	simulation_done(&s);
	return ok ? CALL_OK : CALL_FAIL;
}

int iam_get_context_keys_for_principal_policy(struct call *c, const struct iam_get_context_keys_for_principal_policy_request *in,
                                              struct iam_get_context_keys_for_policy_response *out)
{
	struct simulation s = {.c = c};
	struct principal_policies has = {0};
	const struct iam_cached *e = source_entity(c, in->policy_source_arn);
	if (!e)
		return CALL_FAIL;
	out->context_key_names.set = true;
	iam_cached_policies(iam_of(c->cloud), e, &has);
	for (unsigned i = 0; i < has.identity_count; i++)
		policy_context_keys(has.identity[i], c->arena, &out->context_key_names);
	bool ok = keys_of(&s, &in->policy_input_list, &out->context_key_names);
	simulation_done(&s);
	return ok ? CALL_OK : CALL_FAIL;
}
