/* A form's body is taken apart as it comes. First its fields gather in a buffer of 64 KiB until the file's content begins; then a
 * step of the call finds out who signed the policy, whether it permits this, and whether that principal may put the object; then
 * the content flows into an upload, up to the delimiter, of which the last bytes of every piece could be the beginning and are
 * therefore held back. */
#include "aws/s3/post_form.h"

#include "aws/s3/access.h"
#include "aws/s3/acl.h"
#include "aws/s3/cors.h"
#include "aws/s3/encryption.h"
#include "aws/s3/upload.h"
#include "base/base64.h"
#include "base/uri.h"
#include "base/xml.h"
#include "core/sigv2.h"
#include "core/sigv4.h"

#include <errno.h>

#define POST_MAX_BYTES (5ull << 30)
enum { PIECE_MAX_BYTES = 64 * 1024 };

struct post {
	struct call *call;
	struct str boundary, delimiter;
	struct s3_names_of_path names;
	/* fields */
	char *head;
	size_t head_used;
	struct post_fields fields;
	bool fields_done, fields_bad;
	struct str key;
	struct str_map metadata;
	int64_t min, max;
	/* content */
	struct str rest; /* of the piece in hand, not looked at yet */
	int status;      /* of that piece */
	char *held;      /* bytes that may be the delimiter's beginning, and room for a piece behind them */
	size_t held_n;
	struct str ready; /* to be pushed */
	bool found, asking, pumping, ended;
};

bool post_form_is(const struct call *c)
{
	return str_istarts(call_header(c, S("content-type")), S("multipart/form-data"));
}

/* --- content */

static void pump(void *ctx);

static void on_piece(void *ctx, struct str piece, int status)
{
	struct post *p = ctx;
	p->asking = false;
	p->rest = piece;
	p->status = status;
	pump(p);
}

/* Splits off what is certainly content: p->ready; the end of it is held back for the next round. */
static void look(struct post *p)
{
	size_t n = p->rest.n < PIECE_MAX_BYTES ? p->rest.n : PIECE_MAX_BYTES;
	memcpy(p->held + p->held_n, p->rest.p, n);
	p->rest = str_from_at(p->rest, n);
	struct str all = str_of(p->held, p->held_n + n);
	ptrdiff_t end = str_find(all, p->delimiter);
	if (end >= 0) {
		p->found = true;
		p->ready = str_sub(all, 0, (size_t)end);
		p->held_n = 0;
		return;
	}
	size_t keep = all.n < p->delimiter.n - 1 ? all.n : p->delimiter.n - 1;
	p->ready = str_sub(all, 0, all.n - keep);
	p->held_n = keep;
}

static void pump(void *ctx)
{
	struct post *p = ctx;
	if (p->pumping)
		return;
	p->pumping = true;
	while (!p->ended && !p->asking) {
		if (p->ready.n) {
			struct str piece = str_sub(p->ready, 0, PIECE_MAX_BYTES);
			p->ready = str_from_at(p->ready, piece.n);
			if (!p->ready.n && p->held_n) {
				/* The push copies; what is held moves to the front afterwards. */
				struct str keep = str_of(piece.p + piece.n, p->held_n);
				bool go_on = upload_push(p->call, piece);
				memmove(p->held, keep.p, keep.n);
				if (!go_on)
					break;
			} else if (!upload_push(p->call, piece)) {
				break;
			}
		} else if (p->rest.n && !p->found) {
			look(p);
		} else if (p->status > 0) {
			p->rest = STR_NONE;
			p->asking = true;
			body_next(p->call->body, on_piece, p);
		} else {
			p->ended = true;
		}
	}
	p->pumping = false;
	if (p->ended)
		upload_end(p->call, p->status < 0 ? p->status : p->found ? 0 : -EPROTO);
}

/* --- the object */

