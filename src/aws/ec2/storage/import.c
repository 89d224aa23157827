/* One import at a time asks S3 for one part of its object, which comes as a file or, if it is small, as bytes; a thread copies it,
 * leaving holes where there are zeros. The last step checks the whole as the disk image that it was said to be. */
#include "aws/ec2/storage/import.h"
#include "aws/ec2/storage/layer.h"

#include "aws/ec2/desk.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/vm/machine.h"
#include "engine/volume/volume.h"
#include "gen/s3.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GIB (UINT64_C(1) << 30)
enum { PIECE = 1 << 18, WEEK_MS = 7 * 24 * 3600 * 1000, SECTOR = 512 };

struct imports {
	struct ec2_state *ec2;
	struct map running; /* task -> struct import */
	unsigned leftovers; /* being cleared away */
	bool stopped;       /* freed when the last one has ended */
};

struct import {
	struct imports *all;
	struct arena arena;
	const struct principal *as;
	struct import_plan plan;
	struct str account, region, e_tag;
	int64_t part, parts;
	uint64_t done, total, size, disk_bytes;
	bool cancelled;
	/* of the job under way */
	int volumes_dir, to, from, error;
	uint64_t offset, length;
	char *bytes;
	const char *wrong; /* what the user is told; NULL: nothing is wrong */
	char text[512];
};

static void imports_end(struct imports *m)
{
	if (!m->stopped || m->running.count || m->leftovers)
		return;
	map_done(&m->running);
	free(m);
}

static void import_free(struct import *i)
{
	struct imports *all = i->all;
	map_remove(&all->running, i->plan.task);
	if (i->to >= 0)
		close(i->to);
	if (i->from >= 0)
		close(i->from);
	free(i->bytes);
	principal_unref(i->as);
	arena_done(&i->arena);
	free(i);
	imports_end(all);
}

/* --- the end of a task, in its record */

static void edit_image(const struct ec2_scope *s, struct import *i, const struct ec2_snapshot *snapshot)
{
	struct state_ec2_import_image_record r;
	if (!ec2_find(s, &ec2_kind_import_image, i->plan.task, &r))
		return;
	r.layer = STR_NONE;
	r.task->status = snapshot ? S("completed") : S("deleted");
	r.task->status_message = snapshot ? STR_NONE : arena_dup(s->arena, str_from(i->wrong));
	r.task->progress = STR_NONE;
	struct ec2_snapshot_detail *d = r.task->snapshot_details.v;
	if (!snapshot) {
		ec2_put(s, &ec2_kind_import_image, i->plan.task, &r);
		return;
	}
	d->snapshot_id = snapshot->snapshot_id;
	d->status = S("completed");
	d->disk_image_size = OPT_DOUBLE((double)i->total);
	struct ec2_image *image = ec2_image_new(s, i->plan.name, r.task->description, i->plan.device, clock_wall_ms());
	struct ec2_block_device_mapping *disk = LIST_ADD(s->arena, &image->block_device_mappings);
	disk->device_name = i->plan.device;
	disk->ebs = arena_new(s->arena, struct ec2_ebs_block_device);
	*disk->ebs = (struct ec2_ebs_block_device){.snapshot_id = snapshot->snapshot_id,
	                                           .volume_size = snapshot->volume_size,
	                                           .volume_type = S("gp2"),
	                                           .delete_on_termination = OPT_BOOL(true),
	                                           .encrypted = OPT_BOOL(false)};
	struct state_ec2_image_record made = {.image = image};
	ec2_image_put(s, &made);
	r.task->image_id = image->image_id;
	ec2_put(s, &ec2_kind_import_image, i->plan.task, &r);
}

