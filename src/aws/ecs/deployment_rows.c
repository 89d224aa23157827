#include "deployment.h"

#include "base/rand.h"
#include "rollout.h"

#include <stdlib.h>

enum { KEPT = 50, ID_CHARS = 21 };
#define KEPT_MS (INT64_C(90) * 24 * 3600 * 1000)

static const struct record_type deployment_row = {&ecs_api, "ServiceDeployment"}, revision_row = {&ecs_api, "ServiceRevision"};

static struct str last_part(struct str arn)
{
	return str_from_at(arn, (size_t)str_rfind_char(arn, '/') + 1);
}

static struct str arn_of(const struct ecs_scope *s, const char *type, const struct state_ecs_service_record *r, struct str id)
{
	return arena_printf(s->arena, "arn:aws:ecs:%.*s:%.*s:%s/%.*s/%.*s/%.*s", STR_ARG(s->region), STR_ARG(s->account), type,
	                    STR_ARG(r->cluster), STR_ARG(r->name), STR_ARG(id));
}

static struct str key_of(const struct ecs_scope *s, const char *type, struct str cluster, struct str service, struct str id)
{
	return KEY(s->arena, S("ecs"), str_from(type), s->account, s->region, cluster, service, id);
}

static struct str under(const struct ecs_scope *s, const char *type, struct str cluster, struct str service)
{
	return KEY_UNDER(s->arena, S("ecs"), str_from(type), s->account, s->region, cluster, service);
}

static void put_deployment(const struct ecs_scope *s, const struct state_ecs_service_record *r,
                           const struct ecs_service_deployment *d)
{
	struct str id = last_part(d->service_deployment_arn);
	record_put(s->txn, s->arena, key_of(s, "service-deployment", r->cluster, r->name, id), &deployment_row, d);
}

static void put_revision(const struct ecs_scope *s, const struct state_ecs_service_record *r, const struct ecs_service_revision *v)
{
	record_put(s->txn, s->arena, key_of(s, "service-revision", r->cluster, r->name, last_part(v->service_revision_arn)),
	           &revision_row, v);
}

bool ecs_revision_find(const struct ecs_scope *s, struct str cluster, struct str service, struct str id,
                       struct ecs_service_revision *ret)
{
	return record_get(s->txn, s->arena, key_of(s, "service-revision", cluster, service, id), &revision_row, ret);
}

bool ecs_deployment_over(const struct ecs_service_deployment *d)
{
	return str_is(d->status, "SUCCESSFUL") || str_is(d->status, "STOPPED") || str_is(d->status, "ROLLBACK_SUCCESSFUL") ||
	       str_is(d->status, "ROLLBACK_FAILED");
}

/* --- counts */

static const struct ecs_deployment *rollout_of(const struct state_ecs_service_record *r, const struct state_ecs_run *run)
{
	for (uint32_t i = 0; i < r->service->deployments.n; i++)
		if (str_eq(r->service->deployments.v[i].id, run->id))
			return &r->service->deployments.v[i];
	return NULL;
}

static struct ecs_service_revision_summary summary(const struct state_ecs_service_record *r, struct str revision)
{
	struct ecs_service_revision_summary n = {.arn = revision,
	                                         .requested_task_count = OPT_INT(0),
	                                         .running_task_count = OPT_INT(0),
	                                         .pending_task_count = OPT_INT(0)};
	for (uint32_t i = 0; i < r->runs.n; i++) {
		const struct ecs_deployment *d = rollout_of(r, &r->runs.v[i]);
		if (!d || !str_eq(r->runs.v[i].revision, revision))
			continue;
		n.requested_task_count.v += d->desired_count.v;
		n.running_task_count.v += d->running_count.v;
		n.pending_task_count.v += d->pending_count.v;
	}
	return n;
}

static struct str primary_revision(struct state_ecs_service_record *r)
{
	struct state_ecs_run *run = ecs_service_run(r, r->service->deployments.v[0].id);
	return run ? run->revision : STR_NONE;
}

void ecs_revisions_show(struct arena *a, struct state_ecs_service_record *r)
{
	struct ecs_service_current_revision_summary_list all = {0};
	for (uint32_t i = 0; i < r->service->deployments.n; i++) {
		struct state_ecs_run *run = ecs_service_run(r, r->service->deployments.v[i].id);
		bool there = !run || !str_set(run->revision);
		for (uint32_t k = 0; k < all.n && !there; k++)
			there = str_eq(all.v[k].arn, run->revision);
		if (there)
			continue;
		struct ecs_service_revision_summary n = summary(r, run->revision);
		*LIST_ADD(a, &all) = (struct ecs_service_current_revision_summary){n.arn, n.requested_task_count,
		                                                                   n.running_task_count, n.pending_task_count};
	}
	r->service->current_service_revisions = all;
}

