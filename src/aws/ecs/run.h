/* What a request to run tasks comes to; shared by run_task.c and run_instance.c. Private to aws/ecs. */
#pragma once
#include "task.h"

enum { RUN_PROVIDERS = 20 };
struct run {
	const struct ecs_run_task_request *in;
	struct ecs_cluster cluster;
	struct state_ecs_definition_record definition;
	struct ecs_task_definition effective; /* with the overrides */
	struct ecs_capacity_provider_strategy strategy;
	struct ecs_tags tags;
	struct state_ecs_run service; /* its deployment that asks; id absent: none does */
	struct str_map managed;       /* tags that ECS gives itself, to the task and to its interface */
	int64_t count;
	struct str group;
	bool instances;               /* on container instances, not on Fargate */
	int64_t given[RUN_PROVIDERS]; /* tasks of each provider of the strategy: of the service's deployment, and of this call */
};
struct ec2_lent;

/* --- run_task.c */
int run_check_words(struct call *c, struct run *r);
/* The network configuration against the definition's network mode; after run_get_definition(). */
int run_check_network(struct call *c, const struct run *r);
int run_get_definition(struct call *c, struct run *r);
int run_apply_overrides(struct call *c, struct run *r);
void run_gather(struct call *c, struct run *r); /* tags, the service, and its images */
struct ecs_task_override *run_shown_overrides(struct call *c, const struct run *r);
/* A network interface in that subnet; instance: the EC2 instance that is given it, absent: none. */
int run_lend(struct call *c, const struct run *r, struct str subnet, struct str instance, struct str arn, struct ec2_lent *ret);
void run_add_attachment(struct call *c, struct ecs_task *t, const struct ec2_lent *eni);
void run_add_interface(struct call *c, const struct ecs_task *t, const struct ec2_lent *eni, struct ecs_container *to);
/* eni NULL: the containers have no interface of their own. */
void run_add_containers(struct call *c, const struct run *r, const struct ec2_lent *eni, struct ecs_task *t, struct str id);

/* The provider of the next task: bases first, then whoever is furthest behind its share. Absent: there is no strategy. */
struct str run_next_provider(struct run *r);

/* --- run_instance.c */
int run_check_instances(struct call *c, const struct run *r);
/* Places and makes r->count tasks; what has no place becomes failures. */
int run_on_instances(struct call *c, struct run *r, struct ecs_tasks *tasks, struct ecs_failures *failures);
