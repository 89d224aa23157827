/* AWS/Usage: how often each operation is called, and refused as one call too many; and what CloudWatch's own cost, beside
 * PutMetricData. What ends is added up in memory and given to the cloud's metrics once a second, because there may be tens of
 * thousands of calls in it. Private to aws/cloudwatch. */
#pragma once
#include "core/cloud.h"

struct usage;
struct usage *usage_new(struct cloud *cloud);
void usage_free(struct usage *u); /* gives what is there. NULL is harmless */
