/* One question of permission: may this caller do this action on this resource, here and now? Answered by policy evaluation in
 * authz.c, with AWS's order: explicit deny, resource policy, identity policies, boundary, session policies. */
#pragma once
#include "core/call.h"

struct authz_key {
	struct str name;
	struct str_list values;
}; /* condition context: s3:prefix, iam:PassedToService */

struct authz {
	struct str action;           /* "s3:GetObject" */
	struct str resource;         /* ARN; "*" where the action has none */
	struct str called;           /* how a denial names the resource where that is not its ARN: "role worker" */
	struct str resource_account; /* who owns it; absent: the call's account */
	struct str resource_policy;  /* the resource's own policy document; absent: none */
	bool policy_must_allow; /* role trust and KMS key policies: the resource policy itself has to allow, in one account too */
	bool granted;           /* the resource's owner gave this very caller the action apart from any policy: grants of KMS */
	bool policy_public_blocked; /* S3's public access block: grants to everybody in the resource policy do not count */
	struct authz_key *keys;
	unsigned key_count;
};
/* Adds a condition key to the context (aws:* global ones are there already; resource tags as aws:ResourceTag/x). */
void authz_add(struct call *c, struct authz *az, const char *name, struct str value);
/* Adds aws:ResourceTag/<key> for every tag. */
void authz_add_tags(struct call *c, struct authz *az, const char *prefix, const struct str_map *tags);

/* What a decision was and why, kept for `quartet why`. */
enum authz_result {
	AUTHZ_ALLOW,
	AUTHZ_DENY_EXPLICIT,
	AUTHZ_DENY_IDENTITY,
	AUTHZ_DENY_BOUNDARY,
	AUTHZ_DENY_SESSION,
	AUTHZ_DENY_RESOURCE,
	AUTHZ_DENY_ENDPOINT
};
enum authz_layer {
	AUTHZ_LAYER_NONE,
	AUTHZ_LAYER_IDENTITY,
	AUTHZ_LAYER_BOUNDARY,
	AUTHZ_LAYER_SESSION,
	AUTHZ_LAYER_RESOURCE,
	AUTHZ_LAYER_ENDPOINT
};
struct authz_decision {
	enum authz_result result;
	enum authz_layer layer;      /* where the deciding document was found; none: nothing had to be asked */
	struct str by;               /* the policy and statement that decided: "inline policy p of role r, statement Sid" */
	const struct policy *policy; /* the deciding document; NULL: none did (valid as long as the documents are) */
	unsigned statement;
};
/* What a decision is made from besides the question itself: where values of condition keys come from, and scratch memory. */
struct authz_context {
	struct arena *arena;
	bool (*key)(void *ctx, struct str key, struct str_list *ret); /* policy_key_fn */
	void *ctx;
};
/* The pure evaluation: nothing is looked at but what is given. For IAM's simulation and for tests. */
void authz_evaluate(const struct authz_context *context, const struct principal *who, const struct principal_policies *policies,
                    const struct authz *az, struct authz_decision *ret);
/* What was allowed and came through a VPC endpoint has to be allowed by its policy too: changes *ret where it is not. */
void authz_at_endpoint(const struct authz_context *context, const struct principal *who, const struct authz *az, struct str policy,
                       struct authz_decision *ret);
/* The same with the context of a call: az's own keys and the global aws: ones. For the gate. */
void authz_decide(struct call *c, const struct principal *who, const struct principal_policies *policies, const struct authz *az,
                  struct authz_decision *ret);
/* AWS's words for a denial. */
struct str authz_message(struct arena *a, const struct principal *who, const struct authz *az, const struct authz_decision *d);
