/* A router begins as an empty namespace whose rules let nothing pass. What has been put is turned into commands as it comes; they
 * are gathered and run as one batch when the round of the loop ends. A batch that is refused - something in the kernel is not as it
 * is believed to be here - is answered by making all rules of the router anew, in one batch too. */
#include "engine/net/router.h"
#include "engine/net/dhcp.h"
#include "engine/net/link.h"

#include "base/log.h"
#include "io/msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH_MAX = 32 << 20, BATCH_ENOUGH = 16 << 10, BACKLOG = 128, LOOPBACK = 1, DOOMED = 1 };
enum { LINK_LOCAL_METADATA = 0xa9fea9fe, LINK_LOCAL_DNS = 0xa9fea9fd };

/* ---- things ---- */

struct thing *thing_find(const struct router *r, const char *id)
{
	return map_get(&r->by_id, str_from(id));
}

struct thing *thing_named(struct router *r, uint32_t verb, const char *id)
{
	struct thing *t = thing_find(r, id);
	if (t)
		return t->verb == verb ? t : NULL;
	t = calloc(1, sizeof(*t));
	if (!t)
		die("out of memory");
	*t = (struct thing){.router = r, .verb = verb, .number = ++r->next_number, .fd = -1, .plug = -1, .sockets = {-1, -1}};
	memcpy(t->id, id, strnlen(id, NETWORK_ID_MAX - 1));
	list_push(&r->things, &t->at);
	map_put(&r->by_id, str_from(t->id), t);
	if (r->live && verb == NET_GROUP)
		rules_declare_group(&r->batch, t->number);
	if (r->live && verb == NET_ACL)
		rules_acl(&r->batch, t->number, NULL);
	return t;
}

/* Number 0 is a group that nobody is in: for an id that is of another kind. */
static uint32_t group_number(void *ctx, const char *id)
{
	struct thing *t = thing_find(ctx, id);
	return t && t->verb == NET_GROUP ? t->number : 0;
}

void thing_name_others(struct router *r, uint32_t verb, const union net_message *m)
{
	for (size_t i = 0; verb == NET_GROUP && i < m->h.value; i++)
		if (m->rules.rules[i].peer_group[0])
			thing_named(r, NET_GROUP, m->rules.rules[i].peer_group);
	for (size_t i = 0; verb == NET_PORT && i < m->port.group_count; i++)
		thing_named(r, NET_GROUP, m->port.groups[i]);
	if (verb == NET_SUBNET)
		thing_named(r, NET_ACL, m->subnet.acl);
}

static void thing_free(struct thing *t)
{
	heir_forget(net_heir(t->router->net), t->router->id, t->id);
	list_remove(&t->at);
	map_remove(&t->router->by_id, str_from(t->id));
	port_hang_up(t);
	msg_close_fds((const int[]){t->fd, t->plug}, 2);
	free(t->routes[0]);
	free(t->routes[1]);
	free(t->routes6);
	free(t->message);
	free(t);
}

static bool is_named(const struct thing *t)
{
	list_each (&t->router->things, struct thing, at, o) {
		if (!o->message || o == t)
			continue;
		if (o->verb == NET_SUBNET && strcmp(o->message->subnet.acl, t->id) == 0)
			return true;
		for (size_t i = 0; o->verb == NET_PORT && i < o->message->port.group_count; i++)
			if (strcmp(o->message->port.groups[i], t->id) == 0)
				return true;
		for (size_t i = 0; o->verb == NET_GROUP && i < o->message->h.value; i++)
			if (strcmp(o->message->rules.rules[i].peer_group, t->id) == 0)
				return true;
	}
	return false;
}

