/* Why does a connection not come about? Worked out from what was put, by the same steps that rules.h and router_subnet.c lay down
 * for packets: nothing is sent and nothing is changed. A networks_new() without cells that was only put to will do. */
#pragma once
#include "engine/net/ip.h"
#include "engine/net/network.h"

enum network_stop {
	NETWORK_STOP_NONE,
	NETWORK_STOP_UNKNOWN,      /* port: there is none of that id, or its subnet is not there */
	NETWORK_STOP_NOBODY,       /* nobody in the VPC has the address */
	NETWORK_STOP_NO_ROUTE,     /* subnet: no route of its table leads to the address */
	NETWORK_STOP_ROUTE,        /* subnet, route: what it leads to is not there, or cannot pass anything on */
	NETWORK_STOP_NO_PUBLIC,    /* port: the way leads to or from the internet, and it has no public address (IPv4) */
	NETWORK_STOP_EGRESS_ONLY,  /* subnet, route: who asks from outside is led back by a gateway that lets nobody ask */
	NETWORK_STOP_NO_ADDRESS,   /* port: it has no address of the family that is asked about */
	NETWORK_STOP_SOURCE_CHECK, /* port: what is led to it is not for its addresses */
	NETWORK_STOP_GROUPS,       /* port, egress: no rule of its groups matches */
	NETWORK_STOP_ACL,          /* acl, subnet, egress, rule: 0: none matches */
	NETWORK_STOP_LISTENER,     /* the router serves nothing at that port of its address */
	NETWORK_STOP_MACHINE,      /* the address is never let out: this machine's, or one that is not routed */
};

/* One end: a port's primary address, or an address outside of all VPCs. It is about IPv6 if an address of it is named. */
struct network_question {
	const char *from; /* a port; NULL: outside */
	const char *to;   /* a port; NULL: to_address */
	/* Inside, of whoever has it; else outside. With `to` it may be one of its further addresses; none: the primary one. */
	struct network_ip to_address;
	struct network_ip from_address; /* as to_address; of an outside: what packets from there have. Of the same family */
	int16_t protocol;               /* 6 or 17 */
	uint16_t to_port;
};

struct network_verdict {
	enum network_stop stop;
	bool reply;  /* it is the answer that is stopped */
	bool egress; /* GROUPS, ACL: on the way out of an interface or subnet */
	uint16_t rule;
	uint16_t client_port; /* ACL and reply: the port of the client's that this was found for */
	struct network_block route;
	char port[NETWORK_ID_MAX], subnet[NETWORK_ID_MAX], acl[NETWORK_ID_MAX];
	/* A port that a route leads through and that has to pass packets on itself: no more is known beyond. "": none. */
	char through[NETWORK_ID_MAX];
};

struct network_verdict network_explain(const struct networks *n, const struct network_question *q);
