/* Snapshots of what runs in cells: a process that is restored in another cell is what it was, is confined like any other, and goes
 * on where it waited; what cannot be kept is refused with a reason; a file that is not good any more is not restored. The Runtime
 * API is played by the test. */
#include "world.h"

#include "../unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct world world;
static const struct cells_config config = {.keep_blank = 2};
enum { LONG_US = 60 * 1000 * 1000, STATUS = 9 };
static const char name[] = "00112233445566778899aabbccddeeff";

/* Waits in the middle, and says afterwards what it is. */
static const char subject[] =
        "import ctypes, os, signal, socket, sys, threading, time\n"
        "kept = [bytes([i % 251]) * 5000 for i in range(2000)]\n"
        "ticks = []\n"
        "def tick():\n"
        "  while True: ticks.append(1); time.sleep(0.001)\n"
        "threads = [threading.Thread(target=tick, daemon=True) for _ in range(3)]\n"
        "[t.start() for t in threads]\n"
        "seen = []\n"
        "signal.signal(signal.SIGUSR1, lambda *a: seen.append('signal'))\n"
        "libc = ctypes.CDLL(None); libc.sbrk.restype = ctypes.c_void_p; libc.sbrk.argtypes = [ctypes.c_long]\n"
        "open('/tmp/f', 'w').write('kept too')\n"
        "r, w = os.pipe(); os.write(w, b'in the pipe')\n"
        "f = open('/usr/bin/env', 'rb'); f.read(100)\n"
        "pid, tids = os.getpid(), sorted(os.listdir('/proc/self/task'))\n"
        "s = socket.create_connection(('127.0.0.1', 9001)); s.sendall(b'GET /first HTTP/1.1\\r\\n\\r\\n')\n"
        "answer = s.recv(1000)\n"
        "n, same = len(ticks), tids == sorted(os.listdir('/proc/self/task'))\n"
        "end = libc.sbrk(0); more = libc.sbrk(1 << 20); ctypes.memset(more, 1, 1 << 20)\n"
        "time.sleep(0.1)\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
        "late = threading.Thread(target=lambda: seen.append('thread')); late.start(); late.join()\n"
        "print(answer.decode(), pid == os.getpid(), same, len(ticks) > n, seen, end == more)\n"
        "print(all(k == bytes([i % 251]) * 5000 for i, k in enumerate(kept)), open('/tmp/f').read(), os.read(r, 100).decode(), f.tell())\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(*[k + status[k].strip() for k in 'CapPrm CapEff CapBnd NoNewPrivs Seccomp'.split()], status['Uid'].split()[0], open('/proc/self/cmdline').read()[:16])\n"
        "sys.stdout.flush()\n"
        "os._exit(9)\n";

struct kept {
	bool done;
	int error;
	char why[200];
};

static void on_kept(void *ctx, int error, const char *why)
{
	struct kept *k = ctx;
	k->done = true;
	k->error = error;
	snprintf(k->why, sizeof(k->why), "%s", why);
}

/* The next connection to the cell's Runtime API, and what was asked on it. The loop goes on meanwhile. */
static int next_request(struct guest *g, char *ret_text, size_t cap)
{
	static bool never;
	for (int i = 0; i < 3000; i++) {
		struct pollfd p = {.fd = cell_runtime_listener(g->cell), .events = POLLIN};
		if (poll(&p, 1, 0) == 1) {
			int fd = accept(p.fd, NULL, NULL);
			ssize_t n = read(fd, ret_text, cap - 1);
			ret_text[n > 0 ? n : 0] = 0;
			return fd;
		}
		world_wait(g->world, &never, 10000);
		guest_read(g);
		if (g->exited)
			break;
	}
	printf("it does not ask: exited %d with %#x, %s\n", g->exited, (unsigned)g->status, g->output);
	fail();
	return -1;
}

static void keep(struct guest *g, const char *script, struct kept *k)
{
	char asked[200];
	assert_int_equal(guest_open(&world, g), 0);
	assert_true(guest_start(g, script) > 0);
	int fd = next_request(g, asked, sizeof(asked));
	assert_non_null(strstr(asked, "GET /first"));
	*k = (struct kept){0};
	cell_snapshot(g->cell, name, CELL_WAITS_RESTORE, 512, on_kept, k);
	assert_true(world_wait(&world, &k->done, LONG_US));
	close(fd);
}

