#include "io/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int remove_in(int dir, const char *name, dev_t device);

static int remove_below(int fd, dev_t device)
{
	DIR *d = fdopendir(fd);
	int first = 0;
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	for (struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			int error = remove_in(dirfd(d), e->d_name, device);
			first = first ? first : error;
		}
	closedir(d);
	return first;
}

/* device: 0 at the tree's beginning, which says it. */
static int remove_in(int dir, const char *name, dev_t device)
{
	struct stat st;
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	int error = -errno, fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? error : -errno;
	if (fstat(fd, &st) < 0 || (device && st.st_dev != device)) {
		close(fd);
		return -EXDEV;
	}
	fchmod(fd, 0700); /* unpacked code is read-only */
	error = remove_below(fd, st.st_dev);
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return error ? error : -errno;
}

int tree_remove(int dir, const char *name)
{
	return remove_in(dir, name, 0);
}
