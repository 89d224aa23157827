/* Stands in for engine/cell: cell_claim() and its like are defined here, so the linker takes these. A cell has a real listening
 * socket; cell_start() connects to it and is the runtime from then on. */
#include "unit.h"

#include "functions.h"

#include "aws/iam/iam.h"
#include "aws/lambda/lambda.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "core/gate.h"
#include "core/listen.h"
#include "engine/cell/cell.h"
#include "gen/iam.h"
#include "http/http.h"
#include "store/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BARRIERS = 8, TURNS = 8 };

/* A cloud that ends leaves what is under way to the end of its process, which does not come here. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static struct world *world;
static struct list functions = {&functions, &functions};

struct known {
	struct list link;
	struct sim_function *f;
};

static struct sim_function *find_function(struct str name)
{
	list_each (&functions, struct known, link, k)
		if (str_is(name, k->f->name))
			return k->f;
	fail_msg("nobody made the function %.*s", STR_ARG(name));
	return NULL;
}

/* --- cells */

struct cell {
	const struct cell_events *events;
	void *ctx;
	int listener, log[2];
	bool frozen;
	struct loop_timer *ready;
	/* the runtime */
	struct list link; /* those whose function hangs */
	struct sim_function *f;
	int fd;
	struct loop_fd *watch;
	struct loop_timer *answer;
	char in[65536], id[37], access_key_id[129], token[4096];
	size_t in_n;
};
static struct list hanging = {&hanging, &hanging};

static void is_ready(void *ctx)
{
	struct cell *c = ctx;
	c->ready = NULL;
	c->events->ready(c->ctx, c, 0);
}

struct cell *cell_claim(struct cells *cells, const struct cell_spec *spec, const struct cell_events *events, void *ctx)
{
	(void)cells;
	(void)spec;
	static unsigned number;
	struct cell *c = calloc(1, sizeof(*c));
	c->events = events;
	c->ctx = ctx;
	c->fd = -1;
	list_init(&c->link);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "%s-%u", world->dir, ++number);
	c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(c->listener, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0 ||
	    listen(c->listener, 4) < 0 || pipe2(c->log, O_NONBLOCK | O_CLOEXEC) < 0)
		fail_msg("a cell's sockets: %s", strerror(errno));
	c->ready = loop_add_timer(world->cloud.loop, 0, is_ready, c);
	return c;
}

static void runtime_stop(struct cell *c)
{
	list_remove(&c->link);
	loop_remove_timer(world->cloud.loop, c->answer);
	loop_remove_fd(world->cloud.loop, c->watch);
	if (c->fd >= 0)
		close(c->fd);
	c->answer = NULL;
	c->watch = NULL;
	c->fd = -1;
	c->in_n = 0;
}

void cell_destroy(struct cell *c)
{
	if (!c)
		return;
	runtime_stop(c);
	loop_remove_timer(world->cloud.loop, c->ready);
	close(c->listener);
	close(c->log[0]);
	close(c->log[1]);
	free(c);
}

bool cell_is_stem(const struct cell *c)
{
	(void)c;
	return false;
}

int cell_stem_message(struct cell *c, struct str json)
{
	(void)c;
	(void)json;
	return -ENOTSUP;
}

static void post(struct cell *c, const char *what, const char *body)
{
	char text[1024];
	int n = snprintf(text, sizeof(text),
	                 "POST /2018-06-01/runtime/invocation/%s/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s"
	                 "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n",
	                 c->id, what, strlen(body), body);
	if (write(c->fd, text, (size_t)n) != n)
		fail_msg("a runtime cannot write: %s", strerror(errno));
}

static void answer(void *ctx)
{
	struct cell *c = ctx;
	c->answer = NULL;
	if (c->f->answer == SIM_FAILS)
		post(c, "error", "{\"errorType\":\"Error\",\"errorMessage\":\"no\"}");
	else
		post(c, "response", "\"done\"");
}

