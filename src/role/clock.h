/* `quartet clock`, the cloud's side: its clock may go ahead of the machine's. How far lies in the store, so that it stays so. */
#pragma once
#include "core/gate.h"

/* At the start, before a service looks at the clock. */
void clock_open(struct cloud *cloud);
/* Takes GET /_quartet/clock (the time, and how many milliseconds that is ahead) and POST /_quartet/clock?forward=MILLISECONDS, for
 * whom a key (X-Quartet-Key: id:secret) is of. */
void clock_take(struct cloud *cloud, struct http_request *r);
