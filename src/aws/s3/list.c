#include "aws/s3/listing.h"

#include "base/base64.h"

/* Current versions that are no delete markers. Only a record with the member's name in it is worth decoding to see. */
static bool is_listed(const struct listing_entry *e)
{
	if (str_set(e->tail))
		return false;
	struct arena CLEAN_ARENA a = {0};
	struct state_s3_object o;
	if (str_find(e->value.value, S("DeleteMarker")) < 0)
		return true;
	object_read(&a, e->value.value, &o);
	return !o.delete_marker.v;
}

struct page {
	struct s3_object_list *contents;
	struct s3_common_prefix_list *prefixes;
	struct str encoding;
	bool with_owner;
	int64_t max;
	/* what came out */
	struct str last; /* the last key or prefix on the page */
	bool truncated;
};

static void fill_page(struct call *c, struct listing *l, struct page *p)
{
	struct arena *a = c->arena;
	struct listing_entry e;
	int64_t n = 0;
	p->last = STR_NONE;
	if (p->max == 0)
		return;
	while (listing_next(l, is_listed, &e)) {
		if (n++ == p->max) {
			p->truncated = true;
			return;
		}
		p->last = e.name;
		if (e.is_prefix) {
			LIST_ADD(a, p->prefixes)->prefix = listing_text(a, p->encoding, e.name);
			continue;
		}
		struct state_s3_object o;
		object_read(a, e.value.value, &o);
		struct s3_object *shown = LIST_ADD(a, p->contents);
		shown->key = listing_text(a, p->encoding, e.name);
		shown->last_modified = o.last_modified;
		shown->e_tag = s3_quoted(a, o.e_tag);
		shown->size = o.size;
		shown->storage_class = str_set(o.storage_class) ? o.storage_class : S("STANDARD");
		if (str_set(o.checksum_algorithm)) {
			*LIST_ADD(a, &shown->checksum_algorithm) = o.checksum_algorithm;
			shown->checksum_type = o.checksum_type;
		}
		if (p->with_owner)
			shown->owner = listing_owner(a, o.owner);
	}
}

int s3_list_objects_v2(struct call *c, const struct s3_list_objects_v2_request *in, struct s3_list_objects_v2_output *out)
{
	struct arena *a = c->arena;
	struct page page = {.contents = &out->contents,
	                    .prefixes = &out->common_prefixes,
	                    .encoding = in->encoding_type,
	                    .with_owner = in->fetch_owner.v};
	if (listing_check(c, in->encoding_type, in->max_keys, "maxKeys", &page.max) != CALL_OK)
		return CALL_FAIL;
	struct str after = in->start_after;
	if (str_set(in->continuation_token)) {
		after = base64_decode(a, in->continuation_token);
		if (!str_set(after) || !after.n)
			return s3_bad_argument(c, "The continuation token provided is incorrect", "continuation-token",
			                       in->continuation_token);
	}
	struct listing l;
	listing_begin(&l, c, "object", in->bucket, in->prefix, in->delimiter, after);
	fill_page(c, &l, &page);
	out->name = in->bucket;
	out->prefix = listing_text(a, in->encoding_type, str_set(in->prefix) ? in->prefix : S(""));
	out->delimiter = listing_text(a, in->encoding_type, in->delimiter);
	out->start_after = listing_text(a, in->encoding_type, in->start_after);
	out->encoding_type = in->encoding_type;
	out->max_keys = OPT_INT(page.max);
	out->key_count = OPT_INT(out->contents.n + out->common_prefixes.n);
	out->is_truncated = OPT_BOOL(page.truncated);
	out->continuation_token = in->continuation_token;
	if (page.truncated)
		out->next_continuation_token = base64_encode(a, page.last);
	return CALL_OK;
}

int s3_list_objects(struct call *c, const struct s3_list_objects_request *in, struct s3_list_objects_output *out)
{
	struct arena *a = c->arena;
	struct str type = call_query(c, S("list-type")); /* 2 would have come to the other operation */
	if (str_set(type))
		return s3_bad_argument(c, "Invalid List Type specified in Request", "list-type", type);
	struct page page = {
	        .contents = &out->contents, .prefixes = &out->common_prefixes, .encoding = in->encoding_type, .with_owner = true};
	if (listing_check(c, in->encoding_type, in->max_keys, "maxKeys", &page.max) != CALL_OK)
		return CALL_FAIL;
	struct listing l;
	listing_begin(&l, c, "object", in->bucket, in->prefix, in->delimiter, in->marker);
	fill_page(c, &l, &page);
	out->name = in->bucket;
	out->prefix = listing_text(a, in->encoding_type, str_set(in->prefix) ? in->prefix : S(""));
	out->delimiter = listing_text(a, in->encoding_type, in->delimiter);
	out->marker = listing_text(a, in->encoding_type, str_set(in->marker) ? in->marker : S(""));
	out->encoding_type = in->encoding_type;
	out->max_keys = OPT_INT(page.max);
	out->is_truncated = OPT_BOOL(page.truncated);
	/* Without a delimiter the last key serves as the marker. */
	if (page.truncated && str_set(in->delimiter) && in->delimiter.n)
		out->next_marker = listing_text(a, in->encoding_type, page.last);
	return CALL_OK;
}