static struct str header_of(struct str head, const char *name)
{
	while (str_set(head)) {
		struct str line = str_trim(str_cut(&head, '\n')), key = str_cut(&line, ':');
		if (str_ieq(key, str_from(name)))
			return str_trim(line);
	}
	return STR_NONE;
}

static int64_t credentials_left(const struct cell *c)
{
	struct identity_source *s = &world->cloud.identity;
	struct credential found = {0};
	if (s->find_key(s->ctx, str_from(c->access_key_id), str_from(c->token), clock_wall_ms(), &found) != KEY_GOOD)
		return 0;
	int64_t left = found.principal->expires_ms - clock_wall_ms();
	principal_unref(found.principal);
	return left;
}

static void take_event(struct cell *c, struct str head, struct str body)
{
	struct sim_function *f = c->f;
	struct str id = header_of(head, "Lambda-Runtime-Aws-Request-Id");
	snprintf(c->id, sizeof(c->id), "%.*s", STR_ARG(id));
	if (f->calls == SIM_CALLS_MAX)
		fail_msg("%s was called too often", f->name);
	struct sim_call *call = &f->log[f->calls++];
	call->at_ms = clock_wall_ms();
	memcpy(call->request_id, c->id, sizeof(c->id));
	memcpy(call->access_key_id, c->access_key_id, sizeof(c->access_key_id));
	snprintf(call->payload, sizeof(call->payload), "%.*s", STR_ARG(body));
	call->credentials_left_ms = credentials_left(c);
	if (f->answer == SIM_HANGS)
		list_push(&hanging, &c->link);
	else
		c->answer = loop_add_timer(world->cloud.loop, f->takes_ms * 1000, answer, c);
}

static void on_readable(void *ctx, uint32_t events)
{
	(void)events;
	struct cell *c = ctx;
	ssize_t n = read(c->fd, c->in + c->in_n, sizeof(c->in) - c->in_n);
	if (n <= 0)
		return;
	c->in_n += (size_t)n;
	for (;;) {
		struct str all = str_of(c->in, c->in_n);
		ptrdiff_t end = str_find(all, S("\r\n\r\n"));
		if (end < 0)
			return;
		struct str head = str_sub(all, 0, (size_t)end);
		int64_t length = 0;
		str_to_i64(header_of(head, "Content-Length"), &length);
		size_t whole = (size_t)end + 4 + (size_t)length;
		if (c->in_n < whole)
			return;
		/* An answer is acknowledged with 202; the other reply is an event. */
		if (str_starts(head, S("HTTP/1.1 200")))
			take_event(c, head, str_sub(all, (size_t)end + 4, (size_t)length));
		memmove(c->in, c->in + whole, c->in_n - whole);
		c->in_n -= whole;
	}
}

int cell_start(struct cell *c, const struct cell_process *p)
{
	static const char next[] = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";
	for (const char *const *v = p->env; *v; v++) {
		struct str value = str_from(*v), name = str_cut(&value, '=');
		if (str_is(name, "AWS_LAMBDA_FUNCTION_NAME"))
			c->f = find_function(value);
		else if (str_is(name, "AWS_ACCESS_KEY_ID"))
			snprintf(c->access_key_id, sizeof(c->access_key_id), "%.*s", STR_ARG(value));
		else if (str_is(name, "AWS_SESSION_TOKEN"))
			snprintf(c->token, sizeof(c->token), "%.*s", STR_ARG(value));
	}
	c->f->environments++;
	struct sockaddr_un a;
	socklen_t bytes = sizeof(a);
	getsockname(c->listener, (struct sockaddr *)&a, &bytes);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(c->fd, (struct sockaddr *)&a, bytes) < 0 || write(c->fd, next, sizeof(next) - 1) < 0)
		fail_msg("a runtime cannot connect: %s", strerror(errno));
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	c->watch = loop_add_fd(world->cloud.loop, c->fd, EPOLLIN, on_readable, c);
	return CELL_STEM_PROCESS + 1;
}

void cell_kill_runtime(struct cell *c)
{
	runtime_stop(c);
}

