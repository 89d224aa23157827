/* What belongs to what: an instance's interfaces and disks, a reservation's instances. Beside every record that says so lies a key
 * without a value, ("ec2", account, region, prefix-of, holder, id), written and removed with the record: so one instance of many is
 * shown by reading what is its own. */
#include "aws/ec2/compute.h"

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
