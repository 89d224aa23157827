/* Cells that a zygote makes: a copy of an interpreter that is loaded already is confined like one that was started, shares no
 * secret with other copies, and does not need its zygote afterwards. */
#include "world.h"

#include "../unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct world world;

static const char *const stem_argv[] = {"/usr/bin/python3", "/var/runtime/python/bootstrap.py", NULL};
static const struct cell_stem stem = {.kind = "python3", .process = {.argv = stem_argv}, .image = CELL_IMAGE_PYTHON, .keep = 2};
static const struct cells_config config = {.stems = &stem, .stem_count = 1, .keep_blank = 1};

/* Says what it is and ends before it asks for an event, which nobody here would answer. */
static const char probe[] =
        "import ctypes, os, random, sys, threading\n"
        "def say(*what): print(*what, flush=True)\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "kind = os.environ['KIND']\n"
        "if kind == 'who':\n"
        "  for k in 'Uid Gid Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Threads'.split(): say(k, *status[k].split())\n"
        "  say(sorted(os.environ), os.getcwd(), os.path.exists('/proc/1'), [p for p in os.listdir('/proc') if p.isdigit()] == [str(os.getpid())])\n"
        "  say(sorted(fd for fd in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd))[:5], status['Name'].strip()[:6])\n"
        "  say([l for l in open('/proc/self/maps') if 'zygote.so' in l], threading.main_thread().native_id == os.getpid(), threading.active_count())\n"
        "  libc = ctypes.CDLL(None, use_errno=True)\n"
        "  say(libc.mount(b'none', b'/tmp', b'tmpfs', 0, 0), libc.unshare(0x10000000), libc.setuid(0), libc.setns(0, 0))\n"
        "  say(open('/var/task/hello.txt').read(), os.access('/etc/shadow', os.R_OK), os.access('/var/task/x', os.W_OK))\n"
        "elif kind == 'random':\n"
        "  import ssl, uuid\n"
        "  say(random.getrandbits(64), os.urandom(8).hex(), ssl.RAND_bytes(8).hex(), uuid.uuid4().hex)\n"
        "elif kind == 'fork':\n"
        "  pid = os.fork()\n"
        "  if pid == 0: os._exit(7)\n"
        "  say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), os.popen('echo $((6 * 7))').read().strip())\n"
        "os._exit(5)\n";

static int open_world(void **state)
{
	(void)state;
	const char *library = getenv("QUARTET_ZYGOTE");
	if (!library) {
		printf("skipped: this build has no zygote.so: a sanitizer's cannot be loaded into an interpreter\n");
		exit(77);
	}
	world_use_zygotes(getenv("QUARTET_RUNTIMES"), library);
	world_open(&world, &config);
	char path[128];
	snprintf(path, sizeof(path), "%s/code/one/probe.py", world.dir);
	int fd = open(path, O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write(fd, probe, sizeof(probe) - 1), sizeof(probe) - 1);
	close(fd);
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	world_close(&world);
	return 0;
}

/* A priv's child that is an interpreter in this machine's own pid namespace; 0: there is none. */
static pid_t find_zygote(void)
{
	char path[64], text[8192];
	pid_t found = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)world.priv, (int)world.priv);
	FILE *children = fopen(path, "re");
	int pid;
	while (children && fscanf(children, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/status", pid);
		FILE *f = fopen(path, "re");
		size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
		text[n] = 0;
		if (f)
			fclose(f);
		int outside, inside;
		const char *ids = strstr(text, "\nNSpid:");
		if (strncmp(text, "Name:\tpython", 12) == 0 && ids && sscanf(ids, "\nNSpid:\t%d\t%d", &outside, &inside) == 1)
			found = pid;
	}
	if (children)
		fclose(children);
	return found;
}

static void wait_stems(unsigned stems)
{
	struct cells_stats s;
	bool never = false;
	for (int i = 0; i < 4000; i++) {
		cells_stats(world.cells, &s);
		if (s.ready_stems >= stems)
			return;
		world_wait(&world, &never, 5000);
	}
	fail_msg("the pool holds %u stems", s.ready_stems);
}

static void run_probe(struct guest *g, const char *kind)
{
	char line[128];
	struct cell_spec spec = {.kind = S("python3"), .stem_ok = true, .code_dir = S("one"), .memory_mb = 256, .tmp_mb = 16};
	assert_int_equal(guest_claim(&world, g, &spec), 0);
	assert_true(cell_is_stem(g->cell));
	snprintf(line, sizeof(line), "{\"env\":{\"KIND\":\"%s\"},\"handler\":\"probe.handler\",\"task_root\":\"/var/task\"}", kind);
	assert_int_equal(cell_stem_message(g->cell, str_from(line)), 0);
	assert_true(world_wait(&world, &g->exited, 20000000));
	guest_read(g);
	if (g->process != CELL_STEM_PROCESS || WEXITSTATUS(g->status) != 5)
		fail_msg("status %d, output:\n%s", g->status, g->output);
}

