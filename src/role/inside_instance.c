/* A command in an instance: frames (engine/session) towards whoever serves sessions in there. What comes from there is not trusted.
 */
#include "role/inside.h"

#include "aws/ec2/instance/enter.h"
#include "base/buf.h"
#include "base/list.h"
#include "engine/session/session.h"
#include "engine/vm/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* A guest that is still on its way to its agent is waited for. */
enum { AGENT_PATIENCE_US = 90 * 1000000, OUT_MAX_BYTES = 256 * 1024 };
#define TERM "xterm-256color"

struct frame {
	struct session_head head;
	char payload[SESSION_PAYLOAD_MAX];
};
struct inside_instance {
	struct inside inside;
	struct machine_session *session;
	int stream; /* -1: not yet */
	struct loop_fd *watch;
	struct loop_timer *late;
	struct buf out; /* frames that the stream has not taken yet */
	struct frame coming;
	size_t came;
	bool held, full, over;
};

static void instance_free(struct inside *i)
{
	struct inside_instance *t = container_of(i, struct inside_instance, inside);
	loop_remove_fd(i->cloud->loop, t->watch);
	loop_remove_timer(i->cloud->loop, t->late);
	machine_session_close(t->session);
	buf_done(&t->out);
	free(t);
}

static void end(struct inside_instance *t, struct str why)
{
	t->over = true;
	loop_remove_fd(t->inside.cloud->loop, t->watch);
	t->watch = NULL;
	t->inside.events->ended(t->inside.ctx, why);
}

static void add_frame(struct inside_instance *t, enum session_kind kind, const void *payload, size_t n)
{
	struct session_head head = {.kind = (uint8_t)kind, .bytes = (uint32_t)n};
	buf_add(&t->out, &head, sizeof(head));
	buf_add(&t->out, payload, n);
}

static void wait_for_more(struct inside_instance *t)
{
	if (t->watch)
		loop_set_fd(t->inside.cloud->loop, t->watch, (t->held ? 0u : EPOLLIN) | (t->out.n ? EPOLLOUT : 0u));
}

/* False: it is over, and t may be gone. */
static bool take_frame(struct inside_instance *t)
{
	const struct frame *f = &t->coming;
	int32_t error = 0;
	struct arena CLEAN_ARENA a = {0};
	switch (f->head.kind) {
	case SESSION_READY:
		loop_remove_timer(t->inside.cloud->loop, t->late);
		t->late = NULL;
		return true;
	case SESSION_OUTPUT:
	case SESSION_ERRORS:
		t->inside.events->output(t->inside.ctx, str_of(f->payload, f->head.bytes));
		return true;
	case SESSION_FAILED:
		if (f->head.bytes == sizeof(error))
			memcpy(&error, f->payload, sizeof(error));
		end(t, arena_printf(&a, "The command cannot be started: %s",
		                    error > 0 && error < 4096 ? strerror(error) : "unknown error"));
		return false;
	case SESSION_EXITED:
		end(t, STR_NONE);
		return false;
	default:
		end(t, S("What serves sessions in the instance speaks another language."));
		return false;
	}
}

static bool read_some(struct inside_instance *t)
{
	while (!t->held) {
		size_t want = sizeof(t->coming.head);
		if (t->came >= want && t->coming.head.bytes > sizeof(t->coming.payload)) {
			end(t, S("What serves sessions in the instance speaks another language."));
			return false;
		}
		if (t->came >= want)
			want += t->coming.head.bytes;
		if (t->came >= sizeof(t->coming.head) && t->came == want) {
			t->came = 0;
			if (!take_frame(t))
				return false;
			continue;
		}
		ssize_t n = read(t->stream, (char *)&t->coming + t->came, want - t->came);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0) {
			end(t, S("The instance has ended, or what serves sessions in it."));
			return false;
		}
		t->came += (size_t)n;
	}
	return true;
}

static void on_event(void *ctx, uint32_t events)
{
	struct inside_instance *t = ctx;
	while (t->out.n) {
		ssize_t n = write(t->stream, t->out.p, t->out.n);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0 && errno != EINTR)
			buf_clear(&t->out); /* its end is read below */
		else if (n > 0)
			buf_consume(&t->out, (size_t)n);
	}
	if (t->full && !t->out.n) {
		t->full = false;
		t->inside.events->room(t->inside.ctx);
	}
	if (t->held && events & (EPOLLHUP | EPOLLERR)) {
		loop_remove_fd(t->inside.cloud->loop, t->watch); /* it would be reported again and again */
		t->watch = NULL;
		return;
	}
	if (read_some(t))
		wait_for_more(t);
}

