/* Virtual private clouds in the kernel: the face for the EC2 service.
 *
 * Every VPC is a network namespace that routes between its ports. A port is one network interface: a tap device (virtual machines)
 * or one end of a veth pair (containers), with a host route to each of its addresses; there is no bridge, neighbours are answered
 * for by proxy ARP. What a packet may do is decided by nftables in that namespace: source addresses, security groups, network ACLs,
 * route tables of the subnet that it comes from, translation of public addresses. The namespaces belong to a process of their own
 * without rights on the machine (`net`), which outlives `api`; `priv` makes the one link from each VPC to the machine.
 *
 * This side holds the desired state and is level-triggered: a put replaces what was there under that id, in whatever order puts
 * come; what names something that is not there yet waits for it. When `net` or `priv` was started again everything is sent anew. A
 * `net` that was killed leaves all that it had to its heir (heir.h): connections go on.
 *
 * A change of rules acts on the next packet, of established flows too: each packet in the direction in which a flow was opened is
 * asked for, answers pass with their flow. (AWS goes on with flows that it tracks until they end; ours end at once.) ACLs are asked
 * between subnets and towards the outside, for every packet. Neither has a say in DHCP, metadata and DNS, which take 1024 packets a
 * second from a port. A packet is forwarded, so its TTL is one less on arrival even within a subnet.
 *
 * IPv6 has the same rules in a table of its own, where the kernel has IPv6. A port's link has one neighbour, the router (fe80::1),
 * which advertises itself and gives addresses by DHCPv6 (/128 each); what instances advertise is not heard by anybody. Addresses
 * are the same inside and outside: this machine reaches them over the VPC's link, with an address of NETWORK_OUTSIDE6. What leaves
 * for the internet has the machine's own.
 *
 * Calls return at once; strings and arrays are copied. All runs on the loop of the role that made it. */
#pragma once
#include "engine/net/ip.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct networks;
struct cells;

enum {
	NETWORK_ID_MAX = 40, /* "eni-0123456789abcdef0" and its NUL */
	NETWORK_NAME_MAX = 64,
	NETWORK_PREFIXES_MAX = 6,      /* of one VPC */
	NETWORK_ADDRESSES_MAX = 15,    /* of one port, of each family */
	NETWORK_GROUPS_MAX = 16,       /* of one port */
	NETWORK_ZONES_MAX = 6,         /* of one VPC, as far as what passes between them is counted */
	NETWORK_GROUP_RULES_MAX = 400, /* of one group: what fits into one atomic change */
	NETWORK_ACL_RULES_MAX = 80,
	NETWORK_ROUTES_MAX = 200, /* of one subnet */
	NETWORK_BALANCE_TARGETS_MAX = 1000,
};

/* IPv4 in host byte order; host bits are zero. */
struct network_prefix {
	uint32_t base;
	uint8_t bits;
};

/* IPv6; host bits are zero. */
struct network_prefix6 {
	uint8_t base[16], bits;
};

struct network_vpc {
	const char *id; /* "vpc-..." */
	const struct network_prefix *prefixes;
	size_t prefix_count;
	const struct network_prefix6 *prefixes6; /* within fd00::/8 */
	size_t prefix6_count;
};

/* Which packets a rule is about. Ports of TCP and UDP; for ICMP type and code, -1: any. */
struct network_match {
	int16_t protocol; /* IANA's number; -1: all */
	int32_t from, to; /* TCP, UDP: -1 and -1 are all ports; of others but ICMP and ICMPv6 not looked at */
	struct network_prefix peer;
	bool ipv6; /* the rule is about packets of IPv6 alone, with peer6; else about IPv4 alone. Rules of a group's: about both */
	struct network_prefix6 peer6;
};

struct network_group_rule {
	bool egress;
	struct network_match match;
	const char *peer_group; /* instead of match.peer: the private addresses of this group's ports; NULL: match.peer */
};

struct network_group {
	const char *id, *vpc;
	const struct network_group_rule *rules;
	size_t rule_count;
};

