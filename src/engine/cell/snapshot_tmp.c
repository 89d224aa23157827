/* What lies in /tmp when the snapshot is taken: files, directories and links come along, one copy for each that is restored. */
#include "engine/cell/snapshot_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DEPTH_MAX = 64, PATH_BYTES = 4096 };

static int keep_file(struct taking *t, int dir, const char *name, struct snap_entry *e)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), error = fd < 0 ? -errno : 0;
	for (bool first = true; !error && e->bytes < (uint64_t)1 << 40;) {
		ssize_t n = read(fd, t->piece, SNAP_PIECE);
		uint64_t at;
		if (n <= 0) {
			error = n < 0 ? -errno : 0;
			break;
		}
		error = taking_write(t, t->piece, (size_t)n, &at);
		if (first)
			e->file = at;
		first = false;
		e->bytes += (uint64_t)n;
	}
	if (fd >= 0)
		close(fd);
	return error;
}

static int keep_directory(struct taking *t, int dir, char *path, unsigned depth);

static int keep_one(struct taking *t, int dir, const char *name, char *path, unsigned depth)
{
	struct stat st;
	size_t n = strlen(path);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || n + strlen(name) + 2 > PATH_BYTES || depth == DEPTH_MAX)
		return taking_refuse(t, -EIO, "%.100s in /tmp cannot be read", name);
	snprintf(path + n, PATH_BYTES - n, "/%s", name);
	struct snap_entry e = {.mode = st.st_mode & 07777,
	                       .path_at = taking_text(t, path),
	                       .changed_s = st.st_mtim.tv_sec,
	                       .changed_ns = st.st_mtim.tv_nsec};
	char target[PATH_BYTES];
	int error = 0, below = -1;
	if (S_ISREG(st.st_mode)) {
		e.kind = SNAP_ENTRY_FILE;
		error = keep_file(t, dir, name, &e);
	} else if (S_ISDIR(st.st_mode)) {
		e.kind = SNAP_ENTRY_DIRECTORY;
		below = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		error = below < 0 ? -errno : 0;
	} else if (S_ISLNK(st.st_mode)) {
		ssize_t got = readlinkat(dir, name, target, sizeof(target) - 1);
		e.kind = SNAP_ENTRY_LINK;
		target[got > 0 ? got : 0] = 0;
		e.target_at = taking_text(t, target);
	} else {
		error = taking_refuse(t, -ENOTSUP, "%.100s is neither a file, a directory nor a link", path);
	}
	if (!error)
		buf_add(&t->entries, &e, sizeof(e));
	if (!error && below >= 0)
		error = keep_directory(t, below, path, depth + 1);
	else if (below >= 0)
		close(below);
	path[n] = 0;
	return error;
}

/* Takes dir over. */
static int keep_directory(struct taking *t, int dir, char *path, unsigned depth)
{
	DIR *d = fdopendir(dir);
	int error = d ? 0 : -errno;
	for (struct dirent *e; d && !error && (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			error = keep_one(t, dir, e->d_name, path, depth);
	if (d)
		closedir(d);
	else
		close(dir);
	return error;
}

int taking_tmp(struct taking *t)
{
	/* no link that the function makes of it leads us out of its root */
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS};
	int dir = (int)syscall(SYS_openat2, t->root, "tmp", &how, sizeof(how));
	char path[PATH_BYTES] = "/tmp";
	if (dir < 0)
		return taking_refuse(t, -errno, "its /tmp cannot be read: %s", strerror(errno));
	int error = keep_directory(t, dir, path, 0);
	return error ? taking_refuse(t, error, "its /tmp cannot be read: %s", strerror(-error)) : 0;
}
