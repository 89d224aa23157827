/* How often each operation was called, with what outcome, and for how long. */
#include "core/gate_call.h"

#include "base/clock.h"

#include <stdlib.h>

void gate_count(struct gate_call *g)
{
	if (!g->api || !g->call.op)
		return;
	struct op_counter **per_api = &g->gate->counters[gate_api_position(g->api)];
	if (!*per_api) {
		*per_api = calloc(g->api->operation_count, sizeof(**per_api));
		if (!*per_api)
			return;
	}
	struct op_counter *n = &(*per_api)[api_operation_index(g->api, g->call.op)];
	if (!str_set(g->call.error.code))
		n->ok++;
	else if (g->call.error.receiver)
		n->server_errors++;
	else
		n->client_errors++;
	n->total_us += (uint64_t)(clock_mono_us() - g->started_us);
	if (g->gate->cloud->counted)
		g->gate->cloud->counted(g->gate->cloud->counted_ctx, &g->call);
}

void gate_metrics(const struct gate *g, struct buf *out)
{
	buf_add_lit(out, "# HELP quartet_calls_total Answered calls.\n# TYPE quartet_calls_total counter\n");
	for (unsigned i = 0; i < g->api_count; i++) {
		const struct api *api = model_apis[i];
		for (uint32_t k = 0; g->counters[i] && k < api->operation_count; k++) {
			const struct op_counter *n = &g->counters[i][k];
			const struct {
				const char *name;
				uint64_t v;
			} kinds[] = {{"ok", n->ok}, {"client_error", n->client_errors}, {"server_error", n->server_errors}};
			for (unsigned j = 0; j < 3; j++)
				if (kinds[j].v)
					buf_printf(out, "quartet_calls_total{service=\"%s\",operation=\"%s\",result=\"%s\"} %llu\n",
					           api->id, api_text(api, api->operations[k].name).p, kinds[j].name,
					           (unsigned long long)kinds[j].v);
			if (n->total_us)
				buf_printf(out, "quartet_call_seconds_sum{service=\"%s\",operation=\"%s\"} %.6f\n", api->id,
				           api_text(api, api->operations[k].name).p, (double)n->total_us / 1e6);
		}
	}
	buf_printf(out, "quartet_calls_under_way %zu\n", g->under_way);
}
