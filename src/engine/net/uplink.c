#include "engine/net/uplink.h"
#include "engine/net/link.h"
#include "engine/net/network_proto.h"
#include "engine/net/outbound.h"
#include "engine/net/route.h"
#include "engine/net/route6.h"
#include "engine/net/rules.h"

#include <unistd.h>

static const uint8_t host_mac[6] = {0x02, 'u', 'p', 'l', 'i', 0}, inside_mac[6] = {0x02, 'u', 'p', 'l', 'i', 1};

/* Nobody asks for neighbours on the link: both ends are known. The inner end could not ask either. What it wants to send to this
 * machine comes from public addresses, which are 127.x here; it would ask in their name, and take no answer to them. */
static int set_neighbours(const struct outbound *o, unsigned slot, int host, unsigned ifindex, int inside, unsigned inside_index)
{
	int error = device_set_mac(host, ifindex, host_mac);
	if (!error)
		error = device_set_mac(inside, inside_index, inside_mac);
	if (!error)
		error = neighbour_set(host, ifindex, outbound_cell_address(o, slot), inside_mac);
	return error ? error : neighbour_set(inside, inside_index, outbound_host_address(o, slot), host_mac);
}

/* It fails where either side has no IPv6. */
static int add_ipv6(const struct outbound *o, unsigned slot, int host, unsigned ifindex, int inside, unsigned inside_index)
{
	uint8_t ours[16], theirs[16];
	network_outside6(outbound_host_address(o, slot), ours);
	network_outside6(outbound_cell_address(o, slot), theirs);
	int error = address6_add(host, ifindex, ours, 128);
	if (!error)
		error = neighbour6_set(host, ifindex, theirs, inside_mac);
	return error ? error : neighbour6_set(inside, inside_index, ours, host_mac);
}

int uplink_make(const struct outbound *o, unsigned slot, int host, int inside, int host_ns, unsigned *ret_ifindex, bool *ret_ipv6)
{
	char name[OUTBOUND_NAME_MAX];
	unsigned before, ifindex = 0, inside_index = 0;
	bool has_ipv6 = false;
	outbound_vpc_link_name(o, slot, name);
	if (link_index(inside, RULES_UPLINK, &before) == 0)
		link_remove(inside, before);
	int error = link_add_veth(inside, RULES_UPLINK, name, host_ns);
	if (!error)
		error = link_index(host, name, &ifindex);
	if (!error)
		error = link_set_forwarding(host, ifindex, true);
	if (!error)
		error = device_allow_loopback_addresses(host, ifindex);
	if (!error)
		error = link_add_address(host, ifindex, outbound_host_address(o, slot), 31);
	if (!error)
		error = link_up(host, ifindex);
	if (!error)
		error = link_index(inside, RULES_UPLINK, &inside_index);
	if (!error)
		error = link_add_address(inside, inside_index, outbound_cell_address(o, slot), 31);
	if (!error)
		error = set_neighbours(o, slot, host, ifindex, inside, inside_index);
	if (!error)
		has_ipv6 = add_ipv6(o, slot, host, ifindex, inside, inside_index) == 0;
	if (!error && has_ipv6 && o->works6)
		error = outbound_forward6(name);
	if (error)
		return error;
	*ret_ifindex = ifindex;
	*ret_ipv6 = has_ipv6;
	return 0;
}

bool uplink_is_there(const struct outbound *o, unsigned slot, unsigned ifindex)
{
	int sock = link_socket();
	unsigned is = 0;
	char name[OUTBOUND_NAME_MAX];
	outbound_vpc_link_name(o, slot, name);
	bool there = sock >= 0 && link_index(sock, name, &is) == 0 && is == ifindex;
	if (sock >= 0)
		close(sock);
	return there;
}

void uplink_remove(const struct outbound *o, unsigned slot)
{
	int sock = link_socket();
	unsigned ifindex;
	char name[OUTBOUND_NAME_MAX];
	outbound_vpc_link_name(o, slot, name);
	if (sock >= 0 && link_index(sock, name, &ifindex) == 0)
		link_remove(sock, ifindex);
	if (sock >= 0)
		close(sock);
}
