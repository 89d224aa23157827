/* What a node says: whom it serves, how targets are, how much it has done. */
#include "lb_log.h"
#include "lb_state.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 16 };

struct words {
	struct str v[WORDS];
	size_t n;
};

static struct words split(struct str line)
{
	struct words w = {0};
	while (str_set(line) && w.n < WORDS)
		w.v[w.n++] = str_cut(&line, ' ');
	return w;
}

static uint64_t number(const struct words *w, size_t i)
{
	uint64_t n = 0;
	if (i < w->n)
		str_to_u64(w->v[i], &n);
	return n;
}

void lb_report_describe(const struct lb_seen *s, char *room, size_t cap, struct lb_target_health *ret)
{
	*ret = (struct lb_target_health){s->health, "", ""};
	if (s->health == LB_INITIAL) {
		ret->reason = "Elb.InitialHealthChecking";
		ret->description = "Initial health checks in progress";
	} else if (s->health == LB_UNHEALTHY && strcmp(s->reason, "code") == 0) {
		snprintf(room, cap, "Health checks failed with these codes: [%u]", s->code);
		ret->reason = "Target.ResponseCodeMismatch";
		ret->description = room;
	} else if (s->health == LB_UNHEALTHY && strcmp(s->reason, "timeout") == 0) {
		ret->reason = "Target.Timeout";
		ret->description = "Request timed out";
	} else if (s->health == LB_UNHEALTHY) {
		ret->reason = "Target.FailedHealthChecks";
		ret->description = "Health checks failed";
	}
}

/* "health BACKEND TOKEN STATE REASON CODE" */
static void take_health(struct lb_node_state *n, const struct words *w)
{
	char room[80];
	struct lb_target_health h;
	const struct lb_named *named = w->n == 6 ? map_get(&n->of->wanted->named, w->v[2]) : NULL;
	if (!named)
		return;
	struct lb_seen *s = map_get(&n->seen, w->v[2]);
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			abort();
		map_put(&n->seen, w->v[2], s);
	}
	s->health = str_is(w->v[3], "healthy") ? LB_HEALTHY : str_is(w->v[3], "unhealthy") ? LB_UNHEALTHY : LB_INITIAL;
	snprintf(s->reason, sizeof(s->reason), "%.*s", (int)(w->v[4].n < 11 ? w->v[4].n : 11), w->v[4].p);
	s->code = (unsigned)number(w, 5) % 1000;
	lb_report_describe(s, room, sizeof(room), &h);
	lb_flows_soon(n);
	n->lb->events->health(n->lb->ctx, n->balancer, n->id, named->group, named->target, &h);
}

/* "check BACKEND TOKEN KIND ADDRESS PORT REASON CODE MICROSECONDS AGE-MILLISECONDS" */
static void take_check(struct lb_node_state *n, const struct words *w)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr at;
	struct lb_check c = {0};
	const struct lb_named *named = w->n == 10 && n->lb->events->check ? map_get(&n->of->wanted->named, w->v[2]) : NULL;
	if (!named || w->v[3].n >= sizeof(c.kind) || w->v[4].n >= sizeof(text))
		return;
	memcpy(text, w->v[4].p, w->v[4].n);
	text[w->v[4].n] = 0;
	memcpy(c.kind, w->v[3].p, w->v[3].n);
	c.address = inet_pton(AF_INET, text, &at) == 1 ? ntohl(at.s_addr) : 0;
	c.port = (uint16_t)number(w, 5);
	c.fault = str_is(w->v[6], "-")         ? LB_CHECK_PASSED
	          : str_is(w->v[6], "timeout") ? LB_CHECK_TIMEOUT
	          : str_is(w->v[6], "code")    ? LB_CHECK_CODE
	                                       : LB_CHECK_FAILED;
	c.code = (unsigned)number(w, 7) % 1000;
	c.latency_us = number(w, 8);
	c.age_ms = number(w, 9);
	n->lb->events->check(n->lb->ctx, n->balancer, n->id, named->group, named->target, &c);
}

/* "group BACKEND SESSIONS 2XX 3XX 4XX 5XX CONNECTION-ERRORS MILLISECONDS FAILED-HANDSHAKES OPEN UNSTICKY TARGETLESS"; agents of
 * before say less. */
static void take_group(struct lb_node_state *n, const struct words *w)
{
	uint64_t i = 0;
	if ((w->n != 9 && w->n < 11) || w->n > 13 || w->v[1].n < 2 || !str_to_u64(str_from_at(w->v[1], 1), &i) ||
	    i >= n->of->wanted->group_count)
		return;
	struct lb_group_counters c = {.requests = number(w, 2),
	                              .target_2xx = number(w, 3),
	                              .target_3xx = number(w, 4),
	                              .target_4xx = number(w, 5),
	                              .target_5xx = number(w, 6),
	                              .connection_errors = number(w, 7),
	                              .tls_failures = number(w, 9),
	                              .open_requests = number(w, 10),
	                              .unsticky_requests = number(w, 11),
	                              .targetless = number(w, 12)};
	c.connection_errors -= c.tls_failures < c.connection_errors ? c.tls_failures : c.connection_errors;
	c.responses = c.target_2xx + c.target_3xx + c.target_4xx + c.target_5xx;
	c.response_time_us = number(w, 8) * 1000;
	n->lb->events->counters(n->lb->ctx, n->balancer, n->id, n->of->wanted->groups[i], NULL, &c);
}

