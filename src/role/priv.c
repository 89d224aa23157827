/* The privileged role. It holds two sockets: to main, which says when to go and brings a new socket when api was restarted, and to
 * api, whose requests the keeper checks and obeys. It opens no file that a message names, except code directories below DATA/code.
 */
#include "role/role.h"

#include "base/log.h"
#include "engine/cell/confine.h"
#include "engine/cell/keeper.h"
#include "engine/cell/proto.h"
#include "engine/net/netkeeper.h"
#include "engine/oci/steward.h"
#include "engine/vm/proto.h"
#include "engine/vm/warden.h"
#include "io/msg.h"
#include "io/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { REMOVE_TRIES = 200, REMOVE_AGAIN_US = 10 * 1000 };

struct priv {
	struct loop *loop;
	struct keeper *keeper;
	struct netkeeper *networks;
	struct warden *warden;
	struct steward *steward;
	bool main_is_gone;
};

static void api_gone(void *ctx)
{
	(void)ctx; /* its cells are being destroyed; main brings the next one's socket */
}

static void open_channel(void *ctx, unsigned channel, int sock)
{
	struct priv *p = ctx;
	if (channel == PRIV_CHANNEL_NETWORK) {
		netkeeper_serve(p->networks, sock);
		return;
	}
	if (channel == PRIV_CHANNEL_MACHINE) {
		warden_serve(p->warden, sock);
		return;
	}
	if (channel == PRIV_CHANNEL_TASK || channel == PRIV_CHANNEL_LAYER) {
		steward_serve(p->steward, channel == PRIV_CHANNEL_TASK ? STEWARD_OF_TASKS : STEWARD_OF_LAYERS, sock);
		return;
	}
	log_warn("nobody serves channel %u", channel);
	close(sock);
}

static void main_speaks(void *ctx, uint32_t events)
{
	struct priv *p = ctx;
	struct role_note note;
	int fd = -1;
	size_t nfds;
	(void)events;
	ssize_t n = msg_recv(ROLE_FD_MAIN, &note, sizeof(note), &fd, 1, &nfds);
	if (n == -EAGAIN)
		return;
	if (n == sizeof(note) && note.what == ROLE_NEW_API && nfds == 1) {
		keeper_serve(p->keeper, fd, api_gone, p);
		return;
	}
	msg_close_fds(&fd, nfds);
	p->main_is_gone = n <= 0;
	loop_stop(p->loop);
}

/* What main would have done. The kernel kills api with main, but what api is in the middle of may make a file yet. */
static void remove_data(const char *dir)
{
	for (int i = 0; i < REMOVE_TRIES && tree_remove(AT_FDCWD, dir) < 0; i++)
		usleep(REMOVE_AGAIN_US);
}

static void on_signal(void *ctx, int signo)
{
	(void)signo;
	loop_stop(((struct priv *)ctx)->loop);
}

/* zygote.so and restore lie beside the program where it was built, below lib/ where it is installed. False: nowhere. */
static bool find_beside(const char *name, char *ret_path, size_t cap)
{
	static const char *const places[] = {"", "../lib/quartet/"};
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = 0;
	char *slash = strrchr(exe, '/');
	if (!slash)
		return false;
	*slash = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if ((size_t)snprintf(ret_path, cap, "%s/%s%s", exe, places[i], name) < cap && access(ret_path, R_OK) == 0)
			return true;
	return false;
}

int role_priv(const struct role_config *config)
{
	char instance[9];
	keeper_instance(config->data_dir, instance);
	/* ctrl-C in a terminal reaches the whole group; main passes on what it means */
	signal(SIGINT, SIG_IGN);
	/* Its work is short and others wait for it: a claim, or a function that fills its memory. Cells put themselves back. */
	setpriority(PRIO_PROCESS, 0, -10);
	int error = confine_priv();
	if (error)
		log_warn("capabilities could not be reduced: %s", strerror(-error));
	/* three descriptors a cell */
	struct rlimit files = {0};
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	struct priv p = {.loop = loop_new()};
	loop_add_signal(p.loop, SIGTERM, on_signal, &p);
	char library[4200], restorer[4200];
	struct keeper_config k = {
	        .instance = instance,
	        .data_dir = config->data_dir,
	        .runtime_dir = config->runtime_dir,
	        .zygote_library = find_beside("zygote.so", library, sizeof(library)) ? library : NULL,
	        .restorer = find_beside("restore", restorer, sizeof(restorer)) ? restorer : NULL,
	        .range = config->cell_ipv4 ? config->cell_ipv4 : "100.88.0.0/16",
	        .resolver = config->resolver,
	        .cgroup_root = "/sys/fs/cgroup",
	        .uid_base = config->cell_uid_base ? config->cell_uid_base : 200000,
	        .channel = open_channel,
	        .channel_ctx = &p,
	};
	p.keeper = keeper_new(p.loop, &k);
	struct netkeeper_config networks = {.data_dir = config->data_dir, .uid_base = k.uid_base};
	p.networks = netkeeper_new(p.loop, p.keeper, &networks);
	const struct child_world *world = keeper_world(p.keeper);
	p.warden = warden_new(p.loop, world, keeper_cgroups(p.keeper),
	                      k.uid_base + OUTBOUND_SHARES * OUTBOUND_SLOTS + world->outbound.share * MACHINE_SLOTS);
	p.steward = steward_new(p.loop, world, keeper_cgroups(p.keeper), config->data_dir);
	struct loop_fd *main_watch = loop_add_fd(p.loop, ROLE_FD_MAIN, EPOLLIN, main_speaks, &p);
	if (!main_watch)
		die("no socket to main");
	keeper_serve(p.keeper, ROLE_FD_PRIV, api_gone, &p);
	loop_run(p.loop);
	loop_remove_fd(p.loop, main_watch);
	/* Machines and networks go on when main was killed, for the next one to find. An ephemeral cloud has no next one. */
	bool end = !p.main_is_gone || config->ephemeral;
	steward_free(p.steward, !end);
	warden_free(p.warden, !end);
	netkeeper_free(p.networks, end);
	keeper_free(p.keeper);
	loop_free(p.loop);
	if (p.main_is_gone && config->ephemeral)
		remove_data(config->data_dir);
	return 0;
}
