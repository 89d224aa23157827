/* Volumes, snapshots and the layers that they stand on: from records to files.
 *
 * A volume's file stands on a layer, and that on another one. A snapshot turns the volume's file into a layer and puts an empty
 * file on top, so the record of the volume then names another layer. Who stands on what is in the records alone: a layer goes when
 * no snapshot means it and no volume or layer stands on it, and then the one under it is looked at. A volume is in one job at a
 * time. */
#include "aws/ec2/desk.h"
#include "aws/ec2/storage/image_default.h"
#include "aws/ec2/storage/layer.h"
#include "aws/ec2/storage/volume_speed.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/vm/machine.h"
#include "engine/volume/volume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GIB (UINT64_C(1) << 30)

struct storage_job {
	struct desk_item *item;
	enum storage_verb verb;
	int dir_fd, error;
	uint64_t size, bytes;
	char name[VOLUME_NAME_MAX], layer[VOLUME_NAME_MAX];
	storage_done_fn *done;
};

static void run_job(void *job)
{
	struct storage_job *j = job;
	switch (j->verb) {
	case STORAGE_CREATE:
		j->error = volume_create(j->dir_fd, j->name, j->size, j->layer[0] ? j->layer : NULL);
		if (j->error != -EEXIST)
			break;
		/* A crash has come between the file and its record: what is there is of this very volume, and nobody has used it.
		 */
		j->error = volume_delete(j->dir_fd, j->name);
		if (j->error == 0)
			j->error = volume_create(j->dir_fd, j->name, j->size, j->layer[0] ? j->layer : NULL);
		break;
	case STORAGE_SETTLE:
		j->error = volume_settle(j->dir_fd, j->name);
		break;
	case STORAGE_DELETE:
		j->error = volume_delete(j->dir_fd, j->name);
		break;
	case STORAGE_FREEZE:
		j->error = volume_freeze(j->dir_fd, j->name, j->layer);
		break;
	case STORAGE_RESIZE:
		j->error = volume_resize(j->dir_fd, j->name, j->size);
		break;
	case STORAGE_MEASURE:
		j->error = volume_stat(j->dir_fd, j->name, &j->size, &j->bytes);
		break;
	}
}

static void job_done(void *job)
{
	struct storage_job *j = job;
	if (j->error < 0)
		log_warn("ec2: %s: %s", j->name, strerror(-j->error));
	if (j->verb == STORAGE_MEASURE)
		j->item->bytes = j->error ? 0 : j->bytes;
	j->done(j->item, j->error);
	free(j);
}

void storage_do(struct desk_item *i, enum storage_verb verb, struct str name, struct str layer, uint64_t size,
                storage_done_fn *done)
{
	struct storage_job *j = calloc(1, sizeof(*j));
	if (!j)
		abort();
	*j = (struct storage_job){
	        .item = i, .verb = verb, .dir_fd = machines_volumes_dir(i->desk->machines), .size = size, .done = done};
	memcpy(j->name, name.p, name.n < VOLUME_NAME_MAX ? name.n : VOLUME_NAME_MAX - 1);
	if (str_set(layer))
		memcpy(j->layer, layer.p, layer.n < VOLUME_NAME_MAX ? layer.n : VOLUME_NAME_MAX - 1);
	i->busy++;
	work_add(i->desk->cloud->work, run_job, job_done, j);
}

static void item_ended(void *ctx)
{
	desk_done(ctx);
}

/* --- volumes */

static void edit_made(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_volume_record r;
	if (!ec2_find(s, &ec2_kind_volume, i->id, &r) || !str_is(r.volume->state, "creating"))
		return;
	r.made = OPT_BOOL(true);
	r.volume->state = r.volume->attachments.n ? S("in-use") : S("available");
	ec2_put(s, &ec2_kind_volume, i->id, &r);
}

static void edit_broken(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_volume_record r;
	if (!ec2_find(s, &ec2_kind_volume, i->id, &r) || !str_is(r.volume->state, "creating"))
		return;
	r.volume->state = S("error");
	r.full = OPT_BOOL(i->launch_error == -ENOSPC || i->launch_error == -EDQUOT);
	ec2_put(s, &ec2_kind_volume, i->id, &r);
}

static void made(struct desk_item *i, int error)
{
	i->there = i->there && error == 0;
	i->launch_error = error;
	desk_edit(i->desk, i->account, i->region, error < 0 ? edit_broken : edit_made, item_ended, i);
}

