/* Functions as targets: what a request is to a function, and what its answer is to the client. function_event.c is without effects;
 * function.c serves the connections by which nodes ask; function_target.c looks at permissions before one is registered. Private to
 * aws/elbv2. */
#pragma once
#include "core/listen.h"
#include "desk.h"

enum { ELB_FUNCTION_BYTES_MAX = 1024 * 1024 /* of a request's body, and of an answer */ };

struct elb_function_request {
	struct str group; /* its ARN */
	bool multi;       /* all values of a header or parameter, not the last one alone */
	struct str method, path, query;
	const struct listen_header *headers; /* as they came */
	unsigned header_count;
	struct str body;
};
/* The event, as JSON in the arena. */
struct str elb_function_event(struct arena *a, const struct elb_function_request *q);
/* The event of a health check. */
struct str elb_function_check_event(struct arena *a, struct str group, struct str path);

struct elb_function_answer {
	unsigned status;
	struct listen_header *headers;
	unsigned header_count;
	struct str body;
};
/* False: it is not what a function has to answer. Everything lies in the arena. */
bool elb_function_answer(struct arena *a, struct str payload, bool multi, struct elb_function_answer *ret);

/* Who asks functions: elasticloadbalancing.amazonaws.com, for this target group. */
struct principal *elb_function_principal(struct str account, struct str group_arn);

/* --- function.c: one node's connections */
struct elb_door;
/* Serves it from now on; owns fd. */
void elb_door_take(struct elb_item *i, struct elb_item_node *n, int fd);
void elb_door_close(struct elb_door *d); /* NULL is harmless */

/* --- function_target.c: may the balancer invoke it? As a handler: CALL_OK, CALL_FAIL, CALL_WAIT (the operation is run again). */
int elb_function_check(struct call *c, struct str group_arn, struct str function);
