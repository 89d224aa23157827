/* A program inside a container or an instance, as the data channel of a session sees it: bytes both ways, a window, an end. */
#pragma once
#include "aws/ssm/ssm.h"
#include "core/cloud.h"

struct inside;
struct inside_events {
	/* Not while it is held. */
	void (*output)(void *ctx, struct str bytes);
	/* Input is taken again after inside_input() said false. */
	void (*room)(void *ctx);
	/* The program has ended, and all that it said has been told; why: it could not be started, or its place is gone; absent:
	 * it ended by itself. Nothing follows, and inside_free() is still wanted. */
	void (*ended)(void *ctx, struct str why);
};
struct inside_ops {
	bool (*input)(struct inside *i, struct str bytes);
	void (*window)(struct inside *i, unsigned rows, unsigned columns);
	void (*hold)(struct inside *i, bool held);
	void (*free)(struct inside *i);
};
struct inside {
	const struct inside_ops *ops;
	const struct inside_events *events;
	void *ctx;
	struct cloud *cloud;
};

/* Begins the session's command. Nothing is called from inside; NULL: *ret_why says why not, in a. The window may be 0 and 0. */
struct inside *inside_task_open(struct cloud *cloud, const struct ssm_session_spec *spec, unsigned rows, unsigned columns,
                                const struct inside_events *events, void *ctx, struct arena *a, struct str *ret_why);
struct inside *inside_instance_open(struct cloud *cloud, const struct ssm_session_spec *spec, unsigned rows, unsigned columns,
                                    const struct inside_events *events, void *ctx, struct arena *a, struct str *ret_why);
/* False: not now; room() follows. */
static inline bool inside_input(struct inside *i, struct str bytes)
{
	return i->ops->input(i, bytes);
}
static inline void inside_window(struct inside *i, unsigned rows, unsigned columns)
{
	i->ops->window(i, rows, columns);
}
/* Its output waits, or may come again: from inside this call too. */
static inline void inside_hold(struct inside *i, bool held)
{
	i->ops->hold(i, held);
}
/* Ends it, if it still runs. Not from output(). */
static inline void inside_free(struct inside *i)
{
	if (i)
		i->ops->free(i);
}
