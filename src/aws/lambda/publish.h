/* Functions' metrics in AWS/Lambda. What invocations count is added up in memory, and given to the cloud's metrics once a second,
 * because there may be tens of thousands of them in it. */
#pragma once
#include "aws/lambda/lambda.h"

struct publish;
struct fn;
struct publish *publish_new(struct lambda *l);
void publish_free(struct publish *p); /* gives what is there. NULL is harmless */

/* arn: as it was invoked, version: what ran. running: how many of the function and of the account's were under way when it began.
 */
void publish_invocation(struct publish *p, const struct fn *fn, struct str arn, struct str version, bool error, double duration_ms);
/* Of one that had a provisioned environment, or should have had one and spilled over. */
void publish_provisioned(struct publish *p, const struct fn *fn, struct str arn, bool provisioned);
/* How long extensions went on after the runtime. */
void publish_extensions(struct publish *p, const struct fn *fn, struct str arn, double ms);
void publish_running(struct publish *p, const struct fn *fn);
/* One more invocation of what the qualifier names is under way, until it ends. NULL: it is not counted. */
struct publish_place;
struct publish_place *publish_begin(struct publish *p, const struct fn *fn, struct str qualifier);
void publish_end(struct publish *p, struct publish_place *place);
/* Of events, one by one. */
struct event_name {
	struct str account, region, name, qualifier; /* qualifier: absent: none */
};
void publish_event(struct publish *p, const struct event_name *n, const char *name, const char *unit, double value);
/* Of an event source mapping that has its own. */
void publish_source(struct publish *p, struct str account, struct str region, struct str uuid, const char *name, double events);
void publish_throttle(struct publish *p, const struct fn *fn);
