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
	DNS_SENT,     /* those of the writer's way are asked, and what they say is the answer */
};

/* Who is asked in place of this machine's name servers, and from where: through doors, names of places that somebody else opens
 * sockets in (dns_open_with()). Servers and doors are taken in turn from a random one on; a server has a second, and each may be
 * asked once, at least three times in all. */
enum { DNS_WAY_SERVERS_MAX = 6, DNS_WAY_DOORS_MAX = 6, DNS_DOOR_MAX = 40 };
struct dns_way {
	struct {
		uint32_t address; /* host byte order */
		uint16_t port;
	} servers[DNS_WAY_SERVERS_MAX];
	char doors[DNS_WAY_DOORS_MAX][DNS_DOOR_MAX];
	unsigned server_count, door_count;
};
/* place: the VPC's id; peer: who asks, IPv4 in host byte order. */
struct dns_answerer {
	enum dns_said (*ask)(void *ctx, const char *place, uint32_t peer, const struct dns_query *q, struct dns_writer *w);
	void *ctx;
};

struct dns;
/* The table is copied. What an answerer puts in a writer's `way` lives until it is asked again. server: the one name server that is
 * asked, an address; NULL: those of servers_file, as resolv.conf(5) has them, read again every few seconds. Both must live as long.
 */
struct dns *dns_new(struct loop *l, const struct dns_answerer *answerers, size_t count, const char *server,
                    const char *servers_file);
void dns_free(struct dns *d); /* NULL is harmless */
/* Asks for a socket at a door; dns_opened() has it (-1: none) under the same tag, later and not from inside. False: there is none
 * to be had. */
typedef bool dns_open_fn(void *ctx, const char *door, bool tcp, uint32_t tag);
void dns_open_with(struct dns *d, dns_open_fn *open, void *ctx);
void dns_opened(struct dns *d, uint32_t tag, int fd);
/* Serves a place's socket in the place of the one of before; owns fd. */
void dns_serve_datagrams(struct dns *d, const char *place, int fd);
void dns_serve_connections(struct dns *d, const char *place, int fd);
/* Closes a place's sockets and forgets what was asked there; not from inside an answerer. */
void dns_leave(struct dns *d, const char *place);
