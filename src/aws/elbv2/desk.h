/* From records to what really runs. Every change of a record is watched, and one idempotent step looks at the records of a balancer
 * (or of a target group) and does the next thing. After a start of the role each is looked at once; nodes that the engine still has
 * are adopted.
 *
 * desk.c finds what has changed and hears what the nodes say; desk_balancer.c is the step of a balancer, with plan.c, which makes
 * the engine's description out of records; desk_group.c is the step of a target group: draining targets whose time is over go, and
 * instances that are gone. All of it runs on the loop. Private to aws/elbv2. */
#pragma once
#include "base/map.h"
#include "engine/lb/lb.h"
#include "engine/net/network.h"
#include "rows.h"

struct acm_watch;
struct elb_door;
struct elb_log;
struct ec2_instances_watch;

struct elb_desk {
	struct cloud *cloud;
	struct lb *lb;
	struct store_watch *watch;
	struct ec2_instances_watch *instances;
	struct acm_watch *certificates;
	struct loop_timer *soon, *minute;   /* minute: of metrics; NULL: there is no balancer */
	bool settled;                       /* the first round is over */
	unsigned char link_key[32];         /* signs links to what trust stores hold */
	struct map groups;                  /* by key: struct elb_group_item */
	struct map targets;                 /* ids of instances that are targets of any group */
	struct map balancers;               /* by key: struct elb_item */
	struct map by_id, by_port, by_name; /* the engine's id; interface; DNS name in lower case: struct elb_item */
};

/* What network balancers count by protocol. */
enum elb_flow_kind { ELB_FLOWS_TCP, ELB_FLOWS_TLS, ELB_FLOWS_UDP, ELB_FLOW_KINDS };
struct elb_carried {
	uint64_t active, flows, bytes;
};
/* A port of a node whose flows the VPC's router leads. */
enum { ELB_LED_MAX = 2 * 50 };
struct elb_led {
	uint8_t protocol;
	uint16_t port;
	bool counts;
	struct network_balance_stats counted; /* as the router said last, if `counts` */
};

struct elb_item_node {
	char interface[LB_ID_MAX], zone[64];
	int fd;                   /* its link, until the engine has it; -1: none */
	bool serves;              /* as the engine said last */
	uint32_t private, public; /* host byte order; 0: none, or not known yet */
	bool has_address6;
	uint8_t address6[16];
	struct lb_counters counted; /* as it said last, if `counts` */
	struct elb_led led[ELB_LED_MAX];
	unsigned led_count;
	uint64_t active[ELB_FLOW_KINDS]; /* now, of network balancers */
	/* What its groups have refused, as the router said last, if `refuses`. */
	uint64_t refused[2][NETWORK_REFUSALS];
	bool refuses;
	int64_t counted_us;    /* when it said so; 0: not yet */
	struct elb_door *door; /* to functions; NULL: none was asked yet */
	unsigned cut_off_at;   /* when `cut_off` was found, in the item's `heard` */
	bool cut_off;
	bool counts, fresh; /* fresh: it began in this life of ours, so all that it counts is new */
};

/* What was put last, as health and names are asked about it. */
struct elb_seen_target {
	const char *id, *zone; /* id: of a balancer's nodes "ARN:PORT@ZONE" */
};
struct elb_seen_group {
	const char *arn;
	bool cross_zone, grpc, function, multi;                        /* multi: of functions, which hear all values of a header */
	unsigned route_count, route_percent, name_count, name_percent; /* how many healthy ones a zone needs; 0: any */
	struct elb_seen_target *targets;
	size_t target_count;
};

struct elb_seen_listener {
	bool tls;
	struct {
		const char *priority, *action; /* "0" is the default rule's; "forward", "redirect", "fixed-response" */
	} * rules;
	size_t rule_count;
	struct {
		char sum[41]; /* hexadecimal SHA-1 */
		const char *arn;
	} * certificates;
	size_t certificate_count;
};

/* One balancer that is looked after; lives as long as its record does. */
struct elb_item {
	struct elb_desk *desk;
	struct str account, region, name, key;
	struct arena arena;
	bool dirty, busy;
	char id[LB_ID_MAX];                      /* the engine's: "app-50dc6c495c0c9188"; "": nothing was put yet */
	struct str path;                         /* "app/web/50dc6c495c0c9188" */
	uint64_t used_connections, used_bytes;   /* of the minute under way */
	uint64_t used_rules;                     /* those over ten of each request */
	struct elb_carried used[ELB_FLOW_KINDS]; /* the same of network balancers */
	struct map counted;                      /* by node and group: struct lb_group_counters, as they said last */
	struct str dns_name, zone_id, vpc;       /* dns_name: in lower case */
	bool network, internal, tls;             /* tls: a listener has a certificate */
	bool chained;                            /* it has a group for another balancer */
	struct elb_item_node nodes[LB_NODES_MAX];
	unsigned node_count;
	unsigned heard;    /* counts what changes what is known of health; never 0 */
	struct arena seen; /* of groups and listeners */
	struct elb_seen_group *groups;
	size_t group_count;
	struct elb_seen_listener *listeners;
	size_t listener_count;
	struct elb_log *log; /* NULL: nothing is logged */
};