/* A machine may be prepared on it while it comes to the disk. */
static void created(struct desk_item *i, int error)
{
	if (error < 0) {
		made(i, error);
		return;
	}
	i->there = true;
	storage_do(i, STORAGE_SETTLE, i->id, STR_NONE, 0, made);
	desk_done(i);
}

static void edit_gone(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_volume_record r;
	if (!ec2_find(s, &ec2_kind_volume, i->id, &r))
		return;
	ec2_drop(s, &ec2_kind_volume, i->id);
	layer_look(s, r.layer);
}

static void gone(struct desk_item *i, int error)
{
	if (error < 0) {
		desk_done(i);
		i->dirty = false;
		return;
	}
	desk_edit(i->desk, i->account, i->region, edit_gone, item_ended, i);
}

static void edit_resized(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_volume_record r;
	if (!ec2_find(s, &ec2_kind_volume, i->id, &r) || !r.modification)
		return;
	r.volume->size = r.modification->target_size;
	r.volume->volume_type = r.modification->target_volume_type;
	r.volume->iops = r.modification->target_iops;
	r.volume->throughput = r.modification->target_throughput;
	r.modification->modification_state = S("completed");
	r.modification->progress = OPT_INT(100);
	ec2_put(s, &ec2_kind_volume, i->id, &r);
}

static void edit_not_resized(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_volume_record r;
	if (!ec2_find(s, &ec2_kind_volume, i->id, &r) || !r.modification)
		return;
	r.modification->modification_state = S("failed");
	ec2_put(s, &ec2_kind_volume, i->id, &r);
}

static void resized(struct desk_item *i, int error)
{
	desk_edit(i->desk, i->account, i->region, error < 0 ? edit_not_resized : edit_resized, item_ended, i);
}

static bool being_frozen(const struct ec2_scope *s, struct str volume)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_snapshot);
	struct state_ec2_snapshot_record r;
	while (ec2_next(&all, &r))
		if (str_eq(r.snapshot->volume_id, volume) && str_is(r.snapshot->state, "pending"))
			return true;
	return false;
}

static void resized_by_machine(struct desk_item *i, int error)
{
	i->asked = NULL;
	resized(i, error);
}

static void resize(struct desk_item *i, const struct state_ec2_volume_record *r)
{
	struct machine *machine = instances_machine_with(i->desk, r->volume);
	uint64_t size = (uint64_t)r->modification->target_size.v * GIB;
	if (!machine) {
		storage_do(i, STORAGE_RESIZE, i->id, STR_NONE, size, resized);
		return;
	}
	i->busy++;
	i->asked = resized_by_machine;
	struct ec2_volume after = *r->volume;
	after.size = r->modification->target_size;
	after.volume_type = r->modification->target_volume_type;
	after.iops = r->modification->target_iops;
	after.throughput = r->modification->target_throughput;
	struct volume_speed speed = ec2_volume_speed(&after);
	struct machine_disk d = {.volume = i->id.p,
	                         .iops = speed.iops,
	                         .mib_per_s = speed.mib_per_s,
	                         .burst = speed.burst,
	                         .burst_s = speed.burst_s};
	int e = machine_resize(machine, &d, size);
	if (e < 0)
		resized_by_machine(i, e);
}

/* --- attaching and detaching */

static void edit_attached(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_volume_record r;
	if (!ec2_find(s, &ec2_kind_volume, i->id, &r) || !r.volume->attachments.n ||
	    !str_is(r.volume->attachments.v[0].state, "attaching"))
		return;
	r.volume->attachments.v[0].state = S("attached");
	ec2_put(s, &ec2_kind_volume, i->id, &r);
}

static void edit_detached(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_volume_record r;
	if (!ec2_find(s, &ec2_kind_volume, i->id, &r) || !r.volume->attachments.n)
		return;
	r.volume->attachments.n = 0;
	r.volume->state = S("available");
	r.force = (struct opt_bool){0};
	ec2_put(s, &ec2_kind_volume, i->id, &r);
}

static void attached(struct desk_item *i, int error)
{
	i->asked = NULL;
	desk_edit(i->desk, i->account, i->region, error < 0 && error != -EEXIST ? edit_detached : edit_attached, item_ended, i);
}

static void edit_still_attached(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_volume_record r;
	if (!ec2_find(s, &ec2_kind_volume, i->id, &r) || !r.volume->attachments.n)
		return;
	/* Asked for with force meanwhile: it is detaching still. */
	if (r.force.v && !i->forced)
		return;
	r.force = (struct opt_bool){0};
	r.volume->attachments.v[0].state = S("busy");
	ec2_put(s, &ec2_kind_volume, i->id, &r);
}

