/* A node's task: made when it is wanted and its interface is there, made anew when it is lost, ended when nobody wants it.
 *
 * Process 1 of the container starts HAProxy again whenever it ends; what it was told lies in the container's memory, so it is back
 * in a moment with the same state, even while nobody is there to ask. */
#include "lb_state.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { AGAIN_US = 200000, LOST_AGAIN_US = 1000000, LOST_TIMES_MAX = 5, ENVIRONMENT = 5, NOBODY = 65534 };
#define MIB (1ull << 20)

struct lb_node_state *lb_node_make(struct lb *lb, const char *id)
{
	struct lb_node_state *n = map_get(&lb->nodes, str_from(id));
	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	if (!n)
		abort();
	n->lb = lb;
	snprintf(n->id, sizeof(n->id), "%s", id);
	n->port.fd = -1;
	list_init(&n->links);
	map_put(&lb->nodes, str_from(n->id), n);
	return n;
}

void lb_node_say(struct lb_node_state *n, bool serves, const char *why)
{
	if (n->serves == serves && serves)
		return;
	n->serves = serves;
	if (serves)
		n->lost = 0;
	n->lb->events->node(n->lb->ctx, n->balancer, n->id, serves, why);
}

static void later(void *ctx)
{
	struct lb_node_state *n = ctx;
	n->later = NULL;
	lb_node_step(n);
}

static void step_later(struct lb_node_state *n, int64_t delay_us)
{
	if (!n->later)
		n->later = loop_add_timer(n->lb->loop, delay_us, later, n);
}

/* ---- the task ---- */

static void make_task(struct lb_node_state *n)
{
	static const char *const argv[] = {
	        "/bin/sh", "-c",
	        "cd /run/lb || exit 1; printf %s \"$AGENT\" >agent.lua; test -e haproxy.cfg || printf %s \"$BOOT\" >haproxy.cfg; "
	        "unset AGENT BOOT; while :; do haproxy -W -db -S unix@master.sock -f haproxy.cfg; sleep 0.05; done",
	        NULL};
	static const char *const all[] = {"ALL", NULL}, *const mode[] = {"mode=1777", "noexec", NULL};
	static const struct task_mount memory = {.kind = TASK_MOUNT_TMPFS, .path = "/run/lb", .bytes = 32 * MIB, .options = mode};
	static const struct task_pair ports = {"net.ipv4.ip_unprivileged_port_start", "0"};
	struct arena CLEAN_ARENA a = {0};
	CLEAN_BUF struct buf boot = {0};
	char id[TASK_ID_MAX], user[32], text[INET_ADDRSTRLEN], text6[INET6_ADDRSTRLEN];
	struct in_addr address = {htonl(n->port.address)};
	const char *environment[ENVIRONMENT] = {0};
	buf_init(&boot, LB_BUNDLE_BYTES_MAX);
	lb_config_boot(&boot);
	environment[0] = ARENA_CAT(&a, S("AGENT="), str_from(lb_agent_text)).p;
	environment[1] = ARENA_CAT(&a, S("BOOT="), buf_str(&boot)).p;
	environment[2] = ARENA_CAT(&a, S("ADDRESS="), str_from(inet_ntop(AF_INET, &address, text, sizeof(text)))).p;
	if (n->port.has_address6)
		environment[3] =
		        ARENA_CAT(&a, S("ADDRESS6="), str_from(inet_ntop(AF_INET6, n->port.address6, text6, sizeof(text6)))).p;
	snprintf(id, sizeof(id), "elb-%s", n->id);
	snprintf(user, sizeof(user), "%d:%d", NOBODY, NOBODY);
	struct task_container c = {.name = "haproxy",
	                           .argv = argv,
	                           .environment = environment,
	                           .user = user,
	                           .workdir = "/",
	                           .capabilities_drop = all,
	                           .mounts = &memory,
	                           .mount_count = 1,
	                           .sysctls = &ports,
	                           .sysctl_count = 1,
	                           .no_new_privileges = true,
	                           .read_only_root = true};
	const struct task_spec spec = {.id = id,
	                               .port = &n->port,
	                               .memory_bytes = 1024 * MIB,
	                               .scratch_bytes = 16 * MIB,
	                               .host_name = n->id,
	                               .containers = &c,
	                               .container_count = 1};
	n->adopted = n->spoke = false;
	n->task = task_new(n->lb->tasks, &spec, n);
}

