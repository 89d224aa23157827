/* What EC2's records mean for the bill. Private to aws/ec2. */
#pragma once
#include "aws/ec2/kind.h"

/* Tells the meter, in the record's own transaction, what the thing uses from now on. record NULL: it is gone. Called by ec2_put()
 * and ec2_drop() for every kind; most cost nothing. */
void ec2_meter(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id, const void *record);
