/* `quartet exec`, the cloud's side: a terminal in a sandbox of a function, carried over an upgraded connection. */
#pragma once
#include "core/gate.h"

/* Takes POST /_quartet/exec/<function>[?arg=...]: whoever asks must know the root key (header X-Quartet-Key: id:secret). */
void exec_take(struct cloud *cloud, struct http_request *r);
/* Whose key came in that header; NULL: nobody's. The caller gives the reference back. */
const struct principal *exec_who_asks(struct cloud *cloud, struct http_request *r);
