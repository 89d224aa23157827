/* Three stages. As root of the machine, in priv's mount namespace: the layers and the writable space are opened as detached mounts.
 * Then, still root, in a file system that has no file of this machine's but its programs: the mounts are shifted to the task's ids
 * and put in their places. Then as root of a user namespace of its own, which is nobody on the machine: the containers' root file
 * systems, the network.
 *
 * What needs a right on the machine after that - writing the maps of ids, making the network link - a helper does, which was born
 * before and is gone before anything of a client's is started. */
#include "engine/oci/child.h"
#include "engine/oci/scratch.h"
#include "engine/oci/shim.h"

#include "engine/net/link.h"
#include "engine/net/plug.h"
#include "engine/net/route6.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MAIN_TABLE = 254,              /* of routes */
	HIGH_FD = 4096,                /* above all that the child has open while it works */
	METADATA_ADDRESS = 0xa9feaa02, /* 169.254.170.2 */
	METADATA_PEER = 0xa9feab02,    /* 169.254.171.2 */
	METADATA_PREFIX = 23,          /* without 169.254.169, which is the VPC's */
	FILES_MAX = 1 << 16,
};

/* Metadata is served from a namespace of its own at the other end of a link, so that the task's own programs may listen at port 80
 * of all their addresses. What this process opens while it is in there stays there. */
struct beside {
	int ns, netlink, listener;
};

struct made {
	int layers[STEWARD_LAYERS_MAX], locks[STEWARD_LAYERS_MAX];
	int scratch;
	struct group_views views;
	struct beside beside;
};

static int fail(struct steward_answer *a, int error, const char *what)
{
	if (!a->why[0])
		snprintf(a->why, sizeof(a->why), "%s: %s", what, strerror(-error));
	return error;
}

/* ---- as root, among the machine's mounts ---- */

static void layer_name(const uint8_t *digest, const char *file, char ret[80])
{
	for (int i = 0; i < STEWARD_DIGEST_BYTES; i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
	snprintf(ret + 2 * STEWARD_DIGEST_BYTES, 80 - 2 * STEWARD_DIGEST_BYTES, "/%s", file);
}

/* Whoever wants to remove a layer locks it for himself first. */
static int lock_layer(int dir, const uint8_t *digest)
{
	char name[80];
	layer_name(digest, "lock", name);
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_SH | LOCK_NB) < 0) {
		int error = errno == EWOULDBLOCK ? -ENOENT : -errno;
		close(fd);
		return error;
	}
	return fd;
}

static int open_layer(int dir, const uint8_t *digest)
{
	char name[80];
	layer_name(digest, "fs", name);
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
	                       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
	int tree = fd < 0 ? -1 : open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	int error = tree < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return error ? error : tree;
}

static int open_mounts(const struct task_child *c, struct made *m, struct steward_answer *a)
{
	const struct steward_request *r = c->request;
	for (unsigned i = 0; i < r->layer_count; i++) {
		m->locks[i] = lock_layer(c->layers, r->digests[i]);
		m->layers[i] = m->locks[i] < 0 ? m->locks[i] : open_layer(c->layers, r->digests[i]);
		if (m->layers[i] < 0)
			return fail(a, m->layers[i], "opening a layer");
	}
	int error = group_views_open(c, &m->views);
	if (error)
		return fail(a, error, "the sight of control groups");
	error = scratch_make(c->scratch, c->slot, r->scratch_bytes, TASK_UID_BASE + c->slot * TASK_UIDS, &m->scratch);
	return error ? fail(a, error, "making the task's storage") : 0;
}

/* ---- as root, in the shim's file system ---- */

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return error;
}

static int write_map(pid_t pid, const char *what, unsigned inside, unsigned outside)
{
	char path[40], text[48];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	snprintf(text, sizeof(text), "%u %u %d\n", inside, outside, TASK_UIDS);
	return write_text(path, text);
}

