/* SecureStrings at rest: sealed with this cloud's key, and bound to the parameter's ARN and version. */
#include "rows.h"

int ssm_key_open(struct ssm_state *s, const char *data_dir)
{
	return seal_open(&s->seal, data_dir);
}

static struct str bound_to(struct arena *a, struct str arn, int64_t version)
{
	return arena_printf(a, "%.*s:%lld", STR_ARG(arn), (long long)version);
}

struct str ssm_seal(const struct ssm_state *s, struct arena *a, struct str plain, struct str arn, int64_t version)
{
	return seal_put(&s->seal, a, plain, bound_to(a, arn, version));
}

struct str ssm_unseal(const struct ssm_state *s, struct arena *a, struct str sealed, struct str arn, int64_t version)
{
	return seal_get(&s->seal, a, sealed, bound_to(a, arn, version));
}
