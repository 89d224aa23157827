#include "metadata.h"

#include "aws/ec2/ec2.h"
#include "base/clock.h"
#include "base/json.h"

enum { TEXT_MAX = 1 << 20 };

static void field(struct json_out *o, const char *name, struct str value)
{
	if (!str_set(value))
		return;
	json_key(o, str_from(name));
	json_string(o, value);
}

static void when(struct json_out *o, struct arena *a, const char *name, struct opt_time t)
{
	if (t.set)
		field(o, name, time_format(a, t.ms, TIME_ISO8601_MS));
}

static struct str of_attachment(const struct ecs_task *t, const char *name)
{
	for (uint32_t i = 0; t->attachments.n && i < t->attachments.v[0].details.n; i++)
		if (str_is(t->attachments.v[0].details.v[i].name, name))
			return t->attachments.v[0].details.v[i].value;
	return STR_NONE;
}

static struct str dotted(struct arena *a, uint32_t ip)
{
	return arena_printf(a, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

static void network_of(struct json_out *o, struct arena *a, const struct ec2_lent *n)
{
	uint32_t mask = n->prefix ? ~UINT32_C(0) << (32 - n->prefix) : 0;
	struct str name = n->private_name;
	field(o, "IPv4SubnetCIDRBlock", arena_printf(a, "%s/%u", dotted(a, n->ip & mask).p, (unsigned)n->prefix));
	if (str_set(n->block6))
		field(o, "IPv6SubnetCIDRBlock", n->block6);
	json_key(o, S("DomainNameServers"));
	json_open(o, '[');
	json_string(o, dotted(a, n->resolver));
	json_close(o, ']');
	if (str_set(name) && str_find_char(name, '.') > 0) {
		json_key(o, S("DomainNameSearchList"));
		json_open(o, '[');
		json_string(o, str_from_at(name, (size_t)str_find_char(name, '.') + 1));
		json_close(o, ']');
	}
	field(o, "SubnetGatewayIpv4Address", arena_printf(a, "%s/%u", dotted(a, n->gateway).p, (unsigned)n->prefix));
}

static void networks(struct json_out *o, struct arena *a, const struct ecs_task *t, const struct ec2_lent *lent)
{
	json_key(o, S("Networks"));
	json_open(o, '[');
	json_open(o, '{');
	field(o, "NetworkMode", S("awsvpc"));
	json_key(o, S("IPv4Addresses"));
	json_open(o, '[');
	json_string(o, of_attachment(t, "privateIPv4Address"));
	json_close(o, ']');
	if (str_set(of_attachment(t, "ipv6Address"))) {
		json_key(o, S("IPv6Addresses"));
		json_open(o, '[');
		json_string(o, of_attachment(t, "ipv6Address"));
		json_close(o, ']');
	}
	json_key(o, S("AttachmentIndex"));
	json_int(o, 0);
	field(o, "MACAddress", of_attachment(t, "macAddress"));
	if (lent)
		network_of(o, a, lent);
	field(o, "PrivateDNSName", of_attachment(t, "privateDnsName"));
	json_close(o, '}');
	json_close(o, ']');
}

static void labels(struct json_out *o, const struct state_ecs_task_record *r, const struct ecs_container_definition *k,
                   struct arena *a)
{
	json_key(o, S("Labels"));
	json_open(o, '{');
	field(o, "com.amazonaws.ecs.cluster", r->task->cluster_arn);
	field(o, "com.amazonaws.ecs.container-name", k->name);
	field(o, "com.amazonaws.ecs.task-arn", r->task->task_arn);
	field(o, "com.amazonaws.ecs.task-definition-family", r->definition->family);
	field(o, "com.amazonaws.ecs.task-definition-version", arena_printf(a, "%lld", (long long)r->definition->revision.v));
	for (uint32_t i = 0; i < k->docker_labels.n; i++) {
		json_key(o, k->docker_labels.v[i].key);
		json_string(o, k->docker_labels.v[i].value);
	}
	json_close(o, '}');
}

static void log_options(struct json_out *o, const struct state_ecs_task_record *r, const struct ecs_container_definition *k,
                        struct arena *a)
{
	const struct ecs_log_configuration *l = k->log_configuration;
	if (!l)
		return;
	field(o, "LogDriver", l->log_driver);
	json_key(o, S("LogOptions"));
	json_open(o, '{');
	field(o, "awslogs-group", str_map_get(&l->options, S("awslogs-group")));
	field(o, "awslogs-region", str_map_get(&l->options, S("awslogs-region")));
	field(o, "awslogs-stream",
	      ARENA_CAT(a, str_map_get(&l->options, S("awslogs-stream-prefix")), S("/"), k->name, S("/"), r->id));
	json_close(o, '}');
}

static void ports(struct json_out *o, const struct ecs_container_definition *k)
{
	if (!k->port_mappings.n)
		return;
	json_key(o, S("Ports"));
	json_open(o, '[');
	for (uint32_t i = 0; i < k->port_mappings.n; i++) {
		json_open(o, '{');
		json_key(o, S("ContainerPort"));
		json_int(o, k->port_mappings.v[i].container_port.v);
		field(o, "Protocol", k->port_mappings.v[i].protocol);
		json_close(o, '}');
	}
	json_close(o, ']');
}

static void health(struct json_out *o, const struct order_container *c, const struct ecs_container_definition *k)
{
	if (!k->health_check)
		return;
	json_key(o, S("Health"));
	json_open(o, '{');
	field(o, "status",
	      c->health == ORDER_HEALTHY     ? S("HEALTHY")
	      : c->health == ORDER_UNHEALTHY ? S("UNHEALTHY")
	                                     : S("UNKNOWN"));
	json_close(o, '}');
}

static void put_container(struct json_out *o, const struct metadata_facts *f, uint32_t index)
{
	struct arena *a = f->arena;
	const struct duty *i = f->duty;
	const struct state_ecs_task_record *r = f->record;
	const struct ecs_container_definition *k = &r->definition->container_definitions.v[index];
	const struct order_container *c = &i->containers[index];
	const char *status = c->state == ORDER_RUNNING ? "RUNNING" : c->state == ORDER_ENDED ? "STOPPED" : "PENDING";
	json_open(o, '{');
	field(o, "DockerId", duty_runtime_id(a, i, index));
	field(o, "Name", k->name);
	field(o, "DockerName", k->name);
	field(o, "Image", k->image);
	field(o, "ImageID", r->task->containers.v[index].image_digest);
	ports(o, k);
	labels(o, r, k, a);
	field(o, "DesiredStatus", r->task->desired_status);
	field(o, "KnownStatus", str_from(status));
	if (c->state == ORDER_ENDED && c->started) {
		json_key(o, S("ExitCode"));
		json_int(o, c->exit_code);
	}
	json_key(o, S("Limits"));
	json_open(o, '{');
	json_key(o, S("CPU"));
	json_int(o, k->cpu.v ? k->cpu.v : 2);
	if (k->memory.set) {
		json_key(o, S("Memory"));
		json_int(o, k->memory.v);
	}
	json_close(o, '}');
	when(o, a, "CreatedAt", r->task->created_at);
	when(o, a, "StartedAt", c->started ? OPT_TIME(c->started_ms) : (struct opt_time){0});
	when(o, a, "FinishedAt", c->state == ORDER_ENDED ? OPT_TIME(c->ended_ms) : (struct opt_time){0});
	field(o, "Type", S("NORMAL"));
	health(o, c, k);
	log_options(o, r, k, a);
	field(o, "ContainerARN", r->task->containers.v[index].container_arn);
	field(o, "Snapshotter", S("overlayfs"));
	networks(o, a, r->task, f->lent);
	json_close(o, '}');
}

static struct str text(struct arena *a, struct buf *b)
{
	return b->overflow ? STR_NONE : arena_dup(a, buf_str(b));
}

struct str metadata_container(const struct metadata_facts *f, uint32_t index)
{
	struct buf CLEAN_BUF b = {0};
	buf_init(&b, TEXT_MAX);
	struct json_out o = json_out(&b);
	put_container(&o, f, index);
	return text(f->arena, &b);
}

/* In MiB, as Fargate counts its storage. What is used of it nobody asks the kernel for. */
static void storage(struct json_out *o, const struct ecs_task *t)
{
	if (!t->ephemeral_storage)
		return;
	json_key(o, S("EphemeralStorageMetrics"));
	json_open(o, '{');
	json_key(o, S("Reserved"));
	json_int(o, t->ephemeral_storage->size_in_gib.v * 1024);
	json_close(o, '}');
}

struct str metadata_task(const struct metadata_facts *f, bool tags)
{
	struct arena *a = f->arena;
	const struct state_ecs_task_record *r = f->record;
	struct buf CLEAN_BUF b = {0};
	buf_init(&b, TEXT_MAX);
	struct json_out o = json_out(&b);
	const struct ecs_task *t = r->task;
	json_open(&o, '{');
	field(&o, "Cluster", t->cluster_arn);
	field(&o, "TaskARN", t->task_arn);
	field(&o, "Family", r->definition->family);
	field(&o, "Revision", arena_printf(a, "%lld", (long long)r->definition->revision.v));
	if (str_starts(t->group, S("service:")))
		field(&o, "ServiceName", str_from_at(t->group, sizeof("service:") - 1));
	field(&o, "DesiredStatus", t->desired_status);
	field(&o, "KnownStatus", t->last_status);
	json_key(&o, S("Limits"));
	json_open(&o, '{');
	json_key(&o, S("CPU"));
	json_double(&o, (double)ecs_cpu_units(t->cpu) / 1024);
	json_key(&o, S("Memory"));
	json_int(&o, ecs_memory_mib(t->memory));
	json_close(&o, '}');
	when(&o, a, "PullStartedAt", t->pull_started_at);
	when(&o, a, "PullStoppedAt", t->pull_stopped_at);
	field(&o, "AvailabilityZone", t->availability_zone);
	field(&o, "LaunchType", t->launch_type);
	if (f->lent)
		field(&o, "VPCID", f->lent->vpc);
	storage(&o, t);
	json_key(&o, S("Containers"));
	json_open(&o, '[');
	for (uint32_t k = 0; k < r->definition->container_definitions.n && k < t->containers.n; k++)
		put_container(&o, f, k);
	json_close(&o, ']');
	if (tags && t->tags.n) {
		json_key(&o, S("TaskTags"));
		json_open(&o, '{');
		for (uint32_t k = 0; k < t->tags.n; k++) {
			json_key(&o, t->tags.v[k].key);
			json_string(&o, t->tags.v[k].value);
		}
		json_close(&o, '}');
	}
	json_close(&o, '}');
	return text(a, &b);
}
