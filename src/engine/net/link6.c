/* A router says on each link that it is there and that addresses come by DHCPv6: when it is asked, when the port's addresses have
 * changed, and now and then, before what it said wears off. No prefix is on the link, so everything goes to the router. */
#include "engine/net/dhcp6.h"
#include "engine/net/router.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DISCOVERY, DHCP };
enum { LIFETIME_S = 1800, AGAIN_US = 300 * 1000000, LINK_MTU = 1500, HOPS = 255, BACKLOG = 128 };

static const struct in6_addr router_address = {.s6_addr = ROUTER6_ADDRESS};

static struct thing *find_link(struct router *r, unsigned ifindex)
{
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_PORT && t->live && t->ifindex && t->ifindex == ifindex)
			return t;
	return NULL;
}

/* From the router's address on that link. A client that hears nothing asks again. */
static void say(int fd, unsigned ifindex, const struct in6_addr *to, uint16_t port, const void *p, size_t n)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = *to, .sin6_port = htons(port), .sin6_scope_id = ifindex};
	struct in6_pktinfo by = {.ipi6_addr = router_address, .ipi6_ifindex = ifindex};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)p, n};
	struct msghdr h = {.msg_name = &a,
	                   .msg_namelen = sizeof(a),
	                   .msg_iov = &iov,
	                   .msg_iovlen = 1,
	                   .msg_control = &control,
	                   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	*c = (struct cmsghdr){.cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO, .cmsg_len = CMSG_LEN(sizeof(by))};
	memcpy(CMSG_DATA(c), &by, sizeof(by));
	sendmsg(fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* One request; which link it came by. 0: there is none. */
static size_t hear(int fd, uint8_t *room, size_t cap, struct sockaddr_in6 *ret_from, unsigned *ret_ifindex)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;
	struct iovec iov = {room, cap};
	struct msghdr h = {.msg_name = ret_from,
	                   .msg_namelen = sizeof(*ret_from),
	                   .msg_iov = &iov,
	                   .msg_iovlen = 1,
	                   .msg_control = &control,
	                   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &h, MSG_DONTWAIT);
	if (n <= 0 || (h.msg_flags & MSG_TRUNC))
		return 0;
	struct in6_pktinfo by = {.ipi6_ifindex = 0};
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c))
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			memcpy(&by, CMSG_DATA(c), sizeof(by));
	*ret_ifindex = by.ipi6_ifindex;
	return (size_t)n;
}

/* ---- advertisements ---- */

void link6_advertise(const struct thing *t, const struct net_port *m)
{
	static const struct in6_addr everybody = {.s6_addr = {0xff, 0x02, [15] = 1}};
	struct {
		struct nd_router_advert head;
		struct nd_opt_hdr link;
		uint8_t mac[6];
		struct nd_opt_mtu mtu;
	} a = {.head.nd_ra_type = ND_ROUTER_ADVERT,
	       .link = {ND_OPT_SOURCE_LINKADDR, 1},
	       .mtu = {.nd_opt_mtu_type = ND_OPT_MTU, .nd_opt_mtu_len = 1, .nd_opt_mtu_mtu = htonl(LINK_MTU)}};
	if (!m->address6_count || !t->ifindex || !t->router->has_ipv6)
		return;
	a.head.nd_ra_curhoplimit = 64;
	a.head.nd_ra_flags_reserved = ND_RA_FLAG_MANAGED | ND_RA_FLAG_OTHER;
	a.head.nd_ra_router_lifetime = htons(LIFETIME_S);
	memcpy(a.mac, port_router_mac, sizeof(a.mac));
	say(t->router->link6_fds[DISCOVERY], t->ifindex, &everybody, 0, &a, sizeof(a));
}

static void advertise_all(void *ctx)
{
	struct router *r = ctx;
	r->advertise = loop_add_timer(net_loop(r->net), AGAIN_US, advertise_all, r);
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_PORT && t->live)
			link6_advertise(t, &t->message->port);
}

