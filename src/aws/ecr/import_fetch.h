/* The part of an import that runs on a thread: manifests and blobs of one image, or of all images of an index, from another
 * registry. Private to aws/ecr. */
#pragma once
#include "aws/ecr/manifest.h"
#include "engine/fetch/registry.h"
#include "store/blob.h"

#include <stdatomic.h>

enum { FETCH_MANIFESTS_MAX = 64 };

struct fetched_manifest {
	struct str text, media_type, digest; /* the digest of the text */
	struct ecr_manifest manifest;
};
struct fetched_blob {
	struct str digest;
	int64_t size;
	bool wanted;                   /* the repository lacks it */
	char blob_id[BLOB_ID_LEN + 1]; /* of the sealed file; empty: not fetched */
};
/* Filled in by whoever starts it: arena, blobs, stopping, base, name, reference, and `wanted` between the two steps. */
struct fetch {
	struct arena arena; /* of everything in here */
	struct blobs *blobs;
	atomic_bool *stopping;
	struct str base, name, reference;
	struct fetched_manifest
	        manifests[FETCH_MANIFESTS_MAX]; /* those of an index come before it: the last is what was asked for */
	unsigned manifest_count;
	struct fetched_blob *parts; /* each once */
	unsigned part_count;
	int error; /* as registry.h has them; -EBADMSG: bytes and digest do not fit; negative errno of the disk */
	struct str why;
};
/* Both for a thread. */
void fetch_manifests(struct fetch *f);
void fetch_blobs(struct fetch *f);
/* import_sign.c: how an access key asks another ECR for a token. Any thread. */
registry_sign_fn ecr_sign_login;