void thing_apply(struct thing *t)
{
	struct router *r = t->router;
	int error = 0;
	if (!r->live || !t->message)
		return;
	switch (t->verb) {
	case NET_GROUP:
		rules_group(&r->batch, t->number, &t->message->rules, group_number, r);
		t->live = true;
		break;
	case NET_ACL:
		rules_acl(&r->batch, t->number, &t->message->rules);
		t->live = true;
		break;
	case NET_SUBNET:
		error = subnet_apply(t);
		list_each (&r->things, struct thing, at, p)
			if (p->verb == NET_PORT && !p->live) {
				if (r->batch.n > BATCH_ENOUGH)
					router_flush(r);
				thing_apply(p);
			}
		break;
	case NET_PORT:
		error = port_apply(t);
		if (t->live)
			subnet_update_routes(r, true);
		balances_follow(r, t->id);
		break;
	case NET_BALANCE:
		balance_apply(t);
		break;
	default:
		break;
	}
	if (error)
		log_error("%s: %s", t->id, strerror(-error));
}

void thing_put(struct thing *t, const void *message, size_t n)
{
	bool port = t->verb == NET_PORT, first = !t->seen;
	t->seen = true;
	if (t->message && t->message_bytes == n && memcmp(t->message, message, n) == 0) {
		t->announce = port && t->live;
		return;
	}
	union net_message *copy = calloc(1, n);
	if (!copy)
		die("out of memory");
	memcpy(copy, message, n);
	thing_name_others(t->router, t->verb, copy);
	bool changed = port && t->live && port_change(t, message);
	if (port && t->live && !changed)
		port_drop(t);
	union net_message *had = t->message;
	t->message = copy;
	t->message_bytes = n;
	t->untold = true;
	/* routes and rules of one that nobody knows would stay */
	if (t->verb == NET_SUBNET && !had && t->router->live)
		thing_bequeath(t);
	if (!changed)
		thing_apply(t);
	else
		subnet_update_routes(t->router, true);
	if (port && changed)
		balances_follow(t->router, t->id);
	if (t->verb == NET_BALANCE)
		balance_cut(t, had ? &had->balance : NULL);
	free(had);
	if (port && t->live && changed)
		fault_update(t);
	/* an api that was started again asks for one whose message is another one now */
	if (port && t->live && changed && first)
		t->announce = true;
	if (port && t->live)
		flow_update(t);
	if (t->router->batch.n > BATCH_ENOUGH)
		router_flush(t->router);
}

void thing_remove(struct thing *t)
{
	struct router *r = t->router;
	if (t->verb == NET_BALANCE)
		balance_end(t);
	if (t->verb == NET_PORT)
		balances_settle(r, t->id, true);
	if (t->verb == NET_PORT && t->live)
		port_drop(t);
	if (t->verb == NET_SUBNET && t->live) {
		list_each (&r->things, struct thing, at, p)
			if (p->verb == NET_PORT && p->live && p->subnet_number == t->number)
				port_drop(p);
		subnet_drop(t);
	}
	bool was_port = t->verb == NET_PORT;
	if (is_named(t)) {
		heir_forget(net_heir(r->net), r->id, t->id);
		free(t->message);
		t->message = NULL;
		t->live = false;
		if (t->verb == NET_GROUP && r->live)
			rules_group(&r->batch, t->number, NULL, NULL, NULL);
		if (t->verb == NET_ACL && r->live)
			rules_acl(&r->batch, t->number, NULL);
	} else {
		if (r->live && t->verb == NET_GROUP)
			rules_remove_group(&r->batch, t->number);
		if (r->live && t->verb == NET_ACL)
			rules_remove_acl(&r->batch, t->number);
		thing_free(t);
	}
	if (was_port && r->live)
		subnet_update_routes(r, true);
	if (r->batch.n > BATCH_ENOUGH)
		router_flush(r);
}

/* ---- rules ---- */

static void run_if_enough(struct router *r);

