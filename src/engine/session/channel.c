/* How the numbers work. Each direction counts its messages from 0. A receiver acknowledges what it has taken, or keeps because one
 * before it is missing; it says nothing to a message that it cannot take now, and the sender sends that again. Connections deliver
 * in order, so a message is missing only where a client has let it pass. Clients do not acknowledge again what they have taken
 * already: a message that was sent many times over one connection counts as taken, because nothing else would ever say so. */
#include "engine/session/channel.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	AGAIN_FIRST_US = 200 * 1000, /* until a round trip has been measured */
	AGAIN_MOST_US = 1000 * 1000,
	AGAIN_TIMES = 50,
	HANDSHAKE_US = 15 * 1000000,
	PIECE_BYTES = 1024,         /* clients of all ages take that much of a message */
	OUT_FULL_BYTES = 64 * 1024, /* not acknowledged */
	WINDOW = 4096,              /* messages that came before their turn, or whose turn the program does not take */
	IN_MAX_BYTES = 1 << 20,     /* and their bytes */
	SUCCESS = 1,
};
#define AGENT_VERSION "3.3.0.0"
#define HANDSHAKE_LATE "Handshake timed out. Please ensure that you have the latest version of the session manager plugin."

enum phase { FRESH, SHAKING, OPEN, CLOSED };

struct sent {
	struct list node;
	int64_t sequence, at_us;
	unsigned times;
	size_t n;
	char bytes[];
};
struct kept {
	uint32_t type;
	size_t n;
	char bytes[];
};

struct channel {
	struct arena arena;
	struct channel_kind kind;
	const struct channel_events *events;
	void *ctx;
	enum phase phase;
	bool connected, paused, blocked; /* blocked: the program takes no input */
	int64_t shake_us;                /* since when */
	/* out */
	struct list unacknowledged;
	size_t out_bytes;
	int64_t next_out, trip_us, vary_us, again_us;
	/* in */
	int64_t next_in;
	struct kept *coming[WINDOW]; /* by number, from next_in on */
	size_t in_bytes;
};

struct channel *channel_new(const struct channel_kind *kind, const struct channel_events *events, void *ctx)
{
	struct channel *c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	c->kind =
	        (struct channel_kind){.session_id = arena_dup(&c->arena, kind->session_id),
	                              .target = arena_dup(&c->arena, kind->target),
	                              .type = arena_dup(&c->arena, kind->type),
	                              .properties = str_set(kind->properties) ? arena_dup(&c->arena, kind->properties) : STR_NONE};
	c->events = events;
	c->ctx = ctx;
	c->again_us = AGAIN_FIRST_US;
	c->trip_us = AGAIN_FIRST_US / 2;
	list_init(&c->unacknowledged);
	return c;
}

static void forget_sent(struct channel *c, struct sent *s)
{
	c->out_bytes -= s->n;
	list_remove(&s->node);
	free(s);
}

static void forget_all(struct channel *c)
{
	list_each (&c->unacknowledged, struct sent, node, s)
		forget_sent(c, s);
	for (unsigned i = 0; i < WINDOW; i++) {
		free(c->coming[i]);
		c->coming[i] = NULL;
	}
}

void channel_free(struct channel *c)
{
	if (!c)
		return;
	forget_all(c);
	arena_done(&c->arena);
	free(c);
}

/* --- out */

static void send_one(struct channel *c, struct sent *s, int64_t now_us)
{
	s->at_us = now_us;
	s->times++;
	c->events->send(c->ctx, str_of(s->bytes, s->n));
}

static bool may_send(const struct channel *c)
{
	return c->connected && !c->paused && c->phase != CLOSED;
}

static void add_message(struct channel *c, uint32_t type, struct str payload, int64_t now_us)
{
	struct buf CLEAN_BUF b;
	struct ssm_message m = {.type = SSM_OUTPUT,
	                        .created_ms = clock_wall_ms(),
	                        .sequence = c->next_out,
	                        .flags = c->next_out == 0 ? SSM_FIRST : 0,
	                        .payload_type = type,
	                        .payload = payload};
	ssm_message_new_id(m.id);
	buf_init(&b, SSM_MESSAGE_MAX);
	ssm_message_write(&m, &b);
	struct sent *s = malloc(sizeof(*s) + b.n);
	if (!s)
		abort();
	*s = (struct sent){.sequence = c->next_out++, .n = b.n};
	memcpy(s->bytes, b.p, b.n);
	list_push(&c->unacknowledged, &s->node);
	c->out_bytes += s->n;
	if (may_send(c))
		send_one(c, s, now_us);
}

