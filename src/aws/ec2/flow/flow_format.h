/* The lines of flow logs: which fields a format may name, and one record of them as text. Pure. Private to aws/ec2. */
#pragma once
#include "base/arena.h"
#include "engine/net/network.h"

/* Whose record it is. */
struct flow_place {
	struct str account, region, vpc, subnet, zone_id, instance, interface;
	/* the interface's own, first those of IPv4; the first of each family is the primary one */
	struct network_ip addresses[2 * NETWORK_ADDRESSES_MAX];
	size_t address_count;
};

#define FLOW_FORMAT_DEFAULT \
	"${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} " \
	"${start} ${end} ${action} ${log-status}"

/* Is every field one that can be filled? False: *ret_wrong is the first that is not. */
bool flow_format_good(struct str format, struct str *ret_wrong);
/* Names alone, as the first line of a file. */
struct str flow_format_head(struct arena *a, struct str format);
/* One record. f NULL: of an interval from start_s to end_s in which there was nothing ("NODATA") or something was lost
 * ("SKIPDATA"). */
struct str flow_format_line(struct arena *a, struct str format, const struct flow_place *p, const struct network_flow *f,
                            int64_t start_s, int64_t end_s, struct str status);
