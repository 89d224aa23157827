/* A batch of a flow log's lines on its way out. Log groups are written as the flow log's role, which the service of flow logs has
 * to be allowed to assume; buckets as the service of deliveries, which their policies have to let in. Both go through the gate like
 * everybody. How it went is seen in the flow log's record. */
#include "aws/ec2/flow/flow_log.h"

#include "aws/ec2/desk.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "gen/logs.h"
#include "gen/s3.h"
#include "gen/sts.h"

#include <stdlib.h>
#include <zlib.h>

enum { EVENTS_MAX = 5000, EVENT_BYTES_MAX = 900000, EVENT_EXTRA = 26, GZIP_BITS = 15 + 16 };

struct delivery {
	struct ec2_state *ec2;
	struct arena arena;
	struct str account, region, flow_log, role, group, stream, bucket, key;
	struct flow_line *lines;
	size_t count, sent, sending;
	struct str file; /* buckets: what is in it, packed */
	const struct principal *as;
	bool tried_group;
	const char *error; /* NULL: it went well */
};

const struct principal *flow_delivery_principal(struct str account, struct str region)
{
	struct principal *p = principal_new(PRINCIPAL_SERVICE, account);
	p->name = p->arn = p->user_id = S("delivery.logs.amazonaws.com");
	p->issuer_arn = ARENA_CAT(&p->arena, S("arn:aws:logs:"), region, S(":"), account, S(":*"));
	return p;
}

/* --- the end, in the flow log's record */

static void edit_status(const struct ec2_scope *s, void *ctx)
{
	const struct delivery *d = ctx;
	struct ec2_flow_log f;
	struct str status = d->error ? S("FAILED") : S("SUCCESS"), message = d->error ? str_from(d->error) : STR_NONE;
	if (!ec2_find(s, &ec2_kind_flow_log, d->flow_log, &f) ||
	    (str_eq(f.deliver_logs_status, status) && str_eq(f.deliver_logs_error_message, message)))
		return;
	f.deliver_logs_status = status;
	f.deliver_logs_error_message = message;
	ec2_put(s, &ec2_kind_flow_log, d->flow_log, &f);
}

static void delivery_free(void *ctx)
{
	struct delivery *d = ctx;
	if (d->as)
		principal_unref(d->as);
	arena_done(&d->arena);
	free(d);
}

/* What somebody refused is an access error in AWS's words; what we could not do is unknown. */
static void ended(struct delivery *d, const struct call *sub)
{
	if (sub && str_set(sub->error.code)) {
		d->error = sub->error.receiver ? "Unknown error" : "Access error";
		if (sub->error.receiver)
			log_warn("flow logs: %.*s: %.*s", STR_ARG(sub->error.code), STR_ARG(sub->error.message));
	}
	if (d->ec2->desk)
		desk_edit(d->ec2->desk, d->account, d->region, edit_status, delivery_free, d);
	else
		delivery_free(d);
}

/* --- log groups */

static void put_events(struct delivery *d);

static void put_done(void *ctx, struct call *sub)
{
	struct delivery *d = ctx;
	d->sent += d->sending;
	if (str_set(sub->error.code) || d->sent == d->count)
		ended(d, sub);
	else
		put_events(d);
}

static void put_events(struct delivery *d)
{
	struct arena CLEAN_ARENA a = {0};
	struct logs_put_log_events_request in = {.log_group_name = d->group, .log_stream_name = d->stream};
	size_t bytes = 0;
	d->sending = 0;
	while (d->sent + d->sending < d->count && d->sending < EVENTS_MAX) {
		const struct flow_line *l = &d->lines[d->sent + d->sending];
		bytes += l->text.n + EVENT_EXTRA;
		if (bytes > EVENT_BYTES_MAX && d->sending)
			break;
		struct logs_input_log_event *e = LIST_ADD(&a, &in.log_events);
		e->timestamp = OPT_INT(l->ms);
		e->message = l->text;
		d->sending++;
	}
	call_op(d->ec2->cloud, d->as, d->region, &logs_api, "PutLogEvents", &in, put_done, d);
}

