#include "http/transfer.h"

#include <errno.h>

enum { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, TRAILER_LINE, END };
enum { SIZE_LINE_MAX = 1024, TRAILERS_MAX = 8192 };

void transfer_init(struct transfer *t)
{
	*t = (struct transfer){.step = SIZE};
	buf_init(&t->trailers, TRAILERS_MAX);
}

void transfer_done(struct transfer *t)
{
	buf_done(&t->trailers);
}

bool transfer_ended(const struct transfer *t)
{
	return t->step == END;
}

static int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of a size line: "1f", "1f;name=value", spaces before the semicolon as some write them. */
static bool size_line_step(struct transfer *t, char c)
{
	if (++t->line_bytes > SIZE_LINE_MAX)
		return false;
	if (t->step == SIZE) {
		int digit = hex_digit(c);
		if (digit >= 0) {
			if (t->left >> 59)
				return false;
			t->left = t->left << 4 | (unsigned)digit;
			return true;
		}
		if (t->line_bytes == 1)
			return false;
		if (c == ';' || c == ' ' || c == '\t') {
			t->step = EXTENSION;
			return true;
		}
	}
	if (c == '\r') {
		t->step = SIZE_LF;
		return true;
	}
	return t->step == EXTENSION && (c == '\t' || (unsigned char)c >= ' ') && c != 127;
}

/* One byte of the trailer part; the empty line ends the body. Lines end with CR LF, nothing less. */
static bool trailer_step(struct transfer *t, char c)
{
	const struct buf *b = &t->trailers;
	if (c == '\n') {
		if (b->n == 0 || b->p[b->n - 1] != '\r')
			return false;
		bool empty = b->n == 1 || b->p[b->n - 2] == '\n';
		t->step = empty ? END : TRAILER;
	} else {
		t->step = TRAILER_LINE;
	}
	buf_add_char(&t->trailers, c);
	return !b->overflow;
}

static bool byte_step(struct transfer *t, char c)
{
	switch (t->step) {
	case SIZE:
	case EXTENSION:
		return size_line_step(t, c);
	case SIZE_LF:
		t->step = t->left ? DATA : TRAILER;
		return c == '\n';
	case DATA_CR:
		t->step = DATA_LF;
		return c == '\r';
	case DATA_LF:
		t->step = SIZE;
		t->left = 0;
		t->line_bytes = 0;
		return c == '\n';
	default:
		return trailer_step(t, c);
	}
}

int transfer_decode(struct transfer *t, char *p, size_t n, size_t *ret_n, size_t *ret_used)
{
	size_t in = 0, out = 0;
	while (in < n && t->step != END) {
		if (t->step != DATA) {
			if (!byte_step(t, p[in++]))
				return -EPROTO;
			continue;
		}
		size_t piece = n - in < t->left ? n - in : (size_t)t->left;
		if (out != in)
			memmove(p + out, p + in, piece);
		in += piece;
		out += piece;
		t->left -= piece;
		if (t->left == 0)
			t->step = DATA_CR;
	}
	*ret_n = out;
	*ret_used = in;
	return 0;
}
