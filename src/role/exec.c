#include "role/exec.h"
#include "role/exec_way.h"

#include "aws/ecs/enter.h"
#include "aws/lambda/enter.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/uri.h"
#include "engine/cell/cell.h"
#include "http/http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ARGS_MAX = 64 };

struct session {
	struct loop *loop;
	int pty;
};

static void session_end(void *ctx)
{
	struct session *s = ctx;
	close(s->pty);
	free(s);
}

static void on_upgraded(void *ctx, int fd, struct str early)
{
	struct session *s = ctx;
	if (fd < 0)
		session_end(s);
	else
		exec_way_join(s->loop, fd, s->pty, early, session_end, s);
}

static void refuse(struct http_request *r, unsigned status, struct str why)
{
	struct http_header h[] = {{S("content-type"), S("text/plain")}};
	http_reply(r, status, h, 1, why);
}

const struct principal *exec_who_asks(struct cloud *cloud, struct http_request *r)
{
	struct str secret = http_header(r, S("x-quartet-key")), id = str_cut(&secret, ':');
	struct credential c;
	if (!str_set(secret) || cloud->identity.find_key(cloud->identity.ctx, id, http_header(r, S("x-quartet-token")),
	                                                 clock_wall_ms(), &c) != KEY_GOOD)
		return NULL;
	if (hash_equal(c.secret, secret))
		return c.principal;
	principal_unref(c.principal);
	return NULL;
}

static void set_window(struct http_request *r, int pty)
{
	int64_t rows, columns;
	if (!str_to_i64(http_header(r, S("x-quartet-rows")), &rows) ||
	    !str_to_i64(http_header(r, S("x-quartet-columns")), &columns))
		return;
	struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
	ioctl(pty, TIOCSWINSZ, &size);
}

struct asked {
	struct cloud *cloud;
	struct http_request *request;
};

static void on_terminal(void *ctx, int pty)
{
	struct asked *a = ctx;
	struct http_request *r = a->request;
	if (pty < 0) {
		refuse(r, 500, arena_printf(http_arena(r), "no terminal in that sandbox: %s\n", strerror(-pty)));
		return;
	}
	struct session *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (exec)");
	*s = (struct session){.loop = a->cloud->loop, .pty = pty};
	fcntl(pty, F_SETFL, O_NONBLOCK);
	set_window(r, pty);
	http_on_gone(r, session_end, s); /* the client left before the connection was handed over */
	struct http_header h[] = {{S("upgrade"), S("quartet-terminal")}};
	if (http_upgrade(r, h, 1, on_upgraded, s) < 0) {
		session_end(s);
		refuse(r, 400, S("a terminal needs a plain connection\n"));
	}
}

static void take_function(struct cloud *cloud, struct http_request *r, struct str name)
{
	struct arena *a = http_arena(r);
	struct str rest = http_head(r)->query;
	struct cell *cell = lambda_enter(cloud, S("000000000000"), http_header(r, S("x-quartet-region")), name);
	if (!cell) {
		refuse(r, 404,
		       arena_printf(a, "no sandbox of a function \"%.*s\" is alive here: invoke it first\n", STR_ARG(name)));
		return;
	}
	const char *argv[ARGS_MAX + 1] = {0};
	unsigned n = 1;
	struct uri_part part;
	argv[0] = "/usr/bin/env"; /* finds the command as a shell would */
	while (n < ARGS_MAX && uri_next_part(&rest, &part))
		if (str_is(part.name, "arg"))
			argv[n++] = arena_dupz(a, uri_decode(a, part.value));
	struct asked *asked = arena_new(a, struct asked);
	*asked = (struct asked){cloud, r};
	cell_enter(cell, n > 1 ? argv : NULL, on_terminal, asked);
}

void exec_take(struct cloud *cloud, struct http_request *r)
{
	struct str name = uri_decode(http_arena(r), str_from_at(http_head(r)->path, sizeof("/_quartet/exec/") - 1));
	const struct principal *who = exec_who_asks(cloud, r);
	if (who && exec_names_instance(name))
		exec_instance(cloud, r, who, name);
	else if (who && ecs_names_task(name))
		exec_task(cloud, r, who, name);
	else if (who && who->kind == PRINCIPAL_ROOT)
		take_function(cloud, r, name);
	else
		refuse(r, 403,
		       who ? S("a shell in a sandbox of a function is for the root user: the key in the data directory's credentials is wanted\n")
		           : S("a shell is for those who have a key: that in the data directory's credentials, or a user's\n"));
	if (who)
		principal_unref(who);
}
