/* What is told of objects, where their bucket asks for it, in the transaction that makes or removes them: to EventBridge, and by
 * notices to others (notify.h). */
#include "aws/events/events.h"
#include "aws/s3/access.h"
#include "aws/s3/bucket.h"
#include "aws/s3/notify.h"
#include "base/id.h"

enum { DETAIL_MAX = 16384 };

static void put(struct json_out *j, const char *key, struct str value)
{
	json_key(j, str_from(key));
	json_string(j, value);
}

struct news {
	const struct state_s3_bucket *b;
	struct str bucket, key;
	const char *type, *reason, *deletion; /* deletion: NULL: it is none */
	const struct state_s3_object *made;   /* NULL: it was removed */
	struct str version_id, request_id, requester, ip;
	int64_t now_ms;
};

static void put_object(struct json_out *j, struct arena *a, const struct news *n)
{
	json_key(j, S("object"));
	json_open(j, '{');
	put(j, "key", n->key);
	if (n->made) {
		json_key(j, S("size"));
		json_int(j, n->made->size.v);
		put(j, "etag", n->made->e_tag);
	}
	if (str_set(n->version_id) && str_set(n->b->versioning))
		put(j, "version-id", n->version_id);
	put(j, "sequencer", arena_printf(a, "%016llX", (unsigned long long)(n->made ? n->made->seq.v : n->now_ms * 1000)));
	json_close(j, '}');
}

static void tell(struct store_txn *t, struct arena *a, const struct news *n)
{
	struct buf CLEAN_BUF b = {0};
	if (!events_heard(n->b->account, n->b->region))
		return;
	buf_init(&b, DETAIL_MAX);
	struct json_out j = json_out(&b);
	json_open(&j, '{');
	put(&j, "version", S("0"));
	json_key(&j, S("bucket"));
	json_open(&j, '{');
	put(&j, "name", n->bucket);
	json_close(&j, '}');
	put_object(&j, a, n);
	if (str_set(n->request_id))
		put(&j, "request-id", n->request_id);
	put(&j, "requester", n->requester);
	if (str_set(n->ip))
		put(&j, "source-ip-address", n->ip);
	put(&j, "reason", str_from(n->reason));
	if (n->deletion)
		put(&j, "deletion-type", str_from(n->deletion));
	json_close(&j, '}');
	const struct events_news news = {.account = n->b->account,
	                                 .region = n->b->region,
	                                 .source = S("aws.s3"),
	                                 .type = str_from(n->type),
	                                 .resource = ARENA_CAT(a, S("arn:aws:s3:::"), n->bucket),
	                                 .detail = arena_dup(a, buf_str(&b)),
	                                 .at_ms = n->now_ms};
	events_tell(t, a, &news);
}

void object_tell_created(struct call *c, const struct state_s3_bucket *b, struct str bucket, struct str key,
                         const struct state_s3_object *o, const char *reason)
{
	static const char *const events[][2] = {{"PutObject", "s3:ObjectCreated:Put"},
	                                        {"POST Object", "s3:ObjectCreated:Post"},
	                                        {"CopyObject", "s3:ObjectCreated:Copy"},
	                                        {"CompleteMultipartUpload", "s3:ObjectCreated:CompleteMultipartUpload"}};
	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
		if (strcmp(reason, events[i][0]) == 0)
			object_tell_changed(c, b, bucket, key, o, events[i][1]);
	if (!b->events.v)
		return;
	tell(call_txn(c), c->arena,
	     &(struct news){.b = b,
	                    .bucket = bucket,
	                    .key = key,
	                    .type = "Object Created",
	                    .reason = reason,
	                    .made = o,
	                    .version_id = o->version_id,
	                    .request_id = c->request_id,
	                    .requester = c->caller->account,
	                    .ip = c->http ? call_source_ip(c) : STR_NONE,
	                    .now_ms = c->now_ms});
}

void object_tell_changed(struct call *c, const struct state_s3_bucket *b, struct str bucket, struct str key,
                         const struct state_s3_object *o, const char *event)
{
	if (b->notification)
		notify_tell(call_txn(c), c->arena,
		            &(struct notice){.b = b,
		                             .bucket = bucket,
		                             .key = key,
		                             .event = event,
		                             .made = o,
		                             .version_id = o->version_id,
		                             .principal = ARENA_CAT(c->arena, S("AWS:"), c->caller->user_id),
		                             .ip = c->http ? call_source_ip(c) : S("127.0.0.1"),
		                             .request_id = c->request_id,
		                             .now_ms = c->now_ms});
}

static const char *deletion_of(const struct state_s3_bucket *b, const struct object_removal *gone, bool by_version)
{
	return gone->marker && !by_version && str_set(b->versioning) ? "Delete Marker Created" : "Permanently Deleted";
}

void object_tell_removed(struct call *c, const struct state_s3_bucket *b, struct str bucket, struct str key,
                         const struct object_removal *gone, bool version)
{
	bool marker = gone->marker && !version && str_set(b->versioning);
	if (b->notification && (gone->found || marker))
		notify_tell(call_txn(c), c->arena,
		            &(struct notice){.b = b,
		                             .bucket = bucket,
		                             .key = key,
		                             .event = marker ? "s3:ObjectRemoved:DeleteMarkerCreated" : "s3:ObjectRemoved:Delete",
		                             .version_id = gone->version_id,
		                             .principal = ARENA_CAT(c->arena, S("AWS:"), c->caller->user_id),
		                             .ip = c->http ? call_source_ip(c) : S("127.0.0.1"),
		                             .request_id = c->request_id,
		                             .now_ms = c->now_ms});
	if (!b->events.v || !gone->found)
		return;
	tell(call_txn(c), c->arena,
	     &(struct news){.b = b,
	                    .bucket = bucket,
	                    .key = key,
	                    .type = "Object Deleted",
	                    .reason = "DeleteObject",
	                    .deletion = deletion_of(b, gone, version),
	                    .version_id = gone->version_id,
	                    .request_id = c->request_id,
	                    .requester = c->caller->account,
	                    .ip = c->http ? call_source_ip(c) : STR_NONE,
	                    .now_ms = c->now_ms});
}

void object_tell_expired(struct store_txn *t, struct arena *a, const struct state_s3_bucket *b, struct str bucket, struct str key,
                         const struct object_removal *gone, bool version, int64_t now_ms)
{
	bool marker = gone->marker && !version && str_set(b->versioning);
	if (b->notification && (gone->found || marker))
		notify_tell(t, a,
		            &(struct notice){.b = b,
		                             .bucket = bucket,
		                             .key = key,
		                             .event = marker ? "s3:LifecycleExpiration:DeleteMarkerCreated"
		                                             : "s3:LifecycleExpiration:Delete",
		                             .version_id = gone->version_id,
		                             .principal = S("s3.amazonaws.com"),
		                             .ip = S("s3.amazonaws.com"),
		                             .request_id = id_uuid(a),
		                             .now_ms = now_ms});
	if (!b->events.v || !gone->found)
		return;
	tell(t, a,
	     &(struct news){.b = b,
	                    .bucket = bucket,
	                    .key = key,
	                    .type = "Object Deleted",
	                    .reason = "Lifecycle Expiration",
	                    .deletion = deletion_of(b, gone, version),
	                    .version_id = gone->version_id,
	                    .requester = S("s3.amazonaws.com"),
	                    .now_ms = now_ms});
}
