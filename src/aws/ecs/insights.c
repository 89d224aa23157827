#include "insights.h"

#include "aws/cloudwatch/cloudwatch.h"
#include "base/clock.h"
#include "container_instance.h"
#include "engine/metrics/metrics.h"
#include "scheduled.h"

#define MIB 1048576.0
enum { RESOLUTION_S = 60, DIMENSIONS_MAX = 4 };
enum level { OFF, ENABLED, ENHANCED };

static enum level level_of(const struct ecs_cluster *c)
{
	for (uint32_t i = 0; i < c->settings.n; i++)
		if (str_is(c->settings.v[i].name, "containerInsights"))
			return str_is(c->settings.v[i].value, "enhanced")  ? ENHANCED
			       : str_is(c->settings.v[i].value, "enabled") ? ENABLED
			                                                   : OFF;
	return OFF;
}

/* Names of dimensions that are there, one letter each: which of them a metric is put by. */
struct place {
	struct cloud *cloud;
	struct str account, region, cluster, service, family, task, container; /* absent: not there */
};

static bool add(struct metric_dimension *by, size_t *n, const char *name, struct str value)
{
	if (str_set(value))
		by[(*n)++] = (struct metric_dimension){str_from(name), value};
	return str_set(value);
}

/* which: letters of the dimensions beside ClusterName: s, f, t, k. Nothing happens where one is not there. */
static void put_by(const struct place *p, const char *which, const char *name, const char *unit, double value)
{
	struct metric_dimension by[DIMENSIONS_MAX];
	size_t n = 0;
	bool there = add(by, &n, "ClusterName", p->cluster);
	for (; *which && there; which++)
		there = *which == 's'   ? add(by, &n, "ServiceName", p->service)
		        : *which == 'f' ? add(by, &n, "TaskDefinitionFamily", p->family)
		        : *which == 't' ? add(by, &n, "TaskId", p->task)
		                        : add(by, &n, "ContainerName", p->container);
	const struct metric m = {p->account, p->region, S("ECS/ContainerInsights"), str_from(name), str_from(unit), by, n};
	if (there)
		cloudwatch_publish(p->cloud, &m, clock_wall_ms(), RESOLUTION_S, &(struct metric_value){value, 1}, 1);
}

static void put_task(const struct place *p, enum level level, const char *name, const char *unit, double value)
{
	static const char *const places[] = {"", "s", "f", "st", "ft"};
	for (unsigned i = 0; i < (level == ENHANCED ? 5 : 3); i++)
		put_by(p, places[i], name, unit, value);
}

static void put_container(const struct place *p, const char *name, const char *unit, double value)
{
	static const char *const places[] = {"", "sk", "fk", "stk", "ftk"};
	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++)
		put_by(p, places[i], name, unit, value);
}

static double percent(double part, double whole)
{
	return whole > 0 ? part * 100 / whole : 0;
}

/* --- tasks */

/* A container that reserves nothing may use what its task has. */
static void put_containers(struct place *p, const struct duty *i, const struct state_ecs_task_record *r, const struct usage_load *l)
{
	for (uint32_t k = 0; k < i->count && k < r->definition->container_definitions.n; k++) {
		const struct ecs_container_definition *d = &r->definition->container_definitions.v[k];
		double cpu = (double)(d->cpu.v ? d->cpu.v : ecs_cpu_units(r->task->cpu)),
		       mib = (double)(d->memory.v ? d->memory.v : ecs_memory_mib(r->task->memory));
		p->container = d->name;
		if (l->containers[k].known) {
			double used = l->containers[k].processors * 1024;
			put_container(p, "ContainerCpuUtilized", "None", used);
			put_container(p, "ContainerCpuReserved", "None", cpu);
			put_container(p, "ContainerCpuUtilization", "Percent", percent(used, cpu));
		}
		if (l->containers[k].memory_known) {
			double used = (double)l->containers[k].memory_bytes / MIB;
			put_container(p, "ContainerMemoryUtilized", "Megabytes", used);
			put_container(p, "ContainerMemoryReserved", "Megabytes", mib);
			put_container(p, "ContainerMemoryUtilization", "Percent", percent(used, mib));
		}
		if (d->health_check && i->containers[k].state == ORDER_RUNNING && i->containers[k].health != ORDER_HEALTH_UNKNOWN)
			put_container(p, "UnHealthyContainerHealthStatus", "Count", i->containers[k].health == ORDER_UNHEALTHY);
	}
}

void insights_task(const struct duty *i, const struct ecs_scope *s, const struct state_ecs_task_record *r,
                   const struct usage_load *l)
{
	struct ecs_cluster cluster = {0};
	struct str key = KEY(s->arena, S("ecs"), S("cluster"), s->account, s->region, i->cluster);
	if (!record_get(s->txn, s->arena, key, &ecs_cluster_row, &cluster) || level_of(&cluster) == OFF)
		return;
	enum level level = level_of(&cluster);
	struct place p = {.cloud = i->crew->cloud,
	                  .account = s->account,
	                  .region = s->region,
	                  .cluster = i->cluster,
	                  .family = r->definition->family,
	                  .task = i->id};
	if (str_starts(r->task->group, S("service:")))
		p.service = str_from_at(r->task->group, sizeof("service:") - 1);
	double cpu = (double)ecs_cpu_units(r->task->cpu), mib = (double)ecs_memory_mib(r->task->memory);
	double used_cpu = l->processors * 1024, used_mib = l->bytes / MIB;
	put_task(&p, level, "CpuReserved", "None", cpu);
	put_task(&p, level, "MemoryReserved", "Megabytes", mib);
	if (l->known)
		put_task(&p, level, "CpuUtilized", "None", used_cpu);
	if (l->memory_known)
		put_task(&p, level, "MemoryUtilized", "Megabytes", used_mib);
	if (r->task->ephemeral_storage)
		put_task(&p, level, "EphemeralStorageReserved", "Gigabytes", (double)r->task->ephemeral_storage->size_in_gib.v);
	if (l->traffic_known) {
		put_task(&p, level, "NetworkRxBytes", "Bytes/Second", l->received);
		put_task(&p, level, "NetworkTxBytes", "Bytes/Second", l->sent);
	}
	if (level != ENHANCED)
		return;
	if (l->known)
		put_task(&p, level, "TaskCpuUtilization", "Percent", percent(used_cpu, cpu));
	if (l->memory_known)
		put_task(&p, level, "TaskMemoryUtilization", "Percent", percent(used_mib, mib));
	put_containers(&p, i, r, l);
}

