/* What network balancers do without HAProxy: flows of UDP, and those of TCP whose targets see the client's address, are given to
 * targets by the VPC's router. This is what the router shall do, by what a node's agent has said of targets last. */
#include "lb_state.h"

#include <stdlib.h>
#include <string.h>

enum { TCP = 6, UDP = 17, UDP_IDLE_S = 120, TCP_IDLE_S = 350, WEIGHTS = 1000000, ALL = 10000 };

struct lb_flow_target_plan {
	struct lb_flow_target is;
	const char *zone, *token;
	bool draining;
};

/* A part of a listener: a group with its share. */
struct lb_flow_share {
	const struct lb_group *settings; /* without its texts and targets */
	uint32_t weight;
	struct lb_flow_target_plan *targets;
	size_t target_count;
};

struct lb_flow_plan {
	uint8_t protocol;
	uint16_t port;
	uint32_t idle_s, others;
	bool cut_gone, by_source;
	struct lb_flow_share *shares;
	size_t share_count;
};

/* ---- the plan: made by a put, the same for all nodes ---- */

static void plan_share(struct lb_wanted *w, const struct lb_balancer *b, const struct lb_group *g, uint32_t weight,
                       struct lb_flow_share *ret)
{
	char token[LB_TOKEN_CHARS + 1];
	struct lb_group *settings = arena_new(&w->arena, struct lb_group);
	*settings = (struct lb_group){.cross_zone = g->cross_zone,
	                              .healthy_min_count = g->healthy_min_count,
	                              .healthy_min_percent = g->healthy_min_percent,
	                              .keep_drained = g->keep_drained,
	                              .cut_unhealthy = g->cut_unhealthy};
	*ret = (struct lb_flow_share){.settings = settings,
	                              .weight = weight,
	                              .targets = arena_array(&w->arena, g->target_count + 1, sizeof(*ret->targets)),
	                              .target_count = g->target_count};
	for (size_t i = 0; i < g->target_count; i++) {
		const struct lb_target *t = &g->targets[i];
		lb_config_token(b, g, t->id, token);
		ret->targets[i] = (struct lb_flow_target_plan){.is = {.address = t->address, .port = t->port},
		                                               .zone = arena_dupz(&w->arena, str_from(t->zone ? t->zone : "")),
		                                               .token = arena_dupz(&w->arena, str_from(token)),
		                                               .draining = t->draining};
	}
}

static void plan_listener(struct lb_wanted *w, const struct lb_balancer *b, const struct lb_listener *l, uint8_t protocol)
{
	const struct lb_action *a = &l->rules[0].action;
	struct lb_flow_plan *p = &w->flows[w->flow_count];
	uint32_t sum = 0, here = 0;
	*p = (struct lb_flow_plan){.protocol = protocol,
	                           .port = l->port,
	                           .idle_s = protocol == UDP     ? UDP_IDLE_S
	                                     : l->idle_timeout_s ? l->idle_timeout_s
	                                                         : TCP_IDLE_S,
	                           .cut_gone = true,
	                           .shares = arena_array(&w->arena, a->share_count + 1, sizeof(*p->shares))};
	for (size_t i = 0; i < a->share_count; i++) {
		const struct lb_group *g = &b->groups[lb_config_group(b, a->shares[i].group)];
		uint32_t weight = a->share_count == 1 ? 1 : a->shares[i].weight;
		sum += weight;
		if (!weight || (protocol == TCP && !lb_config_is_led(l, g)))
			continue;
		here += weight;
		p->cut_gone = p->cut_gone && !g->keep_drained;
		p->by_source = p->by_source || g->stickiness == LB_STICKY_SOURCE_IP;
		plan_share(w, b, g, weight, &p->shares[p->share_count++]);
	}
	p->others = sum ? (uint32_t)((uint64_t)ALL * (sum - here) / sum) : 0;
	w->flow_count += p->share_count > 0;
}

