/* The cloud's own few paths beside AWS's: /_quartet/health, /_quartet/reset, /_quartet/why/<id>, /_quartet/exec/<function>,
 * /_quartet/retire/<instance>, /metrics. Only for clients on this machine, and not for web pages of others that its browser shows.
 */
#pragma once
#include "core/gate.h"
#include "role/role.h"

struct admin;
struct admin *admin_new(struct cloud *cloud, const struct role_config *config);
/* True: the request was for one of those paths and is answered. */
bool admin_take(struct admin *a, struct http_request *r);
