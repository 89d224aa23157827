/* What an image's manifest says: Docker's schema 2 and OCI's, of one image, of an index over several, of an artifact. Pure: text
 * in, views of it out, in the arena. Used by whoever pushes, pulls or deletes images here. */
#pragma once
#include "base/arena.h"
#include "model/model.h"

#define MANIFEST_DOCKER "application/vnd.docker.distribution.manifest.v2+json"
#define MANIFEST_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define MANIFEST_OCI "application/vnd.oci.image.manifest.v1+json"
#define MANIFEST_OCI_INDEX "application/vnd.oci.image.index.v1+json"

enum { MANIFEST_BYTES_MAX = 4 << 20, MANIFEST_LAYERS_MAX = 4200, DIGEST_BYTES = 71 };

struct ecr_descriptor {
	struct str digest, media_type;
	int64_t size;
	bool elsewhere;                       /* a layer that may not be distributed: it need not be here */
	struct str os, architecture, variant; /* platform, of an index's manifests; absent: not said */
};
struct ecr_manifest {
	struct str media_type;
	bool index;
	bool image;               /* its config is a container's: not an artifact of another kind */
	struct str artifact_type; /* what it is where it is no image; absent: not said */
	struct str subject;       /* digest of the manifest that it is about; absent: none */
	struct str_map annotations;
	struct ecr_descriptor config;
	struct ecr_descriptor *parts; /* layers, or the manifests of an index */
	unsigned count;
};
/* media_type: as the request says it; absent: the text's own. False: *ret_why says what is wrong. */
bool ecr_manifest_read(struct arena *a, struct str text, struct str media_type, struct ecr_manifest *ret, struct str *ret_why);

/* Of an image's manifest: what the other format calls it. Absent: it is an index, or none of these. */
struct str ecr_manifest_other_type(struct str media_type);
/* A manifest of this type in that format, from the arena: another text, with a digest of its own. Absent: the format has no words
 * for it - artifacts, layers in zstd. */
struct str ecr_manifest_translate(struct arena *a, struct str text, struct str media_type);

/* sha256: and 64 lower-case hexadecimal digits? Others are not kept here. */
bool ecr_digest_good(struct str digest);
struct str ecr_digest(struct arena *a, struct str bytes);
/* A tag as registries take it. */
bool ecr_tag_good(struct str tag);
/* A repository's name, as the model's pattern has it. */
bool ecr_name_good(struct str name);
