/* Load balancers: HAProxy in a VPC's subnets. The face for Elastic Load Balancing.
 *
 * A balancer has a node in each of its subnets: a task (engine/oci/task.h) with the network interface that the caller lends it and
 * one container that runs this machine's HAProxy without any capability. Its shim outlives `api`, `main` and `priv`; HAProxy goes
 * on serving meanwhile, checks its targets itself, and is adopted again.
 *
 * This side holds the desired state and is level-triggered: a put replaces what was there under that id. Targets, their weights,
 * drain and health change in running processes; listeners, rules, certificates and attributes by a new set of worker processes that
 * take over the listening sockets, while the old ones end with their connections. Neither drops a connection.
 *
 * Names of groups and targets are the caller's and come back in events. Strings and arrays are copied; strings end with NUL, NULL
 * stands for "" unless said otherwise. All runs on the loop of the role that made it; events never come from inside a call. */
#pragma once
#include "base/str.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lb;
struct tasks;
struct task_port;
struct lb_log;

enum {
	LB_ID_MAX = 48,    /* with its NUL; letters, digits, '-'. Nodes': unique in the cloud ("eni-0123456789abcdef0") */
	LB_NAME_MAX = 256, /* names of groups (ARNs) */
	LB_NODES_MAX = 8,
	LB_TARGETS_MAX = 1000,    /* of one group */
	LB_PEM_BYTES_MAX = 65536, /* of one certificate with its chain and key */
	LB_BODY_BYTES_MAX = 1024,
};

/* ---- targets ---- */

enum lb_protocol { LB_HTTP, LB_HTTPS, LB_TCP, LB_TLS, LB_UDP, LB_TCP_UDP };
enum lb_version { LB_HTTP1, LB_HTTP2, LB_GRPC };
enum lb_algorithm { LB_ROUND_ROBIN, LB_LEAST_OUTSTANDING, LB_WEIGHTED_RANDOM };
enum lb_stickiness { LB_NOT_STICKY, LB_STICKY_COOKIE, LB_STICKY_APP_COOKIE, LB_STICKY_SOURCE_IP };

struct lb_target {
	const char *id;   /* unique in its group, the caller's ("i-...:80"): also what is hashed into cookies */
	uint32_t address; /* IPv4, host byte order */
	uint16_t port;
	const char *zone; /* "us-east-1a"; "" or "all": every node's own */
	bool draining;    /* no new requests; those under way go on until lb_put() has it no more: then they are cut */
};

struct lb_health_check {
	bool disabled;             /* every target counts as healthy */
	enum lb_protocol protocol; /* HTTP, HTTPS, TCP */
	uint16_t port;             /* 0: the target's */
	const char *path;
	uint32_t interval_s, timeout_s, healthy, unhealthy; /* healthy, unhealthy: checks in a row */
	const char *matcher;                                /* "200", "200,301", "200-299"; of GRPC: its codes */
};

struct lb_group {
	const char *name; /* the ARN */
	enum lb_protocol protocol;
	enum lb_version version;
	enum lb_algorithm algorithm;
	enum lb_stickiness stickiness;
	uint32_t stickiness_s;      /* LB_STICKY_COOKIE, LB_STICKY_APP_COOKIE */
	const char *app_cookie;     /* its name */
	uint32_t slow_start_s;      /* 0: none */
	bool cross_zone;            /* false: a node sends to targets of its own zone alone */
	uint32_t healthy_min_count; /* with fewer healthy ones (or percent) requests go to all (unhealthy_state_routing); 0: 1 */
	uint32_t healthy_min_percent;
	/* of network balancers */
	bool preserve_client_ip; /* of TCP; always of UDP */
	bool proxy_protocol_v2;
	bool keep_drained;  /* connections of a target that is not there any more go on; else they are cut */
	bool cut_unhealthy; /* those of one that becomes unhealthy are cut */
	bool function; /* its one target is no machine: requests come to events->connection(), and address and port mean nothing */
	bool log_checks; /* events->check() for each */
	/* Kept for the caller, nothing here acts on it. */
	bool multi_values; /* of functions */
	uint32_t name_min_count,
	        name_min_percent; /* with fewer healthy ones (or percent) the name does not lead to a node; 0: any */
	struct lb_health_check check;
	const struct lb_target *targets; /* registered ones in a usable state (running), and draining ones */
	size_t target_count;
};

