/* What an account says of its instances' metadata service in a region, for launches that say nothing themselves. */
#include "aws/ec2/instance/run.h"

static const struct record_type row = {&ec2_api, "InstanceMetadataDefaultsResponse"};

static struct str key_of(const struct ec2_scope *s)
{
	return KEY(s->arena, S("ec2"), s->account, s->region, S("metadata-defaults"));
}

void ec2_metadata_defaults(const struct ec2_scope *s, struct ec2_instance_metadata_defaults_response *ret)
{
	if (!record_get(s->txn, s->arena, key_of(s), &row, ret))
		*ret = (struct ec2_instance_metadata_defaults_response){0};
}

int ec2_get_instance_metadata_defaults(struct call *c, const struct ec2_get_instance_metadata_defaults_request *in,
                                       struct ec2_get_instance_metadata_defaults_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	(void)in;
	out->account_level = arena_new(c->arena, struct ec2_instance_metadata_defaults_response);
	ec2_metadata_defaults(&s, out->account_level);
	out->account_level->managed_by = S("account");
	return CALL_OK;
}

/* no-preference takes back what was said. */
static void take(struct str given, struct str *to)
{
	if (given.n)
		*to = str_is(given, "no-preference") ? STR_NONE : given;
}

int ec2_modify_instance_metadata_defaults(struct call *c, const struct ec2_modify_instance_metadata_defaults_request *in,
                                          struct ec2_modify_instance_metadata_defaults_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_instance_metadata_defaults_response r;
	const struct opt_int *hops = &in->http_put_response_hop_limit;
	if (!in->http_tokens.n && !hops->set && !in->http_endpoint.n && !in->instance_metadata_tags.n &&
	    !in->http_tokens_enforced.n)
		return ec2_combination(c, "No attributes specified.");
	if (str_is(in->http_tokens_enforced, "enabled"))
		return call_fail(c, "UnsupportedOperation", 400, "Enforcing tokens at launches is not supported.");
	if (hops->set && hops->v != -1 && (hops->v < 1 || hops->v > 64))
		return ec2_invalid(c, "The value %lld of HttpPutResponseHopLimit is not from 1 to 64, nor -1", (long long)hops->v);
	ec2_metadata_defaults(&s, &r);
	take(in->http_tokens, &r.http_tokens);
	take(in->http_endpoint, &r.http_endpoint);
	take(in->instance_metadata_tags, &r.instance_metadata_tags);
	if (hops->set)
		r.http_put_response_hop_limit = hops->v == -1 ? (struct opt_int){0} : *hops;
	record_put(s.txn, s.arena, key_of(&s), &row, &r);
	out->return_ = OPT_BOOL(true);
	return CALL_OK;
}
