#include "unit.h"

#include "store/blob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
	char dir[64];
	struct blobs *blobs;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->dir, "/tmp/store_blob.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(blobs_open(&f->blobs, f->dir, false), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	blobs_close(f->blobs);
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void make(struct fixture *f, const char *content, char id[static BLOB_ID_LEN + 1])
{
	struct blob *w;
	assert_int_equal(blob_create(f->blobs, &w), 0);
	assert_int_equal(blob_write(w, content, strlen(content)), 0);
	assert_int_equal(blob_size(w), strlen(content));
	assert_int_equal(blob_seal(w, id), 0);
}

/* Files below the directory, hidden ones included. */
static int count(const char *dir)
{
	char command[128];
	snprintf(command, sizeof(command), "find %s -type f | wc -l", dir);
	FILE *p = popen(command, "r");
	int n = -1;
	assert_int_equal(fscanf(p, "%d", &n), 1);
	pclose(p);
	return n;
}

static void written_and_read_back(void **state)
{
	struct fixture *f = *state;
	char id[BLOB_ID_LEN + 1], other[BLOB_ID_LEN + 1], got[32] = "";
	struct blob *w;
	assert_int_equal(blob_create(f->blobs, &w), 0);
	assert_int_equal(blob_write(w, "hello ", 6), 0);
	assert_int_equal(blob_write(w, "world", 5), 0);
	assert_int_equal(pread(blob_fd(w), got, 5, 0), 5);
	assert_string_equal(got, "hello");
	assert_int_equal(blob_seal(w, id), 0);
	make(f, "", other);
	assert_string_not_equal(id, other);
	int fd = blob_open(f->blobs, str_from(id));
	assert_true(fd >= 0);
	assert_int_equal(blob_delete(f->blobs, str_from(id)), 0);
	assert_int_equal(read(fd, got, sizeof(got)), 11); /* an open one stays readable */
	assert_memory_equal(got, "hello world", 11);
	assert_true(write(fd, "x", 1) < 0);
	close(fd);
	assert_int_equal(blob_open(f->blobs, str_from(id)), -ENOENT);
	assert_int_equal(blob_delete(f->blobs, str_from(id)), -ENOENT);
	assert_int_equal(count(f->dir), 1);
}

static void ids_are_checked(void **state)
{
	struct fixture *f = *state;
	char id[BLOB_ID_LEN + 1], upper[BLOB_ID_LEN + 1];
	do
		make(f, "x", id);
	while (strcspn(id, "abcdef") == BLOB_ID_LEN);
	for (int i = 0; i <= BLOB_ID_LEN; i++)
		upper[i] = ascii_upper(id[i]);
	assert_int_equal(blob_open(f->blobs, str_from(upper)), -EINVAL);
	assert_int_equal(blob_open(f->blobs, S("../../../../../../../etc/passwd")), -EINVAL);
	assert_int_equal(blob_open(f->blobs, S("00/../../../../../../../../../../")), -EINVAL);
	assert_int_equal(blob_open(f->blobs, S("")), -EINVAL);
	assert_int_equal(blob_open(f->blobs, STR_NONE), -EINVAL);
	assert_int_equal(blob_delete(f->blobs, str_of(id, BLOB_ID_LEN - 1)), -EINVAL);
	assert_int_equal(blob_open(f->blobs, S("00000000000000000000000000000000")), -ENOENT);
}

static void dropped_ones_leave_nothing(void **state)
{
	struct fixture *f = *state;
	struct blob *w;
	assert_int_equal(blob_create(f->blobs, &w), 0);
	assert_int_equal(blob_write(w, "x", 1), 0);
	blob_drop(w);
	blob_drop(NULL);
	assert_int_equal(count(f->dir), 0);
}

static bool wanted_one(void *ctx, struct str id)
{
	return str_is(id, ctx);
}

