/* A cloud of ECS for simulations of hours, without a container: its operations and what makes them real, over an engine, a registry
 * and network interfaces that are a few lines in ecs_world.c. The test says what containers do. */
#pragma once
#include "unit.h"

#include "aws/ec2/ec2.h"
#include "aws/ecs/metadata.h"
#include "core/gate.h"
#include "gen/ecs.h"

#include <stdio.h>
#include <stdlib.h>

extern const struct service ecs_service, iam_service, logs_service, ssm_service, sts_service;

extern struct ecs_world {
	struct cloud cloud;
	struct arena arena, last;
	const struct principal *root;
	char dir[64], code[128];
	int64_t wall_ms, mono_us;
	ec2_port_fn *port;
	void *port_ctx;
	bool no_ports;
	bool logs; /* are written: they have a store of their own, which no write of the test's follows */
	unsigned lent, given;
} w;

/* The engine: tasks do what the test says. */
enum { TASKS = 16 };
struct task {
	char id[TASK_ID_MAX];
	void *ctx;
	bool there, made, ending;
	unsigned count;
	struct {
		char name[64], environment[4096], arguments[256];
		bool starts, stops, runs;
	} c[TASK_CONTAINERS_MAX];
};
extern struct task task_list[TASKS];
extern const struct task_events *calls;
extern bool engine_holds;   /* does not say that a new task is ready */
extern bool engine_is_slow; /* its containers do not end when they are told to */

void exits(struct task *t, unsigned index, int code, bool oom);
void obey(void); /* what was asked of it and is done at once: a start, a stop, an end */

void open_cloud(void);
void close_cloud(void);
void give_ports(unsigned from);
void settle(void);
void pass(int64_t ms);
const void *ask(const struct api *api, const char *operation, const void *in, const char *code);

struct ecs_container_definition container(const char *name);
void define(const char *family, struct ecs_container_definition *k, uint32_t n); /* of 256 CPU and 512 MiB */
struct ecs_run_task_request request(const char *family);
struct str run(const char *family);
const struct ecs_task *look(struct str arn);
struct task *engine_task(struct str arn);
void stop(struct str arn);

int set_up(void **state);
int tear_down(void **state);
