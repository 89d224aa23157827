/* `quartet exec TASK`: a terminal in a container, and frames of a session (engine/session) towards the client. The engine gives a
 * terminal and nothing else, so that where the client has none, the terminal is made to pass bytes as they are: no echo, no keys
 * with a meaning but the end of input, and each line's end that the terminal has doubled is taken back. Standard error comes as
 * standard output. */
#include "role/exec_way.h"

#include "aws/ecs/enter.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/uri.h"
#include "engine/session/session.h"
#include "http/http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum {
	WORDS_MAX = SESSION_WORDS_MAX,
	PIECE_BYTES = 16384,
	LINE_BYTES = 2048, /* a terminal keeps 4095 of a line: it gets them before that */
	END_OF_INPUT = 4,
	QUOTE = 22,
};

struct frame {
	struct session_head head;
	char payload[SESSION_PAYLOAD_MAX];
};

struct visit {
	struct cloud *cloud;
	struct http_request *request; /* NULL: answered */
	struct ecs_entered *entered;  /* NULL: its command has ended, or is forgotten */
	int client, pty;
	struct loop_fd *client_watch, *pty_watch;
	bool terminal, ended, cr;
	int code;
	struct frame coming; /* from the client */
	size_t came;
	char early[8192]; /* came with the request's end */
	size_t early_at, early_n;
	char input[3 * SESSION_PAYLOAD_MAX]; /* what the terminal has not taken yet */
	size_t input_at, input_n, line;
	char going[PIECE_BYTES + 64]; /* to the client */
	size_t going_at, going_n;
	bool told; /* EXITED is among it */
	char who[256], id[256];
};

static void refuse(struct http_request *r, unsigned status, struct str why)
{
	struct http_header h[] = {{S("content-type"), S("text/plain")}};
	http_reply(r, status, h, 1, ARENA_CAT(http_arena(r), why, S("\n")));
}

static void visit_end(struct visit *v)
{
	loop_remove_fd(v->cloud->loop, v->client_watch);
	loop_remove_fd(v->cloud->loop, v->pty_watch);
	if (v->entered)
		ecs_enter_forget(v->entered);
	if (v->client >= 0)
		close(v->client);
	if (v->pty >= 0)
		close(v->pty);
	free(v);
}

static void visit_over(struct visit *v)
{
	log_info("exec: %s has left %s", v->who, v->id);
	visit_end(v);
}

/* --- to the client */

static void add_frame(struct visit *v, enum session_kind kind, const void *payload, size_t n)
{
	struct session_head head = {.kind = (uint8_t)kind, .bytes = (uint32_t)n};
	memcpy(v->going + v->going_n, &head, sizeof(head));
	memcpy(v->going + v->going_n + sizeof(head), payload, n);
	v->going_n += sizeof(head) + n;
}

/* A terminal writes CR LF for each LF; a CR that has nothing behind it yet waits. */
static size_t undouble(struct visit *v, char *bytes, size_t n)
{
	size_t to = 0;
	char copy[PIECE_BYTES + 1];
	for (size_t i = 0; i < n; i++) {
		if (v->cr && bytes[i] != '\n')
			copy[to++] = '\r';
		v->cr = bytes[i] == '\r';
		if (!v->cr)
			copy[to++] = bytes[i];
	}
	memcpy(bytes, copy, to);
	return to;
}

/* What the terminal says, as one frame; false: it says nothing now. */
static bool read_terminal(struct visit *v)
{
	char piece[PIECE_BYTES + 1];
	ssize_t n = v->pty >= 0 ? read(v->pty, piece, PIECE_BYTES) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) { /* EIO: its last process is gone */
		loop_remove_fd(v->cloud->loop, v->pty_watch);
		v->pty_watch = NULL;
		if (v->pty >= 0)
			close(v->pty);
		v->pty = -1;
		if (v->cr)
			add_frame(v, SESSION_OUTPUT, "\r", 1);
		v->cr = false;
		return v->going_n > 0;
	}
	size_t bytes = v->terminal ? (size_t)n : undouble(v, piece, (size_t)n);
	if (bytes)
		add_frame(v, SESSION_OUTPUT, piece, bytes);
	return true;
}

/* False: the client is gone. */
static bool write_client(struct visit *v)
{
	while (v->going_at < v->going_n) {
		ssize_t n = write(v->client, v->going + v->going_at, v->going_n - v->going_at);
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0 && errno != EINTR)
			return false;
		v->going_at += n > 0 ? (size_t)n : 0;
	}
	v->going_at = v->going_n = 0;
	return true;
}

