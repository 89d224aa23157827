/* A server that says whom it sees: "NAME ADDRESS PORT\n" to each connection of TCP and to each packet of UDP at its port. Over TCP
 * it gives every line back then, until the client ends. As `seen -t ADDRESS PORT` or `seen -u ADDRESS PORT` it is a client that
 * prints what it is told first; with -k it goes on asking over one connection until it is not answered within ten seconds, and
 * fails. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_port(int type, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, type, 0), one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0))
		exit(1);
	return fd;
}

static int say(char *room, size_t cap, const char *name, const struct sockaddr_in *from)
{
	return snprintf(room, cap, "%s %s %d\n", name, inet_ntoa(from->sin_addr), ntohs(from->sin_port));
}

static void serve(int fd, const char *name, const struct sockaddr_in *from)
{
	char room[4096];
	ssize_t n = say(room, sizeof(room), name, from);
	while (n > 0 && write(fd, room, (size_t)n) == n)
		n = read(fd, room, sizeof(room));
	exit(0);
}

/* False: no answer. */
static int ask_once(int type, const char *address, int port, int seconds)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct timeval wait = {.tv_sec = seconds};
	char room[4096];
	int fd = socket(AF_INET, type, 0);
	inet_pton(AF_INET, address, &to.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	ssize_t n = -1;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 && (type != SOCK_DGRAM || write(fd, "?", 1) == 1))
		n = read(fd, room, sizeof(room));
	close(fd);
	return n > 0 && fwrite(room, (size_t)n, 1, stdout);
}

/* A packet may get lost, and whoever sends one sends it again. */
static int ask(int type, const char *address, int port)
{
	for (int i = 0; i < (type == SOCK_DGRAM ? 3 : 1); i++)
		if (ask_once(type, address, port, type == SOCK_DGRAM ? 2 : 3))
			return 0;
	puts("none");
	return 1;
}

static int keep_asking(const char *address, int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct timeval wait = {.tv_sec = 10};
	char room[4096];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	inet_pton(AF_INET, address, &to.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return 1;
	for (;;) {
		ssize_t n = read(fd, room, sizeof(room));
		if (n <= 0 || write(fd, room, (size_t)n) != n)
			return 1;
		usleep(50000);
	}
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "-k") == 0)
		return keep_asking(argv[2], atoi(argv[3]));
	if (argc == 4)
		return ask(strcmp(argv[1], "-u") ? SOCK_STREAM : SOCK_DGRAM, argv[2], atoi(argv[3]));
	if (argc != 3)
		return 2;
	int port = atoi(argv[2]), stream = open_port(SOCK_STREAM, port), packets = open_port(SOCK_DGRAM, port);
	pid_t other = fork();
	for (;;) {
		struct sockaddr_in from;
		socklen_t size = sizeof(from);
		char room[4096];
		if (other) {
			recvfrom(packets, room, sizeof(room), 0, (struct sockaddr *)&from, &size);
			int n = say(room, sizeof(room), argv[1], &from);
			sendto(packets, room, (size_t)n, 0, (struct sockaddr *)&from, size);
			continue;
		}
		int fd = accept(stream, (struct sockaddr *)&from, &size);
		if (fd >= 0 && fork() == 0)
			serve(fd, argv[1], &from);
		if (fd >= 0)
			close(fd);
	}
}
