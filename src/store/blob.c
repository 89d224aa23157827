/* Ids are 128 random bits, so names never collide and never tell anything; the first two digits name one of 256 folders,
 * which keeps folders small. A blob is written as `.<name>` in its folder and sealed by fsync, rename, fsync of the folder:
 * a name that can be seen has its bytes. Writing it in its own folder, under a name, needs neither /proc nor the right to move
 * files between folders, which a sandboxed role does not have. Folders are made on first use and kept open. */
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
	int dir;
	bool ephemeral;
	pthread_mutex_t lock; /* guards what follows */
	int folders[FOLDERS]; /* -1: not open yet */
	bool fresh[FOLDERS];  /* made, but its own name is not yet durable */
};

struct blob {
	struct blobs *b;
	int fd, folder;
	uint64_t size;
	char id[BLOB_ID_LEN + 1];
	char name[BLOB_ID_LEN + 1]; /* in the folder while it is written: a dot and the id without its first two digits */
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

static int dir_open(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int blobs_open(struct blobs **ret, const char *dir, bool ephemeral)
{
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	int fd = dir_open(AT_FDCWD, dir);
	if (fd < 0)
		return fd;
	struct blobs *b = calloc(1, sizeof(*b));
	if (!b)
		die("out of memory (blobs)");
	b->dir = fd;
	b->ephemeral = ephemeral;
	for (int i = 0; i < FOLDERS; i++)
		b->folders[i] = -1;
	pthread_mutex_init(&b->lock, NULL);
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
		fd = dir_open(b->dir, name);
		if (fd == -ENOENT && make) {
			b->fresh[folder] = true;
			fd = mkdirat(b->dir, name, 0700) < 0 && errno != EEXIST ? -errno : dir_open(b->dir, name);
		}
		if (fd >= 0)
			b->folders[folder] = fd;
	}
	pthread_mutex_unlock(&b->lock);
	return fd;
}

/* Makes the folder's entries durable. */
static int folder_sync(struct blobs *b, int folder)
{
	if (b->ephemeral)
		return 0;
	pthread_mutex_lock(&b->lock);
	bool fresh = b->fresh[folder];
	int fd = b->folders[folder];
	pthread_mutex_unlock(&b->lock);
	if (fsync(fd) < 0)
		return -errno;
	if (!fresh)
		return 0;
	if (fsync(b->dir) < 0)
		return -errno;
	pthread_mutex_lock(&b->lock);
	b->fresh[folder] = false;
	pthread_mutex_unlock(&b->lock);
	return 0;
}

/* --- writing */

static void begun_name(struct blob *w)
{
	w->name[0] = '.';
	memcpy(w->name + 1, w->id + 2, BLOB_ID_LEN - 1);
	w->folder = id_folder(str_from(w->id));
}

static struct blob *blob_kept(const struct blob *w)
{
	struct blob *kept = malloc(sizeof(*kept));
	if (!kept)
		die("out of memory (blob)");
	*kept = *w;
	return kept;
}

int blob_create(struct blobs *b, struct blob **ret)
{
	struct blob w = {.b = b};
	id_make(w.id);
	begun_name(&w);
	int folder = folder_fd(b, w.folder, true);
	if (folder < 0)
		return folder;
	w.fd = openat(folder, w.name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (w.fd < 0)
		return -errno;
	*ret = blob_kept(&w);
	return 0;
}

int blob_resume(struct blobs *b, struct str id, uint64_t size, struct blob **ret)
{
	struct blob w = {.b = b, .size = size};
	struct stat st;
	if (id_folder(id) < 0)
		return -EINVAL;
	memcpy(w.id, id.p, BLOB_ID_LEN);
	begun_name(&w);
	int folder = folder_fd(b, w.folder, false);
	if (folder < 0)
		return folder;
	/* Sealed, and then nobody came to say so: it is a beginning again. */
	if (renameat2(folder, w.id + 2, folder, w.name, RENAME_NOREPLACE) == 0 && fchmodat(folder, w.name, 0600, 0) < 0)
		return -errno;
	w.fd = openat(folder, w.name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (w.fd < 0)
		return -errno;
	int r = fstat(w.fd, &st) < 0 ? -errno : (uint64_t)st.st_size < size ? -EIO : 0;
	if (r == 0 && (ftruncate(w.fd, (off_t)size) < 0 || lseek(w.fd, 0, SEEK_END) < 0))
		r = -errno;
	if (r < 0)
		close(w.fd);
	else
		*ret = blob_kept(&w);
	return r;
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

const char *blob_id(const struct blob *w)
{
	return w->id;
}

int blob_flush(struct blob *w)
{
	if (w->b->ephemeral)
		return 0;
	return fdatasync(w->fd) < 0 ? -errno : folder_sync(w->b, w->folder);
}

static void blob_free(struct blob *w)
{
	close(w->fd);
	free(w);
}

void blob_leave(struct blob *w)
{
	if (w)
		blob_free(w);
}

void blob_drop(struct blob *w)
{
	if (!w)
		return;
	unlinkat(folder_fd(w->b, w->folder, false), w->name, 0);
	blob_free(w);
}

int blob_seal(struct blob *w, char ret_id[static BLOB_ID_LEN + 1])
{
	int folder = folder_fd(w->b, w->folder, false);
	if (folder < 0 || (!w->b->ephemeral && fsync(w->fd) < 0) || fchmod(w->fd, 0400) < 0 ||
	    renameat2(folder, w->name, folder, w->id + 2, RENAME_NOREPLACE) < 0) {
		int r = folder < 0 ? folder : -errno;
		blob_drop(w);
		return r;
	}
	int r = folder_sync(w->b, w->folder);
	if (r < 0)
		unlinkat(folder, w->id + 2, 0);
	else
		memcpy(ret_id, w->id, sizeof(w->id));
	blob_free(w);
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

/* Deletes what is unwanted of one folder: blobs, and beginnings of blobs; files with other names are not ours and stay. */
static int64_t folder_sweep(int fd, const char *prefix, blob_wanted_fn *wanted, void *ctx)
{
	DIR *d = dir_list(fd);
	if (!d)
		return -errno;
	int64_t gone = 0;
	for (struct dirent *e; (e = readdir(d));) {
		char id[BLOB_ID_LEN + 2];
		bool begun = e->d_name[0] == '.';
		int n = snprintf(id, sizeof(id), "%s%s", prefix, e->d_name + begun);
		if (n != BLOB_ID_LEN || id_folder(str_from(id)) < 0)
			continue;
		if (wanted(ctx, str_from(id)))
			continue;
		if (unlinkat(fd, e->d_name, 0) == 0)
			gone++;
	}
	closedir(d);
	return gone;
}

int64_t blobs_sweep(struct blobs *b, blob_wanted_fn *wanted, void *ctx)
{
	/* Listed, not tried one by one: a fresh cloud has none of them, and this is done at every start. */
	DIR *d = dir_list(b->dir);
	if (!d)
		return -errno;
	int64_t gone = 0;
	for (struct dirent *e; gone >= 0 && (e = readdir(d));) {
		unsigned char folder;
		if (!hex_decode(str_from(e->d_name), &folder, 1))
			continue;
		int fd = folder_fd(b, folder, false);
		int64_t n = fd < 0 ? (fd == -ENOENT ? 0 : fd) : folder_sweep(fd, e->d_name, wanted, ctx);
		gone = n < 0 ? n : gone + n;
	}
	closedir(d);
	return gone;
}
