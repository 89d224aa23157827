/* Which metrics a request counts for is decided when its reply is known; they are put when the last byte of that has left this
 * process, or nobody is there any more to take it. Until then they lie with the request. */
#include "aws/s3/metrics.h"

#include "aws/cloudwatch/cloudwatch.h"
#include "aws/s3/cors.h"
#include "base/clock.h"
#include "core/listen.h"
#include "engine/metrics/metrics.h"

enum { VALUES_MAX = 12, RESOLUTION_S = 60 };

struct measured {
	const char *name, *unit;
	double value;
};

/* In the request's arena. */
struct measurement {
	struct cloud *cloud;
	struct str account, region, bucket;
	struct str_list filters; /* ids */
	struct measured v[VALUES_MAX];
	unsigned n;
	int64_t started_us; /* 0: how long it takes is not asked */
};

static void note(struct measurement *m, const char *name, const char *unit, double value)
{
	m->v[m->n++] = (struct measured){name, unit, value};
}

static void put(const struct measurement *m, const struct measured *what)
{
	struct metric_dimension by[] = {{S("BucketName"), m->bucket}, {S("FilterId"), STR_NONE}};
	const struct metric metric = {m->account, m->region, S("AWS/S3"), str_from(what->name), str_from(what->unit), by, 2};
	for (uint32_t i = 0; i < m->filters.n; i++) {
		by[1].value = m->filters.v[i];
		cloudwatch_publish(m->cloud, &metric, clock_wall_ms(), RESOLUTION_S, &(struct metric_value){what->value, 1}, 1);
	}
}

static void done(void *ctx)
{
	struct measurement *m = ctx;
	if (m->started_us)
		note(m, "TotalRequestLatency", "Milliseconds", (double)(clock_mono_us() - m->started_us) / 1e3);
	for (unsigned i = 0; i < m->n; i++)
		put(m, &m->v[i]);
}

/* The ids of the bucket's filters that fit. Tags are those that the object has now: one that is gone has none. */
static struct str_list filters_of(struct call *c, const struct state_s3_bucket *b, struct str bucket, struct str key)
{
	struct str_list ids = {0};
	struct state_s3_object o = {0};
	bool looked = false;
	for (uint32_t i = 0; i < b->metrics.n; i++) {
		const struct s3_metrics_configuration *k = &b->metrics.v[i];
		if (str_set(key) && !looked && metrics_filter_tags(k->filter)) {
			struct store_txn *t = store_begin(c->cloud->store, c->arena);
			object_get(t, c->arena, bucket, key, &o);
			store_abort(t);
			looked = true;
		}
		if (metrics_filter_fits(k->filter, key, &o.tags))
			*LIST_ADD(c->arena, &ids) = arena_dup(c->arena, k->id);
	}
	return ids;
}

static const struct state_s3_bucket *bucket_of(struct call *c, struct str name, struct state_s3_bucket *room)
{
	const struct state_s3_bucket *seen = bucket_seen(s3_state(c), name);
	if (seen || !s3_bucket_name_valid(name))
		return seen;
	struct store_txn *t = store_begin(c->cloud->store, c->arena);
	bool there = bucket_load(t, c->arena, name, room);
	store_abort(t);
	return there ? room : NULL;
}

/* NULL: no filter of the bucket is for this. */
static struct measurement *begin(struct call *c, struct str bucket, struct str key)
{
	struct state_s3_bucket room = {0};
	const struct state_s3_bucket *b = str_set(bucket) && bucket.n ? bucket_of(c, bucket, &room) : NULL;
	struct str_list filters = {0};
	if (!b || !b->metrics.n || !(filters = filters_of(c, b, bucket, key)).n)
		return NULL;
	struct measurement *m = arena_new(c->arena, struct measurement);
	*m = (struct measurement){.cloud = c->cloud,
	                          .account = arena_dup(c->arena, b->account),
	                          .region = arena_dup(c->arena, b->region),
	                          .bucket = arena_dup(c->arena, bucket),
	                          .filters = filters};
	return m;
}

/* Every request is of one kind at most; what asks for a setting of a bucket is of none. */
static const char *kind_of(const struct call *c, bool object)
{
	struct str method = listen_method(c->http), name = c->op ? api_text(&s3_api, c->op->name) : S("");
	if (str_starts(name, S("List")))
		return "ListRequests";
	if (str_is(name, "DeleteObjects") || (object && str_is(method, "DELETE")))
		return "DeleteRequests";
	return str_is(method, "HEAD")            ? "HeadRequests"
	       : str_is(method, "POST")          ? "PostRequests"
	       : object && str_is(method, "GET") ? "GetRequests"
	       : object && str_is(method, "PUT") ? "PutRequests"
	                                         : NULL;
}

/* A copy is a request to read its source, too. */
static void measure_source(struct call *c)
{
	struct s3_source source;
	struct str header = call_header(c, S("x-amz-copy-source"));
	if (!str_set(header) || !s3_source_parse(c->arena, header, &source))
		return;
	struct measurement *m = begin(c, source.bucket, source.key);
	if (!m)
		return;
	note(m, "GetRequests", "Count", 1);
	done(m);
}

void metrics_measure_request(struct call *c)
{
	if (!c->http || !c->cloud->metrics)
		return;
	struct s3_names_of_path names = s3_request_names(c);
	struct measurement *m = begin(c, names.bucket, names.key);
	struct call_facts f = call_facts(c);
	if (c->op && str_is(api_text(&s3_api, c->op->name), "CopyObject"))
		measure_source(c);
	if (!m)
		return;
	const char *kind = kind_of(c, str_set(names.key));
	note(m, "AllRequests", "Count", 1);
	if (kind)
		note(m, kind, "Count", 1);
	note(m, "4xxErrors", "Count", f.status / 100 == 4);
	note(m, "5xxErrors", "Count", f.status / 100 == 5);
	if (f.bytes_in)
		note(m, "BytesUploaded", "Bytes", (double)f.bytes_in);
	if (f.bytes_out)
		note(m, "BytesDownloaded", "Bytes", (double)f.bytes_out);
	note(m, "FirstByteLatency", "Milliseconds", (double)(clock_mono_us() - f.received_us) / 1e3);
	m->started_us = f.started_us;
	listen_on_done(c->http, done, m);
}
