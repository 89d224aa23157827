#include "crew.h"

#include "../unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct world world;
struct images *images;
struct tasks *tasks;
struct image *image;
struct heard heard;
static char layer_file[128], digest[65], diff_id[65];

static void on_ready(void *ctx, struct task *t)
{
	(void)ctx;
	(void)t;
	heard.ready = true;
}

static void on_started(void *ctx, struct task *t, unsigned index, int64_t at_us)
{
	(void)ctx;
	(void)t;
	assert_true(at_us > 0);
	heard.started[index] = true;
}

static void on_exited(void *ctx, struct task *t, unsigned index, const struct task_exit *e)
{
	(void)ctx;
	(void)t;
	heard.exited[index] = true;
	heard.code[index] = e->code;
	heard.oom[index] = e->oom;
	heard.not_started[index] = e->not_started;
	snprintf(heard.why, sizeof(heard.why), "%s", e->why);
}

static void on_output(void *ctx, struct task *t, unsigned index, bool is_error, int64_t at_us, struct str line)
{
	(void)ctx;
	(void)t;
	(void)at_us;
	size_t n = strlen(heard.text);
	snprintf(heard.text + n, sizeof(heard.text) - n, "%u%s %.*s\n", index, is_error ? "!" : ":", (int)line.n, line.p);
}

static void on_health(void *ctx, struct task *t, unsigned index, enum task_health_state state)
{
	(void)ctx;
	(void)t;
	(void)index;
	heard.health = state;
}

static void on_ended(void *ctx, struct task *t, int error, const char *why)
{
	(void)ctx;
	(void)t;
	heard.ended = true;
	heard.error = error;
	snprintf(heard.why, sizeof(heard.why), "%s", why);
}

static void on_settled(void *ctx)
{
	(void)ctx;
	heard.settled = true;
}

void *crew_found(void *ctx, struct task *t, const char *id)
{
	(void)id;
	heard.found = t;
	return ctx;
}

const struct task_events crew_events = {on_ready, on_started, on_exited, on_output, on_health, on_ended, on_settled};

void wait_for(const bool *flag)
{
	if (!world_wait(&world, flag, SOON_US))
		fail_msg("it did not happen; error %d, why: %s, said:\n%s", heard.error, heard.why, heard.text);
}

/* ---- the image ---- */

