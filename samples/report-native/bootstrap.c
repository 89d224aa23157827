/* The sample as a native function: a runtime client, an S3 client and the report in one small C program.
 *
 * A `provided` function is just a program that asks the Runtime API for events and posts answers. Here even the AWS SDK is left out: GetObject
 * and PutObject are two HTTP requests, signed with SigV4 by the keys that Lambda puts into the environment. Needs libcrypto only. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "report: %s\n", what);
	exit(1);
}

/* --- HTTP over one kept connection a peer; replies carry Content-Length */

struct peer {
	char host[128]; /* as in the Host header */
	int fd;
	char *buffer;
	size_t have, cap;
};
struct reply {
	int status;
	const char *head; /* NUL-terminated */
	const char *body;
	size_t length;
};

static void peer_open(struct peer *p, const char *address)
{
	snprintf(p->host, sizeof(p->host), "%s", address);
	char *colon = strrchr(p->host, ':');
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(colon ? atoi(colon + 1) : 80))};
	char ip[64];
	snprintf(ip, sizeof(ip), "%.*s", colon ? (int)(colon - p->host) : 63, p->host);
	if (inet_pton(AF_INET, ip, &to.sin_addr) != 1)
		fail("the endpoint is no IPv4 address");
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(p->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail("cannot connect");
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	p->have = 0;
	if (!p->buffer)
		p->buffer = malloc(p->cap = 1 << 16);
}

static void peer_send(struct peer *p, const char *bytes, size_t n)
{
	while (n) {
		ssize_t sent = write(p->fd, bytes, n);
		if (sent <= 0)
			fail("cannot send");
		bytes += sent;
		n -= (size_t)sent;
	}
}

/* The reply lies in the peer's buffer until the next one is received. */
static struct reply peer_receive(struct peer *p)
{
	struct reply r = {0};
	size_t total = 0;
	p->have = 0;
	for (;;) {
		if (p->have == p->cap - 1 && !(p->buffer = realloc(p->buffer, p->cap *= 2)))
			fail("out of memory");
		ssize_t n = read(p->fd, p->buffer + p->have, p->cap - 1 - p->have);
		if (n <= 0)
			fail("the connection was closed");
		p->have += (size_t)n;
		p->buffer[p->have] = 0;
		char *end = memmem(p->buffer, p->have, "\r\n\r\n", 4);
		if (!total && end) {
			*end = 0;
			const char *length = strcasestr(p->buffer, "\ncontent-length:");
			r.length = length ? strtoul(length + 16, NULL, 10) : 0;
			*end = '\r';
			total = (size_t)(end + 4 - p->buffer) + r.length;
			if (total >= p->cap && !(p->buffer = realloc(p->buffer, p->cap = total + 1)))
				fail("out of memory");
		}
		if (total && p->have >= total)
			break;
	}
	r.status = atoi(p->buffer + 9);
	r.head = p->buffer;
	r.body = p->buffer + total - r.length;
	((char *)r.body)[-1] = 0;
	return r;
}

static void header_of(const struct reply *r, const char *name, char *out, size_t size)
{
	char wanted[80];
	snprintf(wanted, sizeof(wanted), "\n%s:", name);
	const char *at = strcasestr(r->head, wanted);
	size_t n = 0;
	if (at) {
		at += strlen(wanted);
		at += strspn(at, " ");
		n = strcspn(at, "\r\n");
	}
	snprintf(out, size, "%.*s", (int)n, at ? at : "");
}

/* --- SigV4 */

static void hex(const unsigned char *in, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		sprintf(out + 2 * i, "%02x", in[i]);
}

static void hmac(const void *key, size_t key_n, const char *text, unsigned char out[32])
{
	HMAC(EVP_sha256(), key, (int)key_n, (const unsigned char *)text, strlen(text), out, NULL);
}

