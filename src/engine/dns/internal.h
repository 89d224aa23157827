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
	DNS_WAY_TRY_US = 1000 * 1000,
	DNS_TRIES = 3,
	DNS_BATCH = 32, /* datagrams that are read, and answers that are sent, by one system call */
};

struct dns_batch;

struct dns_place {
	struct dns *dns;
	char *id;
	int datagrams, listening; /* -1: none */
	struct loop_fd *datagrams_watch, *listening_watch;
	struct list connections, questions;
	unsigned connection_count, question_count;
	struct dns_batch *batch; /* answers are gathered here while queries are read; NULL: they are sent at once */
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
	dns_open_fn *open; /* NULL: there are no doors */
	void *open_ctx;
	uint32_t next_tag;
	struct list opening; /* questions that wait for a socket */
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

/* An answer whose other half is asked for under another name. */
struct dns_half {
	struct dns_query query;
	size_t query_n, answer_n;
	bool authoritative;
	uint16_t count;  /* of answers */
	uint8_t bytes[]; /* the query, then the answers */
};
/* forward.c: asks this machine's name servers; what comes is told, or SERVFAIL. half: what it is the rest of, which is freed then;
 * NULL: nothing. way: who is asked instead, copied; NULL: they are. */
void dns_forward(const struct dns_asker *asker, const uint8_t *query, size_t n, const struct dns_query *q, struct dns_half *half,
                 const struct dns_way *way);

/* follow.c: an answer that leads to another name is asked for on, by the table of answerers and by name servers. */
void dns_follow(const struct dns_asker *asker, const uint8_t *query, size_t n, const struct dns_writer *w);
/* Tells both halves as one. */
void dns_tell_whole(const struct dns_asker *asker, const struct dns_half *half, const uint8_t *answer, size_t n);
/* server.c: what the table says. */
enum dns_said dns_ask_table(const struct dns_asker *asker, const struct dns_query *q, struct dns_writer *w);
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
