#include "aws/s3/access.h"
#include "aws/s3/encryption.h"

static bool wanted(const struct s3_get_object_attributes_request *in, const char *name)
{
	for (unsigned i = 0; i < in->object_attributes.n; i++)
		if (str_is(in->object_attributes.v[i], name))
			return true;
	return false;
}

/* The parts, when their checksums were kept; else only how many. */
static void fill_parts(struct call *c, const struct s3_get_object_attributes_request *in, const struct state_s3_object *o,
                       struct s3_get_object_attributes_parts *parts)
{
	struct state_s3_segments segments;
	content_segments(call_txn(c), c->arena, o->content, &segments);
	parts->total_parts_count = OPT_INT(o->parts.v);
	if (!str_is(o->checksum_type, "COMPOSITE"))
		return;
	int64_t after = in->part_number_marker.v, max = in->max_parts.set && in->max_parts.v < 1000 ? in->max_parts.v : 1000;
	parts->part_number_marker = OPT_INT(after);
	parts->max_parts = OPT_INT(max);
	parts->is_truncated = OPT_BOOL(false);
	parts->parts.set = true;
	for (unsigned i = 0; i < segments.n; i++) {
		const struct state_s3_segment *s = &segments.v[i];
		if (s->number.v <= after)
			continue;
		if (parts->parts.n == max) {
			parts->is_truncated = OPT_BOOL(true);
			break;
		}
		struct s3_object_part *p = LIST_ADD(c->arena, &parts->parts);
		p->part_number = s->number;
		p->size = s->size;
		CHECKSUM_SET(p, o->checksum_algorithm, s->checksum);
		parts->next_part_number_marker = s->number;
	}
}

int s3_get_object_attributes(struct call *c, const struct s3_get_object_attributes_request *in,
                             struct s3_get_object_attributes_output *out)
{
	static const char *const known[] = {"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"};
	struct object_at at;
	if (!in->object_attributes.n)
		return s3_bad_argument(
		        c,
		        "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
		        "x-amz-object-attributes", STR_NONE);
	for (unsigned i = 0; i < in->object_attributes.n; i++) {
		bool found = false;
		for (size_t k = 0; k < sizeof(known) / sizeof(*known); k++)
			found |= str_is(in->object_attributes.v[i], known[k]);
		if (!found)
			return s3_bad_argument(c, "Invalid attribute name specified.", "x-amz-object-attributes",
			                       in->object_attributes.v[i]);
	}
	if (encryption_no_customer_key(c, in->sse_customer_algorithm) != CALL_OK ||
	    object_open(c, in->bucket, in->key, in->version_id, &at) != CALL_OK)
		return CALL_FAIL;
	/* The operation takes two permissions; the gate has asked for the one of its own name. */
	if (!s3_may(c, str_set(in->version_id) ? "s3:GetObjectVersion" : "s3:GetObject", at.bucket, in->bucket, in->key,
	            in->version_id))
		return CALL_FAIL;
	const struct state_s3_object *o = &at.object;
	out->last_modified = o->last_modified;
	out->version_id = object_version_shown(&at);
	if (wanted(in, "ETag"))
		out->e_tag = o->e_tag;
	if (wanted(in, "StorageClass"))
		out->storage_class = str_set(o->storage_class) ? o->storage_class : S("STANDARD");
	if (wanted(in, "ObjectSize"))
		out->object_size = o->size;
	if (wanted(in, "Checksum") && str_set(o->checksum_algorithm)) {
		out->checksum = arena_new(c->arena, struct s3_checksum);
		CHECKSUM_SET(out->checksum, o->checksum_algorithm, o->checksum);
		out->checksum->checksum_type = o->checksum_type;
	}
	if (wanted(in, "ObjectParts") && o->parts.v) {
		out->object_parts = arena_new(c->arena, struct s3_get_object_attributes_parts);
		fill_parts(c, in, o, out->object_parts);
	}
	return CALL_OK;
}
