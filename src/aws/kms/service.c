#include "rows.h"

#include "core/meter.h"

#include <stdlib.h>

/* --- what permissions are about: a key, with its policy and grants */

static int about(struct call *c, struct authz *az, struct str id, const struct str_map *context)
{
	struct kms_found k;
	if (kms_find(c, id, &k) != CALL_OK)
		return CALL_FAIL;
	kms_about(c, az, &k, context);
	return CALL_OK;
}

#define ABOUT(type, answer) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct kms_##type##_request *in = input; \
		return answer; \
	}
#define ABOUT_KEY(type) ABOUT(type, about(c, az, in->key_id, NULL))
#define ABOUT_CONTEXT(type) ABOUT(type, about(c, az, in->key_id, &in->encryption_context))
ABOUT_KEY(cancel_key_deletion)
ABOUT_KEY(create_grant)
ABOUT_KEY(describe_key)
ABOUT_KEY(disable_key)
ABOUT_KEY(disable_key_rotation)
ABOUT_KEY(enable_key)
ABOUT_KEY(enable_key_rotation)
ABOUT_CONTEXT(encrypt)
ABOUT_CONTEXT(generate_data_key)
ABOUT_CONTEXT(generate_data_key_without_plaintext)
ABOUT_KEY(generate_mac)
ABOUT_KEY(get_key_policy)
ABOUT_KEY(get_key_rotation_status)
ABOUT_KEY(get_public_key)
ABOUT_KEY(list_grants)
ABOUT_KEY(list_key_policies)
ABOUT_KEY(list_key_rotations)
ABOUT_KEY(list_resource_tags)
ABOUT_KEY(put_key_policy)
ABOUT_KEY(revoke_grant)
ABOUT_KEY(rotate_key_on_demand)
ABOUT_KEY(schedule_key_deletion)
ABOUT_KEY(sign)
ABOUT_KEY(untag_resource)
ABOUT_KEY(update_key_description)
ABOUT_KEY(verify)
ABOUT_KEY(verify_mac)

static int about_decrypt(struct call *c, const void *input, struct authz *az)
{
	const struct kms_decrypt_request *in = input;
	struct kms_found k;
	if (kms_find_of_blob(c, in->ciphertext_blob, &k) != CALL_OK)
		return CALL_FAIL;
	kms_about(c, az, &k, &in->encryption_context);
	return CALL_OK;
}

/* Two keys, and two permissions. */
static int about_re_encrypt(struct call *c, const void *input, struct authz *az)
{
	const struct kms_re_encrypt_request *in = input;
	struct kms_found from;
	struct authz first = {.action = S("kms:ReEncryptFrom")};
	if (kms_find_of_blob(c, in->ciphertext_blob, &from) != CALL_OK)
		return CALL_FAIL;
	kms_about(c, &first, &from, &in->source_encryption_context);
	if (!call_authorize(c, &first))
		return CALL_FAIL;
	az->action = S("kms:ReEncryptTo");
	return about(c, az, in->destination_key_id, &in->destination_encryption_context);
}

static void add_request_tags(struct call *c, struct authz *az, const struct kms_tag_list *tags)
{
	struct str_map map = {0};
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(c->arena, &map) = (struct str_map_entry){tags->v[i].tag_key, tags->v[i].tag_value};
	authz_add_tags(c, az, "aws:RequestTag", &map);
	for (uint32_t i = 0; i < tags->n; i++)
		authz_add(c, az, "aws:TagKeys", tags->v[i].tag_key);
}

static int about_create_key(struct call *c, const void *input, struct authz *az)
{
	const struct kms_create_key_request *in = input;
	authz_add(c, az, "kms:KeySpec", str_set(in->key_spec) ? in->key_spec : S("SYMMETRIC_DEFAULT"));
	authz_add(c, az, "kms:KeyUsage", str_set(in->key_usage) ? in->key_usage : S("ENCRYPT_DECRYPT"));
	authz_add(c, az, "kms:CallerAccount", c->caller->account);
	add_request_tags(c, az, &in->tags);
	if (!in->tags.n)
		return CALL_OK;
	struct authz tagging = *az;
	tagging.action = S("kms:TagResource");
	return call_authorize(c, &tagging) ? CALL_OK : CALL_FAIL;
}

static int about_tag_resource(struct call *c, const void *input, struct authz *az)
{
	const struct kms_tag_resource_request *in = input;
	add_request_tags(c, az, &in->tags);
	return about(c, az, in->key_id, NULL);
}

