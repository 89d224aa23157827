/* What the agent of a container instance calls: where to poll, the poll itself, and what has become of tasks.
 *
 * A poll says what the agent knows and is answered when that is not how it should be, at the latest after the time that the agent
 * wants to wait. The answer is all that should be on the instance, so nothing is lost with a message. Only the instance itself
 * gets it: it holds credentials of the tasks' roles. */
#include "agent.h"
#include "aws/ec2/ec2.h"
#include "session.h"

enum { WAIT_MOST_S = 30 };
#define ENDPOINT "http://169.254.169.254:4566"

static int find_own(struct call *c, struct str cluster_text, struct str text, struct state_ecs_instance_record *ret)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	if (ecs_cluster_get(c, cluster_text, &cluster) != CALL_OK)
		return CALL_FAIL;
	struct str id = ecs_instance_id(c, cluster.cluster_name, text);
	if (!str_set(id) || !ecs_instance_find(&s, cluster.cluster_name, id, ret) || str_is(ret->instance->status, "INACTIVE"))
		return ecs_invalid(c, "The referenced container instance was not found.");
	return CALL_OK;
}

int ecs_discover_poll_endpoint(struct call *c, const struct ecs_discover_poll_endpoint_request *in,
                               struct ecs_discover_poll_endpoint_response *out)
{
	struct state_ecs_instance_record r = {0};
	if (in->container_instance.n && find_own(c, in->cluster, in->container_instance, &r) != CALL_OK)
		return CALL_FAIL;
	out->endpoint = S(ENDPOINT);
	return CALL_OK;
}

/* --- the poll */

static struct ecs_agent_role_credentials *credentials(struct call *c, struct str role, const struct session *s)
{
	struct ecs_agent_role_credentials *k = arena_new(c->arena, struct ecs_agent_role_credentials);
	*k = (struct ecs_agent_role_credentials){.role_arn = role,
	                                         .access_key_id = s->access_key,
	                                         .secret_access_key = s->secret,
	                                         .session_token = s->token,
	                                         .expiration = OPT_TIME(s->expires_ms)};
	return k;
}

static struct str dotted(struct arena *a, uint32_t ip)
{
	return arena_printf(a, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

static struct ecs_agent_task_interface *interface(struct call *c, const struct state_ecs_task_record *t)
{
	struct ec2_lent of;
	if (!ec2_find_lent(call_txn(c), c->arena, c->account, c->region, t->interface, &of))
		return NULL;
	struct ecs_agent_task_interface *to = arena_new(c->arena, struct ecs_agent_task_interface);
	*to = (struct ecs_agent_task_interface){
	        .attachment_arn = ecs_arn(c, ARENA_CAT(c->arena, S("attachment/"), t->task->attachments.v[0].id)),
	        .mac = of.mac,
	        .address = arena_printf(c->arena, "%.*s/%u", STR_ARG(of.address), of.prefix),
	        .gateway = dotted(c->arena, of.gateway),
	        .resolver = dotted(c->arena, of.resolver),
	        .address6 = of.address6,
	};
	return to;
}

static struct ecs_agent_task_connect *connect(struct call *c, const struct state_ecs_task_record *t)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_agent_task_connect *to = arena_new(c->arena, struct ecs_agent_task_connect);
	*to = (struct ecs_agent_task_connect){.config = connect_text(c->arena, t->connect),
	                                      .program = str_from(connect_program),
	                                      .rules = connect_rules(c->arena, t->connect),
	                                      .endpoints = connect_endpoints(&s, t)};
	for (uint32_t k = 0; k < t->connect->names.n; k++)
		*LIST_ADD(c->arena, &to->hosts) =
		        ARENA_CAT(c->arena, t->connect->names.v[k].address, S(" "), t->connect->names.v[k].name);
	return to;
}

static void order(struct call *c, const struct duty *i, const struct state_ecs_task_record *t, struct ecs_agent_task_order *to)
{
	const struct session *task = remote_session(i, REMOTE_TASK), *execution = remote_session(i, REMOTE_EXECUTION);
	*to = (struct ecs_agent_task_order){.task_arn = t->task->task_arn,
	                                    .desired_status =
	                                            ecs_task_drains(t, c->now_ms) ? S("RUNNING") : t->task->desired_status,
	                                    .group = t->task->group,
	                                    .definition = t->definition};
	to->mark = arena_printf(c->arena, "%.*s %lld %lld", STR_ARG(to->desired_status), (long long)(task ? task->expires_ms : 0),
	                        (long long)(execution ? execution->expires_ms : 0));
	for (uint32_t k = 0; k < t->task->containers.n; k++)
		*LIST_ADD(c->arena, &to->container_arns) = t->task->containers.v[k].container_arn;
	if (t->connect) {
		struct str text, first;
		to->connect = connect(c, t);
		text = to->connect->endpoints;
		first = str_cut(&text, '\n');
		to->mark = ARENA_CAT(c->arena, to->mark, S(" "), first);
	}
	if (str_set(t->interface))
		to->interface = interface(c, t);
	if (task)
		to->task_credentials = credentials(c, t->task_role, task);
	if (execution)
		to->execution_credentials = credentials(c, t->execution_role, execution);
}

static void gather(struct call *c, struct crew *crew, const struct state_ecs_instance_record *r, struct ecs_agent_task_orders *ret)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_walk w;
	*ret = (struct ecs_agent_task_orders){.set = true};
	if (ecs_walk_begin(c, &w, ecs_tasks_under(&s, r->cluster), STR_NONE, false) != CALL_OK)
		return;
	while (ecs_walk_next(&w)) {
		struct state_ecs_task_record t = {0};
		if (!ecs_task_read(c->arena, w.value, &t) || !ecs_task_is_remote(t.task) ||
		    !str_eq(ecs_task_instance(t.task), r->id) || ecs_task_status(t.task) == ECS_STOPPED)
			continue;
		const struct duty *i = map_get(&crew->by_id, t.id);
		/* What is to stop goes on without roles: the agent may know the task from before a restart of ours. */
		if (i && (remote_ready(i, &t) || str_is(t.task->desired_status, "STOPPED")))
			order(c, i, &t, LIST_ADD(c->arena, ret));
	}
}

