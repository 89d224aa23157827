/* What EventBridge is told of objects, where their bucket asks for it, in the transaction that makes or removes them; and the
 * setting. */
#include "aws/events/events.h"
#include "aws/s3/access.h"
#include "aws/s3/bucket.h"

enum { DETAIL_MAX = 16384 };

int s3_get_bucket_notification_configuration(struct call *c, const struct s3_get_bucket_notification_configuration_request *in,
                                             struct s3_notification_configuration *out)
{
	const struct state_s3_bucket *b = s3_bucket_open(c, in->bucket, in->expected_bucket_owner);
	if (!b)
		return CALL_FAIL;
	if (b->events.v)
		out->event_bridge_configuration = arena_new(c->arena, struct s3_event_bridge_configuration);
	return CALL_OK;
}

int s3_put_bucket_notification_configuration(struct call *c, const struct s3_put_bucket_notification_configuration_request *in,
                                             struct model_none *out)
{
	const struct s3_notification_configuration *n = in->notification_configuration;
	struct state_s3_bucket b;
	(void)out;
	if (bucket_change(c, in->bucket, &b) != CALL_OK)
		return CALL_FAIL;
	if (n && (n->topic_configurations.n || n->queue_configurations.n || n->lambda_function_configurations.n))
		return s3_unsupported(c, "notifications to queues, topics and functions");
	b.events = OPT_BOOL(n && n->event_bridge_configuration);
	bucket_put(c, in->bucket, &b);
	return CALL_OK;
}

/* --- events */

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

static const char *deletion_of(const struct state_s3_bucket *b, const struct object_removal *gone, bool by_version)
{
	return gone->marker && !by_version && str_set(b->versioning) ? "Delete Marker Created" : "Permanently Deleted";
}

void object_tell_removed(struct call *c, const struct state_s3_bucket *b, struct str bucket, struct str key,
                         const struct object_removal *gone, bool version)
{
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
