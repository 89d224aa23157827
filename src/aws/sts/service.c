/* Temporary credentials. What a session is and how it is sealed belongs to IAM (aws/iam/iam.h); here are the rules about who gets
 * one. */
#include "core/service.h"
#include "aws/iam/iam.h"
#include "gen/sts.h"

enum { HOUR_S = 3600, SESSION_DEFAULT_S = 43200, POLICY_CHARS_MAX = 2048, POLICY_ARNS_MAX = 10 };

static int invalid(struct call *c, const char *message)
{
	return call_fail(c, "ValidationError", 400, "%s", message);
}

/* --- what every kind of session shares */

static bool set_policies(struct call *c, struct str policy, const struct sts_policy_descriptor_list_type *arns, struct str account,
                         struct state_iam_session_record *r)
{
	struct str message;
	if (str_set(policy)) {
		struct policy *p = policy_parse(policy, POLICY_IDENTITY, S(""), c->arena, &message);
		if (!p) {
			call_fail(c, "MalformedPolicyDocument", 400, "%.*s", STR_ARG(message));
			return false;
		}
		policy_free(p);
		r->policy = policy;
	}
	if (arns->n > POLICY_ARNS_MAX) {
		invalid(c, "The number of managed policies exceeds the limit of 10.");
		return false;
	}
	size_t chars = policy.n;
	for (uint32_t i = 0; i < arns->n; i++) {
		if (!iam_managed_exists(c->cloud, account, arns->v[i].arn)) {
			call_fail(c, "ValidationError", 400, "Policy %.*s does not exist or is not attachable.",
			          STR_ARG(arns->v[i].arn));
			return false;
		}
		*LIST_ADD(c->arena, &r->policy_arns) = arns->v[i].arn;
		chars += arns->v[i].arn.n;
	}
	if (chars > POLICY_CHARS_MAX) {
		call_fail(c, "PackedPolicyTooLarge", 400,
		          "Packed policy consumes %zu%% of allotted space, please use smaller policy.",
		          chars * 100 / POLICY_CHARS_MAX);
		return false;
	}
	return true;
}

static bool set_tags(struct call *c, const struct sts_tag_list_type *tags, struct state_iam_session_record *r)
{
	for (uint32_t i = 0; i < tags->n; i++) {
		for (uint32_t k = 0; k < r->tags.n; k++)
			if (str_ieq(r->tags.v[k].key, tags->v[i].key)) {
				call_fail(c, "InvalidParameterValue", 400,
				          "Duplicate tag keys found. Please note that Tag keys are case insensitive.");
				return false;
			}
		if (str_istarts(tags->v[i].key, S("aws:"))) {
			call_fail(c, "InvalidParameterValue", 400, "Tag keys of a session must not begin with aws:.");
			return false;
		}
		*LIST_ADD(c->arena, &r->tags) = (struct str_map_entry){.key = tags->v[i].key, .value = tags->v[i].value};
	}
	return true;
}

static bool has_tag(const struct str_map *tags, struct str key)
{
	for (uint32_t i = 0; i < tags->n; i++)
		if (str_ieq(tags->v[i].key, key))
			return true;
	return false;
}

/* Seals it. Whole seconds, because that is what replies and policies show. */
static bool make(struct call *c, struct state_iam_session_record *r, int64_t duration_s, struct sts_credentials **ret,
                 struct opt_int *ret_packed)
{
	struct iam_credentials made;
	r->issued = OPT_TIME(c->now_ms - c->now_ms % 1000);
	r->expires = OPT_TIME(r->issued.ms + duration_s * 1000);
	size_t bytes = iam_session_bytes(c->arena, r);
	if (bytes > IAM_SESSION_BYTES_MAX) {
		call_fail(c, "PackedPolicyTooLarge", 400,
		          "Packed policy consumes %zu%% of allotted space, please use smaller policy.",
		          bytes * 100 / IAM_SESSION_BYTES_MAX);
		return false;
	}
	if (ret_packed && (str_set(r->policy) || r->policy_arns.n || r->tags.n))
		*ret_packed = OPT_INT((int64_t)(bytes * 100 / IAM_SESSION_BYTES_MAX));
	iam_session_make(c->cloud, c->arena, r, &made);
	*ret = arena_new(c->arena, struct sts_credentials);
	**ret = (struct sts_credentials){.access_key_id = made.access_key_id,
	                                 .secret_access_key = made.secret,
	                                 .session_token = made.token,
	                                 .expiration = r->expires};
	return true;
}

