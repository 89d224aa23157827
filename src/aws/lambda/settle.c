/* A new or changed version is Pending or InProgress in its record until its code lies unpacked, its network interfaces are in place
 * and its role's credentials are at hand, so that the first invocation starts at once. Whoever sees such a record (the directory,
 * also at start-up) calls here; each attempt is idempotent. */
#include "aws/lambda/code.h"
#include "aws/lambda/credentials.h"
#include "aws/lambda/image.h"
#include "aws/lambda/interface.h"
#include "aws/lambda/launch.h"
#include "aws/lambda/snapstart.h"
#include "base/id.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

struct settling {
	struct lambda *lambda;
	struct arena arena;
	struct str key, code;
	struct function_image *image; /* NULL: a package */
	const struct lambda_function_configuration *config;
	int error;
	struct str why, why_code;
	struct str snapshot; /* that was taken of it */
	unsigned tries;
};

static void done(struct settling *s)
{
	image_unref(s->image);
	arena_done(&s->arena);
	free(s);
}

static void write_result(void *ctx);

static void committed(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	struct settling *s = ctx;
	if (result == -EAGAIN && ++s->tries < 100) {
		loop_post(s->lambda->cloud->loop, write_result, s);
		return;
	}
	if (result)
		log_error("lambda: settling a function: %s", strerror(-result));
	done(s);
}

static void write_result(void *ctx)
{
	struct settling *s = ctx;
	struct arena *a = &s->arena;
	struct store_txn *t = store_begin(s->lambda->cloud->store, a);
	struct state_lambda_version_record row = {0};
	if (!record_get(t, a, s->key, ROW("Version"), &row) || !str_eq(row.code, s->code)) {
		store_abort(t);
		snapstart_forget(s->lambda, s->snapshot);
		done(s);
		return;
	}
	struct lambda_function_configuration *f = row.config;
	bool creating = str_eq(f->state, S("Pending")), updating = str_eq(f->last_update_status, S("InProgress"));
	if (!creating && !updating) {
		store_abort(t);
		done(s);
		return;
	}
	f->state_reason = f->state_reason_code = f->last_update_status_reason = f->last_update_status_reason_code = STR_NONE;
	if (s->error) {
		struct str reason = str_set(s->why) ? s->why : S("The code could not be unpacked.");
		struct str code = str_set(s->why_code) ? s->why_code : s->image ? S("InvalidImage") : S("InternalError");
		f->last_update_status = S("Failed");
		f->last_update_status_reason = reason;
		f->last_update_status_reason_code = code;
		if (creating) {
			f->state = S("Failed");
			f->state_reason = reason;
			f->state_reason_code = code;
		}
	} else {
		f->state = S("Active");
		f->last_update_status = S("Successful");
		row.snapshot = s->snapshot;
		row.serving = NULL;
		row.serving_code = STR_NONE;
		row.serving_layer_code = (struct str_list){0};
		row.serving_image = NULL;
	}
	f->revision_id = id_uuid(a);
	record_put(t, a, s->key, ROW("Version"), &row);
	store_commit(t, committed, s);
}

static void snapshot_taken(void *ctx, const struct snapstart_result *r)
{
	struct settling *s = ctx;
	s->error = r->error;
	s->why_code = arena_dup(&s->arena, r->code);
	s->why = arena_dup(&s->arena, r->reason);
	s->snapshot = r->error ? STR_NONE : arena_dup(&s->arena, r->name);
	write_result(s);
}

/* A published version of SnapStart is not Active before there is a snapshot of it. */
static void take_snapshot(void *ctx)
{
	struct settling *s = ctx;
	struct state_lambda_version_record row = {0};
	struct store_txn *t = store_begin(s->lambda->cloud->store, &s->arena);
	bool there = record_get(t, &s->arena, s->key, ROW("Version"), &row);
	store_abort(t);
	if (there && snapstart_wanted(row.config) && str_eq(row.config->state, S("Pending"))) {
		struct str_list parts = record_key_parts(&s->arena, s->key);
		snapstart_make(s->lambda, parts.v[2], parts.v[3], parts.v[4], row.config->version, snapshot_taken, s);
	} else {
		write_result(s);
	}
}

static void have_credentials(void *ctx, const struct credentials *credentials)
{
	(void)credentials; /* kept by the cache; a role that cannot be assumed any more fails the invocation, not the function */
	loop_post(((struct settling *)ctx)->lambda->cloud->loop, take_snapshot, ctx);
}

static void get_credentials(struct settling *s)
{
	struct str_list parts = record_key_parts(&s->arena, s->key);
	credentials_get(s->lambda, parts.v[2], parts.v[3], s->config->role, parts.v[4], launch_credentials_life_ms(s->config),
	                have_credentials, s);
}

static void in_place(void *ctx, int error)
{
	struct settling *s = ctx;
	s->error = error;
	if (!error) {
		get_credentials(s);
		return;
	}
	s->why = S("The network interfaces of the function could not be made.");
	s->why_code = S("InternalError");
	write_result(s);
}

static void prepared(struct settling *s, int error)
{
	s->error = error;
	struct state_lambda_version_record row = {0};
	struct store_txn *t = store_begin(s->lambda->cloud->store, &s->arena);
	bool there = record_get(t, &s->arena, s->key, ROW("Version"), &row);
	store_abort(t);
	struct str_list parts = record_key_parts(&s->arena, s->key);
	if (!there || error || parts.n < 5) {
		loop_post(s->lambda->cloud->loop, write_result, s);
		return;
	}
	s->config = row.config;
	/* where there are no sandboxes there are no networks either */
	if (lambda_in_vpc(s->config) && s->lambda->cloud->cells)
		interface_await(s->lambda->interfaces, parts.v[2], parts.v[3], s->config, true, in_place, s);
	else
		get_credentials(s);
}

static void code_prepared(void *ctx, int error, struct str code_dir, struct str opt_dir)
{
	(void)code_dir;
	(void)opt_dir;
	if (error)
		log_error("lambda: unpacking code: %s", strerror(-error));
	prepared(ctx, error);
}

static void image_prepared(void *ctx, int error, const char *why)
{
	struct settling *s = ctx;
	if (error)
		s->why = arena_dup(&s->arena, str_from(*why ? why : strerror(-error)));
	prepared(s, error);
}

static void begin(void *ctx)
{
	struct settling *s = ctx;
	struct state_lambda_version_record row = {0};
	struct store_txn *t = store_begin(s->lambda->cloud->store, &s->arena);
	bool there = record_get(t, &s->arena, s->key, ROW("Version"), &row);
	store_abort(t);
	if (!there) {
		done(s);
		return;
	}
	s->code = row.code;
	if (row.image) {
		s->image = image_ref(s->lambda, row.code, row.image);
		image_make_ready(s->image, image_prepared, s);
		return;
	}
	code_prepare(s->lambda->code, row.code, &row.layer_code, code_prepared, s);
}

void lambda_settle(struct lambda *l, struct str version_key)
{
	struct settling *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->lambda = l;
	arena_init(&s->arena, 0);
	s->key = arena_dup(&s->arena, version_key);
	loop_post(l->cloud->loop, begin, s);
}
