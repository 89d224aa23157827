#include "aws/ecr/rows.h"

#include "base/base64.h"
#include "core/meter.h"

#include <stdarg.h>

enum { KIB = 1024 };

struct ecr_state *ecr_state(const struct call *c)
{
	return cloud_state(c->cloud, &ecr_service);
}

/* --- keys */

struct str ecr_repository_key(struct arena *a, const struct ecr_place *p)
{
	return KEY(a, S("ecr"), S("repository"), p->account, p->region, p->name);
}

struct str ecr_image_key(struct arena *a, const struct ecr_place *p, struct str digest)
{
	return KEY(a, S("ecr"), S("image"), p->account, p->region, p->name, digest);
}

struct str ecr_manifest_key(struct arena *a, const struct ecr_place *p, struct str digest)
{
	return KEY(a, S("ecr"), S("manifest"), p->account, p->region, p->name, digest);
}

struct str ecr_tag_key(struct arena *a, const struct ecr_place *p, struct str tag)
{
	return KEY(a, S("ecr"), S("tag"), p->account, p->region, p->name, tag);
}

struct str ecr_referrer_key(struct arena *a, const struct ecr_place *p, struct str subject, struct str digest)
{
	return KEY(a, S("ecr"), S("referrer"), p->account, p->region, p->name, subject, digest);
}

struct str ecr_under(struct arena *a, const char *kind, const struct ecr_place *p)
{
	return KEY_UNDER(a, S("ecr"), str_from(kind), p->account, p->region, p->name);
}

struct str ecr_registry_key(struct arena *a, struct str account, struct str region)
{
	return KEY(a, S("ecr"), S("registry"), account, region);
}

static struct str usage_key(struct arena *a, const struct ecr_place *p)
{
	return KEY(a, S("ecr"), S("usage"), p->account, p->region, p->name);
}

/* --- records */

bool ecr_find_repository(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct state_ecr_repository_record *ret)
{
	return ecr_name_good(p->name) && record_get(t, a, ecr_repository_key(a, p), ECR_ROW("Repository"), ret);
}

bool ecr_find_image(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest,
                    struct state_ecr_image_record *ret)
{
	return ecr_digest_good(digest) && record_get(t, a, ecr_image_key(a, p, digest), ECR_ROW("Image"), ret);
}

void ecr_put_image_row(struct store_txn *t, struct arena *a, const struct ecr_place *p, const struct state_ecr_image_record *r)
{
	record_put(t, a, ecr_image_key(a, p, r->digest), ECR_ROW("Image"), r);
}

struct str ecr_find_tag(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str tag)
{
	struct store_value v;
	if (!ecr_tag_good(tag) || !store_get(t, ecr_tag_key(a, p, tag), &v))
		return STR_NONE;
	return arena_dup(a, v.value);
}

struct str ecr_manifest_text(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct str digest)
{
	struct store_value v;
	return store_get(t, ecr_manifest_key(a, p, digest), &v) ? arena_dup(a, v.value) : STR_NONE;
}

struct str ecr_arn(struct arena *a, const struct ecr_place *p)
{
	return ARENA_CAT(a, S("arn:aws:ecr:"), p->region, S(":"), p->account, S(":repository/"), p->name);
}

struct str ecr_host(struct call *c, struct str account, struct str region)
{
	struct str endpoint = str_from(c->cloud->endpoint);
	ptrdiff_t colon = str_rfind_char(endpoint, ':');
	return ARENA_CAT(c->arena, account, S(".dkr.ecr."), region, S(".localhost"), str_from_at(endpoint, (size_t)colon));
}

void ecr_count(struct store_txn *t, struct arena *a, const struct ecr_place *p, int64_t bytes, int64_t images, int64_t now_ms)
{
	struct state_ecr_usage_record u = {0};
	struct str key = usage_key(a, p);
	record_get(t, a, key, ECR_ROW("Usage"), &u);
	u.bytes = OPT_INT(u.bytes.v + bytes);
	u.images = OPT_INT(u.images.v + images);
	if (u.bytes.v || u.images.v)
		record_put(t, a, key, ECR_ROW("Usage"), &u);
	else
		store_delete(t, key);
	if (!bytes)
		return;
	/* In KiB: bytes times milliseconds of a month would pass 64 bits at three gigabytes. */
	const struct meter_use use = {.usage = S("ECR/TimedStorage-ByteHrs"), .rate = (u.bytes.v + KIB - 1) / KIB};
	meter_set(t, a, p->account, p->region, ecr_arn(a, p), &use, u.bytes.v > 0, now_ms);
}

/* --- what operations are about */

int ecr_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "InvalidParameterException", 0, "%.*s", STR_ARG(message));
}

int ecr_fail_repository(struct call *c, const struct ecr_place *p)
{
	return call_fail(c, "RepositoryNotFoundException", 0,
	                 "The repository with name '%.*s' does not exist in the registry with id '%.*s'", STR_ARG(p->name),
	                 STR_ARG(p->account));
}

int ecr_get(struct call *c, struct str registry_id, struct str name, struct ecr_place *ret_place,
            struct state_ecr_repository_record *ret)
{
	*ret_place =
	        (struct ecr_place){.account = str_set(registry_id) ? registry_id : c->account, .region = c->region, .name = name};
	if (!ecr_find_repository(call_txn(c), c->arena, ret_place, ret))
		return ecr_fail_repository(c, ret_place);
	return CALL_OK;
}

/* --- pages */

int ecr_page_from(struct call *c, struct str token, struct str under, struct str *ret_from)
{
	*ret_from = under;
	if (!str_set(token))
		return CALL_OK;
	struct str last = base64url_decode(c->arena, token);
	if (!str_set(last) || !str_starts(last, under))
		return ecr_invalid(c, "Invalid parameter at 'nextToken': the token is not one of this list");
	*ret_from = ARENA_CAT(c->arena, last, str_of("", 1));
	return CALL_OK;
}

struct str ecr_page_token(struct call *c, struct str last_key)
{
	return base64url_encode(c->arena, last_key);
}
