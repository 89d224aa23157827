/* A way into a living sandbox of a function, for the user's own eyes: `quartet exec`. */
#pragma once
#include "core/cloud.h"
#include "core/use.h"

struct cell;
struct http_request;

/* name: of a function, with or without a version or an alias. The cell of one of its environments, continued if it was frozen and
 * never frozen again; NULL: none is alive. The cell is the environment's and may be destroyed as soon as control returns to the
 * loop. */
struct cell *lambda_enter(struct cloud *cloud, struct str account, struct str region, struct str name);
/* What all environments of a function, or of one version, have used, for who may read the function. False: *ret_status (of HTTP)
 * and *ret_why. */
bool lambda_use(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who, struct str region,
                struct str name, struct workload_use *ret, unsigned *ret_status, struct str *ret_why);
