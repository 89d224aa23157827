/* What happens to keys by the cloud's clock: their rotation, and their end. A round looks at all keys and does what is due, each in
 * a transaction of its own; then it waits for what is due next, or for an hour. */
#include "rows.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/meter.h"
#include "core/seal.h"

#include <errno.h>
#include <stdlib.h>

enum { FIRST_US = 2 * 1000000 };
static const int64_t hour_ms = 3600 * 1000;

struct kms_keeper {
	struct cloud *cloud;
	struct loop_timer *timer;
	struct arena arena; /* of the step whose commit is under way */
	bool busy;
};

static void look(void *ctx);

static void look_in(struct kms_keeper *k, int64_t ms)
{
	loop_remove_timer(k->cloud->loop, k->timer);
	k->timer = loop_add_clock_timer(k->cloud->loop, ms * 1000, look, k);
}

static int64_t due_ms(const struct state_kms_key_record *r)
{
	if (str_is(r->state, "PendingDeletion"))
		return r->deletion_date.ms;
	return r->next_rotation.set && str_is(r->state, "Enabled") ? r->next_rotation.ms : INT64_MAX;
}

static void rotate(struct kms_keeper *k, struct store_txn *t, struct str key, struct str account, struct str region,
                   struct state_kms_key_record *r, int64_t now_ms)
{
	struct arena *a = &k->arena;
	unsigned char secret[KMS_MATERIAL_BYTES];
	struct state_kms_material m = {.id = id_hex(a, 64), .created = OPT_TIME(now_ms), .rotation_type = S("AUTOMATIC")};
	rand_bytes(secret, sizeof(secret));
	struct str arn = kms_key_arn(a, account, region, r->id);
	m.sealed = k->cloud->seal ? seal_put(k->cloud->seal, a, str_of(secret, sizeof(secret)), ARENA_CAT(a, arn, S(" "), m.id))
	                          : STR_NONE;
	explicit_bzero(secret, sizeof(secret));
	while (r->next_rotation.ms <= now_ms)
		r->next_rotation.ms += r->rotation_days.v * KMS_DAY_MS;
	if (str_set(m.sealed) && r->materials.n < KMS_MATERIALS_MAX)
		*LIST_ADD(a, &r->materials) = m;
	record_put(t, a, key, &kms_key_row, r);
	kms_meter(t, a, account, region, r, now_ms);
}

static void committed(void *ctx, int result, uint64_t revision)
{
	struct kms_keeper *k = ctx;
	(void)revision;
	k->busy = false;
	if (result < 0 && result != -EAGAIN)
		log_error("kms: keys that are due wait: %s", strerror(-result));
	look_in(k, result == 0 || result == -EAGAIN ? 0 : 60 * 1000);
}

static void look(void *ctx)
{
	struct kms_keeper *k = ctx;
	k->timer = NULL;
	if (k->busy)
		return;
	arena_reset(&k->arena);
	struct arena *a = &k->arena;
	struct str under = KEY_UNDER(a, S("kms"), S("key")), key;
	struct store_value v;
	struct state_kms_key_record r;
	int64_t now_ms = clock_wall_ms(), next_ms = now_ms + hour_ms;
	struct store_txn *t = store_begin(k->cloud->store, a);
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	while (store_next(i, &key, &v)) {
		if (!record_read(a, v.value, &kms_key_row, &r))
			continue;
		int64_t due = due_ms(&r);
		if (due > now_ms) {
			next_ms = due < next_ms ? due : next_ms;
			continue;
		}
		struct str_list parts = record_key_parts(a, key);
		struct str account = parts.v[2], region = parts.v[3];
		key = arena_dup(a, key);
		if (str_is(r.state, "PendingDeletion")) {
			kms_drop(t, a, account, region, &r);
			meter_set(t, a, account, region, kms_key_arn(a, account, region, r.id), NULL, 0, now_ms);
			meter_tags(t, a, account, region, kms_key_arn(a, account, region, r.id), NULL, now_ms);
		} else {
			rotate(k, t, key, account, region, &r, now_ms);
		}
		k->busy = true;
		store_commit(t, committed, k);
		return;
	}
	store_abort(t);
	look_in(k, next_ms - now_ms);
}

struct kms_keeper *kms_keeper_new(struct cloud *cloud)
{
	struct kms_keeper *k = calloc(1, sizeof(*k));
	if (!k)
		die("out of memory (kms)");
	k->cloud = cloud;
	k->timer = loop_add_clock_timer(cloud->loop, FIRST_US, look, k);
	return k;
}

void kms_keeper_free(struct kms_keeper *k)
{
	if (!k)
		return;
	loop_remove_timer(k->cloud->loop, k->timer);
	arena_done(&k->arena);
	free(k);
}

void kms_keeper_wake(struct call *c)
{
	struct kms_keeper *k = cloud_state(c->cloud, &kms_service);
	if (k && !k->busy)
		look_in(k, 0);
}

bool kms_keeper_busy(const struct kms_keeper *k)
{
	return k && k->busy;
}
