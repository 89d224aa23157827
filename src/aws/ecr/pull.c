/* From a reference to files. Every step that a client of the registry would take goes through the gate as the caller's own call, so
 * that permissions, audit and errors are the same: BatchGetImage of what was named, again of the platform's manifest where that was
 * an index, GetDownloadUrlForLayer once for the permission to read the layers. Then the files are looked up and pinned. */
#include "aws/ecr/rows.h"

#include "base/log.h"
#include "store/blob.h"

#include <stdlib.h>
#include <sys/utsname.h>

struct pull {
	struct arena arena; /* of the request */
	struct cloud *cloud;
	const struct principal *as;
	struct ecr_place place;
	struct str architecture;
	struct ecr_manifest manifest;
	struct ecr_pulled *found;
	bool inner; /* the manifest of an index's platform is asked for */
	ecr_pull_done *done;
	void *ctx;
};

/* --- references */

static bool is_port(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_digit(s.p[i]))
			return false;
	return s.n > 0;
}

static bool is_registry(struct str host, struct ecr_reference *ret)
{
	struct str rest = host, name = str_cut(&rest, ':');
	if (str_set(rest) && !is_port(rest))
		return false;
	if (str_is(name, "localhost") || str_starts(name, S("127.")))
		return true;
	rest = name;
	ret->account = str_cut(&rest, '.');
	if (ret->account.n != 12 || !is_port(ret->account) || !str_set(rest) || !str_starts(rest, S("dkr.ecr.")))
		return false;
	rest = str_from_at(rest, 8);
	ret->region = str_cut(&rest, '.');
	return ret->region.n > 0 && str_set(rest) && (str_is(rest, "amazonaws.com") || str_is(rest, "localhost"));
}

bool ecr_reference_read(struct str image, struct ecr_reference *ret)
{
	struct ecr_reference r = {0};
	struct str rest = image, host = str_cut(&rest, '/');
	if (!str_set(rest) || !is_registry(host, &r))
		return false;
	ptrdiff_t at = str_find_char(rest, '@');
	if (at >= 0) {
		r.digest = str_from_at(rest, (size_t)at + 1);
		rest = str_sub(rest, 0, (size_t)at);
		if (!ecr_digest_good(r.digest))
			return false;
	}
	ptrdiff_t colon = str_rfind_char(rest, ':');
	if (colon >= 0) {
		r.tag = str_from_at(rest, (size_t)colon + 1);
		rest = str_sub(rest, 0, (size_t)colon);
		if (!ecr_tag_good(r.tag))
			return false;
	}
	r.repository = rest;
	if (!ecr_name_good(rest))
		return false;
	*ret = r;
	return true;
}

static struct str this_architecture(void)
{
	static struct utsname u;
	if (uname(&u) < 0)
		return S("amd64");
	struct str machine = str_from(u.machine);
	return str_is(machine, "x86_64") ? S("amd64") : str_is(machine, "aarch64") ? S("arm64") : machine;
}

/* --- the end */

static void pull_free(struct pull *p)
{
	principal_unref(p->as);
	arena_done(&p->arena);
	free(p);
}

static void pull_fail(struct pull *p, struct str code, struct str message)
{
	ecr_pulled_free(p->found);
	p->done(p->ctx, NULL, code, message);
	pull_free(p);
}

static struct ecr_state *state_of(struct cloud *cloud)
{
	return cloud_state(cloud, &ecr_service);
}

static struct str blob_path(struct arena *a, const struct cloud *cloud, struct str blob)
{
	return arena_printf(a, "%s/blobs/%.2s/%.*s", cloud->data_dir, blob.p, (int)blob.n - 2, blob.p + 2);
}

static bool find_file(struct pull *p, struct store_txn *t, const struct ecr_descriptor *d, struct ecr_file *ret)
{
	struct arena *a = &p->found->arena;
	struct state_ecr_layer_record layer;
	struct state_ecr_content_record content;
	if (!ecr_find_layer(t, &p->arena, &p->place, d->digest, &layer) || !ecr_find_content(t, &p->arena, d->digest, &content))
		return false;
	ret->digest = arena_dup(a, d->digest);
	ret->media_type = arena_dup(a, d->media_type);
	ret->size = (uint64_t)content.size.v;
	ret->path = blob_path(a, p->cloud, content.blob);
	ecr_pin(state_of(p->cloud), content.blob);
	return true;
}

/* The id of the content file that a path names. */
static struct str blob_of_path(struct str path, char id[static BLOB_ID_LEN + 1])
{
	size_t n = path.n;
	memcpy(id, path.p + n - BLOB_ID_LEN - 1, 2);
	memcpy(id + 2, path.p + n - BLOB_ID_LEN + 2, BLOB_ID_LEN - 2);
	id[BLOB_ID_LEN] = '\0';
	return str_of(id, BLOB_ID_LEN);
}

static void unpin(struct cloud *cloud, const struct ecr_file *f)
{
	char id[BLOB_ID_LEN + 1];
	if (str_set(f->path))
		ecr_unpin(state_of(cloud), blob_of_path(f->path, id));
}

void ecr_pulled_free(struct ecr_pulled *image)
{
	if (!image)
		return;
	unpin(image->cloud, &image->config);
	for (unsigned i = 0; i < image->layer_count; i++)
		unpin(image->cloud, &image->layers[i]);
	arena_done(&image->arena);
	free(image);
}

