/* What `quartet top` asks: descriptions from the services, loads from CloudWatch in one question for all rows, calls from /metrics.
 */
#include "role/cli_top.h"

#include "base/clock.h"
#include "gen/autoscaling.h"
#include "gen/cloudwatch.h"
#include "gen/ec2.h"
#include "gen/ecs.h"
#include "gen/lambda.h"

#include <stdlib.h>

enum { QUERIES_MAX = 500, ROWS_MAX = 1000, TASKS_A_CALL = 100, BACK_MS = 11 * 60 * 1000, MINUTE_S = 60, FIVE_S = 300 };

/* A cell that CloudWatch knows: filled when all have been asked for. */
struct wanted {
	struct top_table *table;
	uint32_t row;
	unsigned column;
	bool load;
	const char *format;
};

struct reading {
	struct cli *cli;
	const struct cli_cloud *cloud;
	struct top_look *look;
	int64_t now_ms;
	struct cloudwatch_metric_data_queries queries;
	struct wanted wanted[QUERIES_MAX];
};

static int ask(struct reading *r, const struct api *api, const char *operation, const void *in, void *out)
{
	r->look->own++;
	return cli_call(r->cli, r->cloud, api, operation, in, out, NULL);
}

static struct top_row *add_row(struct reading *r, unsigned table)
{
	struct top_row *row = LIST_ADD(&r->cli->arena, &r->look->tables[table].rows);
	for (unsigned i = 0; i < TOP_COLUMNS; i++)
		row->cells[i] = S("-");
	return row;
}

static struct str after(struct str text, char mark)
{
	ptrdiff_t at = str_rfind_char(text, mark);
	return at < 0 ? text : str_from_at(text, (size_t)at + 1);
}

static struct str or_dash(struct str text)
{
	return text.n ? text : S("-");
}

/* "12s", "5m", "3h", "9d" */
static struct str age(struct reading *r, struct opt_time since)
{
	int64_t s = (r->now_ms - since.ms) / 1000;
	if (!since.set)
		return S("-");
	if (s < 120)
		return arena_printf(&r->cli->arena, "%llds", (long long)(s < 0 ? 0 : s));
	if (s < 7200)
		return arena_printf(&r->cli->arena, "%lldm", (long long)(s / 60));
	return s < 172800 ? arena_printf(&r->cli->arena, "%lldh", (long long)(s / 3600))
	                  : arena_printf(&r->cli->arena, "%lldd", (long long)(s / 86400));
}

static struct str mib(struct reading *r, int64_t n)
{
	return n % 1024 == 0 && n ? arena_printf(&r->cli->arena, "%lldG", (long long)(n / 1024))
	                          : arena_printf(&r->cli->arena, "%lldM", (long long)n);
}

struct metric_of {
	const char *space, *name, *stat, *format;
	unsigned period_s;
	struct cloudwatch_dimension dimensions[2];
	unsigned dimension_count;
};

/* The newest row of a table wants this number in a column. */
static void want(struct reading *r, unsigned table, unsigned column, bool load, const struct metric_of *m)
{
	struct arena *a = &r->cli->arena;
	struct top_table *t = &r->look->tables[table];
	if (r->queries.n == QUERIES_MAX)
		return;
	uint32_t at = r->queries.n;
	struct cloudwatch_metric *metric = arena_new(a, struct cloudwatch_metric);
	*metric = (struct cloudwatch_metric){.namespace = str_from(m->space), .metric_name = str_from(m->name)};
	for (unsigned i = 0; i < m->dimension_count; i++)
		*LIST_ADD(a, &metric->dimensions) = m->dimensions[i];
	struct cloudwatch_metric_stat *stat = arena_new(a, struct cloudwatch_metric_stat);
	*stat = (struct cloudwatch_metric_stat){.metric = metric, .period = OPT_INT(m->period_s), .stat = str_from(m->stat)};
	*LIST_ADD(a, &r->queries) = (struct cloudwatch_metric_data_query){.id = arena_printf(a, "m%u", at), .metric_stat = stat};
	r->wanted[at] = (struct wanted){t, t->rows.n - 1, column, load, m->format};
}

