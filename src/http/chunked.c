#include "http/chunked.h"

#include <errno.h>

enum { LINE, LINE_LF, DATA, DATA_CR, DATA_LF, TRAILER_LINE, END };

static const struct str signature_mark = S_INIT(";chunk-signature="), trailer_signature_mark = S_INIT("x-amz-trailer-signature:");

void chunked_init(struct chunked *c, const struct chunked_rules *rules)
{
	*c = (struct chunked){.rules = *rules, .step = LINE};
	buf_init(&c->trailer, CHUNKED_TRAILER_MAX_BYTES);
}

void chunked_done(struct chunked *c)
{
	buf_done(&c->trailer);
}

static bool is_signature(struct str s)
{
	unsigned char digest[32];
	return s.n == 64 && hex_decode(s, digest, sizeof(digest));
}

/* "10000;chunk-signature=..." or "10000". */
static int size_line_parse(struct chunked *c)
{
	struct str line = str_of(c->line, c->line_n);
	size_t digits = 0;
	uint64_t size = 0;
	for (; digits < line.n && digits < 12; digits++) {
		char ch = ascii_lower(line.p[digits]);
		if (ascii_is_digit(ch))
			size = size << 4 | (uint64_t)(ch - '0');
		else if (ch >= 'a' && ch <= 'f')
			size = size << 4 | (uint64_t)(ch - 'a' + 10);
		else
			break;
	}
	struct str rest = str_from_at(line, digits);
	if (digits == 0)
		return -EPROTO;
	if (c->rules.check_chunk) {
		if (!str_starts(rest, signature_mark) || !is_signature(str_from_at(rest, signature_mark.n)))
			return -EPROTO;
		memcpy(c->signature, rest.p + signature_mark.n, sizeof(c->signature));
		hash_init(&c->hash, HASH_SHA256);
	} else if (rest.n) {
		return -EPROTO;
	}
	if (size && c->small)
		return -EMSGSIZE;
	if (c->rules.decoded_length >= 0 && size > (uint64_t)c->rules.decoded_length - c->decoded)
		return -EPROTO;
	c->small = size < CHUNKED_MIN_BYTES;
	c->left = size;
	c->line_n = 0;
	return 0;
}

static int hash_check(struct chunked *c, chunked_check_fn *check, const char signature[static 64])
{
	unsigned char digest[HASH_MAX_BYTES];
	char hex[65];
	hash_end(&c->hash, digest);
	hex_encode(digest, 32, hex);
	return check(c->rules.ctx, str_of(hex, 64), str_of(signature, 64)) ? 0 : -EBADMSG;
}

/* The chunk's bytes are all here. The last, empty one is followed by the trailer part in place of its data. */
static int chunk_finish(struct chunked *c, bool last)
{
	c->step = last ? TRAILER_LINE : DATA_CR;
	return c->rules.check_chunk ? hash_check(c, c->rules.check_chunk, c->signature) : 0;
}

struct str chunked_trailer(const struct chunked *c, struct str name)
{
	struct str rest = buf_str(&c->trailer);
	while (str_set(rest)) {
		struct str value = str_cut(&rest, '\n'), key = str_cut(&value, ':');
		if (str_set(value) && str_ieq(key, name))
			return value;
	}
	return STR_NONE;
}

/* The empty line has come. The signature covers the trailer lines, each `name:value\n`. */
static int trailer_finish(struct chunked *c)
{
	c->step = END;
	if (c->rules.trailer != (c->trailer.n > 0) || c->trailer.overflow)
		return -EPROTO;
	if (!c->rules.trailer || !c->rules.check_chunk)
		return 0;
	if (c->left != 1) /* no signature line */
		return -EPROTO;
	hash_init(&c->hash, HASH_SHA256);
	hash_add(&c->hash, c->trailer.p, c->trailer.n);
	return hash_check(c, c->rules.check_trailer, c->signature);
}

/* One trailer line, in c->line without its line end. While trailers are read, c->left counts signature lines. */
static int trailer_line_take(struct chunked *c)
{
	struct str line = str_of(c->line, c->line_n);
	c->line_n = 0;
	if (line.n == 0)
		return trailer_finish(c);
	if (c->left) /* the signature is the last line */
		return -EPROTO;
	if (str_istarts(line, trailer_signature_mark)) {
		struct str value = str_trim(str_from_at(line, trailer_signature_mark.n));
		if (!c->rules.check_chunk || !is_signature(value))
			return -EPROTO;
		memcpy(c->signature, value.p, sizeof(c->signature));
		c->left = 1;
		return 0;
	}
	struct str value = line, name = str_cut(&value, ':');
	if (!str_set(value) || name.n == 0 || !c->rules.trailer)
		return -EPROTO;
	for (size_t i = 0; i < name.n; i++)
		buf_add_char(&c->trailer, ascii_lower(name.p[i]));
	buf_add_char(&c->trailer, ':');
	buf_add_str(&c->trailer, str_trim(value));
	buf_add_char(&c->trailer, '\n');
	return c->trailer.overflow ? -EPROTO : 0;
}

static int byte_take(struct chunked *c, char ch)
{
	switch (c->step) {
	case LINE:
		if (ch == '\r') {
			c->step = LINE_LF;
			return size_line_parse(c);
		}
		if (c->line_n == sizeof(c->line))
			return -EPROTO;
		c->line[c->line_n++] = ch;
		return 0;
	case LINE_LF:
		c->step = DATA;
		if (ch != '\n')
			return -EPROTO;
		return c->left == 0 ? chunk_finish(c, true) : 0;
	case DATA_CR:
		c->step = DATA_LF;
		return ch == '\r' ? 0 : -EPROTO;
	case DATA_LF:
		c->step = LINE;
		return ch == '\n' ? 0 : -EPROTO;
	case TRAILER_LINE:
		if (ch == '\n') {
			if (c->line_n && c->line[c->line_n - 1] == '\r')
				c->line_n--;
			return trailer_line_take(c);
		}
		if (c->line_n == sizeof(c->line))
			return -EPROTO;
		c->line[c->line_n++] = ch;
		return 0;
	default:
		return -EPROTO;
	}
}

int chunked_next(struct chunked *c, struct str *in, struct str *ret_piece)
{
	while (in->n) {
		if (c->step != DATA) {
			int failed = byte_take(c, in->p[0]);
			*in = str_from_at(*in, 1);
			if (failed)
				return failed;
			continue;
		}
		struct str piece = str_sub(*in, 0, c->left < in->n ? (size_t)c->left : in->n);
		*in = str_from_at(*in, piece.n);
		c->left -= piece.n;
		c->decoded += piece.n;
		if (c->rules.check_chunk)
			hash_add(&c->hash, piece.p, piece.n);
		if (c->left == 0) {
			int failed = chunk_finish(c, false);
			if (failed)
				return failed;
		}
		*ret_piece = piece;
		return 1;
	}
	return 0;
}

int chunked_finish(const struct chunked *c)
{
	bool whole = c->step == END && (c->rules.decoded_length < 0 || c->decoded == (uint64_t)c->rules.decoded_length);
	return whole ? 0 : -EPROTO;
}
