/* What names in a layer mean, what the steward believes, and trees that somebody has made too deep to be walked. */
#include "unit.h"

#include "engine/oci/layer_path.h"
#include "engine/oci/proto.h"
#include "engine/oci/runtime.h"
#include "io/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void is(const char *name, int error, const char *path, enum layer_kind kind)
{
	char got[LAYER_PATH_MAX] = "";
	enum layer_kind k = LAYER_PLAIN;
	int e = layer_path(name, got, &k);
	if (e != error || (!e && (strcmp(got, path) != 0 || k != kind)))
		fail_msg("\"%.80s\": %d \"%s\" %d", name, e, got, k);
}

static void names_are_relative(void **state)
{
	(void)state;
	is("a", 0, "a", LAYER_PLAIN);
	is("./a//b/./c/", 0, "a/b/c", LAYER_PLAIN);
	is(".", 0, ".", LAYER_PLAIN);
	is("./", 0, ".", LAYER_PLAIN);
	is("...", 0, "...", LAYER_PLAIN);
	is("a/..b", 0, "a/..b", LAYER_PLAIN);
	is("/a", -EPERM, "", 0);
	is("//", -EPERM, "", 0);
	is("..", -EPERM, "", 0);
	is("a/..", -EPERM, "", 0);
	is("a/../b", -EPERM, "", 0);
	is("./../b", -EPERM, "", 0);
	is("", -EINVAL, "", 0);
	char text[LAYER_PATH_MAX + 2];
	memset(text, 'a', 256);
	text[256] = 0;
	is(text, -EINVAL, "", 0);
	text[255] = 0;
	is(text, 0, text, LAYER_PLAIN);
	for (size_t i = 0; i < LAYER_PATH_MAX; i += 2)
		memcpy(text + i, "a/", 2);
	text[LAYER_PATH_MAX] = 0;
	is(text, -EINVAL, "", 0);
}

static void whiteouts_hide_one_name(void **state)
{
	(void)state;
	is(".wh.a", 0, "a", LAYER_WHITEOUT);
	is("d/.wh.a", 0, "d/a", LAYER_WHITEOUT);
	is("d/.wh..a", 0, "d/.a", LAYER_WHITEOUT);
	is("d/.wh..wh..opq", 0, "d", LAYER_OPAQUE);
	is(".wh..wh..opq", 0, ".", LAYER_OPAQUE);
	is("d/.wh..wh.plnk", 0, "d/.wh..wh.plnk", LAYER_IGNORED);
	is(".wh.", -EINVAL, "", 0);
	is("d/.wh..", -EINVAL, "", 0);
	is("d/.wh...", -EINVAL, "", 0);
	is(".wh.d/a", -EINVAL, "", 0);
	is("x.wh.a", 0, "x.wh.a", LAYER_PLAIN);
}

static void links_stay_inside(void **state)
{
	(void)state;
	assert_int_equal(layer_symlink("a", "b"), 0);
	assert_int_equal(layer_symlink("a", "/etc/../../x"), 0); /* from the container's own root */
	assert_int_equal(layer_symlink("a/b", "../c"), 0);
	assert_int_equal(layer_symlink("a/b/c", "../../d/../e"), 0);
	assert_int_equal(layer_symlink("a", "../c"), -EPERM);
	assert_int_equal(layer_symlink("a/b", "../../c"), -EPERM);
	assert_int_equal(layer_symlink("a/b", "c/../../../d"), -EPERM);
	assert_int_equal(layer_symlink("a", ""), -EPERM);
}

/* ---- requests ---- */

static struct steward_request good_start(void)
{
	struct steward_request r = {.verb = STEWARD_START,
	                            .container_count = 2,
	                            .layer_count = 2,
	                            .volume_count = 1,
	                            .cpu_units = 256,
	                            .has_port = 1,
	                            .prefix = 24,
	                            .memory_bytes = 128 << 20,
	                            .scratch_bytes = 64 << 20};
	strcpy(r.name, "task");
	r.containers[0].layer_count = 2;
	r.containers[0].layers[1] = 1;
	r.containers[1].layer_count = 1;
	return r;
}

static void starts_are_checked(void **state)
{
	(void)state;
	static struct steward_request r;
	const unsigned long fds = TASK_FDS + 2 + 1;
	r = good_start();
	assert_int_equal(steward_check(&r, sizeof(r), fds), 0);
	assert_int_equal(steward_check(&r, sizeof(r), fds - 1), -EINVAL);
	assert_int_equal(steward_check(&r, sizeof(r), fds + 1), -EINVAL);
	assert_int_equal(steward_check(&r, sizeof(r) - 1, fds), -EINVAL);
	r.containers[1].layer_count = 0; /* this machine's programs */
	assert_int_equal(steward_check(&r, sizeof(r), fds), 0);
#define BAD(change) \
	do { \
		r = good_start(); \
		change; \
		assert_int_equal(steward_check(&r, sizeof(r), fds), -EINVAL); \
	} while (0)
	BAD(r.verb = 0);
	BAD(r.verb = STEWARD_TRIM + 1);
	BAD(r.runtime = STEWARD_RUNTIMES);
	BAD(r.container_count = 0);
	BAD(r.container_count = 3);
	BAD(r.container_count = STEWARD_CONTAINERS_MAX + 1);
	BAD(r.layer_count = 0);
	BAD(r.layer_count = 1);
	BAD(r.layer_count = STEWARD_LAYERS_MAX + 1);
	BAD(r.volume_count = STEWARD_VOLUMES_MAX + 1);
	BAD(r.has_port = 0);
	BAD(r.has_port = 2);
	BAD(r.prefix = 33);
	BAD(r.cpu_units = (1 << 20) + 1);
	BAD(r.memory_bytes = 0);
	BAD(r.memory_bytes = UINT64_MAX);
	BAD(r.scratch_bytes = 0);
	BAD(r.scratch_bytes = UINT64_MAX);
	BAD(r.scratch_bytes += 1);
	BAD(r.name[0] = 0);
	BAD(memset(r.name, 'a', sizeof(r.name)));
	BAD(r.containers[1].layer_count = STEWARD_CHAIN_MAX + 1);
	BAD(r.containers[1].layers[0] = 2);
	BAD(r.containers[1].cpu_units = UINT32_MAX);
}

