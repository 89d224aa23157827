/* What the files of ECR share: running state, records and their keys, and the changes that several operations make. Private to
 * aws/ecr.
 *
 * A blob's bytes are a content file (store/blob.h), one a digest for the whole cloud: "ecr content DIGEST" names the file and
 * counts the repositories that have the blob as "ecr layer ... DIGEST"; that record counts the images of its repository that need
 * it. So an image's push and the removal of what nobody needs read and write the same records, and of two that race one runs again.
 * A manifest's bytes are a value of the store, not a file: they are small, and read with every pull. */
#pragma once
#include "aws/ecr/ecr.h"
#include "aws/ecr/manifest.h"
#include "base/buf.h"
#include "base/map.h"
#include "core/record.h"
#include "core/service.h"
#include "gen/ecr.h"
#include "gen/state_ecr.h"

#include <stdatomic.h>

enum { ECR_KEY_BYTES = 32, ECR_TAGS_PER_IMAGE = 1000, ECR_TOKEN_S = 12 * 3600 };

struct ecr_state {
	struct cloud *cloud;
	unsigned char key[ECR_KEY_BYTES]; /* signs tokens and links */
	struct map uploads;               /* id -> struct ecr_upload */
	struct map pins;                  /* blob id -> struct pin: files that somebody still reads */
	struct store_watch *file_watch;   /* says which content files have lost their last reference */
	struct janitor *janitor;
	struct unpacked *unpacked;
	struct work *imports; /* threads that fetch from other registries; NULL: none has been needed */
	atomic_bool stopping; /* they end what they do */
};
extern const struct service ecr_service;
struct ecr_state *ecr_state(const struct call *c);
#define ECR_ROW(name) (&(const struct record_type){&state_ecr_api, name "Record"})

/* A repository, whoever's it is. */
struct ecr_place {
	struct str account, region, name;
};

/* --- rows.c: keys and records */
struct str ecr_repository_key(struct arena *a, const struct ecr_place *p);
struct str ecr_image_key(struct arena *a, const struct ecr_place *p, struct str digest);
struct str ecr_manifest_key(struct arena *a, const struct ecr_place *p, struct str digest);
struct str ecr_tag_key(struct arena *a, const struct ecr_place *p, struct str tag);
struct str ecr_referrer_key(struct arena *a, const struct ecr_place *p, struct str subject, struct str digest);
/* The prefix of a repository's keys of a kind: "image", "tag", "layer", "manifest", "preview". */
struct str ecr_under(struct arena *a, const char *kind, const struct ecr_place *p);
struct str ecr_registry_key(struct arena *a, struct str account, struct str region);
bool ecr_find_repository(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct state_ecr_repository_record *ret);
bool ecr_find_image(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest,
                    struct state_ecr_image_record *ret);
void ecr_put_image_row(struct store_txn *t, struct arena *a, const struct ecr_place *p, const struct state_ecr_image_record *r);
/* The digest that a tag means; absent: no such tag. */
struct str ecr_find_tag(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str tag);
struct str ecr_arn(struct arena *a, const struct ecr_place *p);
/* ACCOUNT.dkr.ecr.REGION.localhost:PORT */
struct str ecr_host(struct call *c, struct str account, struct str region);
/* Adds to what the repository holds, and says so to the meter. */
void ecr_count(struct store_txn *t, struct arena *a, const struct ecr_place *p, int64_t bytes, int64_t images, int64_t now_ms);

/* An operation's repository: registryId or the caller's account. CALL_FAIL: there is none such. */
int ecr_get(struct call *c, struct str registry_id, struct str name, struct ecr_place *ret_place,
            struct state_ecr_repository_record *ret);
int ecr_fail_repository(struct call *c, const struct ecr_place *p);
__attribute__((format(printf, 2, 3))) int ecr_invalid(struct call *c, const char *fmt, ...);

/* Pages: the token is the key that was listed last. CALL_FAIL: it is none. *ret_from: where the scan begins. */
int ecr_page_from(struct call *c, struct str token, struct str under, struct str *ret_from);
struct str ecr_page_token(struct call *c, struct str last_key);

/* --- access.c: permissions of an action on a repository, with its policy and the registry's */
void ecr_about(struct call *c, struct authz *az, const struct ecr_place *p);
bool ecr_allowed(struct call *c, const char *action, const struct ecr_place *p);

/* --- layer.c */
bool ecr_find_layer(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest,
                    struct state_ecr_layer_record *ret);
/* The file behind a digest, if any repository has it. */
bool ecr_find_content(struct store_txn *t, struct arena *a, struct str digest, struct state_ecr_content_record *ret);
/* The repository has this blob from now on; blob: a sealed file, which becomes the digest's if it has none yet (true), or the
 * caller's to remove. */
