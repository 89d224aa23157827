/* What the parts of networking say to each other: fixed structs, one a message, checked by network_check() before any of it is
 * believed.
 *
 * `api` to `net`, on DATA/run/net.sock (SOCK_SEQPACKET):
 *   HELLO                            a session begins, any other one ends; everything wanted is put anew
 *   VPC GROUP ACL SUBNET PORT PEERING BALANCE a put; the message itself is the desired state
 *   REMOVE                           by id
 *   UPLINK                           priv has linked the VPC to the machine; address: the machine's end
 *   SETTLED                          what was not put since HELLO goes, but for balances of ports that stay
 *   SETTLED with a port's id         the same of its balances
 *   STATS                            of a VPC, a port or a balance; answered by STATS
 *   FLOWS                            of a port; answered by FLOWS (descriptor: a file of struct network_flow)
 *   OPEN                             a socket in a port's namespace; answered by OPEN (descriptor, or none)
 *   END                              everything goes, the process too (`priv` says this as well)
 *
 * and back: HELLO (with what works), VPC (descriptor: its namespace, for priv), LISTENER (kind; descriptor), PORT (descriptor);
 * unasked also FLOWS, when a port goes or counts no longer, and OPEN, of a port that listens. After a HELLO all are told, so an api
 * that has met another net, or the same again, hears of namespaces, listeners and devices that it has already: those it skips.
 *
 * `api` to `priv`, on its channel: FACTS, START, UPLINK (descriptor: the namespace), UNLINK, PUBLIC, PRIVATE, END; each is answered
 * by the same struct. START ends a net that is there. No message holds a text that is interpreted. */
#pragma once
#include "engine/net/network.h"

enum { NETWORK_VERSION = 12, NETWORK_CHANGES_MAX = 64 };

enum net_verb {
	NET_HELLO = 1,
	NET_VPC,
	NET_GROUP,
	NET_ACL,
	NET_SUBNET,
	NET_PORT,
	NET_REMOVE,
	NET_UPLINK,
	NET_SETTLED,
	NET_STATS,
	NET_END,
	NET_LISTENER,
	NET_PEERING,
	NET_FLOWS,
	NET_BALANCE,
	NET_OPEN,
};

struct net_header {
	uint32_t verb;
	/* HELLO: the version; LISTENER, OPEN: its kind; UPLINK: the address; PORT from net: another number for each device that it
	   makes, 0 where there is none; else the number of array elements that follow */
	uint32_t value;
	char id[NETWORK_ID_MAX];
};

struct net_prefix {
	uint32_t base, bits;
};

struct net_prefix6 {
	uint8_t base[16];
	uint32_t bits;
};

struct net_vpc {
	struct net_header h;
	uint32_t prefix6_count;
	struct net_prefix6 prefixes6[NETWORK_PREFIXES_MAX];
	struct net_prefix prefixes[NETWORK_PREFIXES_MAX];
};

struct net_rule {
	struct net_prefix peer;
	struct net_prefix6 peer6;
	char peer_group[NETWORK_ID_MAX]; /* "": peer or peer6 */
	int32_t protocol, from, to;
	uint16_t number;
	uint8_t egress, allow, ipv6, spare[3];
};

/* GROUP and ACL */
struct net_rules {
	struct net_header h;
	char vpc[NETWORK_ID_MAX];
	struct net_rule rules[NETWORK_GROUP_RULES_MAX];
};

struct net_route {
	struct net_prefix to;
	uint32_t kind; /* enum network_target */
	char target[NETWORK_ID_MAX];
	uint32_t ipv6; /* to to6 */
	struct net_prefix6 to6;
};

struct net_subnet {
	struct net_header h;
	char vpc[NETWORK_ID_MAX], acl[NETWORK_ID_MAX];
	struct net_prefix prefix;
	struct net_prefix6 prefix6; /* bits 0: none */
	struct net_route routes[NETWORK_ROUTES_MAX];
};

struct net_address {
	uint32_t private, public;
};

struct net_port {
	struct net_header h; /* value: 0 */
	char vpc[NETWORK_ID_MAX], subnet[NETWORK_ID_MAX];
	uint32_t kind; /* enum network_port_kind */
	uint32_t address_count, group_count, address6_count;
	uint8_t mac[6], source_check, flows;
	uint64_t bits_per_s;
	int64_t fault_until_us; /* 0: no fault; of the monotonic clock */
	uint16_t delay_ms;
	uint8_t down, loss_percent, zone, refusals, spare[2];
	char host_name[NETWORK_NAME_MAX], domain[NETWORK_NAME_MAX];
	struct network_dhcp dhcp;
	struct net_address addresses[NETWORK_ADDRESSES_MAX];
	uint8_t addresses6[NETWORK_ADDRESSES_MAX][16];
	char groups[NETWORK_GROUPS_MAX][NETWORK_ID_MAX];
};