static int write_maps(pid_t pid, unsigned inside, unsigned outside)
{
	int error = write_map(pid, "gid_map", inside, outside);
	return error ? error : write_map(pid, "uid_map", inside, outside);
}

static int stand_still(void *nothing)
{
	(void)nothing;
	for (;;)
		syscall(SYS_pause);
	return 0;
}

/* A user namespace of which only the map is wanted. It comes with a process that shares our memory and touches none of it. */
static int make_map(unsigned inside, unsigned outside)
{
	static char stack[4096] __attribute__((aligned(16)));
	char path[40];
	pid_t pid = clone(stand_still, stack + sizeof(stack), CLONE_VM | CLONE_NEWUSER | SIGCHLD, NULL);
	if (pid < 0)
		return -errno;
	int error = write_maps(pid, inside, outside);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	int fd = error ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (!error && fd < 0)
		error = -errno;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return error ? error : fd;
}

static int attach_layers(const struct task_child *c, struct made *m)
{
	char path[32];
	int users = make_map(LAYER_UID_BASE, TASK_UID_BASE + c->slot * TASK_UIDS), error = users < 0 ? users : 0;
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME,
	                          .attr_clr = MOUNT_ATTR__ATIME,
	                          .propagation = MS_PRIVATE,
	                          .userns_fd = (uint64_t)users};
	for (unsigned i = 0; i < c->request->layer_count && !error; i++) {
		snprintf(path, sizeof(path), SHIM_LAYERS "/%u", i);
		if (mkdir(path, 0700) < 0 || mount_setattr(m->layers[i], "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ||
		    move_mount(m->layers[i], "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
			error = -errno;
		close(m->layers[i]);
	}
	if (users >= 0)
		close(users);
	return error;
}

static int fill(const char *name, int from)
{
	char path[64], room[16384];
	snprintf(path, sizeof(path), SHIM_FILES "/%s", name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	int error = 0;
	ssize_t n;
	for (off_t at = 0; !error && (n = pread(from, room, sizeof(room), at)) != 0; at += n)
		if (n < 0 || write(fd, room, (size_t)n) != n)
			error = -EIO;
	close(fd);
	return error;
}

static int make_files(const struct task_child *c, struct made *m, struct steward_answer *a)
{
	static const char *const directories[] = {SHIM_LAYERS, SHIM_ROOTS, SHIM_SCRATCH, SHIM_FILES, SHIM_STATE, SHIM_BUNDLES};
	const unsigned plain = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	uid_t owner = TASK_UID_BASE + c->slot * TASK_UIDS;
	if (setns(c->world->template_fd, CLONE_NEWNS) < 0 || unshare(CLONE_NEWNS) < 0)
		return fail(a, -errno, "entering the sandbox's file system");
	int error = child_mount("tmpfs", "/tmp", "0755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	/* The kernel lets a container mount these two only where they can be seen whole already. */
	if (!error)
		error = child_mount("proc", "/proc", NULL, plain);
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]) && !error; i++)
		if (mkdir(directories[i], 0755) < 0 || chown(directories[i], owner, owner) < 0)
			error = -errno;
	if (!error)
		error = child_mount("sysfs", "/sys", NULL, plain);
	if (!error)
		error = group_views_attach(c, &m->views);
	if (error)
		return fail(a, error, "making the sandbox's file system");
	error = attach_layers(c, m);
	if (error)
		return fail(a, error, "mounting a layer");
	if (move_mount(m->scratch, "", AT_FDCWD, SHIM_SCRATCH, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return fail(a, -errno, "mounting the task's storage");
	close(m->scratch);
	return chdir("/") < 0 ? -errno : 0;
}

/* ---- the helper ---- */

static int make_link(int plug)
{
	int to = open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);
	return to < 0 ? -errno : plug_link(plug, to, "eth0");
}

static _Noreturn void help(const struct task_child *c, int sock)
{
	int32_t word;
	if (read(sock, &word, sizeof(word)) != sizeof(word))
		_exit(1);
	word = write_maps(1, 0, TASK_UID_BASE + c->slot * TASK_UIDS);
	if (write(sock, &word, sizeof(word)) != sizeof(word) || word || read(sock, &word, sizeof(word)) != sizeof(word))
		_exit(1);
	word = c->request->has_port ? make_link(c->fds[TASK_FDS + c->request->container_count]) : 0;
	_exit(write(sock, &word, sizeof(word)) != sizeof(word));
}

static int ask_helper(int sock)
{
	int32_t word = 0;
	if (write(sock, &word, sizeof(word)) != sizeof(word) || read(sock, &word, sizeof(word)) != sizeof(word))
		return -EIO;
	return word;
}

static int open_beside(struct beside *b)
{
	*b = (struct beside){-1, -1, -1};
	b->ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	b->netlink = link_socket();
	b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return b->ns < 0 || b->netlink < 0 || b->listener < 0 ? -EIO : 0;
}

/* Root of a user namespace that owns every other namespace of the task. */
static int become_root_of_nothing(const struct task_child *c, struct made *m, struct steward_answer *a)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid_t helper = fork();
	if (helper == 0) {
		close(pair[0]);
		help(c, pair[1]);
	}
	close(pair[1]);
	int error = helper < 0 || setgroups(0, NULL) < 0 || unshare(CLONE_NEWUSER) < 0 ? -errno : ask_helper(pair[0]);
	if (!error && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 ||
	               unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0))
		error = -errno;
	if (!error && (error = open_beside(&m->beside)) == 0 && unshare(CLONE_NEWNET) < 0)
		error = -errno;
	if (error)
		fail(a, error, "making the user namespace");
	else if ((error = ask_helper(pair[0])) < 0) {
		fail(a, error, "making the network interface");
		/* The plug is one of before, or was used by a maker that died: with a new one it goes. */
		if (error == -EPIPE || error == -EEXIST)
			error = -EAGAIN;
	}
	close(pair[0]);
	while (helper > 0 && waitpid(helper, NULL, 0) < 0 && errno == EINTR)
		;
	return error;
}

