/* A zip file is read from its end: a record there says where the central directory lies, whose entries say where their contents do.
 * Every number comes from a stranger, so each is checked against the bytes that there are before it is used. */
#include "base/zip_read.h"

#include "base/log.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>

enum {
	END_BYTES = 22,
	END64_BYTES = 56,
	LOCATOR64_BYTES = 20,
	ENTRY_BYTES = 46,
	LOCAL_BYTES = 30,
	COMMENT_MAX = 65535,
	STORED = 0,
	DEFLATED = 8,
	MADE_BY_UNIX = 3,
	MADE_BY_MACOS = 19,
	DOS_DIRECTORY = 0x10,
};

static uint64_t number(const char *p, unsigned bytes)
{
	uint64_t v = 0;
	for (unsigned i = bytes; i-- > 0;)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

static bool fits(struct str data, uint64_t at, uint64_t n)
{
	return at <= data.n && n <= data.n - at;
}

static bool has(struct str data, uint64_t at, uint64_t n, const char signature[static 4])
{
	return fits(data, at, n) && memcmp(data.p + at, signature, 4) == 0;
}

/* Where the end record begins: the last place whose comment reaches to the end of the file. */
static bool find_end(struct str data, size_t *ret_at)
{
	for (size_t back = END_BYTES; back <= data.n && back <= END_BYTES + COMMENT_MAX; back++) {
		size_t at = data.n - back;
		if (has(data, at, END_BYTES, "PK\5\6") && number(data.p + at + 20, 2) == back - END_BYTES) {
			*ret_at = at;
			return true;
		}
	}
	return false;
}

bool zip_open(struct zip_reader *z, struct str data)
{
	*z = (struct zip_reader){.data = data, .why = "not a zip file"};
	size_t end;
	if (!find_end(data, &end))
		return false;
	uint64_t size = number(data.p + end + 12, 4), offset = number(data.p + end + 16, 4);
	if (end >= LOCATOR64_BYTES && has(data, end - LOCATOR64_BYTES, LOCATOR64_BYTES, "PK\6\7")) {
		uint64_t at = number(data.p + end - LOCATOR64_BYTES + 8, 8);
		if (!has(data, at, END64_BYTES, "PK\6\6"))
			return false;
		end = (size_t)at;
		size = number(data.p + at + 40, 8);
		offset = number(data.p + at + 48, 8);
	}
	/* The directory lies right before its end record; what the offset lacks to that are bytes before the zip. */
	if (size > end || offset > end - size)
		return false;
	z->end = end;
	z->at = end - (size_t)size;
	z->base = z->at - offset;
	return true;
}

/* Numbers too large for the entry itself stand in an extra field, only those and in this order. */
static bool read_zip64(struct str extra, uint64_t *values[static 3])
{
	while (extra.n >= 4) {
		uint64_t id = number(extra.p, 2), n = number(extra.p + 2, 2);
		if (n > extra.n - 4)
			return false;
		if (id == 1) {
			const char *p = extra.p + 4;
			for (unsigned i = 0; i < 3; i++) {
				if (*values[i] != UINT32_MAX)
					continue;
				if (n < 8)
					return false;
				*values[i] = number(p, 8);
				p += 8;
				n -= 8;
			}
			return true;
		}
		extra = str_from_at(extra, 4 + (size_t)n);
	}
	return true;
}

static void read_mode(struct zip_entry *e, unsigned made_by, uint32_t attributes)
{
	unsigned mode = made_by == MADE_BY_UNIX || made_by == MADE_BY_MACOS ? attributes >> 16 : 0;
	bool directory = e->name.n && e->name.p[e->name.n - 1] == '/';
	e->mode = mode & 0777 ? mode & 0777 : 0644;
	if ((mode & S_IFMT) == 0)
		e->kind = directory || (made_by == 0 && (attributes & DOS_DIRECTORY)) ? ZIP_DIRECTORY : ZIP_FILE;
	else if (S_ISDIR(mode))
		e->kind = ZIP_DIRECTORY;
	else if (S_ISREG(mode))
		e->kind = directory ? ZIP_DIRECTORY : ZIP_FILE;
	else
		e->kind = S_ISLNK(mode) ? ZIP_LINK : ZIP_OTHER;
}

int zip_next(struct zip_reader *z, struct zip_entry *ret)
{
	if (z->at == z->end)
		return 0;
	struct str directory = str_sub(z->data, 0, z->end);
	z->why = "bad central directory";
	if (!has(directory, z->at, ENTRY_BYTES, "PK\1\2"))
		return -1;
	const char *p = z->data.p + z->at;
	uint64_t name = number(p + 28, 2), extra = number(p + 30, 2), comment = number(p + 32, 2);
	if (!fits(directory, z->at, ENTRY_BYTES + name + extra + comment))
		return -1;
	uint64_t packed = number(p + 20, 4), size = number(p + 24, 4), local = number(p + 42, 4);
	uint64_t *large[] = {&size, &packed, &local};
	if (!read_zip64(str_of(p + ENTRY_BYTES + name, extra), large))
		return -1;
	z->at += ENTRY_BYTES + (size_t)(name + extra + comment);

	z->why = "content lies outside";
	if (local > z->data.n)
		return -1;
	local += z->base;
	if (!has(z->data, local, LOCAL_BYTES, "PK\3\4"))
		return -1;
	const char *q = z->data.p + local;
	uint64_t begin = local + LOCAL_BYTES + number(q + 26, 2) + number(q + 28, 2);
	if (!fits(z->data, begin, packed))
		return -1;
	*ret = (struct zip_entry){
	        .name = str_of(p + ENTRY_BYTES, name),
	        .encrypted = number(p + 8, 2) & 1,
	        .method = (unsigned)number(p + 10, 2),
	        .crc = (uint32_t)number(p + 16, 4),
	        .size_bytes = size,
	        .packed = str_of(z->data.p + begin, packed),
	};
	read_mode(ret, (unsigned char)p[5], (uint32_t)number(p + 38, 4));
	return 1;
}

/* --- content */

bool zip_content_open(struct zip_content *c, const struct zip_entry *e)
{
	*c = (struct zip_content){.entry = e, .crc = (uint32_t)crc32(0, NULL, 0), .why = "unknown compression"};
	if (e->encrypted)
		return false;
	if (e->method == STORED)
		return true;
	if (e->method != DEFLATED)
		return false;
	z_stream *s = calloc(1, sizeof(*s));
	if (!s || inflateInit2(s, -MAX_WBITS) != Z_OK)
		die("out of memory (zip)");
	/* avail_in has 32 bits; deployment packages are far smaller, and what is cut off here is seen as damage. */
	s->next_in = (Bytef *)(uintptr_t)e->packed.p;
	s->avail_in = e->packed.n < UINT32_MAX ? (uInt)e->packed.n : UINT32_MAX;
	c->inflate = s;
	return true;
}

static ptrdiff_t damaged(struct zip_content *c, const char *why)
{
	c->why = why;
	return -1;
}

static ptrdiff_t read_stored(struct zip_content *c, void *to, size_t n)
{
	struct str rest = str_sub(c->entry->packed, c->at, n);
	if (rest.n)
		memcpy(to, rest.p, rest.n);
	c->at += rest.n;
	return (ptrdiff_t)rest.n;
}

static ptrdiff_t read_deflated(struct zip_content *c, void *to, size_t n)
{
	z_stream *s = c->inflate;
	s->next_out = to;
	s->avail_out = (uInt)n;
	int result = Z_OK;
	while (s->avail_out && result == Z_OK)
		result = inflate(s, Z_NO_FLUSH);
	if (result != Z_OK && result != Z_STREAM_END)
		return damaged(c, "bad compressed data");
	return (ptrdiff_t)(n - s->avail_out);
}

ptrdiff_t zip_content_read(struct zip_content *c, void *to, size_t n)
{
	if (n > (1u << 30))
		n = 1u << 30;
	ptrdiff_t got = c->inflate ? read_deflated(c, to, n) : read_stored(c, to, n);
	if (got < 0)
		return got;
	c->out_bytes += (uint64_t)got;
	if (c->out_bytes > c->entry->size_bytes)
		return damaged(c, "longer than it says");
	if (got) {
		c->crc = (uint32_t)crc32(c->crc, to, (uInt)got);
		return got;
	}
	if (c->out_bytes != c->entry->size_bytes)
		return damaged(c, "shorter than it says");
	return c->crc == c->entry->crc ? 0 : damaged(c, "wrong checksum");
}

void zip_content_close(struct zip_content *c)
{
	if (c->inflate)
		inflateEnd(c->inflate);
	free(c->inflate);
	c->inflate = NULL;
}