/* In pieces: until the last is in, less passes than should. */
static void gather_all(struct router *r)
{
	buf_clear(&r->batch);
	rules_base(&r->batch);
	rules_dns(&r->batch, r->vpc.prefixes, r->vpc.h.value);
	rules6_own(&r->batch, &r->vpc);
	/* for ids that are of another kind than they are named as: nobody is in the group, and the ACL lets nothing pass */
	rules_declare_group(&r->batch, 0);
	rules_acl(&r->batch, 0, NULL);
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_GROUP)
			rules_declare_group(&r->batch, t->number);
	list_each (&r->things, struct thing, at, t) {
		run_if_enough(r);
		if (t->verb == NET_GROUP)
			rules_group(&r->batch, t->number, t->message ? &t->message->rules : NULL, group_number, r);
		if (t->verb == NET_ACL)
			rules_acl(&r->batch, t->number, t->message ? &t->message->rules : NULL);
	}
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_SUBNET && t->live) {
			rules_subnet(&r->batch, t->number, subnet_acl(t), subnet_mark(t->number), subnet_is_served(t));
			rules6_subnet(&r->batch, t->number, subnet_acl(t), &t->message->subnet);
			subnet_count_nats(t);
		}
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_PORT && t->live && t->message->port.kind == NETWORK_GATEWAY)
			rules_gate(&r->batch, t->number);
	list_each (&r->things, struct thing, at, t)
		if (t->verb == NET_PORT && t->live && t->message->port.kind != NETWORK_GATEWAY) {
			struct rules_port p = port_rules(t);
			rules_port(&r->batch, &p);
			run_if_enough(r);
		}
	balances_gather(r);
	peerings_gather(net_peerings(r->net), r);
}

static int run_batch(struct router *r)
{
	char why[400] = "";
	buf_add_char(&r->batch, '\0');
	int error = r->batch.overflow ? -ENOBUFS : nft_run(r->nft, r->batch.p, why, sizeof(why));
	buf_clear(&r->batch);
	if (error)
		log_error("%s: rules refused: %s", r->id, why);
	return error;
}

static void run_if_enough(struct router *r)
{
	if (r->batch.n > BATCH_ENOUGH)
		run_batch(r);
}

void router_make_rules(struct router *r)
{
	do
		gather_all(r);
	while (run_batch(r) < 0 && (fault_forget_losses(r) || balances_forget(r)));
	flow_again(r);
}

void router_flush(struct router *r)
{
	if (r->adopting)
		buf_clear(&r->batch);
	if (r->live && r->batch.n && run_batch(r) < 0)
		router_make_rules(r);
}

void router_doom(struct router *r, unsigned ifindex)
{
	if (device_set_group(r->netlink, ifindex, DOOMED) == 0)
		r->doomed = true;
	else
		link_remove(r->netlink, ifindex);
}

void router_remove_doomed(struct router *r)
{
	if (r->doomed && r->live)
		device_remove_group(r->netlink, DOOMED);
	r->doomed = false;
}

/* ---- the namespace ---- */

int router_enter(const struct router *r)
{
	return setns(r->ns_fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

void router_leave(const struct router *r)
{
	if (setns(net_home(r->net), CLONE_NEWNET) < 0)
		die("cannot come back from a network namespace: %s", strerror(errno));
}

/* Below the one directory of /proc that this process sees. What the machine's own switches are is passed on to new namespaces. */
static int write_setting(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return error;
}

int router_set_switches(void)
{
	static const char *const off[] = {"rp_filter",      "arp_ignore", "arp_filter",         "arp_announce",
	                                  "accept_local",   "proxy_arp",  "send_redirects",     "accept_redirects",
	                                  "route_localnet", "forwarding", "accept_source_route"};
	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++)
		for (int k = 0; k < 2; k++) {
			char path[96];
			snprintf(path, sizeof(path), "/net/ipv4/conf/%s/%s", k ? "default" : "all", off[i]);
			int error = write_setting(path, "0");
			if (error && error != -ENOENT)
				return error;
		}
	return 0;
}

static void write_settings6(void)
{
	/* where the kernel has IPv6 at all; what comes with a link is no news to a router */
	static const struct {
		const char *name, *value;
	} settings6[] = {{"disable_ipv6", "0"},        {"accept_ra", "0"},  {"autoconf", "0"},
	                 {"accept_redirects", "0"},    {"accept_dad", "0"}, {"forwarding", "1"},
	                 {"accept_source_route", "-1"}};
	for (size_t i = 0; i < sizeof(settings6) / sizeof(settings6[0]); i++)
		for (int k = 0; k < 2; k++) {
			char path[96];
			snprintf(path, sizeof(path), "/net/ipv6/conf/%s/%s", k ? "all" : "default", settings6[i].name);
			write_setting(path, settings6[i].value);
		}
}

int router_bind(int type, uint32_t address, uint16_t port)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
	if (fd < 0)
		return -errno;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(address)}};
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || (type == SOCK_STREAM && listen(fd, BACKLOG) < 0)) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static void dhcp_is_asked(void *ctx, uint32_t events)
{
	(void)events;
	port_serve_dhcp(ctx);
}

