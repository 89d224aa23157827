/* A descriptor is open for every level on the way down. What lies too deep for that is moved up first: so nobody can make a tree
 * that cannot be removed. */
#include "io/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEEP = 64 };

struct removal {
	int top; /* the tree's own directory; -1: not yet open */
	dev_t device;
	unsigned moved;
	bool again; /* something was moved up behind the place where the top is read */
};

static int remove_in(struct removal *r, int dir, const char *name, unsigned depth);

static int remove_below(struct removal *r, int fd, unsigned depth)
{
	DIR *d = fdopendir(fd);
	int first = 0;
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	for (struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			int error = remove_in(r, dirfd(d), e->d_name, depth + 1);
			first = first ? first : error;
		}
	closedir(d);
	return first;
}

static int move_up(struct removal *r, int dir, const char *name)
{
	char to[32];
	/* it is written to: its parent changes */
	if (fchmodat(dir, name, 0700, 0) < 0)
		return -errno;
	for (;;) {
		snprintf(to, sizeof(to), ".deep-%u", r->moved++);
		if (renameat2(dir, name, r->top, to, RENAME_NOREPLACE) == 0)
			break;
		if (errno != EEXIST)
			return -errno;
	}
	r->again = true;
	return 0;
}

static int remove_in(struct removal *r, int dir, const char *name, unsigned depth)
{
	struct stat st;
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	int error = -errno, fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? error : -errno;
	if (fstat(fd, &st) < 0 || (depth && st.st_dev != r->device)) {
		close(fd);
		return -EXDEV;
	}
	if (depth > DEEP) {
		close(fd);
		return move_up(r, dir, name);
	}
	fchmod(fd, 0700); /* unpacked code is read-only */
	if (!depth) {
		r->device = st.st_dev;
		r->top = fd;
	}
	do {
		if (!depth)
			r->again = false;
		int again = depth ? fd : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		error = again < 0 ? -errno : remove_below(r, again, depth);
	} while (!depth && !error && r->again);
	if (!depth)
		close(fd);
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return error ? error : -errno;
}

int tree_remove(int dir, const char *name)
{
	struct removal r = {.top = -1};
	return remove_in(&r, dir, name, 0);
}
