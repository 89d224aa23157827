#include "session.h"

#include "base/clock.h"
#include "gen/sts.h"

#include <stdlib.h>

enum { NAME_MOST = 64 };

struct session_wait {
	struct crew *crew;
	session_fn *fn; /* NULL: forgotten */
	void *ctx;
};

static struct session *make(struct cloud *cloud, const struct sts_assume_role_response *out)
{
	struct credential found = {0};
	struct identity_source *source = &cloud->identity;
	if (!out || !out->credentials || !source->find_key ||
	    source->find_key(source->ctx, out->credentials->access_key_id, out->credentials->session_token, clock_wall_ms(),
	                     &found) != KEY_GOOD)
		return NULL;
	struct session *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->access_key = arena_dup(&s->arena, out->credentials->access_key_id);
	s->secret = arena_dup(&s->arena, out->credentials->secret_access_key);
	s->token = arena_dup(&s->arena, out->credentials->session_token);
	s->expires_ms = out->credentials->expiration.ms;
	s->principal = found.principal;
	return s;
}

static void assumed(void *ctx, struct call *sub)
{
	struct session_wait *w = ctx;
	if (w->fn)
		w->fn(w->ctx, str_set(sub->error.code) ? NULL : make(w->crew->cloud, sub->out), sub->error.code,
		      sub->error.message);
	free(w);
}

struct session_wait *session_get(struct crew *crew, struct str region, struct str role, struct str task_id, session_fn *fn,
                                 void *ctx)
{
	struct session_wait *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	*w = (struct session_wait){crew, fn, ctx};
	struct sts_assume_role_request in = {.role_arn = role, .role_session_name = str_sub(task_id, 0, NAME_MOST)};
	call_op(crew->cloud, crew->self, region, &sts_api, "AssumeRole", &in, assumed, w);
	return w;
}

void session_forget(struct session_wait *w)
{
	if (w)
		w->fn = NULL;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	principal_unref(s->principal);
	arena_done(&s->arena);
	free(s);
}
