/* Environments of the platform ECS: each has a cluster of its own, which its instances join, and task definitions, made of what
 * their agent reads in bundles (guest/beanstalk_ecs.py). The instances' role may start and stop tasks and no more, as at AWS, so
 * definitions are registered here; both go when the environment ends. */
#include "environment.h"

#include "gen/beanstalk_agent.h"
#include "gen/ecs.h"

#include <stdlib.h>

bool cluster_is_wanted(const struct environment_record *r)
{
	const struct platform *p = platform_of(r->environment->solution_stack_name);
	return p && strcmp(p->name, "ECS") == 0 && !str_set(r->cluster);
}

struct str cluster_name(struct arena *a, const struct environment_record *r)
{
	return ARENA_CAT(a, S("awseb-"), r->environment->environment_name, S("-"), r->suffix);
}

const struct api *cluster_question(struct arena *a, const struct environment_record *r, enum ask_kind kind,
                                   const char **ret_operation, const void **ret_in)
{
	if (kind == ASK_CLUSTER) {
		struct ecs_create_cluster_request *in = arena_new(a, struct ecs_create_cluster_request);
		uint32_t n;
		const struct environment_tag *tags = environment_tags(a, r, &n);
		in->cluster_name = cluster_name(a, r);
		in->tags.set = true;
		for (uint32_t i = 0; i < n; i++)
			*LIST_ADD(a, &in->tags) = (struct ecs_tag){tags[i].key, tags[i].value};
		*ret_operation = "CreateCluster";
		*ret_in = in;
	} else if (kind == ASK_DROP_DEFINITION) {
		struct ecs_deregister_task_definition_request *in = arena_new(a, struct ecs_deregister_task_definition_request);
		in->task_definition = r->definitions.n ? r->definitions.v[r->definitions.n - 1].arn : S("");
		*ret_operation = "DeregisterTaskDefinition";
		*ret_in = in;
	} else {
		struct ecs_delete_cluster_request *in = arena_new(a, struct ecs_delete_cluster_request);
		in->cluster = r->cluster;
		*ret_operation = "DeleteCluster";
		*ret_in = in;
	}
	return &ecs_api;
}

void cluster_take(const struct scope *s, struct environment_record *r, const struct answer *a)
{
	switch (a->kind) {
	case ASK_CLUSTER:
		if (str_set(a->code)) /* told once: the deployment will say that there is none to join */
			environment_event(s, r, "ERROR", a->message);
		r->cluster = cluster_name(s->arena, r);
		if (!str_set(a->code))
			step_say(s, r, "Created ECS cluster named: ", r->cluster);
		break;
	case ASK_DROP_DEFINITION:
		r->definitions.n -= r->definitions.n > 0;
		break;
	default:
		step_say(s, r, "Deleted ECS cluster named: ", r->cluster);
		r->cluster = STR_NONE;
		break;
	}
}

enum ask_kind cluster_left(const struct environment_record *r)
{
	if (r->definitions.n)
		return ASK_DROP_DEFINITION;
	return str_set(r->cluster) ? ASK_DROP_CLUSTER : ASK_NOTHING;
}

/* --- definitions */

struct defining {
	struct call_errand errand;
	const struct principal *as; /* the role that AWS makes for Elastic Beanstalk in an account may do this */
	struct arena arena;         /* of what follows */
	bool answered;
	struct str arn, code, message;
};

static void drop(struct call_errand *e)
{
	struct defining *d = (struct defining *)e;
	principal_unref(d->as);
	arena_done(&d->arena);
	free(d);
}

static void registered(void *ctx, struct call *sub)
{
	struct defining *d = ctx;
	const struct ecs_register_task_definition_response *out = sub->out;
	d->answered = true;
	if (str_set(sub->error.code)) {
		d->code = arena_dup(&d->arena, sub->error.code);
		d->message = arena_dup(&d->arena, str_set(sub->error.message) ? sub->error.message : S(""));
	} else {
		d->arn = arena_dup(&d->arena, out->task_definition->task_definition_arn);
	}
	call_over(&d->errand);
}

static int ask(struct call *c, const struct environment_record *r, const struct beanstalk_agent_define_request *in)
{
	struct defining *d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	d->errand.drop = drop;
	d->as = principal_new(PRINCIPAL_ROOT, c->account);
	call_op(c->cloud, d->as, c->region, &ecs_api, "RegisterTaskDefinition",
	        &(struct ecs_register_task_definition_request){
	                .family = r->cluster, .container_definitions = in->container_definitions, .volumes = in->volumes},
	        registered, d);
	return call_wait_for(c, &d->errand);
}

int beanstalk_agent_define(struct call *c, const struct beanstalk_agent_define_request *in,
                           struct beanstalk_agent_define_response *out)
{
	struct scope s = beanstalk_scope(c);
	struct environment_record r = {0};
	const struct defining *d = c->state;
	if (c->caller->kind != PRINCIPAL_ROLE || !str_eq(c->caller->name, in->instance_id))
		return call_fail(c, "AccessDeniedException", 400, "Only the instance itself may define its task.");
	if (!environment_find(&s, in->environment_id, &r) || !member_find(&r, in->instance_id) || !str_set(r.cluster) ||
	    step_is(&r, "terminate"))
		return call_fail(c, "AccessDeniedException", 400, "The environment has no cluster.");
	for (uint32_t i = 0; i < r.definitions.n && !d; i++)
		if (str_eq(r.definitions.v[i].mark, in->mark)) {
			out->definition = r.definitions.v[i].arn;
			return CALL_OK;
		}
	if (!d)
		return ask(c, &r, in);
	if (str_set(d->code))
		return call_fail(c, arena_dupz(c->arena, d->code), 400, "%.*s", STR_ARG(d->message));
	*LIST_ADD(c->arena, &r.definitions) = (struct state_elasticbeanstalk_definition){.mark = in->mark, .arn = d->arn};
	r.definitions.set = true;
	environment_put(&s, &r);
	out->definition = d->arn;
	return CALL_OK;
}
