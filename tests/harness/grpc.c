/* A server of gRPC that knows no method: `grpc PORT` answers every call with an empty message and the status 0, over HTTP/2 without
 * TLS. It reads frames and no headers. */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DATA, HEADERS, SETTINGS = 4, PING = 6, PREFACE_BYTES = 24, FRAME_BYTES_MAX = 16384 };
enum { ACK = 1, END_STREAM = 1, END_HEADERS = 4 };

/* :status 200, content-type application/grpc; grpc-status 0 */
static const char head[] = "\x88\x0f\x10\x10"
                           "application/grpc",
                  trailer[] = "\0\x0bgrpc-status\x01"
                              "0",
                  empty[5];

static void take(int fd, void *room, size_t n)
{
	for (size_t got = 0; got < n;) {
		ssize_t more = read(fd, (char *)room + got, n - got);
		if (more <= 0)
			exit(0);
		got += (size_t)more;
	}
}

static void give(int fd, int type, int flags, const uint8_t *stream, const void *bytes, size_t n)
{
	uint8_t frame[9 + FRAME_BYTES_MAX] = {0, (uint8_t)(n >> 8), (uint8_t)n, (uint8_t)type, (uint8_t)flags};
	memcpy(frame + 5, stream, 4);
	memcpy(frame + 9, bytes, n);
	if (write(fd, frame, 9 + n) != (ssize_t)(9 + n))
		exit(0);
}

static void serve(int fd)
{
	static const uint8_t whole[4];
	uint8_t bytes[FRAME_BYTES_MAX], frame[9];
	take(fd, bytes, PREFACE_BYTES);
	give(fd, SETTINGS, 0, whole, "", 0);
	for (;;) {
		take(fd, frame, sizeof(frame));
		size_t n = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];
		if (n > sizeof(bytes))
			exit(1);
		take(fd, bytes, n);
		if ((frame[3] == SETTINGS || frame[3] == PING) && !(frame[4] & ACK))
			give(fd, frame[3], ACK, whole, bytes, frame[3] == PING ? n : 0);
		if ((frame[3] != DATA && frame[3] != HEADERS) || !(frame[4] & END_STREAM))
			continue;
		give(fd, HEADERS, END_HEADERS, frame + 5, head, sizeof(head) - 1);
		give(fd, DATA, 0, frame + 5, empty, sizeof(empty));
		give(fd, HEADERS, END_STREAM | END_HEADERS, frame + 5, trailer, sizeof(trailer) - 1);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0))};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0)
		return 1;
	for (;;) {
		int c = accept(fd, NULL, NULL);
		if (c >= 0 && fork() == 0)
			serve(c);
		close(c);
	}
}
