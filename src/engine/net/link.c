#include "engine/net/link.h"
#include "engine/net/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DUMP_ROOM = 32768 };

int link_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	int one = 1;
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	return fd;
}

int link_add_veth(int sock, const char *inside, const char *outside, int host_ns_fd)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_flags = m->ifi_change = IFF_UP;
	mnl_attr_put_strz(h, IFLA_IFNAME, inside);
	struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	struct nlattr *data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	struct nlattr *peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
	struct ifinfomsg *pm = mnl_nlmsg_put_extra_header(h, sizeof(*pm));
	/* no IFF_UP yet: link_set_forwarding() first sees to it that the host gets no IPv6 address on it */
	pm->ifi_change = 0;
	mnl_attr_put_strz(h, IFLA_IFNAME, outside);
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)host_ns_fd);
	mnl_attr_nest_end(h, peer);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	return netlink_ask(sock, h, NULL, NULL);
}

static int set_up(int sock, unsigned ifindex, bool up)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_NEWLINK, 0);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_index = (int)ifindex;
	m->ifi_flags = up ? IFF_UP : 0;
	m->ifi_change = IFF_UP;
	return netlink_ask(sock, h, NULL, NULL);
}

int link_up(int sock, unsigned ifindex)
{
	return set_up(sock, ifindex, true);
}

int link_down(int sock, unsigned ifindex)
{
	return set_up(sock, ifindex, false);
}

int link_index(int sock, const char *name, unsigned *ret_ifindex)
{
	struct ifreq r = {0};
	if (strlen(name) >= sizeof(r.ifr_name))
		return -ENAMETOOLONG;
	memcpy(r.ifr_name, name, strlen(name));
	if (ioctl(sock, SIOCGIFINDEX, &r) < 0)
		return -errno;
	*ret_ifindex = (unsigned)r.ifr_ifindex;
	return 0;
}

int link_add_address(int sock, unsigned ifindex, uint32_t address, unsigned prefix)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifa_family = AF_INET;
	m->ifa_prefixlen = (unsigned char)prefix;
	m->ifa_index = ifindex;
	mnl_attr_put_u32(h, IFA_LOCAL, htonl(address));
	mnl_attr_put_u32(h, IFA_ADDRESS, htonl(address));
	return netlink_ask(sock, h, NULL, NULL);
}

int link_add_default_route(int sock, unsigned ifindex, uint32_t gateway)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = AF_INET;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = RTPROT_BOOT;
	m->rtm_scope = RT_SCOPE_UNIVERSE;
	m->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(h, RTA_OIF, ifindex);
	mnl_attr_put_u32(h, RTA_GATEWAY, htonl(gateway));
	return netlink_ask(sock, h, NULL, NULL);
}

int link_set_forwarding(int sock, unsigned ifindex, bool on)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_SETLINK, 0);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_index = (int)ifindex;
	struct nlattr *spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	struct nlattr *v4 = mnl_attr_nest_start(h, AF_INET);
	struct nlattr *conf = mnl_attr_nest_start(h, IFLA_INET_CONF);
	mnl_attr_put_u32(h, IPV4_DEVCONF_FORWARDING, on);
	mnl_attr_nest_end(h, conf);
	mnl_attr_nest_end(h, v4);
	/* the attribute is refused where IPv6 is off, so it is asked for in a message of its own */
	mnl_attr_nest_end(h, spec);
	int error = netlink_ask(sock, h, NULL, NULL);
	h = netlink_start(room, RTM_SETLINK, 0);
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_index = (int)ifindex;
	spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	struct nlattr *v6 = mnl_attr_nest_start(h, AF_INET6);
	mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(h, v6);
	mnl_attr_nest_end(h, spec);
	netlink_ask(sock, h, NULL, NULL);
	return error;
}

int link_remove(int sock, unsigned ifindex)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_DELLINK, 0);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_index = (int)ifindex;
	return netlink_ask(sock, h, NULL, NULL);
}