bool ecr_layer_add(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest, struct str blob,
                   uint64_t size, int64_t now_ms);
/* Somebody counts on a blob that no image needs yet: the janitor waits again. At most one write an hour. */
void ecr_layer_touch(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest, int64_t now_ms);
/* One image more or less needs it. */
void ecr_layer_ref(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest, struct str media_type,
                   int by, int64_t now_ms);
void ecr_layer_drop(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest, int64_t now_ms);
/* While pinned, a file stays even when nothing refers to it any more. */
void ecr_pin(struct ecr_state *s, struct str blob);
void ecr_unpin(struct ecr_state *s, struct str blob);
void ecr_delete_file(struct ecr_state *s, struct str blob);
void ecr_layers_start(struct ecr_state *s);
void ecr_layers_stop(struct ecr_state *s);
bool ecr_wants_blob(struct store_txn *t, struct arena *a, struct str id);

/* --- image.c */
struct ecr_put {
	struct str text, media_type, tag, digest; /* the last three absent: not given */
	struct ecr_manifest manifest;             /* filled in */
	struct str made_digest;                   /* filled in */
	bool existed;                             /* filled in: with this tag, if one was given */
};
/* May the tag, once it is there, never mean another image? */
bool ecr_tag_is_fixed(const struct state_ecr_repository_record *r, struct str tag);
/* Puts a manifest. CALL_FAIL with the errors of PutImage; what was there before is no error here (existed). */
/* news.c: tells EventBridge what was done with an image; tag absent: it has none. */
void ecr_tell(struct call *c, const struct ecr_place *p, const char *action, struct str digest, struct str tag);
int ecr_put_image_into(struct call *c, const struct ecr_place *p, const struct state_ecr_repository_record *r, struct ecr_put *put);
/* Removes an image with its tags and all that it alone needs. */
void ecr_remove_image(struct store_txn *t, struct arena *a, const struct ecr_place *p, const struct state_ecr_image_record *image,
                      int64_t now_ms);
void ecr_remove_tag(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct state_ecr_image_record *image,
                    struct str tag);
/* A digest by tag or digest; absent: the repository has none such. */
struct str ecr_resolve(struct call *c, const struct ecr_place *p, struct str tag, struct str digest);
/* Remembers that an image was pulled; at most one write a day. */
void ecr_image_pulled(struct call *c, const struct ecr_place *p, struct state_ecr_image_record *image);
/* RepositoryPullCount of AWS/ECR: n images were handed out. After the commit. */
void ecr_count_pulls(const struct cloud *cloud, const struct ecr_place *p, uint32_t n);
struct str ecr_manifest_text(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest);

/* --- token.c */
int ecr_key_open(struct ecr_state *s, const char *data_dir);
/* The password of GetAuthorizationToken. */
struct str ecr_token_make(struct call *c, int64_t expires_ms);
/* Who a password belongs to: a reference that the caller gives back. NULL: nobody, or not any more. */
const struct principal *ecr_token_principal(struct call *c, struct str password, struct str *ret_region);
/* The signature of a link to a blob. */
struct str ecr_link_signature(struct ecr_state *s, struct arena *a, struct str digest, struct str expires);

/* --- oci.c */
call_resume_fn *ecr_intercept(struct call *c);
struct str ecr_address(struct arena *a, struct str host, struct str path);
void ecr_spell_error(struct call *c);

/* --- repository.c, policy.c, lifecycle.c: what of a repository's settings is checked where they come from. CALL_FAIL: the error is
 * set. */
/* Which tags stay as they are; filters only with a mode that has them, and then at least one. */
int ecr_set_mutability(struct call *c, struct str mode, const struct ecr_image_tag_mutability_exclusion_filters *filters,
                       struct state_ecr_repository_record *r);
int ecr_take_tags(struct call *c, const struct ecr_tag_list *tags, struct str_map *to);
int ecr_check_policy(struct call *c, struct str text, bool registry);
int ecr_check_lifecycle(struct call *c, struct str text);

/* --- template.c: repositories that the registry makes by itself */
/* Writes one, by the template of its name for "PULL_THROUGH_CACHE" or "CREATE_ON_PUSH". False: there is none, it is as any other.
 */
bool ecr_make_repository(struct call *c, const struct ecr_place *p, const char *what, struct state_ecr_repository_record *ret);
/* Does a push make a repository of this name? */
bool ecr_made_by_push(struct call *c, const struct ecr_place *p);
/* The repository that is pushed to, made in this step where a template says so. CALL_FAIL: there is none, or the caller may not. */
int ecr_get_for_push(struct call *c, const struct ecr_place *p, struct state_ecr_repository_record *ret);

