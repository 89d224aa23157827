/* Publish, PublishBatch. First what needs a signature gets it, by a thread; then all is sent; the answer comes when it is on disk.
 */
#include "publish.h"

#include "base/log.h"
#include "envelope.h"

#include <errno.h>
#include <stdlib.h>

enum { ID_MAX_CHARS = 80 };
enum step { STEP_SIGNED, STEP_SENT };

/* A publication under way; it is the call's state. */
struct publishing {
	struct call_errand errand;
	enum step step;
	struct arena arena; /* of what threads sign */
	struct sign_text texts[SNS_BATCH_MAX * WAYS];
	unsigned text_count;
	unsigned left; /* to be sent */
	int result;
	uint32_t n;
	struct publication all[SNS_BATCH_MAX];
};

static void drop(struct call_errand *e)
{
	struct publishing *p = container_of(e, struct publishing, errand);
	arena_done(&p->arena);
	free(p);
}

static struct publishing *begin(struct call *c, const struct publication *all, uint32_t n)
{
	struct publishing *p = calloc(1, sizeof(*p));
	(void)c;
	if (!p)
		die("out of memory (publishing)");
	p->errand.drop = drop;
	arena_init(&p->arena, 0);
	p->n = n;
	memcpy(p->all, all, n * sizeof(*all));
	return p;
}

/* --- signing */

static void was_signed(void *ctx)
{
	struct publishing *p = ctx;
	call_over(&p->errand);
}

/* Which text signs this way's: a text that is the same as an earlier one is signed once. */
static enum way first_alike(const struct publication *p, enum way way)
{
	for (unsigned i = 0; i < way; i++)
		if (p->text[i].p == p->text[way].p)
			return (enum way)i;
	return way;
}

static void add_texts(struct call *c, const struct topic *t, struct publishing *p, const struct publication *m)
{
	for (unsigned w = 0; w < WAYS; w++) {
		struct state_sns_notification_record what;
		if (first_alike(m, (enum way)w) != w)
			continue;
		publication_record(m, t, (enum way)w, c->now_ms, &what);
		const struct envelope e = {.endpoint = c->cloud->endpoint, .topic_arn = t->arn, .what = &what};
		p->texts[p->text_count++] =
		        (struct sign_text){.text = envelope_to_sign(&p->arena, &e), .sha256 = str_is(what.signature_version, "2")};
	}
}

static void take_signatures(struct publishing *p)
{
	unsigned at = 0;
	for (uint32_t i = 0; i < p->n && p->text_count; i++)
		for (unsigned w = 0; w < WAYS; w++) {
			enum way alike = first_alike(&p->all[i], (enum way)w);
			p->all[i].signature[w] = alike == w ? p->texts[at++].ret_signature : p->all[i].signature[alike];
		}
}

static int sign(struct call *c, const struct topic *t, struct publishing *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		add_texts(c, t, p, &p->all[i]);
	p->step = STEP_SIGNED;
	int r = call_wait_for(c, &p->errand);
	signer_sign(sns_state(c)->signer, &p->arena, p->texts, p->text_count, was_signed, p);
	return r;
}

/* --- sending */

static void was_sent(void *ctx, int result)
{
	struct publishing *p = ctx;
	if (result < 0)
		p->result = result;
	if (--p->left == 0)
		call_over(&p->errand);
}

static int send(struct call *c, struct fan *f, struct publishing *p)
{
	take_signatures(p);
	p->step = STEP_SENT;
	p->left = 1; /* until all are on their way */
	int r = call_wait_for(c, &p->errand);
	for (uint32_t i = 0; i < p->n; i++) {
		p->left++;
		if (!fan_send(f, &p->all[i], was_sent, p)) {
			p->left--;
			p->result = -EIO;
		}
	}
	was_sent(p, 0);
	return r;
}

static int over(struct call *c, const struct publishing *p)
{
	if (p->result == -ENOSPC)
		return call_fail(c, "InternalErrorException", 500, "There is no room left for messages.");
	return p->result < 0 ? call_broken(c, "messages: %s", strerror(-p->result)) : CALL_OK;
}

/* One step of the way of what has begun; CALL_OK when it is over. */
static int go_on(struct call *c, const struct topic *t, struct publishing *p, bool begins)
{
	struct fan f;
	if (!begins && p->step == STEP_SENT)
		return over(c, p);
	fan_open(&f, c, t);
	int r = begins && fan_signs(&f) ? sign(c, t, p) : send(c, &f, p);
	fan_close(&f);
	return r;
}

/* --- Publish */

static int find_topic(struct call *c, struct str topic_arn, struct str target_arn, struct str phone, struct topic *ret)
{
	struct str arn = str_set(topic_arn) ? topic_arn : target_arn;
	if (str_set(phone))
		return sns_invalid(c, "PhoneNumber Reason: text messages are not supported by this cloud");
	if (!str_set(arn))
		return sns_invalid(c, "TopicArn or TargetArn Reason: no value for required parameter");
	if (str_find(arn, S(":endpoint/")) > 0)
		return sns_invalid(c, "TargetArn Reason: mobile push is not supported by this cloud");
	return sns_get_topic(c, arn, ret);
}