static void edit_snapshot(const struct ec2_scope *s, struct import *i, const struct ec2_snapshot *snapshot)
{
	struct state_ec2_import_snapshot_record r;
	if (!ec2_find(s, &ec2_kind_import_snapshot, i->plan.task, &r))
		return;
	struct ec2_snapshot_task_detail *d = r.task->snapshot_task_detail;
	r.layer = STR_NONE;
	d->status = snapshot ? S("completed") : S("deleted");
	d->status_message = snapshot ? STR_NONE : arena_dup(s->arena, str_from(i->wrong));
	d->progress = STR_NONE;
	if (snapshot) {
		d->snapshot_id = snapshot->snapshot_id;
		d->disk_image_size = OPT_DOUBLE((double)i->total);
	}
	ec2_put(s, &ec2_kind_import_snapshot, i->plan.task, &r);
}

static void edit_end(const struct ec2_scope *s, void *ctx)
{
	struct import *i = ctx;
	struct ec2_snapshot *made = NULL;
	if (!i->wrong) {
		int64_t now = clock_wall_ms();
		made = arena_new(s->arena, struct ec2_snapshot);
		*made = (struct ec2_snapshot){.snapshot_id = i->plan.layer,
		                              .volume_id = S("vol-ffffffff"),
		                              .state = S("completed"),
		                              .progress = S("100%"),
		                              .start_time = OPT_TIME(now),
		                              .completion_time = OPT_TIME(now),
		                              .owner_id = s->account,
		                              .description =
		                                      ARENA_CAT(s->arena, S("Created by AWS-VMImport service for "), i->plan.task),
		                              .volume_size = OPT_INT((int64_t)((i->size + GIB - 1) / GIB)),
		                              .encrypted = OPT_BOOL(false),
		                              .storage_tier = S("standard")};
		struct state_ec2_snapshot_record r = {
		        .snapshot = made, .layer = i->plan.layer, .bytes = OPT_INT((int64_t)i->disk_bytes)};
		struct state_ec2_layer_record layer = {.size = made->volume_size};
		ec2_put(s, &ec2_kind_snapshot, made->snapshot_id, &r);
		layer_put(s, i->plan.layer, &layer);
	}
	if (str_set(i->plan.name))
		edit_image(s, i, made);
	else
		edit_snapshot(s, i, made);
}

static void end_written(void *ctx)
{
	import_free(ctx);
}

static void write_end(struct import *i)
{
	desk_edit(i->all->ec2->desk, i->account, i->region, edit_end, end_written, i);
}

static void delete_run(void *job)
{
	struct import *i = job;
	volume_delete(i->volumes_dir, i->plan.layer.p);
}

static void delete_done(void *job)
{
	struct import *i = job;
	if (i->all->stopped)
		import_free(i);
	else
		write_end(i);
}

static void fail(struct import *i, const char *wrong)
{
	i->wrong = wrong;
	if (i->all->stopped)
		import_free(i);
	else
		work_add(i->all->ec2->cloud->work, delete_run, delete_done, i);
}

/* --- copying */

static const char *what_of(int error)
{
	switch (error) {
	case -ENOSPC:
		return "ServerError: There is no space left for the disk image.";
	case -EINVAL:
		return "ClientError: Disk validation failed [the object is no disk image of the given format]";
	default:
		return "ServerError: The disk image could not be read or written.";
	}
}

static int copy_piece(struct import *i, const char *p, size_t n, uint64_t at)
{
	static const char zeros[4096];
	for (size_t k = 0; k < n;) {
		size_t piece = n - k < sizeof(zeros) ? n - k : sizeof(zeros);
		if (memcmp(p + k, zeros, piece) != 0) {
			/* up to the next zeros in one write */
			size_t end = k + piece;
			while (end < n && n - end >= sizeof(zeros) && memcmp(p + end, zeros, sizeof(zeros)) != 0)
				end += sizeof(zeros);
			ssize_t done = pwrite(i->to, p + k, end - k, (off_t)(at + k));
			if (done < 0)
				return -errno;
			piece = (size_t)done;
		}
		k += piece;
	}
	return 0;
}

static int begin(struct import *i)
{
	i->to = volume_import_begin(i->volumes_dir, i->plan.layer.p);
	if (i->to < 0)
		return i->to;
	return ftruncate(i->to, (off_t)i->total) < 0 ? -errno : 0;
}

