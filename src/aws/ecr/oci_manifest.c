/* Manifests, by tag and by digest. */
#include "aws/ecr/oci.h"

#include "base/log.h"
#include "core/listen.h"

#include <errno.h>
#include <stdlib.h>

static int imported(struct call *c);

/* Is a type among those that the client takes? One that names none takes all. */
static bool accepts(struct call *c, struct str type)
{
	struct listen_header h;
	bool any = true;
	for (unsigned at = 0; listen_header_at(c->http, at, &h); at++) {
		if (!str_ieq(h.name, S("accept")))
			continue;
		any = false;
		while (str_set(h.value)) {
			struct str range = str_cut(&h.value, ','), name = str_trim(str_cut(&range, ';'));
			if (str_ieq(name, type) || str_is(name, "*/*") || str_is(name, "application/*"))
				return true;
		}
	}
	return any;
}

/* By tag, an image comes in the format that the client knows, if it can be said in that one; by digest as it is. */
static void translate(struct call *c, struct str *type, struct str *text, struct str *digest)
{
	struct str other = ecr_manifest_other_type(*type);
	if (!str_set(other) || accepts(c, *type) || !accepts(c, other))
		return;
	struct str translated = ecr_manifest_translate(c->arena, *text, *type);
	if (!str_set(translated))
		return;
	*type = other;
	*text = translated;
	*digest = ecr_digest(c->arena, translated);
}

static void counted(struct call *c)
{
	ecr_count_pulls(c->cloud, &oci_request(c)->place, 1);
}

static int get_manifest(struct call *c, const struct oci_request *r, bool head)
{
	struct state_ecr_image_record image;
	bool by_digest = str_find_char(r->id, ':') >= 0;
	struct state_ecr_repository_record repository;
	if (!ecr_allowed(c, "ecr:BatchGetImage", &r->place))
		return CALL_FAIL;
	int said = ecr_import(c, &r->place, r->id, imported);
	if (said != CALL_OK)
		return said;
	if (!ecr_find_repository(call_txn(c), c->arena, &r->place, &repository))
		return ecr_fail_repository(c, &r->place);
	struct str digest = by_digest ? r->id : ecr_find_tag(call_txn(c), c->arena, &r->place, r->id);
	if (!str_set(digest) || !ecr_find_image(call_txn(c), c->arena, &r->place, digest, &image))
		return oci_fail(c, "MANIFEST_UNKNOWN", 404, "Requested image not found");
	if (!head) {
		ecr_image_pulled(c, &r->place, &image);
		call_after_commit(c, counted);
	}
	struct str text = ecr_manifest_text(call_txn(c), c->arena, &r->place, digest), type = image.media_type;
	if (!by_digest)
		translate(c, &type, &text, &digest);
	call_reply_header(c, S("Docker-Content-Digest"), digest);
	call_reply_header(c, S("ETag"), ARENA_CAT(c->arena, S("\""), digest, S("\"")));
	if (oci_is_meant(c, S("if-none-match"), digest))
		return oci_reply(c, 304, NULL, S(""));
	return oci_reply(c, 200, arena_dupz(c->arena, type), text);
}

static int imported(struct call *c)
{
	const struct oci_request *r = oci_request(c);
	return get_manifest(c, r, str_is(r->method, "HEAD"));
}

static int delete_manifest(struct call *c, const struct oci_request *r)
{
	struct store_txn *t = call_txn(c);
	struct state_ecr_image_record image;
	bool by_digest = str_find_char(r->id, ':') >= 0;
	if (!ecr_allowed(c, "ecr:BatchDeleteImage", &r->place))
		return CALL_FAIL;
	struct str digest = by_digest ? r->id : ecr_find_tag(t, c->arena, &r->place, r->id);
	if (!str_set(digest) || !ecr_find_image(t, c->arena, &r->place, digest, &image))
		return oci_fail(c, "MANIFEST_UNKNOWN", 404, "Requested image not found");
	if (!by_digest) {
		ecr_remove_tag(t, c->arena, &r->place, &image, r->id);
		ecr_put_image_row(t, c->arena, &r->place, &image);
	} else if (image.parents.v > 0) {
		return oci_fail(c, "DENIED", 405, "The image is one of an index, which must be deleted first.");
	} else {
		ecr_remove_image(t, c->arena, &r->place, &image, c->now_ms);
	}
	return oci_reply(c, 202, NULL, S(""));
}

