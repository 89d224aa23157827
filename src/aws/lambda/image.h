/* Functions from container images: the image is looked up in ECR once, when the function is made or changed, and from then on it is
 * its digest. Its layers are unpacked where those of ECS's tasks are, and held there as long as a version needs them. */
#pragma once
#include "aws/lambda/lambda.h"

/* The unpacked image of all versions with the same manifest. Counted. */
struct function_image;

/* code: the manifest's digest, hexadecimal. The record is copied. */
struct function_image *image_ref(struct lambda *l, struct str code, const struct state_lambda_image_record *record);
/* From now on no layer that a function needs is removed from the disk. */
void images_keep_for_functions(struct lambda *l);
/* The same, with the files that the layers come from (the callee's from now on). */
struct ecr_pulled;
struct function_image *image_take(struct lambda *l, struct str code, const struct state_lambda_image_record *record,
                                  struct ecr_pulled *pulled);
/* NULL is harmless. */
void image_unref(struct function_image *i);

/* Sees to it that the layers lie unpacked: at once, from inside the call, when they do. why: a sentence, "" without an error. */
typedef void image_ready_for_fn(void *ctx, int error, const char *why);
void image_make_ready(struct function_image *i, image_ready_for_fn *done, void *ctx);
/* Diff ids, the lowest first, for a cell's root; they live as long as the image. */
const char *const *image_layers(const struct function_image *i, size_t *ret_count);
const struct state_lambda_image_record *image_record(const struct function_image *i);
/* Absolute path; where it does not say: /var/task, if the image has that, else the root. */
struct str image_default_directory(const struct function_image *i);

/* Looks an image up as the caller, or, where that is denied, as lambda.amazonaws.com, and runs `again` as the call's next step,
 * with lambda_work(c)->image filled and ->image_taken set. CALL_FAIL: it names none of ours. */
int image_take_in(struct call *c, struct str uri, call_resume_fn *again);
/* The error that that ended with, set on the call; also when the image is not for this architecture ("x86_64"). */
int image_intake_check(struct call *c, struct str architecture);
/* What a function may override. */
int image_check_config(struct call *c, const struct lambda_image_config *config);
