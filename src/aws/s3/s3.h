/* What the files of the S3 service share: its running state and its way to make errors. Private to this folder. */
#pragma once
#include "aws/s3/names.h"
#include "core/record.h"
#include "core/service.h"
#include "gen/s3.h"
#include "gen/state_s3.h"

#include "base/map.h"

/* Kinds of content (struct state_s3_object.kind, ...segment.kind); content.h says what they are. */
enum content_kind { CONTENT_NONE = 0, CONTENT_INLINE = 1, CONTENT_FILE = 2, CONTENT_CHAIN = 3 };

struct s3_state {
	struct cloud *cloud;
	struct map buckets; /* name -> struct bucket_cached: decoded records, checked against the store's revision at every use */
	struct map pins;    /* content id -> struct content_pin: files that a reader still needs */
	struct store_watch *file_watch; /* says which content files have lost their last reference */
	struct lifecycle *lifecycle;
	struct notifier *notifier;
	struct s3_usage *usage;
};
struct s3_state *s3_state(const struct call *c);
extern const struct service s3_service;

/* Errors that the model lacks or gives no text for: errors.def has code, status and message. */
enum s3_fault {
#define S3_ERROR(name, code, status, message) S3_##name,
#include "aws/s3/errors.def"
#undef S3_ERROR
	S3_ERRORS,
};
/* Sets the error and returns CALL_FAIL. */
int s3_fail(struct call *c, enum s3_fault error);
/* InvalidArgument about one argument: <ArgumentName>, <ArgumentValue>. */
int s3_bad_argument(struct call *c, const char *message, const char *name, struct str value);
/* A region that is none, or not one that CreateBucket may name. */
int s3_bad_location(struct call *c, struct str location);
/* An operation's feature that is not real here: NotImplemented, naming it. */
int s3_unsupported(struct call *c, const char *what);

/* input.c: an operation's input against its model. */
int s3_check_input(struct call *c, const void *in);

/* The time of the call as S3 keeps it: in whole seconds, so that listings and Last-Modified agree. */
struct opt_time s3_now(const struct call *c);
/* The bucket is not there, or lacks a setting: the error with its name. Returns CALL_FAIL. */
int s3_fail_bucket(struct call *c, enum s3_fault error, struct str bucket);

/* A quoted ETag. */
struct str s3_quoted(struct arena *a, struct str etag);
