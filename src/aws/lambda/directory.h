/* The functions of this cloud in memory, for invocations: a copy of the records that a watch of the store keeps fresh. Nothing here
 * waits or reads the store after the start. Everything belongs to the loop's thread. */
#pragma once
#include "aws/lambda/lambda.h"
#include "base/list.h"

struct pool;

struct fn_alias {
	struct arena arena;
	struct lambda_alias_configuration config;
};
/* What one version runs as, never changed once made: a change of the record makes a new one. Counted: environments and invocations
 * hold it. */
struct fn_version {
	unsigned refs;
	struct arena arena;
	struct fn *fn;                                     /* NULL once the function is deleted */
	const struct lambda_function_configuration *shown; /* the record's own: state and so on */
	const struct lambda_function_configuration
	        *config; /* what invocations use: the one before, while an update is in progress */
	struct str code;
	struct str_list layer_code;
	struct function_image *image; /* NULL: a package */
	struct str snapshot;          /* name of the one that environments are restored from; absent: none (snapstart.h) */
	bool snapshot_lost;           /* it cannot be, for now */
	struct str account, region, name, version;
	struct str essence; /* equal: environments of the one serve the other */
	struct pool *pool;  /* environments; pools.c */
};
struct fn {
	struct arena arena;
	struct str account, region, name;
	struct account *owner;
	bool there; /* its own record exists */
	struct opt_int reserved;
	bool may_recur; /* loops are let be: recursion.h */
	struct arena tags_arena;
	struct str_map tags;
	struct map versions; /* struct fn_version */
	struct map aliases;  /* struct fn_alias */
	struct map policies; /* qualifier or "-" -> struct fn_policy */
	struct map event_configs;
	struct map provisioned;    /* qualifier -> struct fn_provisioned */
	int64_t provisioned_sum;   /* of what these request */
	int64_t running;           /* invocations under way */
	int64_t running_on_demand; /* of them, those without a provisioned environment */
};
struct fn_provisioned {
	struct arena arena;
	int64_t requested, since_ms;
};
struct fn_policy {
	struct arena arena;
	struct str document;
};
struct fn_event_config {
	struct arena arena;
	struct lambda_function_event_invoke_config config;
};
/* An account in a region: what concurrency is counted against. */
struct account {
	int64_t reserved;           /* sum of reservations */
	int64_t running;            /* invocations under way */
	int64_t running_unreserved; /* invocations of functions without one, in environments that are not provisioned */
	int64_t provisioned;        /* what functions without a reservation have provisioned */
};

struct directory *directory_open(struct lambda *l);
void directory_close(struct directory *d);
struct fn *directory_find(struct directory *d, struct str account, struct str region, struct str name);
/* The version that a qualifier means (absent: $LATEST), drawn by weight for an alias. NULL: there is none. */
struct fn_version *fn_choose_version(struct fn *fn, struct str qualifier);
/* The policy document of the function (absent) or of a qualifier; absent: none. */
struct str fn_policy_document(const struct fn *fn, struct str qualifier);
const struct lambda_function_event_invoke_config *fn_event_config(const struct fn *fn, struct str qualifier);

/* Of what is provisioned for a qualifier: how many are ready, and whether more cannot be. */
int64_t fn_provisioned_ready(struct fn *fn, struct str qualifier, bool *ret_failed);

/* Does a version have this snapshot? Looks at all of them. */
bool directory_knows_snapshot(const struct directory *d, struct str name);

/* An invocation of it has ended: a function that is deleted is forgotten with its last one. */
void directory_release(struct directory *d, struct fn *fn);

struct fn_version *fn_version_ref(struct fn_version *v);
void fn_version_unref(struct fn_version *v);
/* Draws by weights 0..1: true with probability `weight`. */
bool alias_draw(double weight, uint64_t random);
