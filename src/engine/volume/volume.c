/* The files are qcow2 of version 3 with one fixed layout, so that making one is a single write: header, refcount table, one
 * refcount block and the first-level table in the first seven clusters, nothing allocated. The first-level table always has room
 * for the largest device, so that growing one changes one number of the header. A file says in its header what it stands on, by a
 * name in the same directory. */
#include "engine/volume/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
	CLUSTER_BITS = 16,
	CLUSTER = 1 << CLUSTER_BITS,
	L1_CLUSTERS = 4,
	L1_ENTRY_SHIFT = CLUSTER_BITS + CLUSTER_BITS - 3, /* what one entry of the first-level table covers */
	HEADER_BYTES = 104,
	EXTENSION_BACKING_FORMAT = (int)0xe2792acau,
	NAMED_MAX = VOLUME_NAME_MAX + 8,
};
static const uint64_t size_max = (uint64_t)(L1_CLUSTERS * CLUSTER / 8) << L1_ENTRY_SHIFT; /* 16 TiB */
static const unsigned char magic[4] = {'Q', 'F', 'I', 0xfb};

/* Places in the header. */
enum {
	AT_BACKING = 8,
	AT_BACKING_BYTES = 16,
	AT_CLUSTER_BITS = 20,
	AT_SIZE = 24,
	AT_CRYPT = 32,
	AT_L1_ENTRIES = 36,
	AT_INCOMPATIBLE = 72
};

static void put32(unsigned char *p, uint32_t v)
{
	for (int i = 3; i >= 0; i--, v >>= 8)
		p[i] = (unsigned char)v;
}

static void put64(unsigned char *p, uint64_t v)
{
	put32(p, (uint32_t)(v >> 32));
	put32(p + 4, (uint32_t)v);
}

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t get64(const unsigned char *p)
{
	return (uint64_t)get32(p) << 32 | get32(p + 4);
}

static bool name_ok(const char *name)
{
	size_t n = strnlen(name, VOLUME_NAME_MAX);
	if (n == 0 || n == VOLUME_NAME_MAX)
		return false;
	for (const char *p = name; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '-'))
			return false;
	return true;
}

/* ---- reading what is there ---- */

struct image {
	bool qcow2;
	uint64_t size;
	char backing[VOLUME_NAME_MAX]; /* "": none */
};

int volume_parse(const unsigned char *p, size_t n, uint64_t file_bytes, uint64_t *ret_size, char ret_backing[VOLUME_NAME_MAX])
{
	ret_backing[0] = 0;
	if (n < sizeof(magic) || memcmp(p, magic, sizeof(magic)) != 0) {
		*ret_size = file_bytes;
		return 0;
	}
	if (n < HEADER_BYTES)
		return -EINVAL;
	uint32_t version = get32(p + 4);
	uint64_t at = get64(p + AT_BACKING), bytes = get32(p + AT_BACKING_BYTES);
	/* An external data file, or a bit that says something this does not know, would lead elsewhere. "Dirty" (bit 0) and the
	 * kind of compression (bit 3) are harmless: QEMU repairs the first and reads the second. */
	if ((version != 2 && version != 3) || get32(p + AT_CRYPT) != 0 || (version == 3 && get64(p + AT_INCOMPATIBLE) & ~9ull))
		return -EINVAL;
	if (at) {
		if (bytes == 0 || bytes >= VOLUME_NAME_MAX || at > n || bytes > n - at)
			return -EINVAL;
		memcpy(ret_backing, p + at, bytes);
		ret_backing[bytes] = 0;
		if (strlen(ret_backing) != bytes || !name_ok(ret_backing)) {
			ret_backing[0] = 0;
			return -EINVAL;
		}
	}
	*ret_size = get64(p + AT_SIZE);
	return 1;
}

