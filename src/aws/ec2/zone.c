/* Regions and availability zones: DescribeRegions, DescribeAvailabilityZones, DescribeAccountAttributes. */
#include "aws/ec2/network/vpc.h"

/* Regions that every account may use; any other name works here as well and is described when it is asked for. */
static const char *const regions[] = {
        "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
        "ca-central-1",   "eu-central-1",   "eu-north-1",     "eu-west-1",  "eu-west-2",      "eu-west-3",
        "sa-east-1",      "us-east-1",      "us-east-2",      "us-west-1",  "us-west-2",
};

struct str ec2_zone_name(struct arena *a, struct str region, unsigned i)
{
	return ARENA_CAT(a, region, str_of(&"abcdef"[i], 1));
}

/* us-east-1: use1, ap-southeast-2: apse2 */
static struct str region_short(struct arena *a, struct str region)
{
	struct str rest = region, ret = str_cut(&rest, '-');
	while (str_set(rest)) {
		struct str part = str_cut(&rest, '-');
		bool two = part.n > 5 && (str_starts(part, S("north")) || str_starts(part, S("south")));
		ret = ARENA_CAT(a, ret, str_sub(part, 0, ascii_is_digit(part.n ? part.p[0] : 'x') ? part.n : 1),
		                two ? str_sub(part, 5, 1) : S(""));
	}
	return ret;
}

struct str ec2_zone_id(struct arena *a, struct str region, unsigned i)
{
	return arena_printf(a, "%.*s-az%u", STR_ARG(region_short(a, region)), i + 1);
}

int ec2_zone_find(struct arena *a, struct str region, struct str name)
{
	for (unsigned i = 0; i < EC2_ZONES; i++)
		if (str_eq(name, ec2_zone_name(a, region, i)) || str_eq(name, ec2_zone_id(a, region, i)))
			return (int)i;
	return -1;
}

int ec2_zone_invalid(struct call *c, struct str zone)
{
	struct str known = ec2_zone_name(c->arena, c->region, 0);
	for (unsigned i = 1; i < EC2_ZONES; i++)
		known = ARENA_CAT(c->arena, known, S(", "), ec2_zone_name(c->arena, c->region, i));
	return ec2_invalid(
	        c,
	        "Value (%.*s) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: %.*s.",
	        STR_ARG(zone), STR_ARG(known));
}

static bool listed(const struct str_list *names, struct str name)
{
	for (uint32_t i = 0; i < names->n; i++)
		if (str_eq(names->v[i], name))
			return true;
	return !names->n;
}

/* What is no stored record passes filters in a record of its own. */
#define PASS(c, value, fields, filters) ec2_filters_pass(c, &(const struct ec2_kind){0}, value, fields, filters)

static const struct ec2_field region_fields[] = {
        FIELD_TEXT("region-name", ec2_region, region_name),
        FIELD_TEXT("endpoint", ec2_region, endpoint),
        FIELD_TEXT("opt-in-status", ec2_region, opt_in_status),
        {0},
};

static void add_region(struct call *c, const struct ec2_describe_regions_request *in, struct str name,
                       struct ec2_describe_regions_result *out)
{
	struct ec2_region region = {
	        .region_name = name,
	        .endpoint = ARENA_CAT(c->arena, S("ec2."), name, S(".amazonaws.com")),
	        .opt_in_status = S("opt-in-not-required"),
	};
	if (PASS(c, &region, region_fields, &in->filters))
		*LIST_ADD(c->arena, &out->regions) = region;
}

int ec2_describe_regions(struct call *c, const struct ec2_describe_regions_request *in, struct ec2_describe_regions_result *out)
{
	out->regions.set = true;
	if (ec2_filters_check(c, region_fields, &in->filters) != CALL_OK)
		return CALL_FAIL;
	size_t n = sizeof(regions) / sizeof(*regions);
	for (uint32_t i = 0; i < in->region_names.n; i++) {
		bool known = str_eq(in->region_names.v[i], c->region);
		for (size_t k = 0; k < n; k++)
			known |= str_is(in->region_names.v[i], regions[k]);
		if (!known)
			return ec2_invalid(c, "Invalid region names provided: %.*s", STR_ARG(in->region_names.v[i]));
	}
	bool own = false;
	for (size_t i = 0; i < n; i++) {
		own |= str_is(c->region, regions[i]);
		if (listed(&in->region_names, str_from(regions[i])))
			add_region(c, in, str_from(regions[i]), out);
	}
	if (!own && listed(&in->region_names, c->region))
		add_region(c, in, c->region, out);
	return CALL_OK;
}

