/* What containers use: asked of the engine, which answers the next time that it is asked, or of the agent of a container instance,
 * which answers with its next call. Once a minute it becomes the metrics CPUUtilization and MemoryUtilization of AWS/ECS: of what
 * the tasks of a service have reserved, a sample a task. Tasks on Fargate count for their service alone, as AWS has it. Clusters
 * with Container Insights get what insights.c makes of it. */
#include "container_instance.h"
#include "enter.h"
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

void usage_heard(struct duty *i, uint32_t index, const struct task_usage *usage, const struct usage_traffic *traffic)
{
	struct duty_container *m = &i->more[index];
	if (usage->at_us <= m->usage.at_us)
		return;
	m->usage_before = m->usage;
	m->usage = *usage;
	if (traffic)
		m->traffic = *traffic;
}

static bool runs(const struct duty *i, const struct state_ecs_task_record *r, uint32_t index)
{
	return ecs_task_is_remote(r->task)
	               ? index < r->task->containers.n && str_is(r->task->containers.v[index].last_status, "RUNNING")
	               : i->containers[index].state == ORDER_RUNNING;
}

/* Of an interface of the task's, or of one container each on a bridge; those that share one say the same. */
static struct usage_traffic traffic_of(const struct duty *i, const struct state_ecs_task_record *r)
{
	struct usage_traffic sum = {0};
	bool shared = str_is(r->definition->network_mode, "awsvpc");
	for (uint32_t k = 0; k < i->count && !(shared && sum.at_us); k++) {
		const struct usage_traffic *t = &i->more[k].traffic;
		sum.received += t->received;
		sum.sent += t->sent;
		sum.at_us = t->at_us > sum.at_us ? t->at_us : sum.at_us;
	}
	return sum;
}

static bool find_traffic(const struct duty *i, const struct state_ecs_task_record *r, struct usage_traffic *ret)
{
	*ret = ecs_task_is_remote(r->task) ? traffic_of(i, r) : (struct usage_traffic){.at_us = clock_mono_us()};
	return ecs_task_is_remote(r->task) ? ret->at_us != 0
	                                   : i->port.n && ec2_lent_traffic(i->crew->cloud, i->port, &ret->received, &ret->sent);
}

/* How far the counters have come since the last minute; the first look is a beginning. */
static struct usage_load load_of(struct duty *i, const struct state_ecs_task_record *r)
{
	struct usage_load l = {0};
	for (uint32_t k = 0; k < i->count; k++) {
		struct duty_container *m = &i->more[k];
		if (!m->usage.at_us || !runs(i, r, k))
			continue;
		if (m->sampled.at_us && m->usage.at_us > m->sampled.at_us) {
			uint64_t grown = m->usage.cpu_us >= m->sampled.cpu_us ? m->usage.cpu_us - m->sampled.cpu_us : 0;
			l.containers[k].processors = (double)grown / (double)(m->usage.at_us - m->sampled.at_us);
			l.containers[k].known = true;
		}
		l.containers[k].memory_bytes = m->usage.memory_bytes;
		l.containers[k].memory_known = true;
		m->sampled = m->usage;
		l.processors += l.containers[k].processors;
		l.bytes += (double)l.containers[k].memory_bytes;
		l.known |= l.containers[k].known;
		l.memory_known |= l.containers[k].memory_known;
	}
	struct usage_traffic now;
	if (!find_traffic(i, r, &now))
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
	struct metric_set set = metric_sample(percent);
	m->name = str_from(name);
	metrics_put(to, m, clock_wall_ms(), RESOLUTION_S, &set);
}

/* A container instance lends what nobody else uses, and a soft limit of memory may be exceeded: then it is more than all. */
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
	double cpu = (double)ecs_cpu_units(r->task->cpu), memory = (double)(ecs_memory_mib(r->task->memory) << 20);
	double cpu_percent = cpu > 0 ? l->processors * 100 * 1024 / cpu : 0,
	       memory_percent = memory > 0 ? l->bytes * 100 / memory : 0;
	bool bounded = !ecs_task_is_remote(r->task);
	if (l->known && cpu > 0)
		put(i->crew->cloud->metrics, &m, "CPUUtilization", bounded && cpu_percent > 100 ? 100 : cpu_percent);
	if (l->memory_known && memory > 0)
		put(i->crew->cloud->metrics, &m, "MemoryUtilization", bounded && memory_percent > 100 ? 100 : memory_percent);
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
		i->used.known = false;
		if (ecs_task_find(&s, i->cluster, i->id, &r) && ecs_task_status(r.task) == ECS_RUNNING &&
		    (i->task || ecs_task_is_remote(r.task)))
			fn(i, &s, &r);
	}
}

