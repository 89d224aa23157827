/* Inside `net`: the routers, one a VPC, and what has been put into them. net.c holds the sockets, router.c makes namespaces and
 * runs batches of rules, router_subnet.c keeps route tables, router_port.c keeps links, router_heir.c hands all of it on.
 * Everything runs on net's one loop; a router's things are created when they are first named, and do something once they have been
 * put. */
#pragma once
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/net/heir.h"
#include "engine/net/network_proto.h"
#include "engine/net/nft.h"
#include "engine/net/route6.h"
#include "engine/net/rules6.h"
#include "engine/net/rules_balance.h"

struct net;
struct router;

enum { PORT_SOCKETS = 2 };

struct thing {
	struct list at;
	struct router *router;
	char id[NETWORK_ID_MAX];
	uint32_t verb; /* NET_GROUP, NET_ACL, NET_SUBNET, NET_PORT or NET_BALANCE */
	uint32_t number;
	bool seen;                  /* since HELLO */
	bool live;                  /* the kernel has it */
	bool announce;              /* a port whose descriptor is to be told once its rules are there */
	bool untold;                /* the heir does not know it as it is */
	union net_message *message; /* NULL: only named by others */
	size_t message_bytes;

	/* subnets: the router's own address, and what their two tables hold (for addresses without and with a public one) */
	uint32_t gateway;
	struct route *routes[2];
	size_t route_counts[2];
	bool has_nats;          /* rules say which NAT gateway carries what */
	struct route6 *routes6; /* IPv6: one table for all addresses */
	size_t route6_count;

	/* ports: link, descriptor for the owner, and the numbers that its rules were made with */
	unsigned ifindex;
	uint32_t device; /* another number for each device that is made for it */
	int fd;
	int plug; /* the other end of fd; -1: there is none */
	struct loop_fd *plug_watch;
	int sockets[PORT_SOCKETS]; /* that listen in its namespace: NETWORK_SOCKET_DNS and _DNS_TCP; -1: none */
	uint32_t subnet_number, groups[NETWORK_GROUPS_MAX];

	/* ports with a fault (router_fault.c): what of it the kernel has */
	struct loop_timer *fault_timer;
	bool is_down;
	uint8_t loss_percent;
	uint16_t delay_ms;

	/* ports whose flows are counted: which sets it is done in, and those that are about to be read (0: none) */
	uint32_t flow_round, flow_old;
	unsigned flow_families; /* a bit each: IPv4, IPv6 */
	struct loop_timer *flow_timer;

	/* NAT gateways: what was counted last, and came together (router_gate.c) */
	uint64_t gate_out, gate_dropped, gate_unported, gate_idle;

	/* balances: what their rules were made with */
	struct rules_balance balance;
	bool shut; /* its rules do not name the port's chains, which are made anew */
};

struct router {
	struct net *net;
	struct list at;
	char id[NETWORK_ID_MAX];
	bool seen, live;
	bool announce;      /* its namespace and sockets are to be told */
	bool doomed;        /* it has links of the group of those that go when the round ends */
	bool untold;        /* the heir does not know it as it is */
	bool adopting;      /* it is being taken over: the rules of before hold until all of it is known */
	struct net_vpc vpc; /* h.value 0: only named by others */
	struct list things;
	struct map by_id;
	uint32_t next_number;

	int ns_fd, netlink, dhcp_fd;
	bool has_ipv6;    /* the kernel has it */
	int link6_fds[2]; /* discovery (ICMPv6) and DHCPv6 */
	struct loop_fd *link6_watches[2];
	struct loop_timer *advertise;
	int listeners[NETWORK_LISTENERS];
	struct loop_fd *dhcp_watch;
	struct nft *nft;
	struct buf batch;
	uint32_t uplink; /* the machine's end of the link; 0: none. Over IPv6: see outside6() */
	unsigned uplink_ifindex;
	unsigned balances;      /* that have rules */
	unsigned flow_ports[2]; /* how many count flows of IPv4, of IPv6 */
};

