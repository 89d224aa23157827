/* The work of an export: stream after stream, the events are written as lines, some megabytes at a time, packed by a thread, and
 * put into the bucket as objects that are called by the stream and a number. Nothing of it is recorded but how it ended: after a
 * crash it begins anew and writes the same names. Whether it was cancelled is looked up before each file. */
#include "export.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/identity.h"
#include "gen/s3.h"
#include "io/work.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

enum {
	FILE_BYTES = 16 << 20,
	LINES_MAX = FILE_BYTES + (4 << 20), /* with the last line, whatever its length */
	SLICE_US = 4000,
	PAUSE_US = 1000,
	AGAIN_US = 1000 * 1000,
	TRIES = 6,
	GZIP_BITS = 15 + 16
};

struct exports {
	struct cloud *cloud;
	struct logs *events;
	struct store_watch *watch;
	struct list running;
};

struct export
{
	struct list link;
	struct exports *all; /* NULL: the service has ended */
	struct arena arena, step;
	struct str key, account, region, id;
	struct state_logs_export_record row; /* as it was at the beginning */
	uint64_t stream;                     /* 0: the next one has to be found */
	struct str stream_key, name;
	struct log_position from, to;
	unsigned file; /* of the stream */
	struct buf lines;
	struct str packed;
	unsigned tries;
	bool away; /* a thread, a call or the store has it */
	struct str code, message;
	struct loop_timer *timer;
};

static void next(void *ctx);

static void export_free(struct export *e)
{
	if (e->all)
		loop_remove_timer(e->all->cloud->loop, e->timer);
	list_remove(&e->link);
	buf_done(&e->lines);
	arena_done(&e->step);
	arena_done(&e->arena);
	free(e);
}

static void soon(struct export *e, int64_t us)
{
	e->away = false;
	e->timer = loop_add_timer(e->all->cloud->loop, us, next, e);
}

/* --- how it ends */

static void end_write(void *ctx);

static void ended(void *ctx, int result, uint64_t revision)
{
	struct export *e = ctx;
	(void)revision;
	e->away = false;
	if (!e->all || result >= 0) {
		export_free(e);
		return;
	}
	if (result != -EAGAIN)
		log_error("logs: the end of an export could not be written: %s", strerror(-result));
	e->timer = loop_add_timer(e->all->cloud->loop, result == -EAGAIN ? 0 : AGAIN_US, end_write, e);
}

static void end_write(void *ctx)
{
	struct export *e = ctx;
	struct state_logs_export_record r;
	e->timer = NULL;
	arena_reset(&e->step);
	struct store_txn *t = store_begin(e->all->cloud->store, &e->step);
	if (!record_get(t, &e->step, e->key, LOGS_ROW("Export"), &r)) {
		store_abort(t);
		export_free(e);
		return;
	}
	r.task->status->code = e->code;
	r.task->status->message = e->message;
	r.task->execution_info->completion_time = OPT_INT(clock_wall_ms());
	record_put(t, &e->step, e->key, LOGS_ROW("Export"), &r);
	e->away = true;
	store_commit(t, ended, e);
}

static void end(struct export *e, const char *code, struct str message)
{
	e->code = str_from(code);
	e->message = arena_dup(&e->arena, message);
	e->away = false;
	e->timer = loop_add_timer(e->all->cloud->loop, 0, end_write, e);
}

/* --- a file */

static void put(struct export *e);

static void put_done(void *ctx, struct call *sub)
{
	struct export *e = ctx;
	if (!e->all) {
		export_free(e);
		return;
	}
	if (!str_set(sub->error.code)) {
		e->file++;
		e->packed = STR_NONE;
		buf_clear(&e->lines);
		soon(e, 0);
	} else if (sub->error.receiver && ++e->tries < TRIES)
		soon(e, AGAIN_US);
	else
		end(e, "FAILED",
		    ARENA_CAT(&e->step, S("The bucket did not take a file: "), sub->error.code, S(": "), sub->error.message));
}

