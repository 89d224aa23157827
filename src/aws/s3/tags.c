#include "aws/s3/tags.h"

#include "aws/s3/object.h"
#include "base/uri.h"
#include "base/xml.h"

#include <stdio.h>

static bool tag_text_valid(struct str s)
{
	static const char allowed[] = "+-=._:/@ ";
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		/* Letters and digits of every script are allowed; bytes of UTF-8 sequences pass here and are checked as a whole. */
		if (c < 0x80 && !ascii_is_alnum((char)c) && !strchr(allowed, c))
			return false;
	}
	return str_is_utf8(s);
}

static int tag_add(struct call *c, struct str key, struct str value, unsigned max, struct str_map *to)
{
	if (to->n == max)
		return call_fail(c, "BadRequest", 400, "%s tags cannot be greater than %u",
		                 max == TAGS_OF_OBJECT_MAX ? "Object" : "Bucket", max);
	if (key.n == 0 || str_utf8_len(key) > 128 || !tag_text_valid(key))
		return call_fail(c, "InvalidTag", 400, "The TagKey you have provided is invalid");
	if (str_utf8_len(value) > 256 || !tag_text_valid(value))
		return s3_fail(c, S3_INVALID_TAG);
	if (str_istarts(key, S("aws:")))
		return call_fail(c, "InvalidTag", 400, "System tags cannot be added/updated by requester");
	for (unsigned i = 0; i < to->n; i++)
		if (str_eq(to->v[i].key, key))
			return call_fail(c, "InvalidTag", 400, "Cannot provide multiple Tags with the same key");
	*LIST_ADD(c->arena, to) = (struct str_map_entry){key, str_set(value) ? value : S("")};
	return CALL_OK;
}

int tags_of_set(struct call *c, const struct s3_tag_set *set, unsigned max, struct str_map *ret)
{
	struct str_map tags = {0};
	for (unsigned i = 0; i < set->n; i++)
		if (tag_add(c, set->v[i].key, set->v[i].value, max, &tags) != CALL_OK)
			return CALL_FAIL;
	*ret = tags;
	return CALL_OK;
}

int tags_of_header(struct call *c, struct str header, struct str_map *ret)
{
	struct str_map tags = {0};
	struct uri_part part;
	while (uri_next_part(&header, &part)) {
		struct str key = uri_decode_form(c->arena, part.name), value = uri_decode_form(c->arena, part.value);
		if (!str_set(key) || !str_set(value))
			return s3_bad_argument(
			        c,
			        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
			        "x-amz-tagging", header);
		if (tag_add(c, key, value, TAGS_OF_OBJECT_MAX, &tags) != CALL_OK)
			return CALL_FAIL;
	}
	*ret = tags;
	return CALL_OK;
}

int tags_of_document(struct call *c, struct str xml, struct str_map *ret)
{
	struct str_map tags = {0};
	const struct xml_node *root = xml_parse(c->arena, xml, NULL), *set = xml_child(root, S("TagSet"));
	if (!root || !str_is(root->name, "Tagging") || !set)
		return s3_fail(c, S3_MALFORMED_XML);
	xml_each(set, tag)
	{
		const struct xml_node *key = xml_child(tag, S("Key")), *value = xml_child(tag, S("Value"));
		if (!str_is(tag->name, "Tag") || !key || !value)
			return s3_fail(c, S3_MALFORMED_XML);
		if (tag_add(c, key->text, value->text, TAGS_OF_OBJECT_MAX, &tags) != CALL_OK)
			return CALL_FAIL;
	}
	*ret = tags;
	return CALL_OK;
}

void tags_to_set(struct arena *a, const struct str_map *tags, struct s3_tag_set *ret)
{
	*ret = (struct s3_tag_set){.set = true};
	for (unsigned i = 0; i < tags->n; i++)
		*LIST_ADD(a, ret) = (struct s3_tag){.key = tags->v[i].key, .value = tags->v[i].value};
}

int s3_get_object_tagging(struct call *c, const struct s3_get_object_tagging_request *in, struct s3_get_object_tagging_output *out)
{
	struct object_at at;
	if (object_open(c, in->bucket, in->key, in->version_id, &at) != CALL_OK)
		return CALL_FAIL;
	out->version_id = object_version_shown(&at);
	tags_to_set(c->arena, &at.object.tags, &out->tag_set);
	return CALL_OK;
}

int s3_put_object_tagging(struct call *c, const struct s3_put_object_tagging_request *in, struct s3_put_object_tagging_output *out)
{
	struct object_at at;
	if (!in->tagging)
		return s3_fail(c, S3_MALFORMED_XML);
	if (object_open(c, in->bucket, in->key, in->version_id, &at) != CALL_OK ||
	    tags_of_set(c, &in->tagging->tag_set, TAGS_OF_OBJECT_MAX, &at.object.tags) != CALL_OK)
		return CALL_FAIL;
	out->version_id = object_version_shown(&at);
	object_put(call_txn(c), c->arena, in->bucket, in->key, at.tail, &at.object);
	object_tell_changed(c, at.bucket, in->bucket, in->key, &at.object, "s3:ObjectTagging:Put");
	return CALL_OK;
}

int s3_delete_object_tagging(struct call *c, const struct s3_delete_object_tagging_request *in,
                             struct s3_delete_object_tagging_output *out)
{
	struct object_at at;
	if (object_open(c, in->bucket, in->key, in->version_id, &at) != CALL_OK)
		return CALL_FAIL;
	at.object.tags = (struct str_map){0};
	out->version_id = object_version_shown(&at);
	object_put(call_txn(c), c->arena, in->bucket, in->key, at.tail, &at.object);
	object_tell_changed(c, at.bucket, in->bucket, in->key, &at.object, "s3:ObjectTagging:Delete");
	return CALL_OK;
}
