/* Ids are 128 random bits, so names never collide and never tell anything; the first two digits name one of 256 folders,
 * which keeps folders small. Sealing is fsync, link, fsync of the folder: a name that can be seen has its bytes. Folders
 * are made on first use and kept open, so that sealing pays for one path component only.
 *
 * Where the file system cannot make unnamed files (O_TMPFILE), temporary ones are named `tmp/<random>` and renamed. */
#include "store/blob.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/rand.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDERS = 256 };

struct blobs {
	int dir, tmp;
	bool ephemeral;
	pthread_mutex_t lock; /* guards folders */
	int folders[FOLDERS]; /* -1: not open yet */
};

struct blob {
	struct blobs *b;
	int fd;
	uint64_t size;
	char name[BLOB_ID_LEN + 1]; /* in tmp; empty: the file has no name */
};

static void id_make(char id[static BLOB_ID_LEN + 1])
{
	unsigned char bits[BLOB_ID_LEN / 2];
	rand_bytes(bits, sizeof(bits));
	hex_encode(bits, sizeof(bits), id);
}

/* The folder number of an id; -1 when it is none. */
static int id_folder(struct str id)
{
	unsigned char bits[BLOB_ID_LEN / 2];
	for (size_t i = 0; i < id.n; i++)
		if (id.p[i] >= 'A' && id.p[i] <= 'F') /* one spelling only */
			return -1;
	return id.n == BLOB_ID_LEN && hex_decode(id, bits, sizeof(bits)) ? bits[0] : -1;
}

