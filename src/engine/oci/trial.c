/* A runtime that was chosen by the configuration is tried before anybody's task is given to it: a sandbox is made as for every
 * task, and the runtime runs one of this machine's programs in it. What it says when that fails is what every task is refused with.
 */
#include "engine/oci/runtime.h"
#include "engine/oci/task_state.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRIAL_US = 60 * 1000000 };
#define TRIAL_MEMORY (512ull << 20)
#define TRIAL_SCRATCH (64ull << 20)

struct trial {
	struct tasks *tasks;
	struct task_user user;
	struct task *task;
	struct loop_timer *late;
	bool ran;
	char why[160];
};

static void begin(struct trial *p);

/* The sandbox is being taken away, or was never made. */
static void finish(struct trial *p, bool works)
{
	struct tasks *s = p->tasks;
	const char *name = oci_runtime(s->runtime)->name;
	if (!works) {
		s->facts.works = false;
		s->trial_failed = true;
		snprintf(s->facts.why_not, sizeof(s->facts.why_not), "%s starts no containers here: %.120s", name, p->why);
		log_error("[containers] runtime = %s: %s; tasks are refused", name, s->facts.why_not);
	}
	loop_remove_timer(s->loop, p->late);
	s->trial = NULL;
	free(p);
	tasks_check_settled(s);
}

static void ready(void *ctx, struct task *t)
{
	(void)ctx;
	task_start(t, 0);
}

static void started(void *ctx, struct task *t, unsigned index, int64_t at_us)
{
	(void)ctx;
	(void)t;
	(void)index;
	(void)at_us;
}

static void exited(void *ctx, struct task *t, unsigned index, const struct task_exit *e)
{
	(void)index;
	struct trial *p = ctx;
	p->ran = !e->not_started && e->code == 0;
	if (e->not_started)
		snprintf(p->why, sizeof(p->why), "%.150s", e->why);
	else
		snprintf(p->why, sizeof(p->why), "a program in one ended with status %d", e->code);
	task_end(t);
}

static void output(void *ctx, struct task *t, unsigned index, bool is_error, int64_t at_us, struct str line)
{
	(void)ctx;
	(void)t;
	(void)index;
	(void)is_error;
	(void)at_us;
	(void)line;
}

static void health(void *ctx, struct task *t, unsigned index, enum task_health_state state)
{
	(void)ctx;
	(void)t;
	(void)index;
	(void)state;
}

static void ended(void *ctx, struct task *t, int error, const char *why)
{
	struct trial *p = ctx;
	task_free(t);
	p->task = NULL;
	if (error == -EAGAIN) { /* priv died meanwhile */
		begin(p);
		return;
	}
	if (!p->why[0])
		snprintf(p->why, sizeof(p->why), "%.150s", why);
	finish(p, p->ran);
}

static const struct task_events events = {
        .ready = ready, .started = started, .exited = exited, .output = output, .health = health, .ended = ended};

static void too_late(void *ctx)
{
	struct trial *p = ctx;
	p->late = NULL;
	p->ran = false;
	snprintf(p->why, sizeof(p->why), "it did not come to an end within a minute");
	task_end(p->task);
}

static void begin(struct trial *p)
{
	static const char *const argv[] = {"/usr/bin/true", NULL};
	static const struct task_container c = {.name = "trial", .argv = argv, .stop_timeout_us = 1};
	char id[TASK_ID_MAX];
	snprintf(id, sizeof(id), "trial-%d-%u", (int)getpid(), p->tasks->next_number);
	const struct task_spec spec = {
	        .id = id, .memory_bytes = TRIAL_MEMORY, .scratch_bytes = TRIAL_SCRATCH, .containers = &c, .container_count = 1};
	p->task = task_new(p->tasks, &spec, p);
	p->task->user = &p->user;
}

void trial_begin(struct tasks *s)
{
	struct trial *p = calloc(1, sizeof(*p));
	if (!p)
		die("out of memory");
	*p = (struct trial){.tasks = s, .user = {"", &events, NULL, p}};
	s->tried = true;
	s->trial = p;
	p->late = loop_add_timer(s->loop, TRIAL_US, too_late, p);
	begin(p);
}

void trial_free(struct tasks *s)
{
	if (!s->trial)
		return;
	loop_remove_timer(s->loop, s->trial->late);
	free(s->trial);
	s->trial = NULL;
}
