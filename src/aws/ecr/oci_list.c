/* Lists: tags, repositories, and what refers to a manifest. */
#include "aws/ecr/oci.h"

#include "base/json.h"
#include "base/uri.h"

enum { LIST_MAX = 1000, PAGE_BYTES = 4 << 20 /* of referrers, whose annotations may be as long as a manifest */ };

static int not_get(struct call *c)
{
	return oci_fail(c, "UNSUPPORTED", 405, "A list is read with GET.");
}

static void begin(struct buf *b, struct json_out *o)
{
	buf_init(b, 8 << 20);
	*o = json_out(b);
	json_open(o, '{');
}

/* Names below a prefix of keys, behind `last`, at most n of them. True: there are more. */
static bool put_names(struct call *c, struct json_out *o, struct str under, uint64_t n, struct str last, struct str *ret_last)
{
	struct str key, from = under, end = store_prefix_end(c->arena, under);
	struct store_value v;
	if (str_set(last) && last.n)
		from = ARENA_CAT(c->arena, under, last, str_of("", 1));
	struct store_iter *i = store_scan(call_txn(c), from, end, false);
	for (uint64_t k = 0; store_next(i, &key, &v); k++) {
		if (k == n || k == LIST_MAX)
			return true;
		*ret_last = arena_dup(c->arena, str_from_at(key, under.n));
		json_string(o, *ret_last);
	}
	return false;
}

int oci_serve_tags(struct call *c, const struct oci_request *r)
{
	uint64_t n;
	struct str last;
	if (!str_is(r->method, "GET") && !str_is(r->method, "HEAD"))
		return not_get(c);
	if (!ecr_allowed(c, "ecr:ListImages", &r->place) || oci_page(c, &n, &last) != CALL_OK)
		return CALL_FAIL;
	struct buf CLEAN_BUF b;
	struct json_out o;
	begin(&b, &o);
	json_key(&o, S("name"));
	json_string(&o, r->place.name);
	json_key(&o, S("tags"));
	json_open(&o, '[');
	if (n && put_names(c, &o, ecr_under(c->arena, "tag", &r->place), n, last, &last))
		oci_page_link(c, ARENA_CAT(c->arena, S("/v2/"), r->place.name, S("/tags/list")), n < LIST_MAX ? n : LIST_MAX, last);
	json_close(&o, ']');
	json_close(&o, '}');
	return oci_reply(c, 200, "application/json", arena_dup(c->arena, buf_str(&b)));
}

int oci_serve_catalogue(struct call *c, const struct oci_request *r)
{
	uint64_t n;
	struct str last;
	struct ecr_place all = {r->place.account, r->place.region, S("*")};
	if (!str_is(r->method, "GET") && !str_is(r->method, "HEAD"))
		return not_get(c);
	if (!ecr_allowed(c, "ecr:DescribeRepositories", &all) || oci_page(c, &n, &last) != CALL_OK)
		return CALL_FAIL;
	struct buf CLEAN_BUF b;
	struct json_out o;
	begin(&b, &o);
	json_key(&o, S("repositories"));
	json_open(&o, '[');
	if (n && put_names(c, &o, KEY_UNDER(c->arena, S("ecr"), S("repository"), all.account, all.region), n, last, &last))
		oci_page_link(c, S("/v2/_catalog"), n < LIST_MAX ? n : LIST_MAX, last);
	json_close(&o, ']');
	json_close(&o, '}');
	return oci_reply(c, 200, "application/json", arena_dup(c->arena, buf_str(&b)));
}

static void put_descriptor(struct json_out *o, const struct state_ecr_image_record *image)
{
	json_open(o, '{');
	json_key(o, S("mediaType"));
	json_string(o, image->media_type);
	json_key(o, S("digest"));
	json_string(o, image->digest);
	json_key(o, S("size"));
	json_int(o, image->manifest_size.v);
	if (str_set(image->artifact_type)) {
		json_key(o, S("artifactType"));
		json_string(o, image->artifact_type);
	}
	if (image->annotations.n) {
		json_key(o, S("annotations"));
		json_open(o, '{');
		for (uint32_t i = 0; i < image->annotations.n; i++) {
			json_key(o, image->annotations.v[i].key);
			json_string(o, image->annotations.v[i].value);
		}
		json_close(o, '}');
	}
	json_close(o, '}');
}

static void referrers_link(struct call *c, const struct oci_request *r, struct str type, struct str last)
{
	struct str filter = str_set(type) ? ARENA_CAT(c->arena, S("&artifactType="), uri_encode(c->arena, type, false)) : S("");
	call_reply_header(
	        c, S("Link"),
	        ARENA_CAT(c->arena, S("<"), oci_path(c, "referrers", r->id), S("?last="), last, filter, S(">; rel=\"next\"")));
}

int oci_serve_referrers(struct call *c, const struct oci_request *r)
{
	struct str type = call_query(c, S("artifactType")), after = call_query(c, S("last")), last = STR_NONE, key;
	if (!str_is(r->method, "GET") && !str_is(r->method, "HEAD"))
		return not_get(c);
	if (!ecr_digest_good(r->id))
		return oci_fail(c, "DIGEST_INVALID", 400, "This is no digest of the kind sha256: %.*s", STR_ARG(r->id));
	if (!ecr_allowed(c, "ecr:BatchGetImage", &r->place))
		return CALL_FAIL;
	struct buf CLEAN_BUF b;
	struct json_out o;
	begin(&b, &o);
	json_key(&o, S("schemaVersion"));
	json_int(&o, 2);
	json_key(&o, S("mediaType"));
	json_string(&o, S(MANIFEST_OCI_INDEX));
	json_key(&o, S("manifests"));
	json_open(&o, '[');
	struct str under = ARENA_CAT(c->arena, ecr_under(c->arena, "referrer", &r->place), r->id, str_of("", 1));
	struct str from = str_set(after) && after.n ? ARENA_CAT(c->arena, under, after, str_of("", 1)) : under;
	struct store_iter *i = store_scan(call_txn(c), from, store_prefix_end(c->arena, under), false);
	struct store_value v;
	for (unsigned n = 0; store_next(i, &key, &v);) {
		struct state_ecr_image_record image;
		if (!ecr_find_image(call_txn(c), c->arena, &r->place, str_from_at(key, under.n), &image) ||
		    (str_set(type) && !(str_set(image.artifact_type) && str_eq(type, image.artifact_type))))
			continue;
		if (n == LIST_MAX || (n && buf_str(&b).n + (size_t)image.manifest_size.v > PAGE_BYTES)) {
			referrers_link(c, r, type, last);
			break;
		}
		put_descriptor(&o, &image);
		last = arena_dup(c->arena, image.digest);
		n++;
	}
	json_close(&o, ']');
	json_close(&o, '}');
	if (str_set(type))
		call_reply_header(c, S("OCI-Filters-Applied"), S("artifactType"));
	return oci_reply(c, 200, MANIFEST_OCI_INDEX, arena_dup(c->arena, buf_str(&b)));
}