static void copy_run(void *job)
{
	struct import *i = job;
	char *room = i->bytes ? NULL : malloc(PIECE);
	i->error = i->to < 0 ? begin(i) : 0;
	if (!i->bytes && !room)
		i->error = -ENOMEM;
	if (i->bytes && !i->error)
		i->error = copy_piece(i, i->bytes, (size_t)i->length, i->done);
	for (uint64_t k = 0; !i->bytes && k < i->length && !i->error;) {
		size_t want = i->length - k < PIECE ? (size_t)(i->length - k) : PIECE;
		ssize_t n = pread(i->from, room, want, (off_t)(i->offset + k));
		if (n <= 0)
			i->error = n < 0 ? -errno : -EIO;
		else
			i->error = copy_piece(i, room, (size_t)n, i->done + k);
		k += n > 0 ? (uint64_t)n : 0;
	}
	free(room);
}

/* A disk that starts by itself says so at the end of its first sector. */
static int check_kind(const struct import *i)
{
	unsigned char head[SECTOR];
	bool qcow2 = pread(i->to, head, SECTOR, 0) == SECTOR && memcmp(head, "QFI\xfb", 4) == 0;
	if (qcow2 != i->plan.qcow2 || i->total < SECTOR)
		return -EINVAL;
	return str_set(i->plan.name) && !qcow2 && (head[510] != 0x55 || head[511] != 0xaa) ? -ENOEXEC : 0;
}

static void end_run(void *job)
{
	struct import *i = job;
	i->error = check_kind(i);
	if (!i->error)
		i->error = volume_import_end(i->volumes_dir, i->plan.layer.p, i->to, &i->size);
	if (!i->error && volume_stat(i->volumes_dir, i->plan.layer.p, &i->size, &i->disk_bytes) < 0)
		i->disk_bytes = 0;
}

static void end_done(void *job)
{
	struct import *i = job;
	if (i->error == -ENOEXEC)
		fail(i, "ClientError: No valid partitions. Not a valid volume.");
	else if (i->error)
		fail(i, what_of(i->error));
	else if (i->cancelled || i->all->stopped)
		fail(i, "User cancelled the task.");
	else
		write_end(i);
}

static void ask_part(struct import *i);

static void copy_done(void *job)
{
	struct import *i = job;
	free(i->bytes);
	i->bytes = NULL;
	if (i->from >= 0)
		close(i->from);
	i->from = -1;
	i->done += i->length;
	if (i->error) {
		fail(i, what_of(i->error));
	} else if (i->cancelled || i->all->stopped) {
		fail(i, "User cancelled the task.");
	} else if (i->part < i->parts) {
		i->part++;
		ask_part(i);
	} else if (i->done != i->total) {
		fail(i, what_of(-EIO));
	} else {
		work_add(i->all->ec2->cloud->work, end_run, end_done, i);
	}
}

/* "bytes 0-8388607/2147483648" */
static uint64_t total_of(const struct s3_get_object_output *out, uint64_t length)
{
	uint64_t total;
	ptrdiff_t slash = str_find_char(out->content_range, '/');
	return slash >= 0 && str_to_u64(str_from_at(out->content_range, (size_t)slash + 1), &total) ? total : length;
}