/* router.c. Network namespaces belong to the process for the time between enter and leave. */
struct router *router_new(struct net *net, const char *id);
void router_free(struct router *r);
/* Takes the VPC's put; makes the namespace at the first. 0 or negative errno. */
int router_put(struct router *r, const struct net_vpc *m);
void router_set_uplink(struct router *r, uint32_t address);
/* What its kernel has counted; 0 of what it has not. */
void router_stats(const struct router *r, struct network_vpc_stats *ret);
/* Runs what has been gathered. */
void router_flush(struct router *r);
/* Makes all rules anew instead. */
void router_make_rules(struct router *r);
/* What it has open in its namespace, in which the process is: sockets that it has not got yet. */
int router_open(struct router *r);
/* A link is to go; router_remove_doomed() removes all such together, since the kernel waits for every processor each time. */
void router_doom(struct router *r, unsigned ifindex);
void router_remove_doomed(struct router *r);
int router_enter(const struct router *r);
/* In a new namespace, in which the process is: what the machine's own switches are is not passed on to it. */
int router_set_switches(void);
/* A socket in the network namespace that the process is in: bound, TCP listening. Negative errno. */
int router_bind(int type, uint32_t address, uint16_t port);
void router_leave(const struct router *r);

struct thing *thing_find(const struct router *r, const char *id);
/* Finds or makes; NULL: that id is of another kind. */
struct thing *thing_named(struct router *r, uint32_t verb, const char *id);
void thing_put(struct thing *t, const void *message, size_t n);
/* What others still name stays, and does nothing. */
void thing_remove(struct thing *t);
/* Makes the kernel have what its message says, where that is possible yet. */
void thing_apply(struct thing *t);
/* What a message of that verb names is there, if empty, before rules speak of it. */
void thing_name_others(struct router *r, uint32_t verb, const union net_message *m);

/* router_heir.c. When a round ends, before anything is told to api: the heir hears what has changed; `all`: everything, it is new.
 */
void router_bequeath(struct router *r, bool all);
void thing_bequeath(const struct thing *t); /* at once */
/* What an earlier net has left, in this order: routers, things, and then each router with all that is in it goes on. Descriptors
 * are taken out of the legacy. 0 or negative errno: then it is to be freed, and is made anew when it is put. */
void router_inherit(struct router *r, struct legacy *l);
void thing_inherit(struct router *r, struct legacy *l);
int router_take_over(struct router *r);

/* router_subnet.c */
int subnet_apply(struct thing *t);
/* One that an earlier net has made: it is live then, and its routes are set by the next subnet_apply(). */
int subnet_take_over(struct thing *t);
void subnet_drop(struct thing *t);
/* Tables again, after targets (ports) or all that routes depend on have changed. */
void subnet_update_routes(struct router *r, bool targets_alone);
/* Adds the rules that count what NAT gateways carry, where there are any. */
void subnet_count_nats(struct thing *t);
uint32_t subnet_acl(const struct thing *t);
bool subnet_is_served(const struct thing *t); /* has it a route to a gateway endpoint? */
/* Marks of packets: of addresses without a public one; those with one have the next number. */
uint32_t subnet_mark(uint32_t number);

/* router_port.c. The router has this hardware address on every link: instances keep what they have learned when the router is made
 * anew. */
extern const uint8_t port_router_mac[6];
int port_apply(struct thing *t);
/* One that an earlier net has made: its link and descriptors stay as they are, all else is said again. Negative errno: it is not
 * live, and to be applied. */
int port_take_over(struct thing *t);
/* From one put to the next on the same link; false: it has to be made anew. */
bool port_change(struct thing *t, const struct net_port *next);
void port_drop(struct thing *t);
struct rules_port port_rules(const struct thing *t);
int port_stats(struct thing *t, struct network_port_stats *ret_stats);
int gate_stats(struct thing *t, struct network_port_stats *ret_stats); /* of a NAT gateway: router_gate.c */
void port_link_name(const struct thing *t, char ret[16]);
/* The link of a plug has been made: now packets pass. 0 or negative errno. */
int port_link_came(struct thing *t);
/* One DHCP request is there. */
void port_serve_dhcp(struct router *r);

/* router_socket.c: sockets in a namespace that nobody runs in. */
bool port_has_sockets(const struct thing *t);
/* NETWORK_SOCKET_UDP or _TCP, the caller's; negative errno. */
int port_open_socket(const struct thing *t, enum network_socket kind);
/* Those that listen, while the port is live. */
int port_listen(struct thing *t);
void port_hang_up(struct thing *t);

/* router_share.c: makes the port's namespace a way for sandboxes, which nothing comes back by but answers. */
int port_share(const struct thing *t);

/* router_plug.c: a port whose link is made by somebody else. */
int plug_open(struct thing *t);
void plug_listen(struct thing *t); /* which is open */
void plug_close(struct thing *t);

