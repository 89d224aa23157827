/* EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand, ListKeyRotations. A rotation gives the key one
 * more material: the newest encrypts, and all of them decrypt. The keeper does those that come by the clock. */
#include "rows.h"

#include "base/rand.h"

enum { DAYS_DEFAULT = 365, ON_DEMAND_MAX = 25 };

static int find(struct call *c, struct str id, struct kms_found *ret)
{
	if (kms_find_key(c, id, ret) != CALL_OK)
		return CALL_FAIL;
	if (!kms_spec_symmetric(kms_spec(ret->r.spec)))
		return call_fail(c, "UnsupportedOperationException", 0, "%.*s is not a symmetric encryption key.",
		                 STR_ARG(ret->arn));
	return CALL_OK;
}

static int find_changeable(struct call *c, struct str id, struct kms_found *ret)
{
	if (find(c, id, ret) != CALL_OK || kms_changeable(c, ret) != CALL_OK)
		return CALL_FAIL;
	return str_is(ret->r.state, "Disabled") ? call_fail(c, "DisabledException", 0, "%.*s is disabled.", STR_ARG(ret->arn))
	                                        : CALL_OK;
}

int kms_enable_key_rotation(struct call *c, const struct kms_enable_key_rotation_request *in, struct model_none *out)
{
	(void)out;
	struct kms_found k;
	if (find_changeable(c, in->key_id, &k) != CALL_OK)
		return CALL_FAIL;
	int64_t days = in->rotation_period_in_days.set ? in->rotation_period_in_days.v
	               : k.r.rotation_days.set         ? k.r.rotation_days.v
	                                               : DAYS_DEFAULT;
	/* Said again with the same period, it changes no date. */
	if (!k.r.next_rotation.set || k.r.rotation_days.v != days)
		k.r.next_rotation = OPT_TIME(c->now_ms + days * KMS_DAY_MS);
	k.r.rotation_days = OPT_INT(days);
	kms_save(c, &k);
	call_after_commit(c, kms_keeper_wake);
	return CALL_OK;
}

int kms_disable_key_rotation(struct call *c, const struct kms_disable_key_rotation_request *in, struct model_none *out)
{
	(void)out;
	struct kms_found k;
	if (find_changeable(c, in->key_id, &k) != CALL_OK)
		return CALL_FAIL;
	k.r.next_rotation = (struct opt_time){0};
	kms_save(c, &k);
	return CALL_OK;
}

int kms_get_key_rotation_status(struct call *c, const struct kms_get_key_rotation_status_request *in,
                                struct kms_get_key_rotation_status_response *out)
{
	struct kms_found k;
	if (kms_find_key(c, in->key_id, &k) != CALL_OK)
		return CALL_FAIL;
	out->key_id = k.arn;
	out->key_rotation_enabled = OPT_BOOL(k.r.next_rotation.set);
	if (k.r.next_rotation.set) {
		out->rotation_period_in_days = k.r.rotation_days;
		out->next_rotation_date = k.r.next_rotation;
	}
	return CALL_OK;
}

int kms_rotate_key_on_demand(struct call *c, const struct kms_rotate_key_on_demand_request *in,
                             struct kms_rotate_key_on_demand_response *out)
{
	struct kms_found k;
	unsigned asked = 0;
	if (find_changeable(c, in->key_id, &k) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < k.r.materials.n; i++)
		asked += str_is(k.r.materials.v[i].rotation_type, "ON_DEMAND");
	if (asked >= ON_DEMAND_MAX)
		return call_fail(c, "LimitExceededException", 0, "A key can be rotated %d times on demand.", ON_DEMAND_MAX);
	unsigned char secret[KMS_MATERIAL_BYTES];
	rand_bytes(secret, sizeof(secret));
	bool good = kms_material_add(c, &k, str_of(secret, sizeof(secret)), "ON_DEMAND");
	explicit_bzero(secret, sizeof(secret));
	if (!good)
		return call_broken(c, "a key's new material cannot be sealed");
	kms_save(c, &k);
	kms_meter(call_txn(c), c->arena, k.account, c->region, &k.r, c->now_ms);
	out->key_id = k.r.id;
	return CALL_OK;
}

int kms_list_key_rotations(struct call *c, const struct kms_list_key_rotations_request *in,
                           struct kms_list_key_rotations_response *out)
{
	struct kms_found k;
	uint64_t from = 0;
	uint32_t limit = in->limit.set ? (uint32_t)in->limit.v : 100;
	bool all = str_is(in->include_key_material, "ALL_KEY_MATERIAL");
	if (find(c, in->key_id, &k) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->marker) && !str_to_u64(in->marker, &from))
		return call_fail(c, "InvalidMarkerException", 0, "Could not deserialize marker.");
	out->rotations.set = true;
	out->truncated = OPT_BOOL(false);
	for (uint32_t i = (uint32_t)from; i < k.r.materials.n; i++) {
		const struct state_kms_material *m = &k.r.materials.v[i];
		if (!all && !str_set(m->rotation_type))
			continue;
		if (out->rotations.n == limit) {
			out->truncated = OPT_BOOL(true);
			out->next_marker = arena_printf(c->arena, "%u", i);
			break;
		}
		struct kms_rotations_list_entry *e = LIST_ADD(c->arena, &out->rotations);
		*e = (struct kms_rotations_list_entry){
		        .key_id = k.arn, .key_material_id = m->id, .rotation_type = m->rotation_type};
		e->key_material_state = i + 1 == k.r.materials.n ? S("CURRENT") : S("NON_CURRENT");
		if (str_set(m->rotation_type))
			e->rotation_date = m->created;
	}
	return CALL_OK;
}
