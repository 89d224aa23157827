/* Keys of KMS: their records, names and material. Private to aws/kms.
 *
 * A key lies under ("kms", "key", account, region, id) with all its material, sealed by this machine's key (core/seal.h) and bound
 * to the key's ARN; aliases under ("kms", "alias", account, region, name); grants under ("kms", "grant", account, region, key, id).
 */
#pragma once
#include "core/record.h"
#include "core/service.h"
#include "gen/kms.h"
#include "gen/state_kms.h"
#include "kms.h"

enum { KMS_MATERIAL_BYTES = 32, KMS_MATERIALS_MAX = 100, KMS_PLAIN_MAX = 4096 };
#define KMS_DAY_MS INT64_C(86400000)

extern const struct service kms_service;
extern const struct record_type kms_key_row, kms_alias_row, kms_grant_row;

/* A key as it was found: whose, and where it lies. */
struct kms_found {
	struct str account, arn, alias; /* alias: by which it was found; absent: by its id */
	struct state_kms_key_record r;
};

/* --- rows.c */
struct str kms_key_under(struct arena *a, struct str account, struct str region);
struct str kms_alias_under(struct arena *a, struct str account, struct str region);
struct str kms_grant_under(struct arena *a, struct str account, struct str region, struct str key_id);
struct str kms_key_arn(struct arena *a, struct str account, struct str region, struct str id);
struct str kms_alias_arn(struct call *c, struct str name);
/* By id, ARN, alias or an alias's ARN; AWS managed keys are made when they are first asked for. CALL_OK, or NotFoundException. */
int kms_find(struct call *c, struct str reference, struct kms_found *ret);
/* The same of an id or a key's ARN alone, as the operations that change a key want it. */
int kms_find_key(struct call *c, struct str reference, struct kms_found *ret);
bool kms_load(struct call *c, struct str account, struct str id, struct kms_found *ret);
void kms_save(struct call *c, const struct kms_found *k);
void kms_drop(struct store_txn *t, struct arena *a, struct str account, struct str region, const struct state_kms_key_record *r);
/* How a key's state reads now. */
bool kms_gone(const struct state_kms_key_record *r, int64_t now_ms);
/* It can be used for cryptography now, for this: "ENCRYPT_DECRYPT". CALL_OK, or the error of its state or usage. */
int kms_usable(struct call *c, const struct kms_found *k, const char *usage);
/* It is a customer's, and not about to be deleted: it may be changed. */
int kms_changeable(struct call *c, const struct kms_found *k);
int kms_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int kms_unsupported(struct call *c, const char *what);
/* DryRun: everything was right, and nothing is to be done. */
int kms_dry_run(struct call *c);
/* Names of lists behind a marker; the marker is the last name that was shown. False: the marker is none, and the error is set. */
bool kms_marker(struct call *c, struct str marker, struct str under, struct str *ret_from);
struct str kms_marker_of(struct call *c, struct str key);

/* --- material.c */
/* One more material for the key, the current one from now on. False: this machine's key is not there. */
bool kms_material_add(struct call *c, struct kms_found *k, struct str secret, const char *rotation_type);
const struct state_kms_material *kms_material_current(const struct state_kms_key_record *r);
/* The secret of a material, to be wiped by kms_forget(). */
bool kms_material_open(struct call *c, const struct kms_found *k, const struct state_kms_material *m, struct str *ret);
void kms_forget(struct str secret);
/* The blob that the current material makes of plain. CALL_OK or CALL_FAIL. */
int kms_encrypt_with(struct call *c, const struct kms_found *k, struct str plain, const struct str_map *context, struct str *ret);
/* Which key a blob names; false: it is no blob of KMS. */
bool kms_blob_key(struct arena *a, struct str blob, struct str *ret_arn);
int kms_decrypt_with(struct call *c, const struct kms_found *k, struct str blob, const struct str_map *context, struct str *ret,
                     struct str *ret_material);
/* The key that a blob was made with. */
int kms_find_of_blob(struct call *c, struct str blob, struct kms_found *ret);

/* --- managed.c: aws/ssm and its like */
/* Has an alias of AWS's that name? "alias/aws/ssm": *ret_service "ssm". */
bool kms_managed_service(struct str alias, struct str *ret_service);
bool kms_managed_make(struct call *c, struct str service, struct kms_found *ret);
const char *kms_managed_name(unsigned i); /* of the alias; NULL behind the last */

