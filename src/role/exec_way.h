/* Two streams joined: what comes at one end leaves at the other, with one piece of room each way. For exec.c and exec_instance.c.
 */
#pragma once
#include "core/cloud.h"

struct http_request;

/* Carries bytes both ways until one end closes and what it had said has been delivered, or cannot be; then over(ctx). `client` is
 * closed at the end, `inside` stays the caller's until then. `early` came from the client already. */
void exec_way_join(struct loop *l, int client, int inside, struct str early, loop_fn *over, void *ctx);

/* `i-` and hexadecimal digits: an instance's id, and no function's name that anybody would give. */
static inline bool exec_names_instance(struct str name)
{
	if ((name.n != 19 && name.n != 10) || !str_starts(name, S("i-")))
		return false;
	for (size_t i = 2; i < name.n; i++)
		if (!ascii_is_digit(name.p[i]) && (name.p[i] < 'a' || name.p[i] > 'f'))
			return false;
	return true;
}

/* exec_task.c: a session in a container of a task. */
void exec_task(struct cloud *cloud, struct http_request *r, const struct principal *who, struct str id);
/* exec_instance.c: a session in an instance, for `who`. The second is for one that was allowed before, with words before the
 * command's own; without words of its own the command is a shell. */
void exec_instance(struct cloud *cloud, struct http_request *r, const struct principal *who, struct str id);
void exec_through_instance(struct cloud *cloud, struct http_request *r, const struct principal *who, struct str id,
                           const char *const *words, unsigned count);