static struct object_settings settings(struct post *p, struct acl_request *acl)
{
	const struct post_fields *f = &p->fields;
	*acl = (struct acl_request){.canned = post_field(f, "acl")};
	return (struct object_settings){
	        .content_type = post_field(f, "content-type"),
	        .cache_control = post_field(f, "cache-control"),
	        .content_disposition = post_field(f, "content-disposition"),
	        .content_encoding = post_field(f, "content-encoding"),
	        .expires = post_field(f, "expires"),
	        .redirect = post_field(f, "x-amz-website-redirect-location"),
	        .storage_class = post_field(f, "x-amz-storage-class"),
	        .tag_document = post_field(f, "tagging"),
	        .lock_mode = post_field(f, "x-amz-object-lock-mode"),
	        .lock_hold = post_field(f, "x-amz-object-lock-legal-hold"),
	        .sse = post_field(f, "x-amz-server-side-encryption"),
	        .sse_customer_algorithm = post_field(f, "x-amz-server-side-encryption-customer-algorithm"),
	        .sse_kms_key_id = post_field(f, "x-amz-server-side-encryption-aws-kms-key-id"),
	        .sse_context = post_field(f, "x-amz-server-side-encryption-context"),
	        .sse_bucket_key = {.v = str_is(post_field(f, "x-amz-server-side-encryption-bucket-key-enabled"), "true"),
	                           .set = str_set(post_field(f, "x-amz-server-side-encryption-bucket-key-enabled"))},
	        .metadata = &p->metadata,
	        .acl = acl,
	};
}