/* --- policy.c */
struct str kms_policy_default(struct arena *a, struct str account);
/* Is it one, and does it let somebody change it again? CALL_OK or CALL_FAIL. */
int kms_policy_check(struct call *c, struct str key_arn, struct str text, bool bypass);
/* Fills what a permission on the key is about, with the condition keys that are known of it. */
void kms_about(struct call *c, struct authz *az, const struct kms_found *k, const struct str_map *context);

/* --- grant.c */
bool kms_granted(struct call *c, const struct kms_found *k, struct str action, const struct str_map *context);

/* --- alias.c */
struct str kms_alias_key(struct call *c, struct str account, struct str name);

/* --- spec.c: kinds of keys, and their secrets */
struct kms_spec {
	const char *name, *usage; /* usage: the default */
	unsigned bits;            /* RSA: of the modulus; HMAC: of the secret */
	const char *curve;        /* ECC: OpenSSL's name */
	const char *algorithms[8];
};
const struct kms_spec *kms_spec(struct str name);
bool kms_spec_symmetric(const struct kms_spec *s);
bool kms_spec_hmac(const struct kms_spec *s);
/* The spec's algorithms of a usage. */
struct str_list kms_spec_algorithms(struct arena *a, const struct kms_spec *s, struct str usage);
/* A new secret: bytes, or a private key as PKCS #8, with its public key. Any thread; RSA takes its time. */
bool kms_spec_generate(struct arena *a, const struct kms_spec *s, struct str *ret_secret, struct str *ret_public);

/* --- key.c */
void kms_metadata(struct call *c, const struct kms_found *k, struct kms_key_metadata *ret);
void kms_meter(struct store_txn *t, struct arena *a, struct str account, struct str region, const struct state_kms_key_record *r,
               int64_t now_ms);

/* --- tag.c */
int kms_tags_take(struct call *c, const struct kms_tag_list *tags, struct str_map *to);

/* --- keeper.c: what happens by the cloud's clock: keys are rotated, and deleted */
struct kms_keeper;
struct kms_keeper *kms_keeper_new(struct cloud *cloud);
void kms_keeper_free(struct kms_keeper *k);
/* Something is due earlier than it thought. */
void kms_keeper_wake(struct call *c);
bool kms_keeper_busy(const struct kms_keeper *k);

/* Handlers; each file says which. */
kms_cancel_key_deletion_handler kms_cancel_key_deletion;
kms_create_alias_handler kms_create_alias;
kms_create_grant_handler kms_create_grant;
kms_create_key_handler kms_create_key;
kms_decrypt_handler kms_decrypt;
kms_delete_alias_handler kms_delete_alias;
kms_describe_key_handler kms_describe_key;
kms_disable_key_handler kms_disable_key;
kms_disable_key_rotation_handler kms_disable_key_rotation;
kms_enable_key_handler kms_enable_key;
kms_enable_key_rotation_handler kms_enable_key_rotation;
kms_encrypt_handler kms_encrypt;
kms_generate_data_key_handler kms_generate_data_key;
kms_generate_data_key_without_plaintext_handler kms_generate_data_key_without_plaintext;
kms_generate_mac_handler kms_generate_mac;
kms_generate_random_handler kms_generate_random;
kms_get_key_policy_handler kms_get_key_policy;
kms_get_key_rotation_status_handler kms_get_key_rotation_status;
kms_get_public_key_handler kms_get_public_key;
kms_list_aliases_handler kms_list_aliases;
kms_list_grants_handler kms_list_grants;
kms_list_key_policies_handler kms_list_key_policies;
kms_list_key_rotations_handler kms_list_key_rotations;
kms_list_keys_handler kms_list_keys;
kms_list_resource_tags_handler kms_list_resource_tags;
kms_list_retirable_grants_handler kms_list_retirable_grants;
kms_put_key_policy_handler kms_put_key_policy;
kms_re_encrypt_handler kms_re_encrypt;
kms_retire_grant_handler kms_retire_grant;
kms_revoke_grant_handler kms_revoke_grant;
kms_rotate_key_on_demand_handler kms_rotate_key_on_demand;
kms_schedule_key_deletion_handler kms_schedule_key_deletion;
kms_sign_handler kms_sign;
kms_tag_resource_handler kms_tag_resource;
kms_untag_resource_handler kms_untag_resource;
kms_update_alias_handler kms_update_alias;
kms_update_key_description_handler kms_update_key_description;
kms_verify_handler kms_verify;
kms_verify_mac_handler kms_verify_mac;