static void count_alarms(struct arena *a, const struct state_ecs_run *run, const struct ecs_deployment_alarms *conf,
                         struct ecs_service_deployment *d)
{
	if (!conf || (d->alarms && str_is(d->alarms->status, "TRIGGERED")))
		return;
	d->alarms = arena_new(a, struct ecs_service_deployment_alarms);
	d->alarms->alarm_names = conf->alarm_names;
	d->alarms->triggered_alarm_names.set = true;
	d->alarms->status = !conf->enable.v || (run && run->watching.v && !run->watched.n) ? S("DISABLED") : S("MONITORING");
}

static void count(struct arena *a, struct state_ecs_service_record *r, struct ecs_service_deployment *d)
{
	const struct ecs_deployment_configuration *conf = r->service->deployment_configuration;
	const struct ecs_deployment_circuit_breaker *b = conf ? conf->deployment_circuit_breaker : NULL;
	struct state_ecs_run *run = ecs_service_run(r, r->service->deployments.v[0].id);
	for (uint32_t i = 0; i < d->source_service_revisions.n; i++)
		d->source_service_revisions.v[i] = summary(r, d->source_service_revisions.v[i].arn);
	*d->target_service_revision = summary(r, d->target_service_revision->arn);
	struct ecs_service_deployment_circuit_breaker *shown = arena_new(a, struct ecs_service_deployment_circuit_breaker);
	shown->status = b && b->enable.v ? S("MONITORING") : S("DISABLED");
	shown->failure_count = OPT_INT(run ? run->failed_in_row.v : 0);
	shown->threshold = OPT_INT(ecs_breaker_threshold(b, r->service->desired_count.v));
	count_alarms(a, run, conf ? conf->alarms : NULL, d);
	/* What made it turn back, or stop, stays in sight. */
	bool open = d->deployment_circuit_breaker && str_is(d->deployment_circuit_breaker->status, "TRIGGERED");
	if (!d->rollback && !open)
		d->deployment_circuit_breaker = shown;
}

bool ecs_deployment_find(const struct ecs_scope *s, struct str cluster, struct str service, struct str id,
                         struct ecs_service_deployment *ret)
{
	struct state_ecs_service_record r = {0};
	if (!record_get(s->txn, s->arena, key_of(s, "service-deployment", cluster, service, id), &deployment_row, ret))
		return false;
	if (!ecs_deployment_over(ret) && ecs_service_find(s, cluster, service, &r) && r.deploying.v &&
	    str_eq(r.service->current_service_deployment, ret->service_deployment_arn))
		count(s->arena, &r, ret);
	return true;
}

static int newer(const void *a, const void *b)
{
	const struct ecs_service_deployment *x = a, *y = b;
	return x->created_at.ms > y->created_at.ms ? -1 : x->created_at.ms < y->created_at.ms;
}

struct ecs_service_deployments ecs_deployments_of(const struct ecs_scope *s, struct str cluster, struct str service)
{
	struct ecs_service_deployments all = {.set = true};
	struct str prefix = under(s, "service-deployment", cluster, service), key;
	struct store_iter *iter = store_scan(s->txn, prefix, store_prefix_end(s->arena, prefix), false);
	struct store_value value;
	while (store_next(iter, &key, &value)) {
		struct ecs_service_deployment d = {0};
		if (record_read(s->arena, value.value, &deployment_row, &d))
			*LIST_ADD(s->arena, &all) = d;
	}
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), newer);
	return all;
}

/* --- revisions */

static void put_in_images(const struct ecs_scope *s, const struct ecs_task_definition *d, struct ecs_service_revision *to)
{
	for (uint32_t i = 0; i < d->container_definitions.n; i++)
		*LIST_ADD(s->arena, &to->container_images) = (struct ecs_container_image){
		        .container_name = d->container_definitions.v[i].name, .image = d->container_definitions.v[i].image};
}

