/* The wanted state. A put makes all of its text at once, so nothing of the caller's structs has to be kept. */
#include "lb_state.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

struct lb *lb_new(struct loop *l, struct tasks *tasks, const struct lb_events *events, void *ctx)
{
	struct lb *lb = need(calloc(1, sizeof(*lb)));
	*lb = (struct lb){.loop = l, .tasks = tasks, .events = events, .ctx = ctx};
	if (tasks)
		tasks_share(tasks, "elb-", &lb_node_events, lb_node_found, lb);
	return lb;
}

static void drop_wanted(struct lb_wanted *w)
{
	if (!w)
		return;
	map_done(&w->named);
	map_done(&w->tokens);
	arena_done(&w->arena);
	free(w);
}

void lb_node_drop(struct lb_node_state *n)
{
	size_t at = 0;
	struct str key;
	void *value;
	map_remove(&n->lb->nodes, str_from(n->id));
	lb_links_close(n);
	loop_remove_fd(n->lb->loop, n->listener);
	loop_remove_timer(n->lb->loop, n->later);
	loop_remove_timer(n->lb->loop, n->flows_soon);
	if (n->port.fd >= 0)
		close(n->port.fd);
	while (map_next(&n->seen, &at, &key, &value))
		free(value);
	map_done(&n->seen);
	free((char *)n->list.p);
	free(n);
}

void lb_free(struct lb *lb)
{
	size_t at = 0;
	struct str key;
	void *value;
	if (!lb)
		return;
	/* The tasks are forgotten with struct tasks, and go on. */
	while ((at = 0, map_next(&lb->nodes, &at, &key, &value)))
		lb_node_drop(value);
	at = 0;
	while (map_next(&lb->balancers, &at, &key, &value)) {
		struct lb_kept *k = value;
		drop_wanted(k->wanted);
		free(k);
	}
	map_done(&lb->nodes);
	map_done(&lb->balancers);
	free(lb);
}

static void version_of(struct str text, char ret[LB_VERSION_CHARS + 1])
{
	unsigned char sum[HASH_MAX_BYTES];
	hash_of(HASH_SHA256, text, sum);
	hex_encode(sum, LB_VERSION_CHARS / 2, ret);
	ret[LB_VERSION_CHARS] = 0;
}

static void name_all(struct lb_wanted *w, const struct lb_balancer *b)
{
	char token[LB_TOKEN_CHARS + 1];
	w->group_count = b->group_count;
	w->groups = arena_array(&w->arena, b->group_count + 1, sizeof(*w->groups));
	for (size_t i = 0; i < b->group_count; i++) {
		const struct lb_group *g = &b->groups[i];
		w->groups[i] = arena_dupz(&w->arena, str_from(g->name));
		for (size_t k = 0; k < g->target_count; k++) {
			struct lb_named *named = arena_new(&w->arena, struct lb_named);
			*named = (struct lb_named){w->groups[i], arena_dupz(&w->arena, str_from(g->targets[k].id))};
			lb_config_token(b, g, named->target, token);
			map_put(&w->named, str_from(token), named);
			map_put(&w->tokens, ARENA_CAT(&w->arena, str_from(g->name), S(" "), str_from(named->target)),
			        (void *)(uintptr_t)arena_dupz(&w->arena, str_from(token)));
			/* requests name the group alone, so that another function needs no other configuration */
			lb_config_token(b, g, "", token);
			if (g->function)
				map_put(&w->named, str_from(token), named);
		}
	}
}

/* NULL: too much. */
static struct lb_wanted *make_wanted(const struct lb_balancer *b)
{
	CLEAN_BUF struct buf bundle = {0};
	buf_init(&bundle, LB_BUNDLE_BYTES_MAX);
	lb_config_bundle(&bundle, b);
	if (bundle.overflow)
		return NULL;
	struct lb_wanted *w = need(calloc(1, sizeof(*w)));
	w->bundle = arena_dup(&w->arena, buf_str(&bundle));
	version_of(w->bundle, w->version);
	name_all(w, b);
	lb_flows_plan(w, b);
	return w;
}

static bool has_node(const struct lb_balancer *b, const char *id)
{
	for (size_t i = 0; i < b->node_count; i++)
		if (strcmp(b->nodes[i].id, id) == 0)
			return true;
	return false;
}

static void leave_nodes(struct lb_kept *k, const struct lb_balancer *b)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&k->lb->nodes, &at, &key, &value)) {
		struct lb_node_state *n = value;
		if (n->of != k || (b && has_node(b, n->id)))
			continue;
		n->of = NULL;
		lb_node_step(n);
	}
}

static void take_list(struct lb_node_state *n, struct buf *list)
{
	size_t bytes = 0;
	version_of(buf_str(list), n->list_version);
	free((char *)n->list.p);
	char *p = buf_take(list, &bytes);
	n->list = str_of(p, bytes);
}

