/* CreateQueue, DeleteQueue, GetQueueUrl, ListQueues, ListDeadLetterSourceQueues, PurgeQueue. */
#include "sqs.h"

#include "base/base64.h"
#include "base/rand.h"

enum { NAME_MAX_CHARS = 80, AGAIN_MS = 60 * 1000, LIST_MAX = 1000, TAGS_MAX = 50 };

static struct str deleted_key(struct call *c, const struct sqs_name *at)
{
	return KEY(c->arena, S("sqs"), S("deleted"), at->account, c->region, at->name);
}

static bool name_good(struct str name, bool fifo)
{
	if (!name.n || name.n > NAME_MAX_CHARS || sqs_is_fifo(name) != fifo)
		return false;
	size_t n = fifo ? name.n - 5 : name.n;
	for (size_t i = 0; i < n; i++)
		if (!ascii_is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '_')
			return false;
	return n > 0;
}

static int check_name(struct call *c, const struct sqs_create_queue_request *in)
{
	struct str asked = str_map_get(&in->attributes, S("FifoQueue"));
	bool fifo = str_ieq(asked, S("true"));
	if (str_set(asked) && !fifo && !str_ieq(asked, S("false")))
		return call_fail(c, "InvalidAttributeValue", 400, "Invalid value for the parameter FifoQueue.");
	if (str_set(asked) && !fifo)
		return call_fail(c, "InvalidAttributeName", 400, "Unknown Attribute FifoQueue.");
	if (name_good(in->queue_name, fifo))
		return CALL_OK;
	if (fifo)
		return sqs_invalid(
		        c, "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end "
		           "with .fifo suffix and be 1 to 80 in length.");
	return sqs_invalid(c, "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length");
}