static void other_requests_are_checked(void **state)
{
	(void)state;
	union steward_any_request r = {.h = {STEWARD_KILL, STEWARD_SLOTS - 1}};
	assert_int_equal(steward_check(&r, sizeof(r.h), 0), 0);
	assert_int_equal(steward_check(&r, sizeof(r.h), 1), -EINVAL);
	assert_int_equal(steward_check(&r, sizeof(r.h) - 1, 0), -EINVAL);
	r.h.number++;
	assert_int_equal(steward_check(&r, sizeof(r.h), 0), -EINVAL);
	r.h.verb = STEWARD_FACTS;
	assert_int_equal(steward_check(&r, sizeof(r.h), 0), -EINVAL);
	r.h.number = STEWARD_CRUN;
	assert_int_equal(steward_check(&r, sizeof(r.h), 0), 0);
	r.unpack = (struct steward_unpack){.verb = STEWARD_UNPACK, .max_bytes = 1, .max_entries = 1};
	assert_int_equal(steward_check(&r, sizeof(r.unpack), 1), 0);
	assert_int_equal(steward_check(&r, sizeof(r.unpack), 0), -EINVAL);
	r.unpack.max_entries = 0;
	assert_int_equal(steward_check(&r, sizeof(r.unpack), 1), -EINVAL);
	r.trim = (struct steward_trim){.verb = STEWARD_TRIM, .count = STEWARD_TRIM_MAX};
	assert_int_equal(steward_check(&r, sizeof(r.trim), 0), 0);
	r.trim.count++;
	assert_int_equal(steward_check(&r, sizeof(r.trim), 0), -EINVAL);
	r.trim = (struct steward_trim){.verb = STEWARD_TRIM, .more = 2};
	assert_int_equal(steward_check(&r, sizeof(r.trim), 0), -EINVAL);
}

static void orders_are_checked(void **state)
{
	(void)state;
	struct task_order o = {.verb = TASK_START};
	assert_int_equal(task_check_order(&o, sizeof(o), 0), 0);
	assert_int_equal(task_check_order(&o, sizeof(o), 1), -EINVAL);
	assert_int_equal(task_check_order(&o, sizeof(o) + 1, 0), -EINVAL);
	o.container = STEWARD_CONTAINERS_MAX;
	assert_int_equal(task_check_order(&o, sizeof(o), 0), -EINVAL);
	o = (struct task_order){.verb = TASK_HELLO};
	assert_int_equal(task_check_order(&o, sizeof(o), 0), -EINVAL);
	o = (struct task_order){.verb = TASK_EXEC, .bytes = 10};
	assert_int_equal(task_check_order(&o, sizeof(o), 1), 0);
	assert_int_equal(task_check_order(&o, sizeof(o), 0), -EINVAL);
	o.bytes = 0;
	assert_int_equal(task_check_order(&o, sizeof(o), 1), -EINVAL);
	o.bytes = UINT32_MAX;
	assert_int_equal(task_check_order(&o, sizeof(o), 1), -EINVAL);
}

static void runtimes_have_names(void **state)
{
	(void)state;
	unsigned number = 9;
	assert_int_equal(oci_runtime_find(NULL, &number), 0);
	assert_int_equal(number, STEWARD_CRUN);
	assert_int_equal(oci_runtime_find("runc", &number), 0);
	assert_int_equal(number, STEWARD_RUNC);
	assert_int_equal(oci_runtime_find("kata", &number), 0);
	assert_int_equal(number, STEWARD_KATA);
	assert_int_equal(oci_runtime_find("runsc", &number), 0);
	assert_int_equal(number, STEWARD_RUNSC);
	assert_int_equal(oci_runtime_find("Crun", &number), -EINVAL);
	assert_int_equal(number, STEWARD_RUNSC);
	for (unsigned i = 0; i < STEWARD_RUNTIMES; i++)
		assert_true(oci_runtime(i)->program[0] == '/' && oci_runtime(i)->general && oci_runtime(i)->advice);
}

/* ---- deep trees ---- */

static void deep_trees_go(void **state)
{
	(void)state;
	char top[] = "/tmp/quartet-deep-XXXXXX";
	struct rlimit before, few;
	assert_non_null(mkdtemp(top));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){128, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	int start = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC), at = dup(start);
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(mkdirat(at, "d", 0500), 0);
		if (i % 50 == 0)
			assert_int_equal(mkdirat(at, ".deep-0", 0700), 0); /* somebody who knows the name */
		int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0 && fchmod(next, 0700) == 0);
		close(at);
		at = next;
	}
	close(at);
	close(start);
	assert_int_equal(tree_remove(AT_FDCWD, top), 0);
	assert_int_equal(access(top, F_OK), -1);
	setrlimit(RLIMIT_NOFILE, &before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(names_are_relative),         cmocka_unit_test(whiteouts_hide_one_name),
	        cmocka_unit_test(links_stay_inside),          cmocka_unit_test(starts_are_checked),
	        cmocka_unit_test(other_requests_are_checked), cmocka_unit_test(orders_are_checked),
	        cmocka_unit_test(runtimes_have_names),        cmocka_unit_test(deep_trees_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
