#include "engine/net/route.h"
#include "engine/net/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

enum { MARK_RULE_PRIORITY = 1000 };

static struct ifinfomsg *start_link(struct nlmsghdr *h, unsigned ifindex)
{
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_index = (int)ifindex;
	return m;
}

static int route_ask(int sock, const struct route *r, uint16_t type, uint16_t flags)
{
	static const unsigned char types[] = {RTN_UNICAST, RTN_UNICAST, RTN_BLACKHOLE, RTN_THROW};
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, type, flags);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	bool leads = r->kind == ROUTE_VIA || r->kind == ROUTE_LINK;
	m->rtm_family = AF_INET;
	m->rtm_dst_len = r->bits;
	m->rtm_table = r->table < 256 ? (unsigned char)r->table : RT_TABLE_UNSPEC;
	m->rtm_protocol = RTPROT_STATIC;
	m->rtm_scope = r->kind == ROUTE_LINK ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	m->rtm_type = types[r->kind];
	mnl_attr_put_u32(h, RTA_TABLE, r->table);
	if (r->bits)
		mnl_attr_put_u32(h, RTA_DST, htonl(r->base));
	if (leads)
		mnl_attr_put_u32(h, RTA_OIF, r->ifindex);
	if (r->kind == ROUTE_VIA) {
		m->rtm_flags |= RTNH_F_ONLINK;
		mnl_attr_put_u32(h, RTA_GATEWAY, htonl(r->gateway));
	}
	return netlink_ask(sock, h, NULL, NULL);
}

int route_set(int sock, const struct route *r)
{
	return route_ask(sock, r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
}

int route_remove(int sock, const struct route *r)
{
	return route_ask(sock, r, RTM_DELROUTE, 0);
}

static int mark_rule(int sock, uint32_t mark, uint32_t table, uint16_t type, uint16_t flags)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, type, flags);
	struct fib_rule_hdr *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->family = AF_INET;
	m->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(h, FRA_PRIORITY, MARK_RULE_PRIORITY);
	mnl_attr_put_u32(h, FRA_FWMARK, mark);
	mnl_attr_put_u32(h, FRA_TABLE, table);
	return netlink_ask(sock, h, NULL, NULL);
}

int route_add_mark_rule(int sock, uint32_t mark, uint32_t table)
{
	return mark_rule(sock, mark, table, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
}

int route_remove_mark_rule(int sock, uint32_t mark, uint32_t table)
{
	return mark_rule(sock, mark, table, RTM_DELRULE, 0);
}

static int neighbour_ask(int sock, unsigned ifindex, uint32_t address, const uint8_t *mac, uint16_t type, uint16_t flags)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, type, flags);
	struct ndmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ndm_family = AF_INET;
	m->ndm_ifindex = (int)ifindex;
	m->ndm_state = NUD_PERMANENT;
	mnl_attr_put_u32(h, NDA_DST, htonl(address));
	if (mac)
		mnl_attr_put(h, NDA_LLADDR, 6, mac);
	return netlink_ask(sock, h, NULL, NULL);
}

int neighbour_set(int sock, unsigned ifindex, uint32_t address, const uint8_t mac[6])
{
	return neighbour_ask(sock, ifindex, address, mac, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
}

int neighbour_remove(int sock, unsigned ifindex, uint32_t address)
{
	return neighbour_ask(sock, ifindex, address, NULL, RTM_DELNEIGH, 0);
}

int device_add_veth(int sock, const char *ours, const char *theirs, int their_ns_fd, const uint8_t their_mac[6])
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	start_link(h, 0);
	mnl_attr_put_strz(h, IFLA_IFNAME, ours);
	struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	struct nlattr *data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	struct nlattr *peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
	start_link(h, 0);
	mnl_attr_put_strz(h, IFLA_IFNAME, theirs);
	mnl_attr_put(h, IFLA_ADDRESS, 6, their_mac);
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)their_ns_fd);
	mnl_attr_nest_end(h, peer);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	return netlink_ask(sock, h, NULL, NULL);
}

int device_set_mac(int sock, unsigned ifindex, const uint8_t mac[6])
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_NEWLINK, 0);
	start_link(h, ifindex);
	mnl_attr_put(h, IFLA_ADDRESS, 6, mac);
	return netlink_ask(sock, h, NULL, NULL);
}

