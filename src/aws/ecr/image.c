/* Images of a repository: their coming and going, in one transaction with all that they refer to. */
#include "aws/ecr/rows.h"

#include "base/clock.h"
#include "engine/metrics/metrics.h"

enum { MINUTE_S = 60, PULL_NOTED_MS = 24 * 3600 * 1000, IMAGES_MAX = 100000 };

/* --- putting */

static int read_manifest(struct call *c, struct ecr_put *put)
{
	struct str why;
	if (put->text.n > MANIFEST_BYTES_MAX)
		return ecr_invalid(
		        c, "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Manifest is larger than %d bytes'",
		        MANIFEST_BYTES_MAX);
	if (!ecr_manifest_read(c->arena, put->text, put->media_type, &put->manifest, &why))
		return ecr_invalid(c,
		                   "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax: %.*s'",
		                   STR_ARG(why));
	if (str_set(put->tag) && !ecr_tag_good(put->tag))
		return ecr_invalid(c,
		                   "Invalid parameter at 'imageTag' failed to satisfy constraint: 'must satisfy regular expression "
		                   "'[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}''");
	put->made_digest = ecr_digest(c->arena, put->text);
	if (str_set(put->digest) && !str_eq(put->digest, put->made_digest))
		return call_fail(c, "ImageDigestDoesNotMatchException", 0,
		                 "The image digest '%.*s' does not match the digest '%.*s' of the manifest", STR_ARG(put->digest),
		                 STR_ARG(put->made_digest));
	return CALL_OK;
}

static void add_missing(struct call *c, struct buf *missing, struct str digest)
{
	(void)c;
	buf_printf(missing, "%s%.*s", missing->n ? ", " : "", STR_ARG(digest));
}

static int check_parts(struct call *c, const struct ecr_place *p, const struct ecr_put *put)
{
	struct buf CLEAN_BUF missing;
	struct state_ecr_layer_record layer;
	struct state_ecr_image_record image;
	const struct ecr_manifest *m = &put->manifest;
	buf_init(&missing, 1 << 16);
	if (!m->index && !ecr_find_layer(call_txn(c), c->arena, p, m->config.digest, &layer))
		add_missing(c, &missing, m->config.digest);
	for (unsigned i = 0; i < m->count; i++) {
		struct str digest = m->parts[i].digest;
		bool there = m->index ? ecr_find_image(call_txn(c), c->arena, p, digest, &image)
		                      : m->parts[i].elsewhere || ecr_find_layer(call_txn(c), c->arena, p, digest, &layer);
		if (!there)
			add_missing(c, &missing, digest);
	}
	if (!missing.n)
		return CALL_OK;
	return call_fail(
	        c, m->index ? "ReferencedImagesNotFoundException" : "LayersNotFoundException", 0,
	        "%s with digests '[%.*s]' required for pushing image into repository with name '%.*s' in the registry with id "
	        "'%.*s' do not exist",
	        m->index ? "Images" : "Layers", (int)missing.n, missing.p, STR_ARG(p->name), STR_ARG(p->account));
}

bool ecr_tag_is_fixed(const struct state_ecr_repository_record *r, struct str tag)
{
	bool fixed = str_starts(r->mutability, S("IMMUTABLE"));
	for (uint32_t i = 0; i < r->filters.n; i++)
		if (str_glob(r->filters.v[i], tag, false))
			return !fixed;
	return fixed;
}

static void add_tag(struct call *c, const struct ecr_place *p, struct state_ecr_image_record *image, struct str tag)
{
	*LIST_ADD(c->arena, &image->tags) = tag;
	store_put(call_txn(c), ecr_tag_key(c->arena, p, tag), image->digest);
}

/* Takes the tag from whatever image has it. */
static int free_tag(struct call *c, const struct ecr_place *p, const struct state_ecr_repository_record *r,
                    const struct ecr_put *put)
{
	struct state_ecr_image_record old;
	struct str now = ecr_find_tag(call_txn(c), c->arena, p, put->tag);
	if (!str_set(now))
		return CALL_OK;
	if (ecr_tag_is_fixed(r, put->tag))
		return call_fail(
		        c, "ImageTagAlreadyExistsException", 0,
		        "The image tag '%.*s' already exists in the '%.*s' repository and cannot be overwritten because the "
		        "tag is immutable.",
		        STR_ARG(put->tag), STR_ARG(p->name));
	if (ecr_find_image(call_txn(c), c->arena, p, now, &old)) {
		ecr_remove_tag(call_txn(c), c->arena, p, &old, put->tag);
		ecr_put_image_row(call_txn(c), c->arena, p, &old);
	}
	return CALL_OK;
}

static void refer(struct call *c, const struct ecr_place *p, const struct ecr_put *put, struct state_ecr_image_record *image)
{
	struct store_txn *t = call_txn(c);
	const struct ecr_manifest *m = &put->manifest;
	struct map seen = {0};
	if (!m->index) {
		*LIST_ADD(c->arena, &image->blobs) = m->config.digest;
		ecr_layer_ref(t, c->arena, p, m->config.digest, m->config.media_type, 1, c->now_ms);
		map_put(&seen, m->config.digest, image);
	}
	for (unsigned i = 0; i < m->count; i++) {
		struct state_ecr_image_record child;
		struct state_ecr_layer_record layer;
		struct str digest = m->parts[i].digest;
		if (!m->index)
			image->size.v += ecr_find_layer(t, c->arena, p, digest, &layer) ? layer.size.v : 0;
		if (map_put(&seen, digest, image))
			continue; /* a layer that comes twice is needed once */
		*LIST_ADD(c->arena, m->index ? &image->children : &image->blobs) = digest;
		if (!m->index) {
			ecr_layer_ref(t, c->arena, p, digest, m->parts[i].media_type, 1, c->now_ms);
		} else if (ecr_find_image(t, c->arena, p, digest, &child)) {
			child.parents = OPT_INT(child.parents.v + 1);
			ecr_put_image_row(t, c->arena, p, &child);
		}
	}
	map_done(&seen);
	if (str_set(m->subject))
		store_put(t, ecr_referrer_key(c->arena, p, m->subject, image->digest), S(""));
}