static const struct ec2_field zone_fields[] = {
        FIELD_TEXT("zone-name", ec2_availability_zone, zone_name),
        FIELD_TEXT("zone-id", ec2_availability_zone, zone_id),
        FIELD_TEXT("zone-type", ec2_availability_zone, zone_type),
        FIELD_TEXT("region-name", ec2_availability_zone, region_name),
        FIELD_TEXT("state", ec2_availability_zone, state),
        FIELD_TEXT("group-name", ec2_availability_zone, group_name),
        FIELD_TEXT("opt-in-status", ec2_availability_zone, opt_in_status),
        FIELD_TEXT("group-long-name", ec2_availability_zone, group_long_name),
        FIELD_PATH("message", "AvailabilityZone", "Messages.Message"),
        FIELD_TEXT("parent-zone-id", ec2_availability_zone, parent_zone_id),
        FIELD_TEXT("parent-zone-name", ec2_availability_zone, parent_zone_name),
        {0},
};

int ec2_describe_availability_zones(struct call *c, const struct ec2_describe_availability_zones_request *in,
                                    struct ec2_describe_availability_zones_result *out)
{
	out->availability_zones.set = true;
	if (ec2_filters_check(c, zone_fields, &in->filters) != CALL_OK)
		return CALL_FAIL;
	const struct str_list *lists[] = {&in->zone_names, &in->zone_ids};
	for (unsigned k = 0; k < 2; k++)
		for (uint32_t i = 0; i < lists[k]->n; i++)
			if (ec2_zone_find(c->arena, c->region, lists[k]->v[i]) < 0)
				return ec2_invalid(c, "Invalid availability zone%s: [%.*s]", k ? "-id" : "",
				                   STR_ARG(lists[k]->v[i]));
	for (unsigned i = 0; i < EC2_ZONES; i++) {
		struct ec2_availability_zone zone = {
		        .zone_name = ec2_zone_name(c->arena, c->region, i),
		        .zone_id = ec2_zone_id(c->arena, c->region, i),
		        .zone_type = S("availability-zone"),
		        .region_name = c->region,
		        .state = S("available"),
		        .group_name = ARENA_CAT(c->arena, c->region, S("-zg-1")),
		        .network_border_group = c->region,
		        .opt_in_status = S("opt-in-not-required"),
		};
		zone.messages.set = true;
		if (listed(&in->zone_names, zone.zone_name) && listed(&in->zone_ids, zone.zone_id) &&
		    PASS(c, &zone, zone_fields, &in->filters))
			*LIST_ADD(c->arena, &out->availability_zones) = zone;
	}
	return CALL_OK;
}

static struct str default_vpc_id(struct call *c)
{
	struct state_vpc_vpc_record vpc;
	return ec2_default_vpc(c, &vpc) ? vpc.vpc->vpc_id : S("none");
}

int ec2_describe_account_attributes(struct call *c, const struct ec2_describe_account_attributes_request *in,
                                    struct ec2_describe_account_attributes_result *out)
{
	const struct {
		const char *name;
		struct str value;
	} all[] = {
	        {"supported-platforms", S("VPC")},
	        {"default-vpc", default_vpc_id(c)},
	        {"vpc-max-elastic-ips", arena_printf(c->arena, "%d", EC2_ADDRESSES_MAX)},
	        {"vpc-max-security-groups-per-interface", arena_printf(c->arena, "%d", EC2_INTERFACE_GROUPS_MAX)},
	};
	out->account_attributes.set = true;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		if (!listed(&in->attribute_names, str_from(all[i].name)))
			continue;
		struct ec2_account_attribute *a = LIST_ADD(c->arena, &out->account_attributes);
		a->attribute_name = str_from(all[i].name);
		LIST_ADD(c->arena, &a->attribute_values)->attribute_value = all[i].value;
	}
	return CALL_OK;
}
