/* Which layers there are. A copy in another region, or what another account was allowed to make of a snapshot, costs no file: it is
 * one more record of the same layers, and beside the records lies an index of the regions of accounts that have a layer, by which
 * the last one that lets go knows that it is the last. Both change in one transaction, so that of two that let go at a time one
 * sees the other. */
#include "aws/ec2/storage/layer.h"
#include "aws/ec2/desk.h"

const struct ec2_kind ec2_kind_layer = {
        .prefix = "layer", .row = {&state_ec2_api, "LayerRecord"}, .size = sizeof(struct state_ec2_layer_record)};

/* Layers have ids of snapshots' form, so their records are read by key. */
static struct str layer_key(const struct ec2_scope *s, struct str name)
{
	return KEY(s->arena, S("ec2"), s->account, s->region, S("layer"), name);
}

static struct str shared_key(const struct ec2_scope *s, struct str name)
{
	return KEY(s->arena, S("ec2-layer-in"), name, s->account, s->region);
}

/* Of a build that knew copies within an account alone. */
static struct str old_shared_key(const struct ec2_scope *s, struct str name)
{
	return KEY(s->arena, S("ec2-shared-layer"), s->account, name, s->region);
}

/* Whoever is in the old index is in the new one before anybody else is. */
static void take_over(const struct ec2_scope *s, struct str name)
{
	struct str under = KEY_UNDER(s->arena, S("ec2-shared-layer"), s->account, name), key;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	struct ec2_scope other = *s;
	while (store_next(iter, &key, &v)) {
		struct str_list parts = record_key_parts(s->arena, key);
		if (parts.n != 4)
			continue;
		other.region = parts.v[3];
		store_put(s->txn, shared_key(&other, name), S(""));
	}
}

bool layer_get(const struct ec2_scope *s, struct str name, struct state_ec2_layer_record *ret)
{
	return str_set(name) && record_get(s->txn, s->arena, layer_key(s, name), &ec2_kind_layer.row, ret);
}

void layer_put(const struct ec2_scope *s, struct str name, const struct state_ec2_layer_record *r)
{
	record_put(s->txn, s->arena, layer_key(s, name), &ec2_kind_layer.row, r);
}

void layer_look(const struct ec2_scope *s, struct str name)
{
	struct state_ec2_layer_record r;
	if (layer_get(s, name, &r))
		layer_put(s, name, &r);
}

/* --- in several regions and accounts */

/* Snapshots are paid for by what their own layer holds (usage.c). */
static int64_t bytes_of(const struct ec2_scope *s, struct str name)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_snapshot);
	struct state_ec2_snapshot_record r;
	int64_t bytes = 0;
	while (ec2_next(&all, &r))
		if (str_eq(r.layer, name))
			bytes += r.bytes.v;
	return bytes;
}

int64_t layer_share(const struct ec2_scope *from, const struct ec2_scope *to, struct str name)
{
	struct state_ec2_layer_record r, there;
	int64_t bytes = 0;
	if (str_eq(from->region, to->region) && str_eq(from->account, to->account))
		return 0;
	for (; layer_get(from, name, &r) && !layer_get(to, name, &there); name = r.under) {
		bytes += bytes_of(from, name);
		layer_put(to, name, &r);
		take_over(from, name);
		store_put(to->txn, shared_key(from, name), S(""));
		store_put(to->txn, shared_key(to, name), S(""));
	}
	return bytes;
}

static bool others_below(const struct ec2_scope *s, struct str under, struct str own)
{
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	struct str key;
	while (store_next(iter, &key, &v))
		if (!str_eq(key, own))
			return true;
	return false;
}

static bool elsewhere(const struct ec2_scope *s, struct str name)
{
	return others_below(s, KEY_UNDER(s->arena, S("ec2-layer-in"), name), shared_key(s, name)) ||
	       others_below(s, KEY_UNDER(s->arena, S("ec2-shared-layer"), s->account, name), old_shared_key(s, name));
}

/* --- their end */

static bool stood_on(const struct ec2_scope *s, struct str name)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_snapshot);
	struct state_ec2_snapshot_record snapshot;
	while (ec2_next(&all, &snapshot))
		if (str_eq(snapshot.layer, name))
			return true;
	struct state_ec2_volume_record volume;
	all = ec2_all(s, &ec2_kind_volume);
	while (ec2_next(&all, &volume))
		if (str_eq(volume.layer, name))
			return true;
	struct state_ec2_layer_record layer;
	all = ec2_all(s, &ec2_kind_layer);
	while (ec2_next(&all, &layer))
		if (str_eq(layer.under, name))
			return true;
	return false;
}

static void drop(const struct ec2_scope *s, struct str name, const struct state_ec2_layer_record *r)
{
	store_delete(s->txn, layer_key(s, name));
	store_delete(s->txn, shared_key(s, name));
	store_delete(s->txn, old_shared_key(s, name));
	layer_look(s, r->under);
}

static struct str name_of(const struct desk_item *i)
{
	return str_from_at(i->id, sizeof("layer:::") - 1 + i->account.n + i->region.n);
}

static void edit_gone(const struct ec2_scope *s, void *ctx)
{
	struct state_ec2_layer_record r;
	if (layer_get(s, name_of(ctx), &r))
		drop(s, name_of(ctx), &r);
}

/* Another region, or another account, has it still, unless that has let go meanwhile: then the record is written anew, and the file
 * goes by the next step. */
static void edit_left(const struct ec2_scope *s, void *ctx)
{
	struct state_ec2_layer_record r;
	if (!layer_get(s, name_of(ctx), &r) || stood_on(s, name_of(ctx)))
		return;
	if (elsewhere(s, name_of(ctx)))
		drop(s, name_of(ctx), &r);
	else
		layer_put(s, name_of(ctx), &r);
}

static void ended(void *ctx)
{
	desk_done(ctx);
}

static void gone(struct desk_item *i, int error)
{
	if (error < 0) {
		desk_done(i);
		i->dirty = false;
		return;
	}
	desk_edit(i->desk, i->account, i->region, edit_gone, ended, i);
}

void storage_step_layer(struct desk_item *i, const struct ec2_scope *s)
{
	struct state_ec2_layer_record r;
	if (!layer_get(s, name_of(i), &r) || stood_on(s, name_of(i)))
		return;
	if (elsewhere(s, name_of(i))) {
		i->busy++;
		desk_edit(i->desk, i->account, i->region, edit_left, ended, i);
	} else {
		storage_do(i, STORAGE_DELETE, name_of(i), STR_NONE, 0, gone);
	}
}