/* Sends a dump request and hands every reply of the wanted type to each(). */
static int dump(int sock, struct nlmsghdr *h, uint16_t want, void (*each)(void *ctx, const struct nlmsghdr *r), void *ctx)
{
	h->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
	if (send(sock, h, h->nlmsg_len, 0) < 0)
		return -errno;
	char room[DUMP_ROOM];
	for (;;) {
		ssize_t n = recv(sock, room, sizeof(room), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		int left = (int)n;
		for (struct nlmsghdr *r = (void *)room; mnl_nlmsg_ok(r, left); r = mnl_nlmsg_next(r, &left)) {
			if (r->nlmsg_type == NLMSG_DONE)
				return 0;
			if (r->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)mnl_nlmsg_get_payload(r))->error;
			if (r->nlmsg_type == want)
				each(ctx, r);
		}
	}
}

struct each_link {
	const char *prefix;
	link_fn *fn;
	void *ctx;
	/* what an address dump looks for */
	uint32_t base, mask;
	int found;
};

static void one_link(void *ctx, const struct nlmsghdr *r)
{
	struct each_link *e = ctx;
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(r);
	const struct nlattr *a;
	mnl_attr_for_each(a, r, sizeof(*m)) if (mnl_attr_get_type(a) == IFLA_IFNAME &&
	                                        strncmp(mnl_attr_get_str(a), e->prefix, strlen(e->prefix)) == 0)
	        e->fn(e->ctx, (unsigned)m->ifi_index, mnl_attr_get_str(a));
}

int link_each(int sock, const char *prefix, link_fn *fn, void *ctx)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_GETLINK, 0);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_family = AF_UNSPEC;
	struct each_link e = {.prefix = prefix, .fn = fn, .ctx = ctx};
	return dump(sock, h, RTM_NEWLINK, one_link, &e);
}

static void one_address(void *ctx, const struct nlmsghdr *r)
{
	struct each_link *e = ctx;
	const struct nlattr *a;
	mnl_attr_for_each(a, r, sizeof(struct ifaddrmsg)) if (mnl_attr_get_type(a) == IFA_LOCAL &&
	                                                      (ntohl(mnl_attr_get_u32(a)) & e->mask) == e->base) e->found = 1;
}

int link_range_in_use(int sock, uint32_t base, unsigned prefix)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_GETADDR, 0);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifa_family = AF_INET;
	struct each_link e = {.base = base, .mask = prefix ? ~0u << (32 - prefix) : 0};
	int error = dump(sock, h, RTM_NEWADDR, one_address, &e);
	return error ? error : e.found;
}

static void one_route(void *ctx, const struct nlmsghdr *r)
{
	struct each_link *e = ctx;
	const struct rtmsg *m = mnl_nlmsg_get_payload(r);
	if (m->rtm_dst_len != 0 || m->rtm_table != RT_TABLE_MAIN || m->rtm_type != RTN_UNICAST)
		return;
	const struct nlattr *a;
	mnl_attr_for_each(a, r, sizeof(*m))
	{
		if (mnl_attr_get_type(a) == RTA_OIF)
			e->fn(e->ctx, mnl_attr_get_u32(a), NULL);
		if (mnl_attr_get_type(a) == RTA_MULTIPATH && mnl_attr_get_payload_len(a) >= sizeof(struct rtnexthop))
			e->fn(e->ctx, (unsigned)((const struct rtnexthop *)mnl_attr_get_payload(a))->rtnh_ifindex, NULL);
	}
}

int link_each_uplink(int sock, bool ipv6, link_fn *fn, void *ctx)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = netlink_start(room, RTM_GETROUTE, 0);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = ipv6 ? AF_INET6 : AF_INET;
	struct each_link e = {.fn = fn, .ctx = ctx};
	return dump(sock, h, RTM_NEWROUTE, one_route, &e);
}
