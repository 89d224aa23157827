/* CreateKey, DescribeKey, ListKeys, EnableKey, DisableKey, UpdateKeyDescription, ScheduleKeyDeletion, CancelKeyDeletion. */
#include "rows.h"

#include "base/id.h"
#include "core/meter.h"

#include <stdlib.h>

enum { WINDOW_MIN = 7, WINDOW_MAX = 30 };

void kms_meter(struct store_txn *t, struct arena *a, struct str account, struct str region, const struct state_kms_key_record *r,
               int64_t now_ms)
{
	/* The first and second rotation cost as much as another key each. */
	const uint32_t rotated = r->materials.n - 1;
	const struct meter_use use = {.usage = S("KMS-Keys"), .rate = 1 + (rotated < 2 ? rotated : 2)};
	bool charged = str_is(r->manager, "CUSTOMER") && !str_is(r->state, "PendingDeletion");
	struct str arn = kms_key_arn(a, account, region, r->id);
	meter_tags(t, a, account, region, arn, &r->tags, now_ms);
	meter_set(t, a, account, region, arn, &use, charged ? 1 : 0, now_ms);
}

static void save(struct call *c, const struct kms_found *k)
{
	kms_save(c, k);
	kms_meter(call_txn(c), c->arena, k->account, c->region, &k->r, c->now_ms);
}

void kms_metadata(struct call *c, const struct kms_found *k, struct kms_key_metadata *ret)
{
	const struct state_kms_key_record *r = &k->r;
	const struct kms_spec *spec = kms_spec(r->spec);
	*ret = (struct kms_key_metadata){
	        .aws_account_id = k->account,
	        .key_id = r->id,
	        .arn = k->arn,
	        .creation_date = r->created,
	        .enabled = OPT_BOOL(str_is(r->state, "Enabled")),
	        .description = str_set(r->description) ? r->description : S(""),
	        .key_usage = r->usage,
	        .key_state = r->state,
	        .origin = S("AWS_KMS"),
	        .key_manager = r->manager,
	        .customer_master_key_spec = r->spec,
	        .key_spec = r->spec,
	        .multi_region = OPT_BOOL(false),
	};
	if (str_is(r->state, "PendingDeletion"))
		ret->deletion_date = r->deletion_date;
	struct str_list algorithms = kms_spec_algorithms(c->arena, spec, r->usage);
	if (str_is(r->usage, "ENCRYPT_DECRYPT"))
		ret->encryption_algorithms = algorithms;
	else if (str_is(r->usage, "SIGN_VERIFY"))
		ret->signing_algorithms = algorithms;
	else
		ret->mac_algorithms = algorithms;
	if (kms_spec_symmetric(spec))
		ret->current_key_material_id = kms_material_current(r)->id;
}

/* --- CreateKey: the secret is made on a thread, since that of RSA takes a second */

struct making {
	struct call_errand errand;
	struct arena arena;
	const struct kms_spec *spec;
	struct str secret, public;
	bool good;
};

static void making_run(void *job)
{
	struct making *m = job;
	m->good = kms_spec_generate(&m->arena, m->spec, &m->secret, &m->public);
}

static void making_done(void *job)
{
	struct making *m = job;
	call_over(&m->errand);
}

static void making_drop(struct call_errand *e)
{
	struct making *m = (struct making *)e;
	kms_forget(m->secret);
	arena_done(&m->arena);
	free(m);
}

static int make(struct call *c, const struct kms_spec *spec)
{
	struct making *m = calloc(1, sizeof(*m));
	if (!m)
		abort();
	m->errand.drop = making_drop;
	m->spec = spec;
	work_add(c->cloud->work, making_run, making_done, m);
	return call_wait_for(c, &m->errand);
}

