/* IAM's nouns as its own files see them: users, groups, roles and instance profiles are one kind of record under different keys.
 * Names are unique without regard to case, so keys hold them in lower case. For src/aws/iam alone. */
#pragma once
#include "aws/iam/iam.h"
#include "core/record.h"
#include "core/service.h"
#include "gen/iam.h"

enum iam_kind { IAM_USER, IAM_GROUP, IAM_ROLE, IAM_PROFILE, IAM_KINDS };

struct iam_kind_row {
	struct str key;           /* in store keys and ARNs: "instance-profile" */
	const char *id_prefix;    /* AIDA ... */
	const char *missing;      /* printf of NoSuchEntity's message */
	const char *exists;       /* of EntityAlreadyExists's */
	const char *quota;        /* its name in LimitExceeded */
	unsigned most;            /* of them in an account */
	size_t inline_bytes;      /* all inline policies together, white space aside; 0: has none */
	const char *word;         /* "user": in messages about inline policies */
	const char *policy_quota; /* "PoliciesPerUser" */
};
extern const struct iam_kind_row iam_kinds[IAM_KINDS];
extern const struct record_type iam_entity_type, iam_policy_type, iam_key_type, iam_alias_type, iam_use_type;

enum { IAM_ATTACHED_MAX = 10, IAM_VERSIONS_MAX = 5, IAM_GROUPS_OF_USER_MAX = 10, IAM_KEYS_OF_USER_MAX = 2, IAM_TAGS_MAX = 50 };

struct str iam_lower(struct arena *a, struct str s);
struct str iam_entity_key(struct arena *a, struct str account, enum iam_kind kind, struct str name);
struct str iam_entity_arn(struct arena *a, struct str account, enum iam_kind kind, const struct state_iam_entity_record *r);
/* "arn:aws:iam::ACCOUNT:kind/path/name" taken apart. False: no ARN of that kind. */
bool iam_arn_parse(struct str arn, struct str kind, struct str *ret_account, struct str *ret_path, struct str *ret_name);

/* Loads by name into the call's arena. False: NoSuchEntity is set, return CALL_FAIL. r->powers is never NULL. */
bool iam_load(struct call *c, enum iam_kind kind, struct str name, struct state_iam_entity_record *ret);
bool iam_load_quietly(struct call *c, enum iam_kind kind, struct str name, struct state_iam_entity_record *ret);
void iam_save(struct call *c, enum iam_kind kind, const struct state_iam_entity_record *r);
void iam_drop(struct call *c, enum iam_kind kind, struct str name);
/* Checks that the name is free and the quota not used up, and fills id, path, name and date of a new one. */
bool iam_create(struct call *c, enum iam_kind kind, struct str path, struct str name, struct state_iam_entity_record *ret);

/* How many records of a kind the account has, by the kind's key ("user", "policy"). */
unsigned iam_count(struct call *c, struct str kind);

/* The user that an operation without UserName is about: the caller. Absent: the caller is no user and ValidationError is set. */
struct str iam_user_or_caller(struct call *c, struct str user_name);

/* --- lists, in order of name, page by page (list.c) */
struct iam_page {
	unsigned limit, taken;
	struct str after; /* the name (lower case) that the last page ended with; absent: from the beginning */
	struct str last;
	bool more;
};
/* False: the marker is none of ours; ValidationError is set. */
bool iam_page_open(struct call *c, struct opt_int max_items, struct str marker, struct iam_page *ret);
/* May this element go on the page? Elements come in order of `name`; false: behind the page's end (stop), or before its beginning
 * (*ret_skip). */
bool iam_page_take(struct iam_page *p, struct str name, bool *ret_skip);
void iam_page_close(struct call *c, const struct iam_page *p, struct opt_bool *ret_truncated, struct str *ret_marker);

/* What one record holds is a short list: a page is a piece of it as it lies, [from, to). The reply's marker is set here as well.
 * False: ValidationError is set. */
struct iam_piece {
	uint32_t from, to;
};
bool iam_piece_open(struct call *c, struct opt_int max_items, struct str marker, uint32_t count, struct iam_piece *ret,
                    struct opt_bool *ret_truncated, struct str *ret_marker);

