/* The same report as a custom runtime in C: it speaks the Lambda Runtime API and signs its own requests to S3 (AWS signature version 4), over
 * plain sockets; OpenSSL's libcrypto does the digests. Build: cc -O2 -o bootstrap bootstrap.c -lcrypto */
#define _GNU_SOURCE
#include <netdb.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct text { char *p; size_t n, cap; };

static void fail(const char *what)
{
	fprintf(stderr, "report: %s\n", what);
	exit(1);
}

static void add(struct text *t, const void *p, size_t n)
{
	if (t->n + n + 1 > t->cap) {
		t->cap = (t->n + n + 1) * 2;
		t->p = realloc(t->p, t->cap);
		if (!t->p)
			fail("out of memory");
	}
	memcpy(t->p + t->n, p, n);
	t->n += n;
	t->p[t->n] = '\0';
}

__attribute__((format(printf, 2, 3))) static void addf(struct text *t, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	add(t, line, n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

/* --- HTTP/1.1, one kept-alive connection a host */

struct connection { char host[128], port[8]; int fd; };
struct reply { int status; struct text head, body; };

static void connection_open(struct connection *c)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	if (getaddrinfo(c->host, c->port, &hints, &found) != 0)
		fail("cannot resolve a host");
	c->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, found->ai_addr, found->ai_addrlen) < 0)
		fail("cannot connect");
	freeaddrinfo(found);
}

static struct connection connection_to(const char *host_port)
{
	struct connection c = {.fd = -1};
	if (sscanf(host_port, "%127[^:]:%7[0-9]", c.host, c.port) != 2)
		fail("an address without a port");
	return c;
}

static bool header(const struct reply *r, const char *name, char *out, size_t cap)
{
	size_t n = strlen(name);
	for (char *line = r->head.p; line && *line; line = strstr(line, "\r\n"), line = line ? line + 2 : NULL)
		if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
			char *value = line + n + 1 + strspn(line + n + 1, " ");
			snprintf(out, cap, "%.*s", (int)strcspn(value, "\r\n"), value);
			return true;
		}
	return false;
}

static void exchange(struct connection *c, const struct text *head, const void *body, size_t n, struct reply *r)
{
	char piece[65536], length[32];
	if (c->fd < 0)
		connection_open(c);
	struct text out = {0};
	add(&out, head->p, head->n);
	add(&out, body, n);
	for (size_t sent = 0; sent < out.n;) {
		ssize_t k = send(c->fd, out.p + sent, out.n - sent, MSG_NOSIGNAL);
		if (k <= 0)
			fail("the connection broke");
		sent += (size_t)k;
	}
	free(out.p);
	r->head.n = r->body.n = 0;
	char *end = NULL;
	while (!end) {
		ssize_t k = recv(c->fd, piece, sizeof(piece), 0);
		if (k <= 0)
			fail("the connection broke");
		add(&r->head, piece, (size_t)k);
		end = strstr(r->head.p, "\r\n\r\n");
	}
	size_t head_n = (size_t)(end + 4 - r->head.p), want = 0;
	add(&r->body, r->head.p + head_n, r->head.n - head_n);
	r->head.p[head_n] = '\0';
	r->status = atoi(r->head.p + sizeof("HTTP/1.1"));
	if (header(r, "content-length", length, sizeof(length)))
		want = strtoul(length, NULL, 10);
	while (r->body.n < want) {
		ssize_t k = recv(c->fd, piece, sizeof(piece), 0);
		if (k <= 0)
			fail("the connection broke");
		add(&r->body, piece, (size_t)k);
	}
}

/* --- AWS signature version 4 */

static void sha256_hex(const void *p, size_t n, char out[65])
{
	unsigned char digest[32];
	EVP_Digest(p, n, digest, NULL, EVP_sha256(), NULL);
	for (int i = 0; i < 32; i++)
		sprintf(out + 2 * i, "%02x", digest[i]);
}

static void hmac(unsigned char key[64], unsigned *key_n, const char *text)
{
	unsigned char out[64];
	unsigned n = sizeof(out);
	HMAC(EVP_sha256(), key, (int)*key_n, (const unsigned char *)text, strlen(text), out, &n);
	memcpy(key, out, n);
	*key_n = n;
}

