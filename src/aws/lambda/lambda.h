/* What the files of the Lambda service share: its state, its limits, how functions are named and how their records are keyed.
 *
 * Control operations work on records in the store (rows below). Invocations work on the directory (directory.h), a copy of those
 * records in memory that a watch keeps fresh, so that a warm invocation never touches the store. */
#pragma once
#include "core/record.h"
#include "core/service.h"
#include "gen/lambda.h"
#include "gen/state_lambda.h"

#include "base/map.h"

#define LAMBDA_LATEST "$LATEST"

enum {
	LAMBDA_CONCURRENCY = 1000,   /* of an account in a region */
	LAMBDA_UNRESERVED_MIN = 100, /* what reservations must leave */
	LAMBDA_LAYERS_MAX = 5,
	LAMBDA_ENVIRONMENT_BYTES = 4096,
	LAMBDA_POLICY_BYTES = 20480,
	LAMBDA_TAGS_MAX = 50,
	LAMBDA_PAGE = 50,
};
#define LAMBDA_ZIP_BYTES INT64_C(52428800) /* uploaded directly */
#define LAMBDA_S3_ZIP_BYTES INT64_C(262144000)
#define LAMBDA_UNZIPPED_BYTES INT64_C(262144000)  /* with layers */
#define LAMBDA_STORAGE_BYTES INT64_C(80530636800) /* 75 GB of an account in a region */

struct directory;
struct code_store;
struct async_queue;
struct sources;
struct urls;
struct pools;
struct credential_cache;
struct function_image;
struct interfaces;
struct snapstarts;

struct lambda {
	struct cloud *cloud;
	struct directory *directory;
	struct code_store *code;
	struct pools *pools;
	struct async_queue *async;
	struct sources *sources; /* event source mappings */
	struct urls *urls;       /* functions' own addresses */
	struct snapstarts *snapstarts;
	struct credential_cache *credentials;
	struct interfaces *interfaces; /* that lead functions into VPCs */
	struct publish *publish;       /* metrics; NULL: none */
	const struct principal *self;  /* lambda.amazonaws.com */
	struct map images;             /* manifest's digest -> struct function_image */
	unsigned unsent_outputs;       /* that hold lines for the log */
	size_t telemetry_bytes;        /* that wait in all environments to be delivered */
	bool stopping;                 /* the service ends: nobody is waited for */
	unsigned char url_key[32];     /* signs code download links */
};
extern const struct service lambda_service;
struct lambda *lambda_of(const struct cloud *cloud);

/* --- names */
struct lambda_name {
	struct str region, account;
	struct str name;
	struct str qualifier; /* absent: none was given */
};
/* Reads "name", "name:qualifier", partial and whole ARNs; what is not said is absent. False: an ARN of something else. Strs are
 * views. */
bool lambda_name_split(struct str text, struct lambda_name *ret);
/* The same with the Qualifier parameter, and with the call's region and account where none is said. CALL_FAIL with the error set.
 * Strs are views or the call's. */
int lambda_name_parse(struct call *c, struct str text, struct str qualifier, struct lambda_name *ret);
/* The same where only a function as a whole is meant: a version or an alias is refused. $LATEST is the function. */
int lambda_name_whole(struct call *c, struct str text, struct lambda_name *ret);
struct str lambda_function_arn(struct arena *a, struct str region, struct str account, struct str name, struct str qualifier);
/* 12 digits. */
bool lambda_is_account(struct str s);
/* "1", "42": a published version's number. */
bool lambda_is_version_number(struct str s, int64_t *ret);
/* A member of the call's input by its model name; absent when there is none such or it is not text. */
struct str lambda_input_text(const struct call *c, const char *member);

/* --- errors */
/* ResourceNotFoundException "Function not found: ARN". */
int lambda_no_function(struct call *c, const struct lambda_name *n);
int lambda_not_qualified(struct call *c);
__attribute__((format(printf, 2, 3))) int lambda_invalid(struct call *c, const char *fmt, ...);
/* 412 unless given is absent or equal to current. */
int lambda_check_revision(struct call *c, struct str given, struct str current);