struct network_acl_rule {
	uint16_t number; /* they are tried in this order; what none matches is dropped */
	bool egress, allow;
	struct network_match match;
};

struct network_acl {
	const char *id, *vpc;
	const struct network_acl_rule *rules;
	size_t rule_count;
};

enum network_target {
	NETWORK_LOCAL,    /* the ports of this VPC */
	NETWORK_INTERNET, /* packets of addresses that have a public one leave; others are dropped */
	NETWORK_NAT,  /* leave like port `target` (a NAT gateway's), if it has a public address and its subnet leads to the internet
	               */
	NETWORK_PORT, /* to port `target`, which may have source_check off */
	NETWORK_BLACKHOLE, /* dropped */
	NETWORK_PEER,      /* into the VPC at the other end of peering `target` */
	/* IPv6: leave, and nothing but answers comes in. (By NETWORK_INTERNET every address of IPv6 may leave and be asked.) */
	NETWORK_EGRESS_ONLY,
	NETWORK_SERVICE, /* a gateway endpoint: the subnet may speak to NETWORK_SERVICE_ADDRESS, as groups and ACLs say */
};
/* Where a gateway endpoint's service has its address inside a VPC: in a block that is set aside for protocols and that no network
 * gives to machines. */
#define NETWORK_SERVICE_ADDRESS 0xc0000041u
struct network_route {
	struct network_prefix to; /* the longest prefix wins */
	enum network_target kind;
	const char *target;
	bool ipv6; /* to to6; NETWORK_NAT is of IPv4 alone */
	struct network_prefix6 to6;
};

/* A subnet with what its associations come to: its route table's routes and its ACL. */
struct network_subnet {
	const char *id, *vpc, *acl;
	struct network_prefix prefix;
	const struct network_route *routes;
	size_t route_count;
	bool has_prefix6;
	struct network_prefix6 prefix6;
};

/* What is wrong with a port's link, for a time: asked for, to see what comes of it. It ends by itself at until_us of the monotonic
 * clock, even if nobody is there any more who could say so. */
struct network_fault {
	int64_t until_us;     /* 0: nothing is wrong */
	bool down;            /* its link is down in the router */
	uint16_t delay_ms;    /* what the router sends over it waits so long (network_facts.delays) */
	uint8_t loss_percent; /* so many of a hundred packets get lost, in each direction */
};

enum network_port_kind {
	NETWORK_TAP,
	NETWORK_VETH,
	NETWORK_GATEWAY, /* no link: a NAT gateway's own interface */
	NETWORK_PLUG,    /* the link is made later, into a namespace that is there already */
	/* A namespace that nobody runs in: this side has sockets there, which the port's groups, ACLs and routes hold for. */
	NETWORK_ASKS,    /* those of network_open_socket() */
	NETWORK_ANSWERS, /* and NETWORK_SOCKET_DNS and _DNS_TCP, which come with the port */
	/* A namespace that many sandboxes have a link into (share.h): what they send leaves as this port's, and only answers come
	 * back. They reach no service of the VPC's but its resolver. */
	NETWORK_SHARED
};
struct network_address {
	uint32_t private;
	/* 0: none. In 127.0.0.0/8 but not in 127.0/16, and not ending in 255: packets that this machine's programs send there come
	 * to the port, and back, as their groups, ACLs and routes say; the peer is an address of the machine's link ranges.
	 * Instances cannot use it: to a guest, 127/8 is itself. What leaves for the internet has the machine's own address, not
	 * this one. */
	uint32_t public;
};
/* Servers that DHCP names besides addresses, in host byte order; 0 ends a list. */
enum { NETWORK_DHCP_SERVERS = 4, NETWORK_DHCP_OWN = 1 /* as a name server: the VPC's resolver */ };
struct network_dhcp {
	uint32_t dns[NETWORK_DHCP_SERVERS]; /* none: the VPC's resolver */
	uint32_t ntp[NETWORK_DHCP_SERVERS], netbios[NETWORK_DHCP_SERVERS];
	uint32_t netbios_node; /* 1, 2, 4 or 8; 0: not said */
};
struct network_port {
	const char *id, *vpc, *subnet; /* "eni-..." */
	enum network_port_kind kind;
	uint8_t mac[6];
	const struct network_address *addresses; /* the first is the primary one, which DHCP gives */
	size_t address_count;
	const uint8_t (*addresses6)[16]; /* of its subnet's prefix6; DHCPv6 gives them all */
	size_t address6_count;
	const char *const *groups;
	size_t group_count;    /* 0: everything passes; of a gateway: nothing that comes for itself */
	bool source_check;     /* drop what is not from or to its own addresses */
	const char *host_name; /* for DHCP: "ip-172-31-0-5" */
	const char *domain;    /* "ec2.internal" */
	struct network_dhcp dhcp;
	uint64_t bits_per_s; /* 0: unlimited; holds in each direction; what is beyond is dropped, after a second's worth at once */
	struct network_fault fault;
	bool flows;    /* count packets by flow, for events->flows(); without it no packet is looked at for that */
	bool refusals; /* count the first packets of flows that groups refuse, for its stats; the same for all of its life */
	unsigned zone; /* up to NETWORK_ZONES_MAX: what passes between ports of different ones is counted; 0: never for this one */
};

