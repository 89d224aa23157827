/* Sessions of tasks' roles: AssumeRole as ecs-tasks.amazonaws.com, so the role's trust policy decides. Private to aws/ecs. */
#pragma once
#include "crew.h"

struct session {
	struct str access_key, secret, token;
	int64_t expires_ms;
	const struct principal *principal;
	struct arena arena;
};
struct session_wait;
/* NULL: the role cannot be assumed; else the callee's, to be freed. */
typedef void session_fn(void *ctx, struct session *s, struct str code, struct str message);
/* fn comes once, later, unless session_forget() comes before. */
struct session_wait *session_get(struct crew *crew, struct str region, struct str role, struct str task_id, session_fn *fn,
                                 void *ctx);
void session_forget(struct session_wait *w); /* NULL is harmless */
void session_free(struct session *s);        /* NULL is harmless */