/* --- rows. Keys begin with lambda, kind, account, region. */
#define ROW(c_name) (&(const struct record_type){&state_lambda_api, c_name "Record"})
struct str lambda_function_key(struct arena *a, struct str account, struct str region, struct str name);
struct str lambda_version_key(struct arena *a, struct str account, struct str region, struct str name, struct str version);
struct str lambda_alias_key(struct arena *a, struct str account, struct str region, struct str name, struct str alias);
struct str lambda_policy_key(struct arena *a, struct str account, struct str region, struct str name, struct str qualifier);
struct str lambda_event_config_key(struct arena *a, struct str account, struct str region, struct str name, struct str qualifier);
struct str lambda_provisioned_key(struct arena *a, struct str account, struct str region, struct str name, struct str qualifier);
struct str lambda_event_key(struct arena *a, struct str account, struct str region, struct str request_id);
struct str lambda_layer_key(struct arena *a, struct str account, struct str region, struct str layer);
struct str lambda_layer_version_key(struct arena *a, struct str account, struct str region, struct str layer, int64_t version);
struct str lambda_layer_policy_key(struct arena *a, struct str account, struct str region, struct str layer, int64_t version);
struct str lambda_code_key(struct arena *a, struct str code);
/* Walks all records below a prefix made of parts. */
struct store_iter *lambda_scan(struct call *c, struct str prefix);
/* The function's records; false: absent. */
bool lambda_get_function_row(struct call *c, const struct lambda_name *n, struct state_lambda_function_record *ret);
bool lambda_get_version_row(struct call *c, const struct lambda_name *n, struct str version,
                            struct state_lambda_version_record *ret);
bool lambda_get_alias_row(struct call *c, const struct lambda_name *n, struct str alias, struct state_lambda_alias_record *ret);
void lambda_put_alias_row(struct call *c, const struct lambda_name *n, const struct state_lambda_alias_record *row);
void lambda_put_function_row(struct call *c, const struct lambda_name *n, const struct state_lambda_function_record *row);
void lambda_put_version_row(struct call *c, const struct lambda_name *n, struct str version,
                            const struct state_lambda_version_record *row);
/* These say CALL_FAIL with the error set. The version that n's qualifier names, through an alias if need be. */
int lambda_load_version(struct call *c, const struct lambda_name *n, struct state_lambda_version_record *ret);
/* The same from a name and a qualifier as clients give them. */
int lambda_load_qualified(struct call *c, struct str text, struct str qualifier, struct lambda_name *ret_name,
                          struct state_lambda_version_record *ret);
/* A function as a whole. */
int lambda_load_function(struct call *c, struct str text, struct lambda_name *ret_name, struct state_lambda_function_record *ret);
/* A function and its $LATEST, of this revision (absent: of any) and neither new nor changing at this moment. */
int lambda_load_changeable(struct call *c, struct str text, struct str revision, struct lambda_name *ret_name,
                           struct state_lambda_function_record *ret_function, struct state_lambda_version_record *ret);

/* Adds or drops one use of a code blob within the call's transaction. The blob's files go when nothing uses it any more. */
void lambda_code_reference(struct call *c, struct str code, int64_t bytes, int64_t unzipped_bytes);
void lambda_code_release(struct call *c, struct str code);
/* Bytes of code and number of functions of the account in the region. */
void lambda_usage(struct call *c, int64_t *ret_bytes, int64_t *ret_functions);

