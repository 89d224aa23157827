/* What has become old is packed, rolled up and forgotten, an hour's work after the other, one transaction after the other.
 *
 * Samples come into small blocks of their series, which are cheap to write again. When a day is over, all blocks of it are packed
 * with those of the series beside it, and go. When minutes have been kept for as long as they are, they become five minutes in
 * the pack of those, in the same transaction; and five minutes become hours. So each sample lies in one place, but for seconds,
 * which are kept in addition and just go. What comes late lies beside the pack that has its day, and is packed the next time. */
#include "engine/metrics/pack.h"
#include "engine/metrics/series.h"

#include "base/clock.h"
#include "base/log.h"

#define DAY_MS INT64_C(86400000)
#define LATE_MS INT64_C(3600000)
enum { ROWS_AT_ONCE = 2000, GROUPS_AT_ONCE = 16, BLOCK_BYTES_MAX = 900 * 1024 };

enum { STAGE_ROWS, STAGE_GROUPS, STAGE_OLD };

struct roll {
	struct store_txn *txn;
	struct arena *arena; /* the transaction's */
	uint64_t group;
	int64_t now_ms;
};

static struct str copy_key(struct roll *r, struct str key)
{
	return arena_dup(r->arena, key);
}

/* --- packs */

typedef bool fill_fn(void *ctx, unsigned member, struct arena *a, struct slot *slots);

/* A block that its client has made enormous loses how its samples are spread. */
static struct str block_bytes(struct roll *r, struct slot *slots, const struct tier *k)
{
	struct buf CLEAN_BUF b;
	uint32_t n = k->pack_slots;
	while (n && slots[n - 1].set.count <= 0)
		n--;
	buf_init(&b, BLOCK_BYTES_MAX);
	block_write(&b, slots, n, k->steps);
	for (uint32_t i = 0; b.overflow && i < n; i++) {
		slots[i].spread = (struct slot_buckets){0};
		slots[i].unknown = !slot_single(&slots[i].set);
	}
	if (b.overflow) {
		buf_clear(&b);
		block_write(&b, slots, n, k->steps);
	}
	return n && !b.overflow ? arena_dup(r->arena, buf_str(&b)) : STR_NONE;
}

/* Lets fill add to what a pack has of each series. */
static void pack_change(struct roll *r, unsigned tier, int64_t span, fill_fn *fill, void *ctx)
{
	const struct tier *k = &metrics_tiers[tier];
	struct str key = metrics_pack_key(r->arena, r->group, tier, span), blocks[PACK_SERIES];
	struct store_value v;
	bool there = store_get(r->txn, key, &v), changed = false;
	for (unsigned i = 0; i < PACK_SERIES; i++) {
		struct arena CLEAN_ARENA a = {0};
		struct slot *slots = arena_array(&a, k->pack_slots, sizeof(*slots));
		uint32_t n;
		blocks[i] = there ? pack_get(v.value, i) : STR_NONE;
		if (str_set(blocks[i]) && !block_read(&a, blocks[i], slots, k->pack_slots, &n, k->steps)) {
			log_warn("metrics: a block that does not read is begun anew");
			memset(slots, 0, k->pack_slots * sizeof(*slots));
		}
		if (!fill(ctx, i, &a, slots))
			continue;
		blocks[i] = block_bytes(r, slots, k);
		changed = true;
	}
	if (!changed)
		return;
	struct buf CLEAN_BUF b;
	buf_init(&b, PACK_SERIES * BLOCK_BYTES_MAX + 4096);
	pack_write(&b, blocks);
	store_put(r->txn, key, buf_str(&b));
}

/* --- blocks of a day into its pack */

struct closing {
	struct roll *roll;
	unsigned tier;
	int64_t span, end_block; /* blocks before that are closed */
};