static void part_read(void *ctx, struct call *sub)
{
	struct import *i = ctx;
	const struct s3_get_object_output *out = sub->out;
	bool memory = sub->reply.kind == REPLY_MEMORY;
	if (i->all->stopped) {
		import_free(i);
		return;
	}
	if (str_set(sub->error.code)) {
		snprintf(i->text, sizeof(i->text), "ClientError: The object %.*s/%.*s cannot be read. S3 said %.*s: %.*s",
		         STR_ARG(i->plan.bucket), STR_ARG(i->plan.key), STR_ARG(sub->error.code), STR_ARG(sub->error.message));
		fail(i, i->text);
		return;
	}
	if (!memory && sub->reply.kind != REPLY_FILE) {
		fail(i, what_of(-EIO));
		return;
	}
	i->length = memory ? sub->reply.memory.n : sub->reply.length;
	if (i->part == 1) {
		i->parts = out->parts_count.set ? out->parts_count.v : 1;
		i->e_tag = arena_dup(&i->arena, out->e_tag);
		i->total = total_of(out, i->length);
	}
	if (i->cancelled || !i->total || i->length > i->total - i->done) {
		fail(i, i->cancelled ? "User cancelled the task." : what_of(-EINVAL));
		return;
	}
	if (memory) {
		i->bytes = malloc(i->length + 1);
		if (!i->bytes)
			abort();
		memcpy(i->bytes, sub->reply.memory.p, i->length);
	} else {
		i->offset = sub->reply.offset;
		i->from = fcntl(sub->reply.fd, F_DUPFD_CLOEXEC, 0);
	}
	work_add(i->all->ec2->cloud->work, copy_run, copy_done, i);
}

static void ask_part(struct import *i)
{
	struct s3_get_object_request in = {
	        .bucket = i->plan.bucket, .key = i->plan.key, .part_number = OPT_INT(i->part), .if_match = i->e_tag};
	call_op(i->all->ec2->cloud, i->as, i->region, &s3_api, "GetObject", &in, part_read, i);
}

/* --- beginning and cancelling */

static void begin_now(struct call *c)
{
	struct import *i = c->state;
	i->as = principal_ref(c->caller);
	map_put(&i->all->running, i->plan.task, i);
	c->state = NULL;
	ask_part(i);
}

static void drop_plan(struct call *c)
{
	struct import *i = c->state;
	if (!i)
		return;
	arena_done(&i->arena);
	free(i);
}

void import_begin(struct call *c, const struct import_plan *plan)
{
	bool again = c->state;
	drop_plan(c);
	struct import *i = calloc(1, sizeof(*i));
	if (!i)
		abort();
	struct arena *a = &i->arena;
	i->all = ec2_state(c)->imports;
	i->plan = (struct import_plan){.task = arena_dup(a, plan->task),
	                               .layer = str_from(arena_dupz(a, plan->layer)),
	                               .bucket = arena_dup(a, plan->bucket),
	                               .key = arena_dup(a, plan->key),
	                               .device = S("/dev/sda1"),
	                               .qcow2 = plan->qcow2};
	if (str_set(plan->name))
		i->plan.name = arena_dup(a, plan->name);
	i->account = arena_dup(a, c->account);
	i->region = arena_dup(a, c->region);
	i->volumes_dir = machines_volumes_dir(ec2_state(c)->desk->machines);
	i->to = i->from = -1;
	i->part = 1;
	c->state = i;
	call_after_commit(c, begin_now);
	if (!again)
		call_on_free(c, drop_plan);
}

void import_cancel_now(struct call *c)
{
	const struct ec2_cancel_import_task_request *in = c->in;
	struct import *i = map_get(&ec2_state(c)->imports->running, in->import_task_id);
	if (i)
		i->cancelled = true;
}

int import_progress(const struct imports *m, struct str task)
{
	const struct import *i = map_get(&m->running, task);
	return !i ? -1 : i->total ? (int)(i->done * 100 / i->total) : 0;
}

unsigned import_count(const struct imports *m, struct str account)
{
	size_t at = 0;
	unsigned n = 0;
	struct str key;
	void *value;
	while (map_next(&m->running, &at, &key, &value))
		n += str_eq(((struct import *)value)->account, account);
	return n;
}

/* --- after a restart */

struct leftovers {
	struct imports *all;
	struct arena arena;
	struct str account, region;
	struct str_list tasks, layers;
	int volumes_dir;
};

