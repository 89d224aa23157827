/* The load generator of bench/run: N connections, each with one request under way, every request signed. Prints one line of JSON.
 *
 * It speaks just enough HTTP/1.1 for that. Requests that are all alike are signed once a second (a signature holds for fifteen
 * minutes), so that the generator's core is not what bounds a rate; those that differ (distinct keys) are signed one by one.
 * A reply that is not 2xx is an error; with --check the whole run then fails. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "core/sigv4.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK_BYTES = 1 << 20, HEAD_MAX = 8192, IN_BYTES = 1 << 16, HEADERS_MAX = 8, METRICS = 20, KEPT_MAX = 1 << 20 };

enum op {
	OP_STS,
	OP_LOGS,
	OP_PUT_METRICS,
	OP_GET_METRICS,
	OP_PUT,
	OP_GET,
	OP_INVOKE,
	OP_SEND,
	OP_SEND_TEN,
	OP_TAKE,
	OP_PUBLISH,
	OP_PLAIN,
	OPS
};
static const struct {
	const char *name, *service, *what;
} ops[OPS] = {
        [OP_STS] = {"sts", "sts", "sts:GetCallerIdentity"},
        [OP_LOGS] = {"logs", "logs", "logs:DescribeLogGroups"},
        [OP_PUT_METRICS] = {"metrics-put", "monitoring", "cloudwatch:PutMetricData, 20 metrics a call"},
        [OP_GET_METRICS] = {"metrics-get", "monitoring",
                            "cloudwatch:GetMetricData, the last three hours of those 20 by the minute"},
        [OP_PUT] = {"s3-put", "s3", "s3:PutObject of --bytes, each request another key"},
        [OP_GET] = {"s3-get", "s3", "s3:GetObject of the keys that s3-put wrote"},
        [OP_INVOKE] = {"invoke", "lambda", "lambda:InvokeFunction of --name; '#' in it becomes the request's number"},
        [OP_SEND] = {"queue-send", "sqs", "sqs:SendMessage of --bytes to the queue --name"},
        [OP_SEND_TEN] = {"queue-send-ten", "sqs", "sqs:SendMessageBatch of ten such messages"},
        [OP_TAKE] = {"queue-take", "sqs", "sqs:ReceiveMessage of up to --keys messages, and DeleteMessageBatch of what came"},
        [OP_PUBLISH] = {"topic-publish", "sns", "sns:Publish of --bytes to the topic --name (an ARN)"},
        [OP_PLAIN] = {"plain", NULL, "GET / without a signature, of the host --name where that has a dot"},
};

struct load {
	enum op op;
	const char *name; /* bucket or function */
	uint16_t port;
	unsigned connections;
	double seconds; /* 0: until count */
	uint64_t count; /* 0: until seconds */
	uint64_t keys;  /* s3: numbers go round after so many; 0: never */
	uint64_t bytes; /* of a PUT's body */
	bool check, hold;
	char body_hash[65];
	char *block; /* what bodies repeat */
	int epoll;
	uint64_t started, done, errors;
	int64_t begin_us, until_us;
	uint32_t *latency_us;
	size_t latency_cap;
	char first_error[300];
	struct arena arena;
	char alike[HEAD_MAX]; /* the head of requests that do not differ */
	size_t alike_n;
	int64_t alike_s;
};

struct client {
	struct load *load;
	int fd;
	char head[HEAD_MAX], in[HEAD_MAX];
	size_t head_n, head_at, in_n;
	uint64_t body_left;
	bool waiting, in_body, chunked, blocked, closing;
	unsigned status;
	int64_t reply_left, at_us;
	char tail[5];
	bool taken;      /* OP_TAKE: what was received is to be deleted */
	struct buf kept; /* OP_TAKE: the reply's body */
};

/* --- requests */

struct request {
	struct str method, path, query, body;
	struct sigv4_header headers[HEADERS_MAX];
	unsigned n;
};

