/* Two states. Calm: the limit stands CALM_SLACK above the line (memory size + /tmp in use), and the kernel wakes us when use
 * crosses the line. That was /tmp growing: the line has moved with it and all stays calm. Or it was memory: then the guard is tight
 * and puts the limit on the line itself or close above it, where the kernel reclaims caches or kills, and looks again every few
 * milliseconds, so that a function that keeps its caches at the line may still fill its /tmp. When nothing changes for a while (an
 * idle or frozen cell) it stops looking and has itself woken by the next growth. */
#include "engine/cell/guard.h"

#include "base/log.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { CALM_SLACK = 256 << 20, TIGHT_SLACK = 64 << 20, MARGIN = 1 << 20, CRUMB = 256 << 10, ROOM = 4 << 20 };
enum { LOOK_FIRST_US = 4000, LOOK_LAST_US = 128000 };

struct guard {
	struct loop *loop;
	struct cgroups *groups;
	const char *group;
	int tmp_fd;
	struct cgroup_alarm alarm;
	struct loop_fd *watch;
	struct loop_timer *look;
	int64_t look_us;
	bool tight;
	uint64_t memory, tmp, usage;
	uint64_t limit; /* that the kernel has */
};

uint64_t guard_first_limit(uint64_t memory_bytes)
{
	return memory_bytes + CALM_SLACK;
}

static int set_limit(struct guard *g, uint64_t bytes)
{
	const struct cgroup_limits limits = {.memory_bytes = bytes};
	int error = cgroup_limit(g->groups, g->group, &limits);
	if (!error)
		g->limit = bytes;
	return error;
}

/* Puts the limit on the line, or as near above it as what is in use allows, and never higher than it is. Below what is in use and
 * cannot be reclaimed, v1 refuses it. v2 takes it and kills in the name of whoever wrote it, again and again until use is down: the
 * first victim's memory is still on its way out when the cell's first process follows it. So there the limit keeps some distance,
 * and the function itself runs into it. */
static void tighten(struct guard *g, uint64_t line)
{
	if (g->groups->version == 1 && set_limit(g, line) == 0)
		return;
	uint64_t usage = cgroup_alarm_usage(&g->alarm), near = usage + ROOM > line ? usage + ROOM : line;
	if (near < g->limit)
		set_limit(g, near);
}

static void evaluate(void *ctx);

static void alarmed(void *ctx, uint32_t events)
{
	struct guard *g = ctx;
	(void)events;
	cgroup_alarm_clear(&g->alarm);
	loop_remove_timer(g->loop, g->look);
	g->look = NULL;
	g->look_us = LOOK_FIRST_US;
	evaluate(g);
}

/* Wakes us when use crosses `bytes`. */
static void set_alarm(struct guard *g, uint64_t bytes)
{
	loop_remove_fd(g->loop, g->watch);
	g->watch = NULL;
	g->tight = false;
	if (cgroup_alarm_set(g->groups, g->group, &g->alarm, bytes) == 0)
		g->watch = loop_add_fd(g->loop, g->alarm.event_fd, g->alarm.events, alarmed, g);
}

static uint64_t tmp_in_use(const struct guard *g)
{
	struct statfs s;
	return fstatfs(g->tmp_fd, &s) < 0 ? g->tmp : (uint64_t)(s.f_blocks - s.f_bfree) * (uint64_t)s.f_bsize;
}

static void evaluate(void *ctx)
{
	struct guard *g = ctx;
	g->look = NULL;
	/* in this order: what is written to /tmp in between lifts the line, and is never taken for memory */
	uint64_t usage = cgroup_alarm_usage(&g->alarm), tmp = tmp_in_use(g), line = g->memory + tmp;
	bool grew = tmp > g->tmp;
	bool same = !grew && tmp == g->tmp && usage / CRUMB == g->usage / CRUMB;
	g->tmp = tmp;
	g->usage = usage;
	if (usage + MARGIN < line) {
		set_limit(g, line + CALM_SLACK);
		set_alarm(g, line);
		return;
	}
	g->look_us = same ? g->look_us * 2 : LOOK_FIRST_US;
	if (g->look_us > LOOK_LAST_US) {
		if (usage <= line) {
			set_limit(g, line + CALM_SLACK);
			set_alarm(g, usage + MARGIN);
			return;
		}
		/* beyond its memory, but not yet at the limit: it may give some back, or go on and be killed */
		g->look_us = LOOK_LAST_US;
	}
	if (grew)
		set_limit(g, line + TIGHT_SLACK);
	else
		tighten(g, line);
	/* the limit is the line now; an alarm at it would only slow the function down */
	if (!g->tight)
		cgroup_alarm_set(g->groups, g->group, &g->alarm, CGROUP_NO_ALARM);
	g->tight = true;
	g->look = loop_add_timer(g->loop, g->look_us, evaluate, g);
}

struct guard *guard_start(struct loop *l, struct cgroups *groups, const char *group, int tmp_fd, uint64_t memory_bytes)
{
	struct guard *g = calloc(1, sizeof(*g));
	if (!g)
		die("out of memory");
	*g = (struct guard){.loop = l,
	                    .groups = groups,
	                    .group = group,
	                    .tmp_fd = tmp_fd,
	                    .memory = memory_bytes,
	                    .limit = guard_first_limit(memory_bytes),
	                    .look_us = LOOK_FIRST_US};
	if (cgroup_alarm_open(groups, group, &g->alarm) < 0) {
		set_limit(g, memory_bytes);
		close(tmp_fd);
		free(g);
		return NULL;
	}
	set_alarm(g, memory_bytes);
	return g;
}

void guard_stop(struct guard *g)
{
	if (!g)
		return;
	loop_remove_timer(g->loop, g->look);
	loop_remove_fd(g->loop, g->watch);
	cgroup_alarm_close(&g->alarm);
	close(g->tmp_fd);
	free(g);
}
