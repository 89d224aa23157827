/* Functions that cause themselves. The trace header that a call carries from a function's SDK, through queues too, says how often
 * which function has been passed: "...;Lineage=1:HASH:COUNT|1:HASH:COUNT". After sixteen passes a function is not run again, unless
 * its configuration allows it. Pure but for the configuration's operations. */
#pragma once
#include "aws/lambda/directory.h"

/* How often the function has been passed on the way that the header (absent: none) tells of. */
unsigned recursion_passes(struct str trace, const struct fn *fn);
/* The same header with one pass more, as the function is to see it; in the arena. False: it must not be run. */
bool recursion_enter(struct arena *a, const struct lambda *l, const struct fn *fn, struct str qualifier, struct str *trace);