/* The format is one of this file's own. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static int read_numbers(struct reading *r)
{
	struct str token = STR_NONE;
	do {
		const struct cloudwatch_get_metric_data_input in = {.metric_data_queries = r->queries,
		                                                    .start_time = OPT_TIME(r->now_ms - BACK_MS),
		                                                    .end_time = OPT_TIME(r->now_ms + 1000),
		                                                    .scan_by = S("TimestampDescending"),
		                                                    .next_token = token};
		struct cloudwatch_get_metric_data_output out = {0};
		int status = r->queries.n ? ask(r, &cloudwatch_api, "GetMetricData", &in, &out) : CLI_OK;
		if (status != CLI_OK)
			return status;
		for (uint32_t i = 0; i < out.metric_data_results.n; i++) {
			const struct cloudwatch_metric_data_result *d = &out.metric_data_results.v[i];
			uint64_t at;
			if (!d->values.n || !str_to_u64(str_from_at(d->id, 1), &at) || at >= r->queries.n)
				continue;
			const struct wanted *w = &r->wanted[at];
			struct top_row *row = &w->table->rows.v[w->row];
			row->cells[w->column] = arena_printf(&r->cli->arena, w->format, d->values.v[0].v);
			if (w->load)
				row->load = d->values.v[0].v;
		}
		token = out.next_token;
	} while (str_set(token));
	return CLI_OK;
}

/* --- instances */

static int read_types(struct reading *r, const struct str_list *types, struct ec2_describe_instance_types_result *ret)
{
	const struct ec2_describe_instance_types_request in = {.instance_types = *types};
	return types->n ? ask(r, &ec2_api, "DescribeInstanceTypes", &in, ret) : CLI_OK;
}

static struct str name_of(const struct ec2_instance *i)
{
	for (uint32_t k = 0; k < i->tags.n; k++)
		if (str_is(i->tags.v[k].key, "Name"))
			return i->tags.v[k].value;
	return S("-");
}

static void add_instance(struct reading *r, const struct ec2_instance *i, const struct ec2_describe_instance_types_result *types)
{
	struct top_row *row = add_row(r, TOP_INSTANCES);
	bool running = str_is(i->state->name, "running");
	row->cells[0] = i->instance_id;
	row->cells[1] = or_dash(name_of(i));
	row->cells[2] = i->instance_type;
	row->cells[3] = i->state->name;
	row->cells[4] = i->placement ? i->placement->availability_zone : S("-");
	row->cells[7] = or_dash(str_set(i->public_ip_address) ? i->public_ip_address : i->private_ip_address);
	row->cells[8] = running ? age(r, i->launch_time) : S("-");
	row->load = running ? -1 : -2;
	for (uint32_t k = 0; k < types->instance_types.n; k++) {
		const struct ec2_instance_type_info *t = &types->instance_types.v[k];
		if (str_eq(t->instance_type, i->instance_type) && t->memory_info)
			row->cells[6] = mib(r, t->memory_info->size_in_mib.v);
	}
	if (!running)
		return;
	bool detailed = i->monitoring && str_is(i->monitoring->state, "enabled");
	const struct metric_of cpu = {.space = "AWS/EC2",
	                              .name = "CPUUtilization",
	                              .stat = "Average",
	                              .format = "%.1f",
	                              .period_s = detailed ? MINUTE_S : FIVE_S,
	                              .dimensions = {{S("InstanceId"), i->instance_id}},
	                              .dimension_count = 1};
	want(r, TOP_INSTANCES, 5, true, &cpu);
}

static int read_instances(struct reading *r)
{
	const struct ec2_describe_instances_request in = {0};
	struct ec2_describe_instances_result out = {0};
	struct ec2_describe_instance_types_result types = {0};
	struct str_list names = {.set = true};
	int status = ask(r, &ec2_api, "DescribeInstances", &in, &out);
	if (status != CLI_OK)
		return status;
	for (uint32_t i = 0; i < out.reservations.n; i++)
		for (uint32_t k = 0; k < out.reservations.v[i].instances.n; k++) {
			struct str type = out.reservations.v[i].instances.v[k].instance_type;
			bool known = names.n == TASKS_A_CALL;
			for (uint32_t n = 0; n < names.n; n++)
				known |= str_eq(names.v[n], type);
			if (!known)
				*LIST_ADD(&r->cli->arena, &names) = type;
		}
	status = read_types(r, &names, &types);
	for (uint32_t i = 0; status == CLI_OK && i < out.reservations.n; i++)
		for (uint32_t k = 0; k < out.reservations.v[i].instances.n; k++)
			if (r->look->tables[TOP_INSTANCES].rows.n < ROWS_MAX)
				add_instance(r, &out.reservations.v[i].instances.v[k], &types);
	return status;
}