int sns_publish(struct call *c, const struct sns_publish_input *in, struct sns_publish_response *out)
{
	struct publishing *p = c->state;
	struct topic t;
	struct publish_fault fault;
	bool begins = !p;
	if (find_topic(c, in->topic_arn, in->target_arn, in->phone_number, &t) != CALL_OK)
		return CALL_FAIL;
	if (begins) {
		const struct published given = {in->message,          in->message_structure,        in->subject,
		                                in->message_group_id, in->message_deduplication_id, &in->message_attributes};
		struct publication one;
		if (!publication_read(c, &t, &given, &one, &fault))
			return call_fail(c, fault.code, 400, "%.*s", STR_ARG(fault.text));
		p = begin(c, &one, 1);
	}
	int r = go_on(c, &t, p, begins);
	if (r != CALL_OK)
		return r;
	out->message_id = p->all[0].message_id;
	if (t.fifo)
		out->sequence_number = p->all[0].sequence;
	return CALL_OK;
}

/* --- PublishBatch */

static bool id_good(struct str id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_is_alnum(id.p[i]) && id.p[i] != '-' && id.p[i] != '_')
			return false;
	return id.n > 0 && id.n <= ID_MAX_CHARS;
}

static int check_batch(struct call *c, const struct sns_publish_batch_request_entry_list *all)
{
	size_t bytes = 0;
	if (!all->n)
		return call_fail(c, "EmptyBatchRequestException", 400, "The batch request doesn't contain any entries.");
	if (all->n > SNS_BATCH_MAX)
		return call_fail(c, "TooManyEntriesInBatchRequestException", 400,
		                 "The batch request contains more entries than permissible.");
	for (uint32_t i = 0; i < all->n; i++) {
		if (!id_good(all->v[i].id))
			return call_fail(c, "InvalidBatchEntryIdException", 400,
			                 "The Id of a batch entry in a batch request doesn't abide by the specification.");
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(all->v[i].id, all->v[k].id))
				return call_fail(c, "BatchEntryIdsNotDistinctException", 400,
				                 "Two or more batch entries in the request have the same Id.");
		bytes += all->v[i].message.n;
	}
	if (bytes > SNS_MESSAGE_MAX)
		return call_fail(c, "BatchRequestTooLongException", 400,
		                 "The length of all the batch messages put together is more than the limit.");
	return CALL_OK;
}

/* Reads entries; what is wrong with one is said of it alone, and the rest is published. The same each time. */
static uint32_t read_batch(struct call *c, const struct topic *t, const struct sns_publish_batch_input *in,
                           struct sns_publish_batch_response *out, struct publication *ret, struct str *ret_ids)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < in->publish_batch_request_entries.n; i++) {
		const struct sns_publish_batch_request_entry *e = &in->publish_batch_request_entries.v[i];
		const struct published given = {e->message,          e->message_structure,        e->subject,
		                                e->message_group_id, e->message_deduplication_id, &e->message_attributes};
		struct publish_fault fault;
		if (publication_read(c, t, &given, &ret[n], &fault)) {
			ret_ids[n++] = e->id;
			continue;
		}
		bool value = str_is(str_from(fault.code), "InvalidParameterValueException");
		*LIST_ADD(c->arena, &out->failed) =
		        (struct sns_batch_result_error_entry){.id = e->id,
		                                              .sender_fault = OPT_BOOL(true),
		                                              .code = value ? S("ParameterValueInvalid") : S("InvalidParameter"),
		                                              .message = fault.text};
	}
	return n;
}

int sns_publish_batch(struct call *c, const struct sns_publish_batch_input *in, struct sns_publish_batch_response *out)
{
	struct publishing *p = c->state;
	struct topic t;
	struct publication read[SNS_BATCH_MAX];
	struct str ids[SNS_BATCH_MAX];
	bool begins = !p;
	if (sns_get_topic(c, in->topic_arn, &t) != CALL_OK || check_batch(c, &in->publish_batch_request_entries) != CALL_OK)
		return CALL_FAIL;
	*out = (struct sns_publish_batch_response){.successful.set = true, .failed.set = true};
	uint32_t n = read_batch(c, &t, in, out, read, ids);
	if (!n)
		return CALL_OK;
	if (begins)
		p = begin(c, read, n);
	int r = go_on(c, &t, p, begins);
	if (r != CALL_OK)
		return r;
	for (uint32_t i = 0; i < n; i++) {
		struct sns_publish_batch_result_entry *e = LIST_ADD(c->arena, &out->successful);
		e->id = ids[i];
		e->message_id = p->all[i].message_id;
		if (t.fifo)
			e->sequence_number = p->all[i].sequence;
	}
	return CALL_OK;
}