static int claim_kept(struct guest *g)
{
	struct cell_spec spec = {.code_dir = S("one"), .memory_mb = 256, .tmp_mb = 16, .snapshot = str_from(name)};
	return guest_claim(&world, g, &spec);
}

static int open_world(void **state)
{
	(void)state;
	world_open(&world, &config);
	static bool never;
	for (int i = 0; i < 3000 && !cells_facts(world.cells)->snapshots_tried; i++)
		world_wait(&world, &never, 10000);
	if (!cells_facts(world.cells)->snapshots) {
		printf("skipped: this machine cannot restore snapshots: %s\n", cells_facts(world.cells)->why_no_snapshots);
		exit(77);
	}
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	world_close(&world);
	return 0;
}

static void copies_are_what_it_was(void **state)
{
	(void)state;
	struct guest first, copies[2];
	struct kept k;
	char path[128], asked[200];
	struct stat st;
	keep(&first, subject, &k);
	assert_string_equal(k.why, "");
	assert_int_equal(k.error, 0);
	/* the process has ended with it */
	assert_true(world_wait(&world, &first.exited, LONG_US));
	guest_close(&first);
	snprintf(path, sizeof(path), "%s/snapshots/%s", world.dir, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_uid, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(claim_kept(&copies[i]), 0);
		assert_true(cell_restore(copies[i].cell) > 0);
	}
	for (int i = 0; i < 2; i++) {
		struct guest *g = &copies[i];
		int fd = next_request(g, asked, sizeof(asked));
		assert_non_null(strstr(asked, "GET /2018-06-01/runtime/restore/next HTTP/1.1"));
		assert_int_equal(write(fd, "hello", 5), 5);
		assert_true(world_wait(&world, &g->exited, LONG_US));
		guest_read(g);
		assert_string_equal(
		        g->output,
		        "hello True True True ['signal', 'thread'] True\n"
		        "True kept too in the pipe 100\n"
		        "CapPrm0000000000000000 CapEff0000000000000000 CapBnd0000000000000000 NoNewPrivs1 Seccomp2 993 /usr/bin/python3\n");
		assert_int_equal(WEXITSTATUS(g->status), STATUS);
		close(fd);
		guest_close(g);
	}
}

static void what_is_not_good_any_more_is_not_restored(void **state)
{
	(void)state;
	struct guest g;
	struct kept k;
	char path[128];
	cells_forget_snapshot(world.cells, name);
	assert_int_equal(claim_kept(&g), -ESTALE);
	guest_close(&g);
	keep(&g, subject, &k);
	assert_int_equal(k.error, 0);
	guest_close(&g);
	/* of another boot: the identity of this one lies behind the first numbers */
	snprintf(path, sizeof(path), "%s/snapshots/%s", world.dir, name);
	int fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, "x", 1, 20), 1);
	close(fd);
	assert_int_equal(claim_kept(&g), -ESTALE);
	guest_close(&g);
	cells_forget_snapshot(world.cells, name);
}

static void what_cannot_be_kept_is_said(void **state)
{
	(void)state;
	static const struct {
		const char *script, *why;
	} cases[] = {
	        {"import subprocess\np = subprocess.Popen(['sleep', '100'])\n", "processes that still run"},
	        {"import signal\nsignal.alarm(100)\n", "alarm"},
	        {"import os\nf = os.memfd_create('x')\n", "cannot be opened again"},
	        {"import socket\nu = socket.socket(socket.AF_UNIX)\nu.bind('/tmp/s')\n", "name in the file system"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guest g;
		struct kept k;
		char script[1024], path[128];
		snprintf(
		        script, sizeof(script),
		        "%simport socket\ns = socket.create_connection(('127.0.0.1', 9001)); s.sendall(b'GET /first HTTP/1.1\\r\\n\\r\\n')\ns.recv(10)\n",
		        cases[i].script);
		keep(&g, script, &k);
		assert_true(k.error < 0);
		if (!strstr(k.why, cases[i].why))
			print_message("case %zu: %s\n", i, k.why);
		assert_non_null(strstr(k.why, cases[i].why));
		guest_close(&g);
		snprintf(path, sizeof(path), "%s/snapshots/%s.part", world.dir, name);
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(claim_kept(&g), -ESTALE);
		guest_close(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(copies_are_what_it_was),
	        cmocka_unit_test(what_is_not_good_any_more_is_not_restored),
	        cmocka_unit_test(what_cannot_be_kept_is_said),
	};
	return cmocka_run_group_tests(tests, open_world, close_world);
}
