/* A name server that answers every name the same, over UDP and TCP: `answers serve PORT ADDRESS`. "who." at the beginning of a
 * name: the address of whoever asks. "large.": too much for a packet. "none.": no such name. "mute.": nothing comes. `answers ask
 * SERVER NAME [tcp] [TYPE]` asks one at port 53: prints "CODE ADDRESS ..." (addresses in order), "cut" in front where a packet was
 * not enough and a connection had to be opened, or "silent". */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { HEAD = 12, ROOM = 4096, WAIT_S = 6 };

static int open_port(int type, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, type, 0), one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0))
		exit(1);
	return fd;
}

/* The question's end, or 0. */
static size_t question(const uint8_t *p, size_t n)
{
	size_t at = HEAD;
	while (at < n && p[at])
		at += 1u + p[at];
	return at + 5 <= n ? at + 5 : 0;
}

static bool begins(const uint8_t *p, const char *label)
{
	return p[HEAD] == strlen(label) && strncasecmp((const char *)p + HEAD + 1, label, p[HEAD]) == 0;
}

/* An answer in the place of its question. 0: there is none. */
static size_t answer(uint8_t *p, size_t n, bool tcp, in_addr_t address, in_addr_t peer)
{
	size_t end = question(p, n);
	if (!end || begins(p, "mute"))
		return 0;
	bool cut = !tcp && begins(p, "large"), none = begins(p, "none");
	memset(p + 6, 0, 6);
	p[2] = (uint8_t)(0x84 | (p[2] & 1) | (cut ? 2 : 0));
	p[3] = none ? 3 : 0;
	if (cut || none || p[end - 3] != 1)
		return end;
	static const uint8_t record[] = {0xc0, HEAD, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4};
	memcpy(p + end, record, sizeof(record));
	memcpy(p + end + sizeof(record), begins(p, "who") ? &peer : &address, 4);
	p[7] = 1;
	return end + sizeof(record) + 4;
}

static bool whole(int fd, uint8_t *p, size_t n)
{
	for (ssize_t got; n; p += got, n -= (size_t)got)
		if ((got = read(fd, p, n)) <= 0)
			return false;
	return true;
}

/* A framed message. */
static size_t framed(int fd, uint8_t *p)
{
	uint8_t size[2];
	size_t n = whole(fd, size, 2) ? (size_t)size[0] << 8 | size[1] : 0;
	return n && n <= ROOM && whole(fd, p, n) ? n : 0;
}

static void send_framed(int fd, const uint8_t *p, size_t n)
{
	uint8_t out[2 + ROOM + 64] = {(uint8_t)(n >> 8), (uint8_t)n};
	memcpy(out + 2, p, n);
	send(fd, out, n + 2, MSG_NOSIGNAL);
}

static void serve(int port, in_addr_t address)
{
	struct pollfd p[] = {{open_port(SOCK_DGRAM, port), POLLIN, 0}, {open_port(SOCK_STREAM, port), POLLIN, 0}};
	uint8_t room[ROOM + 64];
	signal(SIGTERM, _exit); /* a container's first process is not ended by it otherwise */
	for (;;) {
		struct sockaddr_in from = {0};
		socklen_t size = sizeof(from);
		poll(p, 2, -1);
		if (p[0].revents) {
			ssize_t n = recvfrom(p[0].fd, room, ROOM, 0, (struct sockaddr *)&from, &size);
			size_t said = n > HEAD ? answer(room, (size_t)n, false, address, from.sin_addr.s_addr) : 0;
			if (said)
				sendto(p[0].fd, room, said, 0, (struct sockaddr *)&from, size);
		} else if (p[1].revents) {
			int fd = accept(p[1].fd, (struct sockaddr *)&from, &size);
			struct timeval limit = {WAIT_S, 0};
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
			size_t n = framed(fd, room), said = n ? answer(room, n, true, address, from.sin_addr.s_addr) : 0;
			if (said)
				send_framed(fd, room, said);
			close(fd);
		}
	}
}

static size_t ask_once(const char *server, const uint8_t *query, size_t n, bool tcp, uint8_t *ret)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = inet_addr(server)};
	struct timeval limit = {WAIT_S, 0};
	int fd = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	size_t got = 0;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 && tcp) {
		send_framed(fd, query, n);
		got = framed(fd, ret);
	} else if (!tcp && send(fd, query, n, 0) == (ssize_t)n) {
		ssize_t r = recv(fd, ret, ROOM, 0);
		got = r > 0 ? (size_t)r : 0;
	}
	close(fd);
	return got;
}

static void ask(const char *server, const char *name, bool tcp, int type)
{
	uint8_t query[ROOM] = {0x12, 0x34, 1, 0, 0, 1}, got[ROOM + 64];
	size_t n = HEAD;
	for (const char *dot; *name; name = *dot ? dot + 1 : dot) {
		dot = strchrnul(name, '.');
		query[n] = (uint8_t)(dot - name);
		memcpy(query + n + 1, name, query[n]);
		n += 1u + query[n];
	}
	query[n + 2] = (uint8_t)type;
	query[n + 4] = 1;
	n += 5;
	size_t size = ask_once(server, query, n, tcp, got);
	if (size > HEAD && got[2] & 2 && !tcp) {
		printf("cut ");
		size = ask_once(server, query, n, true, got);
	}
	if (size <= HEAD) {
		printf("silent\n");
		return;
	}
	printf("%d", got[3] & 15);
	size_t at = question(got, size);
	for (int i = got[7]; i && at; i--) {
		while (at < size && got[at] && got[at] < 0xc0)
			at += 1u + got[at];
		at += got[at] ? 2 : 1;
		if (at + 10 > size)
			break;
		size_t length = (size_t)got[at + 8] << 8 | got[at + 9];
		if (got[at + 1] == 1 && length == 4)
			printf(" %d.%d.%d.%d", got[at + 10], got[at + 11], got[at + 12], got[at + 13]);
		at += 10 + length;
	}
	printf("\n");
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		serve(atoi(argv[2]), inet_addr(argv[3]));
	if (argc < 4 || strcmp(argv[1], "ask") != 0)
		return 2;
	bool tcp = argc > 4 && strcmp(argv[4], "tcp") == 0;
	ask(argv[2], argv[3], tcp, argc > 5 ? atoi(argv[5]) : 1);
	return 0;
}