/* Walks the account's entities of a kind from the page's beginning. */
struct iam_walk {
	struct store_iter *iter;
	struct arena *arena; /* where records go: the call's, unless the walker has one that it resets as it goes */
	struct str name;     /* of the last record, in lower case */
};
void iam_walk_open(struct call *c, enum iam_kind kind, struct str after, struct iam_walk *ret);
bool iam_walk_next(struct iam_walk *w, struct state_iam_entity_record *ret);
bool iam_path_matches(struct str path, struct str prefix);
/* A page of the account's entities of a kind, those that `wanted` wants of them; to: a reply's list of that kind. */
typedef bool iam_wanted_fn(const struct state_iam_entity_record *r, struct str what);
int iam_list(struct call *c, enum iam_kind kind, iam_wanted_fn *wanted, struct str what, struct opt_int max_items,
             struct str marker, void *to, struct opt_bool *ret_truncated, struct str *ret_marker);

/* --- tags */
/* Adds to or replaces in *tags; case-insensitive keys as for IAM. False: error set (too many, duplicates). */
bool iam_tags_put(struct call *c, const struct iam_tag_list_type *from, struct str_map *tags);
void iam_tags_remove(const struct str_list *keys, struct str_map *tags);
void iam_tags_show(struct arena *a, const struct str_map *from, struct iam_tag_list_type *to);
/* ListUserTags and its like: a page of them. */
int iam_tags_list(struct call *c, const struct str_map *from, struct opt_int max_items, struct str marker,
                  struct iam_tag_list_type *to, struct opt_bool *ret_truncated, struct str *ret_marker);

/* --- documents */
/* Checks a document as it is attached. False: MalformedPolicyDocument is set. */
bool iam_document_check(struct call *c, struct str json, enum policy_kind kind);
struct str iam_document_show(struct arena *a, struct str json); /* URL-encoded, as replies carry it */

/* --- what replies show of a record */
void iam_user_show(struct call *c, const struct state_iam_entity_record *r, struct iam_user *to);
void iam_group_show(struct call *c, const struct state_iam_entity_record *r, struct iam_group *to);
void iam_role_show(struct call *c, const struct state_iam_entity_record *r, struct iam_role *to);
void iam_profile_show(struct call *c, const struct state_iam_entity_record *r, struct iam_instance_profile *to);
struct iam_attached_permissions_boundary *iam_boundary_show(struct arena *a, struct str arn);
void iam_attached_show(struct arena *a, struct str arn, struct iam_attached_policy *to);

/* --- managed policies */
struct iam_aws_policy {
	struct str path, name, id, document, description;
};
extern const struct iam_aws_policy iam_aws_policies[];
extern const unsigned iam_aws_policy_count;
const struct iam_aws_policy *iam_aws_policy(struct str arn); /* by ARN arn:aws:iam::aws:policy/...; NULL: none */
struct str iam_policy_key(struct arena *a, struct str account, struct str name);
struct str iam_policy_arn(struct arena *a, struct str account, const struct state_iam_managed_policy_record *r);
/* By ARN, of the caller's account or AWS's. AWS's are presented as records with one version, v1. False: NoSuchEntity is set with
 * `message`. */
bool iam_policy_load(struct call *c, struct str arn, struct state_iam_managed_policy_record *ret, struct str *ret_account);
/* Is there such a policy to attach, or to use as a boundary? False: NoSuchEntity is set. */
bool iam_policy_check(struct call *c, struct str arn);
bool iam_boundary_check(struct call *c, struct str arn);
const struct state_iam_version_record *iam_version_find(const struct state_iam_managed_policy_record *r, struct str id);

/* Names and paths of any operation's input (names.c). False: ValidationError is set. */
bool iam_check_names(struct call *c, const void *in);

/* --- the permission's resource, for the operations of the table */
int iam_resource(struct call *c, const void *in, struct authz *az);
/* Giving tags to what is being made is a permission of its own: "iam:TagRole" on the same resource. False: the error is set. */
bool iam_may_tag(struct call *c, const void *in, const char *action);