static struct reply s3(struct peer *p, const char *method, const char *bucket, const char *key, const char *body, size_t n)
{
	const char *id = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY"), *token = getenv("AWS_SESSION_TOKEN");
	const char *region = getenv("AWS_REGION");
	char stamp[20], day[10], payload_hash[65], request_hash[65], signature[65];
	static char canonical[8192], to_sign[512], head[8192];
	unsigned char digest[32], k[32];
	time_t now = time(NULL);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime(&now));
	snprintf(day, sizeof(day), "%.8s", stamp);
	SHA256((const unsigned char *)body, n, digest);
	hex(digest, 32, payload_hash);
	snprintf(canonical, sizeof(canonical),
		 "%s\n/%s/%s\n\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\nx-amz-security-token:%s\n\n"
		 "host;x-amz-content-sha256;x-amz-date;x-amz-security-token\n%s",
		 method, bucket, key, p->host, payload_hash, stamp, token, payload_hash);
	SHA256((const unsigned char *)canonical, strlen(canonical), digest);
	hex(digest, 32, request_hash);
	snprintf(to_sign, sizeof(to_sign), "AWS4-HMAC-SHA256\n%s\n%s/%s/s3/aws4_request\n%s", stamp, day, region, request_hash);
	char first[256];
	snprintf(first, sizeof(first), "AWS4%s", secret);
	hmac(first, strlen(first), day, k);
	hmac(k, 32, region, k);
	hmac(k, 32, "s3", k);
	hmac(k, 32, "aws4_request", k);
	hmac(k, 32, to_sign, k);
	hex(k, 32, signature);
	int head_n = snprintf(head, sizeof(head),
			      "%s /%s/%s HTTP/1.1\r\nHost: %s\r\nx-amz-content-sha256: %s\r\nx-amz-date: %s\r\nx-amz-security-token: %s\r\n"
			      "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s/%s/s3/aws4_request, "
			      "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=%s\r\n"
			      "Content-Length: %zu\r\n\r\n",
			      method, bucket, key, p->host, payload_hash, stamp, token, id, day, region, signature, n);
	peer_send(p, head, (size_t)head_n);
	peer_send(p, body, n);
	return peer_receive(p);
}

/* --- the report */

enum { KEYS = 4096 };
struct sum {
	char key[16];
	int64_t cents;
};
struct table {
	struct sum sums[KEYS]; /* open addressing */
	unsigned count;
};

static void add(struct table *t, const char *key, size_t n, int64_t cents)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)key[i]) * 16777619u;
	for (uint32_t at = hash % KEYS;; at = (at + 1) % KEYS) {
		struct sum *s = &t->sums[at];
		if (!s->key[0]) {
			if (++t->count >= KEYS)
				fail("too many keys");
			memcpy(s->key, key, n);
		} else if (strlen(s->key) != n || memcmp(s->key, key, n) != 0) {
			continue;
		}
		s->cents += cents;
		return;
	}
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct sum *)a)->key, ((const struct sum *)b)->key);
}

static int by_cents(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;
	return x->cents != y->cents ? (x->cents < y->cents ? 1 : -1) : strcmp(x->key, y->key);
}

static unsigned compact(struct table *t)
{
	unsigned n = 0;
	for (unsigned i = 0; i < KEYS; i++)
		if (t->sums[i].key[0])
			t->sums[n++] = t->sums[i];
	return n;
}

static struct table months, products;
static char report[65536];

struct totals {
	long orders;
	int64_t cents;
	char best[16];
};

static size_t add_up(const char *csv, size_t n, struct totals *ret)
{
	memset(&months, 0, sizeof(months));
	memset(&products, 0, sizeof(products));
	memset(ret, 0, sizeof(*ret));
	const char *end = csv + n, *line = memchr(csv, '\n', n);
	for (line = line ? line + 1 : end; line < end;) {
		const char *stop = memchr(line, '\n', (size_t)(end - line)), *field[7];
		int fields = 0;
		if (!stop)
			stop = end;
		field[fields++] = line;
		for (const char *p = line; p < stop && fields < 7; p++)
			if (*p == ',')
				field[fields++] = p + 1;
		line = stop + 1;
		size_t region = (size_t)(field[3] - field[2] - 1), product = (size_t)(field[4] - field[3] - 1);
		if (fields < 7 || region > 8 || product > 15)
			fail("not a line of orders");
		int64_t cents = strtol(field[4], NULL, 10) * strtol(field[5], NULL, 10);
		char month[16];
		int month_n = snprintf(month, sizeof(month), "%.*s-%.7s", (int)region, field[2], field[1]);
		add(&months, month, (size_t)month_n, cents);
		add(&products, field[3], product, cents);
		ret->orders++;
		ret->cents += cents;
	}
	unsigned month_count = compact(&months), product_count = compact(&products);
	qsort(months.sums, month_count, sizeof(struct sum), by_key);
	qsort(products.sums, product_count, sizeof(struct sum), by_cents);
	size_t at = (size_t)snprintf(report, sizeof(report), "{\"orders\":%ld,\"revenue_cents\":%lld,\"by_region_month\":{", ret->orders, (long long)ret->cents);
	for (unsigned i = 0; i < month_count && at < sizeof(report) - 256; i++)
		at += (size_t)sprintf(report + at, "%s\"%s\":%lld", i ? "," : "", months.sums[i].key, (long long)months.sums[i].cents);
	at += (size_t)sprintf(report + at, "},\"top_products\":[");
	for (unsigned i = 0; i < product_count && i < 5; i++)
		at += (size_t)sprintf(report + at, "%s{\"product\":\"%s\",\"revenue_cents\":%lld}", i ? "," : "", products.sums[i].key,
				      (long long)products.sums[i].cents);
	at += (size_t)sprintf(report + at, "]}");
	snprintf(ret->best, sizeof(ret->best), "%s", products.sums[0].key);
	return at;
}