/* --- GetCallerIdentity */

static int sts_get_caller_identity(struct call *c, const struct sts_get_caller_identity_request *in,
                                   struct sts_get_caller_identity_response *out)
{
	(void)in;
	*out = (struct sts_get_caller_identity_response){
	        .user_id = c->caller->user_id, .account = c->caller->account, .arn = c->caller->arn};
	return CALL_OK;
}

/* --- AssumeRole */

static struct str account_of(struct str arn)
{
	struct str part = STR_NONE, rest = arn;
	for (int i = 0; i < 5 && str_set(rest); i++)
		part = str_cut(&rest, ':');
	return part.n == 12 ? part : STR_NONE;
}

/* The trust policy decides. A role that is not there is refused like one that may not be assumed, so that nobody learns which roles
 * exist. */
static int role_resource(struct call *c, const void *input, struct authz *az)
{
	const struct sts_assume_role_request *in = input;
	struct iam_role_view role;
	az->resource = in->role_arn;
	az->resource_account = account_of(in->role_arn);
	az->policy_must_allow = true;
	if (!str_set(az->resource_account) || !str_starts(in->role_arn, S("arn:")))
		return call_fail(c, "ValidationError", 400, "%.*s is invalid", STR_ARG(in->role_arn));
	/* Federated users assume no roles, whatever these say. */
	if (c->caller->kind != PRINCIPAL_FEDERATED && iam_find_role(c->cloud, in->role_arn, &role)) {
		az->resource_policy = arena_dup(c->arena, role.trust);
		authz_add_tags(c, az, "aws:ResourceTag", role.tags);
		authz_add_tags(c, az, "iam:ResourceTag", role.tags);
	}
	authz_add(c, az, "sts:RoleSessionName", in->role_session_name);
	authz_add(c, az, "sts:ExternalId", in->external_id);
	authz_add(c, az, "sts:SourceIdentity", in->source_identity);
	if (in->duration_seconds.set)
		authz_add(c, az, "sts:DurationSeconds", arena_printf(c->arena, "%lld", (long long)in->duration_seconds.v));
	struct str_list keys = {0};
	for (uint32_t i = 0; i < in->tags.n; i++) {
		authz_add(c, az, ARENA_CAT(c->arena, S("aws:RequestTag/"), in->tags.v[i].key).p, in->tags.v[i].value);
		*LIST_ADD(c->arena, &keys) = in->tags.v[i].key;
	}
	if (keys.n) {
		authz_add(c, az, "aws:TagKeys", keys.v[0]);
		az->keys[az->key_count - 1].values = keys;
	}
	if (in->transitive_tag_keys.n) {
		authz_add(c, az, "sts:TransitiveTagKeys", in->transitive_tag_keys.v[0]);
		az->keys[az->key_count - 1].values = in->transitive_tag_keys;
	}
	return CALL_OK;
}

static bool also_allowed(struct call *c, const void *in, struct str action)
{
	struct authz az = {.action = action};
	return role_resource(c, in, &az) == CALL_OK && call_authorize(c, &az);
}