int sqs_create_queue(struct call *c, const struct sqs_create_queue_request *in, struct sqs_create_queue_result *out)
{
	struct sqs_queue q = {.at = {c->account, in->queue_name}};
	struct state_sqs_deleted_record deleted;
	if (check_name(c, in) != CALL_OK)
		return CALL_FAIL;
	out->queue_url = sqs_url(c, &q.at);
	if (sqs_find(call_txn(c), c->arena, c->region, &q.at, &q)) {
		struct str different = sqs_different(c, &q, &in->attributes);
		if (str_set(c->error.code))
			return CALL_FAIL;
		if (str_set(different))
			return call_fail(c, "QueueNameExists", 400,
			                 "A queue already exists with the same name and a different value for attribute %.*s",
			                 STR_ARG(different));
		return CALL_OK;
	}
	if (record_get(call_txn(c), c->arena, deleted_key(c, &q.at), SQS_ROW("Deleted"), &deleted)) {
		if (deleted.at.v + AGAIN_MS > c->now_ms)
			return call_fail(
			        c, "QueueDeletedRecently", 400,
			        "You must wait 60 seconds after deleting a queue before you can create another with the same name.");
		store_delete(call_txn(c), deleted_key(c, &q.at));
	}
	if (sqs_check_tags(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	if (in->tags.n > TAGS_MAX)
		return sqs_invalid(c, "Too many tags added for queue %.*s.", STR_ARG(in->queue_name));
	q.key = sqs_key(c->arena, c->region, &q.at);
	q.record = (struct state_sqs_queue_record){.name = in->queue_name,
	                                           .id = OPT_INT((int64_t)(rand_u64() >> 1) | 1),
	                                           .created = OPT_INT(c->now_ms),
	                                           .modified = OPT_INT(c->now_ms),
	                                           .tags = in->tags};
	if (sqs_set_attributes(c, &q, &in->attributes, true) != CALL_OK)
		return CALL_FAIL;
	sqs_put(c, &q);
	return CALL_OK;
}

/* --- deleting */

struct deleted {
	uint64_t id;
};

static void drop_messages(struct call *c)
{
	const struct deleted *d = c->state;
	struct queues *all = sqs_queues(sqs_state(c));
	if (all)
		queue_drop(all, d->id);
}

int sqs_delete_queue(struct call *c, const struct sqs_delete_queue_request *in, struct model_none *out)
{
	struct sqs_queue q;
	(void)out;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	struct deleted *d = arena_new(c->arena, struct deleted);
	d->id = q.id;
	c->state = d;
	store_delete(call_txn(c), q.key);
	sqs_forget_moves(c, &q.at);
	record_put(call_txn(c), c->arena, deleted_key(c, &q.at), SQS_ROW("Deleted"),
	           &(struct state_sqs_deleted_record){.at = OPT_INT(c->now_ms)});
	call_after_commit(c, drop_messages);
	return CALL_OK;
}

/* --- finding */

int sqs_get_queue_url(struct call *c, const struct sqs_get_queue_url_request *in, struct sqs_get_queue_url_result *out)
{
	struct sqs_queue q;
	struct sqs_name at = {str_set(in->queue_owner_aws_account_id) ? in->queue_owner_aws_account_id : c->account,
	                      in->queue_name};
	if (!sqs_find(call_txn(c), c->arena, c->region, &at, &q))
		return sqs_no_queue(c);
	out->queue_url = sqs_url(c, &at);
	return CALL_OK;
}

struct page {
	struct str after; /* the name that was listed last; absent: from the beginning */
	uint32_t max;
	bool paged;
};

static int page_of(struct call *c, struct str token, struct opt_int max, struct page *ret)
{
	*ret = (struct page){.max = LIST_MAX, .paged = max.set};
	if (max.set && (max.v < 1 || max.v > LIST_MAX))
		return sqs_invalid(
		        c,
		        "Value %ld for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and 1000.",
		        max.v);
	if (max.set)
		ret->max = (uint32_t)max.v;
	if (!str_set(token))
		return CALL_OK;
	ret->after = base64url_decode(c->arena, token);
	return str_set(ret->after) ? CALL_OK : sqs_invalid(c, "Invalid or expired next token.");
}

typedef bool wanted_fn(struct call *c, const struct sqs_queue *q, struct str what);

static void list(struct call *c, const struct page *page, struct str prefix, wanted_fn *wanted, struct str what,
                 struct str_list *out, struct str *ret_token)
{
	struct str under = KEY_UNDER(c->arena, S("sqs"), S("queue"), c->account, c->region), key;
	struct str from =
	        ARENA_CAT(c->arena, under, str_set(page->after) ? ARENA_CAT(c->arena, page->after, str_of("", 1)) : prefix);
	struct store_iter *i = store_scan(call_txn(c), from, store_prefix_end(c->arena, ARENA_CAT(c->arena, under, prefix)), false);
	struct store_value v;
	struct str last = STR_NONE;
	while (store_next(i, &key, &v)) {
		struct sqs_queue q;
		if (!record_read(c->arena, v.value, SQS_ROW("Queue"), &q.record))
			continue;
		q.at = (struct sqs_name){c->account, q.record.name};
		if (wanted && !wanted(c, &q, what))
			continue;
		if (out->n == page->max) {
			if (page->paged)
				*ret_token = base64url_encode(c->arena, last);
			return;
		}
		*LIST_ADD(c->arena, out) = sqs_url(c, &q.at);
		last = q.at.name;
	}
}

int sqs_list_queues(struct call *c, const struct sqs_list_queues_request *in, struct sqs_list_queues_result *out)
{
	struct page page;
	if (page_of(c, in->next_token, in->max_results, &page) != CALL_OK)
		return CALL_FAIL;
	list(c, &page, str_set(in->queue_name_prefix) ? in->queue_name_prefix : S(""), NULL, STR_NONE, &out->queue_urls,
	     &out->next_token);
	return CALL_OK;
}

static bool leads_to(struct call *c, const struct sqs_queue *q, struct str dead)
{
	struct sqs_name to;
	int64_t max;
	return sqs_redrive(c->arena, q, c->region, &to, &max) && str_eq(to.name, dead);
}

int sqs_list_dead_letter_source_queues(struct call *c, const struct sqs_list_dead_letter_source_queues_request *in,
                                       struct sqs_list_dead_letter_source_queues_result *out)
{
	struct page page;
	struct sqs_queue q;
	if (page_of(c, in->next_token, in->max_results, &page) != CALL_OK || sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	out->queue_urls.set = true;
	list(c, &page, S(""), leads_to, q.at.name, &out->queue_urls, &out->next_token);
	return CALL_OK;
}

/* --- purging */

/* From now on for a minute, nobody else may. */
static int purged(struct call *c)
{
	const struct sqs_purge_queue_request *in = c->in;
	struct sqs_queue q;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	q.record.purged = OPT_INT(c->now_ms);
	sqs_put(c, &q);
	return CALL_OK;
}

int sqs_purge_queue(struct call *c, const struct sqs_purge_queue_request *in, struct model_none *out)
{
	struct sqs_queue q;
	(void)out;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	if (q.record.purged.set && q.record.purged.v + AGAIN_MS > c->now_ms)
		return call_fail(c, "PurgeQueueInProgress", 403,
		                 "Only one PurgeQueue operation on %.*s is allowed every 60 seconds.", STR_ARG(q.at.name));
	struct queue *messages = sqs_open(c, &q);
	if (!messages)
		return CALL_FAIL;
	struct sqs_wait *w = sqs_wait_new(c);
	queue_purge(messages, sqs_wait_done, w);
	return sqs_wait(c, w, purged);
}
