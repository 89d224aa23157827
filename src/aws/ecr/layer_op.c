/* Layers by the API: BatchCheckLayerAvailability, InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload,
 * GetDownloadUrlForLayer. */
#include "aws/ecr/upload.h"

#include "base/uri.h"

enum { PART_BYTES = 10 << 20, PART_BYTES_MIN = 5 << 20, LINK_S = 3600 };

int ecr_batch_check_layer_availability(struct call *c, const struct ecr_batch_check_layer_availability_request *in,
                                       struct ecr_batch_check_layer_availability_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	struct state_ecr_layer_record layer;
	out->layers.set = out->failures.set = true;
	if (ecr_get(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->layer_digests.n; i++) {
		struct str digest = in->layer_digests.v[i];
		if (!ecr_digest_good(digest)) {
			*LIST_ADD(c->arena, &out->failures) = (struct ecr_layer_failure){
			        digest, S("InvalidLayerDigest"), S("Invalid layer digest specified in request")};
			continue;
		}
		struct ecr_layer *l = LIST_ADD(c->arena, &out->layers);
		l->layer_digest = digest;
		l->layer_availability = S("UNAVAILABLE");
		if (!ecr_find_layer(call_txn(c), c->arena, &p, digest, &layer))
			continue;
		l->layer_availability = S("AVAILABLE");
		l->layer_size = layer.size;
		l->media_type = layer.media_type;
		ecr_layer_touch(call_txn(c), c->arena, &p, digest, c->now_ms);
	}
	return CALL_OK;
}

static int begun(struct call *c)
{
	struct ecr_initiate_layer_upload_response *out = c->out;
	out->upload_id = arena_dup(c->arena, ecr_upload_id(ecr_upload_of(c)));
	out->part_size = OPT_INT(PART_BYTES);
	return CALL_OK;
}

int ecr_initiate_layer_upload(struct call *c, const struct ecr_initiate_layer_upload_request *in,
                              struct ecr_initiate_layer_upload_response *out)
{
	(void)out;
	const struct ecr_place p = {str_set(in->registry_id) ? in->registry_id : c->account, c->region, in->repository_name};
	struct state_ecr_repository_record r;
	if (ecr_get_for_push(c, &p, &r) != CALL_OK)
		return CALL_FAIL;
	struct ecr_upload *u = ecr_upload_begin(c, &p);
	if (!u)
		return CALL_FAIL;
	return ecr_upload_keep(c, u, begun);
}

static int find_upload(struct call *c, struct str registry_id, struct str name, struct str id, struct ecr_place *ret_place,
                       struct ecr_upload **ret)
{
	struct state_ecr_repository_record r;
	if (ecr_get(c, registry_id, name, ret_place, &r) != CALL_OK)
		return CALL_FAIL;
	*ret = ecr_upload_find(c, ret_place, id);
	if (!*ret)
		return call_fail(
		        c, "UploadNotFoundException", 0,
		        "The upload with id '%.*s' does not exist in the repository with name '%.*s' in the registry with id "
		        "'%.*s'",
		        STR_ARG(id), STR_ARG(name), STR_ARG(ret_place->account));
	if (ecr_upload_busy(*ret))
		return ecr_invalid(c, "Another request brings the upload with id '%.*s' on.", STR_ARG(id));
	return CALL_OK;
}

static int part_kept(struct call *c)
{
	const struct ecr_upload_layer_part_request *in = c->in;
	struct ecr_upload_layer_part_response *out = c->out;
	out->registry_id = str_set(in->registry_id) ? in->registry_id : c->account;
	out->repository_name = in->repository_name;
	out->upload_id = in->upload_id;
	out->last_byte_received = OPT_INT((int64_t)ecr_upload_size(ecr_upload_of(c)) - 1);
	return CALL_OK;
}

static int part_received(struct call *c)
{
	const struct ecr_upload_layer_part_request *in = c->in;
	struct ecr_upload *u = ecr_upload_of(c);
	if (ecr_upload_received(c, u) != CALL_OK)
		return CALL_FAIL;
	ecr_upload_part(u, in->layer_part_blob.n < PART_BYTES_MIN);
	return ecr_upload_keep(c, u, part_kept);
}

int ecr_upload_layer_part(struct call *c, const struct ecr_upload_layer_part_request *in,
                          struct ecr_upload_layer_part_response *out)
{
	(void)out;
	struct ecr_place p;
	struct ecr_upload *u;
	if (find_upload(c, in->registry_id, in->repository_name, in->upload_id, &p, &u) != CALL_OK)
		return CALL_FAIL;
	int64_t here = (int64_t)ecr_upload_size(u), length = in->part_last_byte.v - in->part_first_byte.v + 1;
	if (!in->layer_part_blob.n || length != (int64_t)in->layer_part_blob.n)
		return ecr_invalid(c, "Invalid parameter at 'partLastByte' failed to satisfy constraint: 'the part has %zu bytes'",
		                   in->layer_part_blob.n);
	if (in->part_first_byte.v != here) {
		struct ecr_invalid_layer_part_exception *e = arena_new(c->arena, struct ecr_invalid_layer_part_exception);
		e->registry_id = p.account;
		e->repository_name = p.name;
		e->upload_id = in->upload_id;
		e->last_valid_byte_received = OPT_INT(here - 1);
		call_fail(c, "InvalidLayerPartException", 0, "The part begins at byte %lld, and the upload goes on at byte %lld.",
		          (long long)in->part_first_byte.v, (long long)here);
		e->message = c->error.message;
		c->error.shape = api_shape_named(&ecr_api, S("InvalidLayerPartException"));
		c->error.value = e;
		return CALL_FAIL;
	}
	return ecr_upload_receive(c, u, in->layer_part_blob, part_received);
}

static int layer_completed(struct call *c)
{
	const struct ecr_complete_layer_upload_request *in = c->in;
	struct ecr_complete_layer_upload_response *out = c->out;
	out->registry_id = str_set(in->registry_id) ? in->registry_id : c->account;
	out->repository_name = in->repository_name;
	out->upload_id = in->upload_id;
	out->layer_digest = in->layer_digests.v[0];
	return CALL_OK;
}

int ecr_complete_layer_upload(struct call *c, const struct ecr_complete_layer_upload_request *in,
                              struct ecr_complete_layer_upload_response *out)
{
	(void)out;
	struct ecr_place p;
	struct ecr_upload *u;
	struct state_ecr_layer_record layer;
	if (find_upload(c, in->registry_id, in->repository_name, in->upload_id, &p, &u) != CALL_OK)
		return CALL_FAIL;
	if (in->layer_digests.n != 1 || !ecr_digest_good(in->layer_digests.v[0]))
		return ecr_invalid(
		        c, "Invalid parameter at 'layerDigests' failed to satisfy constraint: 'one digest of the kind sha256:'");
	struct str digest = in->layer_digests.v[0];
	if (ecr_upload_size(u) == 0)
		return call_fail(c, "EmptyUploadException", 0, "The upload with id '%.*s' has no parts.", STR_ARG(in->upload_id));
	if (ecr_upload_has_small_part(u))
		return call_fail(c, "LayerPartTooSmallException", 0,
		                 "Layer parts must be at least %d bytes in size, but for the last one.", PART_BYTES_MIN);
	if (ecr_find_layer(call_txn(c), c->arena, &p, digest, &layer))
		return call_fail(
		        c, "LayerAlreadyExistsException", 0,
		        "Layer with digest '%.*s' already exists in the repository with name '%.*s' in registry with id '%.*s'",
		        STR_ARG(digest), STR_ARG(p.name), STR_ARG(p.account));
	int said = ecr_upload_complete(c, u, digest, layer_completed);
	if (said == CALL_FAIL && str_is(c->error.code, "DIGEST_INVALID"))
		return call_fail(c, "InvalidLayerException", 0, "%.*s", STR_ARG(c->error.message));
	return said;
}

int ecr_get_download_url_for_layer(struct call *c, const struct ecr_get_download_url_for_layer_request *in,
                                   struct ecr_get_download_url_for_layer_response *out)
{
	struct ecr_place p;
	struct state_ecr_repository_record r;
	struct state_ecr_layer_record layer;
	if (ecr_get(c, in->registry_id, in->repository_name, &p, &r) != CALL_OK)
		return CALL_FAIL;
	if (!ecr_find_layer(call_txn(c), c->arena, &p, in->layer_digest, &layer))
		return call_fail(
		        c, "LayersNotFoundException", 0,
		        "The layer with digest '%.*s' does not exist in the repository with name '%.*s' in the registry with id "
		        "'%.*s'",
		        STR_ARG(in->layer_digest), STR_ARG(p.name), STR_ARG(p.account));
	struct str expires = arena_printf(c->arena, "%lld", (long long)(c->now_ms / 1000 + LINK_S));
	struct str about = ARENA_CAT(c->arena, p.account, S("/"), p.region, S("/"), p.name, S("/"), in->layer_digest);
	out->layer_digest = in->layer_digest;
	out->download_url = ARENA_CAT(c->arena, str_from(c->cloud->endpoint), S("/v2/"), p.name, S("/blobs/"), in->layer_digest,
	                              S("?account="), p.account, S("&region="), p.region, S("&expires="), expires, S("&signature="),
	                              ecr_link_signature(ecr_state(c), c->arena, about, expires));
	return CALL_OK;
}