static void the_sweep_removes_what_nobody_wants(void **state)
{
	struct fixture *f = *state;
	char keep[BLOB_ID_LEN + 1], drop[BLOB_ID_LEN + 1], foreign[128];
	make(f, "keep", keep);
	for (int i = 0; i < 5; i++)
		make(f, "drop", drop);
	/* A process that is killed while it writes leaves a beginning behind. */
	int pid = fork();
	if (pid == 0) {
		struct blob *w;
		if (blob_create(f->blobs, &w) < 0 || blob_write(w, "half", 4) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	snprintf(foreign, sizeof(foreign), "%s/%.2s/README", f->dir, keep);
	close(open(foreign, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(count(f->dir), 8);
	blobs_close(f->blobs);
	assert_int_equal(blobs_open(&f->blobs, f->dir, false), 0);
	assert_int_equal(blobs_sweep(f->blobs, wanted_one, keep), 6);
	assert_int_equal(count(f->dir), 2);
	int fd = blob_open(f->blobs, str_from(keep));
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(access(foreign, F_OK), 0);
}

/* What was begun goes on in another process, from where it was told, whatever was written or sealed after that. */
static void a_beginning_is_taken_up_again(void **state)
{
	struct fixture *f = *state;
	struct blob *w;
	char begun[BLOB_ID_LEN + 1], id[BLOB_ID_LEN + 1], text[16] = "";
	for (int seal = 0; seal < 2; seal++) {
		assert_int_equal(blob_create(f->blobs, &w), 0);
		memcpy(begun, blob_id(w), sizeof(begun));
		assert_int_equal(blob_write(w, "first", 5), 0);
		assert_int_equal(blob_flush(w), 0);
		assert_int_equal(blob_write(w, "lost", 4), 0);
		if (seal)
			assert_int_equal(blob_seal(w, id), 0);
		else
			blob_leave(w);
		blobs_close(f->blobs);
		assert_int_equal(blobs_open(&f->blobs, f->dir, false), 0);
		assert_int_equal(blobs_sweep(f->blobs, wanted_one, begun), seal ? 1 : 0);
		assert_int_equal(blob_resume(f->blobs, str_from(begun), 10, &w), -EIO);
		assert_int_equal(blob_resume(f->blobs, str_from(begun), 5, &w), 0);
		assert_int_equal(blob_size(w), 5);
		assert_int_equal(blob_write(w, " then", 5), 0);
		assert_int_equal(blob_seal(w, id), 0);
		assert_string_equal(id, begun);
		int fd = blob_open(f->blobs, str_from(id));
		assert_int_equal(read(fd, text, sizeof(text)), 10);
		close(fd);
		assert_memory_equal(text, "first then", 10);
		assert_int_equal(count(f->dir), 1);
	}
	assert_int_equal(blob_delete(f->blobs, str_from(id)), 0);
	assert_int_equal(blob_resume(f->blobs, str_from(id), 0, &w), -ENOENT);
	assert_int_equal(blob_resume(f->blobs, S("../x"), 0, &w), -EINVAL);
}

static void a_failing_disk_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	const struct rlimit small = {.rlim_cur = 100000, .rlim_max = RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
	char piece[60000] = "", id[BLOB_ID_LEN + 1];
	struct blob *w;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(blob_create(f->blobs, &w), 0);
	assert_int_equal(blob_write(w, piece, sizeof(piece)), 0);
	assert_int_equal(blob_write(w, piece, sizeof(piece)), -EFBIG);
	blob_drop(w);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(count(f->dir), 0);
	make(f, "fine again", id);
}

static void a_missing_directory_says_so(void **state)
{
	(void)state;
	struct blobs *b = NULL;
	assert_int_equal(blobs_open(&b, "/tmp/nowhere/at/all", false), -ENOENT);
	assert_int_equal(blobs_open(&b, "/dev/null", false), -ENOTDIR);
	assert_null(b);
	blobs_close(b);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(written_and_read_back),
	        T(ids_are_checked),
	        T(dropped_ones_leave_nothing),
	        T(the_sweep_removes_what_nobody_wants),
	        T(a_beginning_is_taken_up_again),
	        T(a_failing_disk_leaves_nothing),
	        cmocka_unit_test(a_missing_directory_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
