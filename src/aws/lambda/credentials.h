/* Temporary credentials of execution roles: fetched from STS as lambda.amazonaws.com (so the role's trust policy decides), kept per
 * role and function, renewed before they expire. Shared by all environments of a function, as the session name is the function's.
 *
 * A runtime finds them in variables, which cannot change while it runs: so an environment takes no invocation that might outlive
 * them, and a new environment has new ones. */
#pragma once
#include "aws/lambda/lambda.h"

struct credentials {
	unsigned refs;
	struct str access_key, secret, token;
	int64_t expires_ms;
	const struct principal *principal; /* NULL where the identity source does not know the key */
	struct arena arena;
};
void credentials_unref(struct credentials *c);

struct credential_wait;
/* NULL: the role cannot be assumed. The result is valid during the call: take a reference to keep it. */
typedef void credentials_fn(void *ctx, const struct credentials *credentials);
/* Assumes the role now, whatever is kept. fn comes later, from the loop, unless credentials_forget() is called before. */
struct credential_wait *credentials_fetch(struct lambda *l, struct str account, struct str region, struct str role,
                                          struct str function_name, credentials_fn *fn, void *ctx);
/* NULL is harmless. */
void credentials_forget(struct credential_wait *w);
/* Kept ones that live at least so long from now: at once, from inside the call; returns NULL then. */
struct credential_wait *credentials_get(struct lambda *l, struct str account, struct str region, struct str role,
                                        struct str function_name, int64_t life_ms, credentials_fn *fn, void *ctx);
enum {
	CREDENTIALS_LIFE_MS = 3600 * 1000, /* of new ones */
	CREDENTIALS_LEFT_MS = 60 * 1000,   /* what an invocation leaves of them when it runs to its time limit */
};
/* Forgets those that have expired. */
void credential_cache_sweep(struct credential_cache *c);

struct credential_cache *credential_cache_new(void);
void credential_cache_free(struct credential_cache *c);
