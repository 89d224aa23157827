#include "connect.h"
#include "deployment.h"

#include "base/id.h"
#include "base/rand.h"

enum { EVENTS_MAX = 100, LISTED_MAX = 100, LIST_STANDARD = 10 };

static const struct record_type service_row = {&state_ecs_api, "ServiceRecord"};

static struct str service_key(const struct ecs_scope *s, struct str cluster, struct str name)
{
	return KEY(s->arena, S("ecs"), S("service"), s->account, s->region, cluster, name);
}

struct str ecs_services_under(const struct ecs_scope *s, struct str cluster)
{
	return KEY_UNDER(s->arena, S("ecs"), S("service"), s->account, s->region, cluster);
}

bool ecs_service_find(const struct ecs_scope *s, struct str cluster, struct str name, struct state_ecs_service_record *ret)
{
	return ecs_name_good(name) && record_get(s->txn, s->arena, service_key(s, cluster, name), &service_row, ret);
}

bool ecs_service_read(struct arena *a, struct str value, struct state_ecs_service_record *ret)
{
	return record_read(a, value, &service_row, ret);
}

void ecs_service_put(const struct ecs_scope *s, const struct state_ecs_service_record *r)
{
	ecs_tell_service(s, r);
	record_put(s->txn, s->arena, service_key(s, r->cluster, r->name), &service_row, r);
}

struct str ecs_service_name(struct call *c, struct str cluster, struct str text)
{
	struct str rest = ecs_of_arn(c, "service", text);
	if (str_starts(text, S("arn:")) && str_set(rest) && str_find_char(rest, '/') >= 0 && !str_eq(str_cut(&rest, '/'), cluster))
		return STR_NONE;
	return ecs_name_good(rest) ? rest : STR_NONE;
}

int64_t ecs_service_count(struct call *c, struct str cluster)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_walk w;
	int64_t n = 0;
	if (ecs_walk_begin(c, &w, ecs_services_under(&s, cluster), STR_NONE, false) != CALL_OK)
		return 0;
	while (ecs_walk_next(&w)) {
		struct state_ecs_service_record r = {0};
		n += ecs_service_read(c->arena, w.value, &r) && !str_is(r.service->status, "INACTIVE");
	}
	return n;
}

/* The newest is shown first, and so many are kept. */
void ecs_service_event(struct arena *a, struct state_ecs_service_record *r, int64_t now_ms, const char *fmt, ...)
{
	struct ecs_service_events all = {0};
	struct ecs_service_event *e = LIST_ADD(a, &all);
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vprintf(a, fmt, ap);
	va_end(ap);
	*e = (struct ecs_service_event){.id = id_uuid(a),
	                                .created_at = OPT_TIME(now_ms),
	                                .message = arena_printf(a, "(service %.*s) %.*s", STR_ARG(r->name), STR_ARG(text))};
	for (uint32_t i = 0; i < r->service->events.n && all.n < EVENTS_MAX; i++)
		*LIST_ADD(a, &all) = r->service->events.v[i];
	r->service->events = all;
}

struct ecs_deployment *ecs_service_deploy(const struct ecs_scope *s, struct state_ecs_service_record *r,
                                          const struct state_ecs_run *again, int64_t now_ms)
{
	struct arena *a = s->arena;
	struct ecs_service *v = r->service;
	struct ecs_deployments all = {0};
	struct str id = arena_printf(
	        a, "ecs-svc/%llu", (unsigned long long)(UINT64_C(1000000000000000000) + rand_below(UINT64_C(8999999999999999999))));
	*LIST_ADD(a, &all) = (struct ecs_deployment){
	        .id = id,
	        .status = S("PRIMARY"),
	        .task_definition = v->task_definition,
	        .desired_count = v->desired_count,
	        .pending_count = OPT_INT(0),
	        .running_count = OPT_INT(0),
	        .failed_tasks = OPT_INT(0),
	        .created_at = OPT_TIME(now_ms),
	        .updated_at = OPT_TIME(now_ms),
	        .capacity_provider_strategy = v->capacity_provider_strategy,
	        .launch_type = v->launch_type,
	        .platform_version = v->platform_version,
	        .platform_family = v->platform_family,
	        .network_configuration = v->network_configuration,
	        .rollout_state = S("IN_PROGRESS"),
	        .rollout_state_reason = arena_printf(a, "ECS deployment %.*s in progress.", STR_ARG(id)),
	};
	for (uint32_t i = 0; i < v->deployments.n; i++) {
		struct ecs_deployment *old = LIST_ADD(a, &all);
		*old = v->deployments.v[i];
		old->status = S("ACTIVE");
		old->desired_count = OPT_INT(0);
	}
	v->deployments = all;
	struct state_ecs_run *run = LIST_ADD(a, &r->runs);
	*run = again ? *again
	             : (struct state_ecs_run){.registries = v->service_registries,
	                                      .balancers = v->load_balancers,
	                                      .connect = r->connect,
	                                      .connect_resources = r->connect_resources};
	if (!again)
		connect_registries(s, r->connect, &r->connect_resources, v->task_definition, &run->registries);
	for (uint32_t i = 0; i < run->connect_resources.n; i++) {
		bool there = false;
		for (uint32_t k = 0; k < r->connect_made.n; k++)
			there = there || str_eq(r->connect_made.v[k], run->connect_resources.v[i].discovery_arn);
		if (!there)
			*LIST_ADD(a, &r->connect_made) = run->connect_resources.v[i].discovery_arn;
	}
	all.v[0].service_connect_configuration = run->connect;
	all.v[0].service_connect_resources = run->connect_resources;
	run->id = id;
	run->failed_in_row = (struct opt_int){0};
	run->last_failed = run->bake_until = (struct opt_time){0};
	run->watching = (struct opt_bool){0};
	run->watched = (struct str_list){0};
	if (!again)
		run->revision = ecs_revision_make(s, r, now_ms);
	r->steady = r->stuck = r->inconsistent = OPT_BOOL(false);
	return &all.v[0];
}

struct state_ecs_run *ecs_service_run(struct state_ecs_service_record *r, struct str id)
{
	for (uint32_t i = 0; i < r->runs.n; i++)
		if (str_eq(r->runs.v[i].id, id))
			return &r->runs.v[i];
	return NULL;
}

int ecs_services_page(struct call *c, struct str under, struct opt_int max_results, struct str token, ecs_service_wanted_fn *wanted,
                      const void *ctx, struct str_list *ret_arns, struct str *ret_token)
{
	struct ecs_walk w;
	struct str last = STR_NONE;
	uint32_t limit;
	if (ecs_page_size(c, max_results, LISTED_MAX, &limit) != CALL_OK || ecs_walk_begin(c, &w, under, token, false) != CALL_OK)
		return CALL_FAIL;
	limit = max_results.set ? limit : LIST_STANDARD;
	ret_arns->set = true;
	while (ecs_walk_next(&w)) {
		struct state_ecs_service_record r = {0};
		if (!ecs_service_read(c->arena, w.value, &r) || !wanted(&r, ctx))
			continue;
		if (ret_arns->n == limit) {
			*ret_token = ecs_page_token(c, last);
			break;
		}
		*LIST_ADD(c->arena, ret_arns) = r.service->service_arn;
		last = w.key;
	}
	return CALL_OK;
}