static bool fill_from_blocks(void *ctx, unsigned member, struct arena *a, struct slot *slots)
{
	struct closing *c = ctx;
	const struct tier *k = &metrics_tiers[c->tier];
	uint64_t id = c->roll->group * PACK_SERIES + member;
	int64_t each = k->pack_slots / k->slots, from = c->span * each, to = from + each;
	bool any = false;
	struct store_iter *i = store_scan(c->roll->txn, metrics_block_key(a, id, c->tier, from),
	                                  metrics_block_key(a, id, c->tier, to < c->end_block ? to : c->end_block), false);
	struct store_value v;
	struct str key;
	while (store_next(i, &key, &v)) {
		struct slot got[SLOTS_MAX];
		uint32_t n, at = (uint32_t)(metrics_key_block(key) - from) * k->slots;
		if (block_read(a, v.value, got, k->slots, &n, k->steps))
			for (uint32_t s = 0; s < n; s++)
				slot_merge(a, &slots[at + s], &got[s]);
		store_delete(c->roll->txn, copy_key(c->roll, key));
		any = true;
	}
	return any;
}

/* The first day of the group that can be closed. */
static bool close_blocks(struct roll *r, unsigned tier)
{
	const struct tier *k = &metrics_tiers[tier];
	int64_t end = (r->now_ms - LATE_MS) / DAY_MS * DAY_MS / tier_block_ms(k);
	struct closing c = {.roll = r, .tier = tier, .end_block = end};
	for (unsigned i = 0; i < PACK_SERIES; i++) {
		uint64_t id = r->group * PACK_SERIES + i;
		struct store_iter *it = store_scan(r->txn, metrics_block_key(r->arena, id, tier, 0),
		                                   metrics_block_key(r->arena, id, tier, end < 0 ? 0 : end), false);
		struct store_value v;
		struct str key;
		if (!store_next(it, &key, &v))
			continue;
		c.span = metrics_key_block(key) * k->slots / k->pack_slots;
		pack_change(r, tier, c.span, fill_from_blocks, &c);
		return true;
	}
	return false;
}

/* --- packs into coarser ones */

struct rolling {
	unsigned tier; /* of what is rolled up */
	int64_t span;
	struct str pack;
};

static bool fill_from_pack(void *ctx, unsigned member, struct arena *a, struct slot *slots)
{
	struct rolling *c = ctx;
	const struct tier *fine = &metrics_tiers[c->tier], *k = &metrics_tiers[c->tier + 1];
	struct slot *got = arena_array(a, fine->pack_slots, sizeof(*got));
	struct str block = pack_get(c->pack, member);
	uint32_t n;
	if (!str_set(block) || !block_read(a, block, got, fine->pack_slots, &n, fine->steps))
		return false;
	int64_t step = k->step_s / fine->step_s, from = c->span * fine->pack_slots;
	for (uint32_t s = 0; s < n; s++)
		slot_merge(a, &slots[(from + s) / step % k->pack_slots], &got[s]);
	return true;
}

/* The oldest pack of a tier, if it has been kept for as long as it is. */
static bool roll_pack(struct roll *r, unsigned tier)
{
	const struct tier *k = &metrics_tiers[tier];
	int64_t span_ms = k->step_s * 1000 * k->pack_slots, end = (r->now_ms - k->kept_s * 1000) / span_ms;
	struct store_iter *it = store_scan(r->txn, metrics_pack_key(r->arena, r->group, tier, 0),
	                                   metrics_pack_key(r->arena, r->group, tier, end < 0 ? 0 : end), false);
	struct store_value v;
	struct str key;
	if (!store_next(it, &key, &v))
		return false;
	struct rolling c = {tier, metrics_key_block(key), v.value};
	int64_t coarse_ms = tier + 1 < TIERS ? metrics_tiers[tier + 1].step_s * 1000 * metrics_tiers[tier + 1].pack_slots : 0;
	if (coarse_ms)
		pack_change(r, tier + 1, c.span * span_ms / coarse_ms, fill_from_pack, &c);
	store_delete(r->txn, copy_key(r, key));
	return true;
}

