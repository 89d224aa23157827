/* The code store: deployment packages as content. A blob is named by the hexadecimal SHA-256 of its zip and shared by all that use
 *it.
 *
 *	DATA/lambda/zip/<sha256>.zip            the package as it came; synced before the reply
 *	DATA/code/<boot>/task/<sha256>/         unpacked, mounted read-only at /var/task
 *	DATA/code/<boot>/opt/<name>/            layers merged, mounted at /opt
 *
 * Unpacked trees are not synced: they belong to one boot of the machine and are made anew from the zip after the next, so a power
 *cut can never leave a half-written one in use. A blob's record in the store counts its uses; its files go when the record does and
 *nobody holds it. All functions belong to the loop's thread; the work is done on others. */
#pragma once
#include "aws/lambda/lambda.h"

struct code_store *code_store_open(struct lambda *l, int *ret_error);
void code_store_close(struct code_store *s);

/* Where it comes from: bytes in the request, or an object in S3 that the caller may read. */
struct code_source {
	struct str zip;
	struct str bucket, key, version;
};
/* Takes a package in and runs `resume` as the call's next step, with lambda_work(c)->intake filled and ->code_taken set. The blob
 * is held until the call is freed. */
int code_take_in(struct call *c, const struct code_source *source, call_resume_fn *resume);
/* The error that an intake ended with, set on the call; CALL_OK when there is none. */
int code_intake_check(struct call *c, const struct code_intake *intake);

/* A held blob keeps its files although its record may go. */
void code_hold(struct code_store *s, struct str code);
void code_unhold(struct code_store *s, struct str code);

/* Sees to it that code and layers lie unpacked, then calls done(ctx, error, directories) on the loop: at once from inside the call
 * when all is there. Paths are relative to DATA/code and live during the call; opt is absent without layers. */
typedef void code_ready_fn(void *ctx, int error, struct str code_dir, struct str opt_dir);
void code_prepare(struct code_store *s, struct str code, const struct str_list *layers, code_ready_fn *done, void *ctx);

/* A link that really downloads the package, for ten minutes. */
struct str code_link(struct call *c, struct str code);
/* Lambda's look at requests: answers such links. */
call_resume_fn *code_intercept(struct call *c);
