/* `quartet exec i-...`: the client's connection joined with the stream of a session inside an instance. The first frame is written
 * here, because the command is what was allowed and is told to the log; what follows passes as it comes. */
#include "role/exec_way.h"

#include "aws/ec2/instance/enter.h"
#include "base/log.h"
#include "base/uri.h"
#include "engine/session/session.h"
#include "engine/vm/machine.h"
#include "http/http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* A guest that is still on its way to its agent is waited for. */
enum { AGENT_PATIENCE_US = 90 * 1000000 };

struct entry {
	struct cloud *cloud;
	struct http_request *request; /* NULL: answered, or the client has left */
	struct machine_session *session;
	int stream;
	struct loop_fd *watch;
	struct loop_timer *late;
	char *first; /* the frame of START */
	size_t first_n, first_at;
	struct session_head head; /* of the answer */
	int32_t error;            /* its payload, if it failed */
	size_t came;
	char who[256], id[64];
};

static void entry_free(struct entry *e)
{
	loop_remove_fd(e->cloud->loop, e->watch);
	loop_remove_timer(e->cloud->loop, e->late);
	machine_session_close(e->session);
	free(e->first);
	free(e);
}

static void refuse(struct http_request *r, unsigned status, struct str why)
{
	struct http_header h[] = {{S("content-type"), S("text/plain")}};
	http_reply(r, status, h, 1, ARENA_CAT(http_arena(r), why, S("\n")));
}

static void fail(struct entry *e, unsigned status, struct str why)
{
	struct http_request *r = e->request;
	e->request = NULL;
	http_on_gone(r, NULL, NULL);
	refuse(r, status, why);
	entry_free(e);
}

static void client_left(void *ctx)
{
	entry_free(ctx);
}

static void way_over(void *ctx)
{
	struct entry *e = ctx;
	log_info("exec: %s has left %s", e->who, e->id);
	entry_free(e);
}

static void upgraded(void *ctx, int fd, struct str early)
{
	struct entry *e = ctx;
	if (fd < 0) {
		way_over(e);
		return;
	}
	exec_way_join(e->cloud->loop, fd, e->stream, early, way_over, e);
}

static void is_late(void *ctx)
{
	struct entry *e = ctx;
	e->late = NULL;
	fail(e, 504, S("nothing in the instance answers: its image has no agent for this, or does not run yet"));
}

static void ready(struct entry *e)
{
	struct http_request *r = e->request;
	struct http_header h[] = {{S("upgrade"), S("quartet-session")}};
	loop_remove_fd(e->cloud->loop, e->watch);
	loop_remove_timer(e->cloud->loop, e->late);
	e->watch = NULL;
	e->late = NULL;
	if (http_upgrade(r, h, 1, upgraded, e) < 0)
		fail(e, 400, S("a session needs a plain connection"));
	else
		e->request = NULL;
}

/* READY without payload, or FAILED with an errno; anything else is nobody that we know. */
static void read_answer(struct entry *e)
{
	for (;;) {
		char *to = e->came < sizeof(e->head) ? (char *)&e->head + e->came : (char *)&e->error + (e->came - sizeof(e->head));
		size_t want = e->came < sizeof(e->head) ? sizeof(e->head) - e->came : sizeof(e->head) + sizeof(e->error) - e->came;
		ssize_t n = read(e->stream, to, want);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			fail(e, 502, S("the instance ended, or what serves sessions in it"));
			return;
		}
		e->came += (size_t)n;
		if (e->came < sizeof(e->head))
			continue;
		if (e->came == sizeof(e->head) && e->head.kind == SESSION_READY && e->head.bytes == 0) {
			ready(e);
			return;
		}
		if (e->head.kind != SESSION_FAILED || e->head.bytes != sizeof(e->error)) {
			fail(e, 502, S("what serves sessions in the instance speaks another language"));
			return;
		}
		if (e->came == sizeof(e->head) + sizeof(e->error)) {
			const char *why = e->error > 0 && e->error < 4096 ? strerror(e->error) : "unknown error";
			fail(e, 500, arena_printf(http_arena(e->request), "the command cannot be started: %s", why));
			return;
		}
	}
}