static void add(struct request *r, struct str name, struct str value)
{
	r->headers[r->n++] = (struct sigv4_header){name, value};
}

static struct str numbered(struct arena *a, const char *name, uint64_t n)
{
	struct str rest = str_from(name), before = str_cut(&rest, '#');
	return str_set(rest) ? arena_printf(a, "%.*s%llu%.*s", STR_ARG(before), (unsigned long long)n, STR_ARG(rest)) : before;
}

/* The same metrics, as data or as queries. */
static struct str metrics_body(struct arena *a, bool put)
{
	struct buf b;
	int64_t now_s = clock_wall_ms() / 1000;
	buf_init(&b, HEAD_MAX);
	if (put)
		buf_printf(&b, "{\"Namespace\":\"Bench\",\"MetricData\":[");
	else
		buf_printf(&b, "{\"StartTime\":%lld,\"EndTime\":%lld,\"MetricDataQueries\":[", (long long)now_s - 3 * 3600,
		           (long long)now_s + 60);
	for (int i = 0; i < METRICS; i++)
		if (put)
			buf_printf(
			        &b,
			        "%s{\"MetricName\":\"Load\",\"Dimensions\":[{\"Name\":\"Host\",\"Value\":\"h-%d\"}],\"Value\":%d.25}",
			        i ? "," : "", i, i);
		else
			buf_printf(&b,
			           "%s{\"Id\":\"m%d\",\"MetricStat\":{\"Metric\":{\"Namespace\":\"Bench\",\"MetricName\":\"Load\","
			           "\"Dimensions\":[{\"Name\":\"Host\",\"Value\":\"h-%d\"}]},\"Period\":60,\"Stat\":\"Average\"}}",
			           i ? "," : "", i, i);
	buf_printf(&b, "]}");
	struct str body = arena_dup(a, buf_str(&b));
	buf_done(&b);
	return body;
}

/* Messages of SQS, or the handles of those that were received. */
static struct str queue_body(struct load *l, const struct client *c)
{
	struct arena *a = &l->arena;
	struct str head = arena_printf(a, "{\"QueueUrl\":\"http://127.0.0.1:%u/000000000000/%s\"", l->port, l->name);
	char *text = arena_alloc(a, l->bytes + 1);
	memset(text, 'x', l->bytes);
	struct str message = str_of(text, l->bytes), list = S("");
	if (l->op == OP_SEND)
		return ARENA_CAT(a, head, S(",\"MessageBody\":\""), message, S("\"}"));
	if (l->op == OP_TAKE && !c->taken)
		return arena_printf(a, "%.*s,\"MaxNumberOfMessages\":%llu}", STR_ARG(head),
		                    (unsigned long long)(l->keys ? l->keys : 1));
	for (int i = 0; l->op == OP_SEND_TEN && i < 10; i++)
		list = arena_printf(a, "%.*s%s{\"Id\":\"%d\",\"MessageBody\":\"%.*s\"}", STR_ARG(list), i ? "," : "", i,
		                    STR_ARG(message));
	static const struct str mark = S_INIT("\"ReceiptHandle\":\"");
	struct str rest = buf_str(&c->kept);
	ptrdiff_t at;
	for (int i = 0; l->op == OP_TAKE && (at = str_find(rest, mark)) >= 0; i++) {
		rest = str_from_at(rest, (size_t)at + mark.n);
		struct str handle = str_cut(&rest, '"');
		list = arena_printf(a, "%.*s%s{\"Id\":\"%d\",\"ReceiptHandle\":\"%.*s\"}", STR_ARG(list), i ? "," : "", i,
		                    STR_ARG(handle));
		if (!str_set(rest))
			break;
	}
	return ARENA_CAT(a, head, S(",\"Entries\":["), list, S("]}"));
}

