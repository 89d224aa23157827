/* Frames of application/vnd.amazon.eventstream: total length, header length, CRC of these, headers, payload, CRC of all; numbers
 * big-endian.
 *
 * Used for replies that are streams of events (InvokeWithResponseStream, StartLiveTail) and by clients that read them. */
#pragma once
#include "wire/wire.h"

enum { EVENT_FRAME_MAX = 16 * 1024 * 1024, EVENT_HEADERS_MAX = 128 * 1024 };

/* Appends one frame with string headers. */
void event_put(struct buf *b, const struct wire_pair *headers, size_t header_count, struct str payload);
/* One event of an event stream member: ":event-type" is the member's name; the payload is the structure in the API's protocol, or
 * the raw bytes of its event payload member. `value` is the event's struct. */
void event_put_typed(struct arena *a, struct buf *b, const struct api *api, enum protocol protocol, struct str event_type,
                     const struct shape *shape, const void *value);
/* An exception in mid-stream. */
void event_put_exception(struct arena *a, struct buf *b, struct str exception_type, struct str message);
/* The empty first event that JSON-RPC and CBOR streams begin with; its payload is the rest of the output, {} here. */
void event_put_initial_response(struct buf *b, enum protocol protocol);

struct event_frame {
	struct wire_pairs headers; /* string headers; others are passed over */
	struct str payload;
};
/* Reads the first frame of `bytes`. Returns its length, 0 when more bytes are needed, -EBADMSG for what is no frame. Headers live
 * in the arena, the payload is a view. */
int64_t event_read(struct arena *a, struct str bytes, struct event_frame *ret);