static bool knows(const struct ecs_agent_poll_request *in, const struct ecs_agent_task_orders *all)
{
	for (uint32_t i = 0; i < all->n; i++) {
		bool there = false;
		for (uint32_t k = 0; k < in->known.n; k++)
			there = there || (str_eq(in->known.v[k].task_arn, all->v[i].task_arn) &&
			                  str_eq(in->known.v[k].mark, all->v[i].mark));
		if (!there)
			return false;
	}
	return in->known.n == all->n;
}

/* True: something was written. */
static bool take_health(struct call *c, const struct ecs_agent_poll_request *in, const struct state_ecs_instance_record *r)
{
	struct ecs_scope s = ecs_scope(c);
	bool changed = false;
	for (uint32_t i = 0; i < in->health.n; i++) {
		const struct ecs_agent_container_health *h = &in->health.v[i];
		struct state_ecs_task_record t = {0};
		struct str id = ecs_task_id(c, r->cluster, h->task_arn);
		if (!str_set(id) || !ecs_task_find(&s, r->cluster, id, &t) || !ecs_task_is_remote(t.task) ||
		    !str_eq(ecs_task_instance(t.task), r->id) || (!str_is(h->status, "HEALTHY") && !str_is(h->status, "UNHEALTHY")))
			continue;
		struct str all = S("HEALTHY");
		bool differs = false;
		for (uint32_t k = 0; k < t.task->containers.n; k++) {
			struct ecs_container *to = &t.task->containers.v[k];
			const struct ecs_container_definition *d = &t.definition->container_definitions.v[k];
			if (str_eq(to->name, h->container_name) && !str_eq(to->health_status, h->status)) {
				to->health_status = h->status;
				differs = true;
			}
			if (!d->essential.v || !d->health_check)
				continue;
			if (str_is(to->health_status, "UNHEALTHY") || !str_is(all, "HEALTHY"))
				all = S("UNHEALTHY");
			else if (!str_is(to->health_status, "HEALTHY"))
				all = S("UNKNOWN");
		}
		if (!differs)
			continue;
		t.task->health_status = all;
		ecs_task_put(&s, &t);
		changed = true;
	}
	return changed;
}

static uint64_t count(struct opt_int n)
{
	return n.v > 0 ? (uint64_t)n.v : 0;
}

/* What its containers use, by counters: since each was started, at a time of the agent's own clock. */
static void take_usage(struct call *c, struct crew *crew, const struct ecs_agent_poll_request *in,
                       const struct state_ecs_instance_record *r)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_task_record t = {0};
	for (uint32_t n = 0; n < in->usage.n; n++) {
		const struct ecs_agent_container_usage *u = &in->usage.v[n];
		struct str id = ecs_task_id(c, r->cluster, u->task_arn);
		struct duty *i = str_set(id) ? map_get(&crew->by_id, id) : NULL;
		if (!i)
			continue;
		/* those of one task follow each other */
		if (!str_eq(t.id, id) && !ecs_task_find(&s, r->cluster, id, &t))
			continue;
		if (!ecs_task_is_remote(t.task) || !str_eq(ecs_task_instance(t.task), r->id) || u->at_microseconds.v <= 0)
			continue;
		const struct task_usage usage = {.cpu_us = count(u->cpu_microseconds),
		                                 .memory_bytes = count(u->memory_bytes),
		                                 .memory_peak_bytes = count(u->memory_peak_bytes),
		                                 .at_us = u->at_microseconds.v};
		const struct usage_traffic traffic = {count(u->received_bytes), count(u->sent_bytes), u->at_microseconds.v};
		for (uint32_t k = 0; k < t.definition->container_definitions.n && k < TASK_CONTAINERS_MAX; k++)
			if (str_eq(t.definition->container_definitions.v[k].name, u->container_name))
				usage_heard(i, k, &usage, u->received_bytes.set ? &traffic : NULL);
	}
}