/* What a control operation keeps in c->state over its waits: the package it took in, the role it tried. */
struct code_intake {
	struct str code; /* hexadecimal SHA-256 */
	struct str sha256_base64;
	int64_t bytes, unzipped_bytes;
	const char *error_code; /* NULL: it is fine */
	struct str error_text;
};
struct image_intake {
	struct state_lambda_image_record *record;
	struct str code;         /* hexadecimal digest of the manifest */
	struct str architecture; /* as images spell it */
	struct function_image *held;
	const char *error_code; /* NULL: it is fine */
	struct str error_text;
};
struct intake_job;
struct image_job;
struct lambda_work {
	struct code_intake intake;
	struct image_intake image;
	bool image_taken;
	struct image_job *image_job;
	bool code_taken, code_held;
	struct intake_job *job;
	bool role_tried, role_good;
	struct credential_wait *role_wait;
	struct vpc_question *vpc_question;
	bool vpc_asked;
	const char *vpc_refused; /* what the role may not call of EC2 */
};
struct lambda_work *lambda_work(struct call *c);

/* --- configuration.c: checks and defaults that CreateFunction and UpdateFunctionConfiguration share */

#define IMAGE_HAS_NONE "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
/* What is not real here, refused. */
int lambda_check_unreal(struct call *c, const struct lambda_update_function_configuration_request *in);
/* What an update of configuration sets goes into row->config; absent members stay. Layers are resolved and the total size is
 * checked. */
int lambda_apply_settings(struct call *c, const struct lambda_update_function_configuration_request *in,
                          int64_t code_unzipped_bytes, struct state_lambda_version_record *row);
/* May the caller pass this role, and can Lambda assume it? CALL_WAIT at first: `again` runs as the next step and asks again. */
int lambda_check_role(struct call *c, struct str role, struct str function_name, call_resume_fn *again);
/* Number and spelling of tags. */
int lambda_check_tags(struct call *c, const struct str_map *tags);
/* Architectures: one, and this machine's. */
int lambda_check_architectures(struct call *c, const struct str_list *architectures);
/* Size in bytes of a blob unzipped, by its record. */
int64_t lambda_code_unzipped_bytes(struct call *c, struct str code);

/* --- vpc.c, vpc_role.c: functions in VPCs. An interface is shared by all versions that have its subnet and groups. */
/* What a request says of a VPC goes into the configuration, once EC2 knows all of it. */
int lambda_set_vpc(struct call *c, const struct lambda_vpc_config *in, struct lambda_function_configuration *f);
/* May the function's role have interfaces? CALL_WAIT at first, as lambda_check_role(). */
int lambda_check_vpc_role(struct call *c, const struct lambda_function_configuration *f, call_resume_fn *again);
/* Adds and drops the uses that a version makes of interfaces: the first makes one, and some time after the last it goes. CALL_FAIL:
 * there is no room for it. */
int lambda_vpc_hold(struct call *c, const struct lambda_name *n, const struct lambda_function_configuration *f);
void lambda_vpc_release(struct call *c, const struct lambda_name *n, const struct lambda_function_configuration *f);
struct str lambda_interface_key(struct arena *a, struct str account, struct str region, struct str subnet,
                                const struct str_list *groups);
/* Has it subnets? */
bool lambda_in_vpc(const struct lambda_function_configuration *f);

/* --- layer.c */
struct lambda_layer_name {
	struct str region, account, name;
	int64_t version; /* 0: none */
};
/* A layer's name or ARN, with or without a version; what is not said is absent. False: an ARN of something else. */
bool lambda_layer_split(struct str text, struct lambda_layer_name *ret);
/* The same with the call's region and account where none is said, and the version given beside it (0: none). CALL_FAIL with the
 * error set. */
int lambda_layer_parse(struct call *c, struct str text, int64_t version, struct lambda_layer_name *ret);
struct str lambda_layer_arn(struct arena *a, const struct lambda_layer_name *n);
bool lambda_get_layer_row(struct call *c, const struct lambda_layer_name *n, struct state_lambda_layer_version_record *ret);
/* Its resource policy; absent: none. */
struct str lambda_layer_policy(struct call *c, const struct lambda_layer_name *n);
/* Layer version ARNs -> references and code; checks access, number and total size. */
int lambda_resolve_layers(struct call *c, const struct str_list *arns, int64_t code_unzipped_bytes,
                          struct lambda_layers_reference_list *ret, struct str_list *ret_code);