static void describe(struct load *l, const struct client *c, struct request *r, uint64_t n, struct str *ret_hash)
{
	struct arena *a = &l->arena;
	*r = (struct request){.method = S("POST"), .path = S("/"), .query = STR_NONE, .body = S("")};
	uint64_t key = l->keys ? n % l->keys : n;
	switch (l->op) {
	case OP_STS:
		add(r, S("content-type"), S("application/x-www-form-urlencoded; charset=utf-8"));
		r->body = S("Action=GetCallerIdentity&Version=2011-06-15");
		break;
	case OP_LOGS:
		add(r, S("content-type"), S("application/x-amz-json-1.1"));
		add(r, S("x-amz-target"), S("Logs_20140328.DescribeLogGroups"));
		r->body = S("{}");
		break;
	case OP_PUT_METRICS:
	case OP_GET_METRICS:
		add(r, S("content-type"), S("application/x-amz-json-1.0"));
		add(r, S("x-amz-target"),
		    l->op == OP_PUT_METRICS ? S("GraniteServiceVersion20100801.PutMetricData")
		                            : S("GraniteServiceVersion20100801.GetMetricData"));
		r->body = metrics_body(a, l->op == OP_PUT_METRICS);
		break;
	case OP_PUT:
	case OP_GET:
		r->method = l->op == OP_PUT ? S("PUT") : S("GET");
		r->path = arena_printf(a, "/%s/key-%llu", l->name, (unsigned long long)key);
		break;
	case OP_INVOKE:
		r->path = ARENA_CAT(a, S("/2015-03-31/functions/"), numbered(a, l->name, n), S("/invocations"));
		r->body = S("{}");
		break;
	case OP_SEND:
	case OP_SEND_TEN:
	case OP_TAKE:
		add(r, S("content-type"), S("application/x-amz-json-1.0"));
		add(r, S("x-amz-target"),
		    l->op == OP_SEND       ? S("AmazonSQS.SendMessage")
		    : l->op == OP_SEND_TEN ? S("AmazonSQS.SendMessageBatch")
		    : c->taken             ? S("AmazonSQS.DeleteMessageBatch")
		                           : S("AmazonSQS.ReceiveMessage"));
		r->body = queue_body(l, c);
		break;
	case OP_PUBLISH: {
		char *text = arena_alloc(a, l->bytes + 1);
		memset(text, 'x', l->bytes);
		add(r, S("content-type"), S("application/x-www-form-urlencoded; charset=utf-8"));
		r->body = ARENA_CAT(a, S("Action=Publish&Version=2010-03-31&TopicArn="), str_from(l->name), S("&Message="),
		                    str_of(text, l->bytes));
		break;
	}
	default:
		r->method = S("GET");
	}
	*ret_hash = l->op == OP_PUT ? str_of(l->body_hash, 64) : hash_hex(a, HASH_SHA256, r->body);
}

/* Writes the head, and the body where it is small, into out. */
static size_t request_make(struct load *l, const struct client *c, uint64_t n, int64_t now_ms, char *out)
{
	struct arena *a = &l->arena;
	struct request r;
	struct str hash;
	arena_reset(a);
	describe(l, c, &r, n, &hash);
	bool named = l->op == OP_PLAIN && l->name && strchr(l->name, '.');
	struct str host = arena_printf(a, "%s:%u", named ? l->name : "127.0.0.1", l->port), authorization = STR_NONE;
	add(&r, S("host"), host);
	if (ops[l->op].service) {
		add(&r, S("x-amz-date"), sigv4_date(a, now_ms));
		if (l->op == OP_PUT || l->op == OP_GET)
			add(&r, S("x-amz-content-sha256"), hash);
		const struct sigv4_signer who = {.access_key_id = S("test"),
		                                 .secret = S("test"),
		                                 .region = S("us-east-1"),
		                                 .service = str_from(ops[l->op].service),
		                                 .now_ms = now_ms};
		const struct sigv4_request as = {
		        .method = r.method, .path = r.path, .query = r.query, .headers = r.headers, .header_count = r.n};
		authorization = sigv4_sign(a, &who, &as, hash);
	}
	int at = snprintf(out, HEAD_MAX, "%.*s %.*s HTTP/1.1\r\n", STR_ARG(r.method), STR_ARG(r.path));
	for (unsigned i = 0; i < r.n; i++)
		at += snprintf(out + at, HEAD_MAX - (size_t)at, "%.*s: %.*s\r\n", STR_ARG(r.headers[i].name),
		               STR_ARG(r.headers[i].value));
	if (str_set(authorization))
		at += snprintf(out + at, HEAD_MAX - (size_t)at, "authorization: %.*s\r\n", STR_ARG(authorization));
	if (!str_is(r.method, "GET"))
		at += snprintf(out + at, HEAD_MAX - (size_t)at, "content-length: %llu\r\n",
		               (unsigned long long)(l->op == OP_PUT ? l->bytes : r.body.n));
	at += snprintf(out + at, HEAD_MAX - (size_t)at, "\r\n%.*s", STR_ARG(r.body));
	if (at >= HEAD_MAX)
		die("a request head of more than %d bytes", HEAD_MAX);
	return (size_t)at;
}