/* --- from the client */

static void add_input(struct visit *v, char c)
{
	v->input[v->input_n++] = c;
}

static void take_input(struct visit *v, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!v->terminal && (bytes[i] == END_OF_INPUT || bytes[i] == QUOTE))
			add_input(v, QUOTE);
		add_input(v, bytes[i]);
		if (v->terminal)
			continue;
		v->line = bytes[i] == '\n' ? 0 : v->line + 1;
		if (v->line == LINE_BYTES) { /* given to the reader as it is, without being a line */
			add_input(v, END_OF_INPUT);
			v->line = 0;
		}
	}
}

static void take_frame(struct visit *v)
{
	const struct frame *f = &v->coming;
	if (f->head.kind == SESSION_INPUT) {
		take_input(v, f->payload, f->head.bytes);
	} else if (f->head.kind == SESSION_INPUT_END) {
		if (v->line)
			add_input(v, END_OF_INPUT);
		add_input(v, END_OF_INPUT);
		v->line = 0;
	} else if (f->head.kind == SESSION_WINDOW && f->head.bytes == sizeof(struct session_window) && v->pty >= 0) {
		struct session_window w;
		memcpy(&w, f->payload, sizeof(w));
		struct winsize size = {.ws_row = w.rows, .ws_col = w.columns};
		ioctl(v->pty, TIOCSWINSZ, &size);
	}
}

static ssize_t receive(struct visit *v, char *to, size_t n)
{
	size_t there = v->early_n - v->early_at;
	if (!there)
		return read(v->client, to, n);
	n = n < there ? n : there;
	memcpy(to, v->early + v->early_at, n);
	v->early_at += n;
	return (ssize_t)n;
}

/* False: the client is gone, or speaks another language. */
static bool read_client(struct visit *v)
{
	while (!v->input_n) {
		size_t want = sizeof(v->coming.head);
		if (v->came >= want)
			want += v->coming.head.bytes;
		if (want > sizeof(v->coming))
			return false;
		if (v->came >= sizeof(v->coming.head) && v->came == want) {
			take_frame(v);
			v->came = 0;
			continue;
		}
		ssize_t n = receive(v, (char *)&v->coming + v->came, want - v->came);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return false;
		v->came += (size_t)n;
	}
	return true;
}

static void write_terminal(struct visit *v)
{
	ssize_t n = v->pty >= 0 && v->input_n ? write(v->pty, v->input + v->input_at, v->input_n - v->input_at) : 0;
	if (n > 0)
		v->input_at += (size_t)n;
	if (v->input_at == v->input_n || v->pty < 0 || (n < 0 && errno != EAGAIN))
		v->input_at = v->input_n = 0;
}

static void turn(struct visit *v)
{
	if (!read_client(v)) {
		visit_over(v);
		return;
	}
	write_terminal(v);
	bool more = true;
	while (more && !v->going_n) {
		more = read_terminal(v);
		/* A command that has ended has still written; what it left behind in the background does not count. */
		if (!more && v->ended && !v->told) {
			int32_t code = v->code;
			add_frame(v, SESSION_EXITED, &code, sizeof(code));
			v->told = true;
		}
		if (!write_client(v)) {
			visit_over(v);
			return;
		}
	}
	if (!write_client(v) || (v->told && !v->going_n)) {
		visit_over(v);
		return;
	}
	loop_set_fd(v->cloud->loop, v->client_watch, (v->input_n ? 0u : EPOLLIN) | (v->going_n ? EPOLLOUT : 0u));
	if (v->pty_watch)
		loop_set_fd(v->cloud->loop, v->pty_watch, (v->going_n ? 0u : EPOLLIN) | (v->input_n ? EPOLLOUT : 0u));
}

static void on_event(void *ctx, uint32_t events)
{
	(void)events;
	turn(ctx);
}

/* --- beginning and end */

static void upgraded(void *ctx, int fd, struct str early)
{
	struct visit *v = ctx;
	v->client = fd;
	if (fd < 0) {
		visit_over(v);
		return;
	}
	if (early.n > sizeof(v->early)) {
		visit_over(v);
		return;
	}
	memcpy(v->early, early.p, early.n);
	v->early_n = early.n;
	v->client_watch = loop_add_fd(v->cloud->loop, fd, EPOLLIN | EPOLLOUT, on_event, v);
	if (v->pty >= 0)
		v->pty_watch = loop_add_fd(v->cloud->loop, v->pty, EPOLLIN, on_event, v);
	if (!v->client_watch)
		visit_over(v);
}