/* --- the function */

/* The string member of a flat JSON object without escapes: what our event is. */
static void member(const char *json, const char *name, char *out, size_t size)
{
	char wanted[64];
	snprintf(wanted, sizeof(wanted), "\"%s\"", name);
	const char *at = strstr(json, wanted);
	at = at ? strchr(at + strlen(wanted), '"') : NULL;
	const char *stop = at ? strchr(at + 1, '"') : NULL;
	snprintf(out, size, "%.*s", stop ? (int)(stop - at - 1) : 0, at ? at + 1 : "");
}

static int answer(struct peer *store, const char *event, char *out, size_t size)
{
	char bucket[128], key[512], target[512];
	member(event, "bucket", bucket, sizeof(bucket));
	member(event, "key", key, sizeof(key));
	member(event, "report", target, sizeof(target));
	struct reply object = s3(store, "GET", bucket, key, "", 0);
	if (object.status != 200) {
		snprintf(out, size, "{\"errorMessage\":\"GetObject of %s/%s: status %d\",\"errorType\":\"Function.S3\"}", bucket, key, object.status);
		return -1;
	}
	struct totals t;
	size_t bytes = object.length, n = add_up(object.body, object.length, &t);
	struct reply put = s3(store, "PUT", bucket, target, report, n);
	if (put.status != 200) {
		snprintf(out, size, "{\"errorMessage\":\"PutObject of %s/%s: status %d\",\"errorType\":\"Function.S3\"}", bucket, target, put.status);
		return -1;
	}
	printf("%ld orders in %zu bytes\n", t.orders, bytes);
	fflush(stdout);
	snprintf(out, size, "{\"orders\":%ld,\"revenue_cents\":%lld,\"best\":\"%s\",\"report\":\"s3://%s/%s\"}", t.orders, (long long)t.cents, t.best, bucket, target);
	return 0;
}

int main(void)
{
	const char *api = getenv("AWS_LAMBDA_RUNTIME_API"), *endpoint = getenv("AWS_ENDPOINT_URL");
	if (!api || !endpoint || strncmp(endpoint, "http://", 7) != 0)
		fail("not run by Lambda");
	struct peer runtime = {0}, store = {0};
	peer_open(&runtime, api);
	static char out[2048], request[4096];
	for (;;) {
		int n = snprintf(request, sizeof(request), "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: %s\r\n\r\n", runtime.host);
		peer_send(&runtime, request, (size_t)n);
		struct reply event = peer_receive(&runtime);
		if (event.status != 200)
			fail("no event");
		char id[64];
		header_of(&event, "Lambda-Runtime-Aws-Request-Id", id, sizeof(id));
		/* A connection may not survive a freeze of hours: each event opens its own. */
		peer_open(&store, endpoint + 7);
		char *text = strndup(event.body, event.length);
		int result = answer(&store, text, out, sizeof(out));
		free(text);
		close(store.fd);
		n = snprintf(request, sizeof(request), "POST /2018-06-01/runtime/invocation/%s/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n\r\n%s", id,
			     result ? "error" : "response", runtime.host, strlen(out), out);
		peer_send(&runtime, request, (size_t)n);
		peer_receive(&runtime);
	}
}