static void detached(struct desk_item *i, int error)
{
	i->asked = NULL;
	desk_edit(i->desk, i->account, i->region, error < 0 && error != -ENOENT ? edit_still_attached : edit_detached, item_ended,
	          i);
}

static void attach(struct desk_item *i, const struct ec2_scope *s, const struct state_ec2_volume_record *r, struct machine *m)
{
	struct volume_speed speed = ec2_volume_speed(r->volume);
	struct machine_disk d = {.volume = i->id.p,
	                         .serial = ARENA_CAT(s->arena, S("vol"), str_from_at(i->id, 4)).p,
	                         .device = arena_dupz(s->arena, r->volume->attachments.v[0].device),
	                         .iops = speed.iops,
	                         .mib_per_s = speed.mib_per_s,
	                         .burst = speed.burst,
	                         .burst_s = speed.burst_s};
	i->busy++;
	i->asked = attached;
	int e = m ? machine_attach(m, &d) : 0;
	if (!m || e < 0)
		attached(i, e);
}

static void detach(struct desk_item *i, struct machine *m, bool force)
{
	i->forced = force;
	i->busy++;
	i->asked = detached;
	int e = m ? machine_detach(m, i->id.p, force) : 0;
	if (!m || e < 0)
		detached(i, e);
}

/* Until machines of before have been found, nobody can say that none has the volume. */
static bool may_have_machine(const struct desk_item *i, const struct ec2_volume *v)
{
	return v->attachments.n && !machines_facts(i->desk->machines)->known;
}

void storage_step_volume(struct desk_item *i, const struct ec2_scope *s)
{
	struct state_ec2_volume_record r;
	if (!ec2_find(s, &ec2_kind_volume, i->id, &r))
		return;
	if (r.made.v && may_have_machine(i, r.volume)) {
		i->waiting = true;
		return;
	}
	if (str_is(r.volume->state, "creating") && default_image_is_coming(i->desk->ec2->image, r.layer))
		i->waiting = true;
	else if (str_is(r.volume->state, "creating"))
		storage_do(i, STORAGE_CREATE, i->id, r.layer, (uint64_t)r.volume->size.v * GIB, created);
	else if (str_is(r.volume->state, "deleting") && being_frozen(s, i->id))
		i->waiting = true;
	else if (str_is(r.volume->state, "deleting"))
		storage_do(i, STORAGE_DELETE, i->id, STR_NONE, 0, gone);
	else if (r.modification && str_is(r.modification->modification_state, "modifying"))
		resize(i, &r);
	else if (r.made.v && r.volume->attachments.n && str_is(r.volume->attachments.v[0].state, "attaching"))
		attach(i, s, &r, instances_machine_with(i->desk, r.volume));
	else if (r.made.v && r.volume->attachments.n && str_is(r.volume->attachments.v[0].state, "detaching"))
		detach(i, instances_machine_with(i->desk, r.volume), r.force.v);
}

void storage_machine_did(struct desk *d, struct str volume, int error)
{
	struct desk_item *i = desk_item(d, volume);
	if (i && i->asked)
		i->asked(i, error);
}

/* --- snapshots */

/* Images that wait for this snapshot: the last one makes them available, a broken one breaks them. */
static void settle_images(const struct ec2_scope *s, struct str snapshot, bool good)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_image);
	struct str_list ids = {0};
	struct state_ec2_image_record r;
	while (ec2_next(&all, &r))
		if (str_is(r.image->state, "pending"))
			*LIST_ADD(s->arena, &ids) = all.id;
	for (uint32_t k = 0; k < ids.n; k++) {
		bool part = false, whole = true;
		if (!ec2_find(s, &ec2_kind_image, ids.v[k], &r))
			continue;
		for (uint32_t d = 0; d < r.image->block_device_mappings.n; d++) {
			struct str id = r.image->block_device_mappings.v[d].ebs->snapshot_id;
			struct state_ec2_snapshot_record other;
			if (!id.n) /* an empty disk */
				continue;
			part |= str_eq(id, snapshot);
			whole = whole && ec2_find(s, &ec2_kind_snapshot, id, &other) && str_is(other.snapshot->state, "completed");
		}
		if (!part || (good && !whole))
			continue;
		r.image->state = good ? S("available") : S("failed");
		ec2_put(s, &ec2_kind_image, ids.v[k], &r);
	}
}