static void ask(struct duty *i, const struct ecs_scope *s, const struct state_ecs_task_record *r)
{
	uint64_t received, sent;
	(void)s;
	usage_look(i);
	if (ecs_task_is_remote(r->task))
		roster_measure(i->crew->roster, ecs_task_instance(r->task));
	if (i->port.n)
		ec2_lent_traffic(i->crew->cloud, i->port, &received, &sent);
}

static void take(struct duty *i, const struct ecs_scope *s, const struct state_ecs_task_record *r)
{
	usage_look(i);
	if (ecs_task_is_remote(r->task))
		i->count = r->definition->container_definitions.n < TASK_CONTAINERS_MAX ? r->definition->container_definitions.n
		                                                                        : TASK_CONTAINERS_MAX;
	struct usage_load l = load_of(i, r);
	if (ecs_task_is_remote(r->task) && l.known && l.memory_known) {
		i->used.processors = l.processors;
		i->used.memory_bytes = l.bytes;
		i->used.known = true;
	}
	if (str_starts(r->task->group, S("service:")))
		sample(i, r, &l);
	insights_task(i, s, r, &l);
}

/* --- AWS/Usage: how many vCPUs of Fargate's an account has running in a region, on demand and on spot */

struct vcpus {
	struct str account, region;
	bool spot;
	double n;
};
struct vcpus_list {
	struct vcpus *v;
	uint32_t n;
	bool set;
};

static void add_vcpus(struct vcpus_list *all, struct arena *a, const struct duty *i, const struct ecs_task *t)
{
	bool spot = str_is(t->capacity_provider_name, "FARGATE_SPOT");
	uint32_t at = 0;
	while (at < all->n &&
	       !(all->v[at].spot == spot && str_eq(all->v[at].account, i->account) && str_eq(all->v[at].region, i->region)))
		at++;
	if (at == all->n)
		*LIST_ADD(a, all) = (struct vcpus){i->account, i->region, spot, 0};
	all->v[at].n += (double)ecs_cpu_units(t->cpu) / 1024;
}

static void put_vcpus(struct crew *d, struct store_txn *t, struct arena *a)
{
	struct vcpus_list all = {0};
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&d->duties, &at, &key, &value)) {
		const struct duty *i = value;
		struct state_ecs_task_record r = {0};
		const struct ecs_scope s = {.txn = t, .arena = a, .account = i->account, .region = i->region};
		if (ecs_task_find(&s, i->cluster, i->id, &r) && !ecs_task_is_remote(r.task) &&
		    ecs_task_status(r.task) == ECS_RUNNING)
			add_vcpus(&all, a, i, r.task);
	}
	for (uint32_t k = 0; k < all.n; k++) {
		const struct metric_dimension by[] = {{S("Service"), S("Fargate")},
		                                      {S("Type"), S("Resource")},
		                                      {S("Resource"), S("vCPU")},
		                                      {S("Class"), all.v[k].spot ? S("Standard/Spot") : S("Standard/OnDemand")}};
		const struct metric m = {all.v[k].account, all.v[k].region, S("AWS/Usage"), S("ResourceCount"), S("None"), by, 4};
		metrics_add(d->cloud->metrics, &m, all.v[k].n);
	}
}

static void ask_all(void *ctx);

static void take_all(void *ctx)
{
	struct crew *d = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct store_txn *t = store_begin(d->cloud->store, &a);
	each_running(d, t, &a, take);
	insights_clusters(d, t, &a);
	put_vcpus(d, t, &a);
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

bool ecs_use(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who, struct str region,
             struct str task, struct workload_use *ret, unsigned *ret_status, struct str *ret_why)
{
	struct named_task t = {.who = who, .name = task, .region = region, .action = "ecs:DescribeTasks"};
	if (!ecs_task_named(cloud, r, a, &t, ret_status, ret_why))
		return false;
	struct workload_use sum = {0};
	if (t.duty)
		usage_look(t.duty);
	for (uint32_t k = 0; t.duty && k < t.duty->count; k++) {
		const struct task_usage *u = &t.duty->more[k].usage;
		sum.cpu_us += u->cpu_us;
		sum.memory_bytes += u->memory_bytes;
		sum.at_us = u->at_us > sum.at_us ? u->at_us : sum.at_us;
	}
	*ret = sum;
	return true;
}
