/* What lb.c (the wanted state), node.c (a node's task), link.c (its agent's connections) and report.c (what it says) share. */
#pragma once
#include "engine/lb/config.h"

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/oci/task.h"

enum { LB_ZONE_MAX = 64, LB_VERSION_CHARS = 16, LB_REPORT_BYTES_MAX = 1 << 20 };

struct lb {
	struct loop *loop;
	struct tasks *tasks;
	const struct lb_events *events;
	void *ctx;
	struct map balancers, nodes; /* by id */
	bool settled;                /* whoever is not put by now is not wanted */
};

/* What a token stands for. */
struct lb_named {
	const char *group, *target;
};

/* All text of the latest put. */
struct lb_wanted {
	struct arena arena;
	struct str bundle;
	char version[LB_VERSION_CHARS + 1];
	const char **groups; /* names */
	size_t group_count;
	struct map named;  /* by token */
	struct map tokens; /* by group, a blank, and target: its token, with a NUL */
	struct lb_flow_plan *flows;
	size_t flow_count;
};

struct lb_kept {
	struct lb *lb;
	char id[LB_ID_MAX];
	struct lb_wanted *wanted;
};

struct lb_seen {
	enum lb_health health;
	char reason[12]; /* the agent's word */
	unsigned code;
};

enum { LB_TALLIES = 9 };

struct lb_node_state {
	struct lb *lb;
	char id[LB_ID_MAX], balancer[LB_ID_MAX], zone[LB_ZONE_MAX];
	struct lb_kept *of; /* NULL: not put yet, or not wanted any more */
	struct str list;    /* who is wanted; owned */
	char list_version[LB_VERSION_CHARS + 1];
	struct task_port port; /* fd: ours; -1: there was none yet */
	struct task *task;
	bool adopted, ready, ending, serves;
	struct loop_fd *listener;
	struct list links;
	struct loop_timer *later;
	unsigned lost;              /* times in a row that its task did not come to serve */
	struct map seen;            /* by token: struct lb_seen */
	uint64_t answered[600];     /* by the balancer itself, by status */
	uint64_t tally[LB_TALLIES]; /* as it last said */
	uint64_t portless;          /* connections of network balancers that this machine had no port for */
	uint64_t requests;          /* that were counted when it last spoke */
	bool heard;                 /* its agent has said how targets are */
	bool spoke;                 /* it has said which address of IPv6 it has, if any */
	bool has_address6;
	uint8_t address6[16];
	struct loop_timer *flows_soon;
};

/* A connection of the node's agent. */
struct lb_link {
	struct list at;
	struct lb_node_state *node;
	int fd;
	struct loop_fd *watch;
	struct buf in, out;
	bool wants;       /* it waits for what is wanted; else it reports */
	bool paced;       /* it says how many bytes it has taken */
	size_t under_way; /* bytes that it has not taken yet, where it says so */
	char has[LB_VERSION_CHARS + 1];
};

/* lb.c */
void lb_node_drop(struct lb_node_state *n); /* forgets it */
/* Starts it anew if its address of IPv6 is not the one that it is to have. */
void lb_node_check_address(struct lb_node_state *n);

/* node.c */
extern const struct task_events lb_node_events;
void *lb_node_found(void *ctx, struct task *t, const char *id);
struct lb_node_state *lb_node_make(struct lb *lb, const char *id);
/* Takes the next step towards what is wanted. */
void lb_node_step(struct lb_node_state *n);
void lb_node_say(struct lb_node_state *n, bool serves, const char *why);

/* link.c */
void lb_links_accept(void *ctx, uint32_t events);
void lb_links_push(struct lb_node_state *n); /* tells all that wait what is wanted now */
void lb_links_close(struct lb_node_state *n);

/* flows.c */
void lb_flows_plan(struct lb_wanted *w, const struct lb_balancer *b);
void lb_flows_soon(struct lb_node_state *n); /* something has changed */

/* report.c */
void lb_report_take(struct lb_node_state *n, struct str text);
void lb_report_line(struct lb_node_state *n, struct str line); /* of HAProxy's log */
void lb_report_forget(struct lb_node_state *n);                /* what was seen of targets that are no more */
void lb_report_describe(const struct lb_seen *s, char *room, size_t cap, struct lb_target_health *ret);
