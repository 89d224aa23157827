/* What a workload uses, for who has a key. */
#pragma once
#include "core/gate.h"

/* Takes GET /_quartet/use/<instance, task or ARN of a function>. */
void use_take(struct cloud *cloud, struct http_request *r);