void channel_output(struct channel *c, enum ssm_payload type, struct str bytes, int64_t now_us)
{
	while (bytes.n && c->phase == OPEN) {
		struct str piece = str_sub(bytes, 0, PIECE_BYTES);
		add_message(c, type, piece, now_us);
		bytes = str_from_at(bytes, piece.n);
	}
}

bool channel_full(const struct channel *c)
{
	return c->phase != OPEN || c->out_bytes >= OUT_FULL_BYTES;
}

bool channel_owes(const struct channel *c)
{
	return c->phase != CLOSED && !list_empty(&c->unacknowledged);
}

/* As TCP reckons it: the time of a round trip and four times how much it varies. */
static void measure(struct channel *c, int64_t took_us)
{
	int64_t off = took_us > c->trip_us ? took_us - c->trip_us : c->trip_us - took_us;
	c->vary_us += (off - c->vary_us) / 4;
	c->trip_us += (took_us - c->trip_us) / 8;
	c->again_us = c->trip_us + (4 * c->vary_us > 10000 ? 4 * c->vary_us : 10000);
	if (c->again_us > AGAIN_MOST_US)
		c->again_us = AGAIN_MOST_US;
}

static void acknowledged(struct channel *c, struct str payload, int64_t now_us)
{
	struct arena a = {0};
	int64_t sequence = -1;
	const struct json_value *v = json_get(json_parse(&a, payload, NULL), S("AcknowledgedMessageSequenceNumber"));
	if (!json_is(v, JSON_NUMBER) || !json_to_int(v->text, &sequence))
		sequence = -1;
	arena_done(&a);
	list_each (&c->unacknowledged, struct sent, node, s) {
		if (s->sequence != sequence || !s->times)
			continue;
		if (s->times == 1)
			measure(c, now_us - s->at_us);
		forget_sent(c, s);
		return;
	}
}

static void say_control(struct channel *c, enum ssm_type type, struct str payload)
{
	struct buf CLEAN_BUF b;
	struct ssm_message m = {.type = type, .created_ms = clock_wall_ms(), .flags = SSM_FIRST | SSM_LAST, .payload = payload};
	ssm_message_new_id(m.id);
	buf_init(&b, SSM_MESSAGE_MAX);
	ssm_message_write(&m, &b);
	c->events->send(c->ctx, buf_str(&b));
}

static void acknowledge(struct channel *c, const struct ssm_message *m)
{
	struct buf CLEAN_BUF b;
	char id[37];
	struct json_out o = json_out(&b);
	buf_init(&b, 1024);
	ssm_message_id_text(m->id, id);
	json_open(&o, '{');
	json_key(&o, S("AcknowledgedMessageType"));
	json_string(&o, S("input_stream_data"));
	json_key(&o, S("AcknowledgedMessageId"));
	json_string(&o, str_from(id));
	json_key(&o, S("AcknowledgedMessageSequenceNumber"));
	json_int(&o, m->sequence);
	json_key(&o, S("IsSequentialMessage"));
	json_bool(&o, true);
	json_close(&o, '}');
	say_control(c, SSM_ACKNOWLEDGE, buf_str(&b));
}

/* --- the handshake */

static void begin_handshake(struct channel *c, int64_t now_us)
{
	struct buf CLEAN_BUF b;
	struct json_out o = json_out(&b);
	buf_init(&b, SSM_PAYLOAD_MAX);
	json_open(&o, '{');
	json_key(&o, S("AgentVersion"));
	json_string(&o, S(AGENT_VERSION));
	json_key(&o, S("RequestedClientActions"));
	json_open(&o, '[');
	json_open(&o, '{');
	json_key(&o, S("ActionType"));
	json_string(&o, S("SessionType"));
	json_key(&o, S("ActionParameters"));
	json_open(&o, '{');
	json_key(&o, S("SessionType"));
	json_string(&o, c->kind.type);
	json_key(&o, S("Properties"));
	if (str_set(c->kind.properties))
		json_raw(&o, c->kind.properties);
	else
		json_null(&o);
	json_close(&o, '}');
	json_close(&o, '}');
	json_close(&o, ']');
	json_close(&o, '}');
	c->phase = SHAKING;
	add_message(c, SSM_PAYLOAD_HANDSHAKE_REQUEST, buf_str(&b), now_us);
}

