/* What HAProxy is told of a balancer: text alone, without effects. Private to engine/lb.
 *
 * The bundle is a row of files ("file NAME BYTES\n" and the bytes, each) that a node's program keeps in its memory: the
 * configuration, certificates, pages. It says nothing of targets: each group is a backend "g0", "g1" in the order of the balancer's
 * groups, with a number of empty places "s1", "s2". The wanted list says who shall be in them, and how they are checked; agent.lua
 * reads it:
 *
 *   group BACKEND TOKEN CHECK PORT INTERVAL TIMEOUT HEALTHY UNHEALTHY SLOW-START MINIMUM PERCENT MATCHER PATH CUTS
 *   target TOKEN ADDRESS PORT STATE
 *
 * CHECK is none, tcp, function, http, https, h2, h2s, grpc or grpcs; STATE is on or drain.
 * CUTS: "g" if connections of targets that go are cut, "u" if of those that become unhealthy, "-" in any case. */
#pragma once
#include "engine/lb/lb.h"

#include "base/buf.h"

enum {
	LB_TOKEN_CHARS = 64, /* what stands for a target, or for a group, in cookies and in reports */
	LB_BUNDLE_BYTES_MAX = 4 << 20,
	LB_WANTED_BYTES_MAX = 1 << 20,
	LB_TALLY_KINDS = 10000, /* in a listener's table: from here on the kinds of a request, added; below are numbers of rules */
};

/* Kinds of requests that are counted; agent.lua knows them. */
enum { LB_KIND_GRPC = 1, LB_KIND_IPV6 = 2, LB_KIND_DROPPED = 4, LB_KIND_FORWARDED = 8, LB_KIND_DESYNC = 16, LB_KINDS = 32 };

/* What every answer of the balancer itself has: in a format of buf_printf(). */
#define LB_OWN "hdr Server awselb/2.0 hdr Date \"%%[date,http_date]\""

#define LB_REFUSE(status) "  http-request return status " #status " content-type text/html file " #status ".html " LB_OWN

/* Is it all there, and does it name only what there is? */
bool lb_config_check(const struct lb_balancer *b);
void lb_config_bundle(struct buf *out, const struct lb_balancer *b);
/* The part of a bundle that every node begins with, which serves nobody. */
void lb_config_boot(struct buf *out);
void lb_config_wanted(struct buf *out, const struct lb_balancer *b, const struct lb_node *n);
/* Opaque; the same on all nodes and for the balancer's life. */
void lb_config_token(const struct lb_balancer *b, const struct lb_group *g, const char *target, char ret[LB_TOKEN_CHARS + 1]);

/* config_rules.c: the rules of a listener, in the frontend's section. */
void lb_rules_put(struct buf *out, const struct lb_balancer *b, const struct lb_listener *l);
/* Text that stands in a format of HAProxy's, within double quotes. */
void lb_config_format(struct buf *out, struct str s);
/* Files that they need. */
void lb_rules_files(struct buf *bundle, const struct lb_balancer *b);
/* Are flows of TCP that come by this listener led to this group's targets by the router? (See flows.c; all of UDP are.) */
bool lb_config_is_led(const struct lb_listener *l, const struct lb_group *g);
/* Does a node in zone `here` send to a target of that zone? */
bool lb_config_is_near(const struct lb_group *g, const char *zone, const char *here);
size_t lb_config_group(const struct lb_balancer *b, const char *name); /* its number; group_count: there is none */
void lb_config_file(struct buf *bundle, const char *name, struct str bytes);

/* log.c: in a frontend: what is said of each request (lb_log.h reads it) */
void lb_log_put(struct buf *out, const struct lb_listener *l);

/* config_guard.c */
void lb_guard_put(struct buf *out, const struct lb_balancer *b); /* in a frontend, before its rules */
void lb_guard_put_host(struct buf *out, const struct lb_balancer *b, const struct lb_listener *l);
void lb_guard_put_version(struct buf *out, const struct lb_group *g); /* in a backend */

/* config_headers.c: in a frontend */
void lb_headers_put_request(struct buf *out, const struct lb_balancer *b, const struct lb_listener *l);
void lb_headers_put_response(struct buf *out, const struct lb_listener *l);

/* pages.c: the answers of the balancer itself: files, and the lines that name them. */
void lb_pages_files(struct buf *bundle);
void lb_pages_put(struct buf *out);         /* in the defaults */
void lb_pages_put_backend(struct buf *out); /* in a backend: who could not be connected to is a 502 or a 504 */

/* The agent (agent.lua), as a string. */
extern const char lb_agent_text[];
