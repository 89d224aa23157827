/* Policy documents: IAM's JSON language, compiled once and evaluated many times.
 *
 * policy_parse() checks a document as AWS does when it is attached, and makes a compiled form that owns its memory. policy_eval()
 * asks one compiled document about one request; how the answers of several documents make a decision is authz.c's business. Values
 * of condition keys come through a callback, only when a policy asks for them. Used by the gate (through authz), IAM, STS, S3,
 * Lambda and whoever else keeps resource policies. */
#pragma once
#include "core/identity.h"

enum policy_kind {
	POLICY_IDENTITY, /* attached to a user, group or role, a boundary or a session policy: no Principal */
	POLICY_MANAGED,  /* the same as it is made a managed policy, which has to be of the newer version */
	POLICY_RESOURCE, /* of a resource: Principal needed */
	POLICY_TRUST,    /* a role's trust policy: Principal needed, no Resource */
};
enum { POLICY_BYTES_MAX = 131072 };

struct policy;
/* name: how decisions call it ("inline policy p of user u"), copied. NULL: not a policy; *ret_message gets AWS's sentence for
 * MalformedPolicyDocument, in the arena. */
struct policy *policy_parse(struct str json, enum policy_kind kind, struct str name, struct arena *a, struct str *ret_message);
void policy_free(struct policy *p); /* NULL is harmless */
struct str policy_name(const struct policy *p);

/* Finds the values of a condition key, compared without case ("aws:SourceIp"). False: the request has no such key. */
typedef bool policy_key_fn(void *ctx, struct str key, struct str_list *ret);

struct policy_request {
	struct str action, resource;
	const struct principal *who; /* for Principal elements; NULL: only identity policies are asked */
	policy_key_fn *key;
	void *ctx;
	struct arena *arena; /* scratch */
	bool public_blocked; /* Allows that anybody could use do not count */
};

enum policy_effect { POLICY_SILENT, POLICY_ALLOW, POLICY_DENY };
/* Whom an Allow of a resource policy names, weakest first. */
enum policy_grant {
	GRANT_NONE,
	GRANT_ACCOUNT, /* the caller's account: its own policies have to allow too */
	GRANT_ROLE,    /* the session's role, or everybody: still limited by boundary and session policies */
	GRANT_DIRECT,  /* the very user or session */
};
struct policy_answer {
	enum policy_effect effect;
	enum policy_grant grant; /* strongest, where effect is POLICY_ALLOW */
	struct str sid;          /* the statement that decided; "" when it has none */
	unsigned statement;      /* its number, from 0 */
};
void policy_eval(const struct policy *p, const struct policy_request *q, struct policy_answer *ret);

/* Every statement with this effect that holds for the request, by its number; for showing why. */
typedef void policy_statement_fn(void *ctx, const struct policy *p, unsigned statement);
void policy_each_holding(const struct policy *p, const struct policy_request *q, enum policy_effect effect, policy_statement_fn *fn,
                         void *ctx);
/* Where a statement stands in its document, as simulations say it: it begins right behind the bracket or comma before it. Lines and
 * columns count from 1. */
struct policy_place {
	uint32_t line, column;
};
void policy_statement_places(const struct policy *p, unsigned statement, struct policy_place *ret_begins,
                             struct policy_place *ret_ends);

/* Does some Allow hold for anybody at all (S3's meaning: everybody named, and no condition that ties it to fixed networks, accounts
 * or sources)? */
bool policy_is_public(const struct policy *p);
/* Every condition key and variable that the document mentions, each once, as it spells them. */
void policy_context_keys(const struct policy *p, struct arena *a, struct str_list *ret);
/* Characters that count against the limits of policies: all but white space. */
size_t policy_length(struct str json);
/* Each Principal of a trust or resource policy, as "AWS" and "arn:..."; for checking that they exist. */
typedef bool policy_principal_fn(void *ctx, struct str type, struct str value);
/* Stops and returns false when fn does. */
bool policy_each_principal(const struct policy *p, policy_principal_fn *fn, void *ctx);
