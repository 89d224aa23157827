/* What instances do, once a minute, as CloudWatch's metrics of AWS/EC2. Private to aws/ec2. */
#pragma once
#include "aws/ec2/desk.h"

struct sampler;
/* Goes on until sampler_stop(). NULL: there is nowhere to record. */
struct sampler *sampler_start(struct desk *d);
void sampler_stop(struct sampler *s); /* NULL is harmless */
