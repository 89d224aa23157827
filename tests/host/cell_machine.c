/* What the rest of the machine sees of cells: the network between them, stems, what is left when processes die, what is left after
 * many. */
#include "world.h"

#include "../unit/unit.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct world world;

static const char *const stem_argv[] = {"/usr/bin/python3", "-c",
                                        "import os, socket, sys\n"
                                        "s = socket.socket(fileno=int(os.environ['QUARTET_STEM_FD']))\n"
                                        "s.sendall(b'ready\\n')\n"
                                        "line = s.makefile().readline()\n"
                                        "os.chdir('/var/task')\n"
                                        "print('got', line.strip(), open('hello.txt').read(), os.listdir('/opt'), flush=True)\n"
                                        "sys.exit(3)\n",
                                        NULL};
static const struct cell_stem stem = {.kind = "python3", .process = {.argv = stem_argv}, .keep = 2};
static const struct cells_config config = {.stems = &stem, .stem_count = 1, .keep_blank = 1};

static int open_world(void **state)
{
	(void)state;
	world_open(&world, &config);
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	world_close(&world);
	return 0;
}

/* ---- network ---- */

static void run_script(struct guest *g, const char *script, const char *output)
{
	int status = guest_run(g, script, 20000000);
	if (status != 0 || strcmp(g->output, output) != 0)
		fail_msg("status %d, output:\n%s\nwanted:\n%s", status, g->output, output);
}

/* A listener of this machine at every address; its port. */
static int listen_anywhere(int family, uint16_t *ret_port)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_storage a = {.ss_family = (sa_family_t)family};
	socklen_t n = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) < 0 || listen(fd, 8) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		return -1;
	*ret_port = ntohs(((struct sockaddr_in *)&a)->sin_port); /* the port is at the same place in both */
	return fd;
}

/* Every IPv4 address of the machine, as a Python list; the cells' gateways among them. */
static void list_addresses(char *text, size_t cap)
{
	struct ifaddrs *all;
	size_t n = 0;
	assert_int_equal(getifaddrs(&all), 0);
	for (struct ifaddrs *i = all; i && n + 32 < cap; i = i->ifa_next)
		if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET && !(i->ifa_flags & IFF_LOOPBACK))
			n += (size_t)snprintf(text + n, cap - n, "'%s',", inet_ntoa(((struct sockaddr_in *)i->ifa_addr)->sin_addr));
	freeifaddrs(all);
}

static void the_machine_is_out_of_reach(void **state)
{
	(void)state;
	static struct guest g;
	char addresses[2048] = "", script[4096];
	uint16_t port = 0, port6 = 0;
	assert_int_equal(guest_open(&world, &g), 0);
	int fd = listen_anywhere(AF_INET, &port), fd6 = listen_anywhere(AF_INET6, &port6);
	assert_true(fd >= 0);
	list_addresses(addresses, sizeof(addresses));
	snprintf(script, sizeof(script),
	         "import socket\n"
	         "for a in [%s]:\n"
	         "  s = socket.socket(); s.settimeout(0.3)\n"
	         "  try: s.connect((a, %u)); print('reached', a)\n"
	         "  except OSError: pass\n"
	         "s = socket.socket(); s.settimeout(0.3)\n"
	         "try: s.connect(('127.0.0.1', %u)); print('reached the loopback')\n"
	         "except ConnectionRefusedError: print('own loopback')\n"
	         "for i, name in socket.if_nameindex():\n"
	         "  s = socket.socket(socket.AF_INET6); s.settimeout(0.3)\n"
	         "  try: s.connect(('ff02::1', %u, 0, i)); print('reached by', name)\n"
	         "  except OSError: pass\n"
	         "s = socket.socket(); s.settimeout(0.3)\n"
	         "try: s.connect(('169.254.169.254', 80)); print('metadata')\n"
	         "except OSError: print('no metadata')\n",
	         addresses, port, port, port6);
	run_script(&g, script, "own loopback\nno metadata\n");
	close(fd);
	if (fd6 >= 0)
		close(fd6);
	guest_close(&g);
}

