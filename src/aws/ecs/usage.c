/* What containers use: asked of the engine, which answers the next time that it is asked. Once a minute it becomes the metrics
 * CPUUtilization and MemoryUtilization of AWS/ECS: of what the tasks of a service have reserved, a sample a task. Tasks on Fargate
 * count for their service alone, as AWS has it. */
#include "crew.h"

#include "base/clock.h"
#include "engine/metrics/metrics.h"

enum { EVERY_US = 60 * 1000000, BEFORE_US = 2 * 1000000, RESOLUTION_S = 60 };

void usage_look(struct duty *i)
{
	for (uint32_t k = 0; i->task && k < i->count; k++) {
		struct duty_container *m = &i->more[k];
		struct task_usage now;
		task_usage(i->task, k, &now);
		if (now.at_us <= m->usage.at_us)
			continue;
		m->usage_before = m->usage;
		m->usage = now;
	}
}

struct load {
	double processors;
	uint64_t memory_bytes;
	bool known, memory_known;
};

/* How far the counters have come since the last minute; the first look is a beginning. */
static struct load load_of(struct duty *i)
{
	struct load l = {0};
	for (uint32_t k = 0; k < i->count; k++) {
		struct duty_container *m = &i->more[k];
		if (!m->usage.at_us || i->containers[k].state != ORDER_RUNNING)
			continue;
		if (m->sampled.at_us && m->usage.at_us > m->sampled.at_us) {
			uint64_t grown = m->usage.cpu_us >= m->sampled.cpu_us ? m->usage.cpu_us - m->sampled.cpu_us : 0;
			l.processors += (double)grown / (double)(m->usage.at_us - m->sampled.at_us);
			l.known = true;
		}
		l.memory_bytes += m->usage.memory_bytes;
		l.memory_known = true;
		m->sampled = m->usage;
	}
	return l;
}

static void put(struct metrics *to, struct metric *m, const char *name, double percent)
{
	struct metric_set set = metric_sample(percent > 100 ? 100 : percent);
	m->name = str_from(name);
	metrics_put(to, m, clock_wall_ms(), RESOLUTION_S, &set);
}

static void sample(struct duty *i, const struct state_ecs_task_record *r)
{
	const struct metric_dimension dimensions[] = {{S("ClusterName"), i->cluster},
	                                              {S("ServiceName"), str_from_at(r->task->group, sizeof("service:") - 1)}};
	struct metric m = {.account = i->account,
	                   .region = i->region,
	                   .space = S("AWS/ECS"),
	                   .unit = S("Percent"),
	                   .dimensions = dimensions,
	                   .dimension_count = 2};
	struct load l = load_of(i);
	if (l.known)
		put(i->crew->cloud->metrics, &m, "CPUUtilization", l.processors * 100 * 1024 / (double)ecs_cpu_units(r->task->cpu));
	if (l.memory_known)
		put(i->crew->cloud->metrics, &m, "MemoryUtilization",
		    (double)l.memory_bytes * 100 / (double)(ecs_memory_mib(r->task->memory) << 20));
}

static void each_running(struct crew *d, void (*fn)(struct duty *i, const struct state_ecs_task_record *r))
{
	struct arena CLEAN_ARENA a = {0};
	size_t at = 0;
	struct str key;
	void *value;
	struct store_txn *t = store_begin(d->cloud->store, &a);
	while (map_next(&d->duties, &at, &key, &value)) {
		struct duty *i = value;
		struct state_ecs_task_record r = {0};
		struct ecs_scope s = {.txn = t, .arena = &a, .account = i->account, .region = i->region};
		if (i->task && ecs_task_find(&s, i->cluster, i->id, &r) && str_starts(r.task->group, S("service:")) &&
		    ecs_task_status(r.task) == ECS_RUNNING)
			fn(i, &r);
	}
	store_abort(t);
}

static void ask(struct duty *i, const struct state_ecs_task_record *r)
{
	(void)r;
	usage_look(i);
}

static void take(struct duty *i, const struct state_ecs_task_record *r)
{
	usage_look(i);
	sample(i, r);
}

static void ask_all(void *ctx);

static void take_all(void *ctx)
{
	struct crew *d = ctx;
	each_running(d, take);
	d->sampler = loop_add_clock_timer(d->cloud->loop, EVERY_US - BEFORE_US, ask_all, d);
}

static void ask_all(void *ctx)
{
	struct crew *d = ctx;
	each_running(d, ask);
	d->sampler = loop_add_timer(d->cloud->loop, BEFORE_US, take_all, d);
}

void usage_sample_begin(struct crew *d)
{
	if (d->cloud->metrics && d->tasks)
		d->sampler = loop_add_clock_timer(d->cloud->loop, EVERY_US - BEFORE_US, ask_all, d);
}
