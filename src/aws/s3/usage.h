/* What buckets cost: requests, counted as they are answered, and what is stored, measured every hour. The bucket's owner pays.
 * Private to aws/s3; made by s3_start(). */
#pragma once
#include "aws/s3/rows.h"

struct s3_usage;
struct s3_usage *usage_start(struct s3_state *s);
void usage_stop(struct s3_usage *u); /* NULL is harmless */
/* A request has been answered, or refused. */
void usage_count_request(struct call *c);
