#include "aws/ecr/import_fetch.h"

#include "base/hash.h"
#include "base/map.h"

#include <errno.h>

static void fail(struct fetch *f, int error, struct str why)
{
	f->error = error;
	f->why = why;
}

/* One manifest; of an index those of its images first. */
static void fetch_one(struct fetch *f, struct registry *r, struct str reference, bool inner)
{
	struct fetched_manifest m = {0};
	struct str why;
	int error = registry_manifest(r, reference, &m.text, &m.media_type);
	if (error) {
		fail(f, error, r->why);
		return;
	}
	m.digest = ecr_digest(&f->arena, m.text);
	if (ecr_digest_good(reference) && !str_eq(reference, m.digest))
		fail(f, -EBADMSG, S("a manifest of the upstream registry is not what its digest says"));
	else if (!ecr_manifest_read(&f->arena, m.text, m.media_type, &m.manifest, &why))
		fail(f, -EPROTO, why);
	else if (m.manifest.index && inner)
		fail(f, -EPROTO, S("an index of the upstream registry is of indexes"));
	for (unsigned i = 0; m.manifest.index && i < m.manifest.count && !f->error; i++)
		fetch_one(f, r, m.manifest.parts[i].digest, true);
	if (!f->error && f->manifest_count == FETCH_MANIFESTS_MAX)
		fail(f, -EMSGSIZE, S("an index of the upstream registry is of too many images"));
	if (!f->error)
		f->manifests[f->manifest_count++] = m;
}

static void add_part(struct fetch *f, struct map *seen, const struct ecr_descriptor *d)
{
	if (d->elsewhere || map_put(seen, d->digest, f))
		return;
	f->parts[f->part_count++] = (struct fetched_blob){.digest = d->digest, .size = d->size};
}

static void list_parts(struct fetch *f)
{
	struct map seen = {0};
	unsigned most = 0;
	for (unsigned i = 0; i < f->manifest_count; i++)
		most += f->manifests[i].manifest.index ? 0 : f->manifests[i].manifest.count + 1;
	f->parts = arena_array(&f->arena, most + 1u, sizeof(*f->parts));
	for (unsigned i = 0; i < f->manifest_count; i++) {
		const struct ecr_manifest *m = &f->manifests[i].manifest;
		if (m->index)
			continue;
		add_part(f, &seen, &m->config);
		for (unsigned k = 0; k < m->count; k++)
			add_part(f, &seen, &m->parts[k]);
	}
	map_done(&seen);
}

void fetch_manifests(struct fetch *f)
{
	struct registry r;
	int error = registry_open(&r, &f->arena, f->base, f->name, f->stopping);
	r.sign = ecr_sign_login;
	if (error)
		fail(f, error, r.why);
	else
		fetch_one(f, &r, f->reference, false);
	registry_close(&r);
	if (!f->error)
		list_parts(f);
}

/* ---- blobs ---- */

struct sink {
	struct fetch *fetch;
	struct blob *blob;
	struct hash hash;
	int64_t left; /* of what the manifest says it has */
	int64_t size;
	int error;
};

static void again(void *ctx)
{
	struct sink *k = ctx;
	blob_drop(k->blob);
	k->blob = NULL;
	k->left = k->size;
	k->error = blob_create(k->fetch->blobs, &k->blob);
	hash_init(&k->hash, HASH_SHA256);
}

/* More than the blob has may be an error's text: judged by its length at the end. */
static bool take(void *ctx, struct str piece)
{
	struct sink *k = ctx;
	k->left -= (int64_t)piece.n;
	if (!k->error && k->left >= 0) {
		hash_add(&k->hash, piece.p, piece.n);
		k->error = blob_write(k->blob, piece.p, piece.n);
	}
	return !k->error && k->left >= -(int64_t)MANIFEST_BYTES_MAX;
}

static void fetch_blob(struct fetch *f, struct registry *r, struct fetched_blob *b)
{
	struct sink k = {.fetch = f, .size = b->size};
	unsigned char sum[HASH_MAX_BYTES];
	char hex[65];
	int error = registry_blob(r, b->digest, again, take, &k);
	if (!error && k.error)
		error = k.error;
	hash_end(&k.hash, sum);
	hex_encode(sum, 32, hex);
	if (!error && (k.left != 0 || !str_eq(str_from_at(b->digest, 7), str_from(hex)))) {
		error = -EBADMSG;
		r->why = S("a blob of the upstream registry is not what its digest says");
	}
	if (error) {
		blob_drop(k.blob);
		fail(f, k.error ? k.error : error, r->why);
		return;
	}
	error = blob_seal(k.blob, b->blob_id);
	if (error) {
		b->blob_id[0] = '\0';
		fail(f, error, S("the disk"));
	}
}

void fetch_blobs(struct fetch *f)
{
	struct registry r;
	int error = registry_open(&r, &f->arena, f->base, f->name, f->stopping);
	r.sign = ecr_sign_login;
	if (error)
		fail(f, error, r.why);
	for (unsigned i = 0; i < f->part_count && !f->error; i++)
		if (f->parts[i].wanted)
			fetch_blob(f, &r, &f->parts[i]);
	registry_close(&r);
}
