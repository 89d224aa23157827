/* What a workload uses of this machine, as whoever runs the cloud may read it: GET /_quartet/use/<instance, task or ARN of a
 * function>. */
#pragma once
#include <stdint.h>

struct workload_use {
	uint64_t cpu_us, memory_bytes; /* since its start; in use: 0: not known */
	int64_t at_us;                 /* when that was so, by the loop's clock; 0: not known yet, ask again in a moment */
};
