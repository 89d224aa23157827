/* The peer of the HTTP server's figures: the least that answers GETs on one epoll loop. It looks for the empty line and
 * writes a constant; it parses nothing and has no limits, no time-outs and no streams. Usage: epoll_bare PORT [ADDRESS] */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char reply[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 12\r\n\r\nhello world\n";

static void client_serve(int fd)
{
	char in[4096];
	ssize_t n = read(fd, in, sizeof(in));
	if (n <= 0) {
		close(fd);
		return;
	}
	if (memmem(in, (size_t)n, "\r\n\r\n", 4) && write(fd, reply, sizeof(reply) - 1) < 0)
		close(fd);
}

int main(int argc, char **argv)
{
	int port = argc > 1 ? atoi(argv[1]) : 8080, one = 1;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	struct sockaddr_in to = {
	        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (argc > 2)
		inet_pton(AF_INET, argv[2], &to.sin_addr);
	if (bind(listener, (struct sockaddr *)&to, sizeof(to)) < 0 || listen(listener, 4096) < 0) {
		perror("bind");
		return 1;
	}
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener}, events[128];
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
	for (;;) {
		int n = epoll_wait(epoll, events, 128, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != listener) {
				client_serve(events[i].data.fd);
				continue;
			}
			int fd;
			while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
				ev = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
				epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
			}
		}
	}
}
