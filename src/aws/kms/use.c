/* Keys for other services (kms.h), inside their calls. */
#include "rows.h"

#include "core/meter.h"

static int allowed(struct call *c, const struct kms_use *u, const char *action, const struct kms_found *k)
{
	struct authz az = {.action = str_from(action)};
	kms_about(c, &az, k, &u->context);
	authz_add(c, &az, "kms:ViaService", arena_printf(c->arena, "%s.%.*s.amazonaws.com", u->service, STR_ARG(c->region)));
	return call_authorize(c, &az) ? CALL_OK : CALL_FAIL;
}

/* What a service asks of its own key costs nothing more than what it asks of another. */
static void count(struct call *c)
{
	meter_count(c->cloud->meter, c->account, c->region, S("KMS-Requests"), 1);
}

static int usable(struct call *c, const struct kms_found *k)
{
	if (str_is(k->r.usage, "ENCRYPT_DECRYPT"))
		return kms_usable(c, k, "ENCRYPT_DECRYPT");
	return call_fail(c, "InvalidKeyUsageException", 0, "%.*s key usage is %.*s which is not valid for encryption.",
	                 STR_ARG(k->arn), STR_ARG(k->r.usage));
}

static struct str own_key(struct call *c, const char *service)
{
	return ARENA_CAT(c->arena, S("alias/aws/"), str_from(service));
}

static int find_allowed(struct call *c, const struct kms_use *u, struct kms_found *ret)
{
	if (kms_find(c, u->key.n ? u->key : own_key(c, u->service), ret) != CALL_OK || allowed(c, u, u->action, ret) != CALL_OK)
		return CALL_FAIL;
	return usable(c, ret);
}

int kms_may(struct call *c, const struct kms_use *u)
{
	struct kms_found k;
	return find_allowed(c, u, &k);
}

int kms_seal(struct call *c, const struct kms_use *u, struct str plain, struct str *ret_blob, struct str *ret_key_arn)
{
	struct kms_found k;
	if (find_allowed(c, u, &k) != CALL_OK)
		return CALL_FAIL;
	count(c);
	if (kms_encrypt_with(c, &k, plain, &u->context, ret_blob) != CALL_OK)
		return CALL_FAIL;
	if (ret_key_arn)
		*ret_key_arn = k.arn;
	return CALL_OK;
}

int kms_open(struct call *c, const struct kms_use *u, struct str blob, struct str *ret_plain)
{
	struct kms_found k;
	if (kms_find_of_blob(c, blob, &k) != CALL_OK || allowed(c, u, "kms:Decrypt", &k) != CALL_OK || usable(c, &k) != CALL_OK)
		return CALL_FAIL;
	count(c);
	return kms_decrypt_with(c, &k, blob, &u->context, ret_plain, NULL);
}

int kms_check(struct call *c, struct str key, struct str *ret_arn)
{
	struct kms_found k;
	if (kms_find(c, key, &k) != CALL_OK || usable(c, &k) != CALL_OK)
		return CALL_FAIL;
	*ret_arn = k.arn;
	return CALL_OK;
}
