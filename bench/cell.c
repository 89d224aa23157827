/* Times of cells, beside fork+exec of /bin/true: making one from nothing, claiming one that waits, a stem's first line of user
 * code, ending one; and the memory of an idle one. Needs root. */
#include "../tests/host/world.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUNS = 100, IDLE_CELLS = 50 };

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void print(const char *what, double *us, int n)
{
	qsort(us, (size_t)n, sizeof(*us), by_value);
	printf("%-52s p50 %8.0f us   p99 %8.0f us   (%d)\n", what, us[n / 2], us[n * 99 / 100], n);
}

static double now_us(void)
{
	return (double)clock_mono_us();
}

/* MemAvailable in KiB. */
static long available_kib(void)
{
	char line[128];
	long n = 0;
	FILE *f = fopen("/proc/meminfo", "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %ld", &n) == 1)
			break;
	if (f)
		fclose(f);
	return n;
}

static const char *const stem_argv[] = {"/usr/bin/python3", "-c",
                                        "import os, socket, json\n"
                                        "s = socket.socket(fileno=int(os.environ['QUARTET_STEM_FD'])); s.sendall(b'ready\\n')\n"
                                        "line = s.makefile().readline(); os.write(1, b'user code\\n')\n"
                                        "s.recv(1)\n",
                                        NULL};
static const struct cell_stem stem = {.kind = "python3", .process = {.argv = stem_argv}, .keep = 8};
static const struct cells_config blanks = {.keep_blank = 8}, stems = {.stems = &stem, .stem_count = 1};

static void wait_pool(struct world *w, unsigned n)
{
	struct cells_stats s;
	bool never = false;
	do {
		world_wait(w, &never, 2000);
		cells_stats(w->cells, &s);
	} while (s.ready_blanks + s.ready_stems < n);
}

static int floor_of_processes(void)
{
	static double us[RUNS];
	for (int i = 0; i < RUNS; i++) {
		double start = now_us();
		pid_t pid = fork();
		if (pid == 0) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(1);
		}
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		us[i] = now_us() - start;
	}
	print("fork, exec /bin/true, wait", us, RUNS);
	return 0;
}

static int from_nothing(void)
{
	static double us[3][RUNS];
	static struct guest g;
	static const char *const command[] = {"/bin/true", NULL};
	struct world w;
	double start = now_us();
	world_open(&w, NULL);
	printf("%-52s     %8.0f us\n", "priv: start to ready", now_us() - start);
	for (int i = 0; i < RUNS; i++) {
		start = now_us();
		if (guest_open(&w, &g))
			return 1;
		us[0][i] = now_us() - start;
		start = now_us();
		guest_exec(&g, command, 1000000);
		us[1][i] = now_us() - start;
		start = now_us();
		guest_close(&g);
		us[2][i] = now_us() - start;
	}
	print("cell made from nothing and dressed", us[0], RUNS);
	print("/bin/true in a cell, start to exit status", us[1], RUNS);
	print("cell ended (the caller's part)", us[2], RUNS);
	world_close(&w);
	return 0;
}

static int from_blank(void)
{
	static double us[RUNS];
	static struct guest g;
	struct world w;
	world_open(&w, &blanks);
	for (int i = 0; i < RUNS; i++) {
		wait_pool(&w, 8);
		double start = now_us();
		if (guest_open(&w, &g))
			return 1;
		us[i] = now_us() - start;
		guest_close(&g);
	}
	print("waiting cell claimed and dressed", us, RUNS);
	world_close(&w);
	return 0;
}

static int from_stem(void)
{
	static double us[2][RUNS];
	static struct guest g;
	struct cell_spec spec = {.kind = S("python3"), .stem_ok = true, .code_dir = S("one"), .memory_mb = 1769, .tmp_mb = 512};
	struct world w;
	world_open(&w, &stems);
	for (int i = 0; i < RUNS; i++) {
		wait_pool(&w, 8);
		double start = now_us();
		if (guest_claim(&w, &g, &spec) || cell_stem_message(g.cell, S("{}")))
			return 1;
		us[0][i] = now_us() - start;
		struct pollfd p = {.fd = cell_log_fd(g.cell), .events = POLLIN};
		poll(&p, 1, 1000);
		us[1][i] = now_us() - start;
		guest_close(&g);
	}
	print("stem claimed, dressed, told", us[0], RUNS);
	print("stem claimed to its first line of user code (python)", us[1], RUNS);
	world_close(&w);
	return 0;
}

static int freezing(void)
{
	static double us[2][RUNS];
	static struct guest g;
	struct world w;
	world_open(&w, NULL);
	if (guest_open(&w, &g) || guest_start(&g, "import time\ntime.sleep(1000)") < 0)
		return 1;
	usleep(200000);
	for (int i = 0; i < RUNS; i++) {
		double start = now_us();
		cell_freeze(g.cell);
		us[0][i] = now_us() - start;
		usleep(2000);
		start = now_us();
		cell_thaw(g.cell);
		us[1][i] = now_us() - start;
	}
	print("freeze", us[0], RUNS);
	print("thaw", us[1], RUNS);
	guest_close(&g);
	world_close(&w);
	return 0;
}

static int idle_memory(void)
{
	static struct guest g[IDLE_CELLS];
	struct world w;
	world_open(&w, NULL);
	if (guest_open(&w, &g[0]))
		return 1;
	long before = available_kib();
	for (int i = 1; i < IDLE_CELLS; i++)
		if (guest_open(&w, &g[i]))
			return 1;
	printf("%-52s     %8ld KiB\n", "memory of an idle cell without a runtime", (before - available_kib()) / (IDLE_CELLS - 1));
	for (int i = 0; i < IDLE_CELLS; i++)
		guest_close(&g[i]);
	world_close(&w);
	return 0;
}

int main(void)
{
	if (geteuid() != 0) {
		fprintf(stderr, "needs root\n");
		return 77;
	}
	return floor_of_processes() || from_nothing() || from_blank() || from_stem() || freezing() || idle_memory();
}
