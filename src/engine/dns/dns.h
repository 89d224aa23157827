/* A resolver for instances: it answers on sockets that lie inside VPCs. A table of answerers is asked in its order; what none of
 * them knows is asked of this machine's own name servers (/etc/resolv.conf). Nothing is kept: every question is asked anew.
 *
 * Bounded: so many questions under way a place and altogether, each for a few seconds; what is beyond is refused. A question
 * leaves under a random id from a port of its own. Who asked over TCP is asked for over TCP, so an answer that did not fit a
 * datagram comes the second time. Called by the EC2 service; all of it runs on the loop. */
#pragma once
#include "engine/dns/wire.h"
#include "io/loop.h"

enum dns_said {
	DNS_NOT_MINE, /* the next one is asked */
	DNS_ANSWERED, /* what was written is the answer; nothing: there is no such record */
	DNS_ABSENT,   /* there is no such name; what was written goes with it */
	DNS_SILENT,   /* nobody answers here */
};
/* place: the VPC's id; peer: who asks, IPv4 in host byte order. */
struct dns_answerer {
	enum dns_said (*ask)(void *ctx, const char *place, uint32_t peer, const struct dns_query *q, struct dns_writer *w);
	void *ctx;
};

struct dns;
/* The table is copied. server: the one name server that is asked, an address; NULL: those of servers_file, as resolv.conf(5) has
 * them, read again every few seconds. Both must live as long. */
struct dns *dns_new(struct loop *l, const struct dns_answerer *answerers, size_t count, const char *server,
                    const char *servers_file);
void dns_free(struct dns *d); /* NULL is harmless */
/* Serves a place's socket in the place of the one of before; owns fd. */
void dns_serve_datagrams(struct dns *d, const char *place, int fd);
void dns_serve_connections(struct dns *d, const char *place, int fd);
/* Closes a place's sockets and forgets what was asked there; not from inside an answerer. */
void dns_leave(struct dns *d, const char *place);
