/* The floor of a warm invocation: one message to another process and back over a Unix socket, as often as argv[1] says. Prints p50
 * and p99 in microseconds. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
	int runs = argc > 1 ? atoi(argv[1]) : 10000, pair[2];
	char byte = 0;
	if (runs < 1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return 1;
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		while (read(pair[1], &byte, 1) == 1 && write(pair[1], &byte, 1) == 1)
			;
		_exit(0);
	}
	double *us = calloc((size_t)runs, sizeof(*us));
	for (int i = 0; us && i < runs; i++) {
		double start = now_us();
		if (write(pair[0], &byte, 1) != 1 || read(pair[0], &byte, 1) != 1)
			return 1;
		us[i] = now_us() - start;
	}
	close(pair[0]);
	close(pair[1]);
	waitpid(pid, NULL, 0);
	qsort(us, (size_t)runs, sizeof(*us), by_value);
	printf("{\"p50_us\": %.1f, \"p99_us\": %.1f}\n", us[runs / 2], us[runs * 99L / 100]);
	return 0;
}
