/* Time zones by their names in the IANA data base, from this machine's /usr/share/zoneinfo. A zone is read once, when it is first
 * named, and kept for the life of the process; on the loop's thread alone. Who asks: schedules of scaling. */
#pragma once
#include "base/str.h"

struct zone;
/* "Europe/Berlin", "Etc/UTC". NULL: there is none of this name. */
const struct zone *zone_find(struct str name);
/* What is added to UTC there and then; seconds since 1970. NULL is UTC. */
int64_t zone_offset_s(const struct zone *z, int64_t utc_s);
/* The moment when clocks there show this time. The first of two when they are put back; when they are put forward over it, as much
 * later as they were put forward. */
int64_t zone_to_utc_s(const struct zone *z, int64_t local_s);
