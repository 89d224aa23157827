/* A port's link is point to point. Its neighbour entries are permanent and its routes one an address, so nothing that an instance
 * says on the link changes where packets go. */
#include "engine/net/dhcp.h"
#include "engine/net/link.h"
#include "engine/net/netem.h"
#include "engine/net/router.h"

#include "base/rand.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAIN_TABLE = 254, LOOPBACK = 1, LINK_MTU = 1500 };

const uint8_t port_router_mac[6] = {0x02, 'r', 'o', 'u', 't', 'e'};

struct rules_port port_rules(const struct thing *t)
{
	return (struct rules_port){.number = t->number,
	                           .subnet = t->subnet_number,
	                           .mark = subnet_mark(t->subnet_number),
	                           .groups = t->groups,
	                           .port = &t->message->port,
	                           .loss_percent = t->loss_percent};
}

static void number_groups(struct thing *t, const struct net_port *m)
{
	for (size_t i = 0; i < m->group_count; i++) {
		const struct thing *g = thing_find(t->router, m->groups[i]);
		t->groups[i] = g && g->verb == NET_GROUP ? g->number : 0;
	}
}

/* ---- addresses ---- */

static bool has_address(const struct net_port *m, uint32_t address)
{
	for (size_t i = 0; i < m->address_count; i++)
		if (m->addresses[i].private == address)
			return true;
	return false;
}

/* Leads an address to the link, or does not any more. */
static int lead(const struct thing *t, const uint8_t mac[6], uint32_t address, bool add)
{
	int sock = t->router->netlink;
	struct route route = {.table = MAIN_TABLE, .base = address, .bits = 32, .kind = ROUTE_LINK, .ifindex = t->ifindex};
	if (t->is_down)
		return 0; /* the kernel has forgotten all, and is told all when the link comes up */
	if (!add) {
		neighbour_remove(sock, t->ifindex, address);
		return route_remove(sock, &route);
	}
	int error = neighbour_set(sock, t->ifindex, address, mac);
	return error ? error : route_set(sock, &route);
}

/* The instance's side of a veth port: adds and removes addresses. `had` NULL: all is new. */
static int address_inside(const struct thing *t, const struct thing *subnet, const struct net_port *had, const struct net_port *m)
{
	if (setns(t->fd, CLONE_NEWNET) < 0)
		return -errno;
	unsigned eth0 = 0, bits = subnet->message->subnet.prefix.bits;
	int sock = link_socket(), error = sock < 0 ? sock : link_index(sock, "eth0", &eth0);
	/* whoever was given the namespace has moved the link on; its addresses are his */
	if (error == -ENODEV && had) {
		close(sock);
		router_leave(t->router);
		return 0;
	}
	if (!error && !had) {
		error = link_up(sock, LOOPBACK);
		if (!error)
			error = link_up(sock, eth0);
	}
	for (size_t i = 0; i < m->address_count && !error; i++)
		if (!had || !has_address(had, m->addresses[i].private))
			error = link_add_address(sock, eth0, m->addresses[i].private, bits);
	for (size_t i = 0; had && i < had->address_count && !error; i++)
		if (!has_address(m, had->addresses[i].private))
			error = device_remove_address(sock, eth0, had->addresses[i].private, bits);
	if (!error && !had)
		error = link_add_default_route(sock, eth0, subnet->message->subnet.prefix.base + 1);
	if (!error && t->router->has_ipv6)
		error = port6_inside(had, m, sock, eth0);
	if (sock >= 0)
		close(sock);
	router_leave(t->router);
	return error;
}

/* ---- links ---- */

/* Has it a namespace that was made here? */
static bool has_namespace(const struct net_port *m)
{
	return m->kind == NETWORK_VETH || m->kind == NETWORK_ASKS || m->kind == NETWORK_ANSWERS || m->kind == NETWORK_SHARED;
}

