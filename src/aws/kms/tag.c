/* TagResource, UntagResource, ListResourceTags. */
#include "rows.h"

enum { TAGS_MAX = 50 };

int kms_tags_take(struct call *c, const struct kms_tag_list *tags, struct str_map *to)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		uint32_t at = 0;
		if (str_istarts(tags->v[i].tag_key, S("aws:")))
			return call_fail(c, "TagException", 0, "Tags that begin with aws: are reserved.");
		while (at < to->n && !str_eq(to->v[at].key, tags->v[i].tag_key))
			at++;
		struct str_map_entry *e = at < to->n ? &to->v[at] : LIST_ADD(c->arena, to);
		*e = (struct str_map_entry){tags->v[i].tag_key, tags->v[i].tag_value};
	}
	return to->n > TAGS_MAX ? call_fail(c, "TagException", 0, "Too many tags") : CALL_OK;
}

int kms_tag_resource(struct call *c, const struct kms_tag_resource_request *in, struct model_none *out)
{
	(void)out;
	struct kms_found k;
	if (kms_find_key(c, in->key_id, &k) != CALL_OK || kms_changeable(c, &k) != CALL_OK ||
	    kms_tags_take(c, &in->tags, &k.r.tags) != CALL_OK)
		return CALL_FAIL;
	kms_save(c, &k);
	kms_meter(call_txn(c), c->arena, k.account, c->region, &k.r, c->now_ms);
	return CALL_OK;
}

int kms_untag_resource(struct call *c, const struct kms_untag_resource_request *in, struct model_none *out)
{
	(void)out;
	struct kms_found k;
	struct str_map left = {0};
	if (kms_find_key(c, in->key_id, &k) != CALL_OK || kms_changeable(c, &k) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < k.r.tags.n; i++) {
		bool gone = false;
		for (uint32_t n = 0; n < in->tag_keys.n; n++)
			gone = gone || str_eq(in->tag_keys.v[n], k.r.tags.v[i].key);
		if (!gone)
			*LIST_ADD(c->arena, &left) = k.r.tags.v[i];
	}
	k.r.tags = left;
	kms_save(c, &k);
	kms_meter(call_txn(c), c->arena, k.account, c->region, &k.r, c->now_ms);
	return CALL_OK;
}

/* There are 50 at most: one page has them all. */
int kms_list_resource_tags(struct call *c, const struct kms_list_resource_tags_request *in,
                           struct kms_list_resource_tags_response *out)
{
	struct kms_found k;
	if (kms_find_key(c, in->key_id, &k) != CALL_OK)
		return CALL_FAIL;
	out->tags.set = true;
	out->truncated = OPT_BOOL(false);
	for (uint32_t i = 0; i < k.r.tags.n; i++)
		*LIST_ADD(c->arena, &out->tags) = (struct kms_tag){k.r.tags.v[i].key, k.r.tags.v[i].value};
	return CALL_OK;
}