static void is_solicited(void *ctx, uint32_t events)
{
	struct router *r = ctx;
	uint8_t room[1500];
	struct sockaddr_in6 from;
	unsigned ifindex = 0;
	(void)events;
	size_t n = hear(r->link6_fds[DISCOVERY], room, sizeof(room), &from, &ifindex);
	const struct thing *t = n ? find_link(r, ifindex) : NULL;
	if (t && room[0] == ND_ROUTER_SOLICIT)
		link6_advertise(t, &t->message->port);
}

/* ---- DHCPv6 ---- */

static void is_asked(void *ctx, uint32_t events)
{
	struct router *r = ctx;
	uint8_t room[1500], answer[DHCP6_ANSWER_MAX];
	struct sockaddr_in6 from;
	unsigned ifindex = 0;
	(void)events;
	size_t n = hear(r->link6_fds[DHCP], room, sizeof(room), &from, &ifindex);
	const struct thing *t = n ? find_link(r, ifindex) : NULL;
	if (!t || !IN6_IS_ADDR_LINKLOCAL(&from.sin6_addr))
		return;
	const struct net_port *m = &t->message->port;
	struct dhcp6_lease lease = {.addresses = m->addresses6, .address_count = m->address6_count};
	memcpy(lease.server_mac, port_router_mac, sizeof(lease.server_mac));
	n = dhcp6_answer(room, n, &lease, answer);
	if (n)
		say(r->link6_fds[DHCP], ifindex, &from.sin6_addr, DHCP6_CLIENT_PORT, answer, n);
}

int link6_join(const struct thing *t)
{
	struct ipv6_mreq servers = {.ipv6mr_multiaddr.s6_addr = {0xff, 0x02, [13] = 1, [15] = 2}, .ipv6mr_interface = t->ifindex};
	bool joined = setsockopt(t->router->link6_fds[DHCP], IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &servers, sizeof(servers)) == 0;
	/* it has joined already where a link came, its net died, and its maker says so only now */
	return joined || errno == EADDRINUSE ? 0 : -errno;
}

/* ---- sockets ---- */

static int open_one(struct router *r, int which, loop_fd_fn *fn)
{
	int one = 1, hops = HOPS, no = 0;
	int fd = which == DISCOVERY ? socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6)
	                            : socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r->link6_fds[which] = fd;
	struct icmp6_filter filter;
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ND_ROUTER_SOLICIT, &filter);
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(DHCP6_SERVER_PORT)};
	bool good = setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one)) == 0 &&
	            setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &no, sizeof(no)) == 0;
	if (which == DISCOVERY)
		good = good && setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) == 0 &&
		       setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) == 0 &&
		       setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops)) == 0;
	else
		good = good && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0 &&
		       bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	if (!good)
		return -errno;
	r->link6_watches[which] = loop_add_fd(net_loop(r->net), fd, EPOLLIN, fn, r);
	return r->link6_watches[which] ? 0 : -errno;
}

static int open_metadata(struct router *r)
{
	int one = 1, fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in6 a = {.sin6_family = AF_INET6,
	                         .sin6_port = htons(80),
	                         .sin6_addr.s6_addr = {0xfd, 0, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}};
	if (fd < 0)
		return -errno;
	r->listeners[NETWORK_METADATA6] = fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, BACKLOG) < 0 ? -errno : 0;
}

int link6_open(struct router *r)
{
	int error = open_one(r, DISCOVERY, is_solicited);
	if (!error)
		error = open_one(r, DHCP, is_asked);
	if (!error && r->listeners[NETWORK_METADATA6] < 0)
		error = open_metadata(r);
	if (!error)
		r->advertise = loop_add_timer(net_loop(r->net), AGAIN_US, advertise_all, r);
	return error;
}

void link6_close(struct router *r)
{
	for (int i = 0; i < 2; i++) {
		loop_remove_fd(net_loop(r->net), r->link6_watches[i]);
		r->link6_watches[i] = NULL;
		if (r->link6_fds[i] >= 0)
			close(r->link6_fds[i]);
		r->link6_fds[i] = -1;
	}
	loop_remove_timer(net_loop(r->net), r->advertise);
	r->advertise = NULL;
}
