/* Decisions, in AWS's order.
 *
 * A Deny anywhere ends it. Then, within one account, a resource policy that names the caller itself is enough; one that names the
 * caller's role stands in for the identity policies but is limited by boundary and session policies; one that names the account
 * only lets identity policies decide. Across accounts both sides have to allow. The root user needs no identity policy. */
#include "core/authz.h"

#include "base/map.h"
#include "core/policy.h"

struct evaluation {
	const struct principal *who;
	const struct principal_policies *policies;
	const struct authz *az;
	struct policy_request request;
	struct authz_decision decision;
};

static void decided(struct evaluation *e, enum authz_result result, enum authz_layer layer, const struct policy *p,
                    const struct policy_answer *answer)
{
	e->decision.result = result;
	e->decision.layer = layer;
	e->decision.policy = p;
	if (!p)
		return;
	struct arena *a = e->request.arena;
	e->decision.statement = answer->statement;
	e->decision.by = answer->sid.n ? arena_printf(a, "%.*s, statement %.*s", STR_ARG(policy_name(p)), STR_ARG(answer->sid))
	                               : arena_printf(a, "%.*s, statement %u", STR_ARG(policy_name(p)), answer->statement + 1);
}

/* --- resource policies: compiled at their first use and kept, found again by their text */

enum { KEPT_MAX = 512 };

static const struct policy *resource_policy(struct arena *a, struct str json)
{
	static struct map kept;
	struct policy *p = map_get(&kept, json);
	if (p)
		return p;
	struct str message;
	p = policy_parse(json, POLICY_RESOURCE, S("resource policy"), a, &message);
	if (!p)
		return NULL; /* services check documents before they store them; a bad one allows nothing */
	if (kept.count >= KEPT_MAX) {
		size_t at = 0;
		struct str key;
		void *old;
		while (map_next(&kept, &at, &key, &old))
			policy_free(old);
		map_done(&kept);
		kept = (struct map){0};
	}
	map_put(&kept, json, p);
	return p;
}

/* --- one layer: several documents, of which a Deny wins and else one Allow is enough */

struct layer {
	const struct policy *by;
	struct policy_answer answer;
};

static void ask(const struct evaluation *e, const struct policy *const *documents, unsigned count, struct layer *ret)
{
	*ret = (struct layer){0};
	for (unsigned i = 0; i < count; i++) {
		struct policy_answer answer;
		policy_eval(documents[i], &e->request, &answer);
		if (answer.effect == POLICY_SILENT || (answer.effect == POLICY_ALLOW && ret->answer.effect == POLICY_ALLOW))
			continue;
		ret->by = documents[i];
		ret->answer = answer;
		if (answer.effect == POLICY_DENY)
			return;
	}
}

static bool denied(struct evaluation *e, const struct layer *l, enum authz_layer layer)
{
	if (l->answer.effect != POLICY_DENY)
		return false;
	decided(e, AUTHZ_DENY_EXPLICIT, layer, l->by, &l->answer);
	return true;
}

/* The session of GetFederationToken has no powers but those that its session policies give. */
static bool session_allows(const struct evaluation *e, const struct layer *session)
{
	if (e->policies->session_count == 0)
		return e->who->kind != PRINCIPAL_FEDERATED;
	return session->answer.effect == POLICY_ALLOW;
}

static void evaluate(struct evaluation *e, const struct policy *resource)
{
	const struct principal_policies *given = e->policies;
	const struct principal *who = e->who;
	struct layer identity, boundary, session, named;
	ask(e, given->identity, given->identity_count, &identity);
	ask(e, &given->boundary, given->boundary != NULL, &boundary);
	ask(e, given->session, given->session_count, &session);
	ask(e, &resource, resource != NULL, &named);
	if (denied(e, &identity, AUTHZ_LAYER_IDENTITY) || denied(e, &boundary, AUTHZ_LAYER_BOUNDARY) ||
	    denied(e, &session, AUTHZ_LAYER_SESSION) || denied(e, &named, AUTHZ_LAYER_RESOURCE))
		return;
	enum policy_grant grant = e->az->granted                        ? GRANT_DIRECT
	                          : named.answer.effect == POLICY_ALLOW ? named.answer.grant
	                                                                : GRANT_NONE;
	if (who->kind == PRINCIPAL_ANONYMOUS || who->kind == PRINCIPAL_SERVICE) {
		decided(e, grant == GRANT_NONE ? AUTHZ_DENY_RESOURCE : AUTHZ_ALLOW, AUTHZ_LAYER_RESOURCE, named.by, &named.answer);
		return;
	}
	bool same = !str_set(e->az->resource_account) || str_eq(e->az->resource_account, who->account);
	if (same && grant == GRANT_DIRECT) {
		decided(e, AUTHZ_ALLOW, AUTHZ_LAYER_RESOURCE, named.by, &named.answer);
		return;
	}
	if (same && e->az->policy_must_allow && grant == GRANT_NONE) {
		decided(e, AUTHZ_DENY_RESOURCE, AUTHZ_LAYER_RESOURCE, NULL, NULL);
		return;
	}
	bool by_resource = same && grant == GRANT_ROLE;
	bool by_identity = identity.answer.effect == POLICY_ALLOW || who->kind == PRINCIPAL_ROOT;
	if (!by_resource && !by_identity) {
		decided(e, AUTHZ_DENY_IDENTITY, AUTHZ_LAYER_IDENTITY, NULL, NULL);
		return;
	}
	if (given->boundary && boundary.answer.effect != POLICY_ALLOW) {
		decided(e, AUTHZ_DENY_BOUNDARY, AUTHZ_LAYER_BOUNDARY, NULL, NULL);
		return;
	}
	if (!session_allows(e, &session)) {
		decided(e, AUTHZ_DENY_SESSION, AUTHZ_LAYER_SESSION, NULL, NULL);
		return;
	}
	if (!same && grant == GRANT_NONE) {
		decided(e, AUTHZ_DENY_RESOURCE, AUTHZ_LAYER_RESOURCE, NULL, NULL);
		return;
	}
	if (by_resource)
		decided(e, AUTHZ_ALLOW, AUTHZ_LAYER_RESOURCE, named.by, &named.answer);
	else
		decided(e, AUTHZ_ALLOW, AUTHZ_LAYER_IDENTITY, identity.by, &identity.answer);
}