static void gone(struct call *c)
{
	if (c->state)
		agent_link_let_go(c->state);
}

static int poll_again(struct call *c);

static int poll(struct call *c, const struct ecs_agent_poll_request *in, struct ecs_agent_poll_response *out, bool due)
{
	struct crew *crew = cloud_state(c->cloud, &ecs_service);
	struct state_ecs_instance_record r = {0};
	int64_t seconds = in->wait_seconds.v > WAIT_MOST_S ? WAIT_MOST_S : in->wait_seconds.v;
	if (find_own(c, in->cluster, in->container_instance, &r) != CALL_OK)
		return CALL_FAIL;
	if (c->caller->kind != PRINCIPAL_ROLE || !str_eq(c->caller->name, r.instance->ec2_instance_id))
		return call_fail(c, "AccessDeniedException", 400, "Only the instance itself may poll for its tasks.");
	bool wrote = take_health(c, in, &r);
	if (!due)
		take_usage(c, crew, in, &r);
	gather(c, crew, &r, &out->tasks);
	struct agent_link *m = roster_member(c, r.cluster, r.id);
	for (uint32_t i = 0; i < out->tasks.n; i++)
		if (out->tasks.v[i].connect)
			agent_link_watch_names(m);
	if (!due && in->runtime.n)
		agent_link_take_runtime(m, str_is(in->runtime, "OK"));
	bool measure = m->measure;
	if (measure)
		out->measure = OPT_BOOL(true);
	m->measure = false;
	if (wrote || due || measure || seconds <= 0 || m->waiting || !knows(in, &out->tasks))
		return CALL_OK;
	c->state = m;
	agent_link_wait(m, c, seconds * 1000000);
	return call_wait(c, poll_again, gone);
}

static int poll_again(struct call *c)
{
	if (c->state)
		agent_link_let_go(c->state);
	c->state = NULL;
	return poll(c, c->in, c->out, true);
}

int ecs_agent_poll(struct call *c, const struct ecs_agent_poll_request *in, struct ecs_agent_poll_response *out)
{
	return poll(c, in, out, false);
}

/* --- what has become of tasks */

static int find_task(struct call *c, struct str cluster_text, struct str text, struct state_ecs_task_record *ret)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	struct state_ecs_instance_record at = {0};
	if (ecs_cluster_get(c, cluster_text, &cluster) != CALL_OK)
		return CALL_FAIL;
	struct str id = ecs_task_id(c, cluster.cluster_name, text);
	if (!str_set(id) || !ecs_task_find(&s, cluster.cluster_name, id, ret) || !ecs_task_is_remote(ret->task))
		return ecs_invalid(c, "The referenced task was not found.");
	if (c->caller->kind == PRINCIPAL_ROLE && ecs_instance_find(&s, cluster.cluster_name, ecs_task_instance(ret->task), &at) &&
	    !str_eq(c->caller->name, at.instance->ec2_instance_id))
		return call_fail(c, "AccessDeniedException", 400, "The task is on another container instance.");
	return CALL_OK;
}

static bool find_attachment(struct call *c, struct str cluster_text, struct str arn, struct state_ecs_task_record *ret)
{
	struct ecs_scope s = ecs_scope(c);
	struct ecs_cluster cluster = {0};
	struct ecs_walk w;
	struct str id = str_from_at(arn, (size_t)(str_rfind_char(arn, '/') + 1));
	if (ecs_cluster_get(c, cluster_text, &cluster) != CALL_OK ||
	    ecs_walk_begin(c, &w, ecs_tasks_under(&s, cluster.cluster_name), STR_NONE, false) != CALL_OK)
		return false;
	while (ecs_walk_next(&w))
		if (ecs_task_read(c->arena, w.value, ret) && ecs_task_is_remote(ret->task) && ret->task->attachments.n &&
		    str_eq(ret->task->attachments.v[0].id, id))
			return true;
	return false;
}

