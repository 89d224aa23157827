#include "sqs.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- what permissions are about */

static void about_queue(struct call *c, struct authz *az, const struct sqs_name *at)
{
	struct sqs_queue q;
	az->resource = sqs_arn(c->arena, c->region, at);
	az->resource_account = at->account;
	if (!sqs_find(call_txn(c), c->arena, c->region, at, &q))
		return;
	az->resource_policy = sqs_attribute(&q, "Policy");
	authz_add_tags(c, az, "aws:ResourceTag", &q.record.tags);
}

static int about_url(struct call *c, struct authz *az, struct str url)
{
	struct sqs_name at;
	if (!sqs_name_of_url(c, url, &at))
		return CALL_FAIL;
	about_queue(c, az, &at);
	return CALL_OK;
}

static int about_arn(struct call *c, struct authz *az, struct str arn)
{
	struct sqs_name at;
	if (sqs_name_of_arn(c->region, arn, &at))
		about_queue(c, az, &at);
	else
		az->resource = arn;
	return CALL_OK;
}

#define ABOUT(type, answer) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct sqs_##type##_request *in = input; \
		return answer; \
	}
ABOUT(add_permission, about_url(c, az, in->queue_url))
ABOUT(remove_permission, about_url(c, az, in->queue_url))
ABOUT(delete_queue, about_url(c, az, in->queue_url))
ABOUT(purge_queue, about_url(c, az, in->queue_url))
ABOUT(get_queue_attributes, about_url(c, az, in->queue_url))
ABOUT(set_queue_attributes, about_url(c, az, in->queue_url))
ABOUT(list_dead_letter_source_queues, about_url(c, az, in->queue_url))
ABOUT(untag_queue, about_url(c, az, in->queue_url))
ABOUT(list_queue_tags, about_url(c, az, in->queue_url))
ABOUT(send_message, about_url(c, az, in->queue_url))
ABOUT(send_message_batch, about_url(c, az, in->queue_url))
ABOUT(receive_message, about_url(c, az, in->queue_url))
ABOUT(delete_message, about_url(c, az, in->queue_url))
ABOUT(delete_message_batch, about_url(c, az, in->queue_url))
ABOUT(change_message_visibility, about_url(c, az, in->queue_url))
ABOUT(change_message_visibility_batch, about_url(c, az, in->queue_url))
ABOUT(start_message_move_task, about_arn(c, az, in->source_arn))
ABOUT(list_message_move_tasks, about_arn(c, az, in->source_arn))

static void add_request_tags(struct call *c, struct authz *az, const struct str_map *tags)
{
	authz_add_tags(c, az, "aws:RequestTag", tags);
	for (uint32_t i = 0; i < tags->n; i++)
		authz_add(c, az, "aws:TagKeys", tags->v[i].key);
}

static int about_create_queue(struct call *c, const void *input, struct authz *az)
{
	const struct sqs_create_queue_request *in = input;
	add_request_tags(c, az, &in->tags);
	about_queue(c, az, &(struct sqs_name){c->account, in->queue_name});
	return CALL_OK;
}

static int about_tag_queue(struct call *c, const void *input, struct authz *az)
{
	const struct sqs_tag_queue_request *in = input;
	add_request_tags(c, az, &in->tags);
	return about_url(c, az, in->queue_url);
}

static int about_get_queue_url(struct call *c, const void *input, struct authz *az)
{
	const struct sqs_get_queue_url_request *in = input;
	struct str owner = str_set(in->queue_owner_aws_account_id) ? in->queue_owner_aws_account_id : c->account;
	about_queue(c, az, &(struct sqs_name){owner, in->queue_name});
	return CALL_OK;
}

static int about_cancel_message_move_task(struct call *c, const void *input, struct authz *az)
{
	const struct sqs_cancel_message_move_task_request *in = input;
	struct str id, arn = sqs_source_of_task(c->arena, in->task_handle, &id);
	return about_arn(c, az, str_set(arn) ? arn : S("*"));
}

/* What its model requires, in the service's own words; all else is checked by who needs it. The queue may be in the path. */
static int check(struct call *c, const void *in)
{
	const struct shape *shape = operation_input(&sqs_api, c->op);
	for (uint32_t i = 0; shape && i < shape->members; i++) {
		const struct member *m = &sqs_api.members[shape->first_member + i];
		struct str name = api_text(&sqs_api, m->name);
		if ((m->flags & MEMBER_REQUIRED) && !str_is(name, "QueueUrl") && !str_is(name, "Entries") &&
		    !model_is_set(api_shape(&sqs_api, m->shape), (const char *)in + m->offset))
			return sqs_missing(c, arena_dupz(c->arena, name));
	}
	return CALL_OK;
}

/* --- the table */

