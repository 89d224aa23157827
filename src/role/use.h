/* What a workload uses, for who has a key. */
#pragma once
#include "core/gate.h"

/* Takes GET /_quartet/use/<instance or task>. */
void use_take(struct cloud *cloud, struct http_request *r);
