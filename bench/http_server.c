/* Our HTTP server alone, with a constant answer, next to its peer epoll_bare. Usage: http_server PORT [CERT KEY] */
#include "http/http.h"
#include "http/tls.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void answer(void *ctx, struct http_request *r)
{
	(void)ctx;
	static const struct http_header headers[] = {{S_INIT("Content-Type"), S_INIT("text/plain")}};
	http_reply(r, 200, headers, 1, S("hello world\n"));
}

int main(int argc, char **argv)
{
	int port = argc > 1 ? atoi(argv[1]) : 8080, one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	struct sockaddr_in to = {
	        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || listen(fd, 4096) < 0) {
		perror("bind");
		return 1;
	}
	struct http_tls *tls = NULL;
	if (argc > 3 && http_tls_new(argv[2], argv[3], &tls) < 0) {
		fprintf(stderr, "cannot use %s and %s\n", argv[2], argv[3]);
		return 1;
	}
	struct loop *l = loop_new();
	struct http_server *s = http_server_new(l, NULL, answer, NULL);
	if (!http_listen(s, fd, tls, NULL))
		return 1;
	loop_run(l);
	return 0;
}
