/* The memory of this machine that Fargate's tasks are given. A task counts from the commit of its record on (crew.c), and before
 * that with the call that makes it: of two calls at the same time the second must not be promised what the first one takes. */
#include "crew.h"

#include <stdlib.h>

struct room {
	struct list node;
	const struct call *call;
	int64_t mib;
};

static struct crew *crew_of(struct call *c)
{
	return cloud_state(c->cloud, &ecs_service);
}

static struct room *room_of(struct call *c)
{
	list_each (&crew_of(c)->rooms, struct room, node, r)
		if (r->call == c)
			return r;
	return NULL;
}

static void leave(struct call *c)
{
	struct room *r = room_of(c);
	if (!r)
		return;
	list_remove(&r->node);
	free(r);
}

int64_t crew_used_mib(struct call *c)
{
	const struct crew *d = crew_of(c);
	size_t at = 0;
	struct str key;
	void *value;
	int64_t used = 0;
	while (map_next(&d->duties, &at, &key, &value))
		used += ((struct duty *)value)->memory_mib;
	list_each (&d->rooms, struct room, node, r)
		used += r->call != c ? r->mib : 0;
	return used;
}

bool crew_has_room(struct call *c, int64_t mib)
{
	const struct crew *d = crew_of(c);
	return !d->memory_mib || crew_used_mib(c) + mib <= d->memory_mib;
}

void crew_take_room(struct call *c, int64_t mib)
{
	struct room *r = room_of(c);
	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			abort();
		r->call = c;
		list_push(&crew_of(c)->rooms, &r->node);
		call_on_free(c, leave);
	}
	r->mib = mib;
	call_after_commit(c, leave); /* its tasks have just been seen */
}
