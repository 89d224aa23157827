/* A function for tests, as the program of an image: runs the command of each event {"sh": HEX} in the image's shell, with its own
 * arguments, and answers {"out": HEX} with what that printed. Linked statically, so that an image needs nothing else to run it. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BYTES = 1 << 20 };
static char in[BYTES], out[BYTES], request[2 * BYTES + 1024];

static int api_connect(void)
{
	const char *where = getenv("AWS_LAMBDA_RUNTIME_API"), *colon = where ? strchr(where, ':') : NULL;
	char host[64];
	if (!colon || (size_t)(colon - where) >= sizeof(host))
		return -1;
	memcpy(host, where, (size_t)(colon - where));
	host[colon - where] = 0;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(colon + 1))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return inet_pton(AF_INET, host, &to.sin_addr) == 1 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ? fd : -1;
}

/* The value of a header in the head that ends before `end`; NULL: not there. */
static char *header(const char *name, const char *end)
{
	size_t n = strlen(name);
	for (char *line = strstr(in, "\r\n"); line && line < end; line = strstr(line + 2, "\r\n"))
		if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':')
			return line + 3 + n + strspn(line + 3 + n, " ");
	return NULL;
}

/* The reply's body, whole and with a NUL behind it; NULL: the connection is of no use any more. */
static char *exchange(int fd, char id[static 64])
{
	size_t n = strlen(request), got = 0;
	if (write(fd, request, n) != (ssize_t)n)
		return NULL;
	for (;;) {
		ssize_t k = read(fd, in + got, sizeof(in) - 1 - got);
		if (k <= 0)
			return NULL;
		in[got += (size_t)k] = 0;
		char *end = strstr(in, "\r\n\r\n");
		char *length = end ? header("content-length", end) : NULL;
		if (!end || got < (size_t)(end + 4 - in) + (length ? (size_t)atol(length) : 0))
			continue;
		char *value = header("lambda-runtime-aws-request-id", end);
		snprintf(id, 64, "%.*s", value ? (int)strcspn(value, "\r") : 0, value ? value : "");
		return end + 4;
	}
}

/* In place: the hexadecimal text behind "sh": becomes the command. */
static char *take_command(char *event)
{
	char *from = strstr(event, "\"sh\""), *to = event;
	from = from ? strchr(from + 4, '"') : NULL;
	for (unsigned byte; from && sscanf(from + 1, "%2x", &byte) == 1 && from[2] != '"'; from += 2)
		*to++ = (char)byte;
	*to = 0;
	return event;
}

static size_t run(char *command, char **arguments)
{
	int ends[2];
	size_t n = 0;
	if (pipe(ends) < 0)
		return 0;
	pid_t pid = fork();
	if (pid == 0) {
		const char *argv[32] = {"sh", "-c", command, "sh"};
		for (int i = 0; i < 27 && arguments[i]; i++)
			argv[i + 4] = arguments[i];
		dup2(ends[1], 1);
		dup2(ends[1], 2);
		close(ends[0]);
		close(ends[1]);
		execv("/bin/sh", (char *const *)argv);
		_exit(126);
	}
	close(ends[1]);
	for (ssize_t k; n < sizeof(out) && (k = read(ends[0], out + n, sizeof(out) - n)) > 0;)
		n += (size_t)k;
	close(ends[0]);
	waitpid(pid, NULL, 0);
	return n;
}

int main(int argc, char **argv)
{
	char id[64], answered[64];
	int fd = api_connect();
	(void)argc;
	dprintf(1, "the runtime starts\n");
	for (char *event; fd >= 0;) {
		strcpy(request, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n");
		event = exchange(fd, id);
		if (!event || !id[0])
			break;
		size_t n = run(take_command(event), argv + 1);
		int at = sprintf(
		        request,
		        "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: runtime\r\nContent-Length: %zu\r\n\r\n{\"out\":\"",
		        id, 2 * n + 10);
		for (size_t i = 0; i < n; i++)
			at += sprintf(request + at, "%02x", (unsigned char)out[i]);
		strcpy(request + at, "\"}");
		if (!exchange(fd, answered))
			break;
	}
	return 1;
}
