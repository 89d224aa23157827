#include "engine/session/message.h"

#include "base/hash.h"
#include "base/rand.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	AT_TYPE = 4,
	AT_SCHEMA = AT_TYPE + SSM_TYPE_BYTES,
	AT_CREATED = AT_SCHEMA + 4,
	AT_SEQUENCE = AT_CREATED + 8,
	AT_FLAGS = AT_SEQUENCE + 8,
	AT_ID = AT_FLAGS + 8,
	AT_DIGEST = AT_ID + 16,
	AT_PAYLOAD_TYPE = AT_DIGEST + 32,
	AT_LENGTH = AT_PAYLOAD_TYPE + 4,
	SCHEMA = 1,
};

static const char *const names[] = {
        [SSM_INPUT] = "input_stream_data",       [SSM_OUTPUT] = "output_stream_data", [SSM_ACKNOWLEDGE] = "acknowledge",
        [SSM_CHANNEL_CLOSED] = "channel_closed", [SSM_PAUSE] = "pause_publication",   [SSM_START] = "start_publication"};

static uint64_t number(const char *p, unsigned bytes)
{
	uint64_t n = 0;
	while (bytes-- > 0)
		n = n << 8 | (unsigned char)*p++;
	return n;
}

static void put_number(char *p, unsigned bytes, uint64_t n)
{
	while (bytes-- > 0) {
		p[bytes] = (char)n;
		n >>= 8;
	}
}

/* The id's halves change places on the wire: the less significant one comes first. */
static void swap_halves(void *to, const void *from)
{
	memcpy(to, (const char *)from + 8, 8);
	memcpy((char *)to + 8, from, 8);
}

int ssm_message_read(struct str bytes, struct ssm_message *ret)
{
	unsigned char digest[HASH_MAX_BYTES];
	if (bytes.n < SSM_HEAD_BYTES || bytes.n > SSM_MESSAGE_MAX || number(bytes.p, 4) != AT_LENGTH ||
	    number(bytes.p + AT_LENGTH, 4) != bytes.n - SSM_HEAD_BYTES)
		return -EPROTO;
	struct str type = str_of(bytes.p + AT_TYPE, SSM_TYPE_BYTES), payload = str_from_at(bytes, SSM_HEAD_BYTES);
	while (type.n && (type.p[type.n - 1] == ' ' || type.p[type.n - 1] == 0))
		type.n--;
	/* A message without a payload may leave the digest out, too. */
	hash_of(HASH_SHA256, payload, digest);
	if (!type.n || (payload.n && memcmp(digest, bytes.p + AT_DIGEST, 32) != 0))
		return -EPROTO;
	*ret = (struct ssm_message){.type = SSM_OTHER,
	                            .created_ms = (int64_t)number(bytes.p + AT_CREATED, 8),
	                            .sequence = (int64_t)number(bytes.p + AT_SEQUENCE, 8),
	                            .flags = number(bytes.p + AT_FLAGS, 8),
	                            .payload_type = (uint32_t)number(bytes.p + AT_PAYLOAD_TYPE, 4),
	                            .payload = payload};
	for (enum ssm_type t = SSM_INPUT; t < SSM_OTHER; t++)
		if (str_is(type, names[t]))
			ret->type = t;
	swap_halves(ret->id, bytes.p + AT_ID);
	return 0;
}

void ssm_message_write(const struct ssm_message *m, struct buf *b)
{
	char head[SSM_HEAD_BYTES];
	unsigned char digest[HASH_MAX_BYTES];
	memset(head + AT_TYPE, ' ', SSM_TYPE_BYTES);
	memcpy(head + AT_TYPE, names[m->type], strlen(names[m->type]));
	put_number(head, 4, AT_LENGTH);
	put_number(head + AT_SCHEMA, 4, SCHEMA);
	put_number(head + AT_CREATED, 8, (uint64_t)m->created_ms);
	put_number(head + AT_SEQUENCE, 8, (uint64_t)m->sequence);
	put_number(head + AT_FLAGS, 8, m->flags);
	swap_halves(head + AT_ID, m->id);
	hash_of(HASH_SHA256, m->payload, digest);
	memcpy(head + AT_DIGEST, digest, 32);
	put_number(head + AT_PAYLOAD_TYPE, 4, m->payload_type);
	put_number(head + AT_LENGTH, 4, m->payload.n);
	buf_add(b, head, sizeof(head));
	buf_add_str(b, m->payload);
}

void ssm_message_new_id(unsigned char id[static 16])
{
	rand_bytes(id, 16);
	id[6] = (unsigned char)((id[6] & 0x0f) | 0x40);
	id[8] = (unsigned char)((id[8] & 0x3f) | 0x80);
}

void ssm_message_id_text(const unsigned char id[static 16], char out[static 37])
{
	char hex[33];
	hex_encode(id, 16, hex);
	snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}