static void drop_seconds(struct roll *r)
{
	const struct tier *k = &metrics_tiers[0];
	int64_t end = (r->now_ms - k->kept_s * 1000) / tier_block_ms(k);
	for (unsigned i = 0; i < PACK_SERIES; i++) {
		uint64_t id = r->group * PACK_SERIES + i;
		struct store_iter *it = store_scan(r->txn, metrics_block_key(r->arena, id, 0, 0),
		                                   metrics_block_key(r->arena, id, 0, end < 0 ? 0 : end), false);
		struct store_value v;
		struct str key;
		while (store_next(it, &key, &v))
			store_delete(r->txn, copy_key(r, key));
	}
}

/* One step of the group; false: there is nothing more to do. */
static bool roll_group(struct roll *r)
{
	for (unsigned tier = 1; tier < TIERS; tier++)
		if ((tier + 1 < TIERS && close_blocks(r, tier)) || roll_pack(r, tier))
			return true;
	drop_seconds(r);
	return false;
}

/* The first group from r->group on that has anything. */
static bool find_group(struct roll *r)
{
	struct store_value v;
	struct str key;
	uint64_t found = UINT64_MAX;
	struct str block = metrics_block_key(r->arena, r->group * PACK_SERIES, 0, 0),
	           pack = metrics_pack_key(r->arena, r->group, 0, 0);
	struct store_iter *i = store_scan(r->txn, block, store_prefix_end(r->arena, str_sub(block, 0, 1)), false);
	if (store_next(i, &key, &v))
		found = metrics_key_number(key) / PACK_SERIES;
	i = store_scan(r->txn, pack, store_prefix_end(r->arena, str_sub(pack, 0, 1)), false);
	if (store_next(i, &key, &v) && metrics_key_number(key) < found)
		found = metrics_key_number(key);
	r->group = found;
	return found != UINT64_MAX;
}

static bool sweep_groups(struct roll *r)
{
	for (unsigned n = 0; n < GROUPS_AT_ONCE; n++, r->group++) {
		if (!find_group(r))
			return false;
		if (roll_group(r))
			return true;
	}
	return true;
}

/* --- rows of metrics that nothing came to any more */

static bool sweep_rows(struct roll *r, struct sweep *s)
{
	struct str key = STR_NONE, from = s->after.n ? s->after : S("s");
	struct store_iter *i = store_scan(r->txn, from, store_prefix_end(r->arena, S("s")), false);
	struct store_value v;
	for (unsigned seen = 0; seen < ROWS_AT_ONCE; seen++) {
		struct series_row row;
		if (!store_next(i, &key, &v)) {
			s->after = STR_NONE;
			return false;
		}
		if (v.value.n < sizeof(row))
			continue;
		memcpy(&row, v.value.p, sizeof(row));
		if (row.last_ms < r->now_ms - metrics_tiers[TIERS - 1].kept_s * 1000)
			store_delete(r->txn, copy_key(r, key));
	}
	s->after = key.n <= sizeof(s->text) ? str_of(memcpy(s->text, key.p, key.n), key.n) : STR_NONE;
	return str_set(s->after);
}

/* What a version before this one kept. */
static bool sweep_old(struct roll *r)
{
	struct store_iter *i = store_scan(r->txn, S("d"), store_prefix_end(r->arena, S("d")), false);
	struct store_value v;
	struct str key;
	for (unsigned seen = 0; seen < ROWS_AT_ONCE; seen++) {
		if (!store_next(i, &key, &v))
			return false;
		store_delete(r->txn, copy_key(r, key));
	}
	return true;
}

bool metrics_sweep(struct metrics *m, struct store_txn *t)
{
	struct sweep *s = &m->sweep;
	struct roll r = {.txn = t, .arena = &m->job, .group = s->group, .now_ms = clock_wall_ms()};
	bool more = s->stage == STAGE_ROWS ? sweep_rows(&r, s) : s->stage == STAGE_GROUPS ? sweep_groups(&r) : sweep_old(&r);
	s->group = more ? r.group : 0;
	if (!more)
		s->stage = s->stage == STAGE_OLD ? STAGE_ROWS : s->stage + 1;
	return more || s->stage != STAGE_ROWS;
}