int lb_put(struct lb *lb, const struct lb_balancer *b)
{
	struct buf lists[LB_NODES_MAX] = {0};
	bool fits = true;
	if (!lb_config_check(b))
		return -EINVAL;
	for (size_t i = 0; i < b->node_count; i++) {
		buf_init(&lists[i], LB_WANTED_BYTES_MAX);
		lb_config_wanted(&lists[i], b, &b->nodes[i]);
		fits = fits && !lists[i].overflow;
	}
	struct lb_wanted *w = fits ? make_wanted(b) : NULL;
	struct lb_kept *k = w ? map_get(&lb->balancers, str_from(b->id)) : NULL;
	if (w && !k) {
		k = need(calloc(1, sizeof(*k)));
		k->lb = lb;
		strcpy(k->id, b->id);
		map_put(&lb->balancers, str_from(k->id), k);
	}
	if (w) {
		drop_wanted(k->wanted);
		k->wanted = w;
		leave_nodes(k, b);
	}
	for (size_t i = 0; i < b->node_count; i++) {
		struct lb_node_state *n = w ? lb_node_make(lb, b->nodes[i].id) : NULL;
		if (n) {
			n->of = k;
			strcpy(n->balancer, k->id);
			snprintf(n->zone, sizeof(n->zone), "%s", b->nodes[i].zone ? b->nodes[i].zone : "");
			take_list(n, &lists[i]);
			lb_report_forget(n);
			lb_flows_soon(n);
			lb_node_step(n);
		}
		buf_done(&lists[i]);
	}
	return w ? 0 : -E2BIG;
}

/* A node's addresses are its container's: another one of IPv6 needs another container. What it has its agent says, so this holds
 * for one that was there before this process, too. */
void lb_node_check_address(struct lb_node_state *n)
{
	if (!n->task || n->ending || !n->spoke || n->port.fd < 0 ||
	    (n->has_address6 == n->port.has_address6 &&
	     (!n->has_address6 || memcmp(n->address6, n->port.address6, sizeof(n->address6)) == 0)))
		return;
	n->ending = true;
	task_end(n->task);
}

int lb_port(struct lb *lb, const char *node, const struct task_port *port)
{
	struct lb_node_state *has = map_get(&lb->nodes, str_from(node));
	if (port->fd < 0) {
		if (!has || has->port.fd < 0)
			return 0;
		has->port.has_address6 = port->has_address6;
		memcpy(has->port.address6, port->address6, sizeof(has->port.address6));
		lb_node_check_address(has);
		return 0;
	}
	int fd = fcntl(port->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	struct lb_node_state *n = lb_node_make(lb, node);
	/* One that was there before this process has this link already. */
	bool another = n->task && (!n->adopted || n->port.fd >= 0);
	if (n->port.fd >= 0)
		close(n->port.fd);
	n->port = *port;
	n->port.fd = fd;
	if (!n->task && n->of) {
		loop_remove_timer(lb->loop, n->later);
		n->later = NULL;
		n->lost = 0;
	}
	if (another && !n->ending) {
		n->ending = true;
		task_end(n->task);
	}
	lb_node_check_address(n);
	lb_node_step(n);
	return 0;
}

void lb_remove(struct lb *lb, const char *balancer)
{
	struct lb_kept *k = map_remove(&lb->balancers, str_from(balancer));
	if (!k)
		return;
	leave_nodes(k, NULL);
	drop_wanted(k->wanted);
	free(k);
}

void lb_settle(struct lb *lb)
{
	size_t at = 0;
	struct str key;
	void *value;
	lb->settled = true;
	while (map_next(&lb->nodes, &at, &key, &value))
		lb_node_step(value);
}

bool lb_function_of(const struct lb *lb, const char *node, struct str token, const char **ret_group, const char **ret_target)
{
	const struct lb_node_state *n = map_get(&lb->nodes, str_from(node));
	const struct lb_named *named = n && n->of ? map_get(&n->of->wanted->named, token) : NULL;
	if (!named)
		return false;
	*ret_group = named->group;
	*ret_target = named->target;
	return true;
}

bool lb_health_of(const struct lb *lb, const char *balancer, const char *node, const char *group, const char *target,
                  struct lb_target_health *ret)
{
	static char room[80];
	char key[2 * LB_NAME_MAX];
	const struct lb_node_state *n = map_get(&lb->nodes, str_from(node));
	int bytes = snprintf(key, sizeof(key), "%s %s", group, target);
	if (!n || !n->of || strcmp(n->balancer, balancer) != 0 || bytes >= (int)sizeof(key))
		return false;
	const char *token = map_get(&n->of->wanted->tokens, str_of(key, (size_t)bytes));
	const struct lb_seen *seen = token ? map_get(&n->seen, str_from(token)) : NULL;
	if (!seen)
		return false;
	lb_report_describe(seen, room, sizeof(room), ret);
	return true;
}
