/* The main role: root, no network input, parses nothing that a client sent. It makes what the other roles need before they may not
 * make it any more (user, directories, listening sockets, the sockets between them), starts them, starts again what dies, and ends
 * them in order.
 *
 * The listening sockets stay open here, so that clients who come while api restarts wait in the backlog and are served by the next
 * one. */
#include "role/role.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pages.h"
#include "io/loop.h"
#include "io/msg.h"
#include "io/tree.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	BACKLOG = 4096,
	STEADY_US = 2 * 1000000, /* a role that lived this long is started again at once */
	BACKOFF_FIRST_US = 100 * 1000,
	BACKOFF_MAX_US = 5 * 1000000,
	API_END_US = 15 * 1000000, /* to finish what is under way */
	PORT_WAIT_US = 1000000,
	PRIV_END_US = 15 * 1000000, /* to remove every sandbox */
};

enum { ROLE_API, ROLE_PRIV, ROLES };

struct child {
	const char *name;
	int pid;  /* 0: not running */
	int sock; /* our end of its message socket */
	struct loop_fd *watch;
	int64_t started_us, backoff_us;
	struct loop_timer *again;
	struct keeper *keeper;
	unsigned which;
};

struct keeper {
	const struct role_config *config;
	struct arena arena;
	struct loop *loop;
	struct child children[ROLES];
	int listen_fd, listen_tls_fd;
	uid_t uid;
	gid_t gid;
	bool unprivileged; /* not root: no sandboxes, no other user */
	bool stopping, notified;
	bool swept; /* priv was started for the end alone */
	struct loop_timer *deadline;
	int status;
};

static void child_start(struct child *c);

/* --- what must be there first */

static bool user_find(struct keeper *k)
{
	struct passwd *pw = getpwnam(SERVICE_USER);
	if (!pw)
		return false;
	k->uid = pw->pw_uid;
	k->gid = pw->pw_gid;
	return true;
}

static int run_quietly(const char *const argv[])
{
	int pid = fork(), status;
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		dup2(null, 1);
		dup2(null, 2);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

static void user_make(struct keeper *k)
{
	if (k->unprivileged || user_find(k))
		return;
	const char *const argv[] = {"useradd", "--system",          "--no-create-home", "--home-dir", "/nonexistent",
	                            "--shell", "/usr/sbin/nologin", SERVICE_USER,       NULL};
	if (run_quietly(argv) < 0 || !user_find(k))
		die("there is no user \"" SERVICE_USER "\" and useradd cannot make it");
}

static int listen_on(const char *addr, uint16_t port)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	bool six = strchr(addr, ':') != NULL;
	char bare[64] = "";
	if (six)
		snprintf(bare, sizeof(bare), "%.*s", (int)(strlen(addr) - 2 * (addr[0] == '[')), addr + (addr[0] == '['));
	if (inet_pton(six ? AF_INET6 : AF_INET, six ? bare : addr, six ? (void *)&in6.sin6_addr : (void *)&in4.sin_addr) != 1)
		return -EINVAL;
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in4, six ? sizeof(in6) : sizeof(in4)) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		int e = errno;
		close(fd);
		return -e;
	}
	return fd;
}

/* A listening socket; -1: said why. */
static int listen_or_say(struct keeper *k, uint16_t port)
{
	int fd = listen_on(k->config->listen_addr, port);
	/* After a crash of main the last api may hold the port for as long as its threads are in the kernel. */
	for (int64_t until = clock_mono_us() + PORT_WAIT_US; fd == -EADDRINUSE && clock_mono_us() < until;) {
		usleep(5000);
		fd = listen_on(k->config->listen_addr, port);
	}
	if (fd >= 0)
		return fd;
	fprintf(stderr, "quartet up: cannot listen on %s:%u: %s\n", k->config->listen_addr, port, strerror(-fd));
	return -1;
}

static bool become_service_user(const struct keeper *k)
{
	return setgroups(0, NULL) == 0 && setresgid(k->gid, k->gid, k->gid) == 0 && setresuid(k->uid, k->uid, k->uid) == 0;
}

/* Can api get to its data? Directories above may be closed to all but root, as /root is. Asked with the service user's rights to
 * files alone, for a child that asks would be a good part of the time that the cloud takes to start. False: said why. */
