/* Tasks without the cloud, for host tests: `api`'s side of engine/oci over a `priv` of the test's own (world.h), and an image of
 * busybox. */
#pragma once
#include "world.h"

#include "engine/oci/image.h"
#include "engine/oci/task.h"

enum { SOON_US = 60 * 1000000 };

extern struct world world;
extern struct images *images;
extern struct tasks *tasks;
extern struct image *image;

/* What was heard of the task that is under test. */
extern struct heard {
	bool settled, ready, ended, image_ready, never;
	bool started[4], exited[4], oom[4], not_started[4], opened, closed;
	int code[4], image_error, closed_code, terminal, error;
	char text[65536], why[512], image_why[512];
	unsigned health;
	struct task *found;
} heard;

extern const struct task_events crew_events;
void *crew_found(void *ctx, struct task *t, const char *id);
void crew_image(void *ctx, struct image *i, int error, const char *why);

/* For cmocka's groups. Skips the program (77) where tasks do not work. */
int crew_set_up(void **state);
int crew_tear_down(void **state);

void wait_for(const bool *flag);
/* Until the task has said this; fails otherwise. */
void wait_to_hear(const char *text);
struct task_container container(const char *const *argv);
/* The task "task-1" of these containers, ready. */
struct task *make(const struct task_container *c, size_t n);
/* Runs a shell's words in a container of its own; what it said is in heard.text. Its exit code; -1: it never ran. */
int run_as(struct task_container c, const char *script);
int run(const char *script);
/* Has container 0 said this line? */
bool said(const char *line);
void expect(const char *line);

/* SHA-256 of what the command writes. */
void digest_of(const char *command, char ret[65]);
/* How many names in the directory begin so. */
unsigned count_names(const char *path, const char *prefix);
/* Nobody's control group, no storage: waits for it, and fails when it does not come. */
void leaves_nothing(void **state);
