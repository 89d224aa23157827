/* Tags of certificates. */
#include "rows.h"

bool acm_tags_put(struct call *c, const struct acm_tag_list *from, struct acm_tag_list *tags)
{
	for (uint32_t i = 0; i < from->n; i++) {
		const struct acm_tag *t = &from->v[i];
		if (str_istarts(t->key, S("aws:"))) {
			call_fail(c, "InvalidTagException", 0, "aws: prefixed tag key names are not allowed for external use.");
			return false;
		}
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(from->v[k].key, t->key)) {
				call_fail(c, "InvalidParameterException", 0, "A tag key cannot be given twice.");
				return false;
			}
		uint32_t at = 0;
		while (at < tags->n && !str_eq(tags->v[at].key, t->key))
			at++;
		struct acm_tag *to = at < tags->n ? &tags->v[at] : LIST_ADD(c->arena, tags);
		*to = *t;
	}
	if (tags->n > ACM_TAGS_MAX) {
		call_fail(c, "TooManyTagsException", 0, "A certificate can have at most %d tags.", ACM_TAGS_MAX);
		return false;
	}
	return true;
}

void acm_authz_tags(struct call *c, struct authz *az, const struct acm_tag_list *tags, bool requested)
{
	struct str_map map = {0};
	for (uint32_t i = 0; i < tags->n; i++) {
		*LIST_ADD(c->arena, &map) =
		        (struct str_map_entry){tags->v[i].key, str_set(tags->v[i].value) ? tags->v[i].value : S("")};
		if (requested)
			authz_add(c, az, "aws:TagKeys", tags->v[i].key);
	}
	authz_add_tags(c, az, requested ? "aws:RequestTag" : "aws:ResourceTag", &map);
}

int acm_add_tags_to_certificate(struct call *c, const struct acm_add_tags_to_certificate_request *in, struct model_none *out)
{
	(void)out;
	struct state_acm_certificate_record r;
	if (!acm_load(c, in->certificate_arn, &r) || !acm_tags_put(c, &in->tags, &r.tags))
		return CALL_FAIL;
	acm_save(c, &r);
	return CALL_OK;
}

/* A tag whose value is given goes only if it has that value. */
static bool is_removed(const struct acm_tag_list *remove, const struct acm_tag *t)
{
	for (uint32_t i = 0; i < remove->n; i++)
		if (str_eq(remove->v[i].key, t->key) && (!str_set(remove->v[i].value) || str_eq(remove->v[i].value, t->value)))
			return true;
	return false;
}

int acm_remove_tags_from_certificate(struct call *c, const struct acm_remove_tags_from_certificate_request *in,
                                     struct model_none *out)
{
	(void)out;
	struct state_acm_certificate_record r;
	struct acm_tag_list left = {.set = true};
	if (!acm_load(c, in->certificate_arn, &r))
		return CALL_FAIL;
	for (uint32_t i = 0; i < r.tags.n; i++)
		if (!is_removed(&in->tags, &r.tags.v[i]))
			*LIST_ADD(c->arena, &left) = r.tags.v[i];
	r.tags = left;
	acm_save(c, &r);
	return CALL_OK;
}

int acm_list_tags_for_certificate(struct call *c, const struct acm_list_tags_for_certificate_request *in,
                                  struct acm_list_tags_for_certificate_response *out)
{
	struct state_acm_certificate_record r;
	if (!acm_load(c, in->certificate_arn, &r))
		return CALL_FAIL;
	out->tags = r.tags;
	out->tags.set = true;
	return CALL_OK;
}