/* --- PUT: the text is small enough to be held whole */

struct collected {
	struct call *call; /* NULL: nobody waits any more */
	struct buf text;
	int status;
};

static void collected_free(struct call *c)
{
	struct collected *k = c->state;
	if (!k)
		return;
	c->state = NULL;
	buf_done(&k->text);
	free(k);
}

static void on_piece(void *ctx, struct str piece, int status)
{
	struct collected *k = ctx;
	buf_add_str(&k->text, piece);
	k->status = status;
	if (status > 0 && !k->text.overflow)
		body_next(k->call->body, on_piece, k);
	else
		call_resume(k->call);
}

static int put_manifest(struct call *c)
{
	const struct oci_request *r = oci_request(c);
	struct collected *k = c->state;
	struct state_ecr_repository_record repository;
	if (k->text.overflow)
		return oci_fail(c, "MANIFEST_INVALID", 413, "A manifest may have at most %d bytes.", MANIFEST_BYTES_MAX);
	if (k->status < 0)
		return oci_fail(c, "MANIFEST_INVALID", 400, "The body of the request did not arrive completely.");
	if (ecr_get_for_push(c, &r->place, &repository) != CALL_OK)
		return CALL_FAIL;
	bool by_digest = str_find_char(r->id, ':') >= 0;
	struct str now = by_digest ? STR_NONE : ecr_find_tag(call_txn(c), c->arena, &r->place, r->id);
	if ((str_set(call_header(c, S("if-match"))) && !oci_is_meant(c, S("if-match"), now)) ||
	    oci_is_meant(c, S("if-none-match"), now))
		return oci_fail(c, "MANIFEST_INVALID", 412, "The tag means %.*s by now.",
		                STR_ARG(str_set(now) ? now : S("nothing")));
	struct str type = call_header(c, S("content-type"));
	struct ecr_put put = {.text = arena_dup(c->arena, buf_str(&k->text)),
	                      .media_type = str_set(type) ? str_trim(str_cut(&type, ';')) : STR_NONE,
	                      .tag = by_digest ? STR_NONE : r->id,
	                      .digest = by_digest ? r->id : STR_NONE};
	if (ecr_put_image_into(c, &r->place, &repository, &put) != CALL_OK)
		return CALL_FAIL;
	call_reply_header(c, S("Location"), oci_path(c, "manifests", put.made_digest));
	call_reply_header(c, S("Docker-Content-Digest"), put.made_digest);
	if (str_set(put.manifest.subject))
		call_reply_header(c, S("OCI-Subject"), put.manifest.subject);
	return oci_reply(c, 201, NULL, S(""));
}

static int receive_manifest(struct call *c, const struct oci_request *r)
{
	if (!ecr_allowed(c, "ecr:PutImage", &r->place))
		return CALL_FAIL;
	struct collected *k = calloc(1, sizeof(*k));
	if (!k)
		die("out of memory (ecr)");
	k->call = c;
	buf_init(&k->text, MANIFEST_BYTES_MAX);
	c->state = k;
	call_on_free(c, collected_free);
	int said = call_wait(c, put_manifest, collected_free);
	body_next(c->body, on_piece, k);
	return said;
}

int oci_serve_manifest(struct call *c, const struct oci_request *r)
{
	bool head = str_is(r->method, "HEAD"), by_digest = str_find_char(r->id, ':') >= 0;
	if (by_digest && !ecr_digest_good(r->id))
		return oci_fail(c, "DIGEST_INVALID", 400, "This is no digest of the kind sha256: %.*s", STR_ARG(r->id));
	if (!by_digest && !ecr_tag_good(r->id))
		return str_is(r->method, "PUT") ? oci_fail(c, "TAG_INVALID", 400, "This is no tag: %.*s", STR_ARG(r->id))
		                                : oci_fail(c, "MANIFEST_UNKNOWN", 404, "Requested image not found");
	if (head || str_is(r->method, "GET"))
		return get_manifest(c, r, head);
	if (str_is(r->method, "DELETE"))
		return delete_manifest(c, r);
	if (str_is(r->method, "PUT"))
		return receive_manifest(c, r);
	return oci_fail(c, "UNSUPPORTED", 405, "A manifest is read, put or deleted.");
}
