/* TagQueue, UntagQueue, ListQueueTags. */
#include "sqs.h"

enum { TAGS_MAX = 50, KEY_MAX_CHARS = 128, VALUE_MAX_CHARS = 256 };

int sqs_check_tags(struct call *c, const struct str_map *tags)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		struct str key = tags->v[i].key, value = tags->v[i].value;
		if (!key.n || str_utf8_len(key) > KEY_MAX_CHARS || str_istarts(key, S("aws:")))
			return sqs_invalid(c,
			                   "Tag keys must be between 1 and %d characters in length and must not begin with aws:.",
			                   KEY_MAX_CHARS);
		if (str_utf8_len(value) > VALUE_MAX_CHARS)
			return sqs_invalid(c, "Tag values must be between 0 and %d characters in length.", VALUE_MAX_CHARS);
	}
	return CALL_OK;
}

int sqs_tag_queue(struct call *c, const struct sqs_tag_queue_request *in, struct model_none *out)
{
	struct sqs_queue q;
	(void)out;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK || sqs_check_tags(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	struct str_map *tags = &q.record.tags;
	for (uint32_t i = 0; i < in->tags.n; i++) {
		uint32_t at = 0;
		while (at < tags->n && !str_eq(tags->v[at].key, in->tags.v[i].key))
			at++;
		if (at < tags->n)
			tags->v[at].value = in->tags.v[i].value;
		else
			*LIST_ADD(c->arena, tags) = in->tags.v[i];
	}
	if (tags->n > TAGS_MAX)
		return sqs_invalid(c, "Too many tags added for queue %.*s.", STR_ARG(q.at.name));
	sqs_put(c, &q);
	return CALL_OK;
}

int sqs_untag_queue(struct call *c, const struct sqs_untag_queue_request *in, struct model_none *out)
{
	struct sqs_queue q;
	(void)out;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	struct str_map left = {0};
	for (uint32_t i = 0; i < q.record.tags.n; i++) {
		bool goes = false;
		for (uint32_t k = 0; k < in->tag_keys.n; k++)
			goes |= str_eq(q.record.tags.v[i].key, in->tag_keys.v[k]);
		if (!goes)
			*LIST_ADD(c->arena, &left) = q.record.tags.v[i];
	}
	q.record.tags = left;
	sqs_put(c, &q);
	return CALL_OK;
}

int sqs_list_queue_tags(struct call *c, const struct sqs_list_queue_tags_request *in, struct sqs_list_queue_tags_result *out)
{
	struct sqs_queue q;
	if (sqs_get(c, in->queue_url, &q) != CALL_OK)
		return CALL_FAIL;
	out->tags = q.record.tags;
	return CALL_OK;
}