static bool all_alike(const struct load *l)
{
	return l->op == OP_STS || l->op == OP_LOGS || l->op == OP_PUT_METRICS || l->op == OP_GET_METRICS || l->op == OP_PLAIN ||
	       l->op == OP_SEND || l->op == OP_SEND_TEN || l->op == OP_PUBLISH ||
	       (l->op == OP_INVOKE && str_find_char(str_from(l->name), '#') < 0);
}

static void request_next(struct load *l, struct client *c)
{
	uint64_t n = l->started++;
	int64_t now_ms = clock_wall_ms();
	if (!all_alike(l)) {
		c->head_n = request_make(l, c, n, now_ms, c->head);
	} else {
		if (l->alike_s != now_ms / 1000)
			l->alike_n = request_make(l, c, n, now_ms, l->alike);
		l->alike_s = now_ms / 1000;
		memcpy(c->head, l->alike, l->alike_n);
		c->head_n = l->alike_n;
	}
	c->head_at = 0;
	c->body_left = l->op == OP_PUT ? l->bytes : 0;
	c->in_n = 0;
	buf_clear(&c->kept);
	c->in_body = c->chunked = false;
	c->waiting = true;
	c->at_us = clock_mono_us();
}

/* --- connections */

static void client_send(struct load *l, struct client *c)
{
	while (c->head_at < c->head_n || c->body_left) {
		struct iovec iov[2];
		int n = 0;
		if (c->head_at < c->head_n)
			iov[n++] = (struct iovec){c->head + c->head_at, c->head_n - c->head_at};
		if (c->body_left) {
			size_t at = (size_t)((l->bytes - c->body_left) % BLOCK_BYTES), room = BLOCK_BYTES - at;
			iov[n++] = (struct iovec){l->block + at, c->body_left < room ? (size_t)c->body_left : room};
		}
		struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)n};
		ssize_t sent = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent < 0)
			die("send: %s", strerror(errno));
		size_t head = c->head_n - c->head_at < (size_t)sent ? c->head_n - c->head_at : (size_t)sent;
		c->head_at += head;
		c->body_left -= (uint64_t)sent - head;
	}
	bool blocked = c->head_at < c->head_n || c->body_left;
	if (blocked == c->blocked)
		return;
	c->blocked = blocked;
	struct epoll_event ev = {.events = EPOLLIN | (blocked ? EPOLLOUT : 0), .data.ptr = c};
	epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

static void finished(struct load *l, struct client *c)
{
	if (l->done == l->latency_cap) {
		l->latency_cap = l->latency_cap ? l->latency_cap * 2 : 1 << 16;
		l->latency_us = realloc(l->latency_us, l->latency_cap * sizeof(*l->latency_us));
		if (!l->latency_us)
			die("out of memory");
	}
	l->latency_us[l->done++] = (uint32_t)(clock_mono_us() - c->at_us);
	c->waiting = false;
	c->taken = l->op == OP_TAKE && !c->taken && str_find(buf_str(&c->kept), S("ReceiptHandle")) >= 0;
	if (c->status >= 200 && c->status < 300)
		return;
	if (l->errors++ == 0) {
		size_t n = 0;
		for (size_t i = 0; i < c->in_n && n + 1 < sizeof(l->first_error); i++)
			l->first_error[n++] = c->in[i] < ' ' || c->in[i] == '"' || c->in[i] == '\\' ? ' ' : c->in[i];
	}
}