/* ---- as root of that ---- */

/* An overlay wants its directories to be opened in one go, so that the chain is written with names as short as can be. */
static int mount_layers(const struct steward_request *r, unsigned index)
{
	char options[4000], path[64], work[64];
	const struct steward_container *k = &r->containers[index];
	size_t n = (size_t)snprintf(
	        options, sizeof(options),
	        "userxattr,volatile,upperdir=" SHIM_SCRATCH "/u%u,workdir=" SHIM_SCRATCH "/w%u,lowerdir=", index, index);
	for (unsigned i = k->layer_count; i > 0 && n < sizeof(options); i--)
		n += (size_t)snprintf(options + n, sizeof(options) - n, "%u%s", k->layers[i - 1], i > 1 ? ":" : "");
	if (n >= sizeof(options))
		return -E2BIG;
	snprintf(path, sizeof(path), SHIM_SCRATCH "/u%u", index);
	snprintf(work, sizeof(work), SHIM_SCRATCH "/w%u", index);
	if (mkdir(path, 0755) < 0 || mkdir(work, 0700) < 0)
		return -errno;
	snprintf(path, sizeof(path), SHIM_ROOTS "/%u", index);
	if (mkdir(path, 0755) < 0 || mount("overlay", path, "overlay", MS_NODEV, options) < 0)
		return -errno;
	return 0;
}

/* Without layers: a root in which the programs of this machine can be put (bundle.c) and run. */
static int make_empty_root(unsigned index)
{
	static const char *const links[][2] = {
	        {"usr/bin", "bin"}, {"usr/sbin", "sbin"}, {"usr/lib", "lib"}, {"usr/lib64", "lib64"}};
	char from[64], path[64], link[80];
	snprintf(from, sizeof(from), SHIM_SCRATCH "/u%u", index);
	snprintf(path, sizeof(path), SHIM_ROOTS "/%u", index);
	if (mkdir(from, 0755) < 0 || mkdir(path, 0755) < 0 || mount(from, path, NULL, MS_BIND, NULL) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		snprintf(link, sizeof(link), "%s/%s", path, links[i][1]);
		if (symlink(links[i][0], link) < 0)
			return -errno;
	}
	return 0;
}

