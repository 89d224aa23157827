/* Reading the offers of savings plans in a price file (pricing.h). Private to aws/pricing; results live as long as the book. */
#pragma once
#include "aws/pricing/pricing.h"
#include "base/json.h"

/* Out of the file's list "savings_plans": [{"type": "Compute", "years": 1, "payment": "No Upfront", "rates": {"us-east-1":
 * {"BoxUsage:m5.large": 0.07}}}]. What it says of EC2Instance plans becomes an offer a region and family. False: *ret_why. */
bool price_offers_read(struct arena *a, const struct json_value *list, struct price_offers *ret, struct str *ret_why);