static bool head_read(struct client *c, size_t *ret_end)
{
	struct str in = str_of(c->in, c->in_n);
	ptrdiff_t end = str_find(in, S("\r\n\r\n"));
	if (end < 0)
		return false;
	*ret_end = (size_t)end + 4;
	struct str rest = str_sub(in, 0, (size_t)end), line = str_cut(&rest, '\n');
	uint64_t v = 0;
	if (!str_to_u64(str_sub(line, 9, 3), &v))
		die("no HTTP: %.*s", STR_ARG(line));
	c->status = (unsigned)v;
	c->reply_left = 0;
	while (str_set(rest)) {
		struct str value = str_trim(str_cut(&rest, '\n')), name = str_cut(&value, ':');
		if (str_ieq(name, S("content-length")) && str_to_u64(str_trim(value), &v))
			c->reply_left = (int64_t)v;
		else if (str_ieq(name, S("transfer-encoding")))
			c->chunked = true;
		else if (str_ieq(name, S("connection")))
			c->closing = str_ieq(str_trim(value), S("close"));
	}
	return true;
}

/* Takes what has come; n bytes at p. */
static void client_take(struct load *l, struct client *c, const char *p, size_t n)
{
	if (!c->in_body) {
		size_t room = sizeof(c->in) - c->in_n, part = n < room ? n : room, end, had = c->in_n;
		memcpy(c->in + c->in_n, p, part);
		c->in_n += part;
		if (!head_read(c, &end)) {
			if (c->in_n == sizeof(c->in))
				die("a reply head of more than %d bytes", HEAD_MAX);
			return;
		}
		c->in_body = true;
		p += end - had;
		n -= end - had;
	}
	if (c->chunked) {
		for (size_t i = n > 5 ? n - 5 : 0; i < n; i++) {
			memmove(c->tail, c->tail + 1, 4);
			c->tail[4] = p[i];
		}
		if (memcmp(c->tail, "0\r\n\r\n", 5) == 0)
			finished(l, c);
		return;
	}
	if (l->op == OP_TAKE)
		buf_add(&c->kept, p, n);
	c->reply_left -= (int64_t)n;
	if (c->reply_left <= 0)
		finished(l, c);
}

static bool more(const struct load *l)
{
	return (l->count == 0 || l->started < l->count) && (l->until_us == 0 || clock_mono_us() < l->until_us);
}