void authz_evaluate(const struct authz_context *context, const struct principal *who, const struct principal_policies *policies,
                    const struct authz *az, struct authz_decision *ret)
{
	/* The commonest caller of a cloud on one's own machine costs nothing. */
	if (who->kind == PRINCIPAL_ROOT && !str_set(az->resource_policy) && !az->policy_must_allow &&
	    policies->session_count == 0 && (!str_set(az->resource_account) || str_eq(az->resource_account, who->account))) {
		*ret = (struct authz_decision){.result = AUTHZ_ALLOW, .by = S("the account's root user")};
		return;
	}
	struct evaluation e = {
	        .who = who,
	        .policies = policies,
	        .az = az,
	        .request = {.action = az->action,
	                    .resource = az->resource,
	                    .who = who,
	                    .key = context->key,
	                    .ctx = context->ctx,
	                    .arena = context->arena,
	                    .public_blocked = az->policy_public_blocked},
	        .decision = {.by = S("")},
	};
	evaluate(&e, str_set(az->resource_policy) ? resource_policy(context->arena, az->resource_policy) : NULL);
	*ret = e.decision;
}

void authz_at_endpoint(const struct authz_context *context, const struct principal *who, const struct authz *az, struct str policy,
                       struct authz_decision *ret)
{
	struct evaluation e = {.request = {.action = az->action,
	                                   .resource = az->resource,
	                                   .who = who,
	                                   .key = context->key,
	                                   .ctx = context->ctx,
	                                   .arena = context->arena},
	                       .decision = {.by = S("")}};
	const struct policy *p = resource_policy(context->arena, policy);
	struct layer said;
	ask(&e, &p, p != NULL, &said);
	if (said.answer.effect == POLICY_ALLOW)
		return;
	if (!denied(&e, &said, AUTHZ_LAYER_ENDPOINT))
		decided(&e, AUTHZ_DENY_ENDPOINT, AUTHZ_LAYER_ENDPOINT, NULL, NULL);
	*ret = e.decision;
}

struct str authz_message(struct arena *a, const struct principal *who, const struct authz *az, const struct authz_decision *d)
{
	static const char *const denied_in[] = {
	        [AUTHZ_LAYER_NONE] = "an identity-based policy",    [AUTHZ_LAYER_IDENTITY] = "an identity-based policy",
	        [AUTHZ_LAYER_BOUNDARY] = "a permissions boundary",  [AUTHZ_LAYER_SESSION] = "a session policy",
	        [AUTHZ_LAYER_RESOURCE] = "a resource-based policy", [AUTHZ_LAYER_ENDPOINT] = "a VPC endpoint policy",
	};
	static const char *const silent[] = {
	        [AUTHZ_DENY_IDENTITY] = "identity-based policy", [AUTHZ_DENY_BOUNDARY] = "permissions boundary",
	        [AUTHZ_DENY_SESSION] = "session policy",         [AUTHZ_DENY_RESOURCE] = "resource-based policy",
	        [AUTHZ_DENY_ENDPOINT] = "VPC endpoint policy",
	};
	struct str caller = who->kind == PRINCIPAL_ANONYMOUS ? S("anonymous") : str_set(who->arn) ? who->arn : who->name;
	struct str head = arena_printf(a, "User: %.*s is not authorized to perform: %.*s on resource: %.*s", STR_ARG(caller),
	                               STR_ARG(az->action), STR_ARG(str_set(az->called) ? az->called : az->resource));
	/* Of roles and those who would assume them, STS does not say why. */
	if (str_starts(az->action, S("sts:AssumeRole")) || str_is(az->action, "sts:TagSession") ||
	    str_is(az->action, "sts:SetSourceIdentity"))
		return head;
	if (d->result == AUTHZ_DENY_EXPLICIT)
		return arena_printf(a, "%.*s with an explicit deny in %s", STR_ARG(head), denied_in[d->layer]);
	if (d->result == AUTHZ_ALLOW)
		return head;
	return arena_printf(a, "%.*s because no %s allows the %.*s action", STR_ARG(head), silent[d->result], STR_ARG(az->action));
}
