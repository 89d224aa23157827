#include "engine/vm/qmp.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One line of what has come, without its end; false: none is whole. It is taken off with buf_consume(&q->in, *ret_n). */
static bool line(struct qmp *q, struct str *ret, size_t *ret_n)
{
	const char *end = q->in.n ? memchr(q->in.p, '\n', q->in.n) : NULL;
	if (!end)
		return false;
	*ret_n = (size_t)(end - q->in.p) + 1;
	*ret = str_of(q->in.p, *ret_n - 1);
	return true;
}

/* More bytes, waiting at most until then. */
static int fill(struct qmp *q, int64_t until_us)
{
	for (;;) {
		char *room = buf_room(&q->in, 4096);
		if (!room)
			return -EMSGSIZE;
		ssize_t n = recv(q->sock, room, 4096, MSG_DONTWAIT);
		if (n > 0) {
			buf_grew(&q->in, (size_t)n);
			return 0;
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			q->dead = true;
			return -EPIPE;
		}
		int64_t left = until_us - clock_mono_us();
		if (left <= 0)
			return -ETIMEDOUT;
		struct pollfd p = {.fd = q->sock, .events = POLLIN};
		poll(&p, 1, (int)(left / 1000) + 1);
	}
}

static void report(struct qmp *q, const struct json_value *v)
{
	struct str name = json_get_str(v, S("event"));
	if (str_set(name))
		q->event(q->ctx, name, json_get(v, S("data")));
}

static int send_line(struct qmp *q, struct str text, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)text.p, .iov_len = text.n};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (fd >= 0) {
		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	while (iov.iov_len) {
		ssize_t n = sendmsg(q->sock, &m, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			q->dead = true;
			return -EPIPE;
		}
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		m.msg_control = NULL;
		m.msg_controllen = 0;
	}
	return 0;
}

int qmp_ask(struct qmp *q, struct arena *a, const char *name, struct str arguments, int fd, const struct json_value **ret)
{
	struct buf CLEAN_BUF text;
	buf_init(&text, 65536);
	buf_printf(&text, "{\"execute\":\"%s\"", name);
	if (arguments.n)
		buf_printf(&text, ",\"arguments\":%.*s", STR_ARG(arguments));
	buf_add_lit(&text, "}\n");
	int error = q->dead ? -EPIPE : text.overflow ? -EMSGSIZE : send_line(q, buf_str(&text), fd);
	int64_t until = clock_mono_us() + QMP_PATIENCE_MS * 1000LL;
	while (!error) {
		struct str one;
		size_t n;
		if (!line(q, &one, &n)) {
			error = fill(q, until);
			continue;
		}
		const struct json_value *v = json_parse(a, arena_dup(a, one), NULL);
		buf_consume(&q->in, n);
		const struct json_value *result = json_get(v, S("return")), *wrong = json_get(v, S("error"));
		if (wrong) {
			struct str why = json_get_str(wrong, S("desc"));
			log_warn("monitor: %s: %.*s", name, STR_ARG(why));
			return -EREMOTEIO;
		}
		if (result) {
			if (ret)
				*ret = result;
			return 0;
		}
		report(q, v);
	}
	return error;
}

int qmp_open(struct qmp *q, int sock, void (*event)(void *ctx, struct str name, const struct json_value *data), void *ctx)
{
	*q = (struct qmp){.sock = sock, .event = event, .ctx = ctx};
	buf_init(&q->in, QMP_LINE_MAX);
	struct arena CLEAN_ARENA a;
	arena_init(&a, 1 << 20);
	/* the greeting is a line that is neither answer nor event */
	return qmp_ask(q, &a, "qmp_capabilities", STR_NONE, -1, NULL);
}

void qmp_close(struct qmp *q)
{
	if (q->sock >= 0)
		close(q->sock);
	q->sock = -1;
	q->dead = true;
	buf_done(&q->in);
}

bool qmp_read(struct qmp *q)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 1 << 20);
	while (!q->dead && fill(q, 0) == 0) {
		struct str one;
		size_t n;
		while (line(q, &one, &n)) {
			report(q, json_parse(&a, arena_dup(&a, one), NULL));
			buf_consume(&q->in, n);
		}
	}
	return !q->dead;
}