static const struct service_op ops[] = {
        OP(sqs, add_permission, AddPermission, .resource = about_add_permission),
        OP(sqs, cancel_message_move_task, CancelMessageMoveTask, .resource = about_cancel_message_move_task),
        OP(sqs, change_message_visibility, ChangeMessageVisibility, .resource = about_change_message_visibility,
           .flags = OP_ANONYMOUS),
        OP(sqs, change_message_visibility_batch, ChangeMessageVisibilityBatch, .action = "sqs:ChangeMessageVisibility",
           .resource = about_change_message_visibility_batch, .flags = OP_ANONYMOUS),
        OP(sqs, create_queue, CreateQueue, .resource = about_create_queue),
        OP(sqs, delete_message, DeleteMessage, .resource = about_delete_message, .flags = OP_ANONYMOUS),
        OP(sqs, delete_message_batch, DeleteMessageBatch, .action = "sqs:DeleteMessage", .resource = about_delete_message_batch,
           .flags = OP_ANONYMOUS),
        OP(sqs, delete_queue, DeleteQueue, .resource = about_delete_queue),
        OP(sqs, get_queue_attributes, GetQueueAttributes, .resource = about_get_queue_attributes, .flags = OP_READ | OP_ANONYMOUS),
        OP(sqs, get_queue_url, GetQueueUrl, .resource = about_get_queue_url, .flags = OP_READ | OP_ANONYMOUS),
        OP(sqs, list_dead_letter_source_queues, ListDeadLetterSourceQueues, .resource = about_list_dead_letter_source_queues,
           .flags = OP_READ),
        OP(sqs, list_message_move_tasks, ListMessageMoveTasks, .resource = about_list_message_move_tasks, .flags = OP_READ),
        OP(sqs, list_queue_tags, ListQueueTags, .resource = about_list_queue_tags, .flags = OP_READ),
        OP(sqs, list_queues, ListQueues, .flags = OP_READ),
        OP(sqs, purge_queue, PurgeQueue, .resource = about_purge_queue),
        OP(sqs, receive_message, ReceiveMessage, .resource = about_receive_message, .flags = OP_ANONYMOUS),
        OP(sqs, remove_permission, RemovePermission, .resource = about_remove_permission),
        OP(sqs, send_message, SendMessage, .resource = about_send_message, .flags = OP_ANONYMOUS),
        OP(sqs, send_message_batch, SendMessageBatch, .action = "sqs:SendMessage", .resource = about_send_message_batch,
           .flags = OP_ANONYMOUS),
        OP(sqs, set_queue_attributes, SetQueueAttributes, .resource = about_set_queue_attributes),
        OP(sqs, start_message_move_task, StartMessageMoveTask, .resource = about_start_message_move_task),
        OP(sqs, tag_queue, TagQueue, .resource = about_tag_queue),
        OP(sqs, untag_queue, UntagQueue, .resource = about_untag_queue),
};

/* --- beginning and end */

static void directory(const struct cloud *cloud, char out[static 4096])
{
	snprintf(out, 4096, "%s/queues", cloud->data_dir);
}

struct queues *sqs_queues(struct sqs_state *s)
{
	char dir[4096], why[200];
	if (s->queues)
		return s->queues;
	directory(s->cloud, dir);
	if (queues_open(&s->queues, s->cloud->loop, dir, s->cloud->ephemeral, why) < 0)
		log_error("%s", why);
	return s->queues;
}

/* Ids of all queues that have a record. */
struct known {
	struct sqs_state *sqs;
	struct map ids;
};

static bool is_known(void *ctx, uint64_t id)
{
	const struct known *k = ctx;
	return map_get(&k->ids, str_of(&id, sizeof(id))) != NULL;
}

static void forget_deleted(struct sqs_state *s)
{
	struct known k = {.sqs = s};
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct store_txn *t = store_begin(s->cloud->store, &a);
	struct str under = KEY_UNDER(&a, S("sqs"), S("queue")), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(&a, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct state_sqs_queue_record r;
		if (!record_read(&a, v.value, SQS_ROW("Queue"), &r))
			continue;
		uint64_t id = (uint64_t)r.id.v;
		map_put(&k.ids, str_of(&id, sizeof(id)), s);
	}
	under = KEY_UNDER(&a, S("sqs"), S("outbox"));
	i = store_scan(t, under, store_prefix_end(&a, under), false);
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(&a, key);
		uint64_t id;
		if (str_to_u64(parts.v[parts.n - 1], &id))
			map_put(&k.ids, str_of(&id, sizeof(id)), s);
	}
	store_abort(t);
	queues_forget_unknown(s->queues, is_known, &k);
	map_done(&k.ids);
}

static int sqs_start(struct cloud *cloud, void **ret_state)
{
	struct sqs_state *s = calloc(1, sizeof(*s));
	char dir[4096];
	if (!s)
		die("out of memory (queues)");
	s->cloud = cloud;
	directory(cloud, dir);
	/* A cloud without queues has no files for them. */
	if (access(dir, F_OK) == 0 && sqs_queues(s))
		forget_deleted(s);
	s->moves = moves_new(s);
	sqs_tick_start(s);
	*ret_state = s;
	return 0;
}

static void sqs_stop(void *state)
{
	struct sqs_state *s = state;
	if (!s)
		return;
	loop_remove_timer(s->cloud->loop, s->tick);
	moves_free(s->moves);
	sqs_keys_forget(s);
	queues_close(s->queues);
	free(s);
}

static bool sqs_busy(void *state)
{
	const struct sqs_state *s = state;
	return s && s->queues && queues_busy(s->queues);
}

const struct service sqs_service = {
        .api = &sqs_api,
        .iam_prefix = "sqs",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .unsupported = "UnsupportedOperation",
        .body_limit_bytes = 8 * 1024 * 1024, /* 1 MiB of messages with every character escaped */
        .start = sqs_start,
        .stop = sqs_stop,
        .busy = sqs_busy,
        .check = check,
        .dress_reply = sqs_bill,
};