static void reply(struct call *c, const struct post *p, const struct state_s3_object *o, const struct state_s3_bucket *b)
{
	struct arena *a = c->arena;
	struct str etag = s3_quoted(a, o->e_tag), bucket = p->names.bucket;
	struct str location = ARENA_CAT(a, str_from(c->cloud->endpoint), S("/"), bucket, S("/"), uri_encode(a, p->key, true));
	struct str redirect = post_field(&p->fields, "success_action_redirect"),
	           status = post_field(&p->fields, "success_action_status");
	call_reply_header(c, S("etag"), etag);
	call_reply_header(c, S("x-amz-server-side-encryption"), str_set(o->kms_key) ? S("aws:kms") : S("AES256"));
	if (str_set(o->kms_key))
		call_reply_header(c, S("x-amz-server-side-encryption-aws-kms-key-id"), o->kms_key);
	if (str_set(object_version_made(b, o)))
		call_reply_header(c, S("x-amz-version-id"), o->version_id);
	if (str_starts(redirect, S("http://")) || str_starts(redirect, S("https://"))) {
		call_reply_status(c, 303);
		call_reply_header(c, S("location"),
		                  ARENA_CAT(a, redirect, str_find_char(redirect, '?') >= 0 ? S("&") : S("?"), S("bucket="),
		                            uri_encode(a, bucket, false), S("&key="), uri_encode(a, p->key, false), S("&etag="),
		                            uri_encode(a, etag, false)));
		return;
	}
	call_reply_header(c, S("location"), location);
	call_reply_status(c, str_is(status, "200") ? 200 : str_is(status, "201") ? 201 : 204);
	if (!str_is(status, "201"))
		return;
	struct buf CLEAN_BUF out;
	buf_init(&out, 64 * 1024);
	buf_add_lit(&out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse>");
	xml_put_element(&out, S("Location"), location);
	xml_put_element(&out, S("Bucket"), bucket);
	xml_put_element(&out, S("Key"), p->key);
	xml_put_element(&out, S("ETag"), etag);
	buf_add_lit(&out, "</PostResponse>");
	call_reply_header(c, S("content-type"), S("application/xml"));
	c->reply = (struct reply_body){.kind = REPLY_MEMORY, .fd = -1, .memory = arena_dup(a, buf_str(&out))};
}

static int post_finish(struct call *c)
{
	struct post *p = upload_ctx(c);
	struct acl_request acl;
	struct object_settings k = settings(p, &acl);
	struct state_s3_object o = {0};
	if (upload_status(c) == -EPROTO && !p->found)
		return call_fail(c, "MalformedPOSTRequest", 400,
		                 "The body of your POST request is not well-formed multipart/form-data.");
	if (upload_check(c, STR_NONE) != CALL_OK)
		return CALL_FAIL;
	if ((int64_t)upload_size(c) < p->min)
		return s3_fail(c, S3_ENTITY_TOO_SMALL);
	const struct state_s3_bucket *b = s3_bucket_open(c, p->names.bucket, STR_NONE);
	if (!b || object_settle(c, b, p->names.bucket, p->key, &k, &o) != CALL_OK ||
	    encryption_seal(c, p->names.bucket, p->key, upload_cipher(c), &o) != CALL_OK)
		return CALL_FAIL;
	enum content_kind kind;
	upload_store(c, &kind, &o.content);
	upload_checksum(c, &o.checksum_algorithm, &o.checksum);
	o.kind = OPT_INT(kind);
	o.size = OPT_INT((int64_t)upload_size(c));
	o.e_tag = encryption_etag(c->arena, upload_md5(c), upload_cipher(c));
	o.last_modified = s3_now(c);
	o.checksum_type = S("FULL_OBJECT");
	object_install(call_txn(c), c->arena, bucket_versioning(b), p->names.bucket, p->key, &o, c->now_ms);
	object_tell_created(c, b, p->names.bucket, p->key, &o, "POST Object");
	reply(c, p, &o, b);
	return CALL_OK;
}

/* --- fields */

static int refuse(struct call *c, enum sigv4_fault fault, const struct sigv4 *sig)
{
	struct sigv4_words words = {0};
	sigv4_fault_words(c->arena, fault, sig, PROTOCOL_REST_XML, true, c->now_ms, &words);
	call_fail(c, arena_dupz(c->arena, words.code), words.status, "%.*s", STR_ARG(words.message));
	c->error.fields = words.fields;
	return CALL_FAIL;
}

/* Who signed the form's policy becomes the caller; without a policy it stays nobody. */
static int authenticate(struct call *c, struct post *p)
{
	const struct post_fields *f = &p->fields;
	struct str policy = post_field(f, "policy");
	struct sigv4 sig = {0};
	if (!str_set(policy))
		return CALL_OK;
	bool v2 = str_set(post_field(f, "awsaccesskeyid")) && str_set(post_field(f, "signature"));
	enum sigv4_fault fault = SIGV4_GOOD;
	if (v2)
		sigv2_read_form(post_field(f, "awsaccesskeyid"), post_field(f, "signature"), post_field(f, "x-amz-security-token"),
		                &sig);
	else
		fault = sigv4_read_form(c->arena, post_field(f, "x-amz-algorithm"), post_field(f, "x-amz-credential"),
		                        post_field(f, "x-amz-date"), post_field(f, "x-amz-signature"),
		                        post_field(f, "x-amz-security-token"), &sig);
	if (fault != SIGV4_GOOD)
		return refuse(c, fault, &sig);
	struct credential who = {0};
	switch (c->cloud->identity.find_key(c->cloud->identity.ctx, sig.access_key_id, sig.token, c->now_ms, &who)) {
	case KEY_GOOD:
		break;
	case KEY_UNKNOWN:
		return refuse(c, SIGV4_FAULT_KEY_UNKNOWN, &sig);
	case KEY_INACTIVE:
		return refuse(c, SIGV4_FAULT_KEY_INACTIVE, &sig);
	case KEY_EXPIRED:
		return refuse(c, SIGV4_FAULT_TOKEN_EXPIRED, &sig);
	case KEY_BAD_TOKEN:
		return refuse(c, SIGV4_FAULT_TOKEN_BAD, &sig);
	}
	fault = v2 ? sigv2_check_form(c->arena, &sig, who.secret, policy) : sigv4_check_form(c->arena, &sig, who.secret, policy);
	/* The published pair is for tools on this machine, not for pages that a browser shows. */
	if (fault == SIGV4_GOOD && who.well_known && str_set(call_header(c, S("origin"))))
		fault = SIGV4_FAULT_KEY_UNKNOWN;
	if (fault != SIGV4_GOOD) {
		principal_unref(who.principal);
		return refuse(c, fault, &sig);
	}
	if (c->caller)
		principal_unref(c->caller);
	c->caller = who.principal;
	c->account = who.principal->account;
	c->region = v2 ? S("") : sig.region;
	struct str document = base64_decode(c->arena, policy), why;
	if (!str_set(document) || !post_policy_permits(c->arena, document, f, p->names.bucket, c->now_ms, &why, &p->min, &p->max))
		return call_fail(c, "AccessDenied", 403, "Invalid according to Policy: %.*s",
		                 STR_ARG(str_set(document) ? why : S("Invalid encoding.")));
	return CALL_OK;
}

static struct str object_key(struct arena *a, const struct post_fields *f)
{
	struct str key = post_field(f, "key");
	ptrdiff_t at = str_set(key) ? str_find(key, S("${filename}")) : -1;
	return at < 0 ? key : ARENA_CAT(a, str_sub(key, 0, (size_t)at), f->file_name, str_from_at(key, (size_t)at + 11));
}

/* All fields are known: may this be stored? */
static int begin(struct call *c, struct post *p)
{
	struct state_s3_object o = {0};
	struct acl_request acl;
	struct cipher e;
	p->max = INT64_MAX;
	if (p->fields_bad)
		return p->head_used == POST_HEAD_MAX_BYTES
		               ? call_fail(c, "MaxPostPreDataLengthExceededError", 400,
		                           "Your POST request fields preceding the upload file were too large.")
		               : call_fail(c, "MalformedPOSTRequest", 400,
		                           "The body of your POST request is not well-formed multipart/form-data.");
	p->key = object_key(c->arena, &p->fields);
	if (!str_set(p->key) || !p->key.n)
		return s3_bad_argument(
		        c,
		        "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
		        "key", S(""));
	if (p->key.n > S3_KEY_MAX_BYTES)
		return s3_fail(c, S3_KEY_TOO_LONG);
	if (authenticate(c, p) != CALL_OK)
		return CALL_FAIL;
	for (unsigned i = 0; i < p->fields.n; i++)
		if (str_istarts(p->fields.v[i].name, S("x-amz-meta-")))
			*LIST_ADD(c->arena, &p->metadata) =
			        (struct str_map_entry){str_from_at(p->fields.v[i].name, 11), p->fields.v[i].value};
	const struct state_s3_bucket *b = s3_bucket_open(c, p->names.bucket, STR_NONE);
	struct object_settings k = settings(p, &acl);
	if (!b || !s3_may(c, "s3:PutObject", b, p->names.bucket, p->key, STR_NONE) ||
	    object_settle(c, b, p->names.bucket, p->key, &k, &o) != CALL_OK ||
	    encryption_begin(c, p->names.bucket, p->key, &o, &e) != CALL_OK)
		return CALL_FAIL;
	struct str sums[CHECKSUM_MEMBERS];
	struct checksum sum;
	for (unsigned i = 0; i < CHECKSUM_MEMBERS; i++)
		sums[i] = post_field(&p->fields, checksum_member_header(i));
	if (checksum_requested(c, sums, post_field(&p->fields, "x-amz-checksum-algorithm"), &sum) != CALL_OK)
		return CALL_FAIL;
	if (!sum.set)
		sum = (struct checksum){.set = true, .kind = HASH_CRC64NVME};
	uint64_t limit = p->max >= 0 && (uint64_t)p->max < POST_MAX_BYTES ? (uint64_t)p->max : POST_MAX_BYTES;
	int said = upload_begin(c, &sum, &e, limit, post_finish, p, pump);
	pump(p);
	return said;
}

static void gather(void *ctx, struct str piece, int status);

static int post_begin(struct call *c)
{
	return begin(c, c->state);
}

static void gather(void *ctx, struct str piece, int status)
{
	struct post *p = ctx;
	size_t room = POST_HEAD_MAX_BYTES - p->head_used, n = piece.n < room ? piece.n : room;
	if (n)
		memcpy(p->head + p->head_used, piece.p, n);
	p->head_used += n;
	long at = post_fields_parse(p->call->arena, str_of(p->head, p->head_used), p->boundary, &p->fields);
	if (at == 0 && status > 0 && p->head_used < POST_HEAD_MAX_BYTES) {
		body_next(p->call->body, gather, p);
		return;
	}
	p->fields_bad = at <= 0;
	/* The content that came along: what lies in the buffer, and behind it what did not fit. */
	p->status = status;
	if (at > 0) {
		struct str first = str_from_at(str_of(p->head, p->head_used), (size_t)at), behind = str_from_at(piece, n);
		p->rest = behind.n ? ARENA_CAT(p->call->arena, first, behind) : first;
	}
	call_resume(p->call);
}

int post_form(struct call *c)
{
	struct str boundary = post_boundary(c->arena, call_header(c, S("content-type")));
	struct s3_names_of_path names = s3_request_names(c);
	if (!str_set(boundary))
		return call_fail(c, "MalformedPOSTRequest", 400,
		                 "The body of your POST request is not well-formed multipart/form-data.");
	if (str_set(names.key) || !str_set(names.bucket))
		return s3_fail(c, S3_METHOD_NOT_ALLOWED);
	uint64_t length;
	if (upload_length(c, &length) != CALL_OK)
		return CALL_FAIL;
	struct post *p = arena_new(c->arena, struct post);
	p->call = c;
	p->names = names;
	p->boundary = boundary;
	p->delimiter = ARENA_CAT(c->arena, S("\r\n--"), boundary);
	p->head = arena_alloc(c->arena, POST_HEAD_MAX_BYTES);
	p->held = arena_alloc(c->arena, PIECE_MAX_BYTES + p->delimiter.n);
	c->state = p;
	int said = call_wait(c, post_begin, NULL);
	body_next(c->body, gather, p);
	return said;
}
