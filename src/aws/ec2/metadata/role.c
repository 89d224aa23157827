#include "aws/ec2/metadata/role.h"

#include "aws/iam/iam.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "core/call.h"
#include "gen/sts.h"

#include <stdlib.h>

enum { LIFE_S = 6 * 3600, LEFT_MS = 5 * 60 * 1000, KEPT_SWEEP = 256 };

struct kept {
	struct role_credentials credentials;
	struct arena arena;
};
struct roles {
	struct cloud *cloud;
	const struct principal *self;
	struct map kept; /* role \0 instance -> struct kept */
};
struct role_wait {
	struct roles *roles;
	struct arena arena;
	struct str key;
	role_fn *fn; /* NULL: forgotten */
	void *ctx;
};

static void kept_free(struct kept *k)
{
	if (!k)
		return;
	arena_done(&k->arena);
	free(k);
}

struct roles *roles_new(struct cloud *cloud)
{
	struct roles *r = calloc(1, sizeof(*r));
	if (!r)
		abort();
	r->cloud = cloud;
	struct principal *self = principal_new(PRINCIPAL_SERVICE, S("000000000000"));
	self->name = self->arn = self->user_id = S("ec2.amazonaws.com");
	r->self = self;
	return r;
}

void roles_free(struct roles *r)
{
	if (!r)
		return;
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&r->kept, &at, &key, &value))
		kept_free(value);
	map_done(&r->kept);
	principal_unref(r->self);
	free(r);
}

/* A removal may move another entry to where the walk has been: the next sweep finds it. */
static void sweep(struct roles *r)
{
	size_t at = 0;
	struct str key;
	void *value;
	int64_t now = clock_wall_ms();
	while (map_next(&r->kept, &at, &key, &value))
		if (((struct kept *)value)->credentials.expires_ms <= now)
			kept_free(map_remove(&r->kept, key));
}

static void assumed(void *ctx, struct call *sub)
{
	struct role_wait *w = ctx;
	const struct sts_assume_role_response *out = sub->out;
	struct role_credentials failed = {0}, *result = &failed;
	if (!str_set(sub->error.code) && out && out->credentials) {
		struct kept *k = calloc(1, sizeof(*k));
		if (!k)
			abort();
		k->credentials = (struct role_credentials){.good = true,
		                                           .access_key = arena_dup(&k->arena, out->credentials->access_key_id),
		                                           .secret = arena_dup(&k->arena, out->credentials->secret_access_key),
		                                           .token = arena_dup(&k->arena, out->credentials->session_token),
		                                           .issued_ms = clock_wall_ms(),
		                                           .expires_ms = out->credentials->expiration.ms};
		sweep(w->roles);
		kept_free(map_put(&w->roles->kept, w->key, k));
		result = &k->credentials;
	} else if (str_set(sub->error.code) && sub->error.receiver) {
		log_warn("ec2: assuming a role: %.*s: %.*s", STR_ARG(sub->error.code), STR_ARG(sub->error.message));
	}
	if (w->fn)
		w->fn(w->ctx, result);
	arena_done(&w->arena);
	free(w);
}

struct role_wait *role_get(struct roles *r, struct str region, struct str role_arn, struct str instance_id, role_fn *fn, void *ctx)
{
	struct role_wait *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	*w = (struct role_wait){.roles = r, .fn = fn, .ctx = ctx};
	w->key = ARENA_CAT(&w->arena, role_arn, str_of("", 1), instance_id);
	struct kept *kept = map_get(&r->kept, w->key);
	if (kept && kept->credentials.expires_ms - clock_wall_ms() > LEFT_MS) {
		arena_done(&w->arena);
		free(w);
		fn(ctx, &kept->credentials);
		return NULL;
	}
	struct iam_role_view role;
	int64_t life_s = iam_find_role(r->cloud, role_arn, &role) && role.max_session_s < LIFE_S ? role.max_session_s : LIFE_S;
	struct sts_assume_role_request in = {
	        .role_arn = role_arn, .role_session_name = instance_id, .duration_seconds = OPT_INT(life_s)};
	call_op(r->cloud, r->self, region, &sts_api, "AssumeRole", &in, assumed, w);
	return w;
}

void role_forget(struct role_wait *w)
{
	if (w)
		w->fn = NULL;
}
