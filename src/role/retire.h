/* `quartet retire`, the cloud's side. */
#pragma once
#include "core/gate.h"

/* Takes POST /_quartet/retire/<instance>?code=CODE&in=MILLISECONDS or ?cancel=1, or /_quartet/retire/<task>, for whom a key
 * (X-Quartet-Key: id:secret) is of.
 */
void retire_take(struct cloud *cloud, struct http_request *r);