/* --- version.c */
/* Publishes $LATEST (which `row` is) as the next version within the call's transaction, unless nothing has changed since the last
 * one. */
int lambda_publish(struct call *c, const struct lambda_name *n, struct state_lambda_function_record *function,
                   const struct state_lambda_version_record *row, struct str description,
                   struct lambda_function_configuration *out);
/* What lists leave out. */
void lambda_trim_for_list(struct lambda_function_configuration *config);
/* A version as lists show it; qualified: $LATEST is named in its ARN. */
const struct lambda_function_configuration *lambda_list_item(struct call *c, struct state_lambda_version_record *row,
                                                             bool qualified);
/* Drops the uses that a version makes of code, layers and interfaces. */
void lambda_version_release(struct call *c, const struct lambda_name *n, const struct state_lambda_version_record *row);

/* --- alias.c: may a call of the alias run this version? */
bool lambda_alias_uses(const struct lambda_alias_configuration *a, struct str version);

/* --- permission.c */
struct str lambda_policy_document(struct arena *a, const struct state_lambda_policy_record *policy);

/* --- concurrency.c: what functions of the account other than this one (absent: all) reserve, or have provisioned without a
 * reservation. */
int64_t lambda_reserved_by_others(struct call *c, struct str except);

/* --- provisioned.c */
/* All that the function has provisioned, but for one qualifier (absent: all). */
int64_t lambda_provisioned_sum(struct call *c, const struct lambda_name *n, struct str except);
/* With its version, alias or function it ends. */
void lambda_provisioned_drop(struct call *c, const struct lambda_name *n, struct str qualifier);
void lambda_provisioned_drop_all(struct call *c, const struct lambda_name *n);
/* The alias leads elsewhere now: what is used changes with the versions' sizes. CALL_FAIL: it cannot be provisioned there. */
int lambda_provisioned_follow(struct call *c, const struct lambda_name *n, const struct lambda_alias_configuration *alias);

/* --- source.c: an event source mapping by its ARN. False: it is none's. */
bool lambda_event_source_of_arn(struct str arn, struct str *ret_uuid);
struct str lambda_event_source_key(struct arena *a, struct str account, struct str region, struct str uuid);

/* --- url.c: with its alias or function a URL ends. */
void lambda_url_drop(struct call *c, const struct lambda_name *n, struct str qualifier);
void lambda_url_drop_all(struct call *c, const struct lambda_name *n);

/* For Application Auto Scaling. */
struct lambda_provisioned_seen {
	bool there;            /* the version or alias */
	int64_t wanted, ready; /* environments; 0: none are provisioned */
};
void lambda_see_provisioned(struct store_txn *t, struct arena *a, struct cloud *cloud, struct str account, struct str region,
                            struct str name, struct str qualifier, struct lambda_provisioned_seen *ret);

/* --- settle.c: brings versions from Pending to Active and updates from InProgress to Successful, once their code lies ready. */
void lambda_settle(struct lambda *l, struct str version_key);

/* --- page.c: one page of a list of records, in the order of their keys */
struct lambda_list {
	struct call *call;
	struct store_iter *it;
	uint32_t left;
	struct str key;  /* of the record that was read last */
	struct str last; /* of the one that was taken last */
};
/* Lists what lies below prefix, from where Marker (of the page before) says, MaxItems at the most. */
int lambda_list_begin(struct call *c, struct str prefix, bool descending, struct str marker, struct opt_int max_items,
                      struct lambda_list *ret);
/* The same of all records of one kind that a function has; it must be there. */
int lambda_list_of_function(struct call *c, struct str kind, struct str text, struct str marker, struct opt_int max_items,
                            struct lambda_list *ret);