/* Of an alias both are asked: the alias itself, and the key that it names or is to name. */
static int about_alias(struct call *c, struct authz *az, struct str name, struct str target)
{
	struct kms_found k;
	struct authz key = {.action = az->action};
	az->resource = kms_alias_arn(c, name);
	if (!str_set(target)) {
		/* One that is not there is the handler's to say, to those who may delete it. */
		struct state_kms_alias_record r;
		if (!record_get(call_txn(c), c->arena, kms_alias_key(c, c->account, name), &kms_alias_row, &r) ||
		    !kms_load(c, c->account, r.key_id, &k))
			return CALL_OK;
	} else if (kms_find_key(c, target, &k) != CALL_OK) {
		return str_starts(target, S("alias/")) ? CALL_OK : CALL_FAIL;
	}
	kms_about(c, &key, &k, NULL);
	return call_authorize(c, &key) ? CALL_OK : CALL_FAIL;
}
ABOUT(create_alias, about_alias(c, az, in->alias_name, in->target_key_id))
ABOUT(update_alias, about_alias(c, az, in->alias_name, in->target_key_id))
ABOUT(delete_alias, about_alias(c, az, in->alias_name, STR_NONE))

/* --- the table */

#define ROW(c_name, name, ...) OP(kms, c_name, name, .resource = about_##c_name, ##__VA_ARGS__)
static const struct service_op ops[] = {
        ROW(cancel_key_deletion, CancelKeyDeletion),
        ROW(create_alias, CreateAlias),
        ROW(create_grant, CreateGrant, .missing = "grants to services of AWS"),
        ROW(create_key, CreateKey,
            .missing = "multi-Region keys, custom key stores, imported material, encryption with RSA, key agreement, SM2, ML-DSA, "
                       "Ed25519"),
        ROW(decrypt, Decrypt, .missing = "RSA keys, Nitro enclaves"),
        ROW(delete_alias, DeleteAlias),
        ROW(describe_key, DescribeKey),
        ROW(disable_key, DisableKey),
        ROW(disable_key_rotation, DisableKeyRotation),
        ROW(enable_key, EnableKey),
        ROW(enable_key_rotation, EnableKeyRotation),
        ROW(encrypt, Encrypt, .missing = "RSA keys"),
        ROW(generate_data_key, GenerateDataKey, .missing = "Nitro enclaves"),
        ROW(generate_data_key_without_plaintext, GenerateDataKeyWithoutPlaintext),
        ROW(generate_mac, GenerateMac, .flags = OP_READ),
        OP(kms, generate_random, GenerateRandom, .flags = OP_READ, .missing = "custom key stores, Nitro enclaves"),
        ROW(get_key_policy, GetKeyPolicy, .flags = OP_READ),
        ROW(get_key_rotation_status, GetKeyRotationStatus, .flags = OP_READ),
        ROW(get_public_key, GetPublicKey, .flags = OP_READ),
        OP(kms, list_aliases, ListAliases, .flags = OP_READ),
        ROW(list_grants, ListGrants, .flags = OP_READ),
        ROW(list_key_policies, ListKeyPolicies, .flags = OP_READ),
        ROW(list_key_rotations, ListKeyRotations, .flags = OP_READ),
        OP(kms, list_keys, ListKeys, .flags = OP_READ),
        ROW(list_resource_tags, ListResourceTags, .flags = OP_READ),
        OP(kms, list_retirable_grants, ListRetirableGrants, .flags = OP_READ),
        ROW(put_key_policy, PutKeyPolicy),
        ROW(re_encrypt, ReEncrypt, .missing = "RSA keys"),
        OP(kms, retire_grant, RetireGrant, .flags = OP_OPEN),
        ROW(revoke_grant, RevokeGrant),
        ROW(rotate_key_on_demand, RotateKeyOnDemand),
        ROW(schedule_key_deletion, ScheduleKeyDeletion),
        ROW(sign, Sign, .flags = OP_READ),
        ROW(tag_resource, TagResource),
        ROW(untag_resource, UntagResource),
        ROW(update_alias, UpdateAlias),
        ROW(update_key_description, UpdateKeyDescription),
        ROW(verify, Verify, .flags = OP_READ),
        ROW(verify_mac, VerifyMac, .flags = OP_READ),
};

static int kms_start(struct cloud *cloud, void **ret_state)
{
	*ret_state = kms_keeper_new(cloud);
	return 0;
}

static void kms_stop(void *state)
{
	kms_keeper_free(state);
}

static bool kms_busy(void *state)
{
	return kms_keeper_busy(state);
}

/* Requests cost, whatever they end with. */
static void kms_count(struct call *c)
{
	if (c->caller && str_set(c->account) && c->account.n)
		meter_count(c->cloud->meter, c->account, c->region, S("KMS-Requests"), 1);
}

const struct service kms_service = {
        .api = &kms_api,
        .iam_prefix = "kms",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .unsupported = "UnsupportedOperationException",
        .start = kms_start,
        .stop = kms_stop,
        .busy = kms_busy,
        .dress_reply = kms_count,
};
