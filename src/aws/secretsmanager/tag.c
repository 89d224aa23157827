/* TagResource, UntagResource. */
#include "rows.h"

int secret_tags_take(struct call *c, const struct secretsmanager_tag_list_type *tags, struct str_map *to)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		uint32_t at = 0;
		if (str_istarts(tags->v[i].key, S("aws:")))
			return secret_invalid(c, "Tag keys that begin with aws: are reserved.");
		while (at < to->n && !str_eq(to->v[at].key, tags->v[i].key))
			at++;
		struct str_map_entry *e = at < to->n ? &to->v[at] : LIST_ADD(c->arena, to);
		*e = (struct str_map_entry){tags->v[i].key, str_set(tags->v[i].value) ? tags->v[i].value : S("")};
	}
	return to->n > SECRET_TAGS_MAX ? secret_invalid(c, "A secret has %d tags at most.", SECRET_TAGS_MAX) : CALL_OK;
}

int secretsmanager_tag_resource(struct call *c, const struct secretsmanager_tag_resource_request *in, struct model_none *out)
{
	(void)out;
	struct secret s;
	if (secret_find(c, in->secret_id, false, &s) != CALL_OK || secret_tags_take(c, &in->tags, &s.r.tags) != CALL_OK)
		return CALL_FAIL;
	secret_save(c, &s);
	return CALL_OK;
}

int secretsmanager_untag_resource(struct call *c, const struct secretsmanager_untag_resource_request *in, struct model_none *out)
{
	(void)out;
	struct secret s;
	struct str_map left = {0};
	if (secret_find(c, in->secret_id, false, &s) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < s.r.tags.n; i++) {
		bool gone = false;
		for (uint32_t k = 0; k < in->tag_keys.n; k++)
			gone = gone || str_eq(in->tag_keys.v[k], s.r.tags.v[i].key);
		if (!gone)
			*LIST_ADD(c->arena, &left) = s.r.tags.v[i];
	}
	s.r.tags = left;
	secret_save(c, &s);
	return CALL_OK;
}