/* Reads the next record into *row. False: there is none. */
bool lambda_list_next(struct lambda_list *l, const struct record_type *type, void *row);
/* The record just read belongs on the page. False: the page is full, and *ret_next_marker is for the next one. */
bool lambda_list_take(struct lambda_list *l, struct str *ret_next_marker);

/* --- operations, one declaration a handler */
#define LAMBDA_HANDLER(c_name) extern lambda_##c_name##_handler lambda_##c_name
LAMBDA_HANDLER(create_function);
LAMBDA_HANDLER(get_function);
LAMBDA_HANDLER(get_function_configuration);
LAMBDA_HANDLER(list_functions);
LAMBDA_HANDLER(delete_function);
LAMBDA_HANDLER(update_function_code);
LAMBDA_HANDLER(update_function_configuration);
LAMBDA_HANDLER(get_runtime_management_config);
LAMBDA_HANDLER(publish_version);
LAMBDA_HANDLER(list_versions_by_function);
LAMBDA_HANDLER(create_alias);
LAMBDA_HANDLER(get_alias);
LAMBDA_HANDLER(list_aliases);
LAMBDA_HANDLER(update_alias);
LAMBDA_HANDLER(delete_alias);
LAMBDA_HANDLER(add_permission);
LAMBDA_HANDLER(put_runtime_management_config);
LAMBDA_HANDLER(remove_permission);
LAMBDA_HANDLER(get_policy);
LAMBDA_HANDLER(publish_layer_version);
LAMBDA_HANDLER(get_layer_version);
LAMBDA_HANDLER(get_layer_version_by_arn);
LAMBDA_HANDLER(list_layers);
LAMBDA_HANDLER(list_layer_versions);
LAMBDA_HANDLER(delete_layer_version);
LAMBDA_HANDLER(add_layer_version_permission);
LAMBDA_HANDLER(remove_layer_version_permission);
LAMBDA_HANDLER(get_layer_version_policy);
LAMBDA_HANDLER(put_function_concurrency);
LAMBDA_HANDLER(get_function_code_signing_config);
LAMBDA_HANDLER(get_function_concurrency);
LAMBDA_HANDLER(delete_function_concurrency);
LAMBDA_HANDLER(get_account_settings);
LAMBDA_HANDLER(put_provisioned_concurrency_config);
LAMBDA_HANDLER(get_provisioned_concurrency_config);
LAMBDA_HANDLER(list_provisioned_concurrency_configs);
LAMBDA_HANDLER(delete_provisioned_concurrency_config);
LAMBDA_HANDLER(put_function_event_invoke_config);
LAMBDA_HANDLER(update_function_event_invoke_config);
LAMBDA_HANDLER(get_function_event_invoke_config);
LAMBDA_HANDLER(delete_function_event_invoke_config);
LAMBDA_HANDLER(list_function_event_invoke_configs);
LAMBDA_HANDLER(create_event_source_mapping);
LAMBDA_HANDLER(get_event_source_mapping);
LAMBDA_HANDLER(list_event_source_mappings);
LAMBDA_HANDLER(update_event_source_mapping);
LAMBDA_HANDLER(delete_event_source_mapping);
LAMBDA_HANDLER(create_function_url_config);
LAMBDA_HANDLER(get_function_url_config);
LAMBDA_HANDLER(list_function_url_configs);
LAMBDA_HANDLER(update_function_url_config);
LAMBDA_HANDLER(delete_function_url_config);
LAMBDA_HANDLER(get_function_recursion_config);
LAMBDA_HANDLER(put_function_recursion_config);
LAMBDA_HANDLER(list_tags);
LAMBDA_HANDLER(tag_resource);
LAMBDA_HANDLER(untag_resource);
LAMBDA_HANDLER(invoke);
LAMBDA_HANDLER(invoke_async);
LAMBDA_HANDLER(invoke_with_response_stream);
