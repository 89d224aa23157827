/* Where regions are, for the policies that go by distance. Pure. */
#pragma once
#include "base/str.h"

struct dns_place_at {
	double latitude, longitude; /* degrees */
};
/* False: it is no region that is known. */
bool dns_region_at(struct str region, struct dns_place_at *ret);
double dns_distance_km(struct dns_place_at a, struct dns_place_at b);
