/* A copy of `priv`, or of a zygote, that kept two descriptors and nothing else. It allocates nothing and touches little, so that an
 * idle cell costs few private pages: the message buffer is static and only as much of it becomes memory as messages fill. The
 * lifeline is the other end of a socket in `priv`: should priv die before the death signal was set, it hangs up. */
#include "engine/cell/init.h"
#include "engine/cell/proto.h"

#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	struct init_message head;
	char strings[INIT_MESSAGE_MAX];
} message;

static struct {
	pid_t pid;
	uint32_t process;
} table[INIT_PROCESSES_MAX];

/* What a child could not do before it ran. Shared with it; NULL until the first is started. */
static struct {
	uint32_t what; /* enum init_failure */
	int32_t error;
} * failures;

static int control;
static int restorer = -1, snapshot = -1; /* what `priv` sent on the lifeline */
static bool image;                       /* we are a zygote's copy */

/* What api cannot be told at once (a full socket) waits; statuses must not be lost. */
static void send_all(const struct init_message *m, const int *fd)
{
	while (msg_send(control, m, sizeof(*m), fd, fd != NULL) == -EAGAIN) {
		struct pollfd p = {.fd = control, .events = POLLOUT};
		poll(&p, 1, -1);
	}
}

static void tell(uint32_t verb, uint32_t process, int value, uint32_t flags)
{
	send_all(&(struct init_message){.verb = verb, .process = process, .value = value, .flags = flags}, NULL);
}

static void reap(int options)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, options)) > 0)
		for (int i = 0; i < INIT_PROCESSES_MAX; i++)
			if (table[i].pid == pid) {
				uint32_t what = failures[i].what;
				table[i].pid = 0;
				tell(INIT_EXITED, table[i].process, what == INIT_RAN ? status : failures[i].error, what);
			}
}

/* Splits n strings off at *at; false unless each ends before `end` and there is room for them. */
static bool take_strings(char **at, const char *end, char **list, uint32_t n, uint32_t max)
{
	if (n >= max)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		char *nul = memchr(*at, 0, (size_t)(end - *at));
		if (!nul)
			return false;
		list[i] = *at;
		*at = nul + 1;
	}
	list[n] = NULL;
	return true;
}

enum { ARG_MAX_COUNT = 256, ENV_MAX_COUNT = 512 };

/* In the child, which ends here. */
static void give_up(int slot, enum init_failure what)
{
	failures[slot].error = errno;
	failures[slot].what = what;
	_exit(127);
}

/* In the child: its descriptors and its directory. Every failure is exit status 127. */
static void settle(int slot, const char *cwd, uint32_t flags, int out, int extra, int program)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	/* out of the way of the numbers that they are to get */
	out = fcntl(out, F_DUPFD_CLOEXEC, 10);
	if (extra >= 0)
		extra = fcntl(extra, F_DUPFD_CLOEXEC, 10);
	if (program >= 0)
		program = fcntl(program, F_DUPFD_CLOEXEC, 10);
	int in = flags & INIT_TERMINAL ? out : open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	if (flags & INIT_TERMINAL)
		ioctl(0, TIOCSCTTY, 0);
	if (extra >= 0 && dup2(extra, INIT_EXTRA_FD) < 0)
		_exit(127);
	if (program >= 0 && dup3(program, INIT_PROGRAM_FD, O_CLOEXEC) < 0)
		_exit(127);
	if (close_range(program >= 0 ? INIT_PROGRAM_FD + 1 : extra >= 0 ? INIT_EXTRA_FD + 1 : INIT_EXTRA_FD, ~0u, 0) < 0)
		_exit(127);
	if (chdir(cwd) < 0 && (flags & INIT_EXACT || chdir("/") < 0))
		give_up(slot, INIT_NO_DIRECTORY);
}