void lb_node_step(struct lb_node_state *n)
{
	struct lb *lb = n->lb;
	bool wanted = n->of || (!lb->settled && n->adopted);
	if (!wanted && n->task && !n->ending) {
		n->ending = true;
		task_end(n->task);
	} else if (!wanted && !n->task && n->balancer[0]) {
		/* it was wanted, and whoever wanted it is not in the middle of a call when he hears of the end */
		if (!n->later && !n->ending) {
			n->ending = true;
			step_later(n, 0);
			return;
		}
		if (n->later)
			return;
		lb_node_say(n, false, "");
		lb_node_drop(n);
	} else if (wanted && !n->task && n->port.fd >= 0 && lb->tasks && tasks_facts(lb->tasks)->known && !n->later) {
		n->ending = false;
		make_task(n);
	} else if (wanted && n->ready) {
		lb_links_push(n);
	}
}

/* ---- what is heard of it ---- */

void *lb_node_found(void *ctx, struct task *t, const char *id)
{
	struct lb *lb = ctx;
	const char *name = id + strlen("elb-");
	struct lb_node_state *n = map_get(&lb->nodes, str_from(name));
	if (strlen(name) >= LB_ID_MAX || (lb->settled && (!n || !n->of)) || (n && n->task))
		return NULL;
	n = lb_node_make(lb, name);
	n->task = t;
	n->adopted = true;
	return n;
}

static void start(struct lb_node_state *n)
{
	if (!n->ending)
		task_start(n->task, 0);
}

static void on_ready(void *ctx, struct task *t)
{
	struct lb_node_state *n = ctx;
	n->ready = true;
	n->listener = loop_add_fd(n->lb->loop, task_metadata_listener(t), EPOLLIN, lb_links_accept, n);
	if (!task_has_begun(t, 0))
		start(n);
	lb_node_step(n);
}

static void on_started(void *ctx, struct task *t, unsigned index, int64_t at_us)
{
	(void)ctx;
	(void)t;
	(void)index;
	(void)at_us;
}

static void start_again(void *ctx)
{
	struct lb_node_state *n = ctx;
	n->later = NULL;
	if (n->task && n->ready)
		start(n);
}

static void on_exited(void *ctx, struct task *t, unsigned index, const struct task_exit *e)
{
	struct lb_node_state *n = ctx;
	(void)t;
	(void)index;
	if (n->ending)
		return;
	log_warn("load balancer node %s ended with %d%s%s, and is started again", n->id, e->code, e->why[0] ? ": " : "", e->why);
	lb_node_say(n, false, e->not_started ? e->why : "its program has ended");
	if (!n->later)
		n->later = loop_add_timer(n->lb->loop, AGAIN_US, start_again, n);
}

static void on_output(void *ctx, struct task *t, unsigned index, bool is_error, int64_t at_us, struct str line)
{
	(void)t;
	(void)index;
	(void)at_us;
	struct lb_node_state *n = ctx;
	if (!is_error)
		lb_report_line(n, line);
	else if (str_find(line, S("[ALERT]")) >= 0 && str_find(line, S("has no server available")) < 0)
		log_warn("load balancer node %s: %.*s", n->id, STR_ARG(line));
}

static void on_health(void *ctx, struct task *t, unsigned index, enum task_health_state state)
{
	(void)ctx;
	(void)t;
	(void)index;
	(void)state;
}

static void on_ended(void *ctx, struct task *t, int error, const char *why)
{
	struct lb_node_state *n = ctx;
	bool wanted = n->of && !n->ending;
	lb_links_close(n);
	loop_remove_fd(n->lb->loop, n->listener);
	n->listener = NULL;
	n->ready = false;
	n->task = NULL;
	n->adopted = false;
	task_free(t);
	loop_remove_timer(n->lb->loop, n->later);
	n->later = NULL;
	if (wanted && error != -EAGAIN)
		log_warn("load balancer node %s is lost, and is made again: %s", n->id, why);
	if (n->of) {
		lb_node_say(n, false, why);
		n->ending = false;
		if (!wanted || error == -EAGAIN) {
			step_later(n, 0);
			return;
		}
		/* what fails again and again is not asked for all the time */
		step_later(n, (int64_t)LOST_AGAIN_US << n->lost);
		n->lost += n->lost < LOST_TIMES_MAX;
		return;
	}
	if (n->balancer[0])
		lb_node_say(n, false, "");
	lb_node_drop(n);
}

static void on_settled(void *ctx)
{
	size_t at = 0;
	struct str key;
	void *value;
	struct lb *lb = ctx;
	while (map_next(&lb->nodes, &at, &key, &value))
		step_later(value, 0);
}

const struct task_events lb_node_events = {on_ready, on_started, on_exited, on_output, on_health, on_ended, on_settled};