/* router6.c: IPv6 of routers, subnets and ports; nothing happens where the kernel has none. */
int router6_set_up(struct router *r);
int subnet6_begin(struct thing *t);
int subnet6_update(struct thing *t);
void subnet6_drop(struct thing *t);
/* Leads the port's addresses to its link; of one that is changed, those that are new, and those that are not any more away. */
int port6_lead(const struct thing *t, const struct net_port *had, const struct net_port *m);
/* The instance's side of a veth port, in whose namespace the process is. */
int port6_inside(const struct net_port *had, const struct net_port *m, int sock, unsigned eth0);
int peering6_link(const struct router *r, unsigned ifindex, const uint8_t mac[6]);

/* link6.c: what the router says on ports' links: advertisements and DHCPv6. */
int link6_open(struct router *r);
void link6_close(struct router *r);
/* The port has addresses, or others than before. */
void link6_advertise(const struct thing *t, const struct net_port *m);
int link6_join(const struct thing *t);

/* Leads its addresses to the link again, which has been down. */
int port_lead_again(struct thing *t);
/* Its rules, by what its message says now. */
void port_rules_again(struct thing *t);
/* The same of IPv6. */
int port6_lead_again(const struct thing *t, const struct net_port *m);

/* router_fault.c. Makes the link as bad as its message says, and at the end good again; after the port has been put, or its link
 * has come. fault_forget(): the link goes. */
void fault_update(struct thing *t);
void fault_forget(struct thing *t);
/* Rules were refused: without losses, which not every kernel can draw (nft_numgen), they may not be. Were there any? */
bool fault_forget_losses(struct router *r);
/* How many of a hundred packets the message wants lost now. */
uint8_t fault_loss(const struct net_port *m);

/* router_flow.c. Begins or ends to count a port's flows as its message says; after the port has been put. */
void flow_update(struct thing *t);
/* The port goes: what was counted is told. */
void flow_end(struct thing *t);
/* Answers with what was counted since the last time, a moment later. */
void flow_collect(struct thing *t);
/* All rules of the router have been made anew. */
void flow_again(struct router *r);

/* router_balance.c. Makes its rules, as its message and its port are now; _drop() takes them away; _end() its flows too. */
void balance_apply(struct thing *t);
void balance_drop(struct thing *t);
void balance_end(struct thing *t);
/* After a put that was not the first: cuts what is to be cut. `had`: the message before, or NULL. */
void balance_cut(struct thing *t, const struct net_balance *had);
/* The port has come, or has other addresses, or is no longer live. */
void balances_follow(struct router *r, const char *port);
/* Before the port's chains are made anew in the same batch; balances_follow() comes after. */
void balances_shut(struct router *r, const char *port);
/* Balances of a port that were not put since HELLO, or all, go. */
void balances_settle(struct router *r, const char *port, bool all);
void balances_gather(struct router *r);
/* Rules were refused: without balances, which not every kernel can have (nft_hash, timeouts of flows), they may not be. Were there
 * any? */
bool balances_forget(struct router *r);
int balance_stats(const struct thing *t, struct network_balance_stats *ret);

/* peering.c. Links between routers; made and removed by peerings_update() when a round ends. */
struct peerings;
struct peerings *peerings_new(struct net *net);
void peering_put(struct peerings *p, const struct net_peering *m);
void peering_remove(struct peerings *p, const char *id);
void peerings_forget_seen(struct peerings *p);
void peerings_settle(struct peerings *p);
/* As router_bequeath(). */
void peerings_bequeath(struct peerings *p, bool all);
/* Something has changed that peerings may depend on. */
void peerings_touch(struct peerings *p);
void peerings_update(struct peerings *p);
void peerings_forget_router(struct peerings *p, const struct router *r);
/* Of a router whose rules are made anew. */
void peerings_gather(struct peerings *p, struct router *r);
/* The link of a router to the other VPC; 0: there is none. */
unsigned peering_link(struct peerings *p, const struct router *r, const char *id, uint32_t *ret_gateway);

/* net.c */
void net_tell_flows(struct net *net, const char *id, const struct network_flow *flows, size_t n, uint64_t missed);
struct peerings *net_peerings(const struct net *net);
struct heir *net_heir(const struct net *net);
struct list *net_routers(struct net *net);
int net_home(const struct net *net);
struct loop *net_loop(struct net *net);
/* An empty network namespace; its descriptor or negative errno. The process is back home afterwards. */
int net_make_namespace(const struct net *net);