int ecr_put_image_into(struct call *c, const struct ecr_place *p, const struct state_ecr_repository_record *r, struct ecr_put *put)
{
	struct store_txn *t = call_txn(c);
	struct state_ecr_image_record image = {0};
	struct state_ecr_usage_record usage = {0};
	if (read_manifest(c, put) != CALL_OK)
		return CALL_FAIL;
	struct str tagged = str_set(put->tag) ? ecr_find_tag(t, c->arena, p, put->tag) : STR_NONE;
	bool known = ecr_find_image(t, c->arena, p, put->made_digest, &image);
	put->existed = known && (!str_set(put->tag) || (str_set(tagged) && str_eq(tagged, put->made_digest)));
	if (put->existed)
		return CALL_OK;
	if (known && image.tags.n >= ECR_TAGS_PER_IMAGE)
		return call_fail(c, "LimitExceededException", 0, "The image has %d tags, which is the limit.", ECR_TAGS_PER_IMAGE);
	record_get(t, c->arena, KEY(c->arena, S("ecr"), S("usage"), p->account, p->region, p->name), ECR_ROW("Usage"), &usage);
	if (!known && usage.images.v >= IMAGES_MAX)
		return call_fail(c, "LimitExceededException", 0, "The repository has %d images, which is the limit.", IMAGES_MAX);
	if (!known && check_parts(c, p, put) != CALL_OK)
		return CALL_FAIL;
	if (str_set(put->tag) && free_tag(c, p, r, put) != CALL_OK)
		return CALL_FAIL;
	if (!known) {
		const struct ecr_manifest *m = &put->manifest;
		image = (struct state_ecr_image_record){.digest = put->made_digest,
		                                        .media_type = m->media_type,
		                                        .artifact_type = str_set(m->artifact_type) ? m->artifact_type
		                                                         : m->index                ? STR_NONE
		                                                                                   : m->config.media_type,
		                                        .subject = m->subject,
		                                        .annotations = m->annotations,
		                                        .pushed = OPT_TIME(c->now_ms),
		                                        .size = OPT_INT(0),
		                                        .manifest_size = OPT_INT((int64_t)put->text.n)};
		refer(c, p, put, &image);
		store_put(t, ecr_manifest_key(c->arena, p, image.digest), put->text);
		ecr_count(t, c->arena, p, 0, 1, c->now_ms);
	}
	if (str_set(put->tag))
		add_tag(c, p, &image, put->tag);
	ecr_put_image_row(t, c->arena, p, &image);
	ecr_tell(c, p, "PUSH", put->made_digest, put->tag);
	return CALL_OK;
}

/* --- removing */

void ecr_remove_tag(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct state_ecr_image_record *image,
                    struct str tag)
{
	struct str_list left = {0};
	for (uint32_t i = 0; i < image->tags.n; i++)
		if (!str_eq(image->tags.v[i], tag))
			*LIST_ADD(a, &left) = image->tags.v[i];
	image->tags = left;
	store_delete(t, ecr_tag_key(a, p, tag));
}

void ecr_remove_image(struct store_txn *t, struct arena *a, const struct ecr_place *p, const struct state_ecr_image_record *image,
                      int64_t now_ms)
{
	for (uint32_t i = 0; i < image->tags.n; i++)
		store_delete(t, ecr_tag_key(a, p, image->tags.v[i]));
	for (uint32_t i = 0; i < image->blobs.n; i++)
		ecr_layer_ref(t, a, p, image->blobs.v[i], STR_NONE, -1, now_ms);
	for (uint32_t i = 0; i < image->children.n; i++) {
		struct state_ecr_image_record child;
		if (!ecr_find_image(t, a, p, image->children.v[i], &child))
			continue;
		child.parents = OPT_INT(child.parents.v - 1);
		ecr_put_image_row(t, a, p, &child);
	}
	if (str_set(image->subject))
		store_delete(t, ecr_referrer_key(a, p, image->subject, image->digest));
	store_delete(t, ecr_manifest_key(a, p, image->digest));
	store_delete(t, ecr_image_key(a, p, image->digest));
	ecr_count(t, a, p, 0, -1, now_ms);
}

/* --- reading */

struct str ecr_resolve(struct call *c, const struct ecr_place *p, struct str tag, struct str digest)
{
	struct str meant = str_set(tag) ? ecr_find_tag(call_txn(c), c->arena, p, tag) : digest;
	if (str_set(tag) && str_set(digest) && str_set(meant) && !str_eq(meant, digest))
		return STR_NONE;
	return meant;
}

void ecr_count_pulls(const struct cloud *cloud, const struct ecr_place *p, uint32_t n)
{
	const struct metric_dimension by = {S("RepositoryName"), p->name};
	const struct metric m = {p->account, p->region, S("AWS/ECR"), S("RepositoryPullCount"), S("Count"), &by, 1};
	if (n && cloud->metrics)
		metrics_put_values(cloud->metrics, &m, clock_wall_ms(), MINUTE_S, &(struct metric_value){1, n}, 1);
}

void ecr_image_pulled(struct call *c, const struct ecr_place *p, struct state_ecr_image_record *image)
{
	if (image->pulled.set && c->now_ms - image->pulled.ms < PULL_NOTED_MS)
		return;
	image->pulled = OPT_TIME(c->now_ms);
	ecr_put_image_row(call_txn(c), c->arena, p, image);
}
