/* Layers of images that somebody has run lie unpacked on the disk. One that no image in any repository needs any more goes from
 * there: soon after its last image was deleted or has expired, and once in a day of the cloud's clock for what nobody was there to
 * see. Where the disk is nearly full all go, once a minute, since they can be unpacked again. What tasks and functions stand on
 * stays; that is known below. */
#include "aws/ecr/rows.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/oci/image.h"

#include <stdlib.h>
#include <sys/statvfs.h>

enum { TICK_US = 2 * 1000 * 1000, TIGHT_TICKS = 30, DAY_MS = 24 * 3600 * 1000, TIGHT_BYTES = 1 << 30, TIGHT_PART = 20 };

struct unpacked {
	struct ecr_state *s;
	struct store_watch *watch;
	struct loop_timer *timer;
	int64_t day; /* last looked on this day since 1970 */
	bool due;
	bool tight;    /* the disk is nearly full: none is needed */
	unsigned calm; /* ticks until it is looked at again */
};

static bool is_needed(struct arena *a, struct str row)
{
	struct state_ecr_layer_record layer;
	return record_read(a, row, ECR_ROW("Layer"), &layer) && layer.refs.v > 0;
}

static void layer_changed(void *ctx, const struct store_event *e)
{
	struct arena CLEAN_ARENA a = {0};
	struct unpacked *u = ctx;
	if (!u->due)
		u->due = !str_set(e->value) || !is_needed(&a, e->value);
}

static void keep_needed(void *ctx, struct images *images)
{
	struct arena CLEAN_ARENA a = {0}, CLEAN_ARENA one = {0};
	struct unpacked *u = ctx;
	if (u->tight)
		return;
	struct store_txn *t = store_begin(u->s->cloud->store, &a);
	struct str under = KEY_UNDER(&a, S("ecr"), S("layer")), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(&a, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(&one, key);
		struct str digest = parts.v[parts.n - 1];
		if (str_starts(digest, S("sha256:")) && is_needed(&one, v.value))
			images_keep(images, str_from_at(digest, 7));
		arena_reset(&one);
	}
	store_abort(t);
}

static bool is_tight(const char *dir)
{
	struct statvfs fs;
	return statvfs(dir, &fs) == 0 && fs.f_bavail * fs.f_frsize < TIGHT_BYTES && fs.f_bavail < fs.f_blocks / TIGHT_PART;
}

static void tick(void *ctx)
{
	struct unpacked *u = ctx;
	int64_t day = clock_wall_ms() / DAY_MS;
	u->tight = u->calm == 0 && is_tight(u->s->cloud->data_dir);
	if ((u->tight || u->due || day != u->day) && images_trim_all(u->s->cloud->images)) {
		if (u->tight)
			log_warn("the disk is nearly full: unpacked layers of images that nobody runs are removed");
		u->calm = u->tight ? TIGHT_TICKS : 0;
		u->due = false;
		u->day = day;
	} else if (u->calm) {
		u->calm--;
	}
	u->timer = loop_add_timer(u->s->cloud->loop, TICK_US, tick, u);
}

struct unpacked *ecr_unpacked_start(struct ecr_state *s)
{
	struct arena CLEAN_ARENA a = {0};
	if (!s->cloud->images)
		return NULL;
	struct unpacked *u = calloc(1, sizeof(*u));
	if (!u)
		die("out of memory (ecr)");
	*u = (struct unpacked){.s = s, .day = -1};
	struct str under = KEY_UNDER(&a, S("ecr"), S("layer"));
	u->watch =
	        store_watch(s->cloud->store, under, store_prefix_end(&a, under), store_revision(s->cloud->store), layer_changed, u);
	u->timer = loop_add_timer(s->cloud->loop, TICK_US, tick, u);
	images_keep_by(s->cloud->images, keep_needed, u);
	return u;
}

void ecr_unpacked_stop(struct unpacked *u)
{
	if (!u)
		return;
	store_unwatch(u->watch);
	loop_remove_timer(u->s->cloud->loop, u->timer);
	free(u);
}