/* --- clusters */

/* A part of what the instances have registered. */
static void put_part(const struct place *p, const char *name, double part, double of)
{
	const struct metric_dimension by = {S("ClusterName"), p->cluster};
	const struct metric m = {p->account, p->region, S("AWS/ECS"), str_from(name), S("Percent"), &by, 1};
	if (of > 0)
		metrics_add(p->cloud->metrics, &m, percent(part, of));
}

static void put_used(const struct place *p, struct crew *crew, double cpu, double memory)
{
	size_t at = 0;
	struct str key;
	void *value;
	double processors = 0, bytes = 0;
	bool known = false;
	while (map_next(&crew->duties, &at, &key, &value)) {
		const struct duty *i = value;
		if (!i->used.known || !str_eq(i->cluster, p->cluster) || !str_eq(i->account, p->account) ||
		    !str_eq(i->region, p->region))
			continue;
		processors += i->used.processors;
		bytes += i->used.memory_bytes;
		known = true;
	}
	if (!known)
		return;
	put_part(p, "CPUUtilization", processors * 1024, cpu);
	put_part(p, "MemoryUtilization", bytes / MIB, memory);
}

/* Of instances that are active or drain, while some of them have tasks. Returns how many have. */
static unsigned put_instances(const struct place *p, const struct ecs_scope *s, struct crew *crew)
{
	struct ecs_nodes nodes = ecs_nodes(s, crew->roster, p->cluster);
	double cpu = 0, memory = 0, cpu_left = 0, memory_left = 0;
	unsigned busy = 0;
	for (uint32_t k = 0; k < nodes.n; k++) {
		const struct ecs_resources *has = &nodes.records[k].instance->registered_resources;
		if (!str_is(nodes.v[k].status, "ACTIVE") && !str_is(nodes.v[k].status, "DRAINING"))
			continue;
		cpu += (double)ecs_resource_of(has, "CPU");
		memory += (double)ecs_resource_of(has, "MEMORY");
		cpu_left += (double)nodes.v[k].cpu;
		memory_left += (double)nodes.v[k].memory;
		busy += nodes.v[k].running > 0;
	}
	if (busy) {
		put_part(p, "CPUReservation", cpu - cpu_left, cpu);
		put_part(p, "MemoryReservation", memory - memory_left, memory);
		put_used(p, crew, cpu, memory);
	}
	return busy;
}

static int64_t running_tasks(const struct ecs_scope *s, struct str cluster)
{
	struct str under = ecs_tasks_under(s, cluster), key;
	struct store_iter *i = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	int64_t n = 0;
	while (store_next(i, &key, &v)) {
		struct state_ecs_task_record r = {0};
		n += ecs_task_read(s->arena, v.value, &r) && ecs_task_status(r.task) == ECS_RUNNING;
	}
	return n;
}

static int64_t put_services(struct place *p, const struct ecs_scope *s)
{
	struct str under = ecs_services_under(s, p->cluster), key;
	struct store_iter *i = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	struct store_value v;
	int64_t n = 0;
	while (store_next(i, &key, &v)) {
		struct state_ecs_service_record r = {0};
		if (!ecs_service_read(s->arena, v.value, &r) || str_is(r.service->status, "INACTIVE"))
			continue;
		n++;
		p->service = r.name;
		put_by(p, "s", "DesiredTaskCount", "Count", (double)r.service->desired_count.v);
		put_by(p, "s", "RunningTaskCount", "Count", (double)r.service->running_count.v);
		put_by(p, "s", "PendingTaskCount", "Count", (double)r.service->pending_count.v);
		put_by(p, "s", "DeploymentCount", "Count", (double)r.service->deployments.n);
		put_by(p, "s", "TaskSetCount", "Count", (double)r.service->task_sets.n);
	}
	return n;
}

void insights_clusters(struct crew *crew, struct store_txn *t, struct arena *a)
{
	struct str under = KEY_UNDER(a, S("ecs"), S("cluster")), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct ecs_cluster cluster = {0};
		struct str_list parts = record_key_parts(a, key);
		if (parts.n != 5 || !record_read(a, v.value, &ecs_cluster_row, &cluster) || !str_is(cluster.status, "ACTIVE"))
			continue;
		struct ecs_scope s = {.txn = t, .arena = a, .account = parts.v[2], .region = parts.v[3]};
		struct place p = {.cloud = crew->cloud, .account = s.account, .region = s.region, .cluster = parts.v[4]};
		unsigned busy = put_instances(&p, &s, crew);
		if (level_of(&cluster) == OFF)
			continue;
		if (busy)
			put_by(&p, "", "ContainerInstanceCount", "Count", busy);
		put_by(&p, "", "TaskCount", "Count", (double)running_tasks(&s, p.cluster));
		put_by(&p, "", "ServiceCount", "Count", (double)put_services(&p, &s));
	}
}