/* ---- rules ---- */

enum lb_field { LB_FIELD_HOST, LB_FIELD_PATH, LB_FIELD_HEADER, LB_FIELD_METHOD, LB_FIELD_QUERY, LB_FIELD_SOURCE_IP };
struct lb_value {
	const char *key; /* LB_FIELD_QUERY: NULL when only a value is asked for */
	const char *value;
};
/* Matches when one of its values does. Values are patterns with * and ?, but for METHOD (exact) and SOURCE_IP ("10.0.0.0/8"). */
struct lb_condition {
	enum lb_field field;
	const char *header; /* LB_FIELD_HEADER: its name */
	const struct lb_value *values;
	size_t value_count;
	bool regex; /* values are regular expressions: HOST, PATH, HEADER */
};

enum lb_action_kind { LB_FORWARD, LB_REDIRECT, LB_FIXED_RESPONSE };
struct lb_share {
	const char *group; /* one of the balancer's */
	uint32_t weight;   /* 0 to 999 */
};
struct lb_action {
	enum lb_action_kind kind;
	const struct lb_share *shares; /* FORWARD */
	size_t share_count;
	uint32_t group_stickiness_s; /* 0: off */
	/* REDIRECT: with #{protocol} and so on in them, as AWS has them; NULL: the same as the request's. */
	const char *protocol, *host, *port, *path, *query;
	uint32_t status; /* REDIRECT: 301, 302; FIXED_RESPONSE: 200 to 599 */
	const char *content_type, *body;
};
/* Of the part of the path with its query, or of the Host header, that a regular expression matches. */
struct lb_rewrite {
	bool host;
	const char *regex; /* of at most seven groups */
	unsigned groups;
	const char *replace; /* with $1 and so on in it; no blanks and no single quotes */
};
struct lb_rule {
	const char *priority; /* "1", "default": only to be reported */
	const struct lb_condition *conditions;
	size_t condition_count; /* 0: always */
	struct lb_action action;
	const struct lb_rewrite *rewrites; /* before it forwards */
	size_t rewrite_count;
};

/* ---- listeners ---- */

enum lb_tls_version { LB_TLS_1_0, LB_TLS_1_1, LB_TLS_1_2, LB_TLS_1_3 };
struct lb_certificate {
	const char *name; /* the ARN: only to be reported */
	const char *pem;  /* certificate, chain, key: one after the other */
};
struct lb_header {
	const char *name, *value; /* value: printable ASCII */
};
/* Certificates of clients: not asked for; told of in headers; let in by. */
enum lb_mutual { LB_MUTUAL_OFF, LB_MUTUAL_PASS, LB_MUTUAL_VERIFY };
enum lb_mutual_header {
	LB_MUTUAL_CHAIN,
	LB_MUTUAL_SERIAL,
	LB_MUTUAL_ISSUER,
	LB_MUTUAL_SUBJECT,
	LB_MUTUAL_VALIDITY,
	LB_MUTUAL_LEAF,
	LB_MUTUAL_HEADERS
};
struct lb_listener {
	enum lb_protocol protocol;
	uint16_t port;
	const struct lb_certificate *certificates; /* the first is the default one; the others are found by their names (SNI) */
	size_t certificate_count;
	enum lb_tls_version tls_min, tls_max;
	const char *ciphers, *ciphersuites; /* OpenSSL's names, for TLS 1.2 and 1.3; "": all */
	enum lb_mutual mutual;
	const char *authorities, *revoked;             /* VERIFY: PEM; revoked: "": nothing is */
	bool ignore_expiry;                            /* of the client's own certificate */
	bool advertise;                                /* clients hear the authorities' names */
	const char *mutual_headers[LB_MUTUAL_HEADERS]; /* what they are called; NULL: as AWS calls them */
	const char *alpn;                              /* TLS listeners: "h2,http/1.1"; "": none */
	/* HTTP and HTTPS: headers of every response, and what the two of tls_headers are called (NULL: as AWS calls them). */
	const struct lb_header *headers;
	size_t header_count;
	const char *tls_version_header, *tls_cipher_header;
	bool nameless; /* its own answers have no Server header */

