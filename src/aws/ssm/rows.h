/* Parameters: their records, keys, names and values. Private to aws/ssm. */
#pragma once
#include "core/call.h"
#include "core/record.h"
#include "core/seal.h"
#include "core/service.h"
#include "gen/ssm.h"
#include "gen/state_ssm.h"

enum { SSM_VERSIONS_MAX = 100, SSM_LABELS_MAX = 10, SSM_LEVELS_MAX = 15 };
#define SSM_KEY_ALIAS "alias/aws/ssm"

struct sessions;

/* The service's running state. */
struct ssm_state {
	struct cloud *cloud;
	struct sessions *sessions;
	struct seal seal;
};
extern const struct service ssm_service;
struct ssm_state *ssm_state(const struct call *c);

/* --- key.c: SecureStrings, sealed by keys of KMS */

/* Reads the key or makes it. Negative errno: SecureStrings cannot be written or read. */
int ssm_key_open(struct ssm_state *s, const char *data_dir);
/* Seals a value by the KMS key that the version names; what is sealed opens for the same ARN alone. CALL_OK or CALL_FAIL. */
int ssm_seal(struct call *c, struct str plain, struct str arn, struct state_ssm_version_record *v);
int ssm_unseal(struct call *c, const struct state_ssm_version_record *v, struct str arn, struct str *ret);
/* The key of a SecureString, as replies name it; STR_NONE: the version is none. */
struct str ssm_key_of(const struct state_ssm_version_record *v);

/* --- rows.c */
struct str ssm_key(struct call *c, struct str name);
struct str ssm_version_key(struct call *c, struct str name, int64_t version);
/* The prefix of the keys of all parameters of the account and region; the keys of names that begin with a prefix, and of others. */
struct str ssm_under(struct call *c);
struct str ssm_names_under(struct call *c, struct str prefix);
/* A parameter of this account and region, or a public one. */
bool ssm_find(struct call *c, struct str name, struct state_ssm_parameter_record *ret);
bool ssm_find_version(struct call *c, const struct state_ssm_parameter_record *p, int64_t version,
                      struct state_ssm_version_record *ret);
void ssm_put_row(struct call *c, const struct state_ssm_parameter_record *p);
/* Removes it with its versions and counts it out. */
void ssm_drop(struct call *c, const struct state_ssm_parameter_record *p);
/* Adds to the number of parameters that there are. CALL_FAIL: the limit is reached. */
int ssm_count(struct call *c, int64_t standard, int64_t advanced);
/* What a version's value reads as; SecureStrings as ciphertext where they are not to be decrypted. False: the error is set. */
bool ssm_value(struct call *c, struct str name, const struct state_ssm_version_record *v, bool decrypt, struct str *ret);

/* A walk over the parameters whose names begin with a prefix, behind a page token. */
struct ssm_walk {
	struct store_iter *iter;
	struct str prefix;
	struct state_ssm_parameter_record row;
	struct str key;
};
int ssm_walk_begin(struct call *c, struct ssm_walk *w, struct str prefix, struct str token);
bool ssm_walk_next(struct call *c, struct ssm_walk *w);
struct str ssm_page_token(struct call *c, struct str last);
/* The key that a token holds, if it is one below `under`; STR_NONE: it is not. */
struct str ssm_page_key(struct call *c, struct str token, struct str under);
int ssm_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- name.c */

/* May a new parameter be called so? */
int ssm_name_check(struct call *c, struct str name);
/* What a request calls a parameter: a name or an ARN, with a selector behind ':' or not. */
struct ssm_reference {
	struct str name, selector; /* "3", "prod"; absent: none was given */
};
struct ssm_reference ssm_reference(struct call *c, struct str text);
struct str ssm_arn(struct call *c, struct str name);
bool ssm_name_public(struct str name);
/* 0: the label is not one. */
bool ssm_label_good(struct str label);
/* The version that a selector means, the latest without one; 0: there is none such. */
int64_t ssm_select(const struct state_ssm_parameter_record *p, struct str selector);

/* --- public.c: parameters that the cloud itself publishes, below /aws/service */
bool ssm_public_find(struct call *c, struct str name, struct state_ssm_parameter_record *ret);
/* Their names in order; absent behind the last. */
struct str ssm_public_name(unsigned i);

/* --- secret.c: /aws/reference/secretsmanager/NAME, a secret as a parameter */
bool ssm_name_secret(struct str name);
/* CALL_OK, or CALL_FAIL with ParameterNotFound or whatever else is wrong. */
int ssm_secret_read(struct call *c, struct str name, bool decrypt, struct ssm_parameter *ret);

/* --- path.c: filters */
bool ssm_filter_matches(struct call *c, const struct state_ssm_parameter_record *p, const struct ssm_parameter_string_filter *f);
/* `keys`: the ones that the operation knows, a list that NULL ends. */
int ssm_filter_check(struct call *c, const struct ssm_parameter_string_filter *f, const char *const *keys);
bool ssm_below(struct str name, struct str path, bool recursive);
int ssm_path_check(struct call *c, struct str path);

/* --- tag.c: those given at creation */
int ssm_tags_take(struct call *c, const struct ssm_tag_list *tags, struct str_map *ret);

/* Handlers; each file says which. */
ssm_put_parameter_handler ssm_put_parameter;
ssm_get_parameter_handler ssm_get_parameter;
ssm_get_parameters_handler ssm_get_parameters;
ssm_get_parameters_by_path_handler ssm_get_parameters_by_path;
ssm_get_parameter_history_handler ssm_get_parameter_history;
ssm_describe_parameters_handler ssm_describe_parameters;
ssm_delete_parameter_handler ssm_delete_parameter;
ssm_delete_parameters_handler ssm_delete_parameters;
ssm_label_parameter_version_handler ssm_label_parameter_version;
ssm_unlabel_parameter_version_handler ssm_unlabel_parameter_version;
ssm_add_tags_to_resource_handler ssm_add_tags_to_resource;
ssm_remove_tags_from_resource_handler ssm_remove_tags_from_resource;
ssm_list_tags_for_resource_handler ssm_list_tags_for_resource;