static int check(struct call *c, const struct kms_create_key_request *in, struct state_kms_key_record *r)
{
	if (str_set(in->key_spec) && str_set(in->customer_master_key_spec) && !str_eq(in->key_spec, in->customer_master_key_spec))
		return kms_invalid(c, "You can only specify a KeySpec or a CustomerMasterKeySpec but not both in the same request. "
		                      "CustomerMasterKeySpec is deprecated.");
	if (in->multi_region.v)
		return kms_unsupported(c, "Multi-Region keys are");
	if (str_set(in->custom_key_store_id) || str_set(in->xks_key_id) || (str_set(in->origin) && !str_is(in->origin, "AWS_KMS")))
		return kms_unsupported(c, "Custom key stores and imported key material are");
	r->spec = str_set(in->key_spec)                   ? in->key_spec
	          : str_set(in->customer_master_key_spec) ? in->customer_master_key_spec
	                                                  : S("SYMMETRIC_DEFAULT");
	const struct kms_spec *spec = kms_spec(r->spec);
	if (!spec)
		return kms_unsupported(c, arena_printf(c->arena, "Keys of the spec %.*s are", STR_ARG(r->spec)).p);
	r->usage = str_set(in->key_usage) ? in->key_usage : str_from(kms_spec_symmetric(spec) ? "ENCRYPT_DECRYPT" : spec->usage);
	if (!str_set(r->usage) || (!kms_spec_symmetric(spec) && !str_set(in->key_usage)))
		return kms_invalid(c, "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.");
	bool fits = spec->usage ? str_is(r->usage, spec->usage) : str_is(r->usage, "SIGN_VERIFY");
	if (!spec->usage && str_is(r->usage, "ENCRYPT_DECRYPT"))
		return kms_unsupported(c, "Encryption with RSA keys is");
	if (str_is(r->usage, "KEY_AGREEMENT"))
		return kms_unsupported(c, "Key agreement is");
	if (!fits)
		return kms_invalid(c, "KeyUsage %.*s is not compatible with KeySpec %.*s", STR_ARG(r->usage), STR_ARG(r->spec));
	return CALL_OK;
}

int kms_create_key(struct call *c, const struct kms_create_key_request *in, struct kms_create_key_response *out)
{
	const struct making *m = c->state;
	struct kms_found k = {.account = c->account, .r = {.manager = S("CUSTOMER"), .state = S("Enabled")}};
	if (check(c, in, &k.r) != CALL_OK || kms_tags_take(c, &in->tags, &k.r.tags) != CALL_OK)
		return CALL_FAIL;
	k.r.id = id_uuid(c->arena);
	k.arn = kms_key_arn(c->arena, c->account, c->region, k.r.id);
	k.r.description = str_set(in->description) ? in->description : S("");
	k.r.policy = str_set(in->policy) ? in->policy : kms_policy_default(c->arena, c->account);
	k.r.created = OPT_TIME(c->now_ms);
	if (str_set(in->policy) && kms_policy_check(c, k.arn, in->policy, in->bypass_policy_lockout_safety_check.v) != CALL_OK)
		return CALL_FAIL;
	if (!m)
		return make(c, kms_spec(k.r.spec));
	k.r.public_key = m->public;
	if (!m->good || !kms_material_add(c, &k, m->secret, NULL))
		return call_broken(c, "a key cannot be made or sealed");
	save(c, &k);
	out->key_metadata = arena_new(c->arena, struct kms_key_metadata);
	kms_metadata(c, &k, out->key_metadata);
	return CALL_OK;
}

/* --- reading */

int kms_describe_key(struct call *c, const struct kms_describe_key_request *in, struct kms_describe_key_response *out)
{
	struct kms_found k;
	if (kms_find(c, in->key_id, &k) != CALL_OK)
		return CALL_FAIL;
	out->key_metadata = arena_new(c->arena, struct kms_key_metadata);
	kms_metadata(c, &k, out->key_metadata);
	return CALL_OK;
}

