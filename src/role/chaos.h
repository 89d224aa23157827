/* `quartet chaos`, the cloud's side. */
#pragma once
#include "core/gate.h"

/* Takes GET /_quartet/chaos (those in force, a line each), POST /_quartet/chaos/stop[?number=N] and
 * POST /_quartet/chaos/FAULT?target=T&amount=N&for=MILLISECONDS, for whom a key (X-Quartet-Key: id:secret) is of. */
void chaos_take(struct cloud *cloud, struct http_request *r);