/* Two VPCs whose subnets may have routes into each other. Rules of groups in one may name groups of the other. What comes from a
 * peer is let to ports alone: not to this VPC's own services, not on into a third VPC, not to the outside. */
struct network_peering {
	const char *id; /* "pcx-..." */
	const char *vpcs[2];
};

/* What a port of a load balancer does with flows that come for one of its ports: the router gives each to a target, which sees the
 * client's own address, and undoes that for answers. Nothing passes the balancer itself. A flow stays with its target whatever is
 * put later, unless it is cut. Groups of the client are asked about the balancer's address; the balancer's own about the client;
 * the target's about the client, and those of their rules that name a group about the balancer too. ACLs are asked as if client and
 * target spoke with each other. Where no target serves, packets come to the port itself, as do those of TCP flows that are not
 * known. A put stays in force over a start of this side, until network_settle_balances() or the port's end. */
enum network_balance_state {
	NETWORK_SERVES, /* gets new flows */
	NETWORK_KEEPS,  /* those that it has go on */
	NETWORK_CUT     /* those that it has are ended now */
};
struct network_balance_target {
	uint32_t address, weight; /* weight: among those that serve; 1 to 1,000,000 */
	uint16_t port;
	enum network_balance_state state;
};
struct network_balance {
	const char *vpc, *port;
	uint8_t protocol; /* 6, 17 */
	uint16_t listens;
	bool by_source;  /* all flows of a client's address go to one target, as long as targets stay the same */
	bool cut_gone;   /* flows of targets that the last put had and this one has not are ended */
	bool open;       /* too few targets are healthy, so all serve: its new flows are counted as such */
	uint32_t idle_s; /* then a flow is forgotten */
	uint32_t others; /* of 10,000 new flows of TCP so many are left to the port itself */
	const struct network_balance_target *targets;
	size_t target_count;
};
/* Since it was put first in this life of `net`: active now, all others counted up. Bytes and packets of both directions. */
struct network_balance_stats {
	uint64_t active, flows, packets, bytes;
	uint64_t open_flows;                   /* of all flows, those that came while it was open */
	uint64_t refused;                      /* flows that no target was there for */
	uint64_t client_resets, target_resets; /* packets */
};

