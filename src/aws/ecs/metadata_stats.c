/* What containers use, as clients of Docker's API read it: counters as they stood at the last two times that they were looked at.
 */
#include "metadata.h"

#include "base/clock.h"
#include "base/json.h"

#include <unistd.h>

enum { TEXT_MAX = 256 * 1024 };

static void number(struct json_out *o, const char *name, uint64_t n)
{
	json_key(o, str_from(name));
	json_int(o, (int64_t)n);
}

/* Of the machine's processors together, in the same nanoseconds: the share of them that clients work out is the container's. */
static void cpu(struct json_out *o, const char *name, const struct task_usage *u)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t online = processors > 0 ? (uint64_t)processors : 1;
	json_key(o, str_from(name));
	json_open(o, '{');
	json_key(o, S("cpu_usage"));
	json_open(o, '{');
	number(o, "total_usage", u->cpu_us * 1000);
	json_close(o, '}');
	number(o, "system_cpu_usage", (uint64_t)u->at_us * 1000 * online);
	number(o, "online_cpus", online);
	json_close(o, '}');
}

static uint64_t memory_limit(const struct state_ecs_task_record *r, uint32_t index)
{
	int64_t mib = r->definition->container_definitions.v[index].memory.v;
	return (uint64_t)(mib ? mib : ecs_memory_mib(r->task->memory)) << 20;
}

static void put_stats(struct json_out *o, const struct metadata_facts *f, uint32_t index)
{
	const struct duty_container *k = &f->duty->more[index];
	int64_t now_us = clock_wall_ms() * 1000, mono_us = clock_mono_us();
	if (!k->usage.at_us) {
		json_null(o);
		return;
	}
	json_open(o, '{');
	json_key(o, S("read"));
	json_string(o, time_format(f->arena, (now_us - (mono_us - k->usage.at_us)) / 1000, TIME_ISO8601_MS));
	if (k->usage_before.at_us) {
		json_key(o, S("preread"));
		json_string(o, time_format(f->arena, (now_us - (mono_us - k->usage_before.at_us)) / 1000, TIME_ISO8601_MS));
		cpu(o, "precpu_stats", &k->usage_before);
	}
	cpu(o, "cpu_stats", &k->usage);
	json_key(o, S("memory_stats"));
	json_open(o, '{');
	number(o, "usage", k->usage.memory_bytes);
	number(o, "max_usage", k->usage.memory_peak_bytes);
	number(o, "limit", memory_limit(f->record, index));
	json_close(o, '}');
	json_key(o, S("name"));
	json_string(o, f->record->definition->container_definitions.v[index].name);
	json_key(o, S("id"));
	json_string(o, duty_runtime_id(f->arena, f->duty, index));
	json_close(o, '}');
}

static struct str text(const struct metadata_facts *f, struct buf *b)
{
	return b->overflow ? STR_NONE : arena_dup(f->arena, buf_str(b));
}

struct str metadata_stats(const struct metadata_facts *f, uint32_t index)
{
	struct buf CLEAN_BUF b = {0};
	buf_init(&b, TEXT_MAX);
	struct json_out o = json_out(&b);
	put_stats(&o, f, index);
	return text(f, &b);
}

struct str metadata_all_stats(const struct metadata_facts *f)
{
	struct buf CLEAN_BUF b = {0};
	buf_init(&b, TEXT_MAX);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	for (uint32_t k = 0; k < f->record->definition->container_definitions.n && k < TASK_CONTAINERS_MAX; k++) {
		json_key(&o, duty_runtime_id(f->arena, f->duty, k));
		put_stats(&o, f, k);
	}
	json_close(&o, '}');
	return text(f, &b);
}