struct elb_desk *elb_desk_new(struct cloud *cloud);
void elb_desk_free(struct elb_desk *d);
struct elb_desk *elb_desk(const struct cloud *cloud);
void elb_desk_soon(struct elb_desk *d);
/* What the nodes say of a target that is in use. */
void elb_desk_health(const struct elb_scope *s, const struct state_elbv2_group_record *r, const struct state_elbv2_target *t,
                     struct elbv2_target_health *ret);

/* --- desk_balancer.c */
void elb_item_mark(struct elb_item *i);
/* A balancer's record has changed (value absent: it is gone), or something below it (key: the balancer's all the same). */
void elb_item_look(struct elb_desk *d, struct arena *a, struct str account, struct str region, struct str name,
                   const struct str *value);
void elb_item_step(struct elb_item *i, const struct elb_scope *s);
void elb_item_free(struct elb_item *i);
struct elb_item *elb_item_named(const struct elb_desk *d, struct arena *a, struct str account, struct str region, struct str name);
struct elb_item_node *elb_item_node(struct elb_item *i, const char *interface);
/* Does it see no healthy target of any group, while another node does? Then it is the node (its zone) that is ill. */
bool elb_node_is_cut_off(const struct elb_item *i, const struct elb_item_node *n);
/* Has the node's zone as many healthy targets of the group as requests need (or names, by which clients find it)? Those of which
 * nothing is known yet count. */
bool elb_node_has_enough(const struct elb_item *i, const struct elb_item_node *n, const struct elb_seen_group *g, bool by_name);
void elb_item_heard(struct elb_item *i);
/* Is a target (of a group that was put) healthy, as all nodes see it that ask it and are not cut off? LB_INITIAL also: nobody knows
 * yet. */
enum lb_health elb_item_health(const struct elb_item *i, const struct elb_seen_group *g, const struct elb_seen_target *t,
                               struct lb_target_health *ret_why);

/* --- dns.c */
/* By a name in lower case: "zone.NAME" means the node of that zone alone (*ret_zone), "dualstack.NAME" all of them. */
const struct elb_item *elb_desk_named(const struct elb_desk *d, struct str name, struct str *ret_zone);
/* Nodes that serve and reach targets; all of them where none does. In any order; how many. vpc: who asks, absent: this machine. */
unsigned elb_item_addresses(const struct elb_item *i, struct str vpc, struct str zone, uint32_t out[static LB_NODES_MAX]);
/* The same of IPv6, whose addresses are the same for everybody. */
/* Does its name lead to it, by itself: it serves, and reaches as many targets of each group as names want? */
bool elb_node_is_good(const struct elb_item *i, const struct elb_item_node *n);
unsigned elb_item_addresses6(const struct elb_item *i, struct str zone, uint8_t out[static LB_NODES_MAX][16]);

/* --- plan.c */
struct str elb_engine_id(struct arena *a, const struct elb_name *n);
/* "i-...:80" */
const char *elb_target_id(struct arena *a, const struct state_elbv2_target *t);
/* All of a balancer as the engine wants it, in the scope's arena. *ret_chained: other balancers are its targets, so it is planned
 * anew with them. */
void elb_plan(const struct elb_scope *s, const struct state_elbv2_balancer_record *r, struct lb_balancer *ret, bool *ret_chained);

/* --- desk_flows.c: network balancers */
void elb_flows_lead(struct elb_item *i, struct elb_item_node *n, const struct lb_flow *flows, size_t count);
void elb_flows_count(struct elb_item *i, struct elb_item_node *n, const struct lb_counters *now);
double elb_flows_units(struct elb_item *i); /* of the last minute */

/* --- desk_metrics.c */
struct metric_set;
/* A name with the zone, and without; of a group's, beside the balancer's own. */
struct elb_place {
	const struct elb_item *item;
	const char *zone;
	bool zone_alone;  /* with the zone, and not without */
	struct str group; /* "targetgroup/blue/..."; absent: none */
};
void elb_metric_put(const struct elb_place *p, const char *name, const char *unit, const struct metric_set *set);
void elb_metrics_node(struct elb_item *i, struct elb_item_node *n, const struct lb_counters *now);
void elb_metrics_group(struct elb_item *i, struct elb_item_node *n, const char *group, const struct lb_group_counters *now);
/* What became of a request to a function. status 502 and an error: the balancer answered itself. */
struct elb_function_count {
	unsigned status;
	bool user_error, internal_error;
	uint64_t bytes;
};
void elb_metrics_function(struct elb_item *i, const struct elb_item_node *n, const char *group, const struct elb_function_count *c);
void elb_metrics_begin(struct elb_desk *d);
void elb_metrics_forget(struct elb_item *i);

/* --- desk_group.c */
/* One target group that is looked after; lives as long as its record does. */
struct elb_group_item {
	struct elb_desk *desk;
	struct str account, region, name, key;
	struct arena arena, step;
	bool dirty, busy;
	struct loop_timer *timer;
	int64_t wake_ms;       /* when the next one of its targets has drained; 0: none drains */
	struct str_list users; /* in step */
	bool gone;
};
void elb_group_mark(struct elb_group_item *i);
void elb_group_step(struct elb_group_item *i);
void elb_group_look(struct elb_desk *d, struct str key, struct str value);
void elb_group_item_free(struct elb_group_item *i);
