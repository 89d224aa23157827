#include "world.h"

#include "base/hash.h"
#include "base/log.h"
#include "engine/cell/confine.h"
#include "engine/cell/keeper.h"
#include "engine/cell/proto.h"
#include "engine/net/netkeeper.h"
#include "engine/oci/steward.h"
#include "engine/vm/warden.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct cells_config *kept_config;
static const char *kept_runtime_dir, *kept_library;

void world_use_zygotes(const char *runtime_dir, const char *library)
{
	kept_runtime_dir = runtime_dir;
	kept_library = library;
}

static void priv_gone(void *ctx)
{
	loop_stop(ctx);
}

static struct netkeeper *networks;
static struct warden *warden;
static struct steward *steward;

static void open_channel(void *ctx, unsigned channel, int sock)
{
	(void)ctx;
	if (channel == PRIV_CHANNEL_NETWORK)
		netkeeper_serve(networks, sock);
	else if (channel == PRIV_CHANNEL_MACHINE)
		warden_serve(warden, sock);
	else if (channel == PRIV_CHANNEL_TASK)
		steward_serve(steward, STEWARD_OF_TASKS, sock);
	else if (channel == PRIV_CHANNEL_LAYER)
		steward_serve(steward, STEWARD_OF_LAYERS, sock);
	else
		close(sock);
}

static int start_priv(struct world *w)
{
	int pair[2];
	if (msg_pair(pair) < 0)
		die("no socket");
	w->priv = fork();
	if (w->priv == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		setpriority(PRIO_PROCESS, 0, -10); /* as role_priv() does */
		log_open("priv", LOG_WARN);
		if (confine_priv() < 0)
			die("capabilities could not be reduced");
		struct loop *l = loop_new();
		struct keeper_config config = {.instance = w->instance,
		                               .data_dir = w->dir,
		                               .runtime_dir = kept_runtime_dir,
		                               .zygote_library = kept_library,
		                               .restorer = getenv("QUARTET_RESTORER"),
		                               .range = "100.88.0.0/16",
		                               .cgroup_root = "/sys/fs/cgroup",
		                               .uid_base = 200000,
		                               .channel = open_channel};
		struct keeper *k = keeper_new(l, &config);
		networks = netkeeper_new(l, k, &(struct netkeeper_config){.data_dir = w->dir, .uid_base = 200000});
		warden = warden_new(l, keeper_world(k), keeper_cgroups(k), 200000 + OUTBOUND_SHARES * OUTBOUND_SLOTS);
		steward = steward_new(l, keeper_world(k), keeper_cgroups(k), w->dir);
		keeper_serve(k, pair[1], priv_gone, l);
		loop_run(l);
		steward_free(steward, false);
		warden_free(warden, false);
		netkeeper_free(networks, true);
		keeper_free(k);
		loop_free(l);
		_exit(0);
	}
	close(pair[1]);
	return pair[0];
}

static bool never;

static void wait_facts(struct world *w)
{
	for (int i = 0; i < 1000 && !cells_facts(w->cells)->known; i++)
		world_wait(w, &never, 10000);
	if (!cells_facts(w->cells)->works)
		die("cells do not work here: %s", cells_facts(w->cells)->why_not);
}

void world_open(struct world *w, const struct cells_config *config)
{
	static const struct cells_config none;
	*w = (struct world){.dir = "/tmp/quartet-host-XXXXXX"};
	kept_config = config ? config : &none;
	if (!mkdtemp(w->dir))
		die("no directory");
	char path[128];
	unsigned char digest[HASH_MAX_BYTES];
	hash_of(HASH_SHA256, str_from(w->dir), digest);
	hex_encode(digest, 4, w->instance);
	snprintf(path, sizeof(path), "%s/code", w->dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/code/one", w->dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/code/one/hello.txt", w->dir);
	int fd = open(path, O_WRONLY | O_CREAT, 0644);
	if (fd < 0 || write(fd, "hello", 5) != 5)
		die("no file");
	close(fd);
	w->loop = loop_new();
	int sock = start_priv(w);
	w->cells = cells_new(w->loop, sock, kept_config);
	wait_facts(w);
}

