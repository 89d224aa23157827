/* A command in a container: the terminal that the engine gives is read and written as it is. */
#include "role/inside.h"

#include "aws/ecs/enter.h"
#include "base/buf.h"
#include "base/list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { PIECE_BYTES = 4096, INPUT_MAX = 256 * 1024 };

struct inside_task {
	struct inside inside;
	struct ecs_entered *entered; /* NULL: its command has ended */
	int pty;                     /* -1: not yet, or not any more */
	struct loop_fd *watch;
	struct winsize window;
	struct buf input; /* what the terminal has not taken yet */
	bool held, opened, full;
};

static void shut(struct inside_task *t)
{
	loop_remove_fd(t->inside.cloud->loop, t->watch);
	t->watch = NULL;
	if (t->pty >= 0)
		close(t->pty);
	t->pty = -1;
	buf_clear(&t->input);
}

static void task_free(struct inside *i)
{
	struct inside_task *t = container_of(i, struct inside_task, inside);
	if (t->entered)
		ecs_enter_forget(t->entered);
	shut(t);
	buf_done(&t->input);
	free(t);
}

/* False: nothing comes now. */
static bool read_some(struct inside_task *t)
{
	char piece[PIECE_BYTES];
	ssize_t n = t->pty >= 0 ? read(t->pty, piece, sizeof(piece)) : 0;
	if (n > 0) {
		t->inside.events->output(t->inside.ctx, str_of(piece, (size_t)n));
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		shut(t); /* EIO: its last process is gone */
	return false;
}

static void write_some(struct inside_task *t)
{
	while (t->pty >= 0 && t->input.n) {
		ssize_t n = write(t->pty, t->input.p, t->input.n);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0)
			buf_clear(&t->input);
		else
			buf_consume(&t->input, (size_t)n);
	}
	if (t->full && !t->input.n) {
		t->full = false;
		t->inside.events->room(t->inside.ctx);
	}
}

static void turn(struct inside_task *t)
{
	write_some(t);
	bool more = true;
	while (more && !t->held)
		more = read_some(t);
	/* What a command that has ended left behind in the background does not count. */
	if (t->opened && !t->entered && !more && !t->held) {
		t->opened = false;
		shut(t);
		t->inside.events->ended(t->inside.ctx, STR_NONE);
		return;
	}
	if (t->watch)
		loop_set_fd(t->inside.cloud->loop, t->watch, (t->held ? 0u : EPOLLIN) | (t->input.n ? EPOLLOUT : 0u));
}

static void on_event(void *ctx, uint32_t events)
{
	struct inside_task *t = ctx;
	/* A terminal that is gone is reported whether it is asked for or not: it is read when somebody wants that. */
	if (t->held && events & (EPOLLHUP | EPOLLERR)) {
		loop_remove_fd(t->inside.cloud->loop, t->watch);
		t->watch = NULL;
	}
	turn(t);
}

static void task_hold(struct inside *i, bool held)
{
	struct inside_task *t = container_of(i, struct inside_task, inside);
	if (t->held == held)
		return;
	t->held = held;
	if (!held && t->pty >= 0 && !t->watch)
		t->watch = loop_add_fd(i->cloud->loop, t->pty, EPOLLIN, on_event, t);
	if (!held && t->opened)
		turn(t);
	else if (t->watch)
		loop_set_fd(i->cloud->loop, t->watch, (held ? 0u : EPOLLIN) | (t->input.n ? EPOLLOUT : 0u));
}

static bool task_input(struct inside *i, struct str bytes)
{
	struct inside_task *t = container_of(i, struct inside_task, inside);
	if (t->input.n) {
		t->full = true;
		return false;
	}
	if (t->opened && t->pty < 0)
		return true; /* nobody reads it any more */
	buf_add_str(&t->input, bytes);
	if (t->watch)
		loop_set_fd(i->cloud->loop, t->watch, (t->held ? 0u : EPOLLIN) | EPOLLOUT);
	return true;
}

static void task_window(struct inside *i, unsigned rows, unsigned columns)
{
	struct inside_task *t = container_of(i, struct inside_task, inside);
	t->window = (struct winsize){.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
	if (t->pty >= 0)
		ioctl(t->pty, TIOCSWINSZ, &t->window);
}

static void opened(void *ctx, int fd, const char *why)
{
	struct inside_task *t = ctx;
	if (fd < 0) {
		t->entered = NULL;
		t->inside.events->ended(t->inside.ctx, str_from(why));
		return;
	}
	t->pty = fd;
	t->opened = true;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (t->window.ws_row)
		ioctl(fd, TIOCSWINSZ, &t->window);
	t->watch = loop_add_fd(t->inside.cloud->loop, fd, EPOLLIN, on_event, t);
	turn(t);
}

static void closed(void *ctx, int code)
{
	(void)code;
	struct inside_task *t = ctx;
	t->entered = NULL;
	turn(t);
}

static const struct ecs_enter_events enter_events = {.opened = opened, .closed = closed};
static const struct inside_ops ops = {.input = task_input, .window = task_window, .hold = task_hold, .free = task_free};

struct inside *inside_task_open(struct cloud *cloud, const struct ssm_session_spec *spec, unsigned rows, unsigned columns,
                                const struct inside_events *events, void *ctx, struct arena *a, struct str *ret_why)
{
	int error;
	const char **argv = arena_array(a, spec->words.n + 1, sizeof(*argv));
	for (uint32_t i = 0; i < spec->words.n; i++)
		argv[i] = arena_dupz(a, spec->words.v[i]);
	argv[spec->words.n] = NULL;
	struct inside_task *t = calloc(1, sizeof(*t));
	if (!t)
		abort();
	t->inside = (struct inside){.ops = &ops, .events = events, .ctx = ctx, .cloud = cloud};
	t->pty = -1;
	t->window = (struct winsize){.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
	buf_init(&t->input, INPUT_MAX);
	struct ecs_enter what = {
	        .region = spec->region, .task = spec->place, .container = spec->container, .argv = argv, .term = "xterm-256color"};
	t->entered = ecs_enter_begin(cloud, &what, &enter_events, t, &error);
	if (t->entered)
		return &t->inside;
	*ret_why = error == -ESRCH ? S("The container does not run any more.")
	                           : arena_printf(a, "The command cannot be started: %s", strerror(-error));
	buf_done(&t->input);
	free(t);
	return NULL;
}