static void client_open(struct load *l, struct client *c)
{
	int one = 1;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(l->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	c->load = l;
	c->closing = c->blocked = false;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect: %s", strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev);
}

static void client_event(struct load *l, struct client *c, uint32_t events)
{
	static char in[IN_BYTES];
	if (events & EPOLLOUT)
		client_send(l, c);
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	ssize_t n = recv(c->fd, in, sizeof(in), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("the server closed the connection: %.*s", (int)c->in_n, c->in);
	client_take(l, c, in, (size_t)n);
	if (!c->waiting && c->closing) { /* some peers close after every reply */
		close(c->fd);
		client_open(l, c);
	}
	if (!c->waiting && more(l)) {
		request_next(l, c);
		client_send(l, c);
	}
}

static void run(struct load *l)
{
	struct client *clients = calloc(l->connections, sizeof(*clients));
	if (!clients)
		die("out of memory");
	for (unsigned i = 0; i < l->connections; i++) {
		buf_init(&clients[i].kept, KEPT_MAX);
		client_open(l, &clients[i]);
	}
	if (l->hold) {
		puts("{}");
		fflush(stdout);
		if (getchar() == EOF)
			exit(0);
	}
	l->begin_us = clock_mono_us();
	if (l->seconds > 0)
		l->until_us = l->begin_us + (int64_t)(l->seconds * 1e6);
	for (unsigned i = 0; i < l->connections && more(l); i++) {
		request_next(l, &clients[i]);
		client_send(l, &clients[i]);
	}
	while (l->done < l->started) {
		struct epoll_event events[256];
		int n = epoll_wait(l->epoll, events, 256, 30000);
		if (n == 0)
			die("no reply for 30 s");
		for (int i = 0; i < n; i++)
			client_event(l, events[i].data.ptr, events[i].events);
	}
}

/* --- the command line */

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static int usage(void)
{
	fputs("usage: load PORT OP [--connections N] [--seconds S] [--count N] [--bytes N] [--keys N] [--name TEXT] [--check] [--hold]\n",
	      stderr);
	for (unsigned i = 0; i < OPS; i++)
		fprintf(stderr, "  %-8s %s\n", ops[i].name, ops[i].what);
	fputs("--hold: open the connections, print {}, and go on at a line from stdin, end at its end\n", stderr);
	return 2;
}

static bool options(struct load *l, int argc, char **argv)
{
	if (argc < 3)
		return false;
	l->port = (uint16_t)atoi(argv[1]);
	while (l->op < OPS && strcmp(argv[2], ops[l->op].name) != 0)
		l->op++;
	for (int i = 3; i < argc; i++) {
		const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
		if (strcmp(name, "--check") == 0 || strcmp(name, "--hold") == 0) {
			*(name[2] == 'c' ? &l->check : &l->hold) = true;
			continue;
		}
		i++;
		if (strcmp(name, "--connections") == 0)
			l->connections = (unsigned)atoi(value);
		else if (strcmp(name, "--seconds") == 0)
			l->seconds = atof(value);
		else if (strcmp(name, "--count") == 0)
			l->count = strtoull(value, NULL, 10);
		else if (strcmp(name, "--bytes") == 0)
			l->bytes = strtoull(value, NULL, 10);
		else if (strcmp(name, "--keys") == 0)
			l->keys = strtoull(value, NULL, 10);
		else if (strcmp(name, "--name") == 0)
			l->name = value;
		else
			return false;
	}
	return l->port && l->op < OPS && l->connections && (l->seconds > 0 || l->count);
}

static void body_make(struct load *l)
{
	l->block = malloc(BLOCK_BYTES);
	if (!l->block)
		die("out of memory");
	for (size_t i = 0; i < BLOCK_BYTES; i++)
		l->block[i] = (char)(i * 2654435761u >> 11);
	unsigned char digest[HASH_MAX_BYTES];
	struct hash h;
	hash_init(&h, HASH_SHA256);
	for (uint64_t left = l->bytes; left;) {
		size_t part = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
		hash_add(&h, l->block, part);
		left -= part;
	}
	hash_end(&h, digest);
	hex_encode(digest, 32, l->body_hash);
}

int main(int argc, char **argv)
{
	static struct load load = {.name = "bench", .connections = 64, .bytes = 1024}, *l = &load;
	if (!options(l, argc, argv))
		return usage();
	if (l->op == OP_PUT)
		body_make(l);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	run(l);
	double seconds = (double)(clock_mono_us() - l->begin_us) / 1e6;
	qsort(l->latency_us, l->done, sizeof(*l->latency_us), by_value);
	uint64_t n = l->done;
	printf("{\"requests\": %llu, \"errors\": %llu, \"seconds\": %.4f, \"rate\": %.1f, \"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u, \"first_error\": \"%s\"}\n",
	       (unsigned long long)n, (unsigned long long)l->errors, seconds, (double)n / seconds, n ? l->latency_us[n / 2] : 0,
	       n ? l->latency_us[n * 99 / 100] : 0, n ? l->latency_us[n - 1] : 0, l->first_error);
	return l->check && l->errors ? 1 : 0;
}
