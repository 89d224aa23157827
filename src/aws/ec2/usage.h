/* What EC2's records mean for the bill, and for those who listen. Private to aws/ec2. */
#pragma once
#include "aws/ec2/kind.h"

/* Tells the meter, in the record's own transaction, what the thing uses from now on. record NULL: it is gone. Called by ec2_put()
 * and ec2_drop() for every kind; most cost nothing. */
void ec2_meter(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id, const void *record);
/* news.c: what EventBridge is told of a record that is about to be written, or (NULL) deleted. */
void ec2_tell(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id, const void *record);