static int open_dhcp(struct router *r)
{
	int one = 1;
	r->dhcp_fd = router_bind(SOCK_DGRAM, INADDR_ANY, DHCP_SERVER_PORT);
	if (r->dhcp_fd < 0)
		return r->dhcp_fd;
	/* no checksum: clients that read packets off the link do not expect one that hardware would have filled in */
	if (setsockopt(r->dhcp_fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)) < 0 ||
	    setsockopt(r->dhcp_fd, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one)) < 0 ||
	    setsockopt(r->dhcp_fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)) < 0)
		return -errno;
	r->dhcp_watch = loop_add_fd(net_loop(r->net), r->dhcp_fd, EPOLLIN, dhcp_is_asked, r);
	return r->dhcp_watch ? 0 : -errno;
}

static int open_listeners(struct router *r)
{
	static const struct {
		int type;
		uint32_t address;
		uint16_t port;
	} listeners[NETWORK_LISTENERS] = {[NETWORK_METADATA] = {SOCK_STREAM, LINK_LOCAL_METADATA, 80},
	                                  [NETWORK_ENDPOINT] = {SOCK_STREAM, LINK_LOCAL_METADATA, 4566},
	                                  [NETWORK_DNS] = {SOCK_DGRAM, LINK_LOCAL_DNS, 53},
	                                  [NETWORK_DNS_TCP] = {SOCK_STREAM, LINK_LOCAL_DNS, 53},
	                                  [NETWORK_SERVICE_HTTP] = {SOCK_STREAM, NETWORK_SERVICE_ADDRESS, 80},
	                                  [NETWORK_SERVICE_TLS] = {SOCK_STREAM, NETWORK_SERVICE_ADDRESS, 443}};
	for (int i = 0; i < NETWORK_LISTENERS; i++) {
		if (!listeners[i].port || r->listeners[i] >= 0)
			continue; /* of IPv6: link6_open() */
		r->listeners[i] = router_bind(listeners[i].type, listeners[i].address, listeners[i].port);
		if (r->listeners[i] < 0)
			return r->listeners[i];
	}
	return 0;
}

int router_open(struct router *r)
{
	int error = router6_set_up(r);
	if (!error && !(r->nft = nft_new()))
		error = -ENOTSUP;
	if (!error)
		error = open_dhcp(r);
	if (!error)
		error = open_listeners(r);
	return error || !r->has_ipv6 ? error : link6_open(r);
}

static int set_up(struct router *r)
{
	r->netlink = link_socket();
	if (r->netlink < 0)
		return r->netlink;
	int error = router_set_switches();
	write_settings6();
	if (!error)
		error = link_up(r->netlink, LOOPBACK);
	if (!error)
		error = link_add_address(r->netlink, LOOPBACK, LINK_LOCAL_METADATA, 32);
	if (!error)
		error = link_add_address(r->netlink, LOOPBACK, LINK_LOCAL_DNS, 32);
	if (!error)
		error = link_add_address(r->netlink, LOOPBACK, NETWORK_SERVICE_ADDRESS, 32);
	for (size_t i = 0; i < r->vpc.h.value && !error; i++)
		error = link_add_address(r->netlink, LOOPBACK, r->vpc.prefixes[i].base + 2, 32);
	/* what no table knows goes nowhere, without a word */
	struct route nowhere = {.table = 254, .kind = ROUTE_BLACKHOLE};
	if (!error)
		error = route_set(r->netlink, &nowhere);
	return error ? error : router_open(r);
}

/* ---- the face to net.c ---- */

struct router *router_new(struct net *net, const char *id)
{
	struct router *r = calloc(1, sizeof(*r));
	if (!r)
		die("out of memory");
	*r = (struct router){.net = net, .ns_fd = -1, .netlink = -1, .dhcp_fd = -1, .link6_fds = {-1, -1}};
	memset(r->listeners, -1, sizeof(r->listeners));
	memcpy(r->id, id, strnlen(id, NETWORK_ID_MAX - 1));
	list_init(&r->things);
	buf_init(&r->batch, BATCH_MAX);
	return r;
}

