/* Control groups on a directory that only looks like one: what is written where, for both versions. */
#include "unit.h"

#include "engine/cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static const char *at(const char *path)
{
	static char text[4][320];
	static int turn;
	turn = (turn + 1) % 4;
	snprintf(text[turn], sizeof(text[0]), "%s/%s", root, path);
	return text[turn];
}

static void put(const char *path, const char *content)
{
	FILE *f = fopen(at(path), "w");
	assert_non_null(f);
	fputs(content, f);
	fclose(f);
}

static void expect(const char *path, const char *content)
{
	char text[128] = "";
	FILE *f = fopen(at(path), "r");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	assert_string_equal(text, content);
}

static int make_root(void **state)
{
	(void)state;
	strcpy(root, "/tmp/quartet-cgroup-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void empty_files(const char *dir, const char *const *names)
{
	char path[200];
	for (; *names; names++) {
		snprintf(path, sizeof(path), "%s/%s", dir, *names);
		put(path, "");
	}
}

static void v1_spreads_over_hierarchies(void **state)
{
	(void)state;
	static const char *const hierarchies[] = {"memory", "cpu", "pids", "freezer"};
	struct cgroups g;
	assert_int_equal(cgroups_open(&g, root, "", "0badcafe"), -ENOSYS);
	for (int i = 0; i < 4; i++) {
		char path[64];
		mkdir(at(hierarchies[i]), 0755);
		snprintf(path, sizeof(path), "%s/cgroup.procs", hierarchies[i]);
		put(path, "");
	}
	assert_int_equal(cgroups_open(&g, root, "", "0badcafe"), 0);
	assert_int_equal(g.version, 1);
	assert_true(g.has[CGROUP_MEMORY] && g.has[CGROUP_CPU] && g.has[CGROUP_PIDS] && g.has[CGROUP_FREEZER]);
	assert_int_equal(cgroup_make(&g, "c1"), 0);
	assert_int_equal(cgroup_make(&g, "c1"), -EEXIST);
	empty_files("memory/quartet-0badcafe/c1",
	            (const char *const[]){"memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "tasks", NULL});
	empty_files("cpu/quartet-0badcafe/c1",
	            (const char *const[]){"cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "tasks", NULL});
	empty_files("pids/quartet-0badcafe/c1", (const char *const[]){"pids.max", "tasks", NULL});
	empty_files("freezer/quartet-0badcafe/c1", (const char *const[]){"freezer.state", "tasks", NULL});
	struct cgroup_limits limits = {.memory_bytes = 128 << 20, .pids = 1024, .cpu_weight = 1, .cpu_quota_us = 1447};
	assert_int_equal(cgroup_limit(&g, "c1", &limits), 0);
	expect("memory/quartet-0badcafe/c1/memory.limit_in_bytes", "134217728");
	expect("memory/quartet-0badcafe/c1/memory.memsw.limit_in_bytes", "134217728");
	expect("pids/quartet-0badcafe/c1/pids.max", "1024");
	expect("cpu/quartet-0badcafe/c1/cpu.shares", "10");
	expect("cpu/quartet-0badcafe/c1/cpu.cfs_period_us", "20000");
	expect("cpu/quartet-0badcafe/c1/cpu.cfs_quota_us", "1447");
	int fds[CGROUP_CONTROLLERS];
	assert_int_equal(cgroup_open_join(&g, "c1", fds), 0);
	assert_int_equal(cgroup_join(fds), 0);
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		close(fds[i]);
	expect("freezer/quartet-0badcafe/c1/tasks", "0");
	int fd = cgroup_open_file(&g, "c1", CGROUP_FILE_FREEZE);
	assert_true(fd >= 0);
	assert_int_equal(cgroup_put_frozen(1, fd, true), 0);
	expect("freezer/quartet-0badcafe/c1/freezer.state", "FROZEN");
	close(fd);
	assert_int_equal(cgroup_open_file(&g, "c2", CGROUP_FILE_FREEZE), -ENOENT);
	assert_int_equal(cgroup_limit(&g, "c2", &limits), -ENOENT);
	assert_int_equal(cgroup_remove(&g, "c2"), 0);
	/* processor time is counted in cpu's hierarchy, or in one of its own */
	put("cpu/quartet-0badcafe/c1/cpuacct.usage", "7000");
	fd = cgroup_open_file(&g, "c1", CGROUP_FILE_CPU_USED);
	assert_int_equal(cgroup_get_cpu_us(1, fd), 7);
	close(fd);
	assert_int_equal(g.own[CGROUP_ACCOUNT], -1);
	cgroups_close(&g, false);
	mkdir(at("cpuacct"), 0755);
	put("cpuacct/cgroup.procs", "");
	assert_int_equal(cgroups_open(&g, root, "", "0badcafe"), 0);
	mkdir(at("cpuacct/quartet-0badcafe/c1"), 0755);
	put("cpuacct/quartet-0badcafe/c1/cpuacct.usage", "9000");
	fd = cgroup_open_file(&g, "c1", CGROUP_FILE_CPU_USED);
	assert_int_equal(cgroup_get_cpu_us(1, fd), 9);
	close(fd);
	cgroups_close(&g, false);
	put("cpu/cpuacct.usage", "");
	assert_int_equal(cgroups_open(&g, root, "", "0badcafe"), 0);
	assert_int_equal(g.own[CGROUP_ACCOUNT], -1);
	cgroups_close(&g, false);
}

static void v2_takes_the_delegated_group_or_the_top(void **state)
{
	(void)state;
	struct cgroups g;
	put("cgroup.controllers", "cpu memory pids");
	put("cgroup.subtree_control", "");
	mkdir(at("unit"), 0755);
	put("unit/cgroup.subtree_control", "");
	/* not delegated: the top of the tree */
	assert_int_equal(cgroups_open(&g, root, "0::/unit\n", "0badcafe"), 0);
	assert_int_equal(g.version, 2);
	struct stat st;
	assert_int_equal(stat(at("quartet-0badcafe"), &st), 0);
	put("quartet-0badcafe/cgroup.subtree_control", "");
	put("quartet-0badcafe/cpu.weight", "");
	cgroups_close(&g, false);
	assert_int_equal(cgroups_open(&g, root, "1:name=systemd:/\n0::/unit\n", "0badcafe"), 0);
	assert_true(g.has[CGROUP_MEMORY]);
	expect("quartet-0badcafe/cpu.weight", "1000");
	assert_int_equal(cgroup_make(&g, "c1"), 0);
	empty_files("quartet-0badcafe/c1",
	            (const char *const[]){"memory.max", "memory.swap.max", "memory.high", "memory.current", "memory.events",
	                                  "pids.max", "cpu.weight", "cpu.max", "cgroup.freeze", NULL});
	struct cgroup_limits limits = {.memory_bytes = 64 << 20, .pids = 10, .cpu_weight = 100, .cpu_quota_us = UINT32_MAX};
	assert_int_equal(cgroup_limit(&g, "c1", &limits), 0);
	expect("quartet-0badcafe/c1/memory.max", "67108864");
	expect("quartet-0badcafe/c1/memory.swap.max", "0");
	expect("quartet-0badcafe/c1/cpu.weight", "100");
	expect("quartet-0badcafe/c1/cpu.max", "max 20000");
	struct cgroup_alarm alarm;
	assert_int_equal(cgroup_alarm_open(&g, "c1", &alarm), 0);
	assert_int_equal(cgroup_alarm_set(&g, "c1", &alarm, 1 << 20), 0);
	expect("quartet-0badcafe/c1/memory.high", "1048576");
	put("quartet-0badcafe/c1/memory.high", "");
	assert_int_equal(cgroup_alarm_set(&g, "c1", &alarm, CGROUP_NO_ALARM), 0);
	expect("quartet-0badcafe/c1/memory.high", "max");
	cgroup_alarm_close(&alarm);
	/* clone3() puts a child into the directory that it is given, and refuses a file in it */
	int fds[CGROUP_CONTROLLERS];
	assert_int_equal(cgroup_open_join(&g, "c1", fds), 0);
	assert_int_equal(fstat(fds[0], &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	close(fds[0]);
	for (int i = 1; i < CGROUP_CONTROLLERS; i++)
		assert_int_equal(fds[i], -1);
	int fd = cgroup_open_file(&g, "c1", CGROUP_FILE_FREEZE);
	assert_int_equal(cgroup_put_frozen(2, fd, true), 0);
	expect("quartet-0badcafe/c1/cgroup.freeze", "1");
	close(fd);
	cgroups_close(&g, false);
}

static int memory_file(const char *content)
{
	put("file", content);
	return open(at("file"), O_RDWR | O_CLOEXEC);
}

static void handed_out_files_are_read(void **state)
{
	(void)state;
	int fd = memory_file("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
	assert_int_equal(cgroup_get_oom_kills(1, fd), 3);
	close(fd);
	fd = memory_file("low 0\nhigh 0\nmax 12\noom 2\noom_kill 2\noom_group_kill 0\n");
	assert_int_equal(cgroup_get_oom_kills(2, fd), 2);
	close(fd);
	fd = memory_file("nothing\n");
	assert_int_equal(cgroup_get_oom_kills(1, fd), -ENOENT);
	close(fd);
	fd = memory_file("4194304\n");
	assert_int_equal(cgroup_get_memory_peak(1, fd), 4194304);
	assert_int_equal(cgroup_put_cpu_quota(1, fd, 10), 0);
	close(fd);
	expect("file", "1000304\n"); /* the kernel's least quota, over the old content */
	fd = memory_file("");
	assert_int_equal(cgroup_get_memory_peak(1, fd), -EIO);
	assert_int_equal(cgroup_put_cpu_quota(2, fd, UINT32_MAX), 0);
	expect("file", "max");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(v1_spreads_over_hierarchies, make_root, remove_root),
	        cmocka_unit_test_setup_teardown(v2_takes_the_delegated_group_or_the_top, make_root, remove_root),
	        cmocka_unit_test_setup_teardown(handed_out_files_are_read, make_root, remove_root),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