/* Has the client done what the request asked for? STR_NONE: yes. */
static struct str handshake_failure(struct arena *a, struct str payload)
{
	const struct json_value *v = json_parse(a, payload, NULL);
	if (!json_is(v, JSON_OBJECT))
		return S("The handshake response is not readable");
	json_each(json_get(v, S("ProcessedClientActions")), action)
	{
		int64_t status = 0;
		const struct json_value *s = json_get(action, S("ActionStatus"));
		if (!str_is(json_get_str(action, S("ActionType")), "SessionType"))
			continue;
		if (json_is(s, JSON_NUMBER) && json_to_int(s->text, &status) && status == SUCCESS)
			return STR_NONE;
		struct str why = json_get_str(action, S("Error"));
		return arena_printf(a, "The client cannot take part in the session: %.*s", STR_ARG(str_sub(why, 0, 512)));
	}
	return S("The handshake response does not say what became of the session's type");
}

static void shake_hands(struct channel *c, struct str payload, int64_t now_us)
{
	if (c->phase != SHAKING)
		return;
	struct arena a = {0};
	struct str why = handshake_failure(&a, payload);
	if (str_set(why)) {
		c->events->terminate(c->ctx, why);
	} else {
		struct str done = arena_printf(&a, "{\"HandshakeTimeToComplete\":%lld,\"CustomerMessage\":\"\"}",
		                               (long long)(now_us - c->shake_us) * 1000);
		c->phase = OPEN;
		add_message(c, SSM_PAYLOAD_HANDSHAKE_COMPLETE, done, now_us);
		c->events->ready(c->ctx);
	}
	arena_done(&a);
}

/* --- in */

static unsigned dimension(const struct json_value *v, struct str key)
{
	int64_t n;
	const struct json_value *d = json_get(v, key);
	return json_is(d, JSON_NUMBER) && json_to_int(d->text, &n) && n > 0 && n < 65536 ? (unsigned)n : 0;
}

static void set_window(struct channel *c, struct str payload)
{
	struct arena a = {0};
	const struct json_value *v = json_parse(&a, payload, NULL);
	unsigned rows = dimension(v, S("rows")), columns = dimension(v, S("cols"));
	if (rows && columns)
		c->events->window(c->ctx, rows, columns);
	arena_done(&a);
}

/* False: not now. What comes before the handshake is over is passed over, as the agent does. */
static bool take(struct channel *c, uint32_t type, struct str payload, int64_t now_us)
{
	if (type == SSM_PAYLOAD_HANDSHAKE_RESPONSE)
		shake_hands(c, payload, now_us);
	else if (c->phase != OPEN)
		return true;
	else if (type == SSM_PAYLOAD_OUTPUT)
		return !payload.n || c->events->input(c->ctx, payload);
	else if (type == SSM_PAYLOAD_SIZE)
		set_window(c, payload);
	else if (type == SSM_PAYLOAD_FLAG && payload.n == 4 && memcmp(payload.p, "\0\0\0\2", 4) == 0)
		c->events->terminate(c->ctx, STR_NONE);
	return true;
}

static void take_kept(struct channel *c, int64_t now_us)
{
	struct kept **place, *k;
	while (!c->blocked && *(place = &c->coming[c->next_in % WINDOW])) {
		k = *place;
		*place = NULL; /* the owner may close the channel from here */
		c->blocked = !take(c, k->type, str_of(k->bytes, k->n), now_us);
		if (c->blocked) {
			*place = k;
			return;
		}
		c->next_in++;
		c->in_bytes -= sizeof(*k) + k->n;
		free(k);
	}
}