static struct str object_key(struct export *e)
{
	char *name = arena_dupz(&e->step, e->name);
	for (char *p = name; *p; p++)
		*p = *p == '/' ? '-' : *p;
	return arena_printf(&e->step, "%.*s/%.*s/%s/%06u.gz", STR_ARG(e->row.task->destination_prefix), STR_ARG(e->id), name,
	                    e->file);
}

static void put(struct export *e)
{
	struct principal *self = export_principal(e->account, e->region, e->row.task->log_group_name);
	const struct s3_put_object_request in = {.bucket = e->row.task->destination,
	                                         .key = object_key(e),
	                                         .content_type = S("application/x-gzip"),
	                                         .acl = EXPORT_ACL};
	e->away = true;
	call_op_body(e->all->cloud, self, e->region, &s3_api, "PutObject", &in, e->packed, put_done, e);
	principal_unref(self);
}

/* On a thread. */
static void pack(void *ctx)
{
	struct export *e = ctx;
	z_stream z = {0};
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_BITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return;
	size_t room = deflateBound(&z, e->lines.n) + 32;
	char *to = arena_alloc(&e->step, room);
	z.next_in = (unsigned char *)e->lines.p;
	z.avail_in = (unsigned)e->lines.n;
	z.next_out = (unsigned char *)to;
	z.avail_out = (unsigned)room;
	if (deflate(&z, Z_FINISH) == Z_STREAM_END)
		e->packed = str_of(to, room - z.avail_out);
	deflateEnd(&z);
}

static void packed(void *ctx)
{
	struct export *e = ctx;
	if (!e->all)
		export_free(e);
	else if (!str_set(e->packed))
		end(e, "FAILED", S("A file could not be made."));
	else {
		e->tries = 0;
		put(e);
	}
}

static void send(struct export *e)
{
	e->away = true;
	arena_reset(&e->step);
	work_add(e->all->cloud->work, pack, packed, e);
}

/* --- what is in it */

