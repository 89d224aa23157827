/* Where regions are, for the policies that go by distance. Pure. */
#pragma once
#include "base/str.h"

struct dns_place_at {
	double latitude, longitude; /* degrees */
};
/* False: it is no region that is known. */
bool dns_region_at(struct str region, struct dns_place_at *ret);
/* In which continent, country and (of the United States) state it lies; a subdivision may be absent. */
bool dns_region_land(struct str region, struct str *ret_continent, struct str *ret_country, struct str *ret_subdivision);
double dns_distance_km(struct dns_place_at a, struct dns_place_at b);