struct net_peering {
	struct net_header h; /* value: 0 */
	char vpcs[2][NETWORK_ID_MAX];
};

struct net_balance_target {
	uint32_t address, weight;
	uint16_t port;
	uint8_t state, spare;
};

struct net_balance {
	struct net_header h; /* value: targets */
	char vpc[NETWORK_ID_MAX], port[NETWORK_ID_MAX];
	uint32_t idle_s, others;
	uint16_t listens;
	uint8_t protocol, by_source, cut_gone, open, spare[2];
	struct net_balance_target targets[NETWORK_BALANCE_TARGETS_MAX];
};

struct net_hello {
	struct net_header h;
	int32_t error;   /* back from net: 0, or why it cannot work */
	uint32_t delays; /* back from net: 1: the kernel has netem */
	char why_not[160];
};

struct net_stats {
	struct net_header h;
	struct network_port_stats stats;
};

struct net_vpc_stats {
	struct net_header h;
	struct network_vpc_stats stats;
};

struct net_balance_stats {
	struct net_header h;
	struct network_balance_stats stats;
};

struct net_flows {
	struct net_header h; /* value: how many */
	uint64_t missed;
};

struct net_socket {
	struct net_header h;
	uint32_t tag; /* of whoever asks; 0: nobody has asked */
};

union net_message {
	struct net_header h;
	struct net_vpc vpc;
	struct net_rules rules;
	struct net_subnet subnet;
	struct net_port port;
	struct net_peering peering;
	struct net_balance balance;
	struct net_hello hello;
	struct net_stats stats;
	struct net_socket socket;
};

union net_answer {
	struct net_header h;
	struct net_hello hello;
	struct net_stats stats;
	struct net_balance_stats balance;
	struct net_vpc_stats vpc;
	struct net_flows flows;
	struct net_socket socket;
};

/* Is this a message that api may send to net? 0 or -EINVAL. */
int network_check(const void *p, size_t n);

/* The machine's end of a link to a VPC over IPv6: its IPv4 address at the end of a block of ours. "quart" in its letters, so that
 * people recognise it. */
#define NETWORK_OUTSIDE6 "fd71:7561:7274::/48"
static inline void network_outside6(uint32_t link, uint8_t ret[16])
{
	const uint8_t address[16] = {0xfd,
	                             0x71,
	                             0x75,
	                             0x61,
	                             0x72,
	                             0x74,
	                             [12] = (uint8_t)(link >> 24),
	                             (uint8_t)(link >> 16),
	                             (uint8_t)(link >> 8),
	                             (uint8_t)link};
	for (int i = 0; i < 16; i++)
		ret[i] = address[i];
}

/* ---- to priv ---- */

enum link_verb {
	LINK_FACTS = 1,
	LINK_START,
	LINK_UPLINK,
	LINK_UNLINK,
	LINK_PUBLIC,
	LINK_PRIVATE,
	LINK_END,
	LINK_PREFIX6,
	LINK_NO_PREFIX6,
	LINK_SETTLED /* of a VPC: all of its addresses and blocks have been said; what an earlier api led to it besides goes */
};

struct link_request {
	uint32_t verb;
	uint32_t number;            /* of the VPC: chosen by api, > 0; 0 in FACTS, START and END */
	uint32_t address;           /* PUBLIC, PRIVATE: the public address; 0 in others */
	struct net_prefix6 prefix6; /* PREFIX6, NO_PREFIX6: a /56 of the VPC's; zero in others */
};

struct link_answer {
	struct link_request r; /* UPLINK: address is the machine's end */
	int32_t error;
	/* FACTS, START: 1: there is a way out, and one over IPv6 */
	uint32_t outside, outside6;
	struct net_prefix share; /* FACTS, START: the addresses of our links */
	char why_not[160], why_not6[160];
};

int link_check(const void *p, size_t n);
/* On this machine: may packets to this address be led into a VPC? Addresses that programs of the machine use themselves may not. */
bool link_public_allowed(uint32_t address);
