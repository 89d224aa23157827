/* Bytes of NAT gateways for the meter. Private to aws/ec2; the desk has the list, the sampler asks every minute. */
#pragma once
#include "aws/ec2/kind.h"

struct desk;
/* The network has the gateway in place; is_new: it has carried nothing before. */
void nat_usage_note(struct desk *d, const struct ec2_scope *s, const struct ec2_nat_gateway *nat, bool is_new);
void nat_usage_count(struct desk *d, struct store_txn *t, struct arena *a);
void nat_usage_forget(struct desk *d); /* the desk goes */