static void cells_do_not_reach_each_other(void **state)
{
	(void)state;
	static struct guest a, b;
	if (!cells_facts(world.cells)->network)
		skip();
	assert_int_equal(guest_open(&world, &a), 0);
	assert_int_equal(guest_open(&world, &b), 0);
	static const char listener[] =
	        "import socket, fcntl, struct\n"
	        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('198.51.100.1', 9)); print(s.getsockname()[0], flush=True)\n"
	        "l = socket.socket(); l.bind(('0.0.0.0', 7777)); l.listen()\n"
	        "while True: l.accept(); print('reached', flush=True)\n";
	assert_true(guest_start(&a, listener) > 0);
	for (int i = 0; i < 300 && !strchr(a.output, '\n'); i++) {
		world_sleep(10000);
		guest_read(&a);
	}
	char script[512];
	snprintf(
	        script, sizeof(script),
	        "import socket\ns = socket.socket(); s.settimeout(0.5)\ntry: s.connect(('%.*s', 7777)); print('reached')\nexcept OSError as e: print('not')\n",
	        (int)strcspn(a.output, "\n"), a.output);
	run_script(&b, script, "not\n");
	guest_read(&a);
	assert_null(strstr(a.output, "reached"));
	guest_close(&a);
	guest_close(&b);
}

static void served_sockets_are_inside(void **state)
{
	(void)state;
	static struct guest g;
	assert_int_equal(guest_open(&world, &g), 0);
	assert_true(guest_start(&g,
	                        "import socket\n"
	                        "for p in (9001, 4566):\n"
	                        "  s = socket.create_connection(('127.0.0.1', p)); print(s.recv(10).decode(), flush=True)\n") > 0);
	const int listeners[] = {cell_runtime_listener(g.cell), cell_endpoint_listener(g.cell)};
	static const char *const words[] = {"runtime", "cloud"};
	for (int i = 0; i < 2; i++) {
		int fd = -1;
		for (int tries = 0; tries < 500 && fd < 0; tries++) {
			fd = accept4(listeners[i], NULL, NULL, SOCK_CLOEXEC);
			if (fd < 0)
				world_sleep(10000);
		}
		assert_true(fd >= 0);
		assert_true(write(fd, words[i], strlen(words[i])) > 0);
		close(fd);
	}
	assert_true(world_wait(&world, &g.exited, 2000000));
	guest_read(&g);
	assert_string_equal(g.output, "runtime\ncloud\n");
	guest_close(&g);
}

/* ---- stems ---- */

static void wait_pool(unsigned stems, unsigned blanks)
{
	struct cells_stats s;
	bool never = false;
	for (int i = 0; i < 2000; i++) {
		cells_stats(world.cells, &s);
		if (s.ready_stems >= stems && s.ready_blanks >= blanks)
			return;
		world_wait(&world, &never, 5000);
	}
	fail_msg("the pool holds %u stems and %u blanks", s.ready_stems, s.ready_blanks);
}

static void a_stem_gets_its_code_late(void **state)
{
	(void)state;
	static struct guest g;
	wait_pool(2, 1);
	struct cell_spec spec = {
	        .kind = S("python3"), .stem_ok = true, .code_dir = S("one"), .opt_dir = S("one"), .memory_mb = 128, .tmp_mb = 512};
	assert_int_equal(guest_claim(&world, &g, &spec), 0);
	assert_true(cell_is_stem(g.cell));
	assert_int_equal(cell_stem_message(g.cell, S("{\"x\":1}")), 0);
	assert_int_equal(cell_stem_message(g.cell, S("again")), -EALREADY);
	assert_true(world_wait(&world, &g.exited, 5000000));
	assert_int_equal(g.process, CELL_STEM_PROCESS);
	assert_int_equal(WEXITSTATUS(g.status), 3);
	guest_read(&g);
	assert_string_equal(g.output, "got {\"x\":1} hello ['hello.txt']\n");
	run_script(&g, "import os\nv = os.statvfs('/tmp'); print(v.f_blocks * v.f_frsize >> 20)\n", "512\n");
	guest_close(&g);
	/* and the pool is filled again */
	wait_pool(2, 1);
	/* a function that must not have one gets none */
	spec.stem_ok = false;
	assert_int_equal(guest_claim(&world, &g, &spec), 0);
	assert_false(cell_is_stem(g.cell));
	guest_close(&g);
}

static void claims_outrun_the_pool(void **state)
{
	(void)state;
	enum { MANY = 12 };
	static struct guest g[MANY];
	struct cell_spec spec = {.kind = S("python3"), .stem_ok = true, .code_dir = S("one"), .memory_mb = 128, .tmp_mb = 1};
	for (int i = 0; i < MANY; i++)
		assert_int_equal(guest_claim(&world, &g[i], &spec), 0);
	for (int i = 0; i < MANY; i++) {
		if (!cell_is_stem(g[i].cell))
			run_script(&g[i], "print(open('hello.txt').read())", "hello\n");
		guest_close(&g[i]);
	}
}

