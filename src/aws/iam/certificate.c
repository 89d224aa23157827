/* Server certificates: the older place, before ACM, for certificates that load balancers serve with. What is uploaded has been held
 * together by then: body, key and chain. The key is sealed (core/seal.h) and bound to the certificate's id, so that renaming leaves
 * it alone. Who uses a certificate says so under its id, too. */
#include "aws/iam/nouns.h"
#include "base/id.h"
#include "core/seal.h"

static const struct record_type certificate_type = {&state_iam_api, "ServerCertificateRecord"};

static struct str certificate_key(struct arena *a, struct str account, struct str name)
{
	return KEY(a, S("iam"), account, S("server-certificate"), iam_lower(a, name));
}

static struct str arn_of(struct arena *a, struct str account, const struct state_iam_server_certificate_record *r)
{
	return ARENA_CAT(a, S("arn:aws:iam::"), account, S(":server-certificate"), r->path, r->name);
}

static bool find(struct call *c, struct str name, struct state_iam_server_certificate_record *ret)
{
	return record_get(call_txn(c), c->arena, certificate_key(c->arena, c->account, name), &certificate_type, ret);
}

static bool load(struct call *c, struct str name, struct state_iam_server_certificate_record *ret)
{
	if (find(c, name, ret))
		return true;
	call_fail(c, "NoSuchEntity", 404, "The Server Certificate with name %.*s cannot be found.", STR_ARG(name));
	return false;
}

static void save(struct call *c, const struct state_iam_server_certificate_record *r)
{
	record_put(call_txn(c), c->arena, certificate_key(c->arena, c->account, r->name), &certificate_type, r);
}

struct str iam_certificate_resource(struct call *c, struct str name, struct str_map *ret_tags)
{
	struct state_iam_server_certificate_record r;
	if (!find(c, name, &r))
		return STR_NONE;
	*ret_tags = r.tags;
	return arn_of(c->arena, c->account, &r);
}

/* --- for others */

bool iam_certificate_find(const struct cloud *cloud, struct store_txn *t, struct arena *a, struct str arn,
                          struct iam_certificate *ret)
{
	struct state_iam_server_certificate_record r;
	struct str account, path, name;
	if (!iam_arn_parse(arn, S("server-certificate"), &account, &path, &name) ||
	    !record_get(t, a, certificate_key(a, account, name), &certificate_type, &r) || !str_eq(arn_of(a, account, &r), arn))
		return false;
	*ret = (struct iam_certificate){.id = r.id, .pem = {.body = r.body, .chain = r.chain}, .expires_ms = r.expires.ms};
	if (cloud->seal)
		ret->pem.key = seal_get(cloud->seal, a, r.key, r.id);
	return true;
}

static struct str use_key(struct arena *a, struct str account, struct str id, struct str by)
{
	return KEY(a, S("iam"), account, S("server-certificate-use"), id, by);
}

void iam_certificate_use(struct store_txn *t, struct arena *a, struct str account, struct str id, struct str by)
{
	store_put(t, use_key(a, account, id, by), S("-"));
}

void iam_certificate_unuse(struct store_txn *t, struct arena *a, struct str account, struct str id, struct str by)
{
	store_delete(t, use_key(a, account, id, by));
}

/* Somebody who uses it; absent: nobody does. */
static struct str user_of(struct call *c, struct str id)
{
	struct str prefix = KEY_UNDER(c->arena, S("iam"), c->account, S("server-certificate-use"), id), key;
	struct store_value v;
	struct store_iter *i = store_scan(call_txn(c), prefix, store_prefix_end(c->arena, prefix), false);
	if (!store_next(i, &key, &v))
		return STR_NONE;
	struct str_list parts = record_key_parts(c->arena, key);
	return parts.v[parts.n - 1];
}

/* --- uploading */

static int malformed(struct call *c, const char *text)
{
	return call_fail(c, "MalformedCertificate", 400, "%s", text);
}

