/* Images by the API: PutImage, BatchGetImage, BatchDeleteImage, ListImages, DescribeImages, ListImageReferrers. */
#include "aws/ecr/rows.h"

enum { PAGE_DEFAULT = 100 };

int ecr_put_image(struct call *c, const struct ecr_put_image_request *in, struct ecr_put_image_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	struct ecr_put put = {.text = in->image_manifest,
	                      .media_type = in->image_manifest_media_type,
	                      .tag = in->image_tag,
	                      .digest = in->image_digest};
	if (ecr_get(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK || ecr_put_image_into(c, &p, &r, &put) != CALL_OK)
		return CALL_FAIL;
	if (put.existed)
		return call_fail(
		        c, "ImageAlreadyExistsException", 0,
		        "Image with digest '%.*s' and tag '%.*s' already exists in the repository with name '%.*s' in registry "
		        "with id '%.*s'",
		        STR_ARG(put.made_digest), STR_ARG(str_set(put.tag) ? put.tag : S("null")), STR_ARG(p.name),
		        STR_ARG(p.account));
	struct ecr_image *image = out->image = arena_new(c->arena, struct ecr_image);
	image->registry_id = p.account;
	image->repository_name = p.name;
	image->image_id = arena_new(c->arena, struct ecr_image_identifier);
	*image->image_id = (struct ecr_image_identifier){put.made_digest, put.tag};
	image->image_manifest = in->image_manifest;
	image->image_manifest_media_type = put.manifest.media_type;
	return CALL_OK;
}

/* What an identifier means; absent: failure, with its code and reason. */
static struct str find(struct call *c, const struct ecr_place *p, const struct ecr_image_identifier *id,
                       struct state_ecr_image_record *ret, const char **ret_code, const char **ret_reason)
{
	*ret_code = *ret_reason = NULL;
	if (!str_set(id->image_digest) && !str_set(id->image_tag)) {
		*ret_code = "MissingDigestAndTag";
		*ret_reason = "Invalid request parameters: both tag and digest cannot be null";
	} else if (str_set(id->image_digest) && !ecr_digest_good(id->image_digest)) {
		*ret_code = "InvalidImageDigest";
		*ret_reason = "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'";
	}
	if (*ret_code)
		return STR_NONE;
	struct str digest = ecr_resolve(c, p, id->image_tag, id->image_digest);
	if (str_set(digest) && ecr_find_image(call_txn(c), c->arena, p, digest, ret))
		return digest;
	bool other = str_set(id->image_tag) && str_set(id->image_digest) &&
	             str_set(ecr_find_tag(call_txn(c), c->arena, p, id->image_tag));
	*ret_code = other ? "ImageTagDoesNotMatchDigest" : "ImageNotFound";
	*ret_reason = other ? "The tag is another image's" : "Requested image not found";
	return STR_NONE;
}

static void fail_one(struct call *c, struct ecr_image_failure_list *to, const struct ecr_image_identifier *id, const char *code,
                     const char *reason)
{
	struct ecr_image_failure *f = LIST_ADD(c->arena, to);
	f->image_id = arena_new(c->arena, struct ecr_image_identifier);
	*f->image_id = *id;
	f->failure_code = str_from(code);
	f->failure_reason = str_from(reason);
}

/* By tag, in the format that the client asks for where that can be said in it. The image's digest stays the stored one's. */
static void put_manifest(struct call *c, const struct ecr_batch_get_image_request *in, struct ecr_image *o)
{
	struct str other = ecr_manifest_other_type(o->image_manifest_media_type);
	bool knows = !in->accepted_media_types.n, wants = false;
	for (uint32_t i = 0; i < in->accepted_media_types.n; i++) {
		knows = knows || str_eq(in->accepted_media_types.v[i], o->image_manifest_media_type);
		wants = wants || (str_set(other) && str_eq(in->accepted_media_types.v[i], other));
	}
	struct str translated = knows || !wants || !str_set(o->image_id->image_tag)
	                                ? STR_NONE
	                                : ecr_manifest_translate(c->arena, o->image_manifest, o->image_manifest_media_type);
	if (!str_set(translated))
		return;
	o->image_manifest = translated;
	o->image_manifest_media_type = other;
}

static int imported(struct call *c)
{
	return ecr_batch_get_image(c, c->in, c->out);
}

static void counted(struct call *c)
{
	const struct ecr_batch_get_image_request *in = c->in;
	const struct ecr_batch_get_image_response *out = c->out;
	struct ecr_place p = {str_set(in->registry_id) ? in->registry_id : c->account, c->region, in->repository_name};
	ecr_count_pulls(c->cloud, &p, out->images.n);
}

int ecr_batch_get_image(struct call *c, const struct ecr_batch_get_image_request *in, struct ecr_batch_get_image_response *out)
{
	struct ecr_place p = {str_set(in->registry_id) ? in->registry_id : c->account, c->region, in->repository_name};
	const struct ecr_image_identifier *one = in->image_ids.n == 1 ? in->image_ids.v : NULL;
	struct str reference = !one ? STR_NONE : str_set(one->image_digest) ? one->image_digest : one->image_tag;
	bool good = str_set(reference) && (ecr_digest_good(reference) || ecr_tag_good(reference));
	struct state_ecr_repository_record r;
	struct state_ecr_image_record image;
	const char *code, *reason;
	int said = good ? ecr_import(c, &p, reference, imported) : CALL_OK;
	if (said != CALL_OK)
		return said;
	out->images.set = out->failures.set = true;
	if (ecr_get(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->image_ids.n; i++) {
		const struct ecr_image_identifier *id = &in->image_ids.v[i];
		struct str digest = find(c, &p, id, &image, &code, &reason);
		if (!str_set(digest)) {
			fail_one(c, &out->failures, id, code, reason);
			continue;
		}
		ecr_image_pulled(c, &p, &image);
		struct ecr_image *o = LIST_ADD(c->arena, &out->images);
		o->registry_id = p.account;
		o->repository_name = p.name;
		o->image_id = arena_new(c->arena, struct ecr_image_identifier);
		*o->image_id = (struct ecr_image_identifier){digest, id->image_tag};
		o->image_manifest = ecr_manifest_text(call_txn(c), c->arena, &p, digest);
		o->image_manifest_media_type = image.media_type;
		put_manifest(c, in, o);
	}
	call_after_commit(c, counted);
	return CALL_OK;
}

int ecr_batch_delete_image(struct call *c, const struct ecr_batch_delete_image_request *in,
                           struct ecr_batch_delete_image_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	struct state_ecr_image_record image;
	const char *code, *reason;
	out->image_ids.set = out->failures.set = true;
	if (ecr_get(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->image_ids.n; i++) {
		const struct ecr_image_identifier *id = &in->image_ids.v[i];
		struct str digest = find(c, &p, id, &image, &code, &reason);
		if (!str_set(digest)) {
			fail_one(c, &out->failures, id, code, reason);
			continue;
		}
		/* A tag alone goes; with its last one goes the image. */
		bool whole = str_set(id->image_digest) || image.tags.n == 1;
		if (whole && image.parents.v > 0) {
			fail_one(c, &out->failures, id, "ImageReferencedByManifestList",
			         "Requested image referenced by manifest list");
			continue;
		}
		if (!whole) {
			ecr_remove_tag(call_txn(c), c->arena, &p, &image, id->image_tag);
			ecr_put_image_row(call_txn(c), c->arena, &p, &image);
			ecr_tell(c, &p, "DELETE", digest, id->image_tag);
			*LIST_ADD(c->arena, &out->image_ids) = (struct ecr_image_identifier){digest, id->image_tag};
			continue;
		}
		ecr_remove_image(call_txn(c), c->arena, &p, &image, c->now_ms);
		ecr_tell(c, &p, "DELETE", digest, image.tags.n ? image.tags.v[0] : STR_NONE);
		for (uint32_t k = 0; k < image.tags.n; k++)
			*LIST_ADD(c->arena, &out->image_ids) = (struct ecr_image_identifier){digest, image.tags.v[k]};
		if (!image.tags.n)
			*LIST_ADD(c->arena, &out->image_ids) = (struct ecr_image_identifier){digest, STR_NONE};
	}
	return CALL_OK;
}

/* --- lists */

static bool wanted(struct str status, const struct state_ecr_image_record *image)
{
	return !str_set(status) || str_is(status, "ANY") || str_is(status, "TAGGED") == (image->tags.n > 0);
}

struct walk {
	struct store_iter *iter;
	struct str under, last, status;
};

static int walk_begin(struct call *c, struct walk *w, const struct ecr_place *p, struct str token, struct str status)
{
	struct str from;
	*w = (struct walk){.under = ecr_under(c->arena, "image", p), .status = status};
	if (ecr_page_from(c, token, w->under, &from) != CALL_OK)
		return CALL_FAIL;
	w->last = from;
	w->iter = store_scan(call_txn(c), from, store_prefix_end(c->arena, w->under), false);
	return CALL_OK;
}

/* *ret_before: where a page ends that does not hold this image. */
static bool walk_next(struct call *c, struct walk *w, struct state_ecr_image_record *ret, struct str *ret_before)
{
	struct str key;
	struct store_value v;
	while (store_next(w->iter, &key, &v)) {
		*ret_before = w->last;
		w->last = arena_dup(c->arena, key);
		if (record_read(c->arena, v.value, ECR_ROW("Image"), ret) && wanted(w->status, ret))
			return true;
	}
	return false;
}

int ecr_list_images(struct call *c, const struct ecr_list_images_request *in, struct ecr_list_images_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	struct state_ecr_image_record image;
	struct walk w;
	struct str before;
	uint32_t max = in->max_results.set ? (uint32_t)in->max_results.v : PAGE_DEFAULT;
	out->image_ids.set = true;
	if (ecr_get(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK ||
	    walk_begin(c, &w, &p, in->next_token, in->filter ? in->filter->tag_status : STR_NONE) != CALL_OK)
		return CALL_FAIL;
	while (walk_next(c, &w, &image, &before)) {
		uint32_t more = image.tags.n ? image.tags.n : 1;
		if (out->image_ids.n && out->image_ids.n + more > max) {
			out->next_token = ecr_page_token(c, before);
			break;
		}
		for (uint32_t i = 0; i < image.tags.n; i++)
			*LIST_ADD(c->arena, &out->image_ids) = (struct ecr_image_identifier){image.digest, image.tags.v[i]};
		if (!image.tags.n)
			*LIST_ADD(c->arena, &out->image_ids) = (struct ecr_image_identifier){image.digest, STR_NONE};
	}
	return CALL_OK;
}

static void describe(struct call *c, const struct ecr_place *p, const struct state_ecr_image_record *image,
                     struct ecr_image_detail *ret)
{
	(void)c;
	ret->registry_id = p->account;
	ret->repository_name = p->name;
	ret->image_digest = image->digest;
	ret->image_tags = image->tags;
	ret->image_tags.set = image->tags.n > 0;
	ret->image_size_in_bytes = image->children.n ? (struct opt_int){0} : image->size;
	ret->image_pushed_at = image->pushed;
	ret->image_manifest_media_type = image->media_type;
	ret->artifact_media_type = image->artifact_type;
	ret->last_recorded_pull_time = image->pulled;
	ret->subject_manifest_digest = image->subject;
	ret->image_status = S("ACTIVE");
}

int ecr_describe_images(struct call *c, const struct ecr_describe_images_request *in, struct ecr_describe_images_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	struct state_ecr_image_record image;
	struct walk w;
	struct str before;
	uint32_t max = in->max_results.set ? (uint32_t)in->max_results.v : PAGE_DEFAULT;
	out->image_details.set = true;
	if (ecr_get(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->image_ids.n; i++) {
		const struct ecr_image_identifier *id = &in->image_ids.v[i];
		const char *code, *reason;
		if (str_set(find(c, &p, id, &image, &code, &reason))) {
			describe(c, &p, &image, LIST_ADD(c->arena, &out->image_details));
			continue;
		}
		return call_fail(
		        c, "ImageNotFoundException", 0,
		        "The image with imageId {imageDigest:'%.*s', imageTag:'%.*s'} does not exist within the repository with "
		        "name '%.*s' in the registry with id '%.*s'",
		        STR_ARG(str_set(id->image_digest) ? id->image_digest : S("null")),
		        STR_ARG(str_set(id->image_tag) ? id->image_tag : S("null")), STR_ARG(p.name), STR_ARG(p.account));
	}
	if (in->image_ids.n)
		return CALL_OK;
	if (walk_begin(c, &w, &p, in->next_token, in->filter ? in->filter->tag_status : STR_NONE) != CALL_OK)
		return CALL_FAIL;
	while (walk_next(c, &w, &image, &before)) {
		if (out->image_details.n == max) {
			out->next_token = ecr_page_token(c, before);
			break;
		}
		describe(c, &p, &image, LIST_ADD(c->arena, &out->image_details));
	}
	return CALL_OK;
}

static bool type_wanted(const struct ecr_list_image_referrers_filter *f, struct str type)
{
	for (uint32_t i = 0; f && i < f->artifact_types.n; i++)
		if (str_set(type) && str_eq(f->artifact_types.v[i], type))
			return true;
	return !f || f->artifact_types.n == 0;
}

int ecr_list_image_referrers(struct call *c, const struct ecr_list_image_referrers_request *in,
                             struct ecr_list_image_referrers_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	struct state_ecr_image_record image;
	struct str from, key, last = STR_NONE;
	struct store_value v;
	uint32_t max = in->max_results.set ? (uint32_t)in->max_results.v : 50;
	out->referrers.set = true;
	if (ecr_get(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK)
		return CALL_FAIL;
	if (!ecr_digest_good(in->subject_id->image_digest))
		return ecr_invalid(c,
		                   "Invalid parameter at 'subjectId' failed to satisfy constraint: 'a digest of the kind sha256:'");
	struct str under = ARENA_CAT(c->arena, ecr_under(c->arena, "referrer", &p), in->subject_id->image_digest, str_of("", 1));
	if (ecr_page_from(c, in->next_token, under, &from) != CALL_OK)
		return CALL_FAIL;
	struct store_iter *i = store_scan(call_txn(c), from, store_prefix_end(c->arena, under), false);
	while (store_next(i, &key, &v)) {
		if (out->referrers.n == max) {
			out->next_token = ecr_page_token(c, last);
			break;
		}
		last = arena_dup(c->arena, key);
		if (!ecr_find_image(call_txn(c), c->arena, &p, str_from_at(key, under.n), &image) ||
		    !type_wanted(in->filter, image.artifact_type))
			continue;
		struct ecr_image_referrer *o = LIST_ADD(c->arena, &out->referrers);
		o->digest = image.digest;
		o->media_type = image.media_type;
		o->artifact_type = image.artifact_type;
		o->size = image.manifest_size;
		o->annotations = image.annotations;
		o->artifact_status = S("ACTIVE");
	}
	return CALL_OK;
}
