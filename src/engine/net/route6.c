#include "engine/net/route6.h"
#include "engine/net/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

enum { MARK_RULE_PRIORITY = 1000 };

static int route_ask(int sock, const struct route6 *r, uint16_t type, uint16_t flags)
{
	static const unsigned char types[] = {RTN_UNICAST, RTN_UNICAST, RTN_BLACKHOLE, RTN_THROW};
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, type, flags);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = AF_INET6;
	m->rtm_dst_len = r->bits;
	m->rtm_table = r->table < 256 ? (unsigned char)r->table : RT_TABLE_UNSPEC;
	m->rtm_protocol = RTPROT_STATIC;
	m->rtm_scope = RT_SCOPE_UNIVERSE;
	m->rtm_type = types[r->kind];
	mnl_attr_put_u32(h, RTA_TABLE, r->table);
	if (r->bits)
		mnl_attr_put(h, RTA_DST, 16, r->base);
	if (r->kind == ROUTE_VIA || r->kind == ROUTE_LINK)
		mnl_attr_put_u32(h, RTA_OIF, r->ifindex);
	if (r->kind == ROUTE_VIA) {
		m->rtm_flags |= RTNH_F_ONLINK;
		mnl_attr_put(h, RTA_GATEWAY, 16, r->gateway);
	}
	return netlink_ask(sock, h, NULL, NULL);
}

int route6_set(int sock, const struct route6 *r)
{
	return route_ask(sock, r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
}

int route6_remove(int sock, const struct route6 *r)
{
	return route_ask(sock, r, RTM_DELROUTE, 0);
}

static int mark_rule(int sock, uint32_t mark, uint32_t table, uint16_t type, uint16_t flags)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, type, flags);
	struct fib_rule_hdr *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->family = AF_INET6;
	m->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(h, FRA_PRIORITY, MARK_RULE_PRIORITY);
	mnl_attr_put_u32(h, FRA_FWMARK, mark);
	mnl_attr_put_u32(h, FRA_TABLE, table);
	return netlink_ask(sock, h, NULL, NULL);
}

int route6_add_mark_rule(int sock, uint32_t mark, uint32_t table)
{
	return mark_rule(sock, mark, table, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
}

int route6_remove_mark_rule(int sock, uint32_t mark, uint32_t table)
{
	return mark_rule(sock, mark, table, RTM_DELRULE, 0);
}

static int neighbour_ask(int sock, unsigned ifindex, const uint8_t address[16], const uint8_t *mac, uint16_t type, uint16_t flags)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, type, flags);
	struct ndmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ndm_family = AF_INET6;
	m->ndm_ifindex = (int)ifindex;
	m->ndm_state = NUD_PERMANENT;
	mnl_attr_put(h, NDA_DST, 16, address);
	if (mac)
		mnl_attr_put(h, NDA_LLADDR, 6, mac);
	return netlink_ask(sock, h, NULL, NULL);
}

int neighbour6_set(int sock, unsigned ifindex, const uint8_t address[16], const uint8_t mac[6])
{
	return neighbour_ask(sock, ifindex, address, mac, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
}

int neighbour6_remove(int sock, unsigned ifindex, const uint8_t address[16])
{
	return neighbour_ask(sock, ifindex, address, NULL, RTM_DELNEIGH, 0);
}

static int address_ask(int sock, unsigned ifindex, const uint8_t address[16], unsigned bits, uint16_t type, uint16_t flags)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, type, flags);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifa_family = AF_INET6;
	m->ifa_prefixlen = (unsigned char)bits;
	m->ifa_flags = IFA_F_NODAD;
	m->ifa_index = ifindex;
	mnl_attr_put(h, IFA_LOCAL, 16, address);
	mnl_attr_put(h, IFA_ADDRESS, 16, address);
	return netlink_ask(sock, h, NULL, NULL);
}

int address6_add(int sock, unsigned ifindex, const uint8_t address[16], unsigned bits)
{
	return address_ask(sock, ifindex, address, bits, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
}

int address6_remove(int sock, unsigned ifindex, const uint8_t address[16], unsigned bits)
{
	return address_ask(sock, ifindex, address, bits, RTM_DELADDR, 0);
}

int device_no_own_address6(int sock, unsigned ifindex)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_SETLINK, 0);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_index = (int)ifindex;
	struct nlattr *spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	struct nlattr *v6 = mnl_attr_nest_start(h, AF_INET6);
	mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(h, v6);
	mnl_attr_nest_end(h, spec);
	return netlink_ask(sock, h, NULL, NULL);
}