/* The namespace ends with its last descriptor, its links and rules with it. */
static void close_all(struct router *r)
{
	link6_close(r);
	loop_remove_fd(net_loop(r->net), r->dhcp_watch);
	r->dhcp_watch = NULL;
	int *const fds[] = {&r->ns_fd, &r->netlink, &r->dhcp_fd};
	for (size_t i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	for (int i = 0; i < NETWORK_LISTENERS; i++) {
		if (r->listeners[i] >= 0)
			close(r->listeners[i]);
		r->listeners[i] = -1;
	}
	nft_free(r->nft);
	r->nft = NULL;
	r->live = false;
}

void router_free(struct router *r)
{
	heir_forget(net_heir(r->net), r->id, r->id);
	list_each (&r->things, struct thing, at, t) {
		if (t->verb == NET_PORT && t->live)
			port_drop(t);
		thing_free(t);
	}
	router_remove_doomed(r); /* others may hold its namespace */
	close_all(r);
	map_done(&r->by_id);
	buf_done(&r->batch);
	free(r);
}

static int router_start(struct router *r)
{
	r->ns_fd = net_make_namespace(r->net);
	if (r->ns_fd < 0)
		return r->ns_fd;
	int error = router_enter(r);
	if (!error) {
		error = set_up(r);
		router_leave(r);
	}
	if (!error) {
		gather_all(r);
		error = run_batch(r);
	}
	if (error) {
		close_all(r);
		return error;
	}
	r->live = r->untold = true;
	static const uint32_t order[] = {NET_SUBNET, NET_PORT};
	for (size_t i = 0; i < 2; i++)
		list_each (&r->things, struct thing, at, t)
			if (t->verb == order[i] && !t->live) {
				thing_apply(t);
				if (r->batch.n > BATCH_ENOUGH)
					router_flush(r);
			}
	return 0;
}

/* Prefixes may be added to a VPC and taken away; each has a resolver address. */
static int change_prefixes(struct router *r, const struct net_vpc *m)
{
	int error = 0;
	r->untold = true;
	for (size_t i = 0; i < r->vpc.h.value; i++)
		device_remove_address(r->netlink, LOOPBACK, r->vpc.prefixes[i].base + 2, 32);
	r->vpc = *m;
	for (size_t i = 0; i < m->h.value && (!error || error == -EEXIST); i++)
		error = link_add_address(r->netlink, LOOPBACK, m->prefixes[i].base + 2, 32);
	rules_dns(&r->batch, m->prefixes, m->h.value);
	rules6_own(&r->batch, m);
	return error == -EEXIST ? 0 : error;
}

int router_put(struct router *r, const struct net_vpc *m)
{
	struct net_vpc next = {0};
	memcpy(&next, m, offsetof(struct net_vpc, prefixes) + m->h.value * sizeof(m->prefixes[0]));
	r->seen = true;
	if (!r->live) {
		r->vpc = next;
		return router_start(r);
	}
	if (memcmp(&r->vpc, &next, sizeof(next)) == 0)
		return 0;
	return change_prefixes(r, &next);
}

void router_set_uplink(struct router *r, uint32_t address)
{
	if (!r->live || link_index(r->netlink, RULES_UPLINK, &r->uplink_ifindex) < 0)
		return;
	link_set_forwarding(r->netlink, r->uplink_ifindex, true);
	r->uplink = address;
	r->untold = true;
	subnet_update_routes(r, false);
}

void router_stats(const struct router *r, struct network_vpc_stats *ret)
{
	struct device_counters c = {0};
	if (r->uplink_ifindex)
		device_counters(r->netlink, r->uplink_ifindex, &c);
	*ret = (struct network_vpc_stats){.in_bytes = c.rx_bytes,
	                                  .out_bytes = c.tx_bytes,
	                                  .zones_bytes = nft_counter_bytes(r->nft, "ip q", "crossed") +
	                                                 nft_counter_bytes(r->nft, "ip6 q", "crossed")};
}