/* False: there is no further stream. */
static bool find_stream(struct export *e, struct store_txn *t)
{
	struct str under = logs_streams_under(&e->step, (uint64_t)e->row.group.v), key;
	struct str from = str_set(e->stream_key) ? ARENA_CAT(&e->step, e->stream_key, str_of("", 1)) : under;
	struct store_iter *i = store_scan(t, from, store_prefix_end(&e->step, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct state_logs_stream_record r;
		if (!record_read(&e->step, v.value, LOGS_ROW("Stream"), &r) ||
		    (str_set(e->row.streams) && !str_starts(r.name, e->row.streams)))
			continue;
		e->stream = (uint64_t)r.id.v;
		e->stream_key = arena_dup(&e->arena, key);
		e->name = arena_dup(&e->arena, r.name);
		e->from = (struct log_position){e->row.first.v, 0};
		e->to = (struct log_position){e->row.task->to.v + 1, 0};
		e->file = 0;
		return true;
	}
	return false;
}

/* 2026-01-31T23:55:00.000Z and the message. */
static void add_line(struct export *e, const struct log_event *event)
{
	char when[40];
	time_format_to(when, event->at.time_ms, TIME_ISO8601_MS);
	buf_add_str(&e->lines, str_from(when));
	buf_add_char(&e->lines, ' ');
	buf_add_str(&e->lines, event->message);
	if (!str_ends(event->message, S("\n")))
		buf_add_char(&e->lines, '\n');
}

/* True: more may be in the stream. */
static bool read_some(struct export *e)
{
	struct log_event event;
	int64_t until_us = clock_mono_us() + SLICE_US;
	struct logs_walk *w = logs_walk(e->all->events, &e->step, (uint64_t)e->row.group.v, e->stream, e->from, e->to, false);
	bool more = false;
	while (!more && logs_walk_next(w, &event)) {
		add_line(e, &event);
		e->from = (struct log_position){event.at.time_ms, event.at.number + 1};
		more = e->lines.n >= FILE_BYTES || clock_mono_us() > until_us;
	}
	logs_walk_end(w);
	return more;
}

static bool is_group_there(struct export *e, struct store_txn *t)
{
	struct state_logs_group_record r;
	struct str key =
	        KEY(&e->step, S("logs"), S("group"), e->account, e->region, logs_name_part(&e->step, e->row.task->log_group_name));
	return record_get(t, &e->step, key, LOGS_ROW("Group"), &r) && r.id.v == e->row.group.v;
}

static void step(struct export *e)
{
	struct store_txn *t = store_begin(e->all->cloud->store, &e->step);
	bool there = is_group_there(e, t), found = e->stream || find_stream(e, t);
	store_abort(t);
	if (!there)
		end(e, "FAILED", S("The log group was deleted."));
	else if (!found)
		end(e, "COMPLETED", S("Completed successfully"));
	else if (read_some(e) && e->lines.n < FILE_BYTES)
		soon(e, PAUSE_US);
	else {
		if (e->lines.n < FILE_BYTES)
			e->stream = 0;
		if (e->lines.n)
			send(e);
		else
			soon(e, 0);
	}
}

static void marked(void *ctx, int result, uint64_t revision)
{
	struct export *e = ctx;
	(void)revision;
	e->away = false;
	if (!e->all)
		export_free(e);
	else
		soon(e, result < 0 && result != -EAGAIN ? AGAIN_US : 0);
}

static void next(void *ctx)
{
	struct export *e = ctx;
	struct state_logs_export_record now;
	e->timer = NULL;
	if (str_set(e->packed)) {
		put(e); /* once more */
		return;
	}
	arena_reset(&e->step);
	struct store_txn *t = store_begin(e->all->cloud->store, &e->step);
	bool there = record_get(t, &e->step, e->key, LOGS_ROW("Export"), &now), pending;
	struct str code = there ? now.task->status->code : S("");
	if ((pending = str_is(code, "PENDING"))) {
		now.task->status->code = S("RUNNING");
		record_put(t, &e->step, e->key, LOGS_ROW("Export"), &now);
		e->away = true;
		store_commit(t, marked, e);
		return;
	}
	store_abort(t);
	if (str_is(code, "PENDING_CANCEL"))
		end(e, "CANCELLED", S("Cancelled"));
	else if (!str_is(code, "RUNNING"))
		export_free(e);
	else
		step(e);
}

/* --- which there are */

static struct export *find(struct exports *all, struct str key)
{
	list_each (&all->running, struct export, link, e) {
		if (str_eq(e->key, key))
			return e;
	}
	return NULL;
}

static void changed(void *ctx, const struct store_event *event)
{
	struct exports *all = ctx;
	struct export *e = find(all, event->key);
	if (!str_set(event->value) || e)
		return; /* whoever works on it looks for itself */
	e = calloc(1, sizeof(*e));
	if (!e)
		die("out of memory (exports)");
	list_init(&e->link);
	e->key = arena_dup(&e->arena, event->key);
	if (!record_read(&e->arena, arena_dup(&e->arena, event->value), LOGS_ROW("Export"), &e->row) ||
	    !export_is_active(&e->row)) {
		export_free(e);
		return;
	}
	struct str_list parts = record_key_parts(&e->arena, e->key);
	e->all = all;
	e->account = parts.v[2];
	e->region = parts.v[3];
	e->id = parts.v[4];
	buf_init(&e->lines, LINES_MAX);
	list_push(&all->running, &e->link);
	soon(e, 0);
}

struct exports *exports_new(struct cloud *cloud, struct logs *events)
{
	struct arena CLEAN_ARENA a = {0};
	struct exports *all = calloc(1, sizeof(*all));
	if (!all)
		die("out of memory (exports)");
	all->cloud = cloud;
	all->events = events;
	list_init(&all->running);
	all->watch = record_follow(cloud->store, KEY_UNDER(&a, S("logs"), S("export")), changed, all);
	return all;
}

/* What a thread, a call or the store has frees itself when that is over, if it comes to that. */
void exports_free(struct exports *all)
{
	struct export *e;
	if (!all)
		return;
	store_unwatch(all->watch);
	while ((e = list_first(&all->running, struct export, link))) {
		if (!e->away) {
			export_free(e);
			continue;
		}
		loop_remove_timer(all->cloud->loop, e->timer);
		list_remove(&e->link);
		list_init(&e->link);
		e->all = NULL;
	}
	free(all);
}