void digest_of(const char *command, char ret[65])
{
	char line[256];
	snprintf(line, sizeof(line), "%s | sha256sum", command);
	FILE *f = popen(line, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%64s", ret), 1);
	pclose(f);
}

static void make_image(void)
{
	char command[2048];
	snprintf(
	        command, sizeof(command),
	        "set -e; mkdir -p %s/root/bin %s/root/etc %s/root/tmp; chmod 1777 %s/root/tmp; cp /usr/bin/busybox %s/root/bin/; "
	        "for i in sh cat ls id sleep touch mount dd ping ps kill stat chmod mknod unshare ip grep nc tr seq wc xargs env rm cp stty; do ln -s busybox %s/root/bin/$i; done; "
	        "printf 'root:x:0:0::/root:/bin/sh\\nweb:x:1000:1001::/:/bin/sh\\n' > %s/root/etc/passwd; "
	        "printf 'root:x:0:\\nweb:x:1001:\\nextra:x:1002:web\\n' > %s/root/etc/group; "
	        "tar --numeric-owner --owner=0 --group=0 -C %s/root -czf %s/layer.tar.gz .",
	        world.dir, world.dir, world.dir, world.dir, world.dir, world.dir, world.dir, world.dir, world.dir, world.dir);
	const char *probe = getenv("QUARTET_PROBE");
	if (probe) {
		char copy[512];
		snprintf(copy, sizeof(copy), "mkdir -p %s/root/bin && cp %s %s/root/bin/probe", world.dir, probe, world.dir);
		assert_int_equal(system(copy), 0);
	}
	assert_int_equal(system(command), 0);
	snprintf(layer_file, sizeof(layer_file), "%s/layer.tar.gz", world.dir);
	snprintf(command, sizeof(command), "cat %s", layer_file);
	digest_of(command, digest);
	snprintf(command, sizeof(command), "gzip -dc %s", layer_file);
	digest_of(command, diff_id);
}

static int open_layer(void *ctx, size_t index)
{
	(void)ctx;
	(void)index;
	int fd = open(layer_file, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void crew_image(void *ctx, struct image *i, int error, const char *why)
{
	(void)ctx;
	(void)i;
	heard.image_ready = true;
	heard.image_error = error;
	snprintf(heard.image_why, sizeof(heard.image_why), "%s", why);
}

int crew_set_up(void **state)
{
	(void)state;
	world_open(&world, NULL);
	make_image();
	images = images_new(world.loop, world.cells, world.dir, NULL);
	tasks = tasks_new(world.loop, world.cells, world.dir, getenv("QUARTET_CONTAINER_RUNTIME"), &crew_events, crew_found,
	                  &heard);
	wait_for(&heard.settled);
	if (!tasks_facts(tasks)->works) {
		print_message("skipped: %s\n", tasks_facts(tasks)->why_not);
		exit(77);
	}
	const struct image_layer layer = {digest, diff_id, 0};
	image = image_prepare(images, &layer, 1, open_layer, crew_image, NULL);
	wait_for(&heard.image_ready);
	if (heard.image_error)
		fail_msg("the image: %d %s", heard.image_error, heard.image_why);
	return 0;
}

int crew_tear_down(void **state)
{
	(void)state;
	image_release(image);
	tasks_free(tasks);
	images_free(images);
	world_close(&world);
	return 0;
}

unsigned count_names(const char *path, const char *prefix)
{
	DIR *d = opendir(path);
	unsigned n = 0;
	for (struct dirent *e; d && (e = readdir(d));)
		n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	if (d)
		closedir(d);
	return n;
}

/* ---- tasks ---- */

void wait_to_hear(const char *text)
{
	for (int i = 0; i < 6000 * world_patience() && !strstr(heard.text, text); i++)
		world_wait(&world, &heard.never, 10000);
	if (!strstr(heard.text, text))
		fail_msg("\"%s\" was not said, but:\n%s", text, heard.text);
}

struct task_container container(const char *const *argv)
{
	return (struct task_container){.name = "one", .image = image, .argv = argv, .stop_timeout_us = SOON_US};
}

struct task *make(const struct task_container *c, size_t n)
{
	struct task_spec spec = {.id = "task-1",
	                         .memory_bytes = 128 << 20,
	                         .scratch_bytes = 64 << 20,
	                         .host_name = "host-1",
	                         .containers = c,
	                         .container_count = n};
	memset(&heard, 0, sizeof(heard));
	heard.terminal = -1;
	struct task *t = task_new(tasks, &spec, &heard);
	for (int i = 0; i < 6000 && !heard.ready && !heard.ended; i++)
		world_wait(&world, &heard.never, 10000);
	if (!heard.ready)
		fail_msg("the task is not ready: %d %s", heard.error, heard.why);
	return t;
}

/* Runs a shell's words in a container of its own; what it said is in heard.text. */
int run_as(struct task_container c, const char *script)
{
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	c.argv = argv;
	struct task *t = make(&c, 1);
	assert_int_equal(task_start(t, 0), 0);
	wait_for(&heard.exited[0]);
	int code = heard.code[0];
	task_free(t);
	if (heard.not_started[0])
		print_message("not started: %s\n", heard.why);
	return heard.not_started[0] ? -1 : code;
}

int run(const char *script)
{
	return run_as(container(NULL), script);
}

bool said(const char *line)
{
	char text[300];
	snprintf(text, sizeof(text), "0: %s\n", line);
	return strstr(heard.text, text) != NULL;
}

void expect(const char *line)
{
	if (!said(line))
		fail_msg("\"%s\" is not in:\n%s", line, heard.text);
}

static unsigned count_below(const char *path, const char *prefix)
{
	DIR *d = opendir(path);
	unsigned n = 0;
	for (struct dirent *e; d && (e = readdir(d));)
		n += strncmp(e->d_name, prefix, strlen(prefix)) == 0 && e->d_name[1] >= '0' && e->d_name[1] <= '9';
	if (d)
		closedir(d);
	return n;
}

static bool nothing_left(void)
{
	char path[128];
	static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids"};
	unsigned n = 0;
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/quartet-%s", roots[i], world.instance);
		n += count_below(path, "t");
	}
	snprintf(path, sizeof(path), "%s/scratch", world.dir);
	return n + count_below(path, "t") == 0;
}

void leaves_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 1000 && !nothing_left(); i++)
		world_wait(&world, &heard.never, 10000);
	assert_true(nothing_left());
}
