/* Secrets: their records, names, versions and labels. Private to aws/secretsmanager.
 *
 * A secret lies under ("secretsmanager", "secret", account, region, name) with what is known of its versions; their values, sealed
 * by a key of KMS, lie under ("secretsmanager", "value", account, region, name, version). A name has at most 256 characters of a
 * few kinds, so it is a key as it is. */
#pragma once
#include "aws/kms/kms.h"
#include "core/record.h"
#include "core/service.h"
#include "gen/secretsmanager.h"
#include "gen/state_secretsmanager.h"
#include "secretsmanager.h"

enum { SECRET_VERSIONS_MAX = 100, SECRET_SUFFIX = 6, SECRET_BYTES_MAX = 65536, SECRET_TAGS_MAX = 50 };
#define SECRET_DAY_MS INT64_C(86400000)
#define SECRET_CURRENT S("AWSCURRENT")
#define SECRET_PREVIOUS S("AWSPREVIOUS")
#define SECRET_PENDING S("AWSPENDING")

extern const struct service secretsmanager_service;
extern const struct record_type secret_row, secret_value_row;

/* A secret as it was found. */
struct secret {
	struct str account, arn;
	struct state_secretsmanager_secret_record r;
};

/* --- rows.c */
struct str secret_under(struct arena *a, struct str account, struct str region);
struct str secret_key(struct arena *a, struct str account, struct str region, struct str name);
struct str secret_value_key(struct arena *a, struct str account, struct str region, struct str name, struct str version);
struct str secret_arn(struct arena *a, struct str account, struct str region, const struct state_secretsmanager_secret_record *r);
/* By name, ARN or an ARN without its six characters. False: there is none such (any more). */
bool secret_look(struct call *c, struct str id, struct secret *ret);
/* The same, or ResourceNotFoundException; one that is about to be deleted counts only where `deleted` says so, and is refused else.
 */
int secret_find(struct call *c, struct str id, bool deleted, struct secret *ret);
void secret_save(struct call *c, const struct secret *s);
void secret_drop(struct store_txn *t, struct arena *a, struct str account, struct str region,
                 const struct state_secretsmanager_secret_record *r, int64_t now_ms);
bool secret_gone(const struct state_secretsmanager_secret_record *r, int64_t now_ms);
int secret_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int secret_refused(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int secret_no_version(struct call *c, const char *what, struct str value);

/* --- version.c: versions and labels */
struct state_secretsmanager_version *secret_version(struct secret *s, struct str id);
struct state_secretsmanager_version *secret_staged(struct secret *s, struct str stage);
bool secret_has_stage(const struct state_secretsmanager_version *v, struct str stage);
/* Puts a label on a version and takes it from wherever it was; AWSCURRENT leaves AWSPREVIOUS behind. */
void secret_stage(struct arena *a, struct secret *s, struct str version, struct str stage);
void secret_unstage(struct state_secretsmanager_version *v, struct str stage);
/* A new version with this value, or the same one again where the token was used for it already. *ret_new: it is to be saved.
 * CALL_OK or CALL_FAIL. */
int secret_add(struct call *c, struct secret *s, struct str token, struct str text, struct str bytes, const struct str_list *stages,
               struct str *ret_version, bool *ret_new);
/* Seals the versions that have labels by the key that the secret names now. CALL_OK or CALL_FAIL. */
int secret_reseal(struct call *c, struct secret *s);
/* What a version holds; text or bytes is absent. CALL_OK or CALL_FAIL. */
int secret_open(struct call *c, const struct secret *s, const struct state_secretsmanager_version *v, struct str *ret_text,
                struct str *ret_bytes);
/* The version of an id, a stage, or AWSCURRENT. CALL_OK or CALL_FAIL. */
int secret_choose(struct call *c, struct secret *s, struct str version, struct str stage,
                  struct state_secretsmanager_version **ret);

/* --- value.c */
/* May the caller read this secret? False: the error is set. */
bool secret_readable(struct call *c, const struct secret *s);

/* --- list.c: filters */
bool secret_matches(const struct state_secretsmanager_secret_record *r, const struct secretsmanager_filters_list_type *filters);
void secret_stages_shown(struct call *c, const struct state_secretsmanager_secret_record *r, bool all,
                         struct secretsmanager_secret_versions_to_stages_map_type *ret);
struct secretsmanager_rotation_rules_type *secret_rules_shown(struct call *c, const struct state_secretsmanager_rotation *r);

/* --- secret.c: the end of a new one's ARN */
struct str secret_suffix(struct arena *a);

/* --- owned.c: CALL_FAIL: it is another service's, and its own to change */
int secret_unowned(struct call *c, const struct secret *s);

/* --- tag.c */
int secret_tags_take(struct call *c, const struct secretsmanager_tag_list_type *tags, struct str_map *to);

/* --- keeper.c: what happens by the cloud's clock: secrets end, and are rotated */
struct secret_keeper;
struct secret_keeper *secret_keeper_new(struct cloud *cloud);
void secret_keeper_free(struct secret_keeper *k);
void secret_keeper_wake(struct call *c);
bool secret_keeper_busy(const struct secret_keeper *k);
/* When the schedule has the next rotation after that; 0: never. */
int64_t secret_rotation_next(const struct state_secretsmanager_rotation *r, int64_t after_ms);

/* Handlers; each file says which. */
secretsmanager_batch_get_secret_value_handler secretsmanager_batch_get_secret_value;
secretsmanager_cancel_rotate_secret_handler secretsmanager_cancel_rotate_secret;
secretsmanager_create_secret_handler secretsmanager_create_secret;
secretsmanager_delete_resource_policy_handler secretsmanager_delete_resource_policy;
secretsmanager_delete_secret_handler secretsmanager_delete_secret;
secretsmanager_describe_secret_handler secretsmanager_describe_secret;
secretsmanager_get_random_password_handler secretsmanager_get_random_password;
secretsmanager_get_resource_policy_handler secretsmanager_get_resource_policy;
secretsmanager_get_secret_value_handler secretsmanager_get_secret_value;
secretsmanager_list_secret_version_ids_handler secretsmanager_list_secret_version_ids;
secretsmanager_list_secrets_handler secretsmanager_list_secrets;
secretsmanager_put_resource_policy_handler secretsmanager_put_resource_policy;
secretsmanager_put_secret_value_handler secretsmanager_put_secret_value;
secretsmanager_restore_secret_handler secretsmanager_restore_secret;
secretsmanager_rotate_secret_handler secretsmanager_rotate_secret;
secretsmanager_tag_resource_handler secretsmanager_tag_resource;
secretsmanager_untag_resource_handler secretsmanager_untag_resource;
secretsmanager_update_secret_handler secretsmanager_update_secret;
secretsmanager_update_secret_version_stage_handler secretsmanager_update_secret_version_stage;
secretsmanager_validate_resource_policy_handler secretsmanager_validate_resource_policy;