void lb_flows_plan(struct lb_wanted *w, const struct lb_balancer *b)
{
	w->flows = arena_array(&w->arena, 2 * b->listener_count + 1, sizeof(*w->flows));
	for (size_t i = 0; i < b->listener_count && b->network; i++) {
		const struct lb_listener *l = &b->listeners[i];
		if (l->protocol == LB_TCP || l->protocol == LB_TCP_UDP)
			plan_listener(w, b, l, TCP);
		if (l->protocol == LB_UDP || l->protocol == LB_TCP_UDP)
			plan_listener(w, b, l, UDP);
	}
}

/* ---- what a node makes of it ---- */

static bool is_healthy(const struct lb_node_state *n, const struct lb_flow_target_plan *t)
{
	const struct lb_seen *s = map_get(&n->seen, str_from(t->token));
	return s && s->health == LB_HEALTHY;
}

static bool is_unhealthy(const struct lb_node_state *n, const struct lb_flow_target_plan *t)
{
	const struct lb_seen *s = map_get(&n->seen, str_from(t->token));
	return s && s->health == LB_UNHEALTHY;
}

/* By the agent's rule: with too few healthy targets all get flows. */
static size_t fill_share(const struct lb_node_state *n, const struct lb_flow_share *share, struct lb_flow_target *ret,
                         bool *ret_open)
{
	const struct lb_group *g = share->settings;
	size_t all = 0, healthy = 0, serving = 0, count = 0;
	for (size_t i = 0; i < share->target_count; i++) {
		const struct lb_flow_target_plan *t = &share->targets[i];
		if (t->draining || !lb_config_is_near(g, t->zone, n->zone))
			continue;
		all++;
		healthy += is_healthy(n, t);
	}
	bool open = healthy < (g->healthy_min_count ? g->healthy_min_count : 1) || healthy * 100 < all * g->healthy_min_percent;
	for (size_t i = 0; i < share->target_count; i++) {
		const struct lb_flow_target_plan *t = &share->targets[i];
		struct lb_flow_target *to = &ret[count++];
		*to = t->is;
		to->state = LB_FLOW_KEEPS;
		if (!lb_config_is_near(g, t->zone, n->zone) || t->draining)
			continue;
		if (open || is_healthy(n, t))
			to->state = LB_FLOW_SERVES;
		else if (g->cut_unhealthy && is_unhealthy(n, t))
			to->state = LB_FLOW_CUT;
		serving += to->state == LB_FLOW_SERVES;
	}
	*ret_open = open;
	for (size_t i = 0; i < count && serving; i++)
		ret[i].weight = (uint32_t)((uint64_t)WEIGHTS * share->weight / (1000 * serving)) + 1;
	return count;
}

static void say(void *ctx)
{
	struct lb_node_state *n = ctx;
	struct arena CLEAN_ARENA a = {0};
	n->flows_soon = NULL;
	if (!n->of || !n->heard || !n->lb->events->flows)
		return;
	const struct lb_wanted *w = n->of->wanted;
	struct lb_flow *flows = arena_array(&a, w->flow_count + 1, sizeof(*flows));
	for (size_t i = 0; i < w->flow_count; i++) {
		const struct lb_flow_plan *p = &w->flows[i];
		size_t most = 0;
		for (size_t k = 0; k < p->share_count; k++)
			most += p->shares[k].target_count;
		struct lb_flow_target *targets = arena_array(&a, most + 1, sizeof(*targets));
		flows[i] = (struct lb_flow){.protocol = p->protocol,
		                            .port = p->port,
		                            .idle_s = p->idle_s,
		                            .others = p->others,
		                            .cut_gone = p->cut_gone,
		                            .by_source = p->by_source,
		                            .targets = targets};
		flows[i].open = true; /* if all shares are */
		for (size_t k = 0; k < p->share_count; k++) {
			bool open;
			flows[i].target_count += fill_share(n, &p->shares[k], targets + flows[i].target_count, &open);
			flows[i].open = flows[i].open && open;
		}
	}
	n->lb->events->flows(n->lb->ctx, n->balancer, n->id, flows, w->flow_count);
}

void lb_flows_soon(struct lb_node_state *n)
{
	if (!n->flows_soon && n->heard)
		n->flows_soon = loop_add_timer(n->lb->loop, 0, say, n);
}