static void stream_made(void *ctx, struct call *sub);

static void make_stream(struct delivery *d)
{
	struct logs_create_log_stream_request in = {.log_group_name = d->group, .log_stream_name = d->stream};
	call_op(d->ec2->cloud, d->as, d->region, &logs_api, "CreateLogStream", &in, stream_made, d);
}

static void group_made(void *ctx, struct call *sub)
{
	if (str_set(sub->error.code) && !str_is(sub->error.code, "ResourceAlreadyExistsException"))
		ended(ctx, sub);
	else
		make_stream(ctx);
}

static void stream_made(void *ctx, struct call *sub)
{
	struct delivery *d = ctx;
	struct logs_create_log_group_request in = {.log_group_name = d->group};
	if (str_is(sub->error.code, "ResourceNotFoundException") && !d->tried_group) {
		d->tried_group = true;
		call_op(d->ec2->cloud, d->as, d->region, &logs_api, "CreateLogGroup", &in, group_made, d);
	} else if (str_set(sub->error.code) && !str_is(sub->error.code, "ResourceAlreadyExistsException")) {
		ended(d, sub);
	} else {
		put_events(d);
	}
}

static void assumed(void *ctx, struct call *sub)
{
	struct delivery *d = ctx;
	const struct sts_assume_role_response *out = sub->out;
	struct identity_source *source = &d->ec2->cloud->identity;
	struct credential found = {0};
	if (str_set(sub->error.code) || !out->credentials) {
		ended(d, sub);
		return;
	}
	if (source->find_key(source->ctx, out->credentials->access_key_id, out->credentials->session_token, clock_wall_ms(),
	                     &found) != KEY_GOOD) {
		d->error = "Access error";
		ended(d, NULL);
		return;
	}
	d->as = found.principal;
	make_stream(d);
}

static void to_group(struct delivery *d)
{
	struct sts_assume_role_request in = {
	        .role_arn = d->role, .role_session_name = d->flow_log, .duration_seconds = OPT_INT(900)};
	struct principal *self = principal_new(PRINCIPAL_SERVICE, d->account);
	self->name = self->arn = self->user_id = S("vpc-flow-logs.amazonaws.com");
	self->issuer_arn =
	        ARENA_CAT(&self->arena, S("arn:aws:ec2:"), d->region, S(":"), d->account, S(":vpc-flow-log/"), d->flow_log);
	call_op(d->ec2->cloud, self, d->region, &sts_api, "AssumeRole", &in, assumed, d);
	principal_unref(self);
}

/* --- buckets */

static void object_put(void *ctx, struct call *sub)
{
	ended(ctx, sub);
}

static void packed(void *ctx)
{
	struct delivery *d = ctx;
	struct s3_put_object_request in = {.bucket = d->bucket,
	                                   .key = d->key,
	                                   .acl = S("bucket-owner-full-control"),
	                                   .content_type = S("application/octet-stream"),
	                                   .content_encoding = S("gzip")};
	if (!d->file.n) {
		d->error = "Unknown error";
		ended(d, NULL);
		return;
	}
	d->as = flow_delivery_principal(d->account, d->region);
	call_op_body(d->ec2->cloud, d->as, d->region, &s3_api, "PutObject", &in, d->file, object_put, d);
}