/* --- tasks */

/* A service's loads are CloudWatch's: of what its tasks have reserved. */
static void want_service(struct reading *r, struct str cluster, struct str group)
{
	if (!str_starts(group, S("service:")))
		return;
	struct metric_of m = {
	        .space = "AWS/ECS",
	        .name = "CPUUtilization",
	        .stat = "Average",
	        .format = "%.1f",
	        .period_s = MINUTE_S,
	        .dimensions = {{S("ClusterName"), cluster}, {S("ServiceName"), str_from_at(group, sizeof("service:") - 1)}},
	        .dimension_count = 2};
	want(r, TOP_TASKS, 4, true, &m);
	m.name = "MemoryUtilization";
	want(r, TOP_TASKS, 6, false, &m);
}

static void add_task(struct reading *r, struct str cluster, const struct ecs_task *t)
{
	struct top_row *row = add_row(r, TOP_TASKS);
	int64_t memory;
	row->cells[0] = after(t->task_arn, '/');
	row->cells[1] = cluster;
	row->cells[2] = or_dash(t->group);
	row->cells[3] = t->last_status;
	row->cells[5] = or_dash(t->cpu);
	row->cells[7] = str_to_i64(t->memory, &memory) ? mib(r, memory) : S("-");
	row->cells[8] = age(r, t->started_at);
	row->load = -1;
	want_service(r, cluster, t->group);
}

static int read_cluster(struct reading *r, struct str arn)
{
	struct str token = STR_NONE;
	do {
		const struct ecs_list_tasks_request in = {
		        .cluster = arn, .max_results = OPT_INT(TASKS_A_CALL), .next_token = token};
		struct ecs_list_tasks_response out = {0};
		struct ecs_describe_tasks_response tasks = {0};
		int status = ask(r, &ecs_api, "ListTasks", &in, &out);
		if (status == CLI_OK && out.task_arns.n) {
			const struct ecs_describe_tasks_request which = {.cluster = arn, .tasks = out.task_arns};
			status = ask(r, &ecs_api, "DescribeTasks", &which, &tasks);
		}
		if (status != CLI_OK)
			return status;
		for (uint32_t i = 0; i < tasks.tasks.n; i++)
			add_task(r, after(arn, '/'), &tasks.tasks.v[i]);
		token = out.next_token;
	} while (str_set(token) && r->look->tables[TOP_TASKS].rows.n < ROWS_MAX);
	return CLI_OK;
}

static int read_tasks(struct reading *r)
{
	struct str token = STR_NONE;
	do {
		const struct ecs_list_clusters_request in = {.next_token = token};
		struct ecs_list_clusters_response out = {0};
		int status = ask(r, &ecs_api, "ListClusters", &in, &out);
		for (uint32_t i = 0; status == CLI_OK && i < out.cluster_arns.n; i++)
			status = read_cluster(r, out.cluster_arns.v[i]);
		if (status != CLI_OK)
			return status;
		token = out.next_token;
	} while (str_set(token));
	return CLI_OK;
}

/* --- functions */

static void add_function(struct reading *r, const struct lambda_function_configuration *f)
{
	static const struct {
		unsigned column;
		const char *name, *stat, *format;
	} numbers[] = {{4, "Invocations", "Sum", "%.0f"},
	               {5, "Errors", "Sum", "%.0f"},
	               {6, "Throttles", "Sum", "%.0f"},
	               {7, "Duration", "Average", "%.1f"},
	               {8, "ConcurrentExecutions", "Maximum", "%.0f"}};
	struct top_row *row = add_row(r, TOP_FUNCTIONS);
	row->cells[0] = f->function_name;
	row->cells[1] = str_set(f->runtime) ? f->runtime : S("image");
	row->cells[2] = arena_printf(&r->cli->arena, "%llds", (long long)f->timeout.v);
	row->cells[3] = mib(r, f->memory_size.v);
	row->load = -1;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const struct metric_of m = {.space = "AWS/Lambda",
		                            .name = numbers[i].name,
		                            .stat = numbers[i].stat,
		                            .format = numbers[i].format,
		                            .period_s = MINUTE_S,
		                            .dimensions = {{S("FunctionName"), f->function_name}},
		                            .dimension_count = 1};
		want(r, TOP_FUNCTIONS, numbers[i].column, i == 0, &m);
	}
}