static void edit_leftover(const struct ec2_scope *s, struct str task, bool image)
{
	struct state_ec2_import_image_record i;
	struct state_ec2_import_snapshot_record p;
	const struct str why = S("ServerError: The cloud was started again meanwhile.");
	if (image && ec2_find(s, &ec2_kind_import_image, task, &i)) {
		if (!str_set(i.layer)) {
			ec2_drop(s, &ec2_kind_import_image, task);
			return;
		}
		i.layer = STR_NONE;
		i.task->status = S("deleted");
		i.task->status_message = why;
		ec2_put(s, &ec2_kind_import_image, task, &i);
	} else if (!image && ec2_find(s, &ec2_kind_import_snapshot, task, &p)) {
		if (!str_set(p.layer)) {
			ec2_drop(s, &ec2_kind_import_snapshot, task);
			return;
		}
		p.layer = STR_NONE;
		p.task->snapshot_task_detail->status = S("deleted");
		p.task->snapshot_task_detail->status_message = why;
		ec2_put(s, &ec2_kind_import_snapshot, task, &p);
	}
}

static void edit_leftovers(const struct ec2_scope *s, void *ctx)
{
	struct leftovers *l = ctx;
	for (uint32_t k = 0; k < l->tasks.n; k++)
		edit_leftover(s, l->tasks.v[k], str_starts(l->tasks.v[k], S("import-ami")));
}

static void leftovers_free(void *ctx)
{
	struct leftovers *l = ctx;
	l->all->leftovers--;
	imports_end(l->all);
	arena_done(&l->arena);
	free(l);
}

static void leftovers_run(void *job)
{
	struct leftovers *l = job;
	for (uint32_t k = 0; k < l->layers.n; k++)
		volume_delete(l->volumes_dir, l->layers.v[k].p);
}

/* The files first: a crash in between leaves a task that names them. */
static void leftovers_done(void *job)
{
	struct leftovers *l = job;
	if (l->all->stopped)
		leftovers_free(l);
	else
		desk_edit(l->all->ec2->desk, l->account, l->region, edit_leftovers, leftovers_free, l);
}

static void look_at(struct imports *m, const struct ec2_scope *s, struct str_list parts)
{
	struct state_ec2_import_image_record i;
	struct state_ec2_import_snapshot_record p;
	bool image = str_is(parts.v[3], ec2_kind_import_image.prefix);
	struct str layer;
	int64_t begun;
	if (image && ec2_find(s, &ec2_kind_import_image, parts.v[4], &i)) {
		layer = i.layer;
		begun = i.begun.ms;
	} else if (!image && ec2_find(s, &ec2_kind_import_snapshot, parts.v[4], &p)) {
		layer = p.layer;
		begun = p.begun.ms;
	} else {
		return;
	}
	if (!str_set(layer) && begun > clock_wall_ms() - (int64_t)WEEK_MS)
		return;
	struct leftovers *l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	l->all = m;
	m->leftovers++;
	l->account = arena_dup(&l->arena, s->account);
	l->region = arena_dup(&l->arena, s->region);
	l->volumes_dir = machines_volumes_dir(m->ec2->desk->machines);
	*LIST_ADD(&l->arena, &l->tasks) = arena_dup(&l->arena, parts.v[4]);
	if (str_set(layer))
		*LIST_ADD(&l->arena, &l->layers) = str_from(arena_dupz(&l->arena, layer));
	work_add(m->ec2->cloud->work, leftovers_run, leftovers_done, l);
}

struct imports *imports_new(struct ec2_state *ec2)
{
	struct arena CLEAN_ARENA a = {0};
	struct imports *m = calloc(1, sizeof(*m));
	if (!m)
		abort();
	m->ec2 = ec2;
	struct store_txn *t = store_begin(ec2->cloud->store, &a);
	struct str under = KEY_UNDER(&a, S("ec2")), key;
	struct store_iter *iter = store_scan(t, under, store_prefix_end(&a, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct str_list parts = record_key_parts(&a, key);
		if (parts.n != 5 || !str_starts(parts.v[3], S("import-")))
			continue;
		struct ec2_scope s = {.txn = t, .arena = &a, .account = parts.v[1], .region = parts.v[2]};
		look_at(m, &s, parts);
	}
	store_abort(t);
	return m;
}

void imports_free(struct imports *m)
{
	if (!m)
		return;
	m->stopped = true;
	imports_end(m);
}