static bool set_duration(struct call *c, const struct sts_assume_role_request *in, const struct iam_role_view *role, int64_t *ret)
{
	bool chained = c->caller->kind == PRINCIPAL_ROLE;
	int64_t wanted = in->duration_seconds.set ? in->duration_seconds.v : HOUR_S;
	if (chained && wanted > HOUR_S)
		return invalid(c,
		               "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.") ==
		       CALL_OK;
	if (wanted > role->max_session_s)
		return invalid(c, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.") == CALL_OK;
	*ret = wanted;
	return true;
}

/* Tags that the caller's own session passes on, and its source identity, go along and cannot be changed. */
static bool inherit(struct call *c, const struct sts_assume_role_request *in, struct state_iam_session_record *r)
{
	struct state_iam_session_record before;
	if (!iam_session_of(c->cloud, c->arena, c->caller, &before))
		return true;
	for (uint32_t i = 0; i < before.transitive_tags.n; i++) {
		struct str key = before.transitive_tags.v[i];
		if (has_tag(&r->tags, key)) {
			invalid(c,
			        "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.");
			return false;
		}
		for (uint32_t k = 0; k < before.tags.n; k++)
			if (str_ieq(before.tags.v[k].key, key))
				*LIST_ADD(c->arena, &r->tags) = before.tags.v[k];
		*LIST_ADD(c->arena, &r->transitive_tags) = key;
	}
	if (str_set(before.source_identity)) {
		if (str_set(in->source_identity) && !str_eq(in->source_identity, before.source_identity)) {
			call_fail(c, "AccessDenied", 403, "Cannot change the source identity of the calling session.");
			return false;
		}
		r->source_identity = before.source_identity;
	}
	return true;
}

static bool set_transitive(struct call *c, const struct sts_assume_role_request *in, struct state_iam_session_record *r)
{
	for (uint32_t i = 0; i < in->transitive_tag_keys.n; i++) {
		if (!has_tag(&r->tags, in->transitive_tag_keys.v[i])) {
			invalid(c, "The specified transitive tag key must be included in the requested tags.");
			return false;
		}
		*LIST_ADD(c->arena, &r->transitive_tags) = in->transitive_tag_keys.v[i];
	}
	return true;
}

static int sts_assume_role(struct call *c, const struct sts_assume_role_request *in, struct sts_assume_role_response *out)
{
	struct iam_role_view role;
	if (!iam_find_role(c->cloud, in->role_arn, &role))
		return call_fail(c, "AccessDenied", 403,
		                 "User: %.*s is not authorized to perform: sts:AssumeRole on resource: %.*s",
		                 STR_ARG(c->caller->arn), STR_ARG(in->role_arn));
	if (str_set(in->serial_number) || str_set(in->token_code))
		return call_fail(c, "AccessDenied", 403, "MultiFactorAuthentication failed with invalid MFA one time pass code.");
	struct state_iam_session_record r = {
	        .kind = OPT_INT(PRINCIPAL_ROLE),
	        .account = role.account,
	        .name = in->role_session_name,
	        .issuer_name = role.name,
	        .issuer_id = role.id,
	        .issuer_arn = role.arn,
	        .source_identity = in->source_identity,
	        .chained = OPT_BOOL(c->caller->kind == PRINCIPAL_ROLE),
	};
	int64_t duration_s;
	if (!set_duration(c, in, &role, &duration_s) || !set_policies(c, in->policy, &in->policy_arns, role.account, &r) ||
	    !set_tags(c, &in->tags, &r) || !set_transitive(c, in, &r) || !inherit(c, in, &r))
		return CALL_FAIL;
	if (r.tags.n && !also_allowed(c, in, S("sts:TagSession")))
		return CALL_FAIL;
	if (str_set(r.source_identity) && !also_allowed(c, in, S("sts:SetSourceIdentity")))
		return CALL_FAIL;
	if (!make(c, &r, duration_s, &out->credentials, &out->packed_policy_size))
		return CALL_FAIL;
	out->assumed_role_user = arena_new(c->arena, struct sts_assumed_role_user);
	out->assumed_role_user->assumed_role_id = ARENA_CAT(c->arena, role.id, S(":"), in->role_session_name);
	out->assumed_role_user->arn = ARENA_CAT(c->arena, S("arn:aws:sts::"), role.account, S(":assumed-role/"), role.name, S("/"),
	                                        in->role_session_name);
	out->source_identity = r.source_identity;
	return CALL_OK;
}

/* --- GetSessionToken, GetFederationToken */

/* The user or root user with long-term credentials whom the session will be of. */
static bool set_issuer(struct call *c, const char *operation, struct state_iam_session_record *r)
{
	if (c->caller->temporary || (c->caller->kind != PRINCIPAL_USER && c->caller->kind != PRINCIPAL_ROOT)) {
		call_fail(c, "AccessDenied", 403, "Cannot call %s with session credentials", operation);
		return false;
	}
	r->account = c->caller->account;
	r->kind = OPT_INT(c->caller->kind);
	if (c->caller->kind == PRINCIPAL_USER) {
		r->issuer_name = c->caller->name;
		r->issuer_id = c->caller->user_id;
		r->issuer_arn = c->caller->arn;
	}
	return true;
}

static int64_t session_duration(struct call *c, struct opt_int wanted)
{
	int64_t s = wanted.set ? wanted.v : SESSION_DEFAULT_S;
	/* The root user gets an hour at most, whatever it asks for. */
	return c->caller->kind == PRINCIPAL_ROOT && s > HOUR_S ? HOUR_S : s;
}

static int sts_get_session_token(struct call *c, const struct sts_get_session_token_request *in,
                                 struct sts_get_session_token_response *out)
{
	struct state_iam_session_record r = {0};
	if (!set_issuer(c, "GetSessionToken", &r))
		return CALL_FAIL;
	if (str_set(in->serial_number) || str_set(in->token_code))
		return call_fail(c, "AccessDenied", 403, "MultiFactorAuthentication failed with invalid MFA one time pass code.");
	return make(c, &r, session_duration(c, in->duration_seconds), &out->credentials, NULL) ? CALL_OK : CALL_FAIL;
}

static int federated_resource(struct call *c, const void *input, struct authz *az)
{
	const struct sts_get_federation_token_request *in = input;
	az->resource = ARENA_CAT(c->arena, S("arn:aws:sts::"), c->account, S(":federated-user/"), in->name);
	az->resource_account = c->account;
	return CALL_OK;
}

static int sts_get_federation_token(struct call *c, const struct sts_get_federation_token_request *in,
                                    struct sts_get_federation_token_response *out)
{
	struct state_iam_session_record r = {0};
	if (!set_issuer(c, "GetFederationToken", &r))
		return CALL_FAIL;
	r.kind = OPT_INT(PRINCIPAL_FEDERATED);
	r.name = in->name;
	if (!set_policies(c, in->policy, &in->policy_arns, c->account, &r) || !set_tags(c, &in->tags, &r) ||
	    !make(c, &r, session_duration(c, in->duration_seconds), &out->credentials, &out->packed_policy_size))
		return CALL_FAIL;
	out->federated_user = arena_new(c->arena, struct sts_federated_user);
	out->federated_user->federated_user_id = ARENA_CAT(c->arena, c->account, S(":"), in->name);
	out->federated_user->arn = ARENA_CAT(c->arena, S("arn:aws:sts::"), c->account, S(":federated-user/"), in->name);
	return CALL_OK;
}

/* --- GetAccessKeyInfo */

static int sts_get_access_key_info(struct call *c, const struct sts_get_access_key_info_request *in,
                                   struct sts_get_access_key_info_response *out)
{
	out->account = iam_key_account(c->cloud, c->arena, in->access_key_id);
	if (!str_set(out->account))
		return call_fail(c, "ValidationError", 400, "The access key id %.*s is not known here.",
		                 STR_ARG(in->access_key_id));
	return CALL_OK;
}

static const struct service_op ops[] = {
        OP(sts, assume_role, AssumeRole, .resource = role_resource),
        OP(sts, get_access_key_info, GetAccessKeyInfo, .flags = OP_READ),
        OP(sts, get_caller_identity, GetCallerIdentity, .flags = OP_OPEN | OP_READ),
        OP(sts, get_federation_token, GetFederationToken, .resource = federated_resource),
        OP(sts, get_session_token, GetSessionToken, .flags = OP_OPEN),
};

const struct service sts_service = {
        .api = &sts_api,
        .iam_prefix = "sts",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
};