static int read_functions(struct reading *r)
{
	struct str marker = STR_NONE;
	do {
		const struct lambda_list_functions_request in = {.marker = marker};
		struct lambda_list_functions_response out = {0};
		int status = ask(r, &lambda_api, "ListFunctions", &in, &out);
		if (status != CLI_OK)
			return status;
		for (uint32_t i = 0; i < out.functions.n; i++)
			add_function(r, &out.functions.v[i]);
		marker = out.next_marker;
	} while (str_set(marker) && r->look->tables[TOP_FUNCTIONS].rows.n < ROWS_MAX);
	return CLI_OK;
}

/* --- groups and alarms */

static struct str number(struct reading *r, int64_t n)
{
	return arena_printf(&r->cli->arena, "%lld", (long long)n);
}

static void add_group(struct reading *r, const struct autoscaling_auto_scaling_group *g)
{
	struct top_row *row = add_row(r, TOP_GROUPS);
	int64_t serving = 0;
	for (uint32_t i = 0; i < g->instances.n; i++)
		serving += str_is(g->instances.v[i].lifecycle_state, "InService");
	row->cells[0] = g->auto_scaling_group_name;
	row->cells[1] = number(r, g->min_size.v);
	row->cells[2] = number(r, g->desired_capacity.v);
	row->cells[3] = number(r, g->max_size.v);
	row->cells[4] = number(r, g->instances.n);
	row->cells[5] = number(r, serving);
	row->cells[7] = g->suspended_processes.n ? S("suspended") : or_dash(g->status);
	row->cells[8] = age(r, g->created_time);
	row->load = -1;
	const struct metric_of cpu = {.space = "AWS/EC2",
	                              .name = "CPUUtilization",
	                              .stat = "Average",
	                              .format = "%.1f",
	                              .period_s = MINUTE_S,
	                              .dimensions = {{S("AutoScalingGroupName"), g->auto_scaling_group_name}},
	                              .dimension_count = 1};
	want(r, TOP_GROUPS, 6, true, &cpu);
}

static int read_groups(struct reading *r)
{
	struct str token = STR_NONE;
	do {
		const struct autoscaling_auto_scaling_group_names_type in = {.next_token = token};
		struct autoscaling_auto_scaling_groups_type out = {0};
		int status = ask(r, &autoscaling_api, "DescribeAutoScalingGroups", &in, &out);
		if (status != CLI_OK)
			return status;
		for (uint32_t i = 0; i < out.auto_scaling_groups.n; i++)
			add_group(r, &out.auto_scaling_groups.v[i]);
		token = out.next_token;
	} while (str_set(token) && r->look->tables[TOP_GROUPS].rows.n < ROWS_MAX);
	return CLI_OK;
}

static void add_alarm(struct reading *r, struct str name, struct str state, struct str about, struct opt_time since)
{
	struct top_row *row = add_row(r, TOP_ALARMS);
	row->cells[0] = name;
	row->cells[1] = state;
	row->cells[2] = about;
	row->cells[3] = age(r, since);
	row->load = str_is(state, "ALARM") ? 2 : str_is(state, "INSUFFICIENT_DATA") ? 1 : 0;
}