/* Sockets that lie inside a VPC and are served by this side. */
enum network_listener {
	NETWORK_METADATA,  /* TCP, listening at 169.254.169.254:80 */
	NETWORK_ENDPOINT,  /* TCP, listening at 169.254.169.254:4566: the cloud's own endpoint */
	NETWORK_DNS,       /* UDP, port 53 of 169.254.169.253, and of base + 2 of the VPC's prefixes by translation */
	NETWORK_DNS_TCP,   /* TCP, listening there */
	NETWORK_METADATA6, /* TCP, listening at [fd00:ec2::254]:80; not where the kernel has no IPv6 */
	/* TCP, listening at ports 80 and 443 of NETWORK_SERVICE_ADDRESS; for subnets with a route NETWORK_SERVICE alone */
	NETWORK_SERVICE_HTTP,
	NETWORK_SERVICE_TLS,
	NETWORK_LISTENERS
};

/* Sockets in a port's own namespace (NETWORK_ASKS, NETWORK_ANSWERS), non-blocking. */
enum network_socket {
	NETWORK_SOCKET_UDP, /* neither bound nor connected */
	NETWORK_SOCKET_TCP,
	NETWORK_SOCKET_DNS,    /* UDP, port 53 of its addresses */
	NETWORK_SOCKET_DNS_TCP /* TCP, listening there */
};

/* The packets of one flow, in one direction through a port, that groups and ACLs let pass or refused. Addresses are those that the
 * port's owner sees. What is dropped before groups are asked (false senders) or beyond a rate is in no flow, nor is what goes to
 * the VPC's own services and what no route takes. */
struct network_flow {
	struct network_ip from, to;
	uint16_t from_port, to_port; /* 0 where the protocol has none */
	uint8_t protocol, out, accepted, spare;
	uint64_t packets, bytes;
	int64_t first_ms, last_ms; /* wall clock */
};

struct network_events {
	/* A port that was put is in place, its rules too. TAP: fd is a tap device with virtio headers off (another descriptor of
	 * the same device whenever it is given), VETH: a network namespace with the interface eth0, addressed and routed; the
	 * receiver's from now on. PLUG: a plug, for plug_link(). SHARED: the namespace. GATEWAY, ASKS, ANSWERS: -1. It comes once
	 * after networks_new(), and again only when there is another device: after `net` and its heir were lost, or when kind, MAC
	 * or subnet have changed. */
	void (*port)(void *ctx, const char *port_id, int fd);
	/* A socket in a VPC, non-blocking, the receiver's from now on; one of before, if any, is of a VPC that is gone: close it.
	 * Peers are ports' private addresses that have been checked; network_port_at() says whose. */
	void (*listener)(void *ctx, const char *vpc_id, enum network_listener kind, int fd);
	/* What has passed a port since the last time: after network_collect_flows(), and unasked when a port goes or is not to be
	 * counted any more, although it may not be wanted by then. `missed` packets found no room. NULL: nobody wants to know. */
	void (*flows)(void *ctx, const char *port_id, const struct network_flow *flows, size_t count, uint64_t missed);
	/* A socket in a port's namespace, the receiver's from now on: one that was asked for, with its tag (-1: it cannot be had
	 * now), or, with tag 0, one that listens; that of before is of a namespace that is gone. Tag 0 without one: the port goes,
	 * and those that listened are to be closed. NULL: nobody wants to know. */
	void (*socket)(void *ctx, const char *vpc_id, const char *port_id, enum network_socket kind, uint32_t tag, int fd);
};

/* What this machine can do; known once a VPC was put. why_not is said also when networks work but have no way out. */
struct network_facts {
	bool known, works;
	bool outside; /* there is a way out: NAT and internet gateways lead somewhere */
	char why_not[160];
	bool delays;   /* packets can be held up: the kernel has netem */
	bool outside6; /* and one over IPv6 */
	char why_not6[160];
};

/* `events` and data_dir must live as long as the networks; cells may be NULL: then nothing works. Starts `net` through priv at the
 * first VPC, or finds the one of before. */
struct networks *networks_new(struct loop *l, struct cells *cells, const char *data_dir, const struct network_events *events,
                              void *ctx);
/* Forgets; the kernel goes on. networks_drop_all() before it ends everything (a reset, an orderly end). */
void networks_free(struct networks *n);
void networks_drop_all(struct networks *n);
/* After the first puts at start-up, if there were any or not: what `net` still has and was not put is removed. Without a VPC, net
 * itself ends. */
