/* Times of cells: making one from nothing, claiming one that waits, ending one; beside fork+exec of /bin/true. Needs root. */
#include "../tests/host/world.h"

#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUNS = 100 };

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void print(const char *what, double *us, int n)
{
	qsort(us, (size_t)n, sizeof(*us), by_value);
	printf("%-44s p50 %8.0f us   p99 %8.0f us   (%d)\n", what, us[n / 2], us[n * 99 / 100], n);
}

static double now_us(void)
{
	return (double)clock_mono_us();
}

int main(void)
{
	static double us[4][RUNS];
	struct world w;
	static struct guest g;
	for (int i = 0; i < RUNS; i++) {
		double start = now_us();
		pid_t pid = fork();
		if (pid == 0)
			execl("/bin/true", "true", (char *)NULL), _exit(1);
		waitpid(pid, NULL, 0);
		us[0][i] = now_us() - start;
	}
	print("fork, exec /bin/true, wait", us[0], RUNS);
	double start = now_us();
	world_open(&w, NULL);
	printf("%-44s     %8.0f us\n", "priv ready from its start", now_us() - start);
	static const char *const command[] = {"/bin/true", NULL};
	for (int i = 0; i < RUNS; i++) {
		start = now_us();
		if (guest_open(&w, &g))
			return 1;
		us[0][i] = now_us() - start;
		start = now_us();
		guest_exec(&g, command, 1000000);
		us[1][i] = now_us() - start;
		guest_close(&g);
	}
	print("cell from nothing, dressed", us[0], RUNS);
	print("start and end of /bin/true in a cell", us[1], RUNS);
	world_close(&w);
	return 0;
}
