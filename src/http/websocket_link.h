/* One WebSocket over a connected socket: messages in and out, pings answered and sent, and an end that both sides know of.
 *
 * Made of what ws_upgrade() handed over; owned by whoever made it, on the loop's thread. Nothing is called from inside a call made
 * here. A client that does not read is not read from either, so that answers to it do not pile up. */
#pragma once
#include "http/websocket.h"

struct ws_link;
struct ws_link_events {
	/* The bytes live until it returns. The link may be closed in it. */
	void (*message)(void *ctx, bool binary, struct str bytes);
	/* There is room again after ws_link_send() said false. */
	void (*drained)(void *ctx);
	/* The client is gone or is being told goodbye; the link has freed itself. code: its own reason, 1006 when it gave none. */
	void (*closed)(void *ctx, unsigned code);
};

/* Owns fd, even on failure (NULL). `early` came from the client already. */
struct ws_link *ws_link_new(struct loop *l, int fd, struct str early, size_t message_max, const struct ws_link_events *events,
                            void *ctx);
/* A copy of the bytes as one message. False: as much waits as should; go on after drained(). */
bool ws_link_send(struct ws_link *w, enum ws_kind kind, struct str bytes);
/* Sends what waits and a close frame, waits a moment for the client's, and frees itself. Nothing is called any more. */
void ws_link_close(struct ws_link *w, enum ws_code code, struct str why);
