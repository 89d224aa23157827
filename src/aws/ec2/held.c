/* What belongs to what: an instance's interfaces and disks, a reservation's instances. Beside every record that says so lies a key
 * without a value, ("ec2", account, region, prefix-of, holder, id), written and removed with the record: so one instance of many is
 * shown by reading what is its own. Records of a time before these keys get them at the start, once: the store says that it has
 * been done by the number under ("ec2", "format"). */
#include "aws/ec2/compute.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

struct str ec2_interface_holder(const void *record)
{
	const struct ec2_network_interface_attachment *at =
	        ((const struct state_vpc_interface_record *)record)->interface->attachment;
	return at ? at->instance_id : STR_NONE;
}

struct str ec2_volume_holder(const void *record)
{
	const struct ec2_volume *v = ((const struct state_ec2_volume_record *)record)->volume;
	return v->attachments.n ? v->attachments.v[0].instance_id : STR_NONE;
}

struct str ec2_instance_holder(const void *record)
{
	return ((const struct state_ec2_instance_record *)record)->reservation;
}

static struct str name_of(const struct ec2_scope *s, const struct ec2_kind *kind)
{
	return ARENA_CAT(s->arena, str_from(kind->prefix), S("-of"));
}

static struct str key_of(const struct ec2_scope *s, const struct ec2_kind *kind, struct str holder, struct str id)
{
	return KEY(s->arena, S("ec2"), s->account, s->region, name_of(s, kind), holder, id);
}

void ec2_held_note(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id, const void *record)
{
	if (!kind->holder)
		return;
	struct str now = record ? kind->holder(record) : STR_NONE, before = STR_NONE;
	void *old = arena_zalloc(s->arena, kind->size);
	if (ec2_find(s, kind, id, old))
		before = kind->holder(old);
	if (str_set(before) == str_set(now) && (!str_set(now) || str_eq(before, now)))
		return;
	if (str_set(before))
		store_delete(s->txn, key_of(s, kind, before, id));
	if (str_set(now))
		store_put(s->txn, key_of(s, kind, now, id), S(""));
}

struct ec2_held ec2_held(const struct ec2_scope *s, const struct ec2_kind *kind, struct str holder)
{
	struct str under = KEY_UNDER(s->arena, S("ec2"), s->account, s->region, name_of(s, kind), holder);
	return (struct ec2_held){.arena = s->arena, .iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false)};
}

struct ec2_held ec2_held_all(const struct ec2_scope *s, const struct ec2_kind *kind, struct str after)
{
	struct str under = KEY_UNDER(s->arena, S("ec2"), s->account, s->region, name_of(s, kind)), from = under;
	if (str_set(after))
		from = store_prefix_end(s->arena, KEY_UNDER(s->arena, S("ec2"), s->account, s->region, name_of(s, kind), after));
	return (struct ec2_held){.arena = s->arena, .iter = store_scan(s->txn, from, store_prefix_end(s->arena, under), false)};
}

bool ec2_held_next(struct ec2_held *h)
{
	struct str key;
	struct store_value v;
	if (!store_next(h->iter, &key, &v))
		return false;
	struct str_list parts = record_key_parts(h->arena, key);
	h->holder = parts.v[4];
	h->id = parts.v[5];
	return true;
}

/* --- data of before */

static const struct ec2_kind *held_kind(struct str prefix)
{
	static const struct ec2_kind *const kinds[] = {&ec2_kind_interface, &ec2_kind_volume, &ec2_kind_instance};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (str_is(prefix, kinds[i]->prefix))
			return kinds[i];
	return NULL;
}

size_t ec2_held_complete(struct store_txn *t, struct arena *a)
{
	struct str under = KEY_UNDER(a, S("ec2")), format = KEY(a, S("ec2"), S("format")), key;
	struct str_list records = {0};
	struct store_value v;
	size_t made = 0;
	if (store_get(t, format, &v))
		return 0;
	struct store_iter *iter = store_scan(t, under, store_prefix_end(a, under), false);
	while (store_next(iter, &key, &v)) {
		struct str_list parts = record_key_parts(a, key);
		if (parts.n == 5 && held_kind(parts.v[3]))
			*LIST_ADD(a, &records) = arena_dup(a, key);
	}
	for (uint32_t i = 0; i < records.n; i++) {
		struct str_list parts = record_key_parts(a, records.v[i]);
		const struct ec2_kind *kind = held_kind(parts.v[3]);
		struct ec2_scope s = {.txn = t, .arena = a, .account = parts.v[1], .region = parts.v[2]};
		void *record = arena_zalloc(a, kind->size);
		struct str holder = record_get(t, a, records.v[i], &kind->row, record) ? kind->holder(record) : STR_NONE;
		if (!str_set(holder) || store_get(t, key_of(&s, kind, holder, parts.v[4]), &v))
			continue;
		store_put(t, key_of(&s, kind, holder, parts.v[4]), S(""));
		made++;
	}
	/* without records there is nothing to remember: the next start has as little to do */
	if (records.n)
		store_put(t, format, S("1"));
	return made;
}

static void completed(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	*(int *)ctx = result;
}

int ec2_held_start(struct store *store, struct loop *loop)
{
	int result = -EAGAIN;
	while (result == -EAGAIN) {
		struct arena CLEAN_ARENA a = {0};
		struct store_txn *t = store_begin(store, &a);
		size_t made = ec2_held_complete(t, &a);
		result = 1;
		store_commit(t, completed, &result);
		while (result == 1)
			loop_turn(loop, -1);
		if (result == 0 && made)
			log_info("ec2: %zu keys of what belongs to what were made for records of before", made);
	}
	return result;
}
