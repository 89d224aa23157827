#include "engine/dns/places.h"

#include <math.h>

#define EARTH_KM 6371.0

static const struct {
	const char *region;
	struct dns_place_at at;
	const char *land; /* continent, country, of the United States the state */
} regions[] = {
        {"af-south-1", {-33.9, 18.4}, "AF ZA"},     {"ap-east-1", {22.3, 114.2}, "AS HK"},
        {"ap-east-2", {25.0, 121.6}, "AS TW"},      {"ap-northeast-1", {35.7, 139.7}, "AS JP"},
        {"ap-northeast-2", {37.6, 127.0}, "AS KR"}, {"ap-northeast-3", {34.7, 135.5}, "AS JP"},
        {"ap-south-1", {19.1, 72.9}, "AS IN"},      {"ap-south-2", {17.4, 78.5}, "AS IN"},
        {"ap-southeast-1", {1.4, 103.8}, "AS SG"},  {"ap-southeast-2", {-33.9, 151.2}, "OC AU"},
        {"ap-southeast-3", {-6.2, 106.8}, "AS ID"}, {"ap-southeast-4", {-37.8, 145.0}, "OC AU"},
        {"ap-southeast-5", {3.1, 101.7}, "AS MY"},  {"ap-southeast-6", {-36.8, 174.8}, "OC NZ"},
        {"ap-southeast-7", {13.8, 100.5}, "AS TH"}, {"ca-central-1", {45.5, -73.6}, "NA CA"},
        {"ca-west-1", {51.0, -114.1}, "NA CA"},     {"cn-north-1", {39.9, 116.4}, "AS CN"},
        {"cn-northwest-1", {37.5, 105.2}, "AS CN"}, {"eu-central-1", {50.1, 8.7}, "EU DE"},
        {"eu-central-2", {47.4, 8.5}, "EU CH"},     {"eu-north-1", {59.3, 18.1}, "EU SE"},
        {"eu-south-1", {45.5, 9.2}, "EU IT"},       {"eu-south-2", {41.6, -0.9}, "EU ES"},
        {"eu-west-1", {53.3, -6.3}, "EU IE"},       {"eu-west-2", {51.5, -0.1}, "EU GB"},
        {"eu-west-3", {48.9, 2.4}, "EU FR"},        {"il-central-1", {32.1, 34.8}, "AS IL"},
        {"me-central-1", {25.2, 55.3}, "AS AE"},    {"me-south-1", {26.1, 50.6}, "AS BH"},
        {"mx-central-1", {20.6, -100.4}, "NA MX"},  {"sa-east-1", {-23.5, -46.6}, "SA BR"},
        {"us-east-1", {38.9, -77.4}, "NA US VA"},   {"us-east-2", {40.0, -83.0}, "NA US OH"},
        {"us-west-1", {37.4, -122.0}, "NA US CA"},  {"us-west-2", {45.8, -119.7}, "NA US OR"},
};

bool dns_region_at(struct str region, struct dns_place_at *ret)
{
	for (size_t i = 0; i < sizeof(regions) / sizeof(*regions); i++)
		if (str_is(region, regions[i].region)) {
			*ret = regions[i].at;
			return true;
		}
	return false;
}

bool dns_region_land(struct str region, struct str *ret_continent, struct str *ret_country, struct str *ret_subdivision)
{
	for (size_t i = 0; i < sizeof(regions) / sizeof(*regions); i++)
		if (str_is(region, regions[i].region)) {
			struct str land = str_from(regions[i].land);
			*ret_continent = str_cut(&land, ' ');
			*ret_country = str_cut(&land, ' ');
			*ret_subdivision = land;
			return true;
		}
	return false;
}

static double radians(double degrees)
{
	return degrees * M_PI / 180;
}

double dns_distance_km(struct dns_place_at a, struct dns_place_at b)
{
	double y = sin(radians(b.latitude - a.latitude) / 2), x = sin(radians(b.longitude - a.longitude) / 2);
	double h = y * y + cos(radians(a.latitude)) * cos(radians(b.latitude)) * x * x;
	return 2 * EARTH_KM * asin(sqrt(h < 1 ? h : 1));
}
