/* Disks of running machines. Of a snapshot the files are made on a worker thread, then QEMU goes over to the new one, then it takes
 * the volume's name. */
#include "engine/vm/machine_state.h"

#include "base/log.h"
#include "engine/volume/volume.h"
#include "io/work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fits(const char *text, size_t cap)
{
	return text && strlen(text) > 0 && strlen(text) < cap;
}

int machine_attach(struct machine *m, const struct machine_disk *d)
{
	struct machine_plug disk = {0};
	int error = m->state == MACHINE_RUNNING ? machine_plug_from(&disk, d) : -ESRCH;
	return error ? error : machine_ask_disk(m, &disk);
}

int machine_detach(struct machine *m, const char *volume, bool force)
{
	struct shim_request r = {.verb = SHIM_UNPLUG, .files = force ? 1 : 0};
	if (m->state != MACHINE_RUNNING || !fits(volume, sizeof(r.disk)))
		return -ESRCH;
	snprintf(r.disk, sizeof(r.disk), "%s", volume);
	return machine_ask(m, &r, NULL, 0);
}

int machine_resize(struct machine *m, const struct machine_disk *d, uint64_t size)
{
	struct shim_request r = {.verb = SHIM_RESIZE,
	                         .size = size,
	                         .files = 1,
	                         .iops = d->iops,
	                         .mib_per_s = d->mib_per_s,
	                         .new_burst = {d->burst, d->burst_s}};
	if (m->state != MACHINE_RUNNING || !fits(d->volume, sizeof(r.disk)))
		return -ESRCH;
	snprintf(r.disk, sizeof(r.disk), "%s", d->volume);
	return machine_ask(m, &r, NULL, 0);
}

/* ---- snapshots ---- */

struct freeze {
	struct machine *m;
	struct shim_request r;
	int dir, fd, error;
};

static void freeze_end(void *job)
{
	struct freeze *f = job;
	f->error = volume_freeze_end(f->dir, f->r.disk);
}

static void freeze_begin(void *job)
{
	struct freeze *f = job;
	f->error = volume_freeze_begin(f->dir, f->r.disk, f->r.layer);
	f->fd = f->error ? -1 : volume_open_new(f->dir, f->r.disk);
	if (!f->error && f->fd < 0)
		f->error = f->fd;
}

static void job_over(struct machine *m)
{
	if (--m->jobs == 0 && m->freed) {
		free(m->console);
		free(m);
	}
}

static void frozen(void *job)
{
	struct freeze *f = job;
	struct machine *m = f->m;
	if (!m->freed)
		m->owner->events->disk(m->ctx, m, f->r.disk, f->error);
	job_over(m);
	free(f);
}

static void begun(void *job)
{
	struct freeze *f = job;
	struct machine *m = f->m;
	bool done = f->error == -EALREADY;
	/* as machine_ask_disk() does */
	if (!m->freed && !f->error && m->is_box && fchmod(f->fd, 0666) < 0)
		f->error = -errno;
	if (!m->freed && !f->error)
		f->error = m->state == MACHINE_RUNNING ? machine_ask(m, &f->r, &f->fd, 1) : -ESRCH;
	if (f->fd >= 0)
		close(f->fd);
	if (!m->freed && (f->error || done))
		m->owner->events->disk(m->ctx, m, f->r.disk, done ? 0 : f->error);
	job_over(m);
	free(f);
}

static struct freeze *new_freeze(struct machine *m, const struct shim_request *r)
{
	struct freeze *f = calloc(1, sizeof(*f));
	if (!f)
		die("out of memory");
	*f = (struct freeze){.m = m, .r = *r, .dir = m->owner->volumes, .fd = -1};
	m->jobs++;
	return f;
}

void machine_overlaid(struct machine *m, const struct shim_request *r, int error)
{
	if (error)
		m->owner->events->disk(m->ctx, m, r->disk, error);
	else
		work_add(m->owner->work, freeze_end, frozen, new_freeze(m, r));
}

int machine_snapshot(struct machine *m, const char *volume, const char *layer)
{
	struct shim_request r = {.verb = SHIM_OVERLAY};
	if (m->state != MACHINE_RUNNING || !fits(volume, sizeof(r.disk)) || !fits(layer, sizeof(r.layer)))
		return -ESRCH;
	snprintf(r.disk, sizeof(r.disk), "%s", volume);
	snprintf(r.layer, sizeof(r.layer), "%s", layer);
	work_add(m->owner->work, freeze_begin, begun, new_freeze(m, &r));
	return 0;
}