static int read_alarms(struct reading *r)
{
	struct str token = STR_NONE, kinds[] = {S("MetricAlarm"), S("CompositeAlarm")};
	do {
		const struct cloudwatch_describe_alarms_input in = {.next_token = token,
		                                                    .alarm_types = {.v = kinds, .n = 2, .set = true}};
		struct cloudwatch_describe_alarms_output out = {0};
		int status = ask(r, &cloudwatch_api, "DescribeAlarms", &in, &out);
		if (status != CLI_OK)
			return status;
		for (uint32_t i = 0; i < out.metric_alarms.n; i++) {
			const struct cloudwatch_metric_alarm *m = &out.metric_alarms.v[i];
			struct str about = m->metric_name.n ? ARENA_CAT(&r->cli->arena, m->namespace, S(" "), m->metric_name)
			                                    : S("an expression");
			add_alarm(r, m->alarm_name, m->state_value, about, m->state_transitioned_timestamp);
		}
		for (uint32_t i = 0; i < out.composite_alarms.n; i++) {
			const struct cloudwatch_composite_alarm *m = &out.composite_alarms.v[i];
			add_alarm(r, m->alarm_name, m->state_value, m->alarm_rule, m->state_transitioned_timestamp);
		}
		token = out.next_token;
	} while (str_set(token) && r->look->tables[TOP_ALARMS].rows.n < ROWS_MAX);
	return CLI_OK;
}

/* --- all */

int top_read_calls(struct cli *round, const struct cli_cloud *cloud, struct top_calls *ret)
{
	struct str text;
	int status = cli_admin(round, cloud, "GET", "/metrics", false, &text);
	struct top_calls c = {.at_us = clock_mono_us()};
	while (status == CLI_OK && str_set(text)) {
		struct str line = str_cut(&text, '\n');
		uint64_t n;
		if (!str_starts(line, S("quartet_calls_total{")) || !str_to_u64(after(line, ' '), &n))
			continue;
		c.total += n;
		c.errors += str_find(line, S("result=\"ok\"")) < 0 ? n : 0;
	}
	if (status == CLI_OK)
		*ret = c;
	return status;
}

static int by_load(const void *x, const void *y)
{
	const struct top_row *a = x, *b = y;
	return a->load != b->load ? (a->load > b->load ? -1 : 1) : str_cmp(a->cells[0], b->cells[0]);
}

static const struct top_table empty[TOP_TABLES] = {
        [TOP_INSTANCES] = {"INSTANCES",
                           {"instance", "name", "type", "state", "zone", "cpu%", "memory", "address", "up"},
                           {[5] = true, [6] = true, [8] = true},
                           {0}},
        [TOP_TASKS] = {"TASKS",
                       {"task", "cluster", "group", "status", "cpu%", "cpu", "mem%", "memory", "up"},
                       {[4] = true, [5] = true, [6] = true, [7] = true, [8] = true},
                       {0}},
        [TOP_FUNCTIONS] = {"FUNCTIONS",
                           {"function", "runtime", "timeout", "memory", "calls/min", "errors", "throttled", "ms", "at once"},
                           {[2] = true, [3] = true, [4] = true, [5] = true, [6] = true, [7] = true, [8] = true},
                           {0}},
        [TOP_GROUPS] = {"GROUPS",
                        {"group", "min", "desired", "max", "has", "in service", "cpu%", "status", "age"},
                        {[1] = true, [2] = true, [3] = true, [4] = true, [5] = true, [6] = true, [8] = true},
                        {0}},
        [TOP_ALARMS] = {"ALARMS", {"alarm", "state", "about", "since"}, {[3] = true}, {0}},
};

int top_read(struct cli *round, const struct cli_cloud *cloud, struct top_look *look)
{
	int (*const readers[])(struct reading *) = {read_instances, read_tasks,  read_functions,
	                                            read_groups,    read_alarms, read_numbers};
	int status = cli_take_clock(round, cloud);
	if (status != CLI_OK)
		return status;
	struct reading *r = arena_new(&round->arena, struct reading);
	*r = (struct reading){.cli = round, .cloud = cloud, .look = look, .now_ms = clock_wall_ms()};
	memcpy(look->tables, empty, sizeof(empty));
	for (size_t i = 0; status == CLI_OK && i < sizeof(readers) / sizeof(readers[0]); i++)
		status = readers[i](r);
	for (unsigned i = 0; status == CLI_OK && i < TOP_TABLES; i++)
		if (look->tables[i].rows.n)
			qsort(look->tables[i].rows.v, look->tables[i].rows.n, sizeof(struct top_row), by_load);
	return status == CLI_OK ? top_read_calls(round, cloud, &look->calls) : status;
}
