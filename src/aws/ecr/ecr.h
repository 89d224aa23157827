/* ECR's face for other services (ECS, Lambda): from the name of an image to the files of its layers, without a copy.
 *
 * The files are the registry's own content files: whole, verified by digest, never changing. They are pinned as long as the struct
 * ecr_image lives, whatever is deleted meanwhile. Everything happens on the loop's thread. */
#pragma once
#include "core/call.h"

/* What "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1" or "...@sha256:..." names. `localhost[:PORT]` in place of
 * amazonaws.com means the same; of 127.0.0.1[:PORT]/app and localhost[:PORT]/app account and region are absent: the caller's own.
 */
struct ecr_reference {
	struct str account, region; /* absent: the caller fills them in */
	struct str repository;
	struct str tag, digest; /* either may be absent; with neither given, the tag is "latest" */
};
/* False: not an image of this registry ("nginx:1", "public.ecr.aws/..."), or malformed. Views of `image`. */
bool ecr_reference_read(struct str image, struct ecr_reference *ret);

struct ecr_file {
	struct str digest, media_type; /* as the manifest has them */
	uint64_t size;
	struct str path; /* absolute; NUL-terminated; readable by root and the api role */
};
struct ecr_pulled {
	struct str account, region, repository;
	struct str digest;          /* what the tag meant: of an index, where it was one */
	struct str manifest_digest; /* of the one image that fits the platform */
	struct str manifest, media_type;
	struct ecr_file config; /* the image's configuration: JSON */
	struct ecr_file *layers;
	unsigned layer_count; /* lowest first */
	struct arena arena;   /* where all of the above lies */
	struct cloud *cloud;
};

/* image NULL: code and message say why, as ECR's API does (RepositoryNotFoundException, ImageNotFoundException,
 * AccessDeniedException, LayersNotFoundException; UnsupportedImageTypeException where no image fits the platform or it is no
 * container image). Else the image is the callee's, to be given back with ecr_pulled_free(). */
typedef void ecr_pull_done(void *ctx, struct ecr_pulled *image, struct str code, struct str message);

/* Looks up an image as `as` (a role's session: the execution role), who needs ecr:BatchGetImage and ecr:GetDownloadUrlForLayer.
 * architecture: as images spell it ("amd64", "arm64"); absent: this machine's. done comes once, later. The reference is copied. */
void ecr_pull(struct cloud *cloud, const struct principal *as, const struct ecr_reference *ref, struct str architecture,
              ecr_pull_done *done, void *ctx);
void ecr_pulled_free(struct ecr_pulled *image); /* NULL is harmless */