	uint32_t idle_timeout_s;     /* of TCP listeners; 0: 350 */
	const struct lb_rule *rules; /* tried in this order; the last has no condition. Network balancers: that one alone */
	size_t rule_count;
};

/* ---- balancers ---- */

struct lb_node {
	const char *id;   /* its network interface: "eni-..." */
	const char *zone; /* "us-east-1a" */
};
enum lb_xff_mode { LB_XFF_APPEND, LB_XFF_PRESERVE, LB_XFF_REMOVE };
enum lb_desync { LB_DESYNC_MONITOR, LB_DESYNC_DEFENSIVE, LB_DESYNC_STRICTEST };

struct lb_balancer {
	const char *id;     /* "app-50dc6c495c0c9188" */
	bool network;       /* a network balancer */
	const char *secret; /* of at least 16 characters, the same for its life: cookies are made with it */
	const struct lb_node *nodes;
	size_t node_count;
	const struct lb_listener *listeners;
	size_t listener_count;
	const struct lb_group *groups; /* all that its rules name */
	size_t group_count;
	/* Attributes. */
	uint32_t idle_timeout_s, client_keep_alive_s; /* 0: 60, 3600 */
	bool http2, drop_invalid_headers, xff_client_port, preserve_host, tls_headers;
	enum lb_xff_mode xff;
	enum lb_desync desync;
	bool access_log; /* events->access() for each request */
	bool ipv6;       /* nodes listen on their addresses of IPv6, too (lb_port()) */
};

/* ---- what comes back ---- */

enum lb_health { LB_INITIAL, LB_HEALTHY, LB_UNHEALTHY };
/* Why, as AWS names it; reason and description are "" when healthy. */
struct lb_target_health {
	enum lb_health health;
	const char *reason;      /* "Target.ResponseCodeMismatch" */
	const char *description; /* "Health checks failed with these codes: [502]" */
};

/* One health check: of what kind ("http", "https", "h2", "h2s", "grpc", "grpcs", "function"), whom it asked and what came of it. */
enum lb_check_fault { LB_CHECK_PASSED, LB_CHECK_TIMEOUT, LB_CHECK_FAILED, LB_CHECK_CODE };
struct lb_check {
	char kind[12];
	uint32_t address; /* host byte order; of functions none */
	uint16_t port;
	enum lb_check_fault fault;
	unsigned code; /* of HTTP, of gRPC its own; 0: none came */
	uint64_t latency_us, age_ms /* since it began */;
};

/* What a network balancer's node does not do itself, because its targets see the client's own address: the caller has the VPC's
 * router do it (network_put_balance() in engine/net/network.h, whose words these are). */
enum lb_flow_state { LB_FLOW_SERVES, LB_FLOW_KEEPS, LB_FLOW_CUT };
struct lb_flow_target {
	uint32_t address, weight;
	uint16_t port;
	enum lb_flow_state state;
};
struct lb_flow {
	uint8_t protocol; /* 6, 17 */
	uint16_t port;
	uint32_t idle_s, others;
	bool cut_gone, by_source, open;
	const struct lb_flow_target *targets;
	size_t target_count;
};

/* Since the node's program began; a smaller number than before means that it began anew. */
struct lb_counters {
	uint64_t requests, connections, bytes_in, bytes_out;                    /* of all listeners */
	uint64_t active_connections;                                            /* now */
	uint64_t elb_3xx, elb_4xx, elb_5xx, elb_500, elb_502, elb_503, elb_504; /* answered by the balancer itself */
	uint64_t redirects, fixed_responses, rejected_connections;
	uint64_t rules, rules_over_10; /* that were asked for requests; of each request those over ten */
	uint64_t grpc_requests, ipv6_requests, ipv6_bytes;
	uint64_t dropped_headers, forwarded_headers;     /* requests with names of headers that are not valid */
	uint64_t unclear_requests;                       /* about their bodies */
	uint64_t tls_failures;                           /* handshakes with clients */
	uint64_t portless;                               /* attempts to reach targets that got no port; since `api` began */
	uint64_t tls_connections, tls_bytes, tls_active; /* of network balancers: how much of it listeners of TLS have */
};
struct lb_group_counters {
	uint64_t requests, target_2xx, target_3xx, target_4xx, target_5xx, connection_errors, tls_failures;
	uint64_t open_requests;     /* that went to all targets because too few are healthy; of network balancers: connections */
	uint64_t targetless;        /* connections that no target was there for */
	uint64_t unsticky_requests; /* that a target was chosen for anew, though the group is sticky */
	uint64_t responses;
	uint64_t response_time_us; /* the mean of the newest responses (HAProxy's, of 1,024) */
};