static void s3(struct connection *c, const char *method, const char *bucket, const char *key, const struct text *body, struct reply *r)
{
	const char *region = getenv("AWS_REGION"), *id = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY"),
		   *token = getenv("AWS_SESSION_TOKEN");
	char when[32], day[16], scope[128], hash[65], canonical_hash[65];
	time_t now = time(NULL);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", gmtime(&now));
	snprintf(day, sizeof(day), "%.8s", when);
	snprintf(scope, sizeof(scope), "%s/%s/s3/aws4_request", day, region);
	sha256_hex(body ? body->p : "", body ? body->n : 0, hash);
	static const char signed_headers[] = "host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
	struct text canonical = {0}, head = {0};
	addf(&canonical, "%s\n/%s/%s\n\nhost:%s:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\nx-amz-security-token:", method, bucket, key, c->host, c->port, hash, when);
	add(&canonical, token, strlen(token));
	addf(&canonical, "\n\n%s\n%s", signed_headers, hash);
	sha256_hex(canonical.p, canonical.n, canonical_hash);
	struct text to_sign = {0};
	addf(&to_sign, "AWS4-HMAC-SHA256\n%s\n%s\n%s", when, scope, canonical_hash);
	unsigned char k[64];
	unsigned n = (unsigned)snprintf((char *)k, sizeof(k), "AWS4%s", secret);
	hmac(k, &n, day);
	hmac(k, &n, region);
	hmac(k, &n, "s3");
	hmac(k, &n, "aws4_request");
	hmac(k, &n, to_sign.p);
	addf(&head, "%s /%s/%s HTTP/1.1\r\nHost: %s:%s\r\nContent-Length: %zu\r\nx-amz-content-sha256: %s\r\nx-amz-date: %s\r\n", method, bucket, key, c->host, c->port,
	     body ? body->n : 0, hash, when);
	addf(&head, "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=", id, scope, signed_headers);
	for (unsigned i = 0; i < n; i++)
		addf(&head, "%02x", k[i]);
	addf(&head, "\r\nx-amz-security-token: ");
	add(&head, token, strlen(token));
	addf(&head, "\r\n\r\n");
	exchange(c, &head, body ? body->p : "", body ? body->n : 0, r);
	free(canonical.p);
	free(to_sign.p);
	free(head.p);
}

/* --- the report */

enum { GROUPS_MAX = 1024, PRODUCTS_MAX = 256 };
struct group { char key[32]; long orders, units, cents; };
struct totals {
	struct group groups[GROUPS_MAX], products[PRODUCTS_MAX];
	int group_count, product_count;
	long orders, cents;
};

static struct group *group_of(struct group *all, int *count, int max, const char *key)
{
	for (int i = 0; i < *count; i++)
		if (strcmp(all[i].key, key) == 0)
			return &all[i];
	if (*count == max)
		fail("more groups than a report has room for");
	snprintf(all[*count].key, sizeof(all->key), "%s", key);
	return &all[(*count)++];
}

/* The next field of a line, ended where its separator stood. */
static char *field(char **at)
{
	char *begin = *at, *end = begin + strcspn(begin, ",\n");
	*at = *end ? end + 1 : end;
	*end = '\0';
	return begin;
}

static void add_up(char *csv, struct totals *t)
{
	char *at = strchr(csv, '\n'), key[32];
	at = at ? at + 1 : csv + strlen(csv);
	while (*at) {
		field(&at); /* the order's number */
		char *date = field(&at), *region = field(&at), *product = field(&at);
		long units = atol(field(&at)), price = atol(field(&at));
		snprintf(key, sizeof(key), "%.7s %.15s", date, region);
		struct group *g = group_of(t->groups, &t->group_count, GROUPS_MAX, key);
		g->orders++;
		g->units += units;
		g->cents += units * price;
		group_of(t->products, &t->product_count, PRODUCTS_MAX, product)->cents += units * price;
		t->orders++;
		t->cents += units * price;
	}
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct group *)a)->key, ((const struct group *)b)->key);
}

static int by_cents(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	return x->cents != y->cents ? (x->cents < y->cents ? 1 : -1) : strcmp(x->key, y->key);
}

