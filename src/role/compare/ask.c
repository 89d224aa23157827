/* One request: over HTTP to an address, or as an invocation of the function. Signatures hold for minutes, so one serves many. */
#include "role/compare/compare.h"

#include "base/clock.h"
#include "base/json.h"
#include "gen/lambda.h"
#include "http/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIGNED_FOR_US = 120 * 1000000, TIMEOUT_US = 60 * 1000000, CONNECT_MS = 100 };

struct caller {
	struct compare *c;
	struct http_client *client;
	struct cli cli; /* with memory of its own: callers are threads */
	struct arena reply;
	struct http_client_request q;
	int64_t signed_us;
};

static bool prepare(struct caller *w)
{
	const struct compare *c = w->c;
	if (w->signed_us && clock_mono_us() - w->signed_us < SIGNED_FOR_US)
		return true;
	arena_reset(&w->cli.arena);
	w->signed_us = clock_mono_us();
	if (str_set(c->function)) {
		const struct lambda_invocation_request in = {.function_name = c->function,
		                                             .payload = compare_event(c, &w->cli.arena)};
		if (cli_sign(&w->cli, &c->cloud, &lambda_api, "Invoke", &in, STR_NONE, &w->q) != CLI_OK)
			return false;
	} else {
		struct arena *a = &w->cli.arena;
		w->q = (struct http_client_request){
		        .method = arena_dupz(a, c->method),
		        .url = arena_printf(a, "http://%.*s:%u%.*s", STR_ARG(c->address), c->port, STR_ARG(c->path)).p,
		        .body = c->body};
	}
	w->q.timeout_us = TIMEOUT_US;
	w->q.cancel = c->cancel;
	return true;
}

static struct str header(const struct http_client_reply *r, struct str name)
{
	for (unsigned i = 0; i < r->header_count; i++)
		if (str_ieq(r->headers[i].name, name))
			return r->headers[i].value;
	return STR_NONE;
}

/* A function says by statusCode what a server says by its status; whatever else it returns is an answer as well. */
static unsigned status_of(struct caller *w, const struct http_client_reply *r)
{
	int64_t code;
	if (!str_set(w->c->function) || r->status != 200)
		return r->status;
	if (str_set(header(r, S("x-amz-function-error"))))
		return 500;
	const struct json_value *v = json_get(json_parse(&w->reply, r->body, NULL), S("statusCode"));
	return json_is(v, JSON_NUMBER) && json_to_int(v->text, &code) ? (unsigned)code : 200;
}

static unsigned exchange(struct caller *w, struct str *ret_why)
{
	struct http_client_reply reply;
	struct str why = STR_NONE;
	arena_reset(&w->reply);
	if (!w->client || !prepare(w))
		return LOAD_SILENT;
	int e = http_client_send(w->client, &w->reply, &w->q, &reply, &why);
	unsigned status = e < 0 ? 0 : status_of(w, &reply);
	if (ret_why && e < 0)
		*ret_why = arena_dup(&w->c->cli->arena, why);
	else if (ret_why)
		*ret_why = arena_printf(&w->c->cli->arena, "it answered %u: %.*s", status,
		                        (int)(reply.body.n < 200 ? reply.body.n : 200), reply.body.p);
	return status >= 200 && status < 400 ? 0 : status ? status : LOAD_SILENT;
}

static void *caller_open(void *ctx)
{
	const char *why;
	struct caller *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	w->c = ctx;
	w->cli = *w->c->cli;
	w->cli.arena = (struct arena){0};
	w->client = http_client_new(NULL, NULL, &why);
	return w;
}

static unsigned caller_ask(void *caller)
{
	return exchange(caller, NULL);
}

static void caller_close(void *caller)
{
	struct caller *w = caller;
	if (w->client)
		http_client_free(w->client);
	arena_done(&w->cli.arena);
	arena_done(&w->reply);
	free(w);
}

struct load_target compare_target(struct compare *c)
{
	return (struct load_target){.open = caller_open, .ask = caller_ask, .close = caller_close, .ctx = c, .cancel = c->cancel};
}

/* Who is not up yet may be silent, and the kernel would ask again ever later: so it is asked anew, and soon. */
static bool connects(const struct compare *c)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->port)};
	struct pollfd p = {.events = POLLOUT};
	int error = 0;
	socklen_t n = sizeof(error);
	p.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool good = p.fd >= 0 && inet_pton(AF_INET, arena_dupz(&c->cli->arena, c->address), &at.sin_addr) == 1;
	if (good && connect(p.fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		good = errno == EINPROGRESS && poll(&p, 1, CONNECT_MS) == 1 &&
		       getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && !error;
	if (p.fd >= 0)
		close(p.fd);
	return good;
}

bool compare_ask_once(struct compare *c, struct str *ret_why)
{
	if (str_set(c->address) && !connects(c)) {
		*ret_why = S("nobody listens at its port");
		return false;
	}
	struct caller *w = caller_open(c);
	bool good = exchange(w, ret_why) == 0;
	caller_close(w);
	return good;
}