static void input(struct channel *c, const struct ssm_message *m, int64_t now_us)
{
	if (m->sequence < 0)
		return;
	if (m->sequence < c->next_in) {
		acknowledge(c, m); /* the first one was lost */
		return;
	}
	struct kept **place = &c->coming[m->sequence % WINDOW];
	size_t bytes = sizeof(**place) + m->payload.n;
	if (m->sequence - c->next_in >= WINDOW)
		return;
	if (!*place) {
		/* The one whose turn it is has to find room, or nothing would ever go on. */
		if (c->in_bytes + bytes > IN_MAX_BYTES && m->sequence != c->next_in)
			return;
		*place = malloc(bytes);
		if (!*place)
			abort();
		**place = (struct kept){.type = m->payload_type, .n = m->payload.n};
		memcpy((*place)->bytes, m->payload.p, m->payload.n);
		c->in_bytes += bytes;
	}
	acknowledge(c, m);
	take_kept(c, now_us);
}

void channel_go_on(struct channel *c)
{
	c->blocked = false;
	if (c->phase != CLOSED)
		take_kept(c, clock_mono_us());
}

int channel_receive(struct channel *c, struct str message, int64_t now_us)
{
	struct ssm_message m;
	int error = ssm_message_read(message, &m);
	if (error || c->phase == CLOSED)
		return error;
	switch (m.type) {
	case SSM_INPUT:
		input(c, &m, now_us);
		return 0;
	case SSM_ACKNOWLEDGE:
		acknowledged(c, m.payload, now_us);
		return 0;
	case SSM_PAUSE:
		c->paused = true;
		return 0;
	case SSM_START:
		c->paused = false;
		channel_tick(c, now_us);
		return 0;
	default:
		return 0; /* of a newer client: it learns that nobody answers */
	}
}

/* --- its life */

void channel_connected(struct channel *c, int64_t now_us)
{
	c->connected = true;
	c->paused = false;
	c->shake_us = now_us;
	list_each (&c->unacknowledged, struct sent, node, s) {
		s->times = 0;
		send_one(c, s, now_us);
	}
	if (c->phase == FRESH)
		begin_handshake(c, now_us);
}

void channel_disconnected(struct channel *c)
{
	c->connected = false;
}

void channel_close(struct channel *c, struct str why)
{
	if (c->phase == CLOSED)
		return;
	if (c->connected) {
		struct buf CLEAN_BUF b;
		struct json_out o = json_out(&b);
		unsigned char id[16];
		char id_text[37], date[40];
		buf_init(&b, SSM_PAYLOAD_MAX);
		ssm_message_new_id(id);
		ssm_message_id_text(id, id_text);
		time_format_to(date, clock_wall_ms(), TIME_ISO8601_MS);
		json_open(&o, '{');
		json_key(&o, S("MessageId"));
		json_string(&o, str_from(id_text));
		json_key(&o, S("CreatedDate"));
		json_string(&o, str_from(date));
		json_key(&o, S("DestinationId"));
		json_string(&o, c->kind.target);
		json_key(&o, S("SessionId"));
		json_string(&o, c->kind.session_id);
		json_key(&o, S("MessageType"));
		json_string(&o, S("channel_closed"));
		json_key(&o, S("SchemaVersion"));
		json_int(&o, 1);
		json_key(&o, S("Output"));
		json_string(&o, str_set(why) ? why : S(""));
		json_close(&o, '}');
		say_control(c, SSM_CHANNEL_CLOSED, buf_str(&b));
	}
	c->phase = CLOSED;
	forget_all(c);
}

int64_t channel_due_us(const struct channel *c)
{
	int64_t due = INT64_MAX;
	if (!may_send(c))
		return due;
	const struct sent *first = list_first(&c->unacknowledged, struct sent, node);
	if (first)
		due = first->times ? first->at_us + c->again_us : 0;
	if (c->phase == SHAKING && c->shake_us + HANDSHAKE_US < due)
		due = c->shake_us + HANDSHAKE_US;
	return due;
}

void channel_tick(struct channel *c, int64_t now_us)
{
	if (c->phase == SHAKING && now_us >= c->shake_us + HANDSHAKE_US) {
		c->events->terminate(c->ctx, S(HANDSHAKE_LATE));
		return;
	}
	if (!may_send(c))
		return;
	/* What was kept back by a pause goes out now; of what was sent, the first alone goes again. */
	list_each (&c->unacknowledged, struct sent, node, s)
		if (!s->times)
			send_one(c, s, now_us);
	struct sent *first = list_first(&c->unacknowledged, struct sent, node);
	if (!first || now_us < first->at_us + c->again_us)
		return;
	if (first->times >= AGAIN_TIMES)
		forget_sent(c, first);
	else
		send_one(c, first, now_us);
}
