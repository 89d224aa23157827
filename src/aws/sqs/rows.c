/* Names, URLs and ARNs of queues, and their records. */
#include "sqs.h"

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct sqs_state *sqs_state(const struct call *c)
{
	return cloud_state(c->cloud, &sqs_service);
}

int sqs_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "InvalidParameterValue", 400, "%.*s", STR_ARG(text));
}

int sqs_missing(struct call *c, const char *parameter)
{
	return call_fail(c, "MissingParameter", 400, "The request must contain the parameter %s.", parameter);
}

int sqs_no_queue(struct call *c)
{
	return call_fail(c, "QueueDoesNotExist", 400, "The specified queue does not exist.");
}

/* --- names */

static bool is_account(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_digit(s.p[i]))
			return false;
	return s.n == 12;
}

/* The last two parts of a path are account and name; a slash may follow. */
static bool read_path(struct str path, struct sqs_name *ret)
{
	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	ptrdiff_t at = str_rfind_char(path, '/');
	if (at <= 0)
		return false;
	struct str name = str_from_at(path, (size_t)at + 1), before = str_sub(path, 0, (size_t)at);
	ptrdiff_t slash = str_rfind_char(before, '/');
	struct str account = str_from_at(before, (size_t)(slash + 1));
	if (!is_account(account) || !name.n)
		return false;
	*ret = (struct sqs_name){account, name};
	return true;
}

bool sqs_name_of_url(struct call *c, struct str url, struct sqs_name *ret)
{
	struct str path = url;
	if (!str_set(url)) {
		path = call_path(c);
		if (!str_set(path) || !read_path(path, ret)) {
			sqs_missing(c, "QueueUrl");
			return false;
		}
		return true;
	}
	ptrdiff_t scheme = str_find(url, S("://"));
	if (scheme > 0) {
		path = str_from_at(url, (size_t)scheme + 3);
		ptrdiff_t slash = str_find_char(path, '/');
		path = slash < 0 ? S("") : str_from_at(path, (size_t)slash);
	}
	if (read_path(path, ret))
		return true;
	call_fail(c, "InvalidAddress", 404, "The address %.*s is not valid for this endpoint.", STR_ARG(url));
	return false;
}

bool sqs_name_of_arn(struct str region, struct str arn, struct sqs_name *ret)
{
	struct str rest = arn, parts[6];
	for (int i = 0; i < 6; i++) {
		if (!str_set(rest))
			return false;
		parts[i] = str_cut(&rest, ':');
	}
	if (str_set(rest) || !str_is(parts[0], "arn") || !str_is(parts[2], "sqs") || !str_eq(parts[3], region) ||
	    !is_account(parts[4]) || !parts[5].n)
		return false;
	*ret = (struct sqs_name){parts[4], parts[5]};
	return true;
}

struct str sqs_arn(struct arena *a, struct str region, const struct sqs_name *at)
{
	return ARENA_CAT(a, S("arn:aws:sqs:"), region, S(":"), at->account, S(":"), at->name);
}

/* At the address by which the client reaches us: inside of a sandbox or a VPC it is another one than on this machine. */
struct str sqs_url(struct call *c, const struct sqs_name *at)
{
	struct str host = call_header(c, S("host")), begin = str_from(c->cloud->endpoint);
	if (str_set(host))
		begin = ARENA_CAT(c->arena, call_over_tls(c) ? S("https://") : S("http://"), host);
	return ARENA_CAT(c->arena, begin, S("/"), at->account, S("/"), at->name);
}

bool sqs_is_fifo(struct str name)
{
	return str_ends(name, S(".fifo"));
}

/* --- records */

struct str sqs_key(struct arena *a, struct str region, const struct sqs_name *at)
{
	return KEY(a, S("sqs"), S("queue"), at->account, region, at->name);
}

bool sqs_find(struct store_txn *t, struct arena *a, struct str region, const struct sqs_name *at, struct sqs_queue *ret)
{
	if (at->name.n > 80)
		return false;
	ret->at = *at;
	ret->key = sqs_key(a, region, at);
	if (!record_get(t, a, ret->key, SQS_ROW("Queue"), &ret->record))
		return false;
	ret->id = (uint64_t)ret->record.id.v;
	return true;
}

int sqs_get(struct call *c, struct str url, struct sqs_queue *ret)
{
	struct sqs_name at;
	if (!sqs_name_of_url(c, url, &at))
		return CALL_FAIL;
	return sqs_find(call_txn(c), c->arena, c->region, &at, ret) ? CALL_OK : sqs_no_queue(c);
}

void sqs_put(struct call *c, struct sqs_queue *q)
{
	record_put(call_txn(c), c->arena, q->key, SQS_ROW("Queue"), &q->record);
}

struct queue *sqs_messages(struct sqs_state *s, const struct sqs_queue *q, int64_t now_ms)
{
	struct queues *all = sqs_queues(s);
	bool fifo = sqs_is_fifo(q->at.name);
	const struct queue_settings settings = {
	        .fifo = fifo,
	        .dedup_by_group = fifo && str_is(sqs_attribute(q, "DeduplicationScope"), "messageGroup"),
	        .retention_ms = sqs_number(q, "MessageRetentionPeriod") * 1000,
	        .delay_ms = sqs_number(q, "DelaySeconds") * 1000,
	};
	return all ? queue_get(all, q->id, &settings, now_ms) : NULL;
}

struct queue *sqs_open(struct call *c, const struct sqs_queue *q)
{
	struct queue *messages = sqs_messages(sqs_state(c), q, c->now_ms);
	if (!messages)
		call_broken(c, "the store of messages cannot be opened");
	return messages;
}

/* --- waiting for the store of messages */

/* It lives until the call has ended and the store has answered, whichever comes last. */
struct sqs_wait {
	struct call *call; /* NULL: it has ended */
	call_resume_fn *then;
	bool waits, over;
	int result;
};

static void wait_let_go(struct call *c)
{
	struct sqs_wait *w = c->state;
	w->call = NULL;
	if (w->over)
		free(w);
}

struct sqs_wait *sqs_wait_new(struct call *c)
{
	struct sqs_wait *w = calloc(1, sizeof(*w));
	if (!w)
		die("out of memory (queues)");
	w->call = c;
	c->state = w;
	call_on_free(c, wait_let_go);
	return w;
}

void sqs_wait_done(void *ctx, int result)
{
	struct sqs_wait *w = ctx;
	w->over = true;
	w->result = result;
	if (!w->call)
		free(w);
	else if (w->waits)
		call_resume(w->call);
}

static void wait_gone(struct call *c)
{
	(void)c;
}

static int wait_over(struct call *c)
{
	const struct sqs_wait *w = c->state;
	if (w->result == -ENOSPC)
		return call_fail(c, "ServiceUnavailable", 503, "There is no room left for messages.");
	if (w->result < 0)
		return call_broken(c, "messages: %s", strerror(-w->result));
	return w->then ? w->then(c) : CALL_OK;
}

int sqs_wait(struct call *c, struct sqs_wait *w, call_resume_fn *then)
{
	w->then = then;
	if (w->over)
		return wait_over(c);
	w->waits = true;
	return call_wait(c, wait_over, wait_gone);
}