void world_restart_priv(struct world *w)
{
	waitpid(w->priv, NULL, 0);
	cells_set_priv(w->cells, start_priv(w));
	wait_facts(w);
}

void world_close(struct world *w)
{
	cells_free(w->cells);
	while (waitpid(w->priv, NULL, 0) < 0 && errno == EINTR)
		;
	loop_free(w->loop);
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	if (system(command) != 0)
		die("cannot remove %s", w->dir);
}

static void wake(void *ctx)
{
	*(bool *)ctx = true;
}

int world_patience(void)
{
	const char *text = getenv("QUARTET_PATIENCE");
	int n = text ? atoi(text) : 1;
	return n < 1 ? 1 : n;
}

void world_sleep(int64_t us)
{
	usleep((useconds_t)(us * world_patience()));
}

bool world_wait(struct world *w, const bool *flag, int64_t timeout_us)
{
	bool late = false;
	timeout_us *= world_patience();
	struct loop_timer *t = loop_add_timer(w->loop, timeout_us, wake, &late);
	while (!*flag && !late)
		loop_turn(w->loop, timeout_us);
	if (!late)
		loop_remove_timer(w->loop, t);
	return *flag;
}

static void on_ready(void *ctx, struct cell *cell, int error)
{
	struct guest *g = ctx;
	(void)cell;
	g->ready = true;
	g->error = error;
}

static void on_exited(void *ctx, struct cell *cell, int process, int status)
{
	struct guest *g = ctx;
	(void)cell;
	g->exited = true;
	g->process = process;
	g->status = status;
}

static void on_lost(void *ctx, struct cell *cell)
{
	struct guest *g = ctx;
	(void)cell;
	g->lost = true;
}

static void on_emptied(void *ctx, struct cell *cell)
{
	struct guest *g = ctx;
	(void)cell;
	g->emptied = true;
}

static const struct cell_events events = {.ready = on_ready, .exited = on_exited, .emptied = on_emptied, .lost = on_lost};

int guest_claim(struct world *w, struct guest *g, const struct cell_spec *spec)
{
	memset(g, 0, sizeof(*g));
	g->world = w;
	g->cell = cell_claim(w->cells, spec, &events, g);
	if (!world_wait(w, &g->ready, 10000000))
		return -ETIMEDOUT;
	return g->error;
}

int guest_open(struct world *w, struct guest *g)
{
	struct cell_spec spec = {.code_dir = S("one"), .memory_mb = 256, .tmp_mb = 16};
	return guest_claim(w, g, &spec);
}

void guest_close(struct guest *g)
{
	cell_destroy(g->cell);
	g->cell = NULL;
}

void guest_read(struct guest *g)
{
	ssize_t n;
	while (g->n < sizeof(g->output) - 1 && (n = read(cell_log_fd(g->cell), g->output + g->n, sizeof(g->output) - 1 - g->n)) > 0)
		g->n += (size_t)n;
	g->output[g->n] = 0;
}

static int start(struct guest *g, const char *const *argv)
{
	static const char *const env[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", NULL};
	struct cell_process process = {.argv = argv, .env = env};
	g->exited = false;
	g->n = 0;
	return cell_start(g->cell, &process);
}

int guest_start(struct guest *g, const char *script)
{
	const char *const argv[] = {"/usr/bin/python3", "-c", script, NULL};
	return start(g, argv);
}

int guest_exec(struct guest *g, const char *const *argv, int64_t timeout_us)
{
	int process = start(g, argv);
	if (process < 0)
		return -1;
	/* the log is drained meanwhile, or a process with much to say would wait for us */
	for (int64_t waited = 0; waited < timeout_us && !g->exited; waited += 20000) {
		world_wait(g->world, &g->exited, 20000);
		guest_read(g);
	}
	return g->exited && g->process == process ? g->status : -1;
}

int guest_run(struct guest *g, const char *script, int64_t timeout_us)
{
	const char *const argv[] = {"/usr/bin/python3", "-c", script, NULL};
	return guest_exec(g, argv, timeout_us);
}
