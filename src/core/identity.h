/* Who calls: principals, and where credentials and policies come from.
 *
 * Core knows how to verify a signature (sigv4.h) and how to evaluate policies (policy.h); which keys exist and which policies hold
 * for whom is IAM's and STS's business, reached through the vtable below, which the api role fills in from aws/iam. */
#pragma once
#include "base/arena.h"
#include "model/model.h"

enum principal_kind {
	PRINCIPAL_ANONYMOUS,
	PRINCIPAL_ROOT,
	PRINCIPAL_USER,
	PRINCIPAL_ROLE,      /* an assumed role's session */
	PRINCIPAL_FEDERATED, /* GetFederationToken */
	PRINCIPAL_SERVICE,   /* one of our own services: lambda.amazonaws.com */
};

/* Immutable once made; counted, because calls hold it while IAM's records change under them. */
struct principal {
	unsigned refs;
	enum principal_kind kind;
	struct str account;               /* 12 digits */
	struct str arn;                   /* arn:aws:iam::A:user/x, arn:aws:sts::A:assumed-role/R/S, arn:aws:iam::A:root */
	struct str user_id;               /* AIDA..., AROA...:session, or the account id for root */
	struct str name;                  /* user name, session name or service name */
	struct str access_key_id;         /* absent for internal callers */
	struct str issuer_arn;            /* role session: the role's ARN; session token of a user: the user's ARN */
	struct str issuer_id;             /* AROA... */
	struct str_map tags;              /* principal tags: user's or role's, overlaid by session tags */
	struct str session_policy;        /* the one given inline, as JSON; absent: none */
	struct str_list session_policies; /* ARNs of managed policies that limit the session as well */
	int64_t issued_ms, expires_ms;    /* temporary credentials; 0: long-term */
	bool temporary;
	struct str source_identity;
	struct arena arena; /* where all of the above lies */
};
/* A principal with one reference; account is copied into its arena, where the maker puts all else, and for roots ARN and id are
 * made. */
struct principal *principal_new(enum principal_kind kind, struct str account);
const struct principal *principal_ref(const struct principal *p);
void principal_unref(const struct principal *p);

enum key_state { KEY_UNKNOWN, KEY_INACTIVE, KEY_EXPIRED, KEY_BAD_TOKEN, KEY_GOOD };
struct credential {
	struct str secret;                 /* lives in the principal's arena or for ever */
	const struct principal *principal; /* a reference that the caller gives back */
	bool well_known;                   /* the published test/test pair: not for sandboxes, nor for web pages from elsewhere */
};

/* Policies that hold for a principal, compiled (policy.h); owned by IAM's cache, valid until the loop's next round. */
struct policy;
struct principal_policies {
	const struct policy *const *identity;
	unsigned identity_count;
	const struct policy *boundary;       /* NULL: none */
	const struct policy *const *session; /* one of them must allow; none: no restriction */
	unsigned session_count;
};

struct identity_source {
	void *ctx;
	enum key_state (*find_key)(void *ctx, struct str access_key_id, struct str token, int64_t now_ms, struct credential *ret);
	void (*policies)(void *ctx, const struct principal *p, struct principal_policies *ret);
	/* A request of p was signed rightly, for this service in this region. NULL: nobody wants to know. */
	void (*used)(void *ctx, const struct principal *p, struct str service, struct str region, int64_t now_ms);
};
