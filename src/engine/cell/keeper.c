/* What all cells share, made once: control groups, the template of the root, the filter, the way out. */
#include "engine/cell/confine.h"
#include "engine/cell/keeper_state.h"
#include "engine/cell/root.h"

#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void keeper_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void cannot(struct keeper *k, const char *what, int error)
{
	k->works = false;
	if (!k->why_not[0])
		snprintf(k->why_not, sizeof(k->why_not), "%.100s: %s", what, strerror(-error));
}

enum { INSTANCE_WAIT_MS = 10000, INSTANCE_LOOK_MS = 2 };

/* A priv whose main has been killed tidies up while the next one starts: what it removes by name must not be that one's already. */
static int lock_instance(const char *instance)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int length = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "quartet-priv-%.8s", instance);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (int waited_ms = 0; fd >= 0 && waited_ms < INSTANCE_WAIT_MS; waited_ms += INSTANCE_LOOK_MS) {
		socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
		if (bind(fd, (struct sockaddr *)&a, size) == 0 || errno != EADDRINUSE)
			return fd;
		usleep(INSTANCE_LOOK_MS * 1000);
	}
	if (fd >= 0)
		log_warn("another priv of this cloud has not ended in %d s: it may take away what is made now",
		         INSTANCE_WAIT_MS / 1000);
	return fd;
}

static void open_cgroups(struct keeper *k, const struct keeper_config *c)
{
	char self[4096] = "";
	int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = read(fd, self, sizeof(self) - 1);
		self[n > 0 ? n : 0] = 0;
		close(fd);
	}
	int error = cgroups_open(&k->cgroups, c->cgroup_root, self, c->instance);
	if (error) {
		cannot(k, "no control groups", error);
		return;
	}
	k->has_cgroups = true;
	if (!k->cgroups.has[CGROUP_MEMORY] || !k->cgroups.has[CGROUP_PIDS])
		cannot(k, "control groups without memory or pids", -ENOTSUP);
	/* what a crashed priv left dies now; a process needs a moment for that */
	for (int i = 0; i < 500 && cgroups_sweep(&k->cgroups); i++)
		usleep(2000);
	cgroups_make_still(&k->cgroups);
}

static void open_template(struct keeper *k, const struct keeper_config *c)
{
	char stage[512], why[160];
	snprintf(stage, sizeof(stage), "%s/stage", c->data_dir);
	if (mkdir(stage, 0700) < 0 && errno != EEXIST) {
		cannot(k, stage, -errno);
		return;
	}
	struct root_config root = {.stage_dir = stage, .runtime_dir = c->runtime_dir, .resolver = c->resolver};
	if (root_make_template(&root, &k->world.template_fd, why, sizeof(why)) < 0) {
		k->works = false;
		if (!k->why_not[0])
			memcpy(k->why_not, why, sizeof(why));
		return;
	}
	k->stage = root_open_stage(&root);
	if (k->stage < 0)
		log_warn("no functions from images: %s: %s", stage, strerror(-k->stage));
}

static int open_path(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC);
}

struct keeper *keeper_new(struct loop *l, const struct keeper_config *c)
{
	struct keeper *k = calloc(1, sizeof(*k));
	if (!k)
		die("out of memory");
	*k = (struct keeper){.loop = l,
	                     .sock = -1,
	                     .works = true,
	                     .own_mount_ns = -1,
	                     .data_dir = -1,
	                     .stage = -1,
	                     .uid_base = c->uid_base,
	                     .zygote_library = c->zygote_library,
	                     .channel = c->channel,
	                     .channel_ctx = c->channel_ctx,
	                     .world = {.template_fd = -1, .host_proc_fd = -1, .host_net_ns_fd = -1, .outbound.lock_fd = -1}};
	list_init(&k->cells);
	k->instance_fd = lock_instance(c->instance);
	int error = root_private_mounts();
	if (error)
		cannot(k, "no private mount namespace", error);
	k->own_mount_ns = open_path("/proc/self/ns/mnt", O_RDONLY);
	k->world.host_net_ns_fd = open_path("/proc/self/ns/net", O_RDONLY);
	k->world.host_proc_fd = open_path("/proc", O_PATH | O_DIRECTORY);
	k->data_dir = open_path(c->data_dir, O_PATH | O_DIRECTORY);
	if (k->own_mount_ns < 0 || k->world.host_net_ns_fd < 0 || k->world.host_proc_fd < 0 || k->data_dir < 0)
		cannot(k, "opening /proc or the data directory", -errno);
	open_cgroups(k, c);
	if (!error)
		open_template(k, c);
	error = confine_compile(&k->world.filter);
	k->has_filter = !error;
	if (error)
		cannot(k, "seccomp", error);
	keeper_snapshots_open(k, c->restorer);
	error = outbound_open(&k->world.outbound, c->instance, c->range);
	if (error)
		cannot(k, "no free address range", error);
	return k;
}

void keeper_instance(const char *data_dir, char ret_instance[9])
{
	char *real = realpath(data_dir, NULL);
	unsigned char digest[HASH_MAX_BYTES];
	hash_of(HASH_SHA256, str_from(real ? real : data_dir), digest);
	hex_encode(digest, 4, ret_instance);
	free(real);
}

const struct child_world *keeper_world(const struct keeper *k)
{
	return &k->world;
}

struct cgroups *keeper_cgroups(struct keeper *k)
{
	return &k->cgroups;
}

void keeper_free(struct keeper *k)
{
	if (!k)
		return;
	loop_remove_fd(k->loop, k->watch);
	loop_remove_timer(k->loop, k->sweeping);
	keeper_close_fd(&k->sock);
	list_each (&k->cells, struct held, at, h)
		keeper_end(h);
	while (k->count)
		loop_turn(k->loop, 100000);
	keeper_snapshots_close(k);
	for (int i = 0; i < CELL_IMAGES; i++)
		zygote_stop(k->zygotes[i]);
	if (k->world.outbound.lock_fd >= 0)
		outbound_close(&k->world.outbound);
	if (k->has_cgroups)
		cgroups_close(&k->cgroups, true);
	if (k->stage >= 0)
		root_close_stage(k->data_dir, k->stage);
	unlinkat(k->data_dir, "stage", AT_REMOVEDIR);
	free(k->world.filter.filter);
	keeper_close_fd(&k->world.template_fd);
	keeper_close_fd(&k->own_mount_ns);
	keeper_close_fd(&k->world.host_proc_fd);
	keeper_close_fd(&k->world.host_net_ns_fd);
	keeper_close_fd(&k->data_dir);
	keeper_close_fd(&k->instance_fd); /* nothing of this name is touched from here on */
	free(k);
}
