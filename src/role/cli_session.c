/* The client's end of a session in an instance (engine/session): frames to and from the program, with or without a terminal. What
 * comes is the instance's word: nothing but its bytes reaches our output, and its status our own. */
#include "role/cli_exec.h"

#include "engine/session/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct frame {
	struct session_head head;
	char payload[SESSION_PAYLOAD_MAX];
};

static int wake[2] = {-1, -1};

static void window_changed(int signo)
{
	(void)signo;
	if (write(wake[1], "", 1) < 0)
		return; /* full: it is awake */
}

static bool write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);
		if (k < 0 && errno == EAGAIN) {
			struct pollfd w = {.fd = fd, .events = POLLOUT};
			poll(&w, 1, -1);
			continue;
		}
		if (k <= 0 && errno != EINTR)
			return false;
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
	}
	return true;
}

static size_t frame_bytes(const struct frame *f)
{
	return sizeof(f->head) + f->head.bytes;
}

static void compose_window(struct frame *f)
{
	struct winsize size = {0};
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	struct session_window w = {.rows = size.ws_row, .columns = size.ws_col};
	f->head = (struct session_head){.kind = SESSION_WINDOW, .bytes = sizeof(w)};
	memcpy(f->payload, &w, sizeof(w));
}

/* What has come, whole frames of it: -1: go on; else the exit status, or -2: it is no proper frame. */
static int take(char *room, size_t *n)
{
	size_t at = 0;
	int status = -1;
	while (status == -1 && *n - at >= sizeof(struct session_head)) {
		struct session_head head;
		int32_t code;
		memcpy(&head, room + at, sizeof(head));
		const char *payload = room + at + sizeof(head);
		if (head.bytes > SESSION_PAYLOAD_MAX)
			return -2;
		if (*n - at < sizeof(head) + head.bytes)
			break;
		if (head.kind == SESSION_OUTPUT || head.kind == SESSION_ERRORS) {
			/* whoever reads our output may have left: then nothing is wanted any more */
			if (!write_all(head.kind == SESSION_OUTPUT ? STDOUT_FILENO : STDERR_FILENO, payload, head.bytes))
				return 128 + SIGPIPE;
		} else if (head.kind == SESSION_EXITED && head.bytes == sizeof(code)) {
			memcpy(&code, payload, sizeof(code));
			status = code & 255;
		} else {
			return -2;
		}
		at += sizeof(head) + head.bytes;
	}
	memmove(room, room + at, *n - at);
	*n -= at;
	return status;
}

int cli_session_carry(int sock, bool terminal, struct str early, int *ret_status)
{
	static struct frame going;
	static char room[sizeof(struct frame)];
	size_t sent = 0, left = 0, n = early.n;
	bool input = true, resized = false;
	memcpy(room, early.p, early.n);
	if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	struct sigaction a = {.sa_handler = window_changed, .sa_flags = SA_RESTART};
	if (terminal)
		sigaction(SIGWINCH, &a, NULL);
	fcntl(sock, F_SETFL, fcntl(sock, F_GETFL) | O_NONBLOCK);
	for (;;) {
		int status = take(room, &n);
		if (status != -1) {
			*ret_status = status;
			return status < 0 ? -EPROTO : 0;
		}
		if (!left && resized) {
			compose_window(&going);
			left = frame_bytes(&going);
			resized = false;
		}
		struct pollfd p[3] = {{.fd = sock, .events = (short)(POLLIN | (left ? POLLOUT : 0))},
		                      {.fd = input && !left ? STDIN_FILENO : -1, .events = POLLIN},
		                      {.fd = wake[0], .events = POLLIN}};
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			return -errno;
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR)) {
			ssize_t k = read(sock, room + n, sizeof(room) - n);
			if (k == 0 || (k < 0 && errno != EAGAIN && errno != EINTR))
				return -EPIPE;
			n += k > 0 ? (size_t)k : 0;
		}
		if (p[1].revents) {
			ssize_t k = read(STDIN_FILENO, going.payload, sizeof(going.payload));
			if (k >= 0 || (errno != EAGAIN && errno != EINTR)) {
				input = k > 0;
				going.head = (struct session_head){.kind = input ? SESSION_INPUT : SESSION_INPUT_END,
				                                   .bytes = input ? (uint32_t)k : 0};
				left = frame_bytes(&going);
			}
		}
		char drop[64];
		while (p[2].revents && read(wake[0], drop, sizeof(drop)) > 0)
			resized = true;
		while (left) {
			ssize_t k = write(sock, (const char *)&going + sent, left);
			if (k < 0 && errno != EINTR)
				break; /* full; or gone, which reading says */
			sent += k > 0 ? (size_t)k : 0;
			left -= k > 0 ? (size_t)k : 0;
			if (!left)
				sent = 0;
		}
	}
}