static void client_left(void *ctx)
{
	visit_end(ctx);
}

static void pass_bytes(int pty)
{
	struct termios t;
	if (tcgetattr(pty, &t) < 0)
		return;
	t.c_iflag = 0;
	t.c_oflag = OPOST | ONLCR;
	t.c_lflag = ICANON | IEXTEN;
	for (int i = 0; i < NCCS; i++)
		t.c_cc[i] = _POSIX_VDISABLE;
	t.c_cc[VEOF] = END_OF_INPUT;
	t.c_cc[VLNEXT] = QUOTE;
	tcsetattr(pty, TCSANOW, &t);
}

static void set_window(struct http_request *r, int pty)
{
	int64_t rows, columns;
	if (!str_to_i64(http_header(r, S("x-quartet-rows")), &rows) ||
	    !str_to_i64(http_header(r, S("x-quartet-columns")), &columns))
		return;
	struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
	ioctl(pty, TIOCSWINSZ, &size);
}

static void opened(void *ctx, int fd, const char *why)
{
	struct visit *v = ctx;
	struct http_request *r = v->request;
	v->request = NULL;
	if (fd < 0) {
		http_on_gone(r, NULL, NULL);
		refuse(r, 500, arena_printf(http_arena(r), "the command cannot be started: %s", why));
		v->entered = NULL;
		visit_end(v);
		return;
	}
	v->pty = fd;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	set_window(r, fd);
	if (!v->terminal)
		pass_bytes(fd);
	struct http_header h[] = {{S("upgrade"), S("quartet-session")}};
	if (http_upgrade(r, h, 1, upgraded, v) < 0) {
		http_on_gone(r, NULL, NULL);
		refuse(r, 400, S("a session needs a plain connection"));
		visit_end(v);
	}
}

static void closed(void *ctx, int code)
{
	struct visit *v = ctx;
	v->entered = NULL;
	v->ended = true;
	v->code = code;
	if (v->client_watch)
		turn(v);
}

static const struct ecs_enter_events events = {.opened = opened, .closed = closed};

void exec_task(struct cloud *cloud, struct http_request *r, const struct principal *who, struct str id)
{
	struct arena *a = http_arena(r);
	struct str query = http_head(r)->query, why, words = S("");
	struct uri_part part;
	const char *argv[WORDS_MAX + 1] = {"/bin/sh"};
	unsigned n = 0, status;
	struct ecs_enter what = {.region = http_header(r, S("x-quartet-region")), .task = id, .argv = argv};
	struct str term = http_header(r, S("x-quartet-term"));
	while (uri_next_part(&query, &part)) {
		struct str word = uri_decode(a, part.value);
		if (str_is(part.name, "container"))
			what.container = word;
		if (!str_is(part.name, "arg"))
			continue;
		if (n == WORDS_MAX || str_find_char(word, 0) >= 0) {
			refuse(r, 400, S("the command is too long"));
			return;
		}
		argv[n++] = arena_dupz(a, word);
		words = ARENA_CAT(a, words, S(" "), word);
	}
	if (term.n && term.n < 64 && str_find_char(term, 0) < 0)
		what.term = arena_dupz(a, term);
	struct visit *v = calloc(1, sizeof(*v));
	if (!v)
		die("out of memory (exec)");
	v->cloud = cloud;
	v->request = r;
	v->client = v->pty = -1;
	v->terminal = str_is(http_header(r, S("x-quartet-terminal")), "1");
	snprintf(v->who, sizeof(v->who), "%.*s", STR_ARG(who->arn));
	snprintf(v->id, sizeof(v->id), "%.*s", STR_ARG(id));
	struct ecs_enter_remote remote;
	v->entered = ecs_enter(cloud, r, a, who, &what, &events, v, &remote, &status, &why);
	if (str_set(remote.instance)) {
		log_info("exec: %s enters %s by %.*s", v->who, v->id, STR_ARG(remote.instance));
		visit_end(v);
		exec_through_instance(cloud, r, who, remote.instance, remote.words, sizeof(remote.words) / sizeof(*remote.words));
		return;
	}
	if (!v->entered) {
		log_info("exec: %s may not or cannot enter %s: %.*s", v->who, v->id, STR_ARG(why));
		refuse(r, status, why);
		visit_end(v);
		return;
	}
	log_info("exec: %s enters %s:%.*s", v->who, v->id, STR_ARG(words.n ? words : S(" a shell")));
	http_on_gone(r, client_left, v);
}
