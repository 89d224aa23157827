/* A layer as somebody pushed it, both ways that it goes: out of its compression, and into a directory. Whatever it is, what is made
 * lies in that directory, is of the kinds that a layer may have, and keeps to the limits. */
#include "engine/oci/unpack.h"

#include "io/tree.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTES = 1 << 20, ENTRIES = 200 };

static char parent[] = "/tmp/quartet-fuzz-layer-XXXXXX";

static void remove_parent(void)
{
	rmdir(parent);
}

struct sum {
	uint64_t bytes, entries;
};

static void look(int dir, const char *name, struct sum *s, unsigned depth)
{
	struct stat st;
	assert(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0);
	s->entries++;
	if (S_ISREG(st.st_mode))
		s->bytes += st.st_nlink ? (uint64_t)st.st_size / st.st_nlink : 0;
	else
		assert(S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode) || S_ISFIFO(st.st_mode) ||
		       (S_ISCHR(st.st_mode) && st.st_rdev == 0));
	if (!S_ISDIR(st.st_mode) || depth > 100)
		return;
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *e; d && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			look(fd, e->d_name, s, depth + 1);
	if (d)
		closedir(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int outside = -1;
	const struct steward_unpack r = {.verb = STEWARD_UNPACK, .max_bytes = BYTES, .max_entries = ENTRIES};
	struct unpack_report flow = {0}, tar = {0};
	struct sum sum = {0};
	if (outside < 0) {
		assert(unpack_load() == 0 && mkdtemp(parent));
		outside = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert(outside >= 0 && atexit(remove_parent) == 0);
	}
	int file = memfd_create("layer", MFD_CLOEXEC), archive = memfd_create("archive", MFD_CLOEXEC);
	assert(write(file, data, size) == (ssize_t)size && lseek(file, 0, SEEK_SET) == 0);
	unpack_flow(file, dup(archive), &r, &flow);
	assert(!flow.error || flow.why[0]);
	assert(lseek(archive, 0, SEEK_SET) == 0 && mkdirat(outside, "layer", 0755) == 0);
	int root = openat(outside, "layer", O_PATH | O_DIRECTORY | O_CLOEXEC);
	unpack_tar(archive, root, &r, &tar);
	assert(!tar.error || tar.why[0]);
	look(outside, "layer", &sum, 0);
	assert(sum.bytes <= BYTES);
	assert(tree_remove(outside, "layer") == 0);
	/* nothing beside it */
	int fd = openat(outside, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);
	for (struct dirent *e; (e = readdir(d));)
		assert(strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
	closedir(d);
	close(root);
	close(file);
	close(archive);
	return 0;
}