static void bad_claims_fail(void **state)
{
	(void)state;
	static struct guest g;
	char path[128], target[160];
	snprintf(path, sizeof(path), "%s/code/link", world.dir);
	snprintf(target, sizeof(target), "%s/code/one", world.dir);
	assert_int_equal(symlink(target, path), 0);
	static const struct {
		struct str dir;
		int error;
	} cases[] = {{S_INIT("none"), -ENOENT},        {S_INIT("../../etc"), -EXDEV}, {S_INIT("/etc"), -EXDEV},
	             {S_INIT("one/../../.."), -EXDEV}, {S_INIT("link"), -ELOOP},      {S_INIT("one/hello.txt"), -ENOTDIR},
	             {S_INIT("a\0b"), -ENAMETOOLONG}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cell_spec spec = {.code_dir = cases[i].dir, .memory_mb = 128, .tmp_mb = 1};
		assert_int_equal(guest_claim(&world, &g, &spec), cases[i].error);
		guest_close(&g);
	}
	struct cell_spec small = {.memory_mb = 1, .tmp_mb = 1};
	assert_int_equal(guest_claim(&world, &g, &small), -EINVAL);
	guest_close(&g);
}

/* A cell's link leads into a namespace of net's making, and into nothing else that api might have a descriptor of. */
static void the_machine_is_no_shared_port(void **state)
{
	(void)state;
	static struct guest g;
	static const char *const others[] = {"/proc/self/ns/net", "/proc/self/ns/mnt", "/dev/null"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct cell_spec spec = {.shared_fd = open(others[i], O_RDONLY | O_CLOEXEC), .memory_mb = 128, .tmp_mb = 1};
		assert_int_equal(guest_claim(&world, &g, &spec), -EPERM);
		guest_close(&g);
		close(spec.shared_fd);
	}
	assert_int_equal(guest_open(&world, &g), 0);
	assert_int_equal(guest_run(&g, "print('well')", 10 * 1000000), 0);
	guest_close(&g);
}

/* ---- what is left ---- */

static unsigned count_groups(void)
{
	static const char *const places[] = {"/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/pids",
	                                     "/sys/fs/cgroup/freezer", "/sys/fs/cgroup"};
	unsigned n = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char path[128];
		snprintf(path, sizeof(path), "%s/quartet-%s", places[i], world.instance);
		DIR *d = opendir(path);
		for (struct dirent *e; d && (e = readdir(d));)
			n += e->d_type == DT_DIR && e->d_name[0] == 'c' && e->d_name[1] >= '0' && e->d_name[1] <= '9';
		if (d)
			closedir(d);
	}
	return n;
}

static unsigned count_links(void)
{
	char prefix[32];
	unsigned n = 0;
	snprintf(prefix, sizeof(prefix), "qt%s-", world.instance);
	struct if_nameindex *all = if_nameindex();
	for (struct if_nameindex *i = all; i && i->if_index; i++)
		n += strncmp(i->if_name, prefix, strlen(prefix)) == 0;
	if_freenameindex(all);
	return n;
}

/* Processes in this world's groups: other clouds may run beside us. A group cannot be removed while one is left in it. */
static unsigned count_processes(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc");
	for (struct dirent *e; d && (e = readdir(d));) {
		char path[300], text[2048];
		snprintf(path, sizeof(path), "/proc/%s/cgroup", e->d_name);
		FILE *f = e->d_name[0] >= '0' && e->d_name[0] <= '9' ? fopen(path, "re") : NULL;
		if (!f)
			continue;
		text[fread(text, 1, sizeof(text) - 1, f)] = 0;
		fclose(f);
		n += strstr(text, world.instance) != NULL;
	}
	if (d)
		closedir(d);
	return n;
}

