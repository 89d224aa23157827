/* `quartet exec`: this terminal, carried into a sandbox of a function, an instance or a container of a task. */
#include "role/cli_exec.h"
#include "role/cli.h"
#include "role/exec_way.h"

#include "aws/ecs/enter.h"
#include "base/buf.h"
#include "base/uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

static struct termios terminal_before;

static void terminal_restore(void)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
}

static void terminal_raw(void)
{
	if (tcgetattr(STDIN_FILENO, &terminal_before) < 0)
		return; /* not a terminal: bytes pass as they are */
	struct termios raw = terminal_before;
	cfmakeraw(&raw);
	atexit(terminal_restore);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static int connect_to(const struct cli_cloud *cloud)
{
	struct str rest = str_from(cloud->endpoint), port;
	rest = str_from_at(rest, (size_t)str_find(rest, S("://")) + 3);
	struct str host = rest;
	ptrdiff_t colon = str_rfind_char(rest, ':');
	host.n = (size_t)colon;
	port = str_from_at(rest, (size_t)colon + 1);
	char name[64];
	uint64_t number;
	bool six = host.n && host.p[0] == '[';
	if (six)
		host = str_sub(host, 1, host.n - 2);
	if (host.n >= sizeof(name) || !str_to_u64(port, &number))
		return -EINVAL;
	memcpy(name, host.p, host.n);
	name[host.n] = '\0';
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)number)};
	if (inet_pton(six ? AF_INET6 : AF_INET, name, six ? (void *)&in6.sin6_addr : (void *)&in4.sin_addr) != 1)
		return -EAFNOSUPPORT;
	const struct sockaddr *to = six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in4;
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, to, six ? sizeof(in6) : sizeof(in4)) < 0) {
		int e = errno;
		if (fd >= 0)
			close(fd);
		return -e;
	}
	return fd;
}

static bool write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

/* Both ways until the sandbox's end closes. Input that ends is followed by the terminal's own end-of-input. */
static void carry(int sock)
{
	char piece[16384];
	struct pollfd fds[2] = {{.fd = sock, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			return;
		if (fds[0].revents) {
			ssize_t n = read(sock, piece, sizeof(piece));
			if (n <= 0 || !write_all(STDOUT_FILENO, piece, (size_t)n))
				return;
		}
		if (fds[1].revents) {
			ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));
			if (n <= 0) {
				fds[1].fd = -1;
				write_all(sock, "\004", 1);
			} else if (!write_all(sock, piece, (size_t)n)) {
				return;
			}
		}
	}
}

static struct str request(struct cli *cli, const struct cli_cloud *cloud, bool session, bool terminal, const char *container,
                          struct buf *b)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	const char *term = getenv("TERM");
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	buf_add_lit(b, "POST /_quartet/exec/");
	uri_put(b, str_from(cli->argv[0]), false);
	for (int i = 1; i < cli->argc; i++) {
		buf_printf(b, "%carg=", i == 1 ? '?' : '&');
		uri_put(b, str_from(cli->argv[i]), false);
	}
	if (container) {
		buf_printf(b, "%ccontainer=", cli->argc > 1 ? '&' : '?');
		uri_put(b, str_from(container), false);
	}
	buf_printf(
	        b,
	        " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: %s\r\nContent-Length: 0\r\nX-Quartet-Key: %s:%s\r\n"
	        "X-Quartet-Region: %s\r\nX-Quartet-Rows: %u\r\nX-Quartet-Columns: %u\r\n",
	        session ? "quartet-session" : "quartet-terminal", cloud->access_key, cloud->secret, cloud->region, size.ws_row,
	        size.ws_col);
	if (session && terminal)
		buf_printf(b, "X-Quartet-Terminal: 1\r\nX-Quartet-Term: %.60s\r\n", term ? term : "linux");
	buf_add_lit(b, "\r\n");
	return buf_str(b);
}

static int leading_options(const struct cli *cli)
{
	int n = 0;
	while (n < cli->argc && cli->argv[n][0] == '-')
		n += strcmp(cli->argv[n], "--data") == 0 ? 2 : 1;
	return n < cli->argc ? n : cli->argc;
}

int cli_exec(struct cli *cli)
{
	struct cli_cloud cloud;
	struct buf CLEAN_BUF b;
	char head[4096];
	size_t n = 0;
	buf_init(&b, 65536);
	/* What follows the function belongs to the command inside, options too. */
	int options = leading_options(cli), words = cli->argc - options;
	cli->argc = options;
	int status = cli_open(cli, 0, &cloud);
	if (status != CLI_OK)
		return status;
	cli->argv += options;
	cli->argc = words;
	if (cli->argc < 1)
		return cli_fail(cli, CLI_USAGE, "which function, instance or task? see: quartet exec --help");
	bool task = ecs_names_task(str_from(cli->argv[0]));
	const char *container = NULL;
	if (task && words > 2 && strcmp(cli->argv[1], "--container") == 0) {
		container = cli->argv[2];
		cli->argv[2] = cli->argv[0];
		cli->argv += 2;
		cli->argc -= 2;
	}
	bool session = task || exec_names_instance(str_from(cli->argv[0])),
	     terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	signal(SIGPIPE, SIG_IGN); /* a program that ends leaves input unread; what it said is read all the same */
	int sock = connect_to(&cloud);
	if (sock < 0)
		return cli_fail(cli, CLI_FAILED, "%s: %s", cloud.endpoint, strerror(-sock));
	struct str asked = request(cli, &cloud, session, terminal, container, &b);
	if (b.overflow || !write_all(sock, asked.p, asked.n))
		return cli_fail(cli, CLI_FAILED, "the command is too long, or the connection broke");
	char *end = NULL;
	while (!end && n < sizeof(head) - 1) {
		ssize_t k = read(sock, head + n, sizeof(head) - 1 - n);
		if (k <= 0)
			break;
		n += (size_t)k;
		head[n] = '\0';
		end = strstr(head, "\r\n\r\n");
	}
	if (!end)
		return cli_fail(cli, CLI_FAILED, "the cloud did not answer");
	end += 4;
	if (strncmp(head, "HTTP/1.1 101", 12) != 0) {
		/* The connection may stay open: the body ends where its length says. */
		const char *length = strcasestr(head, "\r\ncontent-length:");
		size_t want = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
		while ((size_t)(head + n - end) < want && n < sizeof(head) - 1) {
			ssize_t k = read(sock, head + n, sizeof(head) - 1 - n);
			if (k <= 0)
				break;
			n += (size_t)k;
		}
		return cli_fail(cli, CLI_FAILED, "%.*s", STR_ARG(str_trim(str_of(end, (size_t)(head + n - end)))));
	}
	struct str early = str_of(end, (size_t)(head + n - end));
	if (session) {
		if (terminal)
			terminal_raw();
		int error = cli_session_carry(sock, terminal, early, &status);
		close(sock);
		if (error)
			return cli_fail(cli, 255, "the connection broke: %s", strerror(-error));
		return status;
	}
	terminal_raw();
	write_all(STDOUT_FILENO, early.p, early.n);
	carry(sock);
	close(sock);
	return CLI_OK;
}
