/* What the files of the resolver share: places, questions under way, connections. Private to engine/dns. */
#pragma once
#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/dns/dns.h"

#include <netinet/in.h>

enum {
	DNS_ANSWERERS_MAX = 8,
	DNS_SERVERS_MAX = 3,
	DNS_UNDER_WAY_MAX = 512,
	DNS_PLACE_UNDER_WAY_MAX = 128,
	DNS_PLACE_CONNECTIONS_MAX = 16,
	DNS_TRY_US = 2000 * 1000,
	DNS_TRIES = 3,
};

struct dns_place {
	struct dns *dns;
	char *id;
	int datagrams, listening; /* -1: none */
	struct loop_fd *datagrams_watch, *listening_watch;
	struct list connections, questions;
	unsigned connection_count, question_count;
};

struct dns {
	struct loop *loop;
	struct dns_answerer answerers[DNS_ANSWERERS_MAX];
	size_t answerer_count;
	const char *server, *servers_file;
	struct sockaddr_in servers[DNS_SERVERS_MAX];
	unsigned server_count, first_server; /* the one that answered last is asked first */
	int64_t servers_read_us;
	struct map places;
	unsigned under_way;
};

/* Who is told an answer: a peer of a datagram socket, or a connection. */
struct dns_connection;
struct dns_asker {
	struct dns_place *place;
	struct sockaddr_in peer;
	struct dns_connection *connection; /* NULL: by datagram */
};
/* server.c: sends an answer. */
void dns_tell(const struct dns_asker *asker, const uint8_t *answer, size_t n);

/* forward.c: asks this machine's name servers; what comes is told, or SERVFAIL. */
void dns_forward(const struct dns_asker *asker, const uint8_t *query, size_t n, const struct dns_query *q);
/* Forgets what was asked for a connection that ends, or for a place (NULL: all of it). */
void dns_forget(struct dns_place *place, const struct dns_connection *connection);

/* servers.c: the machine's name servers as they are now. */
void dns_read_servers(struct dns *d);

/* connection.c */
void dns_accept(struct dns_place *place);
void dns_connection_tell(struct dns_connection *c, const uint8_t *answer, size_t n);
void dns_connections_close(struct dns_place *place);
/* server.c: a query has come. */
void dns_take(const struct dns_asker *asker, const uint8_t *query, size_t n);
