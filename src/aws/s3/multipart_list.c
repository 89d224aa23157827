#include "aws/s3/listing.h"

#include <stdlib.h>

static struct s3_initiator *initiator(struct arena *a, const struct state_s3_upload *u)
{
	struct s3_initiator *i = arena_new(a, struct s3_initiator);
	i->id = u->initiator_id;
	i->display_name = u->initiator_name;
	return i;
}

int s3_list_multipart_uploads(struct call *c, const struct s3_list_multipart_uploads_request *in,
                              struct s3_list_multipart_uploads_output *out)
{
	static const struct record_type upload_type = {&state_s3_api, "Upload"};
	struct arena *a = c->arena;
	int64_t max;
	if (listing_check(c, in->encoding_type, in->max_uploads, "max-uploads", &max) != CALL_OK)
		return CALL_FAIL;
	/* With an upload id the marker's own key has more to give: those of its uploads that come behind. */
	bool within = str_set(in->upload_id_marker) && in->upload_id_marker.n && str_set(in->key_marker);
	struct listing l;
	struct listing_entry e;
	listing_begin(&l, c, "upload", in->bucket, in->prefix, in->delimiter, within ? STR_NONE : in->key_marker);
	if (within)
		tree_seek(&l.walk, in->key_marker);
	bool truncated = false;
	struct str last_key = STR_NONE, last_upload = STR_NONE;
	for (int64_t n = 0; max > 0 && listing_next(&l, NULL, &e);) {
		if (within && str_eq(e.name, in->key_marker) && str_cmp(e.tail, in->upload_id_marker) <= 0)
			continue;
		if (n++ == max) {
			truncated = true;
			break;
		}
		last_key = e.name;
		last_upload = e.is_prefix ? STR_NONE : e.tail;
		if (e.is_prefix) {
			LIST_ADD(a, &out->common_prefixes)->prefix = listing_text(a, in->encoding_type, e.name);
			continue;
		}
		struct state_s3_upload u = {0};
		if (!record_read(a, e.value.value, &upload_type, &u))
			abort();
		*LIST_ADD(a, &out->uploads) = (struct s3_multipart_upload){
		        .upload_id = u.upload_id,
		        .key = listing_text(a, in->encoding_type, e.name),
		        .initiated = u.initiated,
		        .storage_class = str_set(u.object->storage_class) ? u.object->storage_class : S("STANDARD"),
		        .owner = listing_owner(a, u.object->owner),
		        .initiator = initiator(a, &u),
		        .checksum_algorithm = u.object->checksum_algorithm,
		        .checksum_type = u.object->checksum_type,
		};
	}
	out->bucket = in->bucket;
	out->key_marker = listing_text(a, in->encoding_type, str_set(in->key_marker) ? in->key_marker : S(""));
	out->upload_id_marker = str_set(in->upload_id_marker) ? in->upload_id_marker : S("");
	out->prefix = listing_text(a, in->encoding_type, in->prefix);
	out->delimiter = listing_text(a, in->encoding_type, in->delimiter);
	out->encoding_type = in->encoding_type;
	out->max_uploads = OPT_INT(max);
	out->is_truncated = OPT_BOOL(truncated);
	if (truncated) {
		out->next_key_marker = listing_text(a, in->encoding_type, last_key);
		out->next_upload_id_marker = last_upload;
	}
	return CALL_OK;
}

int s3_list_parts(struct call *c, const struct s3_list_parts_request *in, struct s3_list_parts_output *out)
{
	struct arena *a = c->arena;
	struct state_s3_upload u;
	int64_t max;
	if (listing_check(c, STR_NONE, in->max_parts, "max-parts", &max) != CALL_OK)
		return CALL_FAIL;
	int64_t after = in->part_number_marker.set ? in->part_number_marker.v : 0;
	if (after < 0 || after > INT32_MAX)
		return s3_bad_argument(c, "Argument part-number-marker must be an integer between 0 and 2147483647",
		                       "part-number-marker", STR_NONE);
	if (!upload_get(call_txn(c), a, in->bucket, in->key, in->upload_id, &u)) {
		s3_fail(c, S3_NO_SUCH_UPLOAD);
		return call_field(c, "UploadId", in->upload_id);
	}
	struct part_walk w;
	struct state_s3_segment part;
	out->is_truncated = OPT_BOOL(false);
	out->next_part_number_marker = OPT_INT(0);
	part_walk(&w, call_txn(c), a, in->upload_id, after > 99998 ? 99998 : after);
	while (part_next(&w, &part)) {
		if (out->parts.n == max) {
			out->is_truncated = OPT_BOOL(true);
			break;
		}
		struct s3_part *p = LIST_ADD(a, &out->parts);
		p->part_number = part.number;
		p->last_modified = part.last_modified;
		p->e_tag = s3_quoted(a, part.e_tag);
		p->size = part.size;
		CHECKSUM_SET(p, u.object->checksum_algorithm, part.checksum);
		out->next_part_number_marker = part.number;
	}
	out->bucket = in->bucket;
	out->key = in->key;
	out->upload_id = in->upload_id;
	out->part_number_marker = OPT_INT(after);
	out->max_parts = OPT_INT(max);
	out->initiator = initiator(a, &u);
	out->owner = listing_owner(a, u.object->owner);
	out->storage_class = str_set(u.object->storage_class) ? u.object->storage_class : S("STANDARD");
	out->checksum_algorithm = u.object->checksum_algorithm;
	out->checksum_type = u.object->checksum_type;
	return CALL_OK;
}