void cell_signal(struct cell *c, int process, int signo)
{
	(void)c;
	(void)process;
	(void)signo;
}

int cell_runtime_listener(const struct cell *c)
{
	return c->listener;
}

int cell_endpoint_listener(const struct cell *c)
{
	(void)c;
	return -1;
}

int cell_log_fd(const struct cell *c)
{
	return c->log[0];
}

int cell_freeze(struct cell *c)
{
	c->frozen = true;
	return 0;
}

int cell_thaw(struct cell *c)
{
	c->frozen = false;
	return 0;
}

bool cell_is_frozen(const struct cell *c)
{
	return c->frozen;
}

int cell_set_cpu(struct cell *c, bool limited)
{
	(void)c;
	(void)limited;
	return 0;
}

int64_t cell_memory_peak_bytes(struct cell *c)
{
	(void)c;
	return 1 << 20;
}

unsigned cell_oom_kills(struct cell *c)
{
	(void)c;
	return 0;
}

/* --- time */

static void set_clock(struct world *w, int64_t ms)
{
	w->wall_ms += ms;
	w->mono_us += ms * 1000;
	clock_fake(w->wall_ms, w->mono_us);
}

static void barrier_done(void *ctx, int result, uint64_t revision)
{
	(void)result;
	(void)revision;
	*(bool *)ctx = true;
}

/* What waits for the store has been answered once a commit of our own has: they are taken in order. */
static void barrier(struct world *w)
{
	bool done = false;
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct store_txn *t = store_begin(w->cloud.store, &a);
	store_put(t, S("barrier"), S("1"));
	store_commit(t, barrier_done, &done);
	while (!done)
		loop_turn(w->cloud.loop, 1000);
}

void world_settle(struct world *w)
{
	for (int i = 0; i < BARRIERS; i++) {
		barrier(w);
		for (int turn = 0; turn < TURNS; turn++)
			loop_turn(w->cloud.loop, 0);
		while (work_pending(w->cloud.work))
			loop_turn(w->cloud.loop, 1000);
	}
}

void world_pass(struct world *w, int64_t ms)
{
	for (; ms > 0; ms -= w->step_ms) {
		set_clock(w, ms < w->step_ms ? ms : w->step_ms);
		world_settle(w);
	}
}

/* --- the cloud */

static void on_request(void *ctx, struct http_request *r)
{
	(void)ctx;
	if (!listener_take(r))
		fail_msg("a request from outside");
}

static const char *below(struct world *w, const char *name)
{
	return arena_printf(&w->arena, "%s/%s", w->dir, name).p;
}

static void start(struct world *w)
{
	struct cloud *c = &w->cloud;
	char why[200];
	*c = (struct cloud){.data_dir = w->dir, .ephemeral = true, .endpoint = "http://127.0.0.1:1"};
	world = w;
	c->loop = loop_new();
	c->work = work_new(c->loop, 2);
	assert_int_equal(store_open(&c->store, c->loop, &(struct store_config){.path = below(w, "state"), .ephemeral = true}, why),
	                 0);
	assert_int_equal(blobs_open(&c->blobs, below(w, "blobs"), true), 0);
	iam_open(c, &(struct iam_config){.well_known = true});
	c->gate = gate_new(c, &(struct gate_config){.well_known_keys = true});
	c->http = http_server_new(c->loop, NULL, on_request, w);
	c->cells = (struct cells *)w; /* there are some; only the functions above look at it */
	unsigned n = 0;
	while (cloud_services[n])
		n++;
	c->service_state = calloc(n + 1, sizeof(void *));
	for (unsigned i = 0; i < n; i++)
		if (cloud_services[i]->start)
			assert_int_equal(cloud_services[i]->start(c, &c->service_state[i]), 0);
}