static int dir_make(int at, const char *name, bool sync)
{
	if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (sync && at != AT_FDCWD && fsync(at) < 0)
		return -errno;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int blobs_open(struct blobs **ret, const char *dir, bool ephemeral)
{
	struct blobs *b = calloc(1, sizeof(*b));
	if (!b)
		die("out of memory (blobs)");
	b->ephemeral = ephemeral;
	for (int i = 0; i < FOLDERS; i++)
		b->folders[i] = -1;
	pthread_mutex_init(&b->lock, NULL);
	b->tmp = -1;
	int r = b->dir = dir_make(AT_FDCWD, dir, false);
	if (r >= 0)
		r = b->tmp = dir_make(b->dir, "tmp", !ephemeral);
	if (r < 0) {
		blobs_close(b);
		return r;
	}
	*ret = b;
	return 0;
}

void blobs_close(struct blobs *b)
{
	if (!b)
		return;
	for (int i = 0; i < FOLDERS; i++)
		if (b->folders[i] >= 0)
			close(b->folders[i]);
	if (b->tmp >= 0)
		close(b->tmp);
	if (b->dir >= 0)
		close(b->dir);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* The folder's descriptor, or negative errno; made when it is missing if make is set. */
static int folder_fd(struct blobs *b, int folder, bool make)
{
	char name[3];
	snprintf(name, sizeof(name), "%02x", folder);
	pthread_mutex_lock(&b->lock);
	int fd = b->folders[folder];
	if (fd < 0) {
		fd = openat(b->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			fd = errno == ENOENT && make ? dir_make(b->dir, name, !b->ephemeral) : -errno;
		if (fd >= 0)
			b->folders[folder] = fd;
	}
	pthread_mutex_unlock(&b->lock);
	return fd;
}

/* --- writing */

int blob_create(struct blobs *b, struct blob **ret)
{
	struct blob *w = calloc(1, sizeof(*w));
	if (!w)
		die("out of memory (blob)");
	w->b = b;
	w->fd = openat(b->tmp, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (w->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
		id_make(w->name);
		w->fd = openat(b->tmp, w->name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	}
	if (w->fd < 0) {
		int e = errno;
		free(w);
		return -e;
	}
	*ret = w;
	return 0;
}

int blob_write(struct blob *w, const void *p, size_t n)
{
	while (n) {
		ssize_t put = write(w->fd, p, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		p = (const char *)p + put;
		n -= (size_t)put;
		w->size += (uint64_t)put;
	}
	return 0;
}

uint64_t blob_size(const struct blob *w)
{
	return w->size;
}

int blob_fd(const struct blob *w)
{
	return w->fd;
}

void blob_drop(struct blob *w)
{
	if (!w)
		return;
	if (w->name[0])
		unlinkat(w->b->tmp, w->name, 0);
	close(w->fd);
	free(w);
}

static int blob_link(struct blob *w, int folder, const char *name)
{
	char self[32];
	if (w->name[0]) {
		if (renameat2(w->b->tmp, w->name, folder, name, RENAME_NOREPLACE) < 0)
			return -errno;
		w->name[0] = '\0';
		return 0;
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", w->fd);
	return linkat(AT_FDCWD, self, folder, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int blob_seal(struct blob *w, char ret_id[static BLOB_ID_LEN + 1])
{
	char id[BLOB_ID_LEN + 1];
	id_make(id);
	int folder = folder_fd(w->b, id_folder(str_from(id)), true);
	int r = folder < 0 ? folder : 0;
	if (r == 0 && !w->b->ephemeral && fsync(w->fd) < 0)
		r = -errno;
	if (r == 0 && fchmod(w->fd, 0400) < 0)
		r = -errno;
	if (r == 0)
		r = blob_link(w, folder, id + 2);
	if (r == 0 && !w->b->ephemeral && fsync(folder) < 0) {
		r = -errno;
		unlinkat(folder, id + 2, 0);
	}
	if (r == 0)
		memcpy(ret_id, id, sizeof(id));
	blob_drop(w);
	return r;
}

/* --- reading and deleting */

/* The folder and the name within it. Negative errno. */
static int blob_find(struct blobs *b, struct str id, char name[static BLOB_ID_LEN + 1])
{
	int folder = id_folder(id);
	if (folder < 0)
		return -EINVAL;
	memcpy(name, id.p + 2, BLOB_ID_LEN - 2);
	name[BLOB_ID_LEN - 2] = '\0';
	return folder_fd(b, folder, false);
}

int blob_open(struct blobs *b, struct str id)
{
	char name[BLOB_ID_LEN + 1];
	int folder = blob_find(b, id, name);
	if (folder < 0)
		return folder;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int blob_delete(struct blobs *b, struct str id)
{
	char name[BLOB_ID_LEN + 1];
	int folder = blob_find(b, id, name);
	if (folder < 0)
		return folder;
	return unlinkat(folder, name, 0) < 0 ? -errno : 0;
}

/* --- the sweep */

static DIR *dir_list(int fd)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	if (!d && again >= 0)
		close(again);
	return d;
}

/* Deletes the unwanted files of one folder; those whose name does not make an id with prefix are not ours and stay. wanted NULL:
 * everything goes. */
static int64_t folder_sweep(int fd, const char *prefix, blob_wanted_fn *wanted, void *ctx)
{
	DIR *d = dir_list(fd);
	if (!d)
		return -errno;
	int64_t gone = 0;
	for (struct dirent *e; (e = readdir(d));) {
		char id[BLOB_ID_LEN + 1];
		int n = snprintf(id, sizeof(id), "%s%s", prefix, e->d_name);
		if (n != BLOB_ID_LEN || id_folder(str_from(id)) < 0)
			continue;
		if (wanted && wanted(ctx, str_from(id)))
			continue;
		if (unlinkat(fd, e->d_name, 0) == 0)
			gone++;
	}
	closedir(d);
	return gone;
}

int64_t blobs_sweep(struct blobs *b, blob_wanted_fn *wanted, void *ctx)
{
	int64_t gone = folder_sweep(b->tmp, "", NULL, NULL);
	for (int i = 0; i < FOLDERS && gone >= 0; i++) {
		char prefix[3];
		snprintf(prefix, sizeof(prefix), "%02x", i);
		int fd = folder_fd(b, i, false);
		int64_t n = fd < 0 ? (fd == -ENOENT ? 0 : fd) : folder_sweep(fd, prefix, wanted, ctx);
		gone = n < 0 ? n : gone + n;
	}
	return gone;
}