/* --- rule.c: pull-through caches */
/* The rule whose prefix a repository's name begins with: the longest. False: none. */
bool ecr_find_rule(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct state_ecr_rule_record *ret);
/* The registry that a rule's URL names, as the configuration has it: "https://HOST". Absent: it is none of those. */
struct str ecr_upstream(const struct cloud *cloud, struct str url);
/* What the repository is called there. */
struct str ecr_upstream_name(struct arena *a, const struct state_ecr_rule_record *rule, struct str name);

/* --- import.c */
/* Sees to it that an image is here that a rule says comes from elsewhere: by tag, asked for there once a day, or by digest.
 * CALL_OK: go on with what is here, if anything; the image's records are written in this step's transaction where it was fetched.
 * CALL_WAIT: again() runs when it has been, and calls this again. CALL_FAIL: the caller may not. Keeps c->state. */
int ecr_import(struct call *c, const struct ecr_place *p, struct str reference, call_resume_fn *again);
void ecr_imports_stop(struct ecr_state *s);
struct work *ecr_import_threads(struct ecr_state *s);

/* --- janitor.c, lifecycle.c */
struct janitor *ecr_janitor_start(struct ecr_state *s);
void ecr_janitor_stop(struct janitor *j);
/* A lifecycle policy has changed or begun: look now. */
void ecr_janitor_soon(struct janitor *j);

/* --- unpacked.c */
struct unpacked *ecr_unpacked_start(struct ecr_state *s); /* NULL: nothing is unpacked on this machine */
void ecr_unpacked_stop(struct unpacked *u);

ecr_batch_check_layer_availability_handler ecr_batch_check_layer_availability;
ecr_batch_delete_image_handler ecr_batch_delete_image;
ecr_batch_get_image_handler ecr_batch_get_image;
ecr_complete_layer_upload_handler ecr_complete_layer_upload;
ecr_create_pull_through_cache_rule_handler ecr_create_pull_through_cache_rule;
ecr_create_repository_creation_template_handler ecr_create_repository_creation_template;
ecr_create_repository_handler ecr_create_repository;
ecr_delete_lifecycle_policy_handler ecr_delete_lifecycle_policy;
ecr_delete_pull_through_cache_rule_handler ecr_delete_pull_through_cache_rule;
ecr_delete_registry_policy_handler ecr_delete_registry_policy;
ecr_delete_repository_creation_template_handler ecr_delete_repository_creation_template;
ecr_delete_repository_handler ecr_delete_repository;
ecr_delete_repository_policy_handler ecr_delete_repository_policy;
ecr_describe_images_handler ecr_describe_images;
ecr_describe_pull_through_cache_rules_handler ecr_describe_pull_through_cache_rules;
ecr_describe_registry_handler ecr_describe_registry;
ecr_describe_repositories_handler ecr_describe_repositories;
ecr_describe_repository_creation_templates_handler ecr_describe_repository_creation_templates;
ecr_get_authorization_token_handler ecr_get_authorization_token;
ecr_get_download_url_for_layer_handler ecr_get_download_url_for_layer;
ecr_get_lifecycle_policy_handler ecr_get_lifecycle_policy;
ecr_get_lifecycle_policy_preview_handler ecr_get_lifecycle_policy_preview;
ecr_get_registry_policy_handler ecr_get_registry_policy;
ecr_get_repository_policy_handler ecr_get_repository_policy;
ecr_initiate_layer_upload_handler ecr_initiate_layer_upload;
ecr_list_image_referrers_handler ecr_list_image_referrers;
ecr_list_images_handler ecr_list_images;
ecr_list_tags_for_resource_handler ecr_list_tags_for_resource;
ecr_put_image_handler ecr_put_image;
ecr_put_image_tag_mutability_handler ecr_put_image_tag_mutability;
ecr_put_lifecycle_policy_handler ecr_put_lifecycle_policy;
ecr_put_registry_policy_handler ecr_put_registry_policy;
ecr_set_repository_policy_handler ecr_set_repository_policy;
ecr_start_lifecycle_policy_preview_handler ecr_start_lifecycle_policy_preview;
ecr_tag_resource_handler ecr_tag_resource;
ecr_untag_resource_handler ecr_untag_resource;
ecr_update_repository_creation_template_handler ecr_update_repository_creation_template;
ecr_upload_layer_part_handler ecr_upload_layer_part;
ecr_validate_pull_through_cache_rule_handler ecr_validate_pull_through_cache_rule;