int ecs_submit_attachment_state_changes(struct call *c, const struct ecs_submit_attachment_state_changes_request *in,
                                        struct ecs_submit_attachment_state_changes_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	for (uint32_t i = 0; i < in->attachments.n; i++) {
		struct state_ecs_task_record r = {0};
		if (!find_attachment(c, in->cluster, in->attachments.v[i].attachment_arn, &r))
			return str_set(c->error.code) ? CALL_FAIL : ecs_invalid(c, "The referenced attachment was not found.");
		if (find_task(c, in->cluster, r.task->task_arn, &r) != CALL_OK)
			return CALL_FAIL;
		if (!str_is(in->attachments.v[i].status, "ATTACHED") || ecs_task_status(r.task) != ECS_PROVISIONING)
			continue;
		ecs_task_move(&s, &r, ECS_PENDING, c->now_ms);
		ecs_task_put(&s, &r);
	}
	out->acknowledgment = S("ACK");
	return CALL_OK;
}

static void take_container(struct ecs_task *t, const struct ecs_container_state_change *in, int64_t now_ms)
{
	for (uint32_t i = 0; i < t->containers.n; i++) {
		struct ecs_container *to = &t->containers.v[i];
		if (!str_eq(to->name, in->container_name))
			continue;
		bool known = str_is(in->status, "PENDING") || str_is(in->status, "RUNNING") || str_is(in->status, "STOPPED");
		if (known && !str_is(to->last_status, "STOPPED"))
			to->last_status = in->status;
		for (uint32_t n = 0; n < to->managed_agents.n && known; n++) {
			struct ecs_managed_agent *agent = &to->managed_agents.v[n];
			if (str_is(in->status, "RUNNING") && !agent->last_started_at.set)
				agent->last_started_at = OPT_TIME(now_ms);
			agent->last_status = in->status;
		}
		if (in->runtime_id.n)
			to->runtime_id = in->runtime_id;
		if (in->image_digest.n)
			to->image_digest = in->image_digest;
		if (in->exit_code.set)
			to->exit_code = in->exit_code;
		if (in->reason.n)
			to->reason = in->reason;
		if (in->network_bindings.n)
			to->network_bindings = in->network_bindings;
	}
}

static void stopped(const struct ecs_scope *s, struct state_ecs_task_record *r, struct str reason, int64_t now_ms)
{
	bool ran = r->task->started_at.set;
	ecs_task_stop(s, r, ran ? "EssentialContainerExited" : "TaskFailedToStart",
	              reason.n ? reason : S("Essential container in task exited"), now_ms);
	ecs_task_end(s, r, now_ms);
}

int ecs_submit_task_state_change(struct call *c, const struct ecs_submit_task_state_change_request *in,
                                 struct ecs_submit_task_state_change_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_task_record r = {0};
	if (find_task(c, in->cluster, in->task, &r) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(in->status, "RUNNING") && !str_is(in->status, "STOPPED") && !str_is(in->status, "PENDING"))
		return ecs_invalid(c, "status must be PENDING, RUNNING or STOPPED.");
	out->acknowledgment = S("ACK");
	if (ecs_task_status(r.task) == ECS_STOPPED)
		return CALL_OK;
	for (uint32_t i = 0; i < in->containers.n; i++)
		take_container(r.task, &in->containers.v[i], c->now_ms);
	if (in->pull_started_at.set)
		r.task->pull_started_at = in->pull_started_at;
	if (in->pull_stopped_at.set)
		r.task->pull_stopped_at = in->pull_stopped_at;
	if (str_is(in->status, "STOPPED")) {
		stopped(&s, &r, in->reason, c->now_ms);
		if (in->execution_stopped_at.set)
			r.task->execution_stopped_at = in->execution_stopped_at;
	} else if (str_is(in->status, "RUNNING") && ecs_task_status(r.task) == ECS_PENDING) {
		ecs_task_move(&s, &r, ECS_ACTIVATING, c->now_ms);
		ecs_task_move(&s, &r, ECS_RUNNING, c->now_ms);
		/* who stopped it meanwhile is not forgotten */
		if (str_is(r.task->desired_status, "STOPPED"))
			ecs_task_move(&s, &r, ECS_DEACTIVATING, c->now_ms);
	}
	ecs_task_put(&s, &r);
	return CALL_OK;
}

int ecs_submit_container_state_change(struct call *c, const struct ecs_submit_container_state_change_request *in,
                                      struct ecs_submit_container_state_change_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct state_ecs_task_record r = {0};
	if (find_task(c, in->cluster, in->task, &r) != CALL_OK)
		return CALL_FAIL;
	out->acknowledgment = S("ACK");
	if (ecs_task_status(r.task) == ECS_STOPPED)
		return CALL_OK;
	struct ecs_container_state_change change = {.container_name = in->container_name,
	                                            .runtime_id = in->runtime_id,
	                                            .exit_code = in->exit_code,
	                                            .network_bindings = in->network_bindings,
	                                            .reason = in->reason,
	                                            .status = in->status};
	take_container(r.task, &change, c->now_ms);
	ecs_task_put(&s, &r);
	return CALL_OK;
}
