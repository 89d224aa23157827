/* What whoever runs the cloud may tell EC2 of the hosts that its instances run on: `quartet retire`. AWS makes such events itself;
 * the permission is an action of ours, quartet:RetireInstance on the instance. */
#pragma once
#include "core/cloud.h"

struct http_request;

struct retire_ask {
	struct str region, instance, code;
	int64_t in_ms; /* from now; 0: at once */
	bool cancel;   /* instead: those that are scheduled are called off */
};
/* Comes once, later, when it is durable. error NULL: done, and `said` is the event's id, or how many were called off. */
typedef void retire_done_fn(void *ctx, const char *error, struct str said);
/* For `who`, who came with request r. False: *ret_status (of HTTP) and *ret_why say why not, in r's arena, and done() does not
 * come. */
bool retire_instance(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who,
                     const struct retire_ask *ask, retire_done_fn *done, void *ctx, unsigned *ret_status, struct str *ret_why);
