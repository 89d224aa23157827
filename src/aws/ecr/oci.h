/* The registry as OCI's distribution specification has it, over HTTP below /v2/: one handler a kind of path. oci.c finds out who
 * asks and for what, and spells errors; the handlers are in the files of their noun. Private to aws/ecr. */
#pragma once
#include "aws/ecr/rows.h"

struct oci_request {
	struct str method;
	struct ecr_place place;                    /* name absent: of the whole registry */
	struct state_ecr_repository_record record; /* of the place */
	struct str id;                             /* digest, tag or upload */
	struct str digest;                         /* blobs going in: what they are to be */
};
static inline const struct oci_request *oci_request(const struct call *c)
{
	return c->in;
}
/* An error with a code of the specification. */
__attribute__((format(printf, 4, 5))) int oci_fail(struct call *c, const char *code, unsigned status, const char *fmt, ...);
/* The reply's body, from the arena. */
int oci_reply(struct call *c, unsigned status, const char *content_type, struct str body);
struct str oci_path(struct call *c, const char *kind, struct str id); /* /v2/NAME/KIND/ID */
/* Says the header (If-Match, If-None-Match) that the content is wanted that has this digest? Absent: there is none, and "*" is not
 * it. */
bool oci_is_meant(struct call *c, struct str header, struct str digest);
/* Does a body come with the request? */
bool oci_has_body(struct call *c);
/* The n and last of a list. CALL_FAIL: n is no number. */
int oci_page(struct call *c, uint64_t *ret_n, struct str *ret_last);
void oci_page_link(struct call *c, struct str path, uint64_t n, struct str last);

int oci_serve_blob(struct call *c, const struct oci_request *r);      /* oci_blob.c */
int oci_serve_uploads(struct call *c, const struct oci_request *r);   /* oci_upload.c: /blobs/uploads/ */
int oci_serve_upload(struct call *c, const struct oci_request *r);    /* /blobs/uploads/ID */
int oci_serve_manifest(struct call *c, const struct oci_request *r);  /* oci_manifest.c */
int oci_serve_referrers(struct call *c, const struct oci_request *r); /* oci_list.c */
int oci_serve_tags(struct call *c, const struct oci_request *r);
int oci_serve_catalogue(struct call *c, const struct oci_request *r);
