/* What flows through a balancer cost, at both ends.
 *
 *   flows serve PORT                    sinks, says one byte and waits for the end, and gives packets back
 *   flows bytes ADDRESS PORT SECONDS    bytes a second that one connection takes
 *   flows connections ADDRESS PORT S    connections a second, each with a byte there and back, by eight clients
 *   flows packets ADDRESS PORT SECONDS  the median time of a packet of UDP there and back, in microseconds */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 8, ACCEPTORS = 16, CHUNK = 128 << 10, SAMPLES = 1 << 20 };

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_in place(const char *address, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	if (address && inet_pton(AF_INET, address, &a.sin_addr) != 1)
		fail(address);
	return a;
}

/* ---- the server ---- */

static void serve_one(int fd)
{
	static char room[CHUNK];
	char kind = 0;
	if (read(fd, &kind, 1) == 1 && kind == 'c') {
		if (write(fd, "x", 1) == 1)
			while (read(fd, &kind, 1) > 0)
				;
	} else if (kind == 'b' && fork() == 0) {
		while (read(fd, room, sizeof(room)) > 0)
			;
		exit(0);
	}
	close(fd);
}

static int serve(const char *port)
{
	struct sockaddr_in a = place(NULL, port);
	int stream = socket(AF_INET, SOCK_STREAM, 0), packets = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
	setsockopt(stream, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(stream, (void *)&a, sizeof(a)) < 0 || listen(stream, 4096) < 0 || bind(packets, (void *)&a, sizeof(a)) < 0)
		fail("bind");
	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < ACCEPTORS; i++)
		if (fork() == 0)
			for (;;) {
				int fd = accept(stream, NULL, NULL);
				if (fd >= 0)
					serve_one(fd);
			}
	for (;;) {
		struct sockaddr_in from;
		socklen_t size = sizeof(from);
		char room[2048];
		ssize_t n = recvfrom(packets, room, sizeof(room), 0, (void *)&from, &size);
		if (n >= 0)
			sendto(packets, room, (size_t)n, 0, (void *)&from, size);
	}
}

/* ---- clients ---- */

static int open_stream(const struct sockaddr_in *to, char kind)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct timeval wait = {.tv_sec = 10};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (fd < 0 || connect(fd, (const void *)to, sizeof(*to)) < 0 || write(fd, &kind, 1) != 1)
		fail("connect");
	return fd;
}

static int bytes(const struct sockaddr_in *to, double seconds)
{
	static char room[CHUNK];
	int fd = open_stream(to, 'b');
	double begin = now(), sent = 0, took = 0;
	while ((took = now() - begin) < seconds) {
		ssize_t n = write(fd, room, sizeof(room));
		if (n <= 0)
			fail("write");
		sent += (double)n;
	}
	return printf("%.0f\n", sent / took) < 0;
}

static int connections(const struct sockaddr_in *to, double seconds)
{
	unsigned long *made = mmap(NULL, sizeof(*made) * CLIENTS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
	              sum = 0;
	double begin = now(), end = begin + seconds;
	int status;
	for (int i = 0; i < CLIENTS; i++) {
		if (fork() != 0)
			continue;
		for (char got; now() < end; made[i]++) {
			int fd = open_stream(to, 'c');
			if (read(fd, &got, 1) != 1)
				fail("read");
			/* by a reset: nobody waits out two minutes with the port, which would be in use when its turn comes again
			 */
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
			close(fd);
		}
		_exit(0);
	}
	for (int i = 0; i < CLIENTS; i++)
		if (wait(&status) < 0 || status)
			return 1;
	for (int i = 0; i < CLIENTS; i++)
		sum += made[i];
	return printf("%.0f\n", (double)sum / (now() - begin)) < 0;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static int packets(const struct sockaddr_in *to, double seconds)
{
	static double took[SAMPLES];
	size_t n = 0;
	char room[64] = "packet";
	struct timeval wait = {.tv_sec = 2};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (fd < 0 || connect(fd, (const void *)to, sizeof(*to)) < 0)
		fail("connect");
	for (double begin = now(); now() - begin < seconds && n < SAMPLES; n++) {
		double at = now();
		if (write(fd, room, sizeof(room)) < 0 || read(fd, room, sizeof(room)) < 0)
			fail("packet");
		took[n] = (now() - at) * 1e6;
	}
	qsort(took, n, sizeof(*took), by_size);
	return printf("%.2f\n", n ? took[n / 2] : 0) < 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	if (argc != 5)
		return 2;
	struct sockaddr_in to = place(argv[2], argv[3]);
	double seconds = atof(argv[4]);
	return argv[1][0] == 'b' ? bytes(&to, seconds) : argv[1][0] == 'c' ? connections(&to, seconds) : packets(&to, seconds);
}
