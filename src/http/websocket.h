/* WebSockets (RFC 6455), the server's side: the opening handshake, and frames to and from bytes. No descriptors, but for the
 * request that is upgraded; websocket_link.h carries them over one. No extensions and no subprotocols. */
#pragma once
#include "base/buf.h"
#include "http/http.h"

enum ws_kind { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };
/* Why a connection is closed, as the standard numbers it. */
enum ws_code { WS_NORMAL = 1000, WS_AWAY = 1001, WS_BROKEN = 1002, WS_NOT_TEXT = 1007, WS_POLICY = 1008, WS_TOO_LARGE = 1009 };
enum { WS_HEAD_MAX = 14, WS_CONTROL_MAX = 125, WS_KEY_BYTES = 16 };

/* What the server answers to a client's key, in a. STR_NONE: it is not one. */
struct str ws_accept(struct arena *a, struct str key);
/* Answers a request that asks for a WebSocket, as http_upgrade() does. False: it does not ask properly, and is refused. */
bool ws_upgrade(struct http_request *r, http_upgraded_fn *fn, void *ctx);

/* Reads a client's frames. */
struct ws_reader {
	size_t message_max;
	struct buf message; /* of data, grows over its fragments */
	char control[WS_CONTROL_MAX];
	unsigned char head[WS_HEAD_MAX];
	size_t head_n, head_want, control_n;
	uint64_t left, at; /* of the frame under way, and how much of it has come: the mask goes on from there */
	unsigned char mask[4];
	uint8_t opcode, kind; /* of the frame; of the message that its fragments make, 0: none is under way */
	bool in_payload, fin, given;
};
struct ws_message {
	enum ws_kind kind;
	struct str bytes; /* the reader's, until the next call */
};
/* message_max: the most that a message may hold. */
void ws_reader_init(struct ws_reader *r, size_t message_max);
void ws_reader_done(struct ws_reader *r);
/* Takes bytes off the front of *in. 1: a message, or a control frame, which may come between the fragments of one; 0: more bytes
 * are wanted; negative: a ws_code below zero, and the connection is to be closed with it. */
int ws_read(struct ws_reader *r, struct str *in, struct ws_message *ret);

/* Writes the head of a frame of n bytes, unmasked and whole. Returns its length. */
size_t ws_head(unsigned char out[static WS_HEAD_MAX], enum ws_kind kind, size_t n);
/* What a close frame says; 1005 (which is never sent) for an empty one, 0 for a broken one. */
unsigned ws_close_code(struct str payload);
