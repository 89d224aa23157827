/* SecureStrings at rest: sealed by a key of KMS and bound to the parameter's ARN. Those from before there was KMS were sealed with
 * this cloud's own key, bound to ARN and version, and say no key; they still open. */
#include "rows.h"

#include "aws/kms/kms.h"

int ssm_key_open(struct ssm_state *s, const char *data_dir)
{
	return seal_open(&s->seal, data_dir);
}

struct str ssm_key_of(const struct state_ssm_version_record *v)
{
	return !str_is(v->type, "SecureString") ? STR_NONE : str_set(v->key_id) ? v->key_id : S(SSM_KEY_ALIAS);
}

static struct kms_use use_of(struct call *c, struct str arn, const struct state_ssm_version_record *v)
{
	struct kms_use u = {.service = "ssm", .action = "kms:Encrypt", .key = v->key_id};
	*LIST_ADD(c->arena, &u.context) = (struct str_map_entry){S("PARAMETER_ARN"), arn};
	return u;
}

/* What is wrong with a key is this service's InvalidKeyId; permissions are said as KMS says them. */
static int failed(struct call *c)
{
	if (str_starts(c->error.code, S("AccessDenied")) || str_is(c->error.code, "InternalFailure"))
		return CALL_FAIL;
	struct str message = c->error.message;
	return call_fail(c, "InvalidKeyId", 0, "%.*s", STR_ARG(message));
}

int ssm_seal(struct call *c, struct str plain, struct str arn, struct state_ssm_version_record *v)
{
	struct kms_use u = use_of(c, arn, v);
	return kms_seal(c, &u, plain, &v->sealed, NULL) == CALL_OK ? CALL_OK : failed(c);
}

int ssm_unseal(struct call *c, const struct state_ssm_version_record *v, struct str arn, struct str *ret)
{
	struct kms_use u = use_of(c, arn, v);
	if (str_set(v->key_id))
		return kms_open(c, &u, v->sealed, ret) == CALL_OK ? CALL_OK : failed(c);
	*ret = seal_get(&ssm_state(c)->seal, c->arena, v->sealed,
	                arena_printf(c->arena, "%.*s:%lld", STR_ARG(arn), (long long)v->version.v));
	return str_set(*ret) ? CALL_OK
	                     : call_broken(c, "a SecureString does not open: DATA/ssm.key is not the key that it was sealed with");
}