struct lb_events {
	/* A node serves, as the latest put says, or does not any more (why: a sentence, "" when it serves). */
	void (*node)(void *ctx, const char *balancer, const char *node, bool serves, const char *why);
	/* When it changes, as one node sees it. Targets of which nothing was said are initial. Said again for all after a start. */
	void (*health)(void *ctx, const char *balancer, const char *node, const char *group, const char *target,
	               const struct lb_target_health *h);
	/* About every 10 s from each node that serves, and group = NULL: the node's own. Exactly one of the two is given. */
	void (*counters)(void *ctx, const char *balancer, const char *node, const char *group, const struct lb_counters *of_node,
	                 const struct lb_group_counters *of_group);
	/* All flows that the router shall lead for a node, whenever targets' health or the balancer changes; not before the node
	 * has said how its targets are, so what is in force goes on over a start of this side. NULL: nobody leads any. */
	void (*flows)(void *ctx, const char *balancer, const char *node, const struct lb_flow *flows, size_t count);
	/* The node's program wants to ask functions on this connection, which is the callee's to serve and to close: HTTP/1.1, POST
	 * whatever the method was. X-Lb-Function has a token of the function (lb_function_of()), X-Lb-Method the client's method;
	 * without that it is a health check. NULL: closed at once. */
	void (*connection)(void *ctx, const char *balancer, const char *node, int fd);
	/* Of each request and each broken connection, where access_log is on (lb_log.h); valid during the call. NULL: nobody wants
	 * it. */
	void (*access)(void *ctx, const char *balancer, const char *node, const struct lb_log *l);
	/* Of groups that have log_checks, within about a second; what nobody hears while this side is away may be lost. NULL:
	 * nobody wants it. */
	void (*check)(void *ctx, const char *balancer, const char *node, const char *group, const char *target,
	              const struct lb_check *c);
};

/* tasks: shared with others (tasks_share() in engine/oci/task.h); NULL: this machine has no sandboxes, and nodes do not come up.
 * events must live as long. Nodes of an earlier run go on serving; those that nobody has put by lb_settle() are taken away. */
struct lb *lb_new(struct loop *l, struct tasks *tasks, const struct lb_events *events, void *ctx);
void lb_settle(struct lb *lb);
void lb_free(struct lb *lb); /* forgets them; they go on */

/* Makes it so. 0, -EINVAL: the description cannot be true (a rule names no group, ...), -E2BIG: it comes to too much; then all is
 * as before. */
int lb_put(struct lb *lb, const struct lb_balancer *b);
/* A node's interface is there: the node is started with it (fd is copied). Comes before or after its lb_put(); a second one starts
 * the node anew. fd -1: the link is as it was, and the address of IPv6 may be another one, with which the node is started anew; of
 * a node that has no port yet nothing is changed. The port stays the caller's to take back once node() has said that it does not
 * serve any more. */
int lb_port(struct lb *lb, const char *node, const struct task_port *port);
/* Ends all of its nodes; node() says when each is gone. Nothing of it is known afterwards. */
void lb_remove(struct lb *lb, const char *balancer);

/* What a token of connection() stands for; as long as the balancer is not put again. False: for nothing of this node's. */
bool lb_function_of(const struct lb *lb, const char *node, struct str token, const char **ret_group, const char **ret_target);

/* What a node last said of a target. False: nothing. The strings live until the loop goes on. */
bool lb_health_of(const struct lb *lb, const char *balancer, const char *node, const char *group, const char *target,
                  struct lb_target_health *ret);