static void write_report(struct totals *t, struct text *out)
{
	qsort(t->groups, (size_t)t->group_count, sizeof(*t->groups), by_key);
	qsort(t->products, (size_t)t->product_count, sizeof(*t->products), by_cents);
	addf(out, "{\"orders\":%ld,\"revenue_cents\":%ld,\"groups\":[", t->orders, t->cents);
	for (int i = 0; i < t->group_count; i++)
		addf(out, "%s{\"month\":\"%.7s\",\"region\":\"%s\",\"orders\":%ld,\"units\":%ld,\"revenue_cents\":%ld}", i ? "," : "", t->groups[i].key, t->groups[i].key + 8,
		     t->groups[i].orders, t->groups[i].units, t->groups[i].cents);
	addf(out, "],\"top_products\":[");
	for (int i = 0; i < t->product_count && i < 5; i++)
		addf(out, "%s{\"product\":\"%s\",\"revenue_cents\":%ld}", i ? "," : "", t->products[i].key, t->products[i].cents);
	addf(out, "]}");
}

/* --- the runtime: an event, an answer, and again */

/* The value of a string member; this function's events are flat and need no escapes. */
static bool event_text(const char *event, const char *name, char *out, size_t cap)
{
	char quoted[64];
	snprintf(quoted, sizeof(quoted), "\"%s\"", name);
	const char *at = strstr(event, quoted);
	at = at ? strchr(at + strlen(quoted), '"') : NULL;
	if (!at)
		return false;
	snprintf(out, cap, "%.*s", (int)strcspn(at + 1, "\""), at + 1);
	return true;
}

static bool handle(struct connection *storage, const char *event, struct text *answer)
{
	static struct totals t;
	static struct reply r;
	char bucket[128], key[256], report_key[256];
	struct text report = {0};
	if (!event_text(event, "bucket", bucket, sizeof(bucket)) || !event_text(event, "key", key, sizeof(key)) || !event_text(event, "report", report_key, sizeof(report_key))) {
		addf(answer, "{\"errorType\":\"Report.BadEvent\",\"errorMessage\":\"bucket, key and report are wanted\"}");
		return false;
	}
	s3(storage, "GET", bucket, key, NULL, &r);
	if (r.status != 200) {
		addf(answer, "{\"errorType\":\"Report.Read\",\"errorMessage\":\"S3 answered %d\"}", r.status);
		return false;
	}
	memset(&t, 0, sizeof(t));
	add_up(r.body.p, &t);
	write_report(&t, &report);
	s3(storage, "PUT", bucket, report_key, &report, &r);
	free(report.p);
	if (r.status != 200) {
		addf(answer, "{\"errorType\":\"Report.Write\",\"errorMessage\":\"S3 answered %d\"}", r.status);
		return false;
	}
	printf("%ld orders, %ld.%02ld in all\n", t.orders, t.cents / 100, t.cents % 100);
	fflush(stdout);
	addf(answer, "{\"orders\":%ld,\"revenue_cents\":%ld,\"best\":\"%s\"}", t.orders, t.cents, t.products[0].key);
	return true;
}

int main(void)
{
	const char *api = getenv("AWS_LAMBDA_RUNTIME_API"), *endpoint = getenv("AWS_ENDPOINT_URL");
	if (!api || !endpoint || strncmp(endpoint, "http://", 7) != 0)
		fail("AWS_LAMBDA_RUNTIME_API and AWS_ENDPOINT_URL are wanted");
	struct connection runtime = connection_to(api), storage = connection_to(endpoint + 7);
	struct reply event = {0}, done = {0};
	for (;;) {
		char id[64];
		struct text head = {0}, answer = {0};
		addf(&head, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: %s\r\n\r\n", api);
		exchange(&runtime, &head, "", 0, &event);
		if (event.status != 200 || !header(&event, "lambda-runtime-aws-request-id", id, sizeof(id)))
			fail("the Runtime API gave no event");
		bool good = handle(&storage, event.body.p, &answer);
		head.n = 0;
		addf(&head, "POST /2018-06-01/runtime/invocation/%s/%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n\r\n", id, good ? "response" : "error", api, answer.n);
		exchange(&runtime, &head, answer.p, answer.n, &done);
		free(head.p);
		free(answer.p);
	}
}
