#include "aws/lambda/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int files_make_dirs(const char *path)
{
	char part[4096];
	if ((size_t)snprintf(part, sizeof(part), "%s", path) >= sizeof(part))
		return -ENAMETOOLONG;
	for (char *slash = part + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		/* The cells' user passes through on its way to the mounted tree, but need not list anything. */
		if (mkdir(part, 0711) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(part, 0711) < 0 && errno != EEXIST ? -errno : 0;
}

static int remove_at(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int error = -errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	int result = 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		int one = remove_at(dirfd(d), e->d_name);
		if (one < 0)
			result = one;
	}
	closedir(d);
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		result = -errno;
	return result;
}

int files_remove_tree(const char *path)
{
	return remove_at(AT_FDCWD, path);
}

static int write_all(int fd, struct str data)
{
	while (data.n) {
		ssize_t n = write(fd, data.p, data.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data = str_from_at(data, (size_t)n);
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int files_write_durably(const char *path, const char *temporary, struct str data)
{
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int result = write_all(fd, data);
	close(fd);
	if (!result && rename(temporary, path) < 0)
		result = -errno;
	if (result) {
		unlink(temporary);
		return result;
	}
	char parent[4096];
	snprintf(parent, sizeof(parent), "%s", path);
	char *slash = strrchr(parent, '/');
	if (slash)
		*slash = 0;
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	result = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return result;
}

int files_map(const char *path, struct str *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	struct stat st;
	int result = fstat(fd, &st) < 0 ? -errno : 0;
	void *p = NULL;
	if (!result && st.st_size) {
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (p == MAP_FAILED)
			result = -errno;
	}
	close(fd);
	if (!result)
		*ret = str_of(p, (size_t)st.st_size);
	return result;
}

void files_unmap(struct str data)
{
	if (data.p)
		munmap((void *)(uintptr_t)data.p, data.n);
}

int files_read(int fd, uint64_t offset, size_t n, char **ret)
{
	char *p = malloc(n + 1);
	if (!p)
		abort();
	size_t have = 0;
	while (have < n) {
		ssize_t got = pread(fd, p + have, n - have, (off_t)(offset + have));
		if (got <= 0) {
			int result = got < 0 ? -errno : -EIO;
			free(p);
			return result;
		}
		have += (size_t)got;
	}
	*ret = p;
	return 0;
}
