#include "aws/s3/encryption.h"

#include "aws/kms/kms.h"
#include "base/base64.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/rand.h"

enum { CONTEXT_MAX_BYTES = 8192 };

int encryption_no_customer_key(struct call *c, struct str algorithm)
{
	return str_set(algorithm) ? s3_unsupported(c, "encryption with customer keys (SSE-C)") : CALL_OK;
}

/* The header's JSON of strings, more for the data key to be bound to. */
static int take_context(struct call *c, struct str header, struct str_map *ret)
{
	struct str text = base64_decode(c->arena, header);
	const struct json_value *v = str_set(text) && text.n <= CONTEXT_MAX_BYTES ? json_parse(c->arena, text, NULL) : NULL;
	if (!json_is(v, JSON_OBJECT))
		return s3_bad_argument(
		        c,
		        "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map",
		        "x-amz-server-side-encryption-context", header);
	for (const struct json_value *e = v->first; e; e = e->next) {
		if (e->kind != JSON_STRING || str_is(e->key, "aws:s3:arn"))
			return s3_bad_argument(
			        c,
			        "The header 'x-amz-server-side-encryption-context' shall be a string-string map without aws:s3:arn",
			        "x-amz-server-side-encryption-context", header);
		*LIST_ADD(c->arena, ret) = (struct str_map_entry){e->key, e->text};
	}
	return CALL_OK;
}

static const struct s3_server_side_encryption_rule *rule_of(const struct state_s3_bucket *b)
{
	return b->encryption && b->encryption->rules.n ? &b->encryption->rules.v[0] : NULL;
}

int encryption_choose(struct call *c, const struct state_s3_bucket *b, const struct object_settings *k, struct state_s3_object *o)
{
	const struct s3_server_side_encryption_rule *rule = rule_of(b);
	const struct s3_server_side_encryption_by_default *by_default = rule ? rule->apply_server_side_encryption_by_default : NULL;
	bool kms = str_is(k->sse, "aws:kms");
	if (encryption_no_customer_key(c, k->sse_customer_algorithm) != CALL_OK)
		return CALL_FAIL;
	if (str_is(k->sse, "aws:kms:dsse"))
		return s3_unsupported(c, "encryption in two layers (aws:kms:dsse)");
	if (str_set(k->sse) && !kms && !str_is(k->sse, "AES256"))
		return s3_bad_argument(c, "The encryption method specified is not supported", "x-amz-server-side-encryption",
		                       k->sse);
	if (str_set(k->sse_kms_key_id) && !kms)
		return s3_bad_argument(
		        c,
		        "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
		        "x-amz-server-side-encryption", str_set(k->sse) ? k->sse : S("null"));
	if (str_set(k->sse_context) && !kms)
		return s3_bad_argument(c,
		                       "Server Side Encryption Context requires HTTP header x-amz-server-side-encryption : aws:kms",
		                       "x-amz-server-side-encryption", str_set(k->sse) ? k->sse : S("null"));
	if (!str_set(k->sse) && by_default && str_is(by_default->sse_algorithm, "aws:kms"))
		kms = true;
	if (!kms)
		return CALL_OK;
	if (c->caller->kind == PRINCIPAL_ANONYMOUS)
		return s3_bad_argument(
		        c, "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.",
		        "Authorization", S("null"));
	o->kms_key = k->sse_kms_key_id;
	if (!str_set(o->kms_key) && by_default && str_is(by_default->sse_algorithm, "aws:kms"))
		o->kms_key = by_default->kms_master_key_id;
	if (!str_set(o->kms_key))
		o->kms_key = S("alias/aws/s3");
	o->bucket_key = k->sse_bucket_key.set ? k->sse_bucket_key : rule ? rule->bucket_key_enabled : o->bucket_key;
	return str_set(k->sse_context) ? take_context(c, k->sse_context, &o->kms_context) : CALL_OK;
}

static struct kms_use use_of(struct call *c, struct str bucket, struct str key, const struct state_s3_object *o)
{
	struct kms_use u = {.service = "s3", .action = "kms:GenerateDataKey", .key = o->kms_key};
	struct str arn = ARENA_CAT(c->arena, S("arn:aws:s3:::"), bucket);
	for (unsigned i = 0; i < o->kms_context.n; i++)
		*LIST_ADD(c->arena, &u.context) = o->kms_context.v[i];
	*LIST_ADD(c->arena, &u.context) =
	        (struct str_map_entry){S("aws:s3:arn"), o->bucket_key.v ? arn : ARENA_CAT(c->arena, arn, S("/"), key)};
	return u;
}

/* What KMS says is told under its own name, permissions as S3's. */
static int failed(struct call *c)
{
	struct str code = c->error.code, message = c->error.message;
	if (str_starts(code, S("AccessDenied")))
		return call_fail(c, "AccessDenied", 403, "%.*s", STR_ARG(message));
	if (str_is(code, "InternalFailure"))
		return CALL_FAIL;
	return call_fail(c, arena_dupz(c->arena, ARENA_CAT(c->arena, S("KMS."), code)), 400, "%.*s", STR_ARG(message));
}

int encryption_begin(struct call *c, struct str bucket, struct str key, const struct state_s3_object *o, struct cipher *ret)
{
	*ret = (struct cipher){.set = str_set(o->kms_key)};
	if (!ret->set)
		return CALL_OK;
	struct kms_use u = use_of(c, bucket, key, o);
	if (kms_may(c, &u) != CALL_OK)
		return failed(c);
	rand_bytes(ret->key, sizeof(ret->key));
	cipher_renew(ret);
	return CALL_OK;
}

int encryption_seal(struct call *c, struct str bucket, struct str key, const struct cipher *k, struct state_s3_object *o)
{
	if (!k->set)
		return CALL_OK;
	struct kms_use u = use_of(c, bucket, key, o);
	if (kms_seal(c, &u, str_of((const char *)k->key, sizeof(k->key)), &o->sealed, &o->kms_key) != CALL_OK)
		return failed(c);
	o->nonce = arena_dup(c->arena, cipher_nonce(k));
	return CALL_OK;
}

int encryption_open(struct call *c, struct str bucket, struct str key, const struct state_s3_object *o, struct cipher *ret)
{
	struct str plain;
	*ret = (struct cipher){.set = str_set(o->sealed)};
	if (!ret->set)
		return CALL_OK;
	struct kms_use u = use_of(c, bucket, key, o);
	if (kms_open(c, &u, o->sealed, &plain) != CALL_OK)
		return failed(c);
	if (plain.n != sizeof(ret->key))
		return call_broken(c, "the data key of an object has %zu bytes", plain.n);
	memcpy(ret->key, plain.p, sizeof(ret->key));
	cipher_set_nonce(ret, o->nonce);
	return CALL_OK;
}

struct str encryption_etag(struct arena *a, const unsigned char *md5, const struct cipher *k)
{
	unsigned char digest[HASH_MAX_BYTES];
	struct hash h;
	if (!k->set)
		return object_etag(a, md5);
	hash_init(&h, HASH_MD5);
	hash_add(&h, md5, 16);
	hash_add(&h, k->nonce, sizeof(k->nonce));
	hash_end(&h, digest);
	return object_etag(a, digest);
}
