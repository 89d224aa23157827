/* A data channel: one conversation with a client of Session Manager, over whatever connection it has now.
 *
 * The agent's part of the protocol, on messages and a clock alone: the handshake that names the kind of session, data in both
 * directions that is numbered, acknowledged and sent again, and an end. A client that has lost its connection comes back with a new
 * one and finds everything where it was. The owner gives it the time (microseconds of the monotonic clock) and what comes, and asks
 * channel_due_us() when it wants to be called. */
#pragma once
#include "engine/session/message.h"

struct channel;

struct channel_events {
	/* One message to the client, to be sent as it is; the bytes live until it returns. */
	void (*send)(void *ctx, struct str message);
	/* The handshake is over: the program may start. */
	void (*ready)(void *ctx);
	/* Bytes for the program. False: it takes none now; channel_go_on() offers them again. */
	bool (*input)(void *ctx, struct str bytes);
	/* The client's window. */
	void (*window)(void *ctx, unsigned rows, unsigned columns);
	/* The client wants the session to end, or has failed at the handshake; why: words for the client, or absent. It may be
	 * freed once control has come back from the call that led here, and not in it. */
	void (*terminate)(void *ctx, struct str why);
};
struct channel_kind {
	struct str session_id;
	struct str target;     /* what the session is in */
	struct str type;       /* "Standard_Stream", "InteractiveCommands" */
	struct str properties; /* JSON; absent: none */
};

/* Copies `kind`. */
struct channel *channel_new(const struct channel_kind *kind, const struct channel_events *events, void *ctx);
void channel_free(struct channel *c);

/* A client is there (again): the handshake begins, or goes on with what was not acknowledged. */
void channel_connected(struct channel *c, int64_t now_us);
void channel_disconnected(struct channel *c);
/* 0, or -EPROTO: that is not how a client speaks; the connection is of no use. */
int channel_receive(struct channel *c, struct str message, int64_t now_us);
/* The program takes input again. */
void channel_go_on(struct channel *c);

/* What the program says: split into messages and kept until they are acknowledged. */
void channel_output(struct channel *c, enum ssm_payload type, struct str bytes, int64_t now_us);
/* Is as much under way as should be? The program waits then. */
bool channel_full(const struct channel *c);
/* Is there something that the client has not acknowledged? */
bool channel_owes(const struct channel *c);
/* The channel is closed for good, and the client told why; absent: without a word. */
void channel_close(struct channel *c, struct str why);

/* When channel_tick() is to be called next; INT64_MAX: not at all. */
int64_t channel_due_us(const struct channel *c);
void channel_tick(struct channel *c, int64_t now_us);
