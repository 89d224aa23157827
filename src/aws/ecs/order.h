/* In which order a task's containers start and stop: a pure decision over what each of them is, was and waits for.
 *
 * A container starts when all that it depends on are as it wants them, and stops when nobody who depends on it runs any more. When
 * an essential one ends, or one can never start, the task ends. */
#pragma once
#include "gen/ecs.h"

enum order_state { ORDER_NEW, ORDER_STARTING, ORDER_RUNNING, ORDER_ENDED };
enum order_health { ORDER_HEALTH_UNKNOWN, ORDER_HEALTHY, ORDER_UNHEALTHY };

struct order_container {
	const struct ecs_container_definition *definition;
	enum order_state state;
	enum order_health health;
	bool started;                 /* it has run once */
	bool stopping;                /* told to */
	bool not_started;             /* ORDER_ENDED: the runtime could not start it */
	int exit_code;                /* ORDER_ENDED */
	int64_t started_ms, ended_ms; /* the last time */
	int64_t asked_ms;             /* when it was first told to start: its startTimeout begins */
};

enum order_verb {
	ORDER_NOTHING,
	ORDER_START,
	ORDER_STOP,
	ORDER_GIVE_UP, /* it can never start: ORDER_ENDED without having run */
};

enum order_end {
	ORDER_GOES_ON,
	ORDER_ESSENTIAL_EXITED,
	ORDER_FAILED_TO_START, /* the runtime refused an essential one, or what it waits for will never be */
	ORDER_NONE_LEFT,       /* every container has ended */
};

struct order_next {
	enum order_end end;
	uint32_t because; /* of which container, with ORDER_ESSENTIAL_EXITED and ORDER_FAILED_TO_START */
	bool up;          /* every container has started: the task is RUNNING */
	bool down;        /* none runs or is starting */
	int64_t again_ms; /* a start timeout or a restart's earliest time; 0: nothing to wait for */
};

/* Fills verbs[i] for each of n containers. stopping: the task is to end. */
void order_next(const struct order_container *v, uint32_t n, bool stopping, int64_t now_ms, enum order_verb *verbs,
                struct order_next *ret);
/* HEALTHY while all essential containers with a check are; UNHEALTHY when one of them is not; else UNKNOWN. */
enum order_health order_task_health(const struct order_container *v, uint32_t n);