static int mount_root(const struct steward_request *r, unsigned index)
{
	return r->containers[index].layer_count ? mount_layers(r, index) : make_empty_root(index);
}

static int make_roots(const struct task_child *c, struct steward_answer *a)
{
	char path[64];
	if (chdir(SHIM_LAYERS) < 0)
		return -errno;
	for (unsigned i = 0; i < c->request->container_count; i++) {
		int error = mount_root(c->request, i);
		if (error)
			return fail(a, error, "mounting a root file system");
	}
	for (unsigned i = 0; i < c->request->volume_count; i++) {
		snprintf(path, sizeof(path), SHIM_SCRATCH "/v%u", i);
		if (mkdir(path, 0755) < 0)
			return fail(a, -errno, "making a volume");
	}
	static const char *const names[] = {"hosts", "resolv.conf", "hostname"};
	for (int i = 0; i < 3; i++) {
		int error = fill(names[i], c->fds[TASK_FD_HOSTS + i]);
		if (error)
			return fail(a, error, names[i]);
	}
	return chdir("/") < 0 ? -errno : 0;
}

static int connect_beside(const struct beside *b, int sock)
{
	const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = {htonl(METADATA_ADDRESS)}};
	unsigned ours = 0, theirs = 0;
	int error = link_add_veth(sock, "ecs-eth0", "eth0", b->ns);
	if (!error)
		error = link_index(sock, "ecs-eth0", &ours);
	if (!error)
		error = link_index(b->netlink, "eth0", &theirs);
	if (!error)
		error = link_up(b->netlink, theirs);
	if (!error)
		error = link_add_address(b->netlink, theirs, METADATA_ADDRESS, METADATA_PREFIX);
	if (!error)
		error = link_add_address(sock, ours, METADATA_PEER, METADATA_PREFIX);
	if (!error && (bind(b->listener, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(b->listener, 128) < 0))
		error = -errno;
	return error;
}

/* The link lost what it had when it was moved in here. */
static int make_network6(const struct steward_request *r, int sock, unsigned index)
{
	struct route6 out = {.table = MAIN_TABLE, .kind = ROUTE_VIA, .ifindex = index, .gateway = ROUTER6_ADDRESS};
	int error = address6_add(sock, index, r->address6, 128);
	return error ? error : route6_set(sock, &out);
}

static int make_network(const struct steward_request *r, const struct beside *b)
{
	unsigned index = 0;
	int sock = link_socket(), error = sock < 0 ? sock : link_up(sock, 1);
	if (!error)
		error = connect_beside(b, sock);
	if (!error && r->has_port)
		error = link_index(sock, "eth0", &index);
	if (!error && r->has_port)
		error = link_add_address(sock, index, r->address, r->prefix);
	if (!error && r->has_port)
		error = link_up(sock, index);
	if (!error && r->has_port)
		error = link_add_default_route(sock, index, r->gateway);
	if (!error && r->has_address6)
		error = make_network6(r, sock, index);
	if (sock >= 0)
		close(sock);
	return error;
}

/* What is above a limit of the machine's own, no root of a user namespace may give. Where we may not either (in a container), what
 * is there must do. */
static int raise_limits(void)
{
	static const int unlimited[] = {RLIMIT_NPROC,      RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE,
	                                RLIMIT_SIGPENDING, RLIMIT_STACK,   RLIMIT_CORE};
	struct rlimit limit = {0};
	for (size_t i = 0; i < sizeof(unlimited) / sizeof(unlimited[0]); i++) {
		if (getrlimit(unlimited[i], &limit) < 0)
			return -errno;
		limit.rlim_max = RLIM_INFINITY;
		if (unlimited[i] == RLIMIT_CORE)
			limit.rlim_cur = 0;
		if (setrlimit(unlimited[i], &limit) < 0 && errno != EPERM)
			return -errno;
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_max < FILES_MAX)
		limit.rlim_max = FILES_MAX;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 && errno != EPERM ? -errno : 0;
}