static void stop(struct world *w)
{
	struct cloud *c = &w->cloud;
	unsigned n = 0;
	while (cloud_services[n])
		n++;
	store_settle(c->store);
	while (n-- > 0)
		if (cloud_services[n]->stop)
			cloud_services[n]->stop(c->service_state[n]);
	free(c->service_state);
	iam_close(c);
	http_server_free(c->http);
	gate_free(c->gate);
	work_free(c->work);
	blobs_close(c->blobs);
	store_close(c->store);
	loop_free(c->loop);
}

void world_open(struct world *w)
{
	memset(w, 0, sizeof(*w));
	arena_init(&w->arena, 0);
	snprintf(w->dir, sizeof(w->dir), "/tmp/quartet-sim-XXXXXX");
	if (!mkdtemp(w->dir))
		fail_msg("mkdtemp: %s", strerror(errno));
	w->wall_ms = INT64_C(1767225600000); /* 2026-01-01 */
	w->mono_us = 1000000000;
	w->step_ms = 500;
	set_clock(w, 0);
	w->root = principal_new(PRINCIPAL_ROOT, S("000000000000"));
	start(w);
	struct iam_create_role_request role = {
	        .role_name = S("sim"),
	        .assume_role_policy_document = S(
	                "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"lambda.amazonaws.com\"},\"Action\":"
	                "\"sts:AssumeRole\"}]}")};
	assert_string_equal(world_call(w, &iam_api, "CreateRole", &role, NULL), "");
	struct iam_put_role_policy_request policy = {
	        .role_name = S("sim"),
	        .policy_name = S("p"),
	        .policy_document = S(
	                "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"lambda:*\",\"logs:*\"],\"Resource\":\"*\"}]}")};
	assert_string_equal(world_call(w, &iam_api, "PutRolePolicy", &policy, NULL), "");
}

void world_reopen(struct world *w, int64_t away_ms)
{
	stop(w);
	set_clock(w, away_ms);
	start(w);
	world_settle(w);
}

void world_close(struct world *w)
{
	stop(w);
	principal_unref(w->root);
	arena_done(&w->arena);
	list_each (&functions, struct known, link, k) {
		list_remove(&k->link);
		free(k);
	}
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	if (system(command) != 0)
		fail_msg("the directory cannot be removed");
}

/* --- operations */

static struct {
	struct arena arena;
	char code[128], reason[128];
	const void *out;
} last;

struct waiter {
	char *code;
	bool done, keep;
};

static void op_done(void *ctx, struct call *sub)
{
	struct waiter *o = ctx;
	if (o->code)
		snprintf(o->code, 128, "%.*s", STR_ARG(str_set(sub->error.code) ? sub->error.code : S("")));
	o->done = true;
	if (!o->keep) {
		free(o);
		return;
	}
	arena_reset(&last.arena);
	struct str reason = str_map_get(&sub->error.fields, S("Reason"));
	snprintf(last.reason, sizeof(last.reason), "%.*s", STR_ARG(str_set(reason) ? reason : S("")));
	const struct shape *shape = operation_output(sub->service->api, sub->op);
	void *copy = arena_zalloc(&last.arena, shape ? shape->size : 1);
	if (shape)
		model_copy(&last.arena, sub->service->api, shape, sub->out, copy);
	last.out = copy;
}

const char *world_call(struct world *w, const struct api *api, const char *operation, const void *in, const void **ret_out)
{
	struct waiter o = {.code = last.code, .keep = true};
	call_op(&w->cloud, w->root, S("us-east-1"), api, operation, in, op_done, &o);
	while (!o.done)
		loop_turn(w->cloud.loop, 1000);
	if (ret_out)
		*ret_out = last.out;
	return last.code;
}

struct str world_error_field(const char *name)
{
	return strcmp(name, "Reason") == 0 && last.reason[0] ? str_from(last.reason) : STR_NONE;
}

void world_begin(struct world *w, const struct api *api, const char *operation, const void *in, char *ret_code)
{
	struct waiter *o = calloc(1, sizeof(*o));
	o->code = ret_code;
	call_op(&w->cloud, w->root, S("us-east-1"), api, operation, in, op_done, o);
}

/* --- functions */

