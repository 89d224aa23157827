#include "aws/lambda/invocation.h"

#include "aws/lambda/environment.h"
#include "aws/lambda/pool.h"
#include "aws/lambda/provision.h"
#include "aws/lambda/publish.h"
#include "base/buf.h"
#include "base/id.h"
#include "base/json.h"

#include <stdlib.h>

/* What is provisioned counts as used, whether it is or not: others run beside it. */
const char *invocation_throttled(const struct fn *fn, struct fn_version *version, struct str qualifier)
{
	if (fn->reserved.set && (!fn->reserved.v || fn->running >= fn->reserved.v))
		return "ReservedFunctionConcurrentInvocationLimitExceeded";
	if (provision_has_room(pool_provision(version->pool), qualifier))
		return NULL;
	if (fn->reserved.set)
		return fn->running_on_demand >= fn->reserved.v - fn->provisioned_sum
		               ? "ReservedFunctionConcurrentInvocationLimitExceeded"
		               : NULL;
	const struct account *all = fn->owner;
	return all->running_unreserved >= LAMBDA_CONCURRENCY - all->reserved - all->provisioned
	               ? "ConcurrentInvocationLimitExceeded"
	               : NULL;
}

struct invocation *invocation_new(struct lambda *l, struct fn *fn, struct fn_version *version, struct str qualifier)
{
	struct invocation *inv = calloc(1, sizeof(*inv));
	struct provision *ahead = pool_provision(version->pool);
	if (!inv)
		abort();
	inv->lambda = l;
	inv->fn = fn;
	inv->version = fn_version_ref(version);
	inv->provisioned = provision_take(ahead, qualifier);
	inv->spilled = !inv->provisioned && provision_is_for(ahead, qualifier);
	arena_init(&inv->arena, 0);
	fn->running++;
	fn->owner->running++;
	fn->running_on_demand += !inv->provisioned;
	if (!fn->reserved.set)
		fn->owner->running_unreserved += !inv->provisioned;
	publish_running(l->publish, fn);
	inv->place = publish_begin(l->publish, fn, qualifier);
	return inv;
}

void invocation_start(struct invocation *inv)
{
	inv->environment = NULL;
	pool_run(inv->version->pool, inv);
}

void invocation_answer(struct invocation *inv, const struct outcome *o)
{
	void (*done)(void *, struct invocation *, const struct outcome *) = inv->done;
	inv->done = NULL;
	if (done)
		done(inv->ctx, inv, o);
}

void invocation_end(struct invocation *inv, const struct outcome *o)
{
	struct fn *fn = inv->fn;
	fn->running--;
	fn->owner->running--;
	fn->running_on_demand -= !inv->provisioned;
	if (!fn->reserved.set)
		fn->owner->running_unreserved -= !inv->provisioned;
	if (inv->provisioned)
		provision_give(pool_provision(inv->version->pool));
	inv->environment = NULL;
	publish_end(inv->lambda->publish, inv->place);
	invocation_answer(inv, o);
	directory_release(inv->lambda->directory, fn);
	fn_version_unref(inv->version);
	arena_done(&inv->arena);
	free(inv);
}

void invocation_drained(struct invocation *inv)
{
	if (inv->environment)
		runtime_api_drained(inv->environment);
}

struct str invocation_error_body(struct invocation *inv, const char *type, const char *what)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 4096);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("errorType"));
	json_string(&o, str_from(type));
	json_key(&o, S("errorMessage"));
	json_string(&o, arena_printf(&inv->arena, "RequestId: %s Error: %s", inv->request_id, what));
	json_close(&o, '}');
	return arena_dup(&inv->arena, buf_str(&b));
}