/* ---- the shim's descriptors ---- */

struct keep {
	int next;
};

static int keep_fd(struct keep *k, int fd)
{
	if (fd < 0)
		return -1;
	int kept = fcntl(fd, F_DUPFD_CLOEXEC, k->next);
	if (kept != k->next)
		_exit(1);
	k->next++;
	return kept;
}

static void keep_all(const struct task_child *c, const struct made *m, struct task_shim_plan *p)
{
	const struct steward_request *r = c->request;
	struct keep k = {.next = HIGH_FD};
	p->listen = keep_fd(&k, c->fds[TASK_FD_LISTEN]);
	p->metadata = keep_fd(&k, m->beside.listener);
	for (unsigned i = 0; i < r->container_count; i++) {
		struct task_shim_container *to = &p->containers[i];
		to->plan = keep_fd(&k, c->fds[TASK_FDS + i]);
		for (int j = 0; j < CGROUP_CONTROLLERS; j++)
			to->join[j] = keep_fd(&k, c->groups->containers[i][j]);
		to->oom = keep_fd(&k, c->groups->files[i][CGROUP_FILE_OOM_EVENTS]);
		to->memory = keep_fd(&k, c->groups->files[i][CGROUP_FILE_MEMORY_NOW]);
		to->memory_peak = keep_fd(&k, c->groups->files[i][CGROUP_FILE_MEMORY_PEAK]);
		to->cpu = keep_fd(&k, c->groups->files[i][CGROUP_FILE_CPU_USED]);
	}
	for (unsigned i = 0; i < r->layer_count; i++)
		keep_fd(&k, m->locks[i]);
	close_range(0, HIGH_FD - 1, 0);
	close_range((unsigned)k.next, ~0u, 0);
	for (int i = 0; i < 3; i++)
		if (open("/dev/null", O_RDWR) < 0)
			_exit(1);
}

static int set_up(const struct task_child *c, struct made *m, struct steward_answer *a)
{
	/* nobody would hear of it */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int error = cgroup_join(c->groups->join);
	if (error)
		return fail(a, error, "control groups");
	error = open_mounts(c, m, a);
	if (!error)
		error = make_files(c, m, a);
	if (!error && (error = raise_limits()) < 0)
		fail(a, error, "limits");
	if (!error)
		error = become_root_of_nothing(c, m, a);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of identity takes it away */
	if (!error)
		error = make_roots(c, a);
	if (!error && (error = make_network(c->request, &m->beside)) < 0)
		fail(a, error, "the network");
	/* out of sight of its containers, which are root of the same namespace */
	if (!error && (prctl(PR_SET_PDEATHSIG, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	               prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, c->filter, 0, 0) < 0))
		error = fail(a, -errno, "the shim");
	return error;
}

_Noreturn void task_child_run(const struct task_child *c)
{
	static struct made made = {.scratch = -1};
	static struct task_shim_plan plan;
	struct steward_answer a = {.verb = c->request->verb, .number = c->request->number, .slot = c->slot};
	setsid();
	setpriority(PRIO_PROCESS, 0, 0);
	umask(022);
	a.error = set_up(c, &made, &a);
	if (a.error && !a.why[0])
		fail(&a, a.error, "the sandbox");
	if (write(c->report, &a, sizeof(a)) != sizeof(a) || a.error)
		_exit(1);
	plan = (struct task_shim_plan){.slot = c->slot,
	                               .runtime = c->request->runtime,
	                               .container_count = c->request->container_count,
	                               .cgroup_version = c->cgroup_version};
	keep_all(c, &made, &plan);
	prctl(PR_SET_NAME, "quartet-task");
	task_shim_run(&plan);
}