/* --- steps */

static void ask_for_image(struct pull *p, struct str tag, struct str digest);

static void may_read(void *ctx, struct call *sub)
{
	struct pull *p = ctx;
	if (str_set(sub->error.code)) {
		pull_fail(p, sub->error.code, sub->error.message);
		return;
	}
	const struct ecr_manifest *m = &p->manifest;
	struct ecr_pulled *found = p->found;
	struct store_txn *t = store_begin(p->cloud->store, &p->arena);
	bool all = find_file(p, t, &m->config, &found->config);
	found->layers = arena_array(&found->arena, m->count + 1u, sizeof(*found->layers));
	for (unsigned i = 0; i < m->count && all; i++) {
		all = find_file(p, t, &m->parts[i], &found->layers[i]);
		found->layer_count += all;
	}
	store_abort(t);
	if (!all) {
		pull_fail(p, S("LayersNotFoundException"), S("A layer of the image is not in the repository."));
		return;
	}
	p->found = NULL;
	p->done(p->ctx, found, STR_NONE, STR_NONE);
	pull_free(p);
}

static void ask_to_read(struct pull *p)
{
	const struct ecr_get_download_url_for_layer_request in = {
	        .registry_id = p->place.account, .repository_name = p->place.name, .layer_digest = p->manifest.config.digest};
	call_op(p->cloud, p->as, p->place.region, &ecr_api, "GetDownloadUrlForLayer", &in, may_read, p);
}

static const struct ecr_descriptor *choose(const struct pull *p)
{
	for (unsigned i = 0; i < p->manifest.count; i++) {
		const struct ecr_descriptor *d = &p->manifest.parts[i];
		if (str_set(d->architecture) && str_eq(d->architecture, p->architecture) && str_set(d->os) &&
		    str_is(d->os, "linux"))
			return d;
	}
	return NULL;
}

static void got_image(void *ctx, struct call *sub)
{
	struct pull *p = ctx;
	const struct ecr_batch_get_image_response *out = sub->out;
	struct ecr_pulled *found = p->found;
	struct str why;
	if (str_set(sub->error.code)) {
		pull_fail(p, sub->error.code, sub->error.message);
		return;
	}
	if (!out->images.n) {
		pull_fail(p, S("ImageNotFoundException"), S("Requested image not found"));
		return;
	}
	const struct ecr_image *image = &out->images.v[0];
	struct str text = arena_dup(&found->arena, image->image_manifest);
	struct str type = arena_dup(&found->arena, image->image_manifest_media_type);
	if (!ecr_manifest_read(&p->arena, text, type, &p->manifest, &why)) {
		pull_fail(p, S("UnsupportedImageTypeException"), why);
		return;
	}
	found->manifest_digest = arena_dup(&found->arena, image->image_id->image_digest);
	found->manifest = text;
	found->media_type = type;
	if (!p->inner)
		found->digest = found->manifest_digest;
	if (!p->manifest.index) {
		if (p->manifest.image)
			ask_to_read(p);
		else
			pull_fail(p, S("UnsupportedImageTypeException"), S("The image is an artifact, not a container's."));
		return;
	}
	const struct ecr_descriptor *fits = p->inner ? NULL : choose(p);
	if (!fits) {
		pull_fail(p, S("UnsupportedImageTypeException"),
		          arena_printf(&p->arena, "no match for platform in manifest: linux/%.*s", STR_ARG(p->architecture)));
		return;
	}
	p->inner = true;
	ask_for_image(p, STR_NONE, fits->digest);
}

static void ask_for_image(struct pull *p, struct str tag, struct str digest)
{
	struct ecr_image_identifier id = {.image_digest = digest, .image_tag = tag};
	struct ecr_batch_get_image_request in = {.registry_id = p->place.account, .repository_name = p->place.name};
	in.image_ids.v = &id;
	in.image_ids.n = 1;
	in.image_ids.set = true;
	call_op(p->cloud, p->as, p->place.region, &ecr_api, "BatchGetImage", &in, got_image, p);
}

void ecr_pull(struct cloud *cloud, const struct principal *as, const struct ecr_reference *ref, struct str architecture,
              ecr_pull_done *done, void *ctx)
{
	struct pull *p = calloc(1, sizeof(*p));
	struct ecr_pulled *found = calloc(1, sizeof(*found));
	if (!p || !found)
		die("out of memory (ecr)");
	p->cloud = found->cloud = cloud;
	p->as = principal_ref(as);
	p->done = done;
	p->ctx = ctx;
	p->found = found;
	struct arena *a = &found->arena;
	found->account = arena_dup(a, str_set(ref->account) ? ref->account : as->account);
	found->region = arena_dup(a, ref->region);
	found->repository = arena_dup(a, ref->repository);
	/* The place outlives the struct that is handed over. */
	p->place = (struct ecr_place){arena_dup(&p->arena, found->account), arena_dup(&p->arena, found->region),
	                              arena_dup(&p->arena, found->repository)};
	p->architecture = arena_dup(&p->arena, str_set(architecture) ? architecture : this_architecture());
	bool named = str_set(ref->tag) || str_set(ref->digest);
	/* A digest is what counts where both are given. */
	ask_for_image(p, str_set(ref->digest) ? STR_NONE : named ? ref->tag : S("latest"), ref->digest);
}