static void edit_frozen(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_snapshot_record r;
	struct state_ec2_volume_record v;
	if (!ec2_find(s, &ec2_kind_snapshot, i->id, &r) || !str_is(r.snapshot->state, "pending"))
		return;
	r.snapshot->state = S("completed");
	r.snapshot->progress = S("100%");
	r.snapshot->completion_time = OPT_TIME(clock_wall_ms());
	r.layer = i->id;
	r.bytes = OPT_INT((int64_t)i->bytes);
	ec2_put(s, &ec2_kind_snapshot, i->id, &r);
	settle_images(s, i->id, true);
	if (!ec2_find(s, &ec2_kind_volume, r.snapshot->volume_id, &v))
		return;
	struct state_ec2_layer_record layer = {.under = v.layer, .size = r.snapshot->volume_size};
	layer_put(s, i->id, &layer);
	v.layer = i->id;
	ec2_put(s, &ec2_kind_volume, r.snapshot->volume_id, &v);
}

static void edit_not_frozen(const struct ec2_scope *s, void *ctx)
{
	struct desk_item *i = ctx;
	struct state_ec2_snapshot_record r;
	if (!ec2_find(s, &ec2_kind_snapshot, i->id, &r) || !str_is(r.snapshot->state, "pending"))
		return;
	r.snapshot->state = S("error");
	r.snapshot->state_message = S("The volume could not be read.");
	ec2_put(s, &ec2_kind_snapshot, i->id, &r);
	settle_images(s, i->id, false);
}

static void snapshot_ended(void *ctx)
{
	struct desk_item *i = ctx;
	if (i->holder)
		desk_release(i->holder);
	i->holder = NULL;
	desk_done(i);
}

/* What its file takes is known, or for the bill it takes nothing. */
static void measured(struct desk_item *i, int error)
{
	(void)error;
	desk_edit(i->desk, i->account, i->region, edit_frozen, snapshot_ended, i);
}

static void frozen(struct desk_item *i, int error)
{
	if (error < 0) {
		desk_edit(i->desk, i->account, i->region, edit_not_frozen, snapshot_ended, i);
		return;
	}
	storage_do(i, STORAGE_MEASURE, i->id, STR_NONE, 0, measured);
	i->busy--; /* one job goes on in the other */
}

/* A machine that ended meanwhile may have gone over to the volume's new file already: what it began is completed without it, and
 * before the volume is used again (storage_snapshot_pending()). */
static void frozen_by_machine(struct desk_item *volume, int error)
{
	volume->asked = NULL;
	if (error == -ESRCH)
		snapshot_ended(volume->holder);
	else
		frozen(volume->holder, error);
}

bool storage_snapshot_pending(const struct ec2_scope *s, struct str volume)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_snapshot);
	struct state_ec2_snapshot_record r;
	while (ec2_next(&all, &r))
		if (str_is(r.snapshot->state, "pending") && str_eq(r.snapshot->volume_id, volume))
			return true;
	return false;
}

void storage_step_snapshot(struct desk_item *i, const struct ec2_scope *s)
{
	struct state_ec2_snapshot_record r;
	struct state_ec2_volume_record v;
	if (!ec2_find(s, &ec2_kind_snapshot, i->id, &r) || !str_is(r.snapshot->state, "pending"))
		return;
	if (!ec2_find(s, &ec2_kind_volume, r.snapshot->volume_id, &v) || !v.made.v) {
		i->busy++;
		frozen(i, -1);
		return;
	}
	struct desk_item *volume = may_have_machine(i, v.volume) || instances_is_starting_with(i->desk, v.volume) ||
	                                           instances_is_going_down_with(s, i->desk, v.volume)
	                                   ? NULL
	                                   : desk_hold(i->desk, &ec2_kind_volume, i->account, i->region, r.snapshot->volume_id, i);
	if (!volume) {
		i->waiting = true;
		return;
	}
	/* Each holds the other: the machine's answer names the volume. */
	i->holder = volume;
	struct machine *machine = instances_machine_with(i->desk, v.volume);
	if (!machine) {
		storage_do(i, STORAGE_FREEZE, r.snapshot->volume_id, i->id, 0, frozen);
		return;
	}
	i->busy++;
	volume->asked = frozen_by_machine;
	int e = machine_snapshot(machine, volume->id.p, i->id.p);
	if (e < 0)
		frozen_by_machine(volume, e);
}
