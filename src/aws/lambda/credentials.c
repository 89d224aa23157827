#include "aws/lambda/credentials.h"

#include "base/clock.h"
#include "base/log.h"
#include "gen/sts.h"

#include <stdlib.h>

struct credential_cache {
	struct map kept; /* role \0 function -> struct credentials */
};
struct credential_wait {
	struct lambda *lambda;
	struct arena arena;
	struct str key;
	credentials_fn *fn; /* NULL: forgotten */
	void *ctx;
};

struct credential_cache *credential_cache_new(void)
{
	struct credential_cache *c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	return c;
}

void credential_cache_free(struct credential_cache *c)
{
	if (!c)
		return;
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&c->kept, &at, &key, &value))
		credentials_unref(value);
	map_done(&c->kept);
	free(c);
}

void credential_cache_sweep(struct credential_cache *c)
{
	size_t at = 0;
	struct str key;
	void *value;
	int64_t now = clock_wall_ms();
	/* A removal may move another entry to where the walk has been: the next sweep finds it. */
	while (map_next(&c->kept, &at, &key, &value))
		if (((struct credentials *)value)->expires_ms <= now)
			credentials_unref(map_remove(&c->kept, key));
}

void credentials_unref(struct credentials *c)
{
	if (!c || --c->refs)
		return;
	if (c->principal)
		principal_unref(c->principal);
	arena_done(&c->arena);
	free(c);
}

static void assumed(void *ctx, struct call *sub)
{
	struct credential_wait *w = ctx;
	struct credentials *made = NULL;
	const struct sts_assume_role_response *out = sub->out;
	if (!str_set(sub->error.code) && out && out->credentials) {
		made = calloc(1, sizeof(*made));
		if (!made)
			abort();
		made->refs = 1;
		arena_init(&made->arena, 0);
		made->access_key = arena_dup(&made->arena, out->credentials->access_key_id);
		made->secret = arena_dup(&made->arena, out->credentials->secret_access_key);
		made->token = arena_dup(&made->arena, out->credentials->session_token);
		made->expires_ms = out->credentials->expiration.ms;
		struct identity_source *source = &w->lambda->cloud->identity;
		struct credential found = {0};
		if (source->find_key &&
		    source->find_key(source->ctx, made->access_key, made->token, clock_wall_ms(), &found) == KEY_GOOD)
			made->principal = found.principal;
		struct credentials *before = map_put(&w->lambda->credentials->kept, w->key, made);
		credentials_unref(before);
	} else if (str_set(sub->error.code) && sub->error.receiver) {
		log_warn("lambda: assuming a role: %.*s: %.*s", STR_ARG(sub->error.code), STR_ARG(sub->error.message));
	}
	if (w->fn)
		w->fn(w->ctx, made);
	arena_done(&w->arena);
	free(w);
}

static struct str cache_key(struct arena *a, struct str role, struct str function_name)
{
	return ARENA_CAT(a, role, str_of("", 1), function_name);
}

struct credential_wait *credentials_fetch(struct lambda *l, struct str account, struct str region, struct str role,
                                          struct str function_name, credentials_fn *fn, void *ctx)
{
	(void)account;
	struct credential_wait *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	w->lambda = l;
	w->fn = fn;
	w->ctx = ctx;
	arena_init(&w->arena, 0);
	w->key = cache_key(&w->arena, role, function_name);
	/* A session name has at least two characters. */
	struct str session = function_name.n >= 2 ? function_name : ARENA_CAT(&w->arena, function_name, S("@lambda_function"));
	struct sts_assume_role_request in = {
	        .role_arn = role,
	        .role_session_name = session,
	        .duration_seconds = OPT_INT(CREDENTIALS_LIFE_MS / 1000),
	};
	call_op(l->cloud, l->self, region, &sts_api, "AssumeRole", &in, assumed, w);
	return w;
}

void credentials_forget(struct credential_wait *w)
{
	if (w)
		w->fn = NULL;
}

struct credential_wait *credentials_get(struct lambda *l, struct str account, struct str region, struct str role,
                                        struct str function_name, int64_t life_ms, credentials_fn *fn, void *ctx)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct credentials *kept = map_get(&l->credentials->kept, cache_key(&a, role, function_name));
	if (kept && kept->expires_ms - clock_wall_ms() >= life_ms) {
		fn(ctx, kept);
		return NULL;
	}
	return credentials_fetch(l, account, region, role, function_name, fn, ctx);
}
