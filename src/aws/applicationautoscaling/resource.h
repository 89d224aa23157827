/* What can be scaled: kinds of resources by namespace and dimension, how their counts are seen and set. A new kind is a row in
 * resource.c. Private to aws/applicationautoscaling. */
#pragma once
#include "core/call.h"
#include "gen/cloudwatch.h"

/* Whose records, in which transaction: a call's, an alarm's or a keeper's. */
struct appscale {
	struct store_txn *txn;
	struct arena *arena;
	struct cloud *cloud;
	struct str account, region;
	int64_t now_ms;
};

struct resource_seen {
	bool there;
	int64_t wanted, running;
	bool moves;                    /* it is being changed otherwise: nothing shrinks meanwhile */
	struct str_list target_groups; /* ARNs: requests per target of these can be tracked */
	struct str refused;            /* why it cannot be scaled at all; absent: it can */
};
struct resource_metric {
	const char *type, *space, *name, *unit; /* unit NULL: of any */
};
struct resource_kind {
	const char *namespace, *dimension;
	const char *what;          /* is set: "desired count" */
	const char *missing;       /* an error's beginning, before the resource's id */
	const char *head;          /* of targets' ids */
	const char *linked, *role; /* the service-linked role that does it: whose, and what it is called */
	int64_t most, cooldown_s;
	int64_t poll_ms;                       /* how often to look whether a change has come about; 0: the other service tells */
	const struct resource_metric *metrics; /* predefined ones; ends with an empty row */
	void (*see)(const struct appscale *s, struct str id, struct resource_seen *ret);
	void (*add_dimensions)(struct arena *a, struct str id, struct cloudwatch_dimensions *ret);
	/* Through the other service's own operation, as the account. */
	void (*set)(struct cloud *cloud, const struct principal *as, struct str region, struct str id, int64_t count,
	            call_done_fn *done, void *ctx);
};
struct resource {
	const struct resource_kind *kind;
	struct str namespace, id, dimension;
};
/* NULL: this cloud scales nothing of that. */
const struct resource_kind *resource_kind_of(struct str namespace, struct str dimension);
void resource_see(const struct appscale *s, const struct resource *of, struct resource_seen *ret);