static void a_copy_is_confined(void **state)
{
	(void)state;
	static struct guest g;
	wait_stems(6);
	assert_true(find_zygote() > 0);
	run_probe(&g, "who");
	assert_string_equal(g.output,
	                    "Uid 993 993 993 993\nGid 990 990 990 990\nGroups\n"
	                    "CapInh 0000000000000000\nCapPrm 0000000000000000\nCapEff 0000000000000000\nCapBnd 0000000000000000\n"
	                    "CapAmb 0000000000000000\nNoNewPrivs 1\nSeccomp 2\nThreads 1\n"
	                    "['KIND'] /var/task False True\n"
	                    "['0', '1', '2', '4'] python\n"
	                    "[] True 1\n"
	                    "-1 -1 -1 -1\n"
	                    "hello False False\n");
	guest_close(&g);
}

static void copies_have_random_numbers_of_their_own(void **state)
{
	(void)state;
	static struct guest a, b;
	char of_a[4][64], of_b[4][64];
	run_probe(&a, "random");
	run_probe(&b, "random");
	assert_int_equal(sscanf(a.output, "%63s %63s %63s %63s", of_a[0], of_a[1], of_a[2], of_a[3]), 4);
	assert_int_equal(sscanf(b.output, "%63s %63s %63s %63s", of_b[0], of_b[1], of_b[2], of_b[3]), 4);
	for (int i = 0; i < 4; i++)
		assert_string_not_equal(of_a[i], of_b[i]);
	guest_close(&a);
	guest_close(&b);
}

static void a_copy_can_fork_and_execute(void **state)
{
	(void)state;
	static struct guest g;
	run_probe(&g, "fork");
	assert_string_equal(g.output, "7 42\n");
	guest_close(&g);
}

static void claims_outrun_the_pool(void **state)
{
	(void)state;
	enum { MANY = 12 };
	static struct guest g[MANY];
	struct cell_spec spec = {.kind = S("python3"), .stem_ok = true, .code_dir = S("one"), .memory_mb = 128, .tmp_mb = 1};
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(guest_claim(&world, &g[i], &spec), 0);
		assert_true(cell_is_stem(g[i].cell));
	}
	for (int i = 0; i < MANY; i++)
		guest_close(&g[i]);
}

static void copies_outlive_their_zygote(void **state)
{
	(void)state;
	static struct guest before, after;
	struct cell_spec spec = {.kind = S("python3"), .stem_ok = true, .code_dir = S("one"), .memory_mb = 128, .tmp_mb = 1};
	wait_stems(2);
	assert_int_equal(guest_claim(&world, &before, &spec), 0);
	pid_t zygote = find_zygote();
	assert_true(zygote > 0);
	kill(zygote, SIGKILL);
	wait_stems(2);
	run_probe(&after, "fork");
	/* stems of before may have been ready: the pool makes a new zygote when it wants more */
	bool never = false;
	pid_t next = find_zygote();
	for (int i = 0; i < 4000 && (next <= 0 || next == zygote); i++) {
		world_wait(&world, &never, 5000);
		next = find_zygote();
	}
	assert_true(next > 0 && next != zygote);
	assert_false(before.lost);
	assert_false(before.exited);
	guest_close(&before);
	guest_close(&after);
}

static void copies_die_with_priv(void **state)
{
	(void)state;
	static struct guest g;
	struct cell_spec spec = {.kind = S("python3"), .stem_ok = true, .code_dir = S("one"), .memory_mb = 128, .tmp_mb = 1};
	wait_stems(2);
	assert_int_equal(guest_claim(&world, &g, &spec), 0);
	pid_t zygote = find_zygote();
	kill(world.priv, SIGKILL);
	assert_true(world_wait(&world, &g.lost, 2000000));
	guest_close(&g);
	bool never = false;
	for (int i = 0; i < 400 && kill(zygote, 0) == 0; i++)
		world_wait(&world, &never, 5000);
	assert_int_equal(kill(zygote, 0), -1);
	world_restart_priv(&world);
	wait_stems(2);
	run_probe(&g, "fork");
	guest_close(&g);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	if (geteuid() != 0) {
		printf("skipped: sandboxes need root\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
	        TEST(a_copy_is_confined),          TEST(copies_have_random_numbers_of_their_own),
	        TEST(a_copy_can_fork_and_execute), TEST(claims_outrun_the_pool),
	        TEST(copies_outlive_their_zygote), TEST(copies_die_with_priv),
	};
	return cmocka_run_group_tests(tests, open_world, close_world);
}