static bool data_is_reachable(const struct keeper *k)
{
	if (setgroups(0, NULL) < 0)
		return true; /* api will not get that far either, and says so */
	setfsgid(k->gid);
	setfsuid(k->uid);
	int fd = open(k->config->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = errno;
	setfsuid(geteuid());
	setfsgid(getegid());
	if (fd < 0) {
		fprintf(stderr, "quartet up: the user \"" SERVICE_USER "\", who serves, cannot get to %s: %s\n",
		        k->config->data_dir, strerror(error));
		return false;
	}
	close(fd);
	return true;
}

static bool data_prepare(struct keeper *k)
{
	if (k->unprivileged)
		return true;
	/* The directory itself is the service user's; files that others put there (the run file, the log) keep their owner. */
	if (chown(k->config->data_dir, k->uid, k->gid) < 0 || chmod(k->config->data_dir, 0755) < 0)
		die("%s: %s", k->config->data_dir, strerror(errno));
	/* what priv may mount in a sandbox lies below this and nowhere else */
	const char *code = arena_printf(&k->arena, "%s/code", k->config->data_dir).p;
	if ((mkdir(code, 0755) < 0 && errno != EEXIST) || chown(code, k->uid, k->gid) < 0)
		die("%s: %s", code, strerror(errno));
	/* tools/make-image fills it, now or later; api may only read what is there when it starts */
	if ((mkdir(IMAGES_PARENT, 0755) < 0 && errno != EEXIST) || (mkdir(IMAGES_DIR, 0755) < 0 && errno != EEXIST))
		log_warn("%s: %s", IMAGES_DIR, strerror(errno));
	return data_is_reachable(k);
}

/* Ten thousand idle clients and a thousand sandboxes are descriptors; sandboxes get limits of their own. */
static void raise_limits(void)
{
	struct rlimit files = {.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
	if (setrlimit(RLIMIT_NOFILE, &files) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* --- starting a role */

static char *number(struct keeper *k, unsigned v)
{
	return arena_dupz(&k->arena, arena_printf(&k->arena, "%u", v));
}

/* The configuration as the role's own command line: role_enter() reads it back. */
static char **role_argv(struct keeper *k, const char *name)
{
	const struct role_config *c = k->config;
	const char *const argv[] = {
	        "quartet",
	        "role",
	        name,
	        c->data_dir,
	        c->listen_addr,
	        number(k, c->port),
	        number(k, c->tls_port),
	        c->config_file ? c->config_file : "",
	        c->runtime_dir ? c->runtime_dir : "",
	        c->ephemeral ? "1" : "0",
	        c->cell_ipv4 ? c->cell_ipv4 : "",
	        number(k, c->cell_uid_base),
	        c->resolver ? c->resolver : "",
	        c->instances ? c->instances : "auto",
	        c->kvm ? c->kvm : "auto",
	        c->container_runtime ? c->container_runtime : "",
	        NULL,
	};
	size_t n = sizeof(argv) / sizeof(*argv);
	char **copy = arena_array(&k->arena, n, sizeof(*copy));
	for (size_t i = 0; i + 1 < n; i++)
		copy[i] = arena_dupz(&k->arena, str_from(argv[i]));
	return copy;
}

int role_enter(int argc, char **argv)
{
	if (argc != 16)
		return 2;
	struct role_config c = {
	        .data_dir = argv[3],
	        .listen_addr = argv[4],
	        .port = (uint16_t)atoi(argv[5]),
	        .tls_port = (uint16_t)atoi(argv[6]),
	        .config_file = *argv[7] ? argv[7] : NULL,
	        .runtime_dir = *argv[8] ? argv[8] : NULL,
	        .ephemeral = argv[9][0] == '1',
	        .cell_ipv4 = *argv[10] ? argv[10] : NULL,
	        .cell_uid_base = (uint32_t)atol(argv[11]),
	        .resolver = *argv[12] ? argv[12] : NULL,
	        .instances = argv[13],
	        .kvm = argv[14],
	        .container_runtime = *argv[15] ? argv[15] : NULL,
	};
	log_open(argv[2], LOG_INFO);
	if (strcmp(argv[2], "api") == 0)
		return role_api(&c);
	if (strcmp(argv[2], "priv") == 0)
		return role_priv(&c);
	return 2;
}

/* Puts each of n descriptors at its fixed place (-1: that place stays closed), whatever places they have now. */
static void place_fds(const int *fds, const int *places, size_t n)
{
	int high[8];
	for (size_t i = 0; i < n; i++)
		high[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, 64);
	for (size_t i = 0; i < n; i++) {
		if (high[i] < 0)
			close(places[i]);
		else if (dup2(high[i], places[i]) < 0)
			_exit(126);
	}
}

static _Noreturn void child_become(struct keeper *k, const char *name, const int *fds, const int *places, size_t n)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	place_fds(fds, places, n);
	if (strcmp(name, "api") == 0) {
		if (!k->unprivileged && !become_service_user(k))
			_exit(126);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		/* After the change of user, which clears it. priv is not killed so: it has to remove what it made. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	execv("/proc/self/exe", role_argv(k, name));
	_exit(126);
}

static void send_note(int sock, enum role_message what, int fd)
{
	struct role_note note = {.what = what};
	if (sock >= 0)
		msg_send(sock, &note, sizeof(note), &fd, fd >= 0);
}

static void on_note(void *ctx, uint32_t events)
{
	(void)events;
	struct child *c = ctx;
	struct keeper *k = c->keeper;
	struct role_note note;
	ssize_t n;
	while ((n = msg_recv(c->sock, &note, sizeof(note), NULL, 0, NULL)) == (ssize_t)sizeof(note)) {
		if (note.what != ROLE_READY || k->notified)
			continue;
		k->notified = true;
		log_info("serving at http://%s:%u, data in %s", k->config->listen_addr, k->config->port, k->config->data_dir);
		role_notify_systemd("READY=1");
		if (k->config->ready_fd >= 0 && write(k->config->ready_fd, "", 1) < 0)
			log_warn("whoever started this has not waited for it");
		pages_release();
	}
	if (n == 0) {
		loop_remove_fd(k->loop, c->watch);
		c->watch = NULL;
	}
}

static void child_again(void *ctx)
{
	struct child *c = ctx;
	c->again = NULL;
	child_start(c);
}

static void stop_priv(struct keeper *k);

static void on_exit_of(void *ctx, int status)
{
	struct child *c = ctx;
	struct keeper *k = c->keeper;
	c->pid = 0;
	loop_remove_fd(k->loop, c->watch);
	c->watch = NULL;
	close(c->sock);
	c->sock = -1;
	if (k->stopping) {
		bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
		if (c->which == ROLE_API || (!clean && !k->status && !k->children[ROLE_API].pid))
			stop_priv(k);
		if (!k->children[ROLE_API].pid && !k->children[ROLE_PRIV].pid)
			loop_stop(k->loop);
		return;
	}
	bool reset = WIFEXITED(status) && WEXITSTATUS(status) == ROLE_EXIT_RESET;
	bool steady = reset || clock_mono_us() - c->started_us >= STEADY_US;
	if (!reset)
		log_warn("%s ended (%s %d); it is started again", c->name, WIFSIGNALED(status) ? "signal" : "status",
		         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (!k->notified && WIFEXITED(status) && !steady && c->backoff_us >= BACKOFF_MAX_US)
		die("%s does not start", c->name);
	c->backoff_us = steady ? 0 : c->backoff_us ? c->backoff_us * 2 : BACKOFF_FIRST_US;
	if (c->backoff_us > BACKOFF_MAX_US)
		c->backoff_us = BACKOFF_MAX_US;
	c->again = loop_add_timer(k->loop, c->backoff_us, child_again, c);
}

/* Starts one role with a fresh socket to main. peer_end is its end of a socket to the other role and is closed here. */
static void child_launch(struct child *c, int peer_end)
{
	struct keeper *k = c->keeper;
	int to_main[2];
	if (msg_pair(to_main) < 0)
		die("socketpair: %s", strerror(errno));
	int pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (pid == 0) {
		bool api = c->which == ROLE_API;
		const int fds[] = {to_main[1], k->unprivileged ? -1 : peer_end, api ? k->listen_fd : -1,
		                   api ? k->listen_tls_fd : -1};
		const int places[] = {ROLE_FD_MAIN, ROLE_FD_PRIV, ROLE_FD_LISTEN, ROLE_FD_LISTEN_TLS};
		child_become(k, c->name, fds, places, 4);
	}
	close(to_main[1]);
	close(peer_end);
	c->pid = pid;
	c->sock = to_main[0];
	c->started_us = clock_mono_us();
	c->watch = loop_add_fd(k->loop, c->sock, EPOLLIN, on_note, c);
	if (!c->watch || loop_add_child(k->loop, pid, on_exit_of, c) < 0)
		die("cannot watch a child");
}

/* Starts one role while its peer runs or will run, and hands the peer the other end of a fresh socket between them. */
static void child_start(struct child *c)
{
	struct child *peer = &c->keeper->children[c->which == ROLE_API ? ROLE_PRIV : ROLE_API];
	int between[2];
	if (msg_pair(between) < 0)
		die("socketpair: %s", strerror(errno));
	child_launch(c, between[1]);
	send_note(peer->sock, c->which == ROLE_API ? ROLE_NEW_API : ROLE_NEW_PRIV, between[0]);
	close(between[0]);
}

/* api first: it is what clients wait for, and what it asks of priv waits in the socket until priv is there. */
static void children_start(struct keeper *k)
{
	int between[2];
	if (msg_pair(between) < 0)
		die("socketpair: %s", strerror(errno));
	child_launch(&k->children[ROLE_API], between[0]);
	if (k->unprivileged)
		close(between[1]);
	else
		child_launch(&k->children[ROLE_PRIV], between[1]);
}

/* --- the end */

static void overdue(void *ctx)
{
	struct keeper *k = ctx;
	k->deadline = NULL;
	for (unsigned i = 0; i < ROLES; i++)
		if (k->children[i].pid && (i == ROLE_API || !k->children[ROLE_API].pid)) {
			log_warn("%s does not end; it is killed", k->children[i].name);
			kill(k->children[i].pid, SIGKILL);
			k->status = 1;
		}
}

static void set_deadline(struct keeper *k, int64_t us)
{
	loop_remove_timer(k->loop, k->deadline);
	k->deadline = loop_add_timer(k->loop, us, overdue, k);
}

static void stop_priv(struct keeper *k)
{
	set_deadline(k, PRIV_END_US);
	/* one that was killed has left everything behind; the next one, once, removes it */
	if (!k->children[ROLE_PRIV].pid && !k->unprivileged && !k->swept) {
		k->swept = true;
		child_start(&k->children[ROLE_PRIV]);
	}
	if (k->children[ROLE_PRIV].pid)
		send_note(k->children[ROLE_PRIV].sock, ROLE_DRAIN, -1);
}

static void on_signal(void *ctx, int signo)
{
	(void)signo;
	struct keeper *k = ctx;
	if (k->stopping)
		return;
	k->stopping = true;
	role_notify_systemd("STOPPING=1");
	/* api closes its own: from then on clients are refused, and need not wait for an end that would cut them off. */
	int *const listeners[] = {&k->listen_fd, &k->listen_tls_fd};
	for (unsigned i = 0; i < 2; i++) {
		if (*listeners[i] >= 0)
			close(*listeners[i]);
		*listeners[i] = -1;
	}
	for (unsigned i = 0; i < ROLES; i++) {
		loop_remove_timer(k->loop, k->children[i].again);
		k->children[i].again = NULL;
	}
	set_deadline(k, API_END_US);
	if (k->children[ROLE_API].pid)
		send_note(k->children[ROLE_API].sock, ROLE_DRAIN, -1);
	else
		stop_priv(k);
	if (!k->children[ROLE_API].pid && !k->children[ROLE_PRIV].pid)
		loop_stop(k->loop);
}

void role_notify_systemd(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t n = path ? strlen(path) : 0;
	if (n == 0 || n >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, n);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	ssize_t ignored = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
	                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	(void)ignored;
	close(fd);
}

static int finish(struct keeper *k)
{
	loop_remove_timer(k->loop, k->deadline);
	loop_free(k->loop);
	arena_done(&k->arena);
	if (k->config->ephemeral)
		tree_remove(AT_FDCWD, k->config->data_dir);
	return k->status;
}

int role_main(const struct role_config *config)
{
	struct keeper keeper = {.config = config, .listen_fd = -1, .listen_tls_fd = -1}, *k = &keeper;
	log_open("main", LOG_INFO);
	k->unprivileged = geteuid() != 0;
	raise_limits();
	user_make(k);
	bool good = data_prepare(k) && (k->listen_fd = listen_or_say(k, config->port)) >= 0;
	if (good && config->tls_port)
		good = (k->listen_tls_fd = listen_or_say(k, config->tls_port)) >= 0;
	k->loop = loop_new();
	if (!good) {
		k->status = 1;
		return finish(k);
	}
	signal(SIGPIPE, SIG_IGN);
	loop_add_signal(k->loop, SIGTERM, on_signal, k);
	loop_add_signal(k->loop, SIGINT, on_signal, k);
	for (unsigned i = 0; i < ROLES; i++)
		k->children[i] = (struct child){.name = i == ROLE_API ? "api" : "priv", .sock = -1, .keeper = k, .which = i};
	children_start(k);
	/* The files for clients are nobody's who has to start, so they are written meanwhile; READY is not passed on before. */
	int written = clients_write(config);
	if (written < 0) {
		fprintf(stderr, "quartet up: %s/clients: %s\n", config->data_dir, strerror(-written));
		k->status = 1;
		on_signal(k, SIGTERM);
	}
	loop_run(k->loop);
	return finish(k);
}