int device_set_group(int sock, unsigned ifindex, uint32_t group)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_NEWLINK, 0);
	start_link(h, ifindex);
	mnl_attr_put_u32(h, IFLA_GROUP, group);
	return netlink_ask(sock, h, NULL, NULL);
}

int device_remove_group(int sock, uint32_t group)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_DELLINK, 0);
	start_link(h, 0);
	mnl_attr_put_u32(h, IFLA_GROUP, group);
	return netlink_ask(sock, h, NULL, NULL);
}

struct setting {
	uint16_t key;
	uint32_t value;
};

static int set_ipv4(int sock, unsigned ifindex, const struct setting *settings, size_t n)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_SETLINK, 0);
	start_link(h, ifindex);
	struct nlattr *spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	struct nlattr *v4 = mnl_attr_nest_start(h, AF_INET);
	struct nlattr *conf = mnl_attr_nest_start(h, IFLA_INET_CONF);
	for (size_t i = 0; i < n; i++)
		mnl_attr_put_u32(h, settings[i].key, settings[i].value);
	mnl_attr_nest_end(h, conf);
	mnl_attr_nest_end(h, v4);
	mnl_attr_nest_end(h, spec);
	return netlink_ask(sock, h, NULL, NULL);
}

/* The kernel answers for others only after a random delay of up to 0.8 s, unless told otherwise. */
static int answer_at_once(int sock, unsigned ifindex)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_SETNEIGHTBL, 0);
	struct ndtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ndtm_family = AF_INET;
	mnl_attr_put_strz(h, NDTA_NAME, "arp_cache");
	struct nlattr *parms = mnl_attr_nest_start(h, NDTA_PARMS);
	mnl_attr_put_u32(h, NDTPA_IFINDEX, ifindex);
	mnl_attr_put_u64(h, NDTPA_PROXY_DELAY, 0);
	mnl_attr_nest_end(h, parms);
	return netlink_ask(sock, h, NULL, NULL);
}

int device_be_router_port(int sock, unsigned ifindex)
{
	static const struct setting settings[] = {
	        {IPV4_DEVCONF_FORWARDING, 1},       {IPV4_DEVCONF_PROXY_ARP, 1},      {IPV4_DEVCONF_RP_FILTER, 0},
	        {IPV4_DEVCONF_ACCEPT_REDIRECTS, 0}, {IPV4_DEVCONF_SEND_REDIRECTS, 0}, {IPV4_DEVCONF_ARP_IGNORE, 0},
	        {IPV4_DEVCONF_ROUTE_LOCALNET, 0},   {IPV4_DEVCONF_ACCEPT_LOCAL, 0},   {IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE, 0},
	};
	int error = set_ipv4(sock, ifindex, settings, sizeof(settings) / sizeof(settings[0]));
	return error ? error : answer_at_once(sock, ifindex);
}

int device_allow_loopback_addresses(int sock, unsigned ifindex)
{
	static const struct setting settings[] = {{IPV4_DEVCONF_ROUTE_LOCALNET, 1}};
	return set_ipv4(sock, ifindex, settings, 1);
}

int device_remove_address(int sock, unsigned ifindex, uint32_t address, unsigned prefix)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_DELADDR, 0);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifa_family = AF_INET;
	m->ifa_prefixlen = (unsigned char)prefix;
	m->ifa_index = ifindex;
	mnl_attr_put_u32(h, IFA_LOCAL, htonl(address));
	return netlink_ask(sock, h, NULL, NULL);
}

static void take_counters(void *ctx, const struct nlmsghdr *r)
{
	struct device_counters *c = ctx;
	const struct nlattr *a;
	mnl_attr_for_each(a, r, sizeof(struct ifinfomsg))
	{
		struct rtnl_link_stats64 s = {0};
		if (mnl_attr_get_type(a) != IFLA_STATS64)
			continue;
		size_t n = mnl_attr_get_payload_len(a);
		memcpy(&s, mnl_attr_get_payload(a), n < sizeof(s) ? n : sizeof(s));
		*c = (struct device_counters){s.rx_packets, s.rx_bytes, s.tx_packets, s.tx_bytes};
	}
}

int device_counters(int sock, unsigned ifindex, struct device_counters *ret_counters)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_GETLINK, 0);
	start_link(h, ifindex);
	struct device_counters c = {0};
	int error = netlink_ask(sock, h, take_counters, &c);
	if (!error)
		*ret_counters = c;
	return error;
}