static const char *find_path(char *const *env)
{
	for (; *env; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* As execvpe() does it, with the PATH of the new environment. Comes back with errno of the program that came nearest. */
static void execute_found(char *const *argv, char *const *env)
{
	static char path[4096];
	int nearest = ENOENT;
	size_t name = strlen(argv[0]) + 1;
	for (const char *p = find_path(env); name > 1; p++) {
		size_t n = strcspn(p, ":");
		if (n + 1 + name <= sizeof(path)) {
			memcpy(path, p, n);
			path[n] = '/';
			memcpy(path + n + (n > 0), argv[0], name);
			execve(path, argv, env);
			if (errno != ENOENT && errno != ENOTDIR)
				nearest = errno;
		}
		p += n;
		if (!*p)
			break;
	}
	errno = nearest;
}

/* A copy of a zygote's image goes on as if it had been executed: it has its program's name, and its own /proc/self. */
static void resemble(const char *program)
{
	const char *slash = strrchr(program, '/');
	prctl(PR_SET_NAME, slash ? slash + 1 : program);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/* True in a child that is a copy of our image and is to go on as that. */
static bool start(size_t length, const int *fds, size_t nfds)
{
	static char *argv[ARG_MAX_COUNT], *env[ENV_MAX_COUNT], *cwd[2];
	char *at = message.strings, *end = (char *)&message + length;
	int slot = -1;
	for (int i = 0; i < INIT_PROCESSES_MAX && slot < 0; i++)
		if (!table[i].pid)
			slot = i;
	pid_t pid = -1;
	if (!failures) {
		failures = mmap(NULL, INIT_PROCESSES_MAX * sizeof(*failures), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		                -1, 0);
		if (failures == MAP_FAILED)
			_exit(1);
	}
	if (slot >= 0 && nfds >= 1 && message.head.argc >= 1 && take_strings(&at, end, cwd, 1, 2) &&
	    take_strings(&at, end, argv, message.head.argc, ARG_MAX_COUNT) &&
	    take_strings(&at, end, env, message.head.envc, ENV_MAX_COUNT)) {
		failures[slot].what = INIT_RAN;
		pid = fork();
		if (pid == 0) {
			bool restore = message.head.flags & INIT_RESTORE;
			settle(slot, cwd[0], message.head.flags, fds[0],
			       restore    ? snapshot
			       : nfds > 1 ? fds[1]
			                  : -1,
			       restore ? restorer : -1);
			if (restore) {
				syscall(SYS_execveat, INIT_PROGRAM_FD, "", argv, env, AT_EMPTY_PATH);
				give_up(slot, INIT_NO_PROGRAM);
			}
			if (image && message.head.flags & INIT_IMAGE) {
				munmap(failures, INIT_PROCESSES_MAX * sizeof(*failures));
				resemble(argv[0]);
				return true;
			}
			if (message.head.flags & INIT_EXACT && !strchr(argv[0], '/'))
				execute_found(argv, env);
			else
				execve(argv[0], argv, env);
			give_up(slot, INIT_NO_PROGRAM);
		}
	}
	if (pid < 0) {
		tell(INIT_EXITED, message.head.process, 127 << 8, INIT_RAN);
		return false;
	}
	table[slot].pid = pid;
	table[slot].process = message.head.process;
	return false;
}

/* A socket of this network, on its way to a port here: whoever asked sees what becomes of it. */
static void connect_to(uint32_t question, int port)
{
	struct init_message m = {.verb = INIT_CONNECTED, .process = question};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS))
		m.value = -errno;
	send_all(&m, m.value ? NULL : &fd);
	if (fd >= 0)
		close(fd);
}

static bool obey(size_t length, const int *fds, size_t nfds)
{
	switch (message.head.verb) {
	case INIT_START:
		return start(length, fds, nfds);
	case INIT_SIGNAL:
		for (int i = 0; i < INIT_PROCESSES_MAX; i++)
			if (table[i].pid && table[i].process == message.head.process)
				kill(-table[i].pid, message.head.value);
		break;
	case INIT_KILL_ALL:
		kill(-1, SIGKILL);
		/* until the last is gone: what is started next shall find neither their processes nor their share of the limit */
		reap(0);
		tell(INIT_EMPTY, 0, 0, 0);
		break;
	case INIT_CONNECT:
		connect_to(message.head.process, message.head.value);
		break;
	default:
		break;
	}
	return false;
}

/* The lifeline hangs up, or brings a snapshot and the program that becomes it. */
static void take_snapshot(int lifeline_fd)
{
	char nothing[8];
	int fds[2];
	size_t nfds;
	ssize_t n = msg_recv(lifeline_fd, nothing, sizeof(nothing), fds, 2, &nfds);
	if (n == -EAGAIN)
		return;
	if (n <= 0 || nfds != 2 || snapshot >= 0)
		_exit(0);
	restorer = fds[0];
	snapshot = fds[1];
}

void init_serve(int control_fd, int lifeline_fd, bool has_image)
{
	control = control_fd;
	image = has_image;
	prctl(PR_SET_NAME, "init");
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		_exit(1);
	struct pollfd p[3] = {
	        {.fd = control_fd, .events = POLLIN}, {.fd = lifeline_fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
	for (;;) {
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			_exit(1);
		if (p[1].revents)
			take_snapshot(lifeline_fd);
		if (p[2].revents) {
			struct signalfd_siginfo seen;
			while (read(signals, &seen, sizeof(seen)) == sizeof(seen))
				;
			reap(WNOHANG);
		}
		if (!p[0].revents)
			continue;
		int fds[2];
		size_t nfds;
		ssize_t n = msg_recv(control_fd, &message, sizeof(message), fds, 2, &nfds);
		if (n == 0)
			_exit(0);
		if (n < 0)
			continue;
		if ((size_t)n >= sizeof(message.head) && obey((size_t)n, fds, nfds))
			return;
		msg_close_fds(fds, nfds);
	}
}