struct str ecs_revision_make(const struct ecs_scope *s, const struct state_ecs_service_record *r, int64_t now_ms)
{
	const struct ecs_service *v = r->service;
	struct state_ecs_definition_record definition = {0};
	struct str id = arena_printf(
	        s->arena, "%llu", (unsigned long long)(UINT64_C(1000000000000000000) + rand_below(UINT64_C(8222222222222222222))));
	struct ecs_service_revision revision = {
	        .service_revision_arn = arn_of(s, "service-revision", r, id),
	        .service_arn = v->service_arn,
	        .cluster_arn = v->cluster_arn,
	        .task_definition = v->task_definition,
	        .capacity_provider_strategy = v->capacity_provider_strategy,
	        .launch_type = v->launch_type,
	        .platform_version = v->platform_version,
	        .platform_family = v->platform_family,
	        .load_balancers = v->load_balancers,
	        .service_registries = v->service_registries,
	        .network_configuration = v->network_configuration,
	        .service_connect_configuration = r->connect,
	        .guard_duty_enabled = OPT_BOOL(false),
	        .created_at = OPT_TIME(now_ms),
	};
	if (ecs_definition_in(s, v->task_definition, &definition))
		put_in_images(s, definition.definition, &revision);
	put_revision(s, r, &revision);
	return revision.service_revision_arn;
}

void ecs_deployment_images(const struct ecs_scope *s, struct state_ecs_service_record *r, const struct ecs_task *t)
{
	struct state_ecs_run *run = ecs_service_run(r, r->service->deployments.v[0].id);
	struct ecs_service_revision revision = {0};
	if (!run || run->images.n || !str_set(run->revision))
		return;
	for (uint32_t i = 0; i < t->containers.n; i++)
		if (t->containers.v[i].image.n && !t->containers.v[i].image_digest.n)
			return;
	if (!ecs_revision_find(s, r->cluster, r->name, last_part(run->revision), &revision))
		return;
	for (uint32_t i = 0; i < revision.container_images.n; i++)
		for (uint32_t k = 0; k < t->containers.n; k++)
			if (str_eq(t->containers.v[k].name, revision.container_images.v[i].container_name) &&
			    !revision.container_images.v[i].image_digest.n)
				revision.container_images.v[i].image_digest = t->containers.v[k].image_digest;
	run->images = revision.container_images;
	put_revision(s, r, &revision);
}

/* --- the life of a deployment */

static bool named(const struct ecs_service_deployments *all, uint32_t n, struct str revision)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct ecs_service_deployment *d = &all->v[i];
		bool there = str_eq(d->target_service_revision->arn, revision);
		for (uint32_t k = 0; k < d->source_service_revisions.n && !there; k++)
			there = str_eq(d->source_service_revisions.v[k].arn, revision);
		if (there)
			return true;
	}
	return false;
}

/* Drops what is too old or too much, and the revisions that nobody names any more. */
static void prune(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	struct ecs_service_deployments all = ecs_deployments_of(s, r->cluster, r->name);
	uint32_t left = 0;
	while (left < all.n && left < KEPT && all.v[left].created_at.ms > now_ms - KEPT_MS)
		left++;
	if (left == all.n)
		return;
	for (uint32_t i = left; i < all.n; i++)
		store_delete(s->txn,
		             key_of(s, "service-deployment", r->cluster, r->name, last_part(all.v[i].service_deployment_arn)));
	struct str prefix = under(s, "service-revision", r->cluster, r->name), key;
	struct store_iter *iter = store_scan(s->txn, prefix, store_prefix_end(s->arena, prefix), false);
	struct store_value value;
	struct str_list gone = {0};
	while (store_next(iter, &key, &value)) {
		struct ecs_service_revision v = {0};
		if (!record_read(s->arena, value.value, &revision_row, &v) || named(&all, left, v.service_revision_arn))
			continue;
		bool used = r->good_run && str_eq(r->good_run->revision, v.service_revision_arn);
		for (uint32_t i = 0; i < r->runs.n && !used; i++)
			used = str_eq(r->runs.v[i].revision, v.service_revision_arn);
		if (!used)
			*LIST_ADD(s->arena, &gone) = arena_dup(s->arena, key);
	}
	for (uint32_t i = 0; i < gone.n; i++)
		store_delete(s->txn, gone.v[i]);
}

static struct str make_id(struct arena *a)
{
	static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char *p = arena_alloc(a, ID_CHARS);
	for (int i = 0; i < ID_CHARS; i++)
		p[i] = chars[rand_below(sizeof(chars) - 1)];
	return str_of(p, ID_CHARS);
}

