#include "unit.h"

#include "engine/volume/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1ull << 20)
static char place[] = "/tmp/quartet-volumes-XXXXXX";
static int dir;

static int set_up(void **state)
{
	(void)state;
	strcpy(place + sizeof(place) - 7, "XXXXXX");
	if (!mkdtemp(place))
		return -1;
	dir = open(place, O_RDONLY | O_DIRECTORY);
	return dir < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[80];
	close(dir);
	snprintf(command, sizeof(command), "rm -rf %s", place);
	return system(command);
}

static int raw(uint64_t bytes, const char *text, off_t at)
{
	int fd = openat(dir, "source", O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
	return fd;
}

/* What QEMU's own tools say. False where they are not installed. */
static bool tool(const char *what, const char *name, char *ret, size_t cap)
{
	char command[300];
	if (access("/usr/bin/qemu-img", X_OK) < 0 || access("/usr/bin/qemu-io", X_OK) < 0)
		return false;
	snprintf(command, sizeof(command), "cd %s && %s %s 2>&1", place, what, name);
	FILE *f = popen(command, "re");
	size_t n = f ? fread(ret, 1, cap - 1, f) : 0;
	ret[n] = 0;
	if (f)
		pclose(f);
	return true;
}

static void qemu_finds_them_in_order(void **state)
{
	(void)state;
	char said[4096];
	uint64_t size;
	int fd = raw(64 * MIB, "hello", 5 * MIB);
	assert_int_equal(volume_import(dir, "image", fd, &size), 0);
	close(fd);
	assert_int_equal(size, 64 * MIB);
	assert_int_equal(volume_create(dir, "small", 64 * MIB, "image"), 0);
	assert_int_equal(volume_create(dir, "large", 16ull << 40, NULL), 0);
	assert_int_equal(volume_freeze(dir, "small", "snap"), 0);
	static const char *const names[] = {"small", "large", "snap"};
	for (size_t i = 0; i < 3; i++) {
		if (!tool("qemu-img check", names[i], said, sizeof(said)))
			skip();
		assert_non_null(strstr(said, "No errors were found on the image."));
	}
	tool("qemu-io -c 'read -v 5M 8'", "small", said, sizeof(said));
	assert_non_null(strstr(said, "hello"));
	tool("qemu-io -c 'write -P 7 0 64k' -c 'write -P 8 15T 64k'", "large", said, sizeof(said));
	tool("qemu-img check", "large", said, sizeof(said));
	assert_non_null(strstr(said, "No errors were found on the image."));
}

static void a_volume_costs_what_is_written(void **state)
{
	(void)state;
	uint64_t size, bytes;
	assert_int_equal(volume_create(dir, "vol-1", 100ull << 30, NULL), 0);
	assert_int_equal(volume_stat(dir, "vol-1", &size, &bytes), 0);
	assert_int_equal(size, 100ull << 30);
	assert_true(bytes < 64 * 1024);
	int fd = raw(1024 * MIB, "x", 512 * MIB);
	assert_int_equal(volume_import(dir, "sparse", fd, &size), 0);
	close(fd);
	assert_int_equal(volume_stat(dir, "sparse", &size, &bytes), 0);
	assert_int_equal(size, 1024 * MIB);
	assert_true(bytes < MIB);
}

static uint64_t bytes_of(const char *name)
{
	uint64_t size, bytes;
	assert_int_equal(volume_stat(dir, name, &size, &bytes), 0);
	return bytes;
}

/* A snapshot holds what was written since the one before it, and no more. */
static void a_snapshot_costs_what_has_changed(void **state)
{
	(void)state;
	char said[4096];
	assert_int_equal(volume_create(dir, "vol-2", 100ull << 30, NULL), 0);
	if (!tool("qemu-io -c 'write -P 1 0 32M'", "vol-2", said, sizeof(said)))
		skip();
	assert_int_equal(volume_freeze(dir, "vol-2", "snap-a"), 0);
	assert_true(bytes_of("snap-a") >= 32 * MIB);
	tool("qemu-io -c 'write -P 2 90G 2M' -c 'write -P 3 1M 1M'", "vol-2", said, sizeof(said));
	assert_int_equal(volume_freeze(dir, "vol-2", "snap-b"), 0);
	assert_in_range(bytes_of("snap-b"), 3 * MIB, 5 * MIB);
	assert_int_equal(volume_freeze(dir, "vol-2", "snap-c"), 0);
	assert_true(bytes_of("snap-c") < MIB && bytes_of("vol-2") < MIB);
	tool("qemu-io -c 'read -P 1 0 1M' -c 'read -P 3 1M 1M' -c 'read -P 1 2M 30M' -c 'read -P 2 90G 2M'", "vol-2", said,
	     sizeof(said));
	assert_null(strstr(said, "failed"));
}

static void layers_are_a_chain(void **state)
{
	(void)state;
	char names[VOLUME_CHAIN_MAX][VOLUME_NAME_MAX];
	assert_int_equal(volume_create(dir, "vol-1", MIB, NULL), 0);
	assert_int_equal(volume_freeze(dir, "vol-1", "snap-1"), 0);
	assert_int_equal(volume_freeze(dir, "vol-1", "snap-2"), 0);
	assert_int_equal(volume_chain(dir, "vol-1", names), 3);
	assert_string_equal(names[0], "vol-1");
	assert_string_equal(names[1], "snap-2");
	assert_string_equal(names[2], "snap-1");
	/* a file that stands on itself, by way of another */
	assert_int_equal(renameat(dir, "snap-2", dir, "snap-1"), 0);
	assert_int_equal(volume_chain(dir, "snap-1", names), -ELOOP);
	assert_int_equal(volume_chain(dir, "vol-1", names), -ENOENT);
}

/* Wherever freezing stopped, doing it again ends it. */
static void freezing_can_be_repeated(void **state)
{
	(void)state;
	char names[VOLUME_CHAIN_MAX][VOLUME_NAME_MAX];
	struct stat before, after;
	for (int stop = 0; stop < 4; stop++) {
		char name[8], layer[8], beside[16];
		snprintf(name, sizeof(name), "v%d", stop);
		snprintf(layer, sizeof(layer), "s%d", stop);
		snprintf(beside, sizeof(beside), "%s.new", name);
		assert_int_equal(volume_create(dir, name, MIB, NULL), 0);
		assert_int_equal(fstatat(dir, name, &before, 0), 0);
		if (stop == 1) /* after the second name */
			assert_int_equal(linkat(dir, name, dir, layer, 0), 0);
		if (stop >= 2) /* after the new file */
			assert_int_equal(volume_freeze_begin(dir, name, layer), 0);
		if (stop == 3)
			assert_int_equal(volume_freeze_end(dir, name), 0);
		assert_int_equal(volume_freeze(dir, name, layer), 0);
		assert_int_equal(fstatat(dir, layer, &after, 0), 0);
		assert_int_equal(before.st_ino, after.st_ino);
		assert_int_equal(volume_chain(dir, name, names), 2);
		assert_int_equal(faccessat(dir, beside, F_OK, 0), -1);
	}
	/* a layer of that name that is another file */
	assert_int_equal(volume_create(dir, "other", MIB, NULL), 0);
	assert_int_equal(volume_freeze(dir, "v1", "other"), -EEXIST);
	assert_int_equal(volume_chain(dir, "v1", names), 2);
}

/* A running machine has gone over to the new file and writes there when whoever asked for it dies: the file is the disk now. */
static void a_file_in_use_is_not_made_again(void **state)
{
	(void)state;
	struct stat before, after;
	uint64_t size, bytes;
	assert_int_equal(volume_create(dir, "vol-1", MIB, NULL), 0);
	assert_int_equal(volume_freeze_begin(dir, "vol-1", "snap-1"), 0);
	/* held open, as the machine does, so that no other file gets its number */
	int fd = volume_open_new(dir, "vol-1");
	assert_true(fd >= 0 && fstat(fd, &before) == 0);
	assert_int_equal(volume_freeze_begin(dir, "vol-1", "snap-1"), 0);
	assert_int_equal(fstatat(dir, "vol-1.new", &after, 0), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(volume_freeze(dir, "vol-1", "snap-1"), 0);
	assert_int_equal(fstatat(dir, "vol-1", &after, 0), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	close(fd);
	/* one that is not whole, is for another layer, or has become too small, is in nobody's use */
	assert_int_equal(volume_freeze_begin(dir, "vol-1", "snap-2"), 0);
	assert_int_equal(unlinkat(dir, "vol-1.new", 0), 0);
	fd = openat(dir, "vol-1.new", O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0 && ftruncate(fd, MIB) == 0);
	close(fd);
	assert_int_equal(volume_freeze(dir, "vol-1", "snap-2"), 0);
	assert_int_equal(volume_freeze_begin(dir, "vol-1", "snap-3"), 0);
	assert_int_equal(volume_resize(dir, "vol-1", 2 * MIB), 0);
	assert_int_equal(volume_freeze(dir, "vol-1", "snap-3"), 0);
	assert_int_equal(volume_stat(dir, "vol-1", &size, &bytes), 0);
	assert_int_equal(size, 2 * MIB);
	assert_int_equal(volume_freeze_begin(dir, "vol-1", "snap-4"), 0);
	assert_int_equal(volume_freeze(dir, "vol-1", "snap-5"), 0);
	char names[VOLUME_CHAIN_MAX][VOLUME_NAME_MAX];
	assert_int_equal(volume_chain(dir, "vol-1", names), 5);
	assert_string_equal(names[1], "snap-5");
}

/* A volume that could not be opened any more would be worse than a snapshot that is refused. */
static void chains_end_before_they_are_too_long(void **state)
{
	(void)state;
	char names[VOLUME_CHAIN_MAX][VOLUME_NAME_MAX], layer[16];
	assert_int_equal(volume_create(dir, "vol-1", MIB, NULL), 0);
	for (int i = 1; i < VOLUME_CHAIN_MAX; i++) {
		snprintf(layer, sizeof(layer), "snap-%d", i);
		assert_int_equal(volume_freeze(dir, "vol-1", layer), 0);
	}
	assert_int_equal(volume_chain(dir, "vol-1", names), VOLUME_CHAIN_MAX);
	assert_int_equal(volume_freeze(dir, "vol-1", "one-more"), -EMLINK);
	assert_int_equal(faccessat(dir, "one-more", F_OK, 0), -1);
	assert_int_equal(volume_chain(dir, "vol-1", names), VOLUME_CHAIN_MAX);
	assert_int_equal(volume_freeze(dir, "vol-1", layer), 0); /* done before */
}

static void wrong_input_is_refused(void **state)
{
	(void)state;
	uint64_t size, bytes;
	char names[VOLUME_CHAIN_MAX][VOLUME_NAME_MAX];
	static const char *const bad[] = {"", "..", "a/b", "a.new", "0123456789012345678901234567890123456789"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(volume_create(dir, bad[i], MIB, NULL), -EINVAL);
		assert_int_equal(volume_delete(dir, bad[i]), -EINVAL);
		assert_int_equal(volume_chain(dir, bad[i], names), -EINVAL);
	}
	assert_int_equal(volume_create(dir, "v", 0, NULL), -EINVAL);
	assert_int_equal(volume_create(dir, "v", 513, NULL), -EINVAL);
	assert_int_equal(volume_create(dir, "v", (16ull << 40) + 512, NULL), -EINVAL);
	assert_int_equal(volume_create(dir, "v", MIB, "nothing"), -ENOENT);
	assert_int_equal(volume_create(dir, "v", 2 * MIB, NULL), 0);
	assert_int_equal(volume_create(dir, "v", 2 * MIB, NULL), -EEXIST);
	assert_int_equal(volume_create(dir, "w", MIB, "v"), -EINVAL); /* smaller than what it stands on */
	assert_int_equal(volume_resize(dir, "v", MIB), -EINVAL);
	assert_int_equal(volume_resize(dir, "v", 4 * MIB), 0);
	assert_int_equal(volume_stat(dir, "v", &size, &bytes), 0);
	assert_int_equal(size, 4 * MIB);
	assert_int_equal(volume_delete(dir, "v"), 0);
	assert_int_equal(volume_delete(dir, "v"), 0);
	/* an image that stands on a file of whoever made it */
	int fd = raw(4096, "", 0);
	unsigned char head[256] = {'Q', 'F', 'I', 0xfb, 0, 0, 0, 3};
	head[15] = 104;
	head[19] = 11;
	head[30] = 1;
	memcpy(head + 104, "/etc/passwd", 11);
	assert_int_equal(pwrite(fd, head, sizeof(head), 0), sizeof(head));
	assert_int_equal(volume_import(dir, "evil", fd, &size), -EINVAL);
	memcpy(head + 104, "other-layer", 11);
	assert_int_equal(pwrite(fd, head, sizeof(head), 0), sizeof(head));
	assert_int_equal(volume_import(dir, "evil", fd, &size), -EINVAL);
	close(fd);
	assert_int_equal(faccessat(dir, "evil", F_OK, 0), -1);
	assert_int_equal(faccessat(dir, "evil.new", F_OK, 0), -1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        TEST(qemu_finds_them_in_order),
	        TEST(a_volume_costs_what_is_written),
	        TEST(layers_are_a_chain),
	        TEST(a_snapshot_costs_what_has_changed),
	        TEST(freezing_can_be_repeated),
	        TEST(a_file_in_use_is_not_made_again),
	        TEST(chains_end_before_they_are_too_long),
	        TEST(wrong_input_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