int kms_list_keys(struct call *c, const struct kms_list_keys_request *in, struct kms_list_keys_response *out)
{
	uint32_t limit = in->limit.set ? (uint32_t)in->limit.v : 100;
	struct str under = kms_key_under(c->arena, c->account, c->region), from, key, last = STR_NONE;
	struct store_value v;
	struct state_kms_key_record r;
	if (!kms_marker(c, in->marker, under, &from))
		return CALL_FAIL;
	out->keys.set = true;
	out->truncated = OPT_BOOL(false);
	struct store_iter *i = store_scan(call_txn(c), from, store_prefix_end(c->arena, under), false);
	while (store_next(i, &key, &v)) {
		if (!record_read(c->arena, v.value, &kms_key_row, &r) || kms_gone(&r, c->now_ms))
			continue;
		if (out->keys.n == limit) {
			out->truncated = OPT_BOOL(true);
			out->next_marker = kms_marker_of(c, last);
			break;
		}
		*LIST_ADD(c->arena, &out->keys) =
		        (struct kms_key_list_entry){.key_id = r.id, .key_arn = kms_key_arn(c->arena, c->account, c->region, r.id)};
		last = arena_dup(c->arena, key);
	}
	return CALL_OK;
}

/* --- changing */

static int set_state(struct call *c, struct str id, struct str state)
{
	struct kms_found k;
	if (kms_find_key(c, id, &k) != CALL_OK || kms_changeable(c, &k) != CALL_OK)
		return CALL_FAIL;
	k.r.state = state;
	save(c, &k);
	return CALL_OK;
}

int kms_enable_key(struct call *c, const struct kms_enable_key_request *in, struct model_none *out)
{
	(void)out;
	return set_state(c, in->key_id, S("Enabled"));
}

int kms_disable_key(struct call *c, const struct kms_disable_key_request *in, struct model_none *out)
{
	(void)out;
	return set_state(c, in->key_id, S("Disabled"));
}

int kms_update_key_description(struct call *c, const struct kms_update_key_description_request *in, struct model_none *out)
{
	(void)out;
	struct kms_found k;
	if (kms_find_key(c, in->key_id, &k) != CALL_OK || kms_changeable(c, &k) != CALL_OK)
		return CALL_FAIL;
	k.r.description = in->description;
	save(c, &k);
	return CALL_OK;
}

int kms_schedule_key_deletion(struct call *c, const struct kms_schedule_key_deletion_request *in,
                              struct kms_schedule_key_deletion_response *out)
{
	struct kms_found k;
	int64_t days = in->pending_window_in_days.set ? in->pending_window_in_days.v : WINDOW_MAX;
	if (days < WINDOW_MIN || days > WINDOW_MAX)
		return kms_invalid(c, "PendingWindowInDays must be between %d and %d.", WINDOW_MIN, WINDOW_MAX);
	if (kms_find_key(c, in->key_id, &k) != CALL_OK || kms_changeable(c, &k) != CALL_OK)
		return CALL_FAIL;
	k.r.state = S("PendingDeletion");
	k.r.deletion_date = OPT_TIME(c->now_ms + days * KMS_DAY_MS);
	save(c, &k);
	call_after_commit(c, kms_keeper_wake);
	*out = (struct kms_schedule_key_deletion_response){.key_id = k.arn,
	                                                   .deletion_date = k.r.deletion_date,
	                                                   .key_state = k.r.state,
	                                                   .pending_window_in_days = OPT_INT(days)};
	return CALL_OK;
}

/* The key is disabled afterwards. */
int kms_cancel_key_deletion(struct call *c, const struct kms_cancel_key_deletion_request *in,
                            struct kms_cancel_key_deletion_response *out)
{
	struct kms_found k;
	if (kms_find_key(c, in->key_id, &k) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(k.r.state, "PendingDeletion"))
		return call_fail(c, "KMSInvalidStateException", 0, "%.*s is not pending deletion.", STR_ARG(k.arn));
	k.r.state = S("Disabled");
	k.r.deletion_date = (struct opt_time){0};
	save(c, &k);
	out->key_id = k.arn;
	return CALL_OK;
}
