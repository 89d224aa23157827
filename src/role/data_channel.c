/* A client opens a WebSocket (a line), says its token, and joins the session that the token is of. The session's visit has the
 * program and the channel, and lives on when the line is lost: another one can take its place until the session idles. */
#include "role/data_channel.h"
#include "role/inside.h"

#include "base/json.h"
#include "base/log.h"
#include "base/uri.h"
#include "engine/session/channel.h"
#include "http/websocket_link.h"

#include <stdlib.h>
#include <string.h>

#define PATH "/v1/data-channel/"
enum {
	TOKEN_US = 10 * 1000000, /* a line without a token is closed after it */
	SILENT_LINES_MAX = 256,  /* that have not said theirs yet */
	LAST_WORDS_US = 10 * 1000000,
	ID_MAX = 96,
};

struct line {
	struct cloud *cloud;
	struct ws_link *link; /* NULL: not upgraded yet */
	struct loop_timer *late;
	struct visit *visit; /* NULL: it has not said its token */
	char id[ID_MAX + 1];
};
struct visit {
	struct cloud *cloud;
	struct ssm_live *session;
	struct channel *channel;
	struct line *line; /* NULL: nobody is connected */
	struct inside *inside;
	struct loop_timer *timer, *last_words;
	int64_t timer_us; /* when it fires */
	unsigned rows, columns;
	bool held, in_call, over; /* in_call: in one of the channel's functions; over: it is to end once that has returned */
	struct arena arena;
	struct str why; /* it ends; absent: without a word */
};

/* Lines that have not said their token. */
static unsigned silent_lines;

/* --- the end */

static void line_free(struct line *l)
{
	if (!l->visit)
		silent_lines--;
	loop_remove_timer(l->cloud->loop, l->late);
	free(l);
}

static void line_close(struct line *l, enum ws_code code, struct str why)
{
	ws_link_close(l->link, code, why);
	line_free(l);
}

static void visit_end(struct visit *v)
{
	const struct ssm_session_spec *spec = ssm_session_spec(v->session);
	log_info("session: %.*s has left %.*s (%.*s)", STR_ARG(spec->owner), STR_ARG(spec->target), STR_ARG(spec->id));
	channel_close(v->channel, v->why);
	if (v->line)
		line_close(v->line, WS_NORMAL, S(""));
	inside_free(v->inside);
	channel_free(v->channel);
	loop_remove_timer(v->cloud->loop, v->timer);
	loop_remove_timer(v->cloud->loop, v->last_words);
	ssm_session_over(v->session);
	arena_done(&v->arena);
	free(v);
}

static void leave(struct visit *v, struct str why)
{
	if (!v->over)
		v->why = str_set(why) ? arena_dup(&v->arena, why) : STR_NONE;
	v->over = true;
}

/* --- the channel's */

static void set_timer(struct visit *v);

static void on_timer(void *ctx)
{
	struct visit *v = ctx;
	v->timer = NULL;
	v->in_call = true;
	channel_tick(v->channel, loop_now_us(v->cloud->loop));
	v->in_call = false;
	if (v->over)
		visit_end(v);
	else
		set_timer(v);
}

static void set_timer(struct visit *v)
{
	int64_t due = channel_due_us(v->channel), now = loop_now_us(v->cloud->loop);
	if (due == INT64_MAX || (v->timer && v->timer_us <= due))
		return; /* one that fires early looks again */
	loop_remove_timer(v->cloud->loop, v->timer);
	v->timer_us = due;
	v->timer = loop_add_timer(v->cloud->loop, due > now ? due - now : 0, on_timer, v);
}

static void to_client(void *ctx, struct str message)
{
	struct visit *v = ctx;
	if (v->line)
		ws_link_send(v->line->link, WS_BINARY, message); /* the channel itself knows when much is under way */
}

static void from_program(void *ctx, struct str bytes)
{
	struct visit *v = ctx;
	ssm_session_touch(v->session);
	channel_output(v->channel, SSM_PAYLOAD_OUTPUT, bytes, loop_now_us(v->cloud->loop));
	if (channel_full(v->channel)) {
		v->held = true;
		inside_hold(v->inside, true);
	}
	set_timer(v);
}

static void has_room(void *ctx)
{
	struct visit *v = ctx;
	if (v->in_call)
		return;
	v->in_call = true;
	channel_go_on(v->channel);
	v->in_call = false;
}

static void said_all(void *ctx)
{
	struct visit *v = ctx;
	v->last_words = NULL;
	visit_end(v);
}

/* The client gets what the program said last, if it still listens. */
static void program_ended(void *ctx, struct str why)
{
	struct visit *v = ctx;
	int64_t patience = v->line && channel_owes(v->channel) && !str_set(why) ? LAST_WORDS_US : 0;
	leave(v, why);
	loop_remove_timer(v->cloud->loop, v->last_words);
	v->last_words = loop_add_timer(v->cloud->loop, patience, said_all, v);
	v->over = false; /* until then */
}

static const struct inside_events inside_events = {.output = from_program, .room = has_room, .ended = program_ended};

static void is_ready(void *ctx)
{
	struct visit *v = ctx;
	struct arena CLEAN_ARENA a = {0};
	const struct ssm_session_spec *spec = ssm_session_spec(v->session);
	struct str why = STR_NONE;
	v->inside = (spec->where == SSM_IN_TASK ? inside_task_open : inside_instance_open)(v->cloud, spec, v->rows, v->columns,
	                                                                                   &inside_events, v, &a, &why);
	log_info("session: %.*s enters %.*s (%.*s)", STR_ARG(spec->owner), STR_ARG(spec->target), STR_ARG(spec->id));
	if (!v->inside)
		leave(v, why);
}

