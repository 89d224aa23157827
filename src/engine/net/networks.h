/* What networks.c (the conversations), network_put.c (from the face's structs to messages), network_seen.c (questions) and
 * network_line.c (a socket with a queue) have in common. Private to the api side of networks. */
#pragma once
#include "base/list.h"
#include "base/map.h"
#include "engine/net/network_proto.h"
#include "io/msg.h"

struct line {
	int fd; /* -1: closed */
	struct loop *loop;
	struct loop_fd *watch;
	struct list unsent;
};

struct want {
	struct list at;
	char id[NETWORK_ID_MAX];
	uint32_t verb;
	union net_message *message;
	size_t bytes;
	uint32_t number; /* VPCs: under which priv knows it */
	int ns_fd;       /* VPCs: once net has made it */
	bool linked;     /* VPCs: priv has linked it */
	uint32_t uplink; /* VPCs: and the machine's end has this address */
	bool anew;       /* a port that net shall make again: until it tells another device than the last */
	uint32_t device; /* ports: the one that was told last; 0: none */
	uint32_t told;   /* a bit for each listener of a VPC's namespace, or socket of a port's, that was told */
	bool has_stats;
	int64_t stats_asked_us;
	struct network_port_stats stats;
	struct network_balance_stats balance; /* of balances */
	struct network_vpc_stats vpc;         /* of VPCs */
	bool balanced;                        /* ports: all of their balances have been put */
};

struct networks {
	struct loop *loop;
	struct cells *cells;
	const char *data_dir;
	const struct network_events *events;
	void *ctx;
	struct network_facts facts;
	struct net_prefix share;
	struct map wants;
	struct list order;
	uint32_t next_number;
	struct line net, priv;
	bool greeted, starting, replace, settled;
	struct loop_timer *again;
	int64_t again_us;
};

/* networks.c */
void networks_tell(struct networks *n, uint32_t verb, const char *id);
int networks_want(struct networks *n, const void *message, size_t bytes);
struct want *networks_find(const struct networks *n, const char *id);
void networks_forget(struct networks *n, struct want *w);

/* network_seen.c. Asks for what is to be known of a port or a balance, about once a second while somebody wants to know. */
void networks_ask_stats(struct networks *n, struct want *w);

/* network_flows.c */
void networks_take_flows(struct networks *n, const struct net_flows *m, int fd);

/* network_line.c */
void line_init(struct line *l);
void line_open(struct line *l, struct loop *loop, int fd, loop_fd_fn *fn, void *ctx);
void line_close(struct line *l, struct loop *loop);
/* In order; what does not fit yet waits. The descriptor (-1: none) is copied. */
void line_send(struct line *l, const void *p, size_t n, int fd);
void line_flush(struct line *l, struct loop *loop);
