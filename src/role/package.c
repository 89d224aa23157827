#include "role/package.h"

#include "base/buf.h"
#include "base/map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { VERSION = 20, UTF8_NAMES = 0x0800, UNIX = 3, DATE_1980 = 0x21 };

/* --- the walk */

typedef int visit_fn(void *ctx, const char *path, struct str name, const struct stat *st);

static int not_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

/* Visits files and links below dir in the order of their names; name: as it stands in the package. */
static int walk(const char *dir, struct str prefix, visit_fn *visit, void *ctx)
{
	struct dirent **list;
	int n = scandir(dir, &list, not_dots, alphasort), error = n < 0 ? -errno : 0;
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	for (int i = 0; i < n; i++) {
		const char *path = arena_printf(&a, "%s/%s", dir, list[i]->d_name).p;
		struct str name = ARENA_CAT(&a, prefix, str_from(list[i]->d_name));
		struct stat st;
		bool hidden = !prefix.n && list[i]->d_name[0] == '.';
		if (!error && !hidden && lstat(path, &st) == 0) {
			if (S_ISDIR(st.st_mode))
				error = walk(path, ARENA_CAT(&a, name, S("/")), visit, ctx);
			else if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
				error = visit(ctx, path, name, &st);
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return error;
}

static int stamp_one(void *ctx, const char *path, struct str name, const struct stat *st)
{
	uint64_t *stamp = ctx;
	char facts[160];
	(void)path;
	int n = snprintf(facts, sizeof(facts), "%016llx %016llx %lld %lld.%09ld %o", (unsigned long long)*stamp,
	                 (unsigned long long)map_hash(name), (long long)st->st_size, (long long)st->st_mtim.tv_sec,
	                 st->st_mtim.tv_nsec, st->st_mode);
	*stamp = map_hash(str_of(facts, (size_t)n));
	return 0;
}

int package_stamp(const char *dir, uint64_t *ret)
{
	uint64_t stamp = 0;
	int error = walk(dir, S(""), stamp_one, &stamp);
	if (!error)
		*ret = stamp;
	return error;
}

/* --- the zip file */

struct packing {
	struct buf data, central;
	unsigned count;
};

static void put(struct buf *b, unsigned bytes, uint64_t v)
{
	for (unsigned i = 0; i < bytes; i++)
		buf_add_char(b, (char)(v >> (8 * i)));
}

static int read_file(const char *path, const struct stat *st, char **ret, size_t *ret_n)
{
	size_t n = (size_t)st->st_size, got = 0;
	char *p = malloc(n + 1);
	if (!p)
		return -ENOMEM;
	if (S_ISLNK(st->st_mode)) {
		ssize_t r = readlink(path, p, n);
		got = r > 0 ? (size_t)r : 0;
	} else {
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		for (ssize_t r = 1; fd >= 0 && got < n && r > 0; got += r > 0 ? (size_t)r : 0)
			r = read(fd, p + got, n - got);
		if (fd >= 0)
			close(fd);
	}
	*ret = p;
	*ret_n = got;
	return 0;
}

static int deflate_into(struct buf *b, const char *p, size_t n)
{
	z_stream z = {.next_in = (unsigned char *)(uintptr_t)p, .avail_in = (unsigned)n};
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	size_t room = deflateBound(&z, n);
	char *to = buf_room(b, room);
	z.next_out = (unsigned char *)to;
	z.avail_out = (unsigned)room;
	int done = to ? deflate(&z, Z_FINISH) : Z_BUF_ERROR;
	if (done == Z_STREAM_END)
		buf_grew(b, z.total_out);
	deflateEnd(&z);
	return done == Z_STREAM_END ? 0 : -EFBIG;
}

/* What the local header and the central directory say alike. */
static void put_facts(struct buf *b, uint32_t crc, size_t packed, size_t size, size_t name_n)
{
	put(b, 2, VERSION);
	put(b, 2, UTF8_NAMES);
	put(b, 2, Z_DEFLATED);
	put(b, 2, 0);
	put(b, 2, DATE_1980);
	put(b, 4, crc);
	put(b, 4, packed);
	put(b, 4, size);
	put(b, 2, name_n);
	put(b, 2, 0);
}

static int pack_one(void *ctx, const char *path, struct str name, const struct stat *st)
{
	struct packing *p = ctx;
	struct buf CLEAN_BUF packed;
	char *bytes = NULL;
	size_t n = 0, at = p->data.n;
	buf_init(&packed, p->data.max_bytes);
	if ((size_t)st->st_size > p->data.max_bytes)
		return -EFBIG;
	int error = read_file(path, st, &bytes, &n);
	if (!error)
		error = deflate_into(&packed, bytes, n);
	uint32_t crc = bytes ? (uint32_t)crc32(crc32(0, NULL, 0), (unsigned char *)bytes, (unsigned)n) : 0;
	free(bytes);
	if (error)
		return error;
	put(&p->data, 4, 0x04034b50);
	put_facts(&p->data, crc, packed.n, n, name.n);
	buf_add_str(&p->data, name);
	buf_add_str(&p->data, buf_str(&packed));
	put(&p->central, 4, 0x02014b50);
	put(&p->central, 2, UNIX << 8 | VERSION);
	put_facts(&p->central, crc, packed.n, n, name.n);
	put(&p->central, 2, 0); /* no comment, disk 0, no inner attributes */
	put(&p->central, 2, 0);
	put(&p->central, 2, 0);
	put(&p->central, 4, (uint64_t)st->st_mode << 16);
	put(&p->central, 4, at);
	buf_add_str(&p->central, name);
	p->count++;
	return p->data.overflow || p->count > UINT16_MAX ? -EFBIG : 0;
}

int package_zip(struct arena *a, const char *dir, size_t max_bytes, struct str *ret)
{
	struct packing p = {.count = 0};
	buf_init(&p.data, max_bytes);
	buf_init(&p.central, max_bytes);
	int error = walk(dir, S(""), pack_one, &p);
	size_t at = p.data.n;
	buf_add_str(&p.data, buf_str(&p.central));
	put(&p.data, 4, 0x06054b50);
	put(&p.data, 4, 0);
	put(&p.data, 2, p.count);
	put(&p.data, 2, p.count);
	put(&p.data, 4, p.central.n);
	put(&p.data, 4, at);
	put(&p.data, 2, 0);
	if (!error && p.data.overflow)
		error = -EFBIG;
	if (!error)
		*ret = arena_dup(a, buf_str(&p.data));
	buf_done(&p.central);
	buf_done(&p.data);
	return error;
}