static int check(struct call *c, const struct cert_bundle *b, struct cert_facts *ret)
{
	int index = 0;
	switch (cert_check(b, &index)) {
	case CERT_GOOD:
		break;
	case CERT_MALFORMED:
	case CERT_SEVERAL:
		return malformed(c, "Unable to parse certificate. Please ensure the certificate is in PEM format.");
	case CERT_BAD_KEY:
	case CERT_LOCKED_KEY:
		return malformed(c, "Unable to parse key; the body is encoded incorrectly.");
	case CERT_OTHER_KEY:
		return call_fail(c, "KeyPairMismatch", 400, "Public key certificate and private key doesn't match");
	case CERT_BAD_CHAIN:
	case CERT_BROKEN_CHAIN:
		return call_fail(
		        c, "MalformedCertificate", 400,
		        "Unable to validate certificate chain. The certificate chain must start with the immediate signing "
		        "certificate, followed by any intermediaries in order. The index within the chain of the invalid "
		        "certificate is: %d",
		        index);
	}
	if (!cert_read(c->arena, b->body, ret))
		return malformed(c, "Unable to parse certificate. Please ensure the certificate is in PEM format.");
	if (ret->not_before_ms > c->now_ms)
		return malformed(c, "The certificate is not valid yet.");
	return ret->not_after_ms < c->now_ms ? malformed(c, "The certificate has expired.") : CALL_OK;
}

static struct str trimmed(struct str pem)
{
	return str_set(pem) ? str_trim(pem) : STR_NONE;
}

static void show(struct call *c, const struct state_iam_server_certificate_record *r, struct iam_server_certificate_metadata *to)
{
	*to = (struct iam_server_certificate_metadata){.path = r->path,
	                                               .server_certificate_name = r->name,
	                                               .server_certificate_id = r->id,
	                                               .arn = arn_of(c->arena, c->account, r),
	                                               .upload_date = r->uploaded,
	                                               .expiration = r->expires};
}

static bool is_free(struct call *c, struct str name)
{
	struct state_iam_server_certificate_record old;
	if (!find(c, name, &old))
		return true;
	call_fail(c, "EntityAlreadyExists", 409, "The Server Certificate with name %.*s already exists.", STR_ARG(name));
	return false;
}

int iam_upload_server_certificate(struct call *c, const struct iam_upload_server_certificate_request *in,
                                  struct iam_upload_server_certificate_response *out)
{
	const struct cert_bundle pem = {in->certificate_body, in->certificate_chain, in->private_key};
	struct cert_facts facts;
	if (check(c, &pem, &facts) != CALL_OK || !is_free(c, in->server_certificate_name))
		return CALL_FAIL;
	if (in->tags.n && !iam_may_tag(c, in, "iam:TagServerCertificate"))
		return CALL_FAIL;
	if (iam_count(c, S("server-certificate")) >= IAM_CERTIFICATES_MAX)
		return call_fail(c, "LimitExceeded", 409, "Cannot exceed quota for ServerCertificatesPerAccount: %d",
		                 IAM_CERTIFICATES_MAX);
	struct state_iam_server_certificate_record r = {
	        .path = str_set(in->path) ? in->path : S("/"),
	        .name = in->server_certificate_name,
	        .id = id_base32(c->arena, S("ASCA"), 17),
	        .uploaded = OPT_TIME(c->now_ms - c->now_ms % 1000),
	        .expires = OPT_TIME(facts.not_after_ms),
	        .body = trimmed(in->certificate_body),
	        .chain = trimmed(in->certificate_chain),
	};
	if (!iam_tags_put(c, &in->tags, &r.tags))
		return CALL_FAIL;
	if (c->cloud->seal)
		r.key = seal_put(c->cloud->seal, c->arena, in->private_key, r.id);
	if (!str_set(r.key))
		return call_broken(c, "the private key of a server certificate cannot be sealed");
	save(c, &r);
	out->server_certificate_metadata = arena_new(c->arena, struct iam_server_certificate_metadata);
	show(c, &r, out->server_certificate_metadata);
	iam_tags_show(c->arena, &r.tags, &out->tags);
	return CALL_OK;
}

/* --- the others */

