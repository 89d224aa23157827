/* What a task's containers ask at 169.254.170.2: metadata (versions 3 and 4), credentials of the task's role, protection from being
 * scaled in. Private to aws/ecs. */
#pragma once
#include "crew.h"

struct metadata;
/* Serves the engine's socket inside the task; the socket stays the engine's. NULL: it cannot be served. */
struct metadata *metadata_open(struct duty *i, int listener_fd);
void metadata_close(struct metadata *m); /* NULL is harmless */

/* What is asked in the name of the task's role: fn comes once, later or at once, unless the request is gone before. s NULL: why
 * says why there is none, and status what to answer. */
struct session;
typedef void metadata_session_fn(struct metadata *m, struct http_request *r, void *ctx, const struct session *s, unsigned status,
                                 struct str why);
void metadata_with_session(struct metadata *m, struct http_request *r, metadata_session_fn *fn, void *ctx);
struct duty *metadata_duty(struct metadata *m);
/* metadata_protection.c: $ECS_AGENT_URI/task-protection/v1/state. */
void metadata_protection(struct metadata *m, struct http_request *r);

/* metadata_text.c: the JSON of a container, of the task. tags: the task's too. */
struct metadata_facts {
	struct arena *arena;
	const struct duty *duty;
	const struct state_ecs_task_record *record;
	const struct ec2_lent *lent; /* NULL: its interface is gone */
};
struct str metadata_container(const struct metadata_facts *f, uint32_t index);
struct str metadata_task(const struct metadata_facts *f, bool tags);
/* metadata_stats.c: what a container uses, as Docker says it; null until that is known. All: by their ids. */
struct str metadata_stats(const struct metadata_facts *f, uint32_t index);
struct str metadata_all_stats(const struct metadata_facts *f);
