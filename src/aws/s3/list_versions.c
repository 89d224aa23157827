#include "aws/s3/listing.h"

/* Versions come out key by key, each key's newest first, as the records lie: the current one, then the older ones by their tails.
 */
int s3_list_object_versions(struct call *c, const struct s3_list_object_versions_request *in,
                            struct s3_list_object_versions_output *out)
{
	struct arena *a = c->arena;
	int64_t max;
	if (listing_check(c, in->encoding_type, in->max_keys, "maxKeys", &max) != CALL_OK)
		return CALL_FAIL;
	struct str version_marker = in->version_id_marker;
	if (str_set(version_marker) && str_empty(version_marker))
		version_marker = STR_NONE;
	if (str_set(version_marker) && str_empty(in->key_marker))
		return s3_bad_argument(c, "A version-id marker cannot be specified without a key marker.", "version-id-marker",
		                       version_marker);
	if (str_set(version_marker) && !s3_version_id_valid(version_marker))
		return s3_bad_argument(c, "Invalid version id specified", "version-id-marker", version_marker);
	struct listing l;
	struct listing_entry e;
	listing_begin(&l, c, "object", in->bucket, in->prefix, in->delimiter, str_set(version_marker) ? STR_NONE : in->key_marker);
	bool skipping = str_set(version_marker);
	if (skipping)
		tree_seek(&l.walk, in->key_marker);
	struct str last_key = STR_NONE, last_version = STR_NONE;
	int64_t n = 0;
	bool truncated = false;
	while (max > 0 && listing_next(&l, NULL, &e)) {
		struct state_s3_object o = {0};
		if (!e.is_prefix) {
			object_read(a, e.value.value, &o);
			if (skipping && str_eq(e.name, in->key_marker)) {
				skipping = !str_eq(o.version_id, version_marker);
				continue;
			}
		}
		if (n++ == max) {
			truncated = true;
			break;
		}
		last_key = e.name;
		last_version = e.is_prefix ? STR_NONE : o.version_id;
		if (e.is_prefix) {
			LIST_ADD(a, &out->common_prefixes)->prefix = listing_text(a, in->encoding_type, e.name);
		} else if (o.delete_marker.v) {
			*LIST_ADD(a, &out->delete_markers) = (struct s3_delete_marker_entry){
			        .owner = listing_owner(a, o.owner),
			        .key = listing_text(a, in->encoding_type, e.name),
			        .version_id = o.version_id,
			        .is_latest = OPT_BOOL(!str_set(e.tail)),
			        .last_modified = o.last_modified,
			};
		} else {
			struct s3_object_version *v = LIST_ADD(a, &out->versions);
			*v = (struct s3_object_version){
			        .e_tag = s3_quoted(a, o.e_tag),
			        .size = o.size,
			        .storage_class = str_set(o.storage_class) ? o.storage_class : S("STANDARD"),
			        .key = listing_text(a, in->encoding_type, e.name),
			        .version_id = o.version_id,
			        .is_latest = OPT_BOOL(!str_set(e.tail)),
			        .last_modified = o.last_modified,
			        .owner = listing_owner(a, o.owner),
			};
			if (str_set(o.checksum_algorithm)) {
				*LIST_ADD(a, &v->checksum_algorithm) = o.checksum_algorithm;
				v->checksum_type = o.checksum_type;
			}
		}
	}
	out->name = in->bucket;
	out->prefix = listing_text(a, in->encoding_type, str_set(in->prefix) ? in->prefix : S(""));
	out->delimiter = listing_text(a, in->encoding_type, in->delimiter);
	out->key_marker = listing_text(a, in->encoding_type, str_set(in->key_marker) ? in->key_marker : S(""));
	out->version_id_marker = str_set(in->version_id_marker) ? in->version_id_marker : S("");
	out->encoding_type = in->encoding_type;
	out->max_keys = OPT_INT(max);
	out->is_truncated = OPT_BOOL(truncated);
	if (truncated) {
		out->next_key_marker = listing_text(a, in->encoding_type, last_key);
		out->next_version_id_marker = last_version;
	}
	return CALL_OK;
}