static uint64_t answered(const struct lb_node_state *n, unsigned from, unsigned to)
{
	uint64_t sum = 0;
	for (unsigned i = from; i < to; i++)
		sum += n->answered[i];
	return sum;
}

/* "node REQUESTS CONNECTIONS IN OUT NOW REJECTED", then what the balancer answered itself, by class, and of all this what listeners
 * of TLS of network balancers have: connections, bytes, now. */
static void take_node(struct lb_node_state *n, const struct words *w)
{
	if (w->n != 14)
		return;
	if (number(w, 1) < n->requests) /* another process counts */
		memset(n->answered, 0, sizeof(n->answered));
	n->requests = number(w, 1);
	struct lb_counters c = {.requests = number(w, 1),
	                        .connections = number(w, 2),
	                        .bytes_in = number(w, 3),
	                        .bytes_out = number(w, 4),
	                        .active_connections = number(w, 5),
	                        .rejected_connections = number(w, 6),
	                        .elb_3xx = number(w, 8),
	                        .redirects = number(w, 8),
	                        .elb_4xx = answered(n, 400, 500),
	                        .elb_5xx = answered(n, 500, 600),
	                        .elb_500 = n->answered[500],
	                        .elb_502 = n->answered[502],
	                        .elb_503 = n->answered[503],
	                        .elb_504 = n->answered[504]};
	c.rules = n->tally[0];
	c.rules_over_10 = n->tally[1];
	c.grpc_requests = n->tally[2];
	c.ipv6_requests = n->tally[3];
	c.tls_failures = n->tally[4];
	c.dropped_headers = n->tally[5];
	c.forwarded_headers = n->tally[6];
	c.unclear_requests = n->tally[7];
	c.ipv6_bytes = n->tally[8];
	c.portless = n->portless;
	c.tls_connections = number(w, 11);
	c.tls_bytes = number(w, 12);
	c.tls_active = number(w, 13);
	uint64_t own = number(w, 7) + number(w, 9) + number(w, 10);
	c.fixed_responses = own > c.elb_4xx + c.elb_5xx ? own - c.elb_4xx - c.elb_5xx : 0;
	n->lb->events->counters(n->lb->ctx, n->balancer, n->id, NULL, &c, NULL);
}

void lb_report_take(struct lb_node_state *n, struct str text)
{
	if (!n->heard && n->of && str_starts(text, S("serves "))) { /* and how all targets are: agent.lua's say_all() */
		n->heard = true;
		lb_flows_soon(n);
	}
	while (str_set(text) && n->of && !n->ending) {
		struct words w = split(str_cut(&text, '\n'));
		if (str_is(w.v[0], "health"))
			take_health(n, &w);
		else if (str_is(w.v[0], "check"))
			take_check(n, &w);
		else if (str_is(w.v[0], "serves") && w.n == 3 && str_is(w.v[1], n->of->wanted->version))
			lb_node_say(n, true, "");
		else if (str_is(w.v[0], "refused") && w.n == 2 && str_is(w.v[1], n->of->wanted->version))
			lb_node_say(n, false, "the configuration was refused");
		else if (str_is(w.v[0], "group"))
			take_group(n, &w);
		else if (str_is(w.v[0], "tally")) /* see agent.lua; before the node's line */
			for (size_t i = 0; i < LB_TALLIES; i++)
				n->tally[i] = number(&w, i + 1);
		else if (str_is(w.v[0], "node"))
			take_node(n, &w);
	}
}

static void take_access(struct lb_node_state *n, struct str line)
{
	struct arena CLEAN_ARENA a = {0};
	struct lb_log l;
	if (!lb_log_read(&a, line, clock_wall_ms(), &l))
		return;
	if (l.own && l.status > 0 && l.status < (int64_t)(sizeof(n->answered) / sizeof(n->answered[0])))
		n->answered[l.status]++;
	if (n->lb->events->access && n->of)
		n->lb->events->access(n->lb->ctx, n->balancer, n->id, &l);
}

void lb_report_line(struct lb_node_state *n, struct str line)
{
	uint64_t status = 0;
	struct str rest = line, word = str_cut(&rest, ' ');
	if (str_is(word, "own") && str_to_u64(str_trim(rest), &status) && status < sizeof(n->answered) / sizeof(n->answered[0]))
		n->answered[status]++;
	else if (str_is(word, "Connect()")) /* HAProxy's own words; once for each attempt */
		n->portless += str_find(rest, S("no free ports")) >= 0;
	else if (str_is(word, "access") || str_is(word, "broken"))
		take_access(n, line);
}

void lb_report_forget(struct lb_node_state *n)
{
	struct str key;
	void *value;
	for (bool again = true; again;) {
		size_t at = 0;
		again = false;
		while (!again && map_next(&n->seen, &at, &key, &value))
			if (!map_get(&n->of->wanted->named, key)) {
				free(map_remove(&n->seen, key));
				again = true;
			}
	}
}