void networks_settled(struct networks *n);
const struct network_facts *networks_facts(const struct networks *n);

/* 0, or -EINVAL for what is over the limits above or malformed (ids have letters, digits and '-'; VPCs are /16 to /28), nothing
 * changed. A VPC that overlaps the machine's range for links (100.88.0.0/16, or as configured) has no way out and no way in. */
int network_put_vpc(struct networks *n, const struct network_vpc *v);
int network_put_group(struct networks *n, const struct network_group *g);
int network_put_acl(struct networks *n, const struct network_acl *a);
int network_put_subnet(struct networks *n, const struct network_subnet *s);
int network_put_port(struct networks *n, const struct network_port *p);
/* It works while both VPCs are there. */
int network_put_peering(struct networks *n, const struct network_peering *p);
int network_put_balance(struct networks *n, const struct network_balance *b);
void network_remove_balance(struct networks *n, const char *port, uint8_t protocol, uint16_t listens);
/* All of a port's have been put: what `net` has of before goes. */
void network_settle_balances(struct networks *n, const char *port);
/* As network_port_stats(). */
bool network_balance_stats(struct networks *n, const char *port, uint8_t protocol, uint16_t listens,
                           struct network_balance_stats *ret_stats);
/* Makes a port's link anew, because whoever had it has taken it to the grave; port() gives the new one. */
void network_renew_port(struct networks *n, const char *id);
/* By id of any kind. Removing a VPC removes what is in it. */
void network_remove(struct networks *n, const char *id);

/* Whose private address is this in that VPC? The port's id, valid until the next put or remove; NULL: nobody's. */
const char *network_port_at(const struct networks *n, const char *vpc_id, uint32_t address);
const char *network_port_at6(const struct networks *n, const char *vpc_id, const uint8_t address[16]);

/* What packets that come into a VPC from the outside have for their sender: the machine's end of its link, or, while there is none,
 * the first address of the range of those; 0: not known yet. */
uint32_t network_outside_address(const struct networks *n, const char *vpc_id);

/* (A NAT gateway has sent what left through it, and received what came back.) What a port has received and sent, from the kernel,
 * and how many packets to and from it were dropped by the rules (not by ACLs). False: not known yet. Asynchronous: refreshed about
 * once a second while asked. */
enum network_refusal { NETWORK_REFUSED_ICMP, NETWORK_REFUSED_TCP, NETWORK_REFUSED_UDP, NETWORK_REFUSALS };
struct network_port_stats {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, drops;
	uint64_t refused[2][NETWORK_REFUSALS]; /* flows to it, and from it, where `refusals` are counted */
	/* Of a NAT gateway: connections of TCP now, and counted up SYN, their answers, packets that got no port, and connections
	 * that were forgotten after 350 silent seconds. They are looked for when stats are asked. */
	struct {
		uint64_t active, tried, met, unported, idle;
	} gate;
};
bool network_port_stats(struct networks *n, const char *port_id, struct network_port_stats *ret_stats);

/* What has come into a VPC from the outside and has left it, and what has passed between its zones (once, whichever the way).
 * False: not known yet; asynchronous as above. All begin anew when the VPC's router does. */
struct network_vpc_stats {
	uint64_t in_bytes, out_bytes, zones_bytes;
};
bool network_vpc_stats(struct networks *n, const char *vpc_id, struct network_vpc_stats *ret_stats);

/* Asks for a socket: NETWORK_SOCKET_UDP or _TCP. events->socket() has it in a moment, or nothing comes where `net` has ended
 * meanwhile. False: that is so already, or there is no such port. */
bool network_open_socket(struct networks *n, const char *port_id, enum network_socket kind, uint32_t tag);

/* Asks for the flows of a port that counts them; nothing comes for another, or while `net` is not there. */
void network_collect_flows(struct networks *n, const char *port_id);
