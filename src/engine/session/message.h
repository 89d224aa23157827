/* The messages of Session Manager's data channel, as clients of AWS's speak it (the session-manager-plugin and others): a binary
 * head, then a payload whose SHA-256 the head has. Numbers are big-endian. Bytes only; what messages mean is channel.h. */
#pragma once
#include "base/buf.h"

enum {
	SSM_HEAD_BYTES = 120, /* before the payload; the head's own count of itself leaves out the payload's length */
	SSM_TYPE_BYTES = 32,
	SSM_PAYLOAD_MAX = 128 * 1024,
	SSM_MESSAGE_MAX = SSM_HEAD_BYTES + SSM_PAYLOAD_MAX,
};

enum ssm_type {
	SSM_INPUT = 1,      /* input_stream_data, to the program */
	SSM_OUTPUT,         /* output_stream_data, from it */
	SSM_ACKNOWLEDGE,    /* acknowledge */
	SSM_CHANNEL_CLOSED, /* channel_closed */
	SSM_PAUSE,          /* pause_publication */
	SSM_START,          /* start_publication */
	SSM_OTHER,          /* one that we do not know */
};
enum ssm_payload {
	SSM_PAYLOAD_OUTPUT = 1, /* bytes of either direction */
	SSM_PAYLOAD_ERROR,
	SSM_PAYLOAD_SIZE, /* {"cols":80,"rows":24} */
	SSM_PAYLOAD_PARAMETER,
	SSM_PAYLOAD_HANDSHAKE_REQUEST,
	SSM_PAYLOAD_HANDSHAKE_RESPONSE,
	SSM_PAYLOAD_HANDSHAKE_COMPLETE,
	SSM_PAYLOAD_FLAG = 10, /* a number of four bytes: enum ssm_flag */
	SSM_PAYLOAD_STDERR,
	SSM_PAYLOAD_EXIT_CODE,
};
enum ssm_flag { SSM_FLAG_DISCONNECT_PORT = 1, SSM_FLAG_TERMINATE, SSM_FLAG_PORT_ERROR };
enum { SSM_FIRST = 1, SSM_LAST = 2 }; /* bits of `flags` */

struct ssm_message {
	enum ssm_type type;
	int64_t created_ms, sequence;
	uint64_t flags;
	unsigned char id[16]; /* a UUID's bytes in the order in which it is spelled */
	uint32_t payload_type;
	struct str payload;
};

/* Views of `bytes`. 0, or -EPROTO: lengths that do not fit, a type without a name, a digest that is not the payload's. */
int ssm_message_read(struct str bytes, struct ssm_message *ret);
void ssm_message_write(const struct ssm_message *m, struct buf *b);
/* Version 4, at random. */
void ssm_message_new_id(unsigned char id[static 16]);
/* A UUID's spelling of it, with a NUL. */
void ssm_message_id_text(const unsigned char id[static 16], char out[static 37]);
