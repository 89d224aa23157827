/* Events as queues, topics and functions get them, and the rows that say who is still to be told. */
#include "aws/s3/notify.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/rand.h"
#include "base/uri.h"

enum { EVENT_MAX = 16384 };

static void put(struct json_out *o, const char *key, struct str value)
{
	json_key(o, str_from(key));
	json_string(o, value);
}

static void put_principal(struct json_out *o, const char *key, struct str id)
{
	json_key(o, str_from(key));
	json_open(o, '{');
	put(o, "principalId", id);
	json_close(o, '}');
}

/* As in a form, but for slashes: consumers know it so. */
static struct str key_of(struct arena *a, struct str key)
{
	struct str coded = uri_encode(a, key, true);
	char *p = arena_dupz(a, coded);
	size_t n = 0;
	for (size_t i = 0; i < coded.n; i++) {
		bool space = coded.p[i] == '%' && coded.n - i > 2 && coded.p[i + 1] == '2' && coded.p[i + 2] == '0';
		p[n++] = space ? '+' : coded.p[i];
		i += space ? 2 : 0;
	}
	return str_of(p, n);
}

static void put_object(struct json_out *o, struct arena *a, const struct notice *n)
{
	json_key(o, S("object"));
	json_open(o, '{');
	put(o, "key", key_of(a, n->key));
	if (n->made && !n->made->delete_marker.v) {
		json_key(o, S("size"));
		json_int(o, n->made->size.v);
		put(o, "eTag", n->made->e_tag);
	}
	if (str_set(n->version_id) && str_set(n->b->versioning))
		put(o, "versionId", n->version_id);
	put(o, "sequencer", arena_printf(a, "%016lX", n->made ? n->made->seq.v : n->now_ms * 1000));
	json_close(o, '}');
}

/* Kinds that came later have newer versions of the format. */
static const char *version_of(const char *event)
{
	return str_starts(str_from(event), S("s3:ObjectCreated:")) || str_starts(str_from(event), S("s3:ObjectRemoved:")) ? "2.1"
	                                                                                                                  : "2.3";
}

static struct str event_of(struct arena *a, const struct notice *n, struct str id)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, EVENT_MAX);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("Records"));
	json_open(&o, '[');
	json_open(&o, '{');
	put(&o, "eventVersion", str_from(version_of(n->event)));
	put(&o, "eventSource", S("aws:s3"));
	put(&o, "awsRegion", n->b->region);
	put(&o, "eventTime", time_format(a, n->now_ms, TIME_ISO8601_MS));
	put(&o, "eventName", str_from_at(str_from(n->event), 3));
	put_principal(&o, "userIdentity", n->principal);
	json_key(&o, S("requestParameters"));
	json_open(&o, '{');
	put(&o, "sourceIPAddress", n->ip);
	json_close(&o, '}');
	json_key(&o, S("responseElements"));
	json_open(&o, '{');
	put(&o, "x-amz-request-id", n->request_id);
	put(&o, "x-amz-id-2", n->request_id);
	json_close(&o, '}');
	json_key(&o, S("s3"));
	json_open(&o, '{');
	put(&o, "s3SchemaVersion", S("1.0"));
	put(&o, "configurationId", id);
	json_key(&o, S("bucket"));
	json_open(&o, '{');
	put(&o, "name", n->bucket);
	put_principal(&o, "ownerIdentity", n->b->account);
	put(&o, "arn", ARENA_CAT(a, S("arn:aws:s3:::"), n->bucket));
	json_close(&o, '}');
	put_object(&o, a, n);
	json_close(&o, '}');
	json_close(&o, '}');
	json_close(&o, ']');
	json_close(&o, '}');
	return arena_dup(a, buf_str(&b));
}

void notify_tell(struct store_txn *t, struct arena *a, const struct notice *n)
{
	struct notify_rules rules;
	notify_rules(a, n->b->notification, &rules);
	for (uint32_t i = 0; i < rules.n; i++) {
		const struct notify_rule *r = &rules.v[i];
		if (!notify_matches(r, str_from(n->event), n->key))
			continue;
		const struct state_s3_told row = {
		        .account = n->b->account, .bucket = n->bucket, .target = r->arn, .body = event_of(a, n, *r->id)};
		struct str at = arena_printf(a, "%016lx-%016lx", n->now_ms, rand_u64());
		record_put(t, a, KEY(a, S("s3"), S("told"), at), &(const struct record_type){&state_s3_api, "Told"}, &row);
	}
}

struct str notify_test_event(struct call *c, struct str bucket)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, EVENT_MAX);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	put(&o, "Service", S("Amazon S3"));
	put(&o, "Event", S("s3:TestEvent"));
	put(&o, "Time", time_format(c->arena, c->now_ms, TIME_ISO8601_MS));
	put(&o, "Bucket", bucket);
	put(&o, "RequestId", c->request_id);
	put(&o, "HostId", c->request_id);
	json_close(&o, '}');
	return arena_dup(c->arena, buf_str(&b));
}
