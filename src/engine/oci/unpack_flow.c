/* Compressed bytes in, archive out, and both digests of what has passed. */
#include "engine/oci/archive_lib.h"
#include "engine/oci/unpack.h"

#include "base/hash.h"

#include <dlfcn.h>
#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROOM = 128 * 1024 };

struct archive_lib lib;

int unpack_load(void)
{
	void *so = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
	if (!so)
		return -ENOENT;
#define ARCHIVE_LOAD(name) \
	if (!(lib.name = (__typeof__(lib.name))(uintptr_t)dlsym(so, #name))) \
		return -ENOENT;
	ARCHIVE_FUNCTIONS(ARCHIVE_LOAD)
#undef ARCHIVE_LOAD
	/* names are bytes; as UTF-8 they come back as they were */
	setlocale(LC_CTYPE, "C.UTF-8");
	return 0;
}

struct flow {
	int file;
	uint64_t bytes;
	struct hash hash;
	bool broken;
	char room[ROOM];
};

static la_ssize_t pull(struct archive *a, void *ctx, const void **ret)
{
	(void)a;
	struct flow *f = ctx;
	ssize_t n = read(f->file, f->room, sizeof(f->room));
	if (n < 0) {
		f->broken = true;
		return ARCHIVE_FATAL;
	}
	hash_add(&f->hash, f->room, (size_t)n);
	f->bytes += (uint64_t)n;
	*ret = f->room;
	return n;
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);
		if (w <= 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static int fail(struct unpack_report *r, int error, const char *why)
{
	r->error = error;
	snprintf(r->why, sizeof(r->why), "%s", why);
	return error;
}

static int open_flow(struct archive *a, struct flow *f, struct unpack_report *ret)
{
	struct archive_entry *e;
	lib.archive_read_support_filter_gzip(a);
	lib.archive_read_support_filter_zstd(a);
	lib.archive_read_support_format_raw(a);
	if (lib.archive_read_open(a, f, NULL, pull, NULL) != ARCHIVE_OK || lib.archive_read_next_header(a, &e) != ARCHIVE_OK)
		return fail(ret, -EBADMSG, "the layer is empty, or not compressed as it should be");
	return 0;
}

void unpack_flow(int file, int to, const struct steward_unpack *r, struct unpack_report *ret)
{
	static struct flow f;
	static char room[ROOM];
	unsigned char digest[HASH_MAX_BYTES];
	/* an archive is longer than what is in it, by headers and padding */
	uint64_t most = r->max_bytes + r->max_bytes / 4 + (64 << 20), total = 0;
	struct hash out;
	f.file = file;
	hash_init(&f.hash, HASH_SHA256);
	hash_init(&out, HASH_SHA256);
	struct archive *a = lib.archive_read_new();
	int error = open_flow(a, &f, ret);
	bool reads = true; /* whoever unpacks has given up, but the digests say what is to blame */
	while (!error) {
		la_ssize_t n = lib.archive_read_data(a, room, sizeof(room));
		if (n == 0)
			break;
		if (n < 0) {
			error = fail(ret, -EBADMSG, "the layer's compression is damaged or cut off");
			break;
		}
		total += (uint64_t)n;
		if (total > most) {
			error = fail(ret, -E2BIG, "the layer is larger than allowed");
			break;
		}
		hash_add(&out, room, (size_t)n);
		if (reads && write_all(to, room, (size_t)n) < 0)
			reads = false;
	}
	close(to);
	/* what follows the compressed stream belongs to the file too */
	const void *rest;
	for (la_ssize_t n = 1; error != -E2BIG && n > 0;)
		n = pull(a, &f, &rest);
	lib.archive_read_free(a);
	hash_end(&f.hash, digest);
	memcpy(ret->digest, digest, sizeof(ret->digest));
	hash_end(&out, digest);
	memcpy(ret->diff_id, digest, sizeof(ret->diff_id));
	if (f.broken)
		fail(ret, -EIO, "the layer's file cannot be read");
}