static void instance_hold(struct inside *i, bool held)
{
	struct inside_instance *t = container_of(i, struct inside_instance, inside);
	if (t->held == held || t->over)
		return;
	t->held = held;
	if (!held && t->stream >= 0 && !t->watch)
		t->watch = loop_add_fd(i->cloud->loop, t->stream, EPOLLIN, on_event, t);
	wait_for_more(t);
}

static bool instance_input(struct inside *i, struct str bytes)
{
	struct inside_instance *t = container_of(i, struct inside_instance, inside);
	if (t->over)
		return true;
	if (t->out.n) {
		t->full = true;
		return false;
	}
	while (bytes.n) {
		struct str piece = str_sub(bytes, 0, SESSION_PAYLOAD_MAX);
		add_frame(t, SESSION_INPUT, piece.p, piece.n);
		bytes = str_from_at(bytes, piece.n);
	}
	wait_for_more(t);
	return true;
}

static void instance_window(struct inside *i, unsigned rows, unsigned columns)
{
	struct inside_instance *t = container_of(i, struct inside_instance, inside);
	struct session_window w = {(uint16_t)rows, (uint16_t)columns};
	if (!t->over && t->out.n < OUT_MAX_BYTES / 2)
		add_frame(t, SESSION_WINDOW, &w, sizeof(w));
	wait_for_more(t);
}

static void begun(void *ctx, int stream, int error)
{
	struct inside_instance *t = ctx;
	if (error) {
		struct arena CLEAN_ARENA a = {0};
		end(t, arena_printf(&a, "There is no way into the instance: %s", strerror(-error)));
		return;
	}
	t->stream = stream;
	fcntl(stream, F_SETFL, fcntl(stream, F_GETFL) | O_NONBLOCK);
	t->watch = loop_add_fd(t->inside.cloud->loop, stream, EPOLLIN | EPOLLOUT, on_event, t);
	if (!t->watch)
		end(t, S("There is no way into the instance."));
}

static void is_late(void *ctx)
{
	struct inside_instance *t = ctx;
	t->late = NULL;
	end(t, S("Nothing in the instance answers: its image has no agent for this, or does not run yet."));
}

static const struct inside_ops ops = {
        .input = instance_input, .window = instance_window, .hold = instance_hold, .free = instance_free};

/* The first frame: a window, TERM and the words of the command. */
static bool add_start(struct inside_instance *t, const struct ssm_session_spec *spec, unsigned rows, unsigned columns)
{
	struct buf CLEAN_BUF b;
	struct session_start start = {.window = {(uint16_t)rows, (uint16_t)columns}, .terminal = 1, .words = spec->words.n};
	buf_init(&b, SESSION_PAYLOAD_MAX);
	buf_add(&b, &start, sizeof(start));
	buf_add(&b, TERM, sizeof(TERM));
	for (uint32_t i = 0; i < spec->words.n; i++) {
		buf_add_str(&b, spec->words.v[i]);
		buf_add_char(&b, 0);
	}
	buf_add_lit(&t->out, SESSION_BEGIN);
	add_frame(t, SESSION_START, b.p, b.n);
	return !b.overflow && spec->words.n <= SESSION_WORDS_MAX;
}

struct inside *inside_instance_open(struct cloud *cloud, const struct ssm_session_spec *spec, unsigned rows, unsigned columns,
                                    const struct inside_events *events, void *ctx, struct arena *a, struct str *ret_why)
{
	(void)a;
	struct machine *m = ec2_enter_machine(cloud, spec->place);
	if (!m) {
		*ret_why = S("The instance does not run any more.");
		return NULL;
	}
	struct inside_instance *t = calloc(1, sizeof(*t));
	if (!t)
		abort();
	t->inside = (struct inside){.ops = &ops, .events = events, .ctx = ctx, .cloud = cloud};
	t->stream = -1;
	buf_init(&t->out, OUT_MAX_BYTES);
	*ret_why = S("The command is too long.");
	if (add_start(t, spec, rows, columns)) {
		*ret_why = S("As many sessions as an instance can have are open.");
		t->session = machine_session(m, begun, t);
	}
	if (t->session) {
		t->late = loop_add_timer(cloud->loop, AGENT_PATIENCE_US, is_late, t);
		return &t->inside;
	}
	buf_done(&t->out);
	free(t);
	return NULL;
}