int iam_get_server_certificate(struct call *c, const struct iam_get_server_certificate_request *in,
                               struct iam_get_server_certificate_response *out)
{
	struct state_iam_server_certificate_record r;
	if (!load(c, in->server_certificate_name, &r))
		return CALL_FAIL;
	struct iam_server_certificate *to = out->server_certificate = arena_new(c->arena, struct iam_server_certificate);
	to->server_certificate_metadata = arena_new(c->arena, struct iam_server_certificate_metadata);
	show(c, &r, to->server_certificate_metadata);
	to->certificate_body = r.body;
	to->certificate_chain = r.chain;
	iam_tags_show(c->arena, &r.tags, &to->tags);
	return CALL_OK;
}

int iam_list_server_certificates(struct call *c, const struct iam_list_server_certificates_request *in,
                                 struct iam_list_server_certificates_response *out)
{
	struct str prefix = KEY_UNDER(c->arena, S("iam"), c->account, S("server-certificate")), key;
	struct state_iam_server_certificate_record r;
	struct store_value v;
	struct iam_page page;
	if (!iam_page_open(c, in->max_items, in->marker, &page))
		return CALL_FAIL;
	out->server_certificate_metadata_list.set = true;
	struct store_iter *i = store_scan(call_txn(c), prefix, store_prefix_end(c->arena, prefix), false);
	for (bool skip; store_next(i, &key, &v) && record_read(c->arena, v.value, &certificate_type, &r);) {
		if (!iam_path_matches(r.path, in->path_prefix))
			continue;
		if (!iam_page_take(&page, iam_lower(c->arena, r.name), &skip))
			break;
		if (!skip)
			show(c, &r, LIST_ADD(c->arena, &out->server_certificate_metadata_list));
	}
	iam_page_close(c, &page, &out->is_truncated, &out->marker);
	return CALL_OK;
}

/* Another name is another ARN, which the caller must be allowed to change as well. */
int iam_update_server_certificate(struct call *c, const struct iam_update_server_certificate_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_server_certificate_record r;
	if (!load(c, in->server_certificate_name, &r))
		return CALL_FAIL;
	struct str before = r.name;
	if (str_set(in->new_path))
		r.path = in->new_path;
	if (str_set(in->new_server_certificate_name))
		r.name = in->new_server_certificate_name;
	if (!str_ieq(before, r.name) && !is_free(c, r.name))
		return CALL_FAIL;
	if (!call_allowed(c, "iam:UpdateServerCertificate", arn_of(c->arena, c->account, &r)))
		return CALL_FAIL;
	store_delete(call_txn(c), certificate_key(c->arena, c->account, before));
	save(c, &r);
	return CALL_OK;
}

int iam_delete_server_certificate(struct call *c, const struct iam_delete_server_certificate_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_server_certificate_record r;
	if (!load(c, in->server_certificate_name, &r))
		return CALL_FAIL;
	struct str by = user_of(c, r.id);
	if (str_set(by))
		return call_fail(
		        c, "DeleteConflict", 409,
		        "Certificate: %.*s is currently in use by %.*s. Please remove it first before deleting it from IAM.",
		        STR_ARG(r.id), STR_ARG(by));
	store_delete(call_txn(c), certificate_key(c->arena, c->account, r.name));
	return CALL_OK;
}

int iam_tag_server_certificate(struct call *c, const struct iam_tag_server_certificate_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_server_certificate_record r;
	if (!load(c, in->server_certificate_name, &r) || !iam_tags_put(c, &in->tags, &r.tags))
		return CALL_FAIL;
	save(c, &r);
	return CALL_OK;
}

int iam_untag_server_certificate(struct call *c, const struct iam_untag_server_certificate_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_server_certificate_record r;
	if (!load(c, in->server_certificate_name, &r))
		return CALL_FAIL;
	iam_tags_remove(&in->tag_keys, &r.tags);
	save(c, &r);
	return CALL_OK;
}

int iam_list_server_certificate_tags(struct call *c, const struct iam_list_server_certificate_tags_request *in,
                                     struct iam_list_server_certificate_tags_response *out)
{
	struct state_iam_server_certificate_record r;
	if (!load(c, in->server_certificate_name, &r))
		return CALL_FAIL;
	return iam_tags_list(c, &r.tags, in->max_items, in->marker, &out->tags, &out->is_truncated, &out->marker);
}
