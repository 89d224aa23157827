/* What containers use: asked of the engine, which answers the next time that it is asked. Once a minute it becomes the metrics
 * CPUUtilization and MemoryUtilization of AWS/ECS: of what the tasks of a service have reserved, a sample a task. Tasks on Fargate
 * count for their service alone, as AWS has it. Clusters with Container Insights get what insights.c makes of it. */
#include "insights.h"

#include "aws/ec2/ec2.h"
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

/* How far the counters have come since the last minute; the first look is a beginning. */
static struct usage_load load_of(struct duty *i)
{
	struct usage_load l = {0};
	for (uint32_t k = 0; k < i->count; k++) {
		struct duty_container *m = &i->more[k];
		if (!m->usage.at_us || i->containers[k].state != ORDER_RUNNING)
			continue;
		if (m->sampled.at_us && m->usage.at_us > m->sampled.at_us) {
			uint64_t grown = m->usage.cpu_us >= m->sampled.cpu_us ? m->usage.cpu_us - m->sampled.cpu_us : 0;
			l.containers[k].processors = (double)grown / (double)(m->usage.at_us - m->sampled.at_us);
			l.containers[k].known = true;
		}
		l.containers[k].memory_bytes = m->usage.memory_bytes;
		l.containers[k].memory_known = true;
		m->sampled = m->usage;
	}
	struct usage_traffic now = {.at_us = clock_mono_us()};
	if (!i->port.n || !ec2_lent_traffic(i->crew->cloud, i->port, &now.received, &now.sent))
		return l;
	if (i->traffic.at_us && now.at_us > i->traffic.at_us && now.received >= i->traffic.received &&
	    now.sent >= i->traffic.sent) {
		double passed_s = (double)(now.at_us - i->traffic.at_us) / 1e6;
		l.received = (double)(now.received - i->traffic.received) / passed_s;
		l.sent = (double)(now.sent - i->traffic.sent) / passed_s;
		l.traffic_known = true;
	}
	i->traffic = now;
	return l;
}

static void put(struct metrics *to, struct metric *m, const char *name, double percent)
{
	struct metric_set set = metric_sample(percent > 100 ? 100 : percent);
	m->name = str_from(name);
	metrics_put(to, m, clock_wall_ms(), RESOLUTION_S, &set);
}

static void sample(struct duty *i, const struct state_ecs_task_record *r, const struct usage_load *l)
{
	const struct metric_dimension dimensions[] = {{S("ClusterName"), i->cluster},
	                                              {S("ServiceName"), str_from_at(r->task->group, sizeof("service:") - 1)}};
	struct metric m = {.account = i->account,
	                   .region = i->region,
	                   .space = S("AWS/ECS"),
	                   .unit = S("Percent"),
	                   .dimensions = dimensions,
	                   .dimension_count = 2};
	double processors = 0, bytes = 0;
	bool known = false, memory_known = false;
	for (uint32_t k = 0; k < i->count; k++) {
		processors += l->containers[k].processors;
		bytes += (double)l->containers[k].memory_bytes;
		known |= l->containers[k].known;
		memory_known |= l->containers[k].memory_known;
	}
	if (known)
		put(i->crew->cloud->metrics, &m, "CPUUtilization", processors * 100 * 1024 / (double)ecs_cpu_units(r->task->cpu));
	if (memory_known)
		put(i->crew->cloud->metrics, &m, "MemoryUtilization",
		    bytes * 100 / (double)(ecs_memory_mib(r->task->memory) << 20));
}

static void each_running(struct crew *d, struct store_txn *t, struct arena *a,
                         void (*fn)(struct duty *i, const struct ecs_scope *s, const struct state_ecs_task_record *r))
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&d->duties, &at, &key, &value)) {
		struct duty *i = value;
		struct state_ecs_task_record r = {0};
		struct ecs_scope s = {.txn = t, .arena = a, .account = i->account, .region = i->region};
		if (i->task && ecs_task_find(&s, i->cluster, i->id, &r) && ecs_task_status(r.task) == ECS_RUNNING)
			fn(i, &s, &r);
	}
}

static void ask(struct duty *i, const struct ecs_scope *s, const struct state_ecs_task_record *r)
{
	uint64_t received, sent;
	(void)s;
	(void)r;
	usage_look(i);
	if (i->port.n)
		ec2_lent_traffic(i->crew->cloud, i->port, &received, &sent);
}

static void take(struct duty *i, const struct ecs_scope *s, const struct state_ecs_task_record *r)
{
	usage_look(i);
	struct usage_load l = load_of(i);
	if (str_starts(r->task->group, S("service:")))
		sample(i, r, &l);
	insights_task(i, s, r, &l);
}

static void ask_all(void *ctx);

static void take_all(void *ctx)
{
	struct crew *d = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct store_txn *t = store_begin(d->cloud->store, &a);
	each_running(d, t, &a, take);
	insights_clusters(d, t, &a);
	store_abort(t);
	d->sampler = loop_add_clock_timer(d->cloud->loop, EVERY_US - BEFORE_US, ask_all, d);
}

static void ask_all(void *ctx)
{
	struct crew *d = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct store_txn *t = store_begin(d->cloud->store, &a);
	each_running(d, t, &a, ask);
	store_abort(t);
	d->sampler = loop_add_timer(d->cloud->loop, BEFORE_US, take_all, d);
}

void usage_sample_begin(struct crew *d)
{
	if (d->cloud->metrics && d->tasks)
		d->sampler = loop_add_clock_timer(d->cloud->loop, EVERY_US - BEFORE_US, ask_all, d);
}