static int read_image(int fd, struct image *ret)
{
	unsigned char head[1024];
	struct stat st;
	ssize_t n = pread(fd, head, sizeof(head), 0);
	if (n < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	int kind = volume_parse(head, (size_t)n, (uint64_t)st.st_size, &ret->size, ret->backing);
	ret->qcow2 = kind == 1;
	return kind < 0 ? kind : 0;
}

static int open_image(int dir, const char *name, int flags, struct image *ret)
{
	if (!name_ok(name))
		return -EINVAL;
	int fd = openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = read_image(fd, ret);
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

/* ---- making ---- */

/* The layer's own kind is written down, so that nobody ever guesses it from what a guest wrote into it. */
static size_t fill_header(unsigned char *h, uint64_t size, const char *layer, bool layer_is_qcow2)
{
	memset(h, 0, 1024);
	memcpy(h, magic, sizeof(magic));
	put32(h + 4, 3);
	put32(h + AT_CLUSTER_BITS, CLUSTER_BITS);
	put64(h + AT_SIZE, size);
	put32(h + AT_L1_ENTRIES, L1_CLUSTERS * CLUSTER / 8);
	put64(h + 40, 3 * CLUSTER); /* first-level table */
	put64(h + 48, CLUSTER);     /* refcount table */
	put32(h + 56, 1);
	put32(h + 96, 4); /* refcounts have 16 bits */
	put32(h + 100, HEADER_BYTES);
	size_t at = HEADER_BYTES;
	if (layer) {
		const char *format = layer_is_qcow2 ? "qcow2" : "raw";
		put32(h + at, (uint32_t)EXTENSION_BACKING_FORMAT);
		put32(h + at + 4, (uint32_t)strlen(format));
		memcpy(h + at + 8, format, strlen(format));
		at += 16;
		at += 8; /* the end of the extensions */
		put64(h + AT_BACKING, at);
		put32(h + AT_BACKING_BYTES, (uint32_t)strlen(layer));
		memcpy(h + at, layer, strlen(layer));
	}
	return 1024;
}

static int write_all(int fd, const void *p, size_t n, off_t at)
{
	for (const char *c = p; n;) {
		ssize_t k = pwrite(fd, c, n, at);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		c += k;
		at += k;
		n -= (size_t)k;
	}
	return 0;
}

/* whole: on the disk, its header last, so that a file with a header is whole whatever happens. */
static int write_empty(int fd, uint64_t size, const char *layer, bool layer_is_qcow2, bool whole)
{
	unsigned char head[1024], table[8], counts[2 * (3 + L1_CLUSTERS)];
	put64(table, 2 * CLUSTER);
	for (size_t i = 0; i < sizeof(counts); i += 2) {
		counts[i] = 0;
		counts[i + 1] = 1;
	}
	int error = write_all(fd, table, sizeof(table), CLUSTER);
	if (!error)
		error = write_all(fd, counts, sizeof(counts), 2 * CLUSTER);
	if (!error && (ftruncate(fd, (3 + L1_CLUSTERS) * (off_t)CLUSTER) < 0 || (whole && fsync(fd) < 0)))
		error = -errno;
	if (!error)
		error = write_all(fd, head, fill_header(head, size, layer, layer_is_qcow2), 0);
	if (!error && whole && fsync(fd) < 0)
		error = -errno;
	return error;
}

static void temporary(char ret[NAMED_MAX], const char *name)
{
	snprintf(ret, NAMED_MAX, "%s.new", name);
}

static int sync_dir(int dir)
{
	return fsync(dir) < 0 ? -errno : 0;
}

static int make_file(int dir, const char *path, uint64_t size, const char *layer, bool layer_is_qcow2, bool whole)
{
	int fd = openat(dir, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int error = write_empty(fd, size, layer, layer_is_qcow2, whole);
	close(fd);
	if (error)
		unlinkat(dir, path, 0);
	return error;
}

/* An empty file `name`.new; whatever lay there is replaced. */
static int make_new(int dir, const char *name, uint64_t size, const char *layer, bool layer_is_qcow2)
{
	char path[NAMED_MAX];
	temporary(path, name);
	if (unlinkat(dir, path, 0) < 0 && errno != ENOENT)
		return -errno;
	return make_file(dir, path, size, layer, layer_is_qcow2, true);
}

int volume_create(int dir, const char *name, uint64_t size, const char *layer)
{
	struct image below = {0};
	if (!name_ok(name) || size == 0 || size % 512 || size > size_max)
		return -EINVAL;
	if (layer) {
		int fd = open_image(dir, layer, O_RDONLY, &below);
		if (fd < 0)
			return fd;
		close(fd);
		if (below.size > size)
			return -EINVAL;
	}
	return make_file(dir, name, size, layer, below.qcow2, false);
}

int volume_settle(int dir, const char *name)
{
	if (!name_ok(name))
		return -EINVAL;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = fsync(fd) < 0 ? -errno : sync_dir(dir);
	close(fd);
	return error;
}

/* ---- freezing: the same file under two names, the new one beside it, then the new one takes the volume's name ---- */

/* A machine may have gone over to the new file and written there when api died, so one that fits is never made again. One that is
 * smaller than the volume is nobody's: the volume has grown since. Whoever made it may have died before it was on the disk.
 * 1: it is there; 0: it is not. */
static int new_is_there(int dir, const char *name, uint64_t size, const char *layer)
{
	char path[NAMED_MAX];
	struct image i;
	temporary(path, name);
	int fd = openat(dir, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int there = fd >= 0 && read_image(fd, &i) == 0 && i.qcow2 && strcmp(i.backing, layer) == 0 && i.size >= size;
	if (there && fsync(fd) < 0)
		there = -errno;
	if (fd >= 0)
		close(fd);
	return there;
}

int volume_freeze_begin(int dir, const char *name, const char *layer)
{
	struct image top;
	struct stat a = {0}, b;
	if (!name_ok(layer) || strcmp(name, layer) == 0)
		return -EINVAL;
	int fd = open_image(dir, name, O_RDONLY, &top);
	if (fd < 0)
		return fd;
	/* What a snapshot holds is what was written, and not what a guest happened to flush. */
	int error = fsync(fd) < 0 || fstat(fd, &a) < 0 ? -errno : 0;
	close(fd);
	if (error)
		return error;
	if (strcmp(top.backing, layer) == 0)
		return -EALREADY;
	char names[VOLUME_CHAIN_MAX][VOLUME_NAME_MAX];
	int files = volume_chain(dir, name, names);
	if (files < 0 || files == VOLUME_CHAIN_MAX)
		return files < 0 ? files : -EMLINK;
	if (linkat(dir, name, dir, layer, 0) < 0) {
		if (errno != EEXIST)
			return -errno;
		if (fstatat(dir, layer, &b, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		if (a.st_ino != b.st_ino || a.st_dev != b.st_dev)
			return -EEXIST;
	}
	int there = new_is_there(dir, name, top.size, layer);
	error = there < 0 ? there : there ? 0 : make_new(dir, name, top.size, layer, top.qcow2);
	return error ? error : sync_dir(dir);
}

int volume_freeze_end(int dir, const char *name)
{
	char path[NAMED_MAX];
	if (!name_ok(name))
		return -EINVAL;
	temporary(path, name);
	if (renameat(dir, path, dir, name) < 0)
		return -errno;
	return sync_dir(dir);
}

int volume_freeze(int dir, const char *name, const char *layer)
{
	int error = volume_freeze_begin(dir, name, layer);
	if (error == -EALREADY)
		return sync_dir(dir);
	return error ? error : volume_freeze_end(dir, name);
}

int volume_delete(int dir, const char *name)
{
	char path[NAMED_MAX];
	if (!name_ok(name))
		return -EINVAL;
	temporary(path, name);
	if ((unlinkat(dir, name, 0) < 0 && errno != ENOENT) || (unlinkat(dir, path, 0) < 0 && errno != ENOENT))
		return -errno;
	return sync_dir(dir);
}

int volume_resize(int dir, const char *name, uint64_t size)
{
	struct image top;
	unsigned char number[8];
	if (size % 512 || size > size_max)
		return -EINVAL;
	int fd = open_image(dir, name, O_RDWR, &top);
	if (fd < 0)
		return fd;
	int error = !top.qcow2 || size < top.size ? -EINVAL : 0;
	if (!error) {
		put64(number, size);
		error = write_all(fd, number, sizeof(number), AT_SIZE);
	}
	if (!error && fsync(fd) < 0)
		error = -errno;
	close(fd);
	return error;
}

/* ---- taking images in ---- */

enum { COPY_ROOM = 1 << 18 };

/* The kernel copies where it can; across file systems it is done by hand, in room that is made when the first piece needs it. */
static ssize_t copy_piece(int from, int to, off_t at, size_t size, char **room)
{
	ssize_t n = copy_file_range(from, NULL, to, NULL, size, 0);
	if (n >= 0 || (errno != EXDEV && errno != EOPNOTSUPP && errno != EINVAL))
		return n < 0 ? -errno : n;
	if (!*room && !(*room = malloc(COPY_ROOM)))
		return -ENOMEM;
	n = read(from, *room, size < COPY_ROOM ? size : COPY_ROOM);
	if (n < 0)
		return -errno;
	int error = n ? write_all(to, *room, (size_t)n, at) : 0;
	return error ? error : n;
}

static void free_room(char **room)
{
	free(*room);
}

static int copy_data(int from, int to, off_t size)
{
	__attribute__((cleanup(free_room))) char *room = NULL;
	for (off_t at = 0; at < size;) {
		off_t data = lseek(from, at, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		off_t hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		if (lseek(from, data, SEEK_SET) < 0 || lseek(to, data, SEEK_SET) < 0)
			return -errno;
		for (at = data; at < hole;) {
			ssize_t n = copy_piece(from, to, at, (size_t)(hole - at), &room);
			if (n <= 0)
				return n < 0 ? (int)n : -EIO;
			at += n;
		}
	}
	return 0;
}

int volume_import_begin(int dir, const char *layer)
{
	char path[NAMED_MAX];
	if (!name_ok(layer))
		return -EINVAL;
	temporary(path, layer);
	if (unlinkat(dir, path, 0) < 0 && errno != ENOENT)
		return -errno;
	int fd = openat(dir, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

int volume_import_end(int dir, const char *layer, int fd, uint64_t *ret_size)
{
	struct image made;
	char path[NAMED_MAX];
	if (!name_ok(layer))
		return -EINVAL;
	temporary(path, layer);
	int error = read_image(fd, &made);
	if (!error && (made.backing[0] || made.size == 0 || made.size % 512 || made.size > size_max))
		error = -EINVAL;
	if (!error && fsync(fd) < 0)
		error = -errno;
	if (!error && renameat2(dir, path, dir, layer, RENAME_NOREPLACE) < 0)
		error = -errno;
	if (error) {
		unlinkat(dir, path, 0);
		return error;
	}
	*ret_size = made.size;
	return sync_dir(dir);
}

int volume_import(int dir, const char *layer, int src, uint64_t *ret_size)
{
	struct image source;
	struct stat st;
	char path[NAMED_MAX];
	int error = read_image(src, &source);
	if (error)
		return error;
	if (fstat(src, &st) < 0)
		return -errno;
	/* Else the disk would be full for everybody until the copy has failed. */
	struct statvfs room;
	if (fstatvfs(dir, &room) == 0 && (uint64_t)st.st_blocks * 512 > (uint64_t)room.f_bavail * room.f_frsize)
		return -ENOSPC;
	int fd = volume_import_begin(dir, layer);
	if (fd < 0)
		return fd;
	error = copy_data(src, fd, st.st_size);
	if (!error && ftruncate(fd, st.st_size) < 0)
		error = -errno;
	if (error) {
		temporary(path, layer);
		unlinkat(dir, path, 0);
	} else {
		error = volume_import_end(dir, layer, fd, ret_size);
	}
	close(fd);
	return error;
}

/* ---- looking ---- */

int volume_chain(int dir, const char *name, char ret_names[VOLUME_CHAIN_MAX][VOLUME_NAME_MAX])
{
	char next[VOLUME_NAME_MAX];
	if (!name_ok(name))
		return -EINVAL;
	memcpy(next, name, strlen(name) + 1);
	for (int n = 0; n < VOLUME_CHAIN_MAX; n++) {
		struct image i;
		int fd = open_image(dir, next, O_RDONLY, &i);
		if (fd < 0)
			return fd;
		close(fd);
		memcpy(ret_names[n], next, sizeof(next));
		if (!i.backing[0])
			return n + 1;
		memcpy(next, i.backing, sizeof(next));
	}
	return -ELOOP;
}

int volume_stat(int dir, const char *name, uint64_t *ret_size, uint64_t *ret_disk_bytes)
{
	struct image i;
	struct stat st;
	int fd = open_image(dir, name, O_RDONLY, &i);
	if (fd < 0)
		return fd;
	int error = fstat(fd, &st) < 0 ? -errno : 0;
	close(fd);
	if (error)
		return error;
	*ret_size = i.size;
	*ret_disk_bytes = (uint64_t)st.st_blocks * 512;
	return 0;
}

int volume_open(int dir, const char *name, bool write, bool *ret_qcow2)
{
	struct image i;
	int fd = open_image(dir, name, write ? O_RDWR : O_RDONLY, &i);
	if (fd >= 0)
		*ret_qcow2 = i.qcow2;
	return fd;
}

int volume_open_new(int dir, const char *name)
{
	char path[NAMED_MAX];
	if (!name_ok(name))
		return -EINVAL;
	temporary(path, name);
	int fd = openat(dir, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
