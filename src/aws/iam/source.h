/* What the process keeps of IAM in memory: who has which key, and which compiled policies hold for whom. For src/aws/iam alone. */
#pragma once
#include "aws/iam/entity.h"
#include "base/map.h"

/* An entity as read from the store, with its policies compiled at the first question. Dropped when anything of its account changes.
 */
struct iam_cached {
	struct arena arena;
	enum iam_kind kind;
	struct str account, arn;
	struct state_iam_entity_record record;
	bool compiled;
	struct policy **own; /* inline ones, freed with this */
	unsigned own_count;
	const struct policy **identity; /* all that hold: own, managed, and those of a user's groups */
	unsigned identity_count;
	const struct policy *boundary;
};

struct iam {
	struct cloud *cloud;
	bool well_known;
	struct map fixed;    /* root keys: id -> struct fixed_key */
	struct map known;    /* root users of the well-known pair: account -> struct principal */
	struct map keys;     /* access keys of users: id -> struct iam_key */
	struct map sessions; /* temporary credentials: id -> struct iam_session */
	size_t sessions_sweep_at;
	int64_t sessions_swept_ms;
	struct map accounts; /* account -> struct iam_account */
	struct map uses;     /* key or role id -> struct iam_use */
	bool uses_dirty;
	struct loop_timer *flush;
	unsigned char seal[32];
	struct arena seal_arena;
	struct store_watch *watch;
};
struct iam *iam_of(const struct cloud *cloud);

/* cache.c. Valid until the loop's next round. NULL: there is none. */
const struct iam_cached *iam_cached_entity(struct iam *iam, struct str account, enum iam_kind kind, struct str name);
void iam_cached_policies(struct iam *iam, const struct iam_cached *e, struct principal_policies *ret);
const struct policy *iam_cached_managed(struct iam *iam, struct str account, struct str arn);
/* A document that denies all, in the place of one that cannot be had any more. */
const struct policy *iam_policy_of_nothing(void);
/* Everything of the account. */
void iam_cache_drop(struct iam *iam, struct str account);
void iam_cache_done(struct iam *iam);

/* session.c: sealing, and principals of temporary credentials. */
void iam_seal_open(struct iam *iam);
void iam_session_secret(struct iam *iam, struct str key_id, char ret[static 41]);
enum key_state iam_session_find(struct iam *iam, struct str key_id, struct str token, int64_t now_ms, struct credential *ret);
/* The session policies of a principal with temporary credentials. */
void iam_session_policies(struct iam *iam, const struct principal *p, struct principal_policies *ret);
void iam_sessions_drop(struct iam *iam, struct str account); /* absent: all */