static unsigned count_descriptors(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *d = opendir(path);
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static unsigned count_mounts(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	int c;
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	FILE *f = fopen(path, "re");
	while (f && (c = fgetc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

/* Dying takes the kernel a moment: waits until there are at most so many of everything. */
static void wait_left(unsigned groups, unsigned links, unsigned processes)
{
	bool never = false;
	for (int i = 0; i < 500; i++) {
		if (count_groups() <= groups && count_links() <= links && count_processes() <= processes)
			return;
		world_wait(&world, &never, 20000);
	}
	fail_msg("left: %u groups, %u links, %u processes", count_groups(), count_links(), count_processes());
}

static void nothing_is_left_after_many(void **state)
{
	(void)state;
	static struct guest g;
	wait_pool(2, 1);
	wait_left(3 * 4, 3, 5);
	unsigned fds = count_descriptors(getpid()), priv_fds = count_descriptors(world.priv), mounts = count_mounts(world.priv);
	for (int i = 0; i < 200 / world_patience(); i++) {
		/* blanks and stems in turn; every third one is frozen when it is destroyed, every fifth has a process */
		struct cell_spec spec = {
		        .kind = i & 1 ? S("python3") : S(""), .stem_ok = true, .code_dir = S("one"), .memory_mb = 64, .tmp_mb = 1};
		assert_int_equal(guest_claim(&world, &g, &spec), 0);
		if (i % 5 == 0)
			assert_true(guest_start(&g, "while True: pass") > 0);
		if (i % 3 == 0)
			assert_int_equal(cell_freeze(g.cell), 0);
		guest_close(&g);
	}
	wait_pool(2, 1);
	/* the pool's three: a group in each of at most four hierarchies, a link, pid 1 and a stem's process each */
	wait_left(3 * 4, 3, 5);
	assert_in_range(count_descriptors(getpid()), fds - 4, fds + 4);
	assert_in_range(count_descriptors(world.priv), priv_fds - 4, priv_fds + 4);
	assert_int_equal(count_mounts(world.priv), mounts);
}

static void cells_die_with_priv(void **state)
{
	(void)state;
	static struct guest running, frozen;
	assert_int_equal(guest_open(&world, &running), 0);
	assert_int_equal(guest_open(&world, &frozen), 0);
	assert_true(guest_start(&running, "while True: pass") > 0);
	assert_true(guest_start(&frozen, "while True: pass") > 0);
	world_sleep(50000);
	assert_int_equal(cell_freeze(frozen.cell), 0);
	kill(world.priv, SIGKILL);
	assert_true(world_wait(&world, &running.lost, 2000000));
	assert_true(world_wait(&world, &frozen.lost, 2000000));
	/* claims without priv fail and do not hang */
	static struct guest g;
	struct cell_spec spec = {.memory_mb = 64, .tmp_mb = 1};
	assert_int_equal(guest_claim(&world, &g, &spec), -EPIPE);
	guest_close(&g);
	guest_close(&running);
	guest_close(&frozen);
	world_restart_priv(&world);
	wait_pool(2, 1);
	wait_left(3 * 4, 3, 5);
	assert_int_equal(guest_open(&world, &g), 0);
	run_script(&g, "print('again')", "again\n");
	guest_close(&g);
}

/* Kills every process in this world's cells, pid 1s included. */
static void kill_all_inside(void)
{
	static const char *const places[] = {"/sys/fs/cgroup/pids", "/sys/fs/cgroup"};
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char path[128], procs[400];
		snprintf(path, sizeof(path), "%s/quartet-%s", places[i], world.instance);
		DIR *d = opendir(path);
		for (struct dirent *e; d && (e = readdir(d));) {
			int pid;
			snprintf(procs, sizeof(procs), "%s/%s/cgroup.procs", path, e->d_name);
			FILE *f = e->d_name[0] == 'c' ? fopen(procs, "re") : NULL;
			while (f && fscanf(f, "%d", &pid) == 1)
				if (pid > 1)
					kill(pid, SIGKILL);
			if (f)
				fclose(f);
		}
		if (d)
			closedir(d);
	}
}

static void dead_stems_are_replaced(void **state)
{
	(void)state;
	struct cells_stats before, after;
	bool never = false;
	wait_pool(2, 1);
	cells_stats(world.cells, &before);
	kill_all_inside();
	world_wait(&world, &never, 300000);
	wait_pool(2, 1);
	cells_stats(world.cells, &after);
	assert_true(after.made_total >= before.made_total + 3);
}

int main(void)
{
	if (geteuid() != 0) {
		fprintf(stderr, "skipped: sandboxes need root\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_machine_is_out_of_reach), cmocka_unit_test(cells_do_not_reach_each_other),
	        cmocka_unit_test(served_sockets_are_inside),   cmocka_unit_test(a_stem_gets_its_code_late),
	        cmocka_unit_test(claims_outrun_the_pool),      cmocka_unit_test(bad_claims_fail),
	        cmocka_unit_test(nothing_is_left_after_many),  cmocka_unit_test(cells_die_with_priv),
	        cmocka_unit_test(dead_stems_are_replaced),     cmocka_unit_test(the_machine_is_no_shared_port),
	};
	return cmocka_run_group_tests(tests, open_world, close_world);
}