static bool to_program(void *ctx, struct str bytes)
{
	struct visit *v = ctx;
	ssm_session_touch(v->session);
	return !v->inside || inside_input(v->inside, bytes);
}

static void set_window(void *ctx, unsigned rows, unsigned columns)
{
	struct visit *v = ctx;
	v->rows = rows;
	v->columns = columns;
	if (v->inside)
		inside_window(v->inside, rows, columns);
}

static void client_ends(void *ctx, struct str why)
{
	leave(ctx, why);
}

static const struct channel_events channel_events = {
        .send = to_client, .ready = is_ready, .input = to_program, .window = set_window, .terminate = client_ends};

/* --- lines */

static void session_ends(void *ctx, struct str why)
{
	struct visit *v = ctx;
	leave(v, why);
	visit_end(v);
}

static const struct ssm_session_events session_events = {.end = session_ends};

static struct str token_of(struct arena *a, struct str text)
{
	const struct json_value *v = json_parse(a, text, NULL);
	return str_is(json_get_str(v, S("MessageSchemaVersion")), "1.0") ? json_get_str(v, S("TokenValue")) : STR_NONE;
}

static void say_token(struct line *l, bool binary, struct str bytes)
{
	struct arena CLEAN_ARENA a = {0};
	struct str token = binary ? STR_NONE : token_of(&a, bytes);
	struct ssm_live *session = str_set(token) ? ssm_session_open(l->cloud, str_from(l->id), token) : NULL;
	if (!session) {
		line_close(l, WS_POLICY, S("The token is not that of the session, was used before, or its time is over."));
		return;
	}
	struct visit *v = ssm_session_owner(session);
	if (!v) {
		const struct ssm_session_spec *spec = ssm_session_spec(session);
		struct channel_kind kind = {
		        .session_id = spec->id, .target = spec->target, .type = spec->type, .properties = spec->properties};
		v = calloc(1, sizeof(*v));
		if (!v)
			die("out of memory (session)");
		v->cloud = l->cloud;
		v->session = session;
		v->channel = channel_new(&kind, &channel_events, v);
		ssm_session_own(session, &session_events, v);
	}
	if (v->line)
		line_close(v->line, WS_NORMAL, S("The session goes on elsewhere."));
	silent_lines--;
	loop_remove_timer(l->cloud->loop, l->late);
	l->late = NULL;
	l->visit = v;
	v->line = l;
	ssm_session_connected(session, true);
	channel_connected(v->channel, loop_now_us(v->cloud->loop));
	set_timer(v);
}

static void from_client(void *ctx, bool binary, struct str bytes)
{
	struct line *l = ctx;
	struct visit *v = l->visit;
	if (!v) {
		say_token(l, binary, bytes);
		return;
	}
	v->in_call = true;
	int error = binary ? channel_receive(v->channel, bytes, loop_now_us(v->cloud->loop)) : -1;
	v->in_call = false;
	if (v->over || (v->last_words && !channel_owes(v->channel))) {
		visit_end(v);
		return;
	}
	if (error) {
		v->line = NULL;
		channel_disconnected(v->channel);
		ssm_session_connected(v->session, false);
		line_close(l, WS_BROKEN, S("That is no message of the data channel."));
		return;
	}
	if (v->held && !channel_full(v->channel)) {
		v->held = false;
		inside_hold(v->inside, false);
	}
	set_timer(v);
}

static void line_gone(void *ctx, unsigned code)
{
	(void)code;
	struct line *l = ctx;
	struct visit *v = l->visit;
	if (v) {
		v->line = NULL;
		channel_disconnected(v->channel);
		ssm_session_connected(v->session, false);
	}
	line_free(l);
}

static const struct ws_link_events link_events = {.message = from_client, .closed = line_gone};

static void is_late(void *ctx)
{
	struct line *l = ctx;
	l->late = NULL;
	line_close(l, WS_POLICY, S("The token is missing."));
}

static void upgraded(void *ctx, int fd, struct str early)
{
	struct line *l = ctx;
	l->link = fd < 0 ? NULL : ws_link_new(l->cloud->loop, fd, early, SSM_MESSAGE_MAX, &link_events, l);
	if (l->link)
		l->late = loop_add_timer(l->cloud->loop, TOKEN_US, is_late, l);
	else
		line_free(l);
}

static void client_left(void *ctx)
{
	line_free(ctx);
}

bool data_channel_take(struct cloud *cloud, struct http_request *r)
{
	const struct http_head *head = http_head(r);
	if (!str_starts(head->path, S(PATH)) || !str_ieq(http_header(r, S("upgrade")), S("websocket")))
		return false;
	struct str id = uri_decode(http_arena(r), str_from_at(head->path, sizeof(PATH) - 1));
	struct http_header h[] = {{S("content-type"), S("text/plain")}};
	if (!id.n || id.n > ID_MAX || silent_lines >= SILENT_LINES_MAX) {
		http_reply(r, id.n && id.n <= ID_MAX ? 503 : 404, h, 1,
		           S("no such session, or too many clients without a token\n"));
		return true;
	}
	struct line *l = calloc(1, sizeof(*l));
	if (!l)
		die("out of memory (session)");
	l->cloud = cloud;
	memcpy(l->id, id.p, id.n);
	silent_lines++;
	http_on_gone(r, client_left, l);
	if (!ws_upgrade(r, upgraded, l)) {
		http_on_gone(r, NULL, NULL);
		line_free(l);
	}
	return true;
}