static int make_tap(const char *name)
{
	struct ifreq q = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	memcpy(q.ifr_name, name, strlen(name));
	if (ioctl(fd, TUNSETIFF, &q) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static int make_veth(struct thing *t, const char *name)
{
	int fd = net_make_namespace(t->router->net);
	if (fd < 0)
		return fd;
	int error = router_enter(t->router);
	if (!error)
		error = device_add_veth(t->router->netlink, name, "eth0", fd, t->message->port.mac);
	router_leave(t->router);
	if (error)
		close(fd);
	return error ? error : fd;
}

void port_link_name(const struct thing *t, char ret[IF_NAMESIZE])
{
	snprintf(ret, IF_NAMESIZE, "p%u", t->number);
}

static int set_up_link(struct thing *t, const char *name)
{
	struct router *r = t->router;
	int error = link_index(r->netlink, name, &t->ifindex);
	if (!error)
		error = device_set_mac(r->netlink, t->ifindex, port_router_mac);
	if (!error)
		error = device_be_router_port(r->netlink, t->ifindex);
	return error ? error : link_up(r->netlink, t->ifindex);
}

static int make_link(struct thing *t)
{
	struct router *r = t->router;
	char name[IF_NAMESIZE];
	port_link_name(t, name);
	if (t->message->port.kind == NETWORK_TAP) {
		int error = router_enter(r);
		if (error)
			return error;
		t->fd = make_tap(name);
		router_leave(r);
	} else {
		t->fd = make_veth(t, name);
	}
	return t->fd < 0 ? t->fd : set_up_link(t, name);
}

static void remove_link(struct thing *t)
{
	if (t->ifindex)
		router_doom(t->router, t->ifindex);
	plug_close(t);
	port_hang_up(t);
	if (t->fd >= 0)
		close(t->fd);
	t->ifindex = 0;
	t->fd = -1;
}

static int lead_all(struct thing *t)
{
	const struct net_port *m = &t->message->port;
	int error = 0;
	for (size_t i = 0; i < m->address_count && !error; i++)
		error = lead(t, m->mac, m->addresses[i].private, true);
	return error ? error : port6_lead(t, NULL, m);
}

int port_link_came(struct thing *t)
{
	char name[IF_NAMESIZE];
	port_link_name(t, name);
	int error = t->live ? set_up_link(t, name) : -ENOENT;
	if (!error)
		error = lead_all(t);
	if (error) {
		t->ifindex = 0;
		return error;
	}
	subnet_update_routes(t->router, true);
	link6_advertise(t, &t->message->port);
	fault_update(t);
	return 0;
}

int port_apply(struct thing *t)
{
	struct router *r = t->router;
	const struct net_port *m = &t->message->port;
	const struct thing *subnet = thing_find(r, m->subnet);
	if (!subnet || subnet->verb != NET_SUBNET || !subnet->live)
		return 0; /* it waits */
	t->subnet_number = subnet->number;
	if (m->kind == NETWORK_GATEWAY) {
		t->live = t->announce = true;
		rules_gate(&t->router->batch, t->number);
		return 0;
	}
	char name[IF_NAMESIZE];
	unsigned before;
	port_link_name(t, name);
	/* its own of before this round */
	if (r->doomed && link_index(r->netlink, name, &before) == 0)
		router_remove_doomed(r);
	int error = m->kind == NETWORK_PLUG ? plug_open(t) : make_link(t);
	if (!error && t->ifindex)
		error = lead_all(t);
	if (!error && has_namespace(m))
		error = address_inside(t, subnet, NULL, m);
	if (!error && m->kind == NETWORK_ANSWERS)
		error = port_listen(t);
	if (!error && m->kind == NETWORK_SHARED)
		error = port_share(t);
	if (error) {
		remove_link(t);
		return error;
	}
	number_groups(t, m);
	t->live = t->announce = t->untold = true;
	t->device = (uint32_t)rand_u64() | 1;
	t->loss_percent = fault_loss(m);
	struct rules_port p = port_rules(t);
	rules_port(&r->batch, &p);
	link6_advertise(t, m);
	fault_update(t);
	return 0;
}

/* A fault of its link that is still on is put again later. */
static int take_over_link(struct thing *t)
{
	struct router *r = t->router;
	char name[IF_NAMESIZE];
	port_link_name(t, name);
	int error = link_index(r->netlink, name, &t->ifindex);
	if (error == -ENODEV && t->message->port.kind == NETWORK_PLUG)
		return 0; /* it is to come */
	if (!error)
		error = device_be_router_port(r->netlink, t->ifindex);
	if (!error)
		error = link_up(r->netlink, t->ifindex);
	if (!error)
		error = netem_set(r->netlink, t->ifindex, 0);
	return error ? error : lead_all(t);
}

int port_take_over(struct thing *t)
{
	const struct net_port *m = &t->message->port;
	const struct thing *subnet = thing_find(t->router, m->subnet);
	int error = subnet && subnet->verb == NET_SUBNET && subnet->live ? 0 : -ENOENT;
	if (!error) {
		t->subnet_number = subnet->number;
		error = take_over_link(t);
	}
	if (!error && m->kind == NETWORK_PLUG)
		plug_listen(t);
	if (error) {
		remove_link(t);
		return error;
	}
	number_groups(t, m);
	t->live = true;
	t->loss_percent = fault_loss(m);
	return 0;
}

int port_lead_again(struct thing *t)
{
	const struct net_port *m = &t->message->port;
	int error = 0;
	for (size_t i = 0; i < m->address_count && !error; i++)
		error = lead(t, m->mac, m->addresses[i].private, true);
	return error ? error : port6_lead_again(t, m);
}

void port_rules_again(struct thing *t)
{
	uint8_t loss = fault_loss(&t->message->port);
	if (!t->live || loss == t->loss_percent)
		return;
	struct rules_port p = port_rules(t);
	balances_shut(t->router, t->id);
	rules_remove_port(&t->router->batch, &p);
	p.loss_percent = t->loss_percent = loss;
	rules_port(&t->router->batch, &p);
	balances_follow(t->router, t->id);
}

bool port_change(struct thing *t, const struct net_port *next)
{
	const struct net_port *m = &t->message->port;
	const struct thing *subnet = thing_find(t->router, m->subnet);
	if (m->kind == NETWORK_GATEWAY || m->kind != next->kind || memcmp(m->mac, next->mac, 6) != 0 ||
	    strcmp(m->subnet, next->subnet) != 0 || !subnet)
		return false;
	int error = 0;
	bool has_link = t->ifindex; /* of a plug it may be to come */
	for (size_t i = 0; has_link && i < next->address_count && !error; i++)
		if (!has_address(m, next->addresses[i].private))
			error = lead(t, m->mac, next->addresses[i].private, true);
	for (size_t i = 0; has_link && i < m->address_count && !error; i++)
		if (!has_address(next, m->addresses[i].private))
			lead(t, m->mac, m->addresses[i].private, false);
	if (!error && has_link)
		error = port6_lead(t, m, next);
	if (!error && has_namespace(m))
		error = address_inside(t, subnet, m, next);
	if (error)
		return false;
	struct rules_port p = port_rules(t);
	balances_shut(t->router, t->id);
	rules_remove_port(&t->router->batch, &p);
	number_groups(t, next);
	p.port = next;
	p.loss_percent = t->loss_percent = fault_loss(next);
	rules_port(&t->router->batch, &p);
	link6_advertise(t, next);
	return true;
}

void port_drop(struct thing *t)
{
	bool live = t->live;
	t->live = t->announce = false;
	t->untold = true;
	if (t->message->port.kind == NETWORK_GATEWAY) {
		if (live)
			rules_remove_gate(&t->router->batch, t->number);
		return;
	}
	flow_end(t);
	balances_follow(t->router, t->id);
	struct rules_port p = port_rules(t);
	rules_remove_port(&t->router->batch, &p);
	rules_forget_port(&t->router->batch, &p);
	fault_forget(t);
	remove_link(t);
}

static uint64_t counted(const struct thing *t, const char *name)
{
	return nft_counter(t->router->nft, "ip q", name) + nft_counter(t->router->nft, "ip6 q", name);
}

static uint64_t refusals(const struct thing *t, bool out, char kind)
{
	char name[24];
	snprintf(name, sizeof(name), "d%u%c%c", t->number, out ? 'o' : 'i', kind);
	return counted(t, name);
}

int port_stats(struct thing *t, struct network_port_stats *ret_stats)
{
	struct device_counters c;
	char name[16];
	if (t->live && t->message->port.kind == NETWORK_GATEWAY)
		return gate_stats(t, ret_stats);
	if (!t->live || !t->ifindex)
		return -ENOENT;
	int error = device_counters(t->router->netlink, t->ifindex, &c);
	if (error)
		return error;
	snprintf(name, sizeof(name), "d%u", t->number);
	*ret_stats = (struct network_port_stats){0};
	for (size_t k = 0; k < NETWORK_REFUSALS && t->message->port.refusals; k++)
		for (int out = 0; out < 2; out++)
			ret_stats->refused[out][k] = refusals(t, out, RULES_REFUSALS[k]);
	/* what the router sends is what the instance gets */
	ret_stats->rx_packets = c.tx_packets;
	ret_stats->rx_bytes = c.tx_bytes;
	ret_stats->tx_packets = c.rx_packets;
	ret_stats->tx_bytes = c.rx_bytes;
	ret_stats->drops = counted(t, name);
	return 0;
}

/* ---- DHCP ---- */

static struct thing *find_link(struct router *r, unsigned ifindex)
{
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_PORT && t->live && t->ifindex && t->ifindex == ifindex)
			return t;
	return NULL;
}

static void answer(struct router *r, const struct thing *t, const uint8_t *request, size_t n)
{
	const struct net_port *m = &t->message->port;
	const struct thing *subnet = thing_find(r, m->subnet);
	const struct net_prefix *prefix = &subnet->message->subnet.prefix;
	struct dhcp_lease lease = {.address = m->addresses[0].private,
	                           .router = prefix->base + 1,
	                           .dns = r->vpc.prefixes[0].base + 2,
	                           .servers = m->dhcp,
	                           .mask_bits = (uint8_t)prefix->bits,
	                           .mtu = LINK_MTU,
	                           .host_name = m->host_name,
	                           .domain = m->domain};
	memcpy(lease.mac, m->mac, 6);
	uint8_t room[DHCP_ANSWER_MAX];
	uint32_t to;
	size_t length = dhcp_answer(request, n, &lease, room, &to);
	if (!length)
		return;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(DHCP_CLIENT_PORT), .sin_addr = {htonl(to)}};
	struct in_pktinfo by = {.ipi_ifindex = (int)t->ifindex, .ipi_spec_dst = {htonl(lease.router)}};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control = {0};
	struct iovec iov = {room, length};
	struct msghdr h = {.msg_name = &a,
	                   .msg_namelen = sizeof(a),
	                   .msg_iov = &iov,
	                   .msg_iovlen = 1,
	                   .msg_control = &control,
	                   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	*c = (struct cmsghdr){.cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO, .cmsg_len = CMSG_LEN(sizeof(by))};
	memcpy(CMSG_DATA(c), &by, sizeof(by));
	/* a client that hears nothing asks again */
	sendmsg(r->dhcp_fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void port_serve_dhcp(struct router *r)
{
	uint8_t room[1500];
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control;
	struct iovec iov = {room, sizeof(room)};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(r->dhcp_fd, &h, MSG_DONTWAIT);
	if (n <= 0 || (h.msg_flags & MSG_TRUNC))
		return;
	struct in_pktinfo by = {0};
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			memcpy(&by, CMSG_DATA(c), sizeof(by));
	const struct thing *t = find_link(r, (unsigned)by.ipi_ifindex);
	if (t)
		answer(r, t, room, (size_t)n);
}