/* On a thread: all lines, the head first, as gzip has them. */
static void pack(void *ctx)
{
	struct delivery *d = ctx;
	z_stream z = {0};
	size_t bytes = 0;
	for (size_t i = 0; i < d->count; i++)
		bytes += d->lines[i].text.n + 1;
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_BITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return;
	size_t room = deflateBound(&z, bytes) + 32;
	char *to = arena_alloc(&d->arena, room);
	z.next_out = (unsigned char *)to;
	z.avail_out = (unsigned)room;
	int said = Z_OK;
	for (size_t i = 0; i < d->count && said == Z_OK; i++) {
		z.next_in = (unsigned char *)(uintptr_t)d->lines[i].text.p;
		z.avail_in = (unsigned)d->lines[i].text.n;
		said = deflate(&z, Z_NO_FLUSH);
		z.next_in = (unsigned char *)(uintptr_t) "\n";
		z.avail_in = 1;
		if (said == Z_OK)
			said = deflate(&z, Z_NO_FLUSH);
	}
	if (said == Z_OK && deflate(&z, Z_FINISH) == Z_STREAM_END)
		d->file = str_of(to, room - z.avail_out);
	deflateEnd(&z);
}

static struct str two(struct arena *a, struct str hive, struct str name, struct str value)
{
	return hive.n ? ARENA_CAT(a, name, S("="), value, S("/")) : ARENA_CAT(a, value, S("/"));
}

/* [prefix/]AWSLogs/ACCOUNT/vpcflowlogs/REGION/2024/01/31/[23/]ACCOUNT_vpcflowlogs_REGION_fl-..._20240131T2355Z_12345678.log.gz */
static struct str object_key(struct delivery *d, const struct ec2_flow_log *f, struct str prefix)
{
	struct arena *a = &d->arena;
	const struct ec2_destination_options_response *o = f->destination_options;
	struct str hive = o && o->hive_compatible_partitions.v ? S("y") : S("");
	struct str now = time_format(a, clock_wall_ms(), TIME_ISO8601); /* 2024-01-31T23:55:00Z */
	struct str year = str_sub(now, 0, 4), month = str_sub(now, 5, 2), day = str_sub(now, 8, 2), hour = str_sub(now, 11, 2);
	struct str head =
	        ARENA_CAT(a, prefix, prefix.n ? S("/") : S(""), S("AWSLogs/"), two(a, hive, S("aws-account-id"), d->account),
	                  two(a, hive, S("aws-service"), S("vpcflowlogs")), two(a, hive, S("aws-region"), d->region));
	struct str when = ARENA_CAT(a, two(a, hive, S("year"), year), two(a, hive, S("month"), month), two(a, hive, S("day"), day),
	                            o && o->per_hour_partition.v ? two(a, hive, S("hour"), hour) : S(""));
	return ARENA_CAT(a, head, when, d->account, S("_vpcflowlogs_"), d->region, S("_"), d->flow_log, S("_"), year, month, day,
	                 S("T"), hour, str_sub(now, 14, 2), S("Z_"), id_hex(a, 8), S(".log.gz"));
}

void flow_deliver(struct ec2_state *s, const struct flow_batch *b)
{
	struct delivery *d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	struct arena *a = &d->arena;
	struct str prefix, to = ec2_flow_destination(b->log, &prefix);
	bool bucket = str_is(b->log->log_destination_type, "s3");
	d->ec2 = s;
	d->account = arena_dup(a, b->account);
	d->region = arena_dup(a, b->region);
	d->flow_log = arena_dup(a, b->flow_log);
	d->lines = arena_array(a, b->count + 1, sizeof(*d->lines));
	if (bucket)
		d->lines[d->count++].text = flow_format_head(a, b->log->log_format);
	for (size_t i = 0; i < b->count; i++)
		d->lines[d->count++] = (struct flow_line){arena_dup(a, b->lines[i].text), b->lines[i].ms};
	if (bucket) {
		d->bucket = arena_dup(a, to);
		d->key = object_key(d, b->log, prefix);
		work_add(s->cloud->work, pack, packed, d);
		return;
	}
	struct str traffic = str_is(b->log->traffic_type, "ALL")      ? S("all")
	                     : str_is(b->log->traffic_type, "ACCEPT") ? S("accept")
	                                                              : S("reject");
	d->group = arena_dup(a, to);
	d->role = arena_dup(a, b->log->deliver_logs_permission_arn);
	d->stream = ARENA_CAT(a, b->interface, S("-"), traffic);
	to_group(d);
}