static void put16(struct buf *b, unsigned v)
{
	buf_add_char(b, (char)(v & 255));
	buf_add_char(b, (char)(v >> 8 & 255));
}

static void put32(struct buf *b, uint32_t v)
{
	put16(b, v & 0xffff);
	put16(b, v >> 16);
}

/* A zip file of one stored entry that may be executed. */
static struct str package(struct arena *a, struct str name, struct str text)
{
	struct buf CLEAN_BUF b;
	unsigned char crc[HASH_MAX_BYTES];
	buf_init(&b, 4096);
	hash_of(HASH_CRC32, text, crc);
	uint32_t sum = (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 | (uint32_t)crc[2] << 8 | crc[3];
	for (int central = 0; central < 2; central++) {
		size_t begin = b.n;
		put32(&b, central ? 0x02014b50 : 0x04034b50);
		if (central)
			put16(&b, 3 << 8 | 20); /* made on Unix */
		put16(&b, 20);
		put16(&b, 0);
		put16(&b, 0);
		put32(&b, 0x21 << 16);
		put32(&b, sum);
		put32(&b, (uint32_t)text.n);
		put32(&b, (uint32_t)text.n);
		put16(&b, (unsigned)name.n);
		put16(&b, 0);
		if (central) {
			put16(&b, 0);
			put16(&b, 0);
			put16(&b, 0);
			put32(&b, (uint32_t)(S_IFREG | 0755) << 16);
			put32(&b, 0);
		}
		buf_add_str(&b, name);
		if (!central) {
			buf_add_str(&b, text);
			continue;
		}
		size_t end = b.n;
		put32(&b, 0x06054b50);
		put32(&b, 0);
		put16(&b, 1);
		put16(&b, 1);
		put32(&b, (uint32_t)(end - begin));
		put32(&b, (uint32_t)begin);
		put16(&b, 0);
	}
	return arena_dup(a, buf_str(&b));
}

void sim_begin(struct world *w, struct sim_function *f, int64_t timeout_s)
{
	struct known *k = calloc(1, sizeof(*k));
	k->f = f;
	list_push(&functions, &k->link);
	struct lambda_function_code code = {.zip_file = package(&w->arena, S("bootstrap"), S("#!/bin/sh\n"))};
	struct lambda_create_function_request in = {.function_name = str_from(f->name),
	                                            .runtime = S("provided.al2023"),
	                                            .role = S("arn:aws:iam::000000000000:role/sim"),
	                                            .handler = S("h"),
	                                            .code = &code,
	                                            .timeout = OPT_INT(timeout_s)};
	const char *error = world_call(w, &lambda_api, "CreateFunction", &in, NULL);
	if (error[0])
		fail_msg("CreateFunction %s: %s", f->name, error);
}

void sim_create(struct world *w, struct sim_function *f, int64_t timeout_s)
{
	sim_begin(w, f, timeout_s);
	for (;;) {
		struct lambda_get_function_configuration_request get = {.function_name = str_from(f->name)};
		const void *out;
		world_call(w, &lambda_api, "GetFunctionConfiguration", &get, &out);
		if (str_is(((const struct lambda_function_configuration *)out)->state, "Active"))
			break;
		world_settle(w);
	}
	world_settle(w);
}

void sim_answer_all(struct sim_function *f)
{
	f->answer = SIM_SUCCEEDS;
	list_each (&hanging, struct cell, link, c) {
		if (c->f != f)
			continue;
		list_remove(&c->link);
		answer(c);
	}
}

void sim_send(struct world *w, const char *name, const char *payload)
{
	struct lambda_invocation_request in = {
	        .function_name = str_from(name), .invocation_type = S("Event"), .payload = str_from(payload)};
	const char *error = world_call(w, &lambda_api, "Invoke", &in, NULL);
	if (error[0])
		fail_msg("Invoke %s: %s", name, error);
	world_settle(w);
}

/* There is no `priv` behind this world. */
int cells_open_channel(struct cells *c, unsigned channel)
{
	(void)c;
	(void)channel;
	return -EPIPE;
}