static void speaks(void *ctx, uint32_t events)
{
	struct entry *e = ctx;
	while (e->first_at < e->first_n) {
		ssize_t n = write(e->stream, e->first + e->first_at, e->first_n - e->first_at);
		if (n <= 0)
			break;
		e->first_at += (size_t)n;
		if (e->first_at == e->first_n)
			loop_set_fd(e->cloud->loop, e->watch, EPOLLIN);
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_answer(e);
}

static void begun(void *ctx, int stream, int error)
{
	struct entry *e = ctx;
	if (error) {
		fail(e, 500, arena_printf(http_arena(e->request), "there is no way into the instance: %s", strerror(-error)));
		return;
	}
	e->stream = stream;
	fcntl(stream, F_SETFL, fcntl(stream, F_GETFL) | O_NONBLOCK);
	e->watch = loop_add_fd(e->cloud->loop, stream, EPOLLIN | EPOLLOUT, speaks, e);
	if (!e->watch)
		fail(e, 500, S("there is no way into the instance"));
}

static uint16_t number(struct http_request *r, struct str name)
{
	int64_t v;
	return str_to_i64(http_header(r, name), &v) && v > 0 && v < 65536 ? (uint16_t)v : 0;
}

/* False: the command is too long. */
static bool make_first(struct http_request *r, struct str query, const char *const *before, unsigned count, struct buf *b,
                       struct str *ret_words)
{
	struct arena *a = http_arena(r);
	struct session_start start = {.terminal = str_is(http_header(r, S("x-quartet-terminal")), "1")};
	struct session_head head = {.kind = SESSION_START};
	struct buf CLEAN_BUF words;
	struct uri_part part;
	buf_init(&words, SESSION_PAYLOAD_MAX - sizeof(start));
	struct str term = http_header(r, S("x-quartet-term"));
	buf_add_str(&words, term.n < 64 && str_find_char(term, 0) < 0 ? term : S(""));
	buf_add_char(&words, 0);
	*ret_words = S("");
	for (; start.words < count; start.words++)
		buf_add(&words, before[start.words], strlen(before[start.words]) + 1);
	while (uri_next_part(&query, &part)) {
		struct str word = uri_decode(a, part.value);
		if (!str_is(part.name, "arg"))
			continue;
		if (str_find_char(word, 0) >= 0 || ++start.words > SESSION_WORDS_MAX)
			return false;
		buf_add_str(&words, word);
		buf_add_char(&words, 0);
		*ret_words = ARENA_CAT(a, *ret_words, S(" "), word);
	}
	if (count && start.words == count) {
		buf_add(&words, "/bin/sh", sizeof("/bin/sh"));
		start.words++;
	}
	start.window = (struct session_window){number(r, S("x-quartet-rows")), number(r, S("x-quartet-columns"))};
	head.bytes = (uint32_t)(sizeof(start) + words.n);
	buf_add_lit(b, SESSION_BEGIN);
	buf_add(b, &head, sizeof(head));
	buf_add(b, &start, sizeof(start));
	buf_add_str(b, buf_str(&words));
	return !words.overflow && !b->overflow;
}

static void enter(struct cloud *cloud, struct http_request *r, const struct principal *who, struct str id, struct machine *m,
                  const char *const *before, unsigned count)
{
	struct str words;
	struct buf CLEAN_BUF first;
	buf_init(&first, sizeof(SESSION_BEGIN) + sizeof(struct session_head) + SESSION_PAYLOAD_MAX);
	if (!make_first(r, http_head(r)->query, before, count, &first, &words)) {
		refuse(r, 400, S("the command is too long"));
		return;
	}
	struct entry *e = calloc(1, sizeof(*e));
	if (!e)
		die("out of memory (exec)");
	*e = (struct entry){.cloud = cloud, .request = r, .stream = -1};
	snprintf(e->who, sizeof(e->who), "%.*s", STR_ARG(who->arn));
	snprintf(e->id, sizeof(e->id), "%.*s", STR_ARG(id));
	e->first = buf_take(&first, &e->first_n);
	e->session = machine_session(m, begun, e);
	if (!e->session) {
		refuse(r, 429, S("as many sessions as an instance can have are open"));
		entry_free(e);
		return;
	}
	log_info("exec: %s enters %s:%.*s", e->who, e->id, STR_ARG(words.n ? words : S(" a shell")));
	e->late = loop_add_timer(cloud->loop, AGENT_PATIENCE_US, is_late, e);
	http_on_gone(r, client_left, e);
}

void exec_instance(struct cloud *cloud, struct http_request *r, const struct principal *who, struct str id)
{
	unsigned status;
	struct str why;
	struct machine *m = ec2_enter(cloud, r, http_arena(r), who, http_header(r, S("x-quartet-region")), id, &status, &why);
	if (m) {
		enter(cloud, r, who, id, m, NULL, 0);
		return;
	}
	log_info("exec: %.*s may not or cannot enter %.*s: %.*s", STR_ARG(who->arn), STR_ARG(id), STR_ARG(why));
	refuse(r, status, why);
}

void exec_through_instance(struct cloud *cloud, struct http_request *r, const struct principal *who, struct str id,
                           const char *const *words, unsigned count)
{
	struct machine *m = ec2_enter_machine(cloud, id);
	if (m)
		enter(cloud, r, who, id, m, words, count);
	else
		refuse(r, 409, S("the task's container instance does not run"));
}