void ecs_deployment_begin(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	struct ecs_service *v = r->service;
	struct ecs_service_deployment d = {.service_arn = v->service_arn,
	                                   .cluster_arn = v->cluster_arn,
	                                   .created_at = OPT_TIME(now_ms),
	                                   .updated_at = OPT_TIME(now_ms),
	                                   .status = S("PENDING"),
	                                   .deployment_configuration = v->deployment_configuration};
	ecs_deployment_end(s, r, "STOPPED", S("A newer deployment of the service has taken its place."), now_ms);
	d.service_deployment_arn = arn_of(s, "service-deployment", r, make_id(s->arena));
	d.target_service_revision = arena_new(s->arena, struct ecs_service_revision_summary);
	d.target_service_revision->arn = primary_revision(r);
	ecs_revisions_show(s->arena, r);
	for (uint32_t i = 0; i < v->current_service_revisions.n; i++)
		if (!str_eq(v->current_service_revisions.v[i].arn, d.target_service_revision->arn))
			LIST_ADD(s->arena, &d.source_service_revisions)->arn = v->current_service_revisions.v[i].arn;
	d.source_service_revisions.set = true;
	count(s->arena, r, &d);
	put_deployment(s, r, &d);
	v->current_service_deployment = d.service_deployment_arn;
	r->deploying = OPT_BOOL(true);
	prune(s, r, now_ms);
}

static bool under_way(const struct ecs_scope *s, const struct state_ecs_service_record *r, struct ecs_service_deployment *ret)
{
	*ret = (struct ecs_service_deployment){0};
	return r->deploying.v &&
	       record_get(s->txn, s->arena,
	                  key_of(s, "service-deployment", r->cluster, r->name, last_part(r->service->current_service_deployment)),
	                  &deployment_row, ret);
}

void ecs_deployment_take_up(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	struct ecs_service_deployment d;
	if (!under_way(s, r, &d) || !str_is(d.status, "PENDING"))
		return;
	d.status = S("IN_PROGRESS");
	d.started_at = d.updated_at = OPT_TIME(now_ms);
	put_deployment(s, r, &d);
}

void ecs_deployment_turn_back(const struct ecs_scope *s, struct state_ecs_service_record *r, struct str reason, int64_t now_ms)
{
	struct ecs_service_deployment d;
	if (!under_way(s, r, &d))
		return;
	struct str to = primary_revision(r);
	bool there = false;
	for (uint32_t i = 0; i < d.source_service_revisions.n; i++)
		there = there || str_eq(d.source_service_revisions.v[i].arn, to);
	if (!there)
		LIST_ADD(s->arena, &d.source_service_revisions)->arn = to;
	d.rollback = arena_new(s->arena, struct ecs_rollback);
	*d.rollback = (struct ecs_rollback){.reason = reason, .started_at = OPT_TIME(now_ms), .service_revision_arn = to};
	d.status = S("ROLLBACK_IN_PROGRESS");
	d.status_reason = reason;
	d.updated_at = OPT_TIME(now_ms);
	if (!d.started_at.set)
		d.started_at = OPT_TIME(now_ms);
	put_deployment(s, r, &d);
}

void ecs_deployment_trip(const struct ecs_scope *s, struct state_ecs_service_record *r, int64_t now_ms)
{
	struct ecs_service_deployment d;
	if (!under_way(s, r, &d))
		return;
	if (!d.rollback)
		count(s->arena, r, &d);
	d.deployment_circuit_breaker->status = S("TRIGGERED");
	d.updated_at = OPT_TIME(now_ms);
	put_deployment(s, r, &d);
}

void ecs_deployment_alarm(const struct ecs_scope *s, struct state_ecs_service_record *r, const struct str_list *triggered,
                          int64_t now_ms)
{
	struct ecs_service_deployment d;
	if (!under_way(s, r, &d))
		return;
	if (!d.rollback)
		count(s->arena, r, &d);
	if (!d.alarms)
		return;
	d.alarms->status = S("TRIGGERED");
	d.alarms->triggered_alarm_names = *triggered;
	d.updated_at = OPT_TIME(now_ms);
	put_deployment(s, r, &d);
}

bool ecs_deployment_turned_back(const struct ecs_scope *s, const struct state_ecs_service_record *r)
{
	struct ecs_service_deployment d;
	return under_way(s, r, &d) && d.rollback;
}

void ecs_deployment_end(const struct ecs_scope *s, struct state_ecs_service_record *r, const char *status, struct str reason,
                        int64_t now_ms)
{
	struct ecs_service_deployment d;
	if (!under_way(s, r, &d))
		return;
	count(s->arena, r, &d);
	d.status = str_from(status);
	d.status_reason = str_set(reason) ? reason : d.status_reason;
	d.updated_at = d.finished_at = OPT_TIME(now_ms);
	if (str_is(d.status, "STOPPED"))
		d.stopped_at = OPT_TIME(now_ms);
	if (str_is(d.deployment_circuit_breaker->status, "MONITORING"))
		d.deployment_circuit_breaker->status = S("MONITORING_COMPLETE");
	if (d.alarms && str_is(d.alarms->status, "MONITORING"))
		d.alarms->status = S("MONITORING_COMPLETE");
	put_deployment(s, r, &d);
	r->deploying = OPT_BOOL(false);
}
