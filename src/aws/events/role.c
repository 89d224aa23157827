#include "send.h"

#include "base/clock.h"
#include "base/log.h"
#include "gen/sts.h"

#include <stdlib.h>

enum { LIFE_S = 3600, LEFT_MS = 60000, KEPT_MAX = 1000 };

struct events_roles {
	struct cloud *cloud;
	struct map kept; /* service and role -> struct session */
};
/* What AssumeRole gave. Who that is is asked anew at each use: a role that was deleted, and perhaps made again, has no sessions. */
struct session {
	struct arena arena;
	struct str key_id, token;
};
struct asking {
	struct events_roles *roles;
	struct arena arena;
	struct str key;
	role_fn *fn;
	void *ctx;
};

static void forget(struct session *s)
{
	if (s)
		arena_done(&s->arena);
	free(s);
}

static void forget_all(struct events_roles *r)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&r->kept, &at, &key, &value))
		forget(value);
	map_done(&r->kept);
	r->kept = (struct map){0};
}

struct events_roles *events_roles_new(struct cloud *cloud)
{
	struct events_roles *r = calloc(1, sizeof(*r));
	if (!r)
		die("out of memory (events)");
	r->cloud = cloud;
	return r;
}

void events_roles_free(struct events_roles *r)
{
	if (r)
		forget_all(r);
	free(r);
}

/* Whose session it is, as a reference; NULL: nobody's any more. */
static const struct principal *whose(const struct events_roles *r, struct str key_id, struct str token)
{
	const struct identity_source *source = &r->cloud->identity;
	struct credential found = {0};
	bool good = source->find_key && source->find_key(source->ctx, key_id, token, clock_wall_ms(), &found) == KEY_GOOD;
	return good ? found.principal : NULL;
}

static void keep(struct events_roles *r, struct str key, const struct sts_credentials *from)
{
	struct session *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (events)");
	s->key_id = arena_dup(&s->arena, from->access_key_id);
	s->token = arena_dup(&s->arena, from->session_token);
	if (r->kept.count >= KEPT_MAX)
		forget_all(r);
	forget(map_put(&r->kept, key, s));
}

static void assumed(void *ctx, struct call *sub)
{
	struct asking *q = ctx;
	const struct sts_assume_role_response *out = sub->out;
	const struct principal *as = NULL;
	if (!str_set(sub->error.code) && out->credentials)
		as = whose(q->roles, out->credentials->access_key_id, out->credentials->session_token);
	if (as)
		keep(q->roles, q->key, out->credentials);
	q->fn(q->ctx, as);
	if (as)
		principal_unref(as);
	arena_done(&q->arena);
	free(q);
}

void events_roles_get(struct events_roles *r, struct str region, struct str role, struct str service, role_fn *fn, void *ctx)
{
	struct asking *q = calloc(1, sizeof(*q));
	if (!q)
		die("out of memory (events)");
	*q = (struct asking){.roles = r, .fn = fn, .ctx = ctx};
	q->key = ARENA_CAT(&q->arena, service, str_of("", 1), role);
	const struct session *session = map_get(&r->kept, q->key);
	const struct principal *kept = session ? whose(r, session->key_id, session->token) : NULL;
	if (kept && kept->expires_ms - clock_wall_ms() >= LEFT_MS) {
		fn(ctx, kept);
		principal_unref(kept);
		arena_done(&q->arena);
		free(q);
		return;
	}
	if (kept)
		principal_unref(kept);
	struct principal *self = principal_new(PRINCIPAL_SERVICE, S("000000000000"));
	struct sts_assume_role_request in = {.role_arn = role,
	                                     .role_session_name = str_sub(service, 0, (size_t)str_find_char(service, '.')),
	                                     .duration_seconds = OPT_INT(LIFE_S)};
	self->name = self->arn = self->user_id = arena_dup(&self->arena, service);
	call_op(r->cloud, self, region, &sts_api, "AssumeRole", &in, assumed, q);
	principal_unref(self);
}
