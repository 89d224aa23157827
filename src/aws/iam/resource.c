/* What an operation's permission is about. IAM's inputs name things by a handful of members, so one function reads the names off
 * the model: the first of the rows below that an input has says what the resource is. Condition keys come from the same members. */
#include "aws/iam/nouns.h"

static const char *const create_operations[IAM_KINDS] = {
        [IAM_USER] = "CreateUser", [IAM_GROUP] = "CreateGroup", [IAM_ROLE] = "CreateRole", [IAM_PROFILE] = "CreateInstanceProfile"};

static const struct member *find_member(struct call *c, const char *name, const struct shape **ret_shape)
{
	const struct api *api = c->service->api;
	const struct shape *in = operation_input(api, c->op);
	for (unsigned i = 0; in && i < in->members; i++) {
		const struct member *m = &api->members[in->first_member + i];
		if (str_is(api_text(api, m->name), name)) {
			*ret_shape = api_shape(api, m->shape);
			return m;
		}
	}
	return NULL;
}

/* A string member's value; absent where the input has none of that name. */
static struct str text_of(struct call *c, const void *in, const char *name)
{
	const struct shape *shape;
	const struct member *m = find_member(c, name, &shape);
	return m && shape->kind == SHAPE_STRING ? *(const struct str *)(const void *)((const char *)in + m->offset) : STR_NONE;
}

static bool has(struct call *c, const char *name)
{
	const struct shape *shape;
	return find_member(c, name, &shape) != NULL;
}

static struct str arn(struct call *c, struct str kind, struct str path, struct str name)
{
	return ARENA_CAT(c->arena, S("arn:aws:iam::"), c->account, S(":"), kind, str_set(path) ? path : S("/"),
	                 str_set(name) ? name : S(""));
}

/* As it is, with its path and tags; one that is yet to be made, or is not there, by what the input says. IAM's denials call what is
 * to be made by its ARN, and everything else by its name. */
static void entity(struct call *c, const void *in, enum iam_kind kind, struct str name, struct authz *az)
{
	struct state_iam_entity_record r;
	bool create = str_is(api_text(c->service->api, c->op->name), create_operations[kind]);
	if (!create)
		az->called = arena_printf(c->arena, "%s %.*s", iam_kinds[kind].word, STR_ARG(name));
	if (create || !iam_load_quietly(c, kind, name, &r)) {
		az->resource = arn(c, iam_kinds[kind].key, text_of(c, in, "Path"), name);
		return;
	}
	az->resource = iam_entity_arn(c->arena, c->account, kind, &r);
	authz_add_tags(c, az, "aws:ResourceTag", &r.tags);
	authz_add_tags(c, az, "iam:ResourceTag", &r.tags);
	authz_add(c, az, "iam:PermissionsBoundary", r.powers->boundary);
}

static void managed(struct call *c, struct str policy, struct authz *az)
{
	struct state_iam_managed_policy_record r;
	struct str account, path, name;
	az->resource = policy;
	az->called = ARENA_CAT(c->arena, S("policy "), policy);
	if (iam_arn_parse(policy, S("policy"), &account, &path, &name) && str_eq(account, c->account) &&
	    record_get(call_txn(c), c->arena, iam_policy_key(c->arena, account, name), &iam_policy_type, &r)) {
		authz_add_tags(c, az, "aws:ResourceTag", &r.tags);
		authz_add_tags(c, az, "iam:ResourceTag", &r.tags);
	}
}

/* As it is; one that is yet to be made, by what the input says. */
static void certificate(struct call *c, const void *in, struct str name, struct authz *az)
{
	struct str_map tags = {0};
	az->resource = iam_certificate_resource(c, name, &tags);
	if (!str_set(az->resource))
		az->resource = arn(c, S("server-certificate"), text_of(c, in, "Path"), name);
	authz_add_tags(c, az, "aws:ResourceTag", &tags);
	authz_add_tags(c, az, "iam:ResourceTag", &tags);
}

static void new_policy(struct call *c, const void *in, struct authz *az)
{
	struct str name = text_of(c, in, "PolicyName");
	az->resource = arn(c, S("policy"), text_of(c, in, "Path"), name);
	az->called = ARENA_CAT(c->arena, S("policy "), name);
}

static void request_keys(struct call *c, const void *in, struct authz *az)
{
	const struct shape *shape;
	const struct member *m = find_member(c, "Tags", &shape);
	struct str_list keys = {0};
	if (m) {
		const struct iam_tag_list_type *tags = (const void *)((const char *)in + m->offset);
		for (uint32_t i = 0; i < tags->n; i++) {
			authz_add(c, az, ARENA_CAT(c->arena, S("aws:RequestTag/"), tags->v[i].key).p, tags->v[i].value);
			*LIST_ADD(c->arena, &keys) = tags->v[i].key;
		}
	}
	if ((m = find_member(c, "TagKeys", &shape)))
		keys = *(const struct str_list *)(const void *)((const char *)in + m->offset);
	if (keys.n) {
		authz_add(c, az, "aws:TagKeys", keys.v[0]);
		az->keys[az->key_count - 1].values = keys;
	}
	authz_add(c, az, "iam:PolicyARN",
	          has(c, "RoleName") || has(c, "UserName") || has(c, "GroupName") ? text_of(c, in, "PolicyArn") : STR_NONE);
	authz_add(c, az, "iam:AWSServiceName", text_of(c, in, "AWSServiceName"));
	struct str boundary = text_of(c, in, "PermissionsBoundary");
	if (str_set(boundary)) {
		/* What it will be counts, not what it was. */
		for (unsigned i = 0; i < az->key_count; i++)
			if (str_is(az->keys[i].name, "iam:PermissionsBoundary"))
				az->keys[i].name = S("");
		authz_add(c, az, "iam:PermissionsBoundary", boundary);
	}
}

int iam_resource(struct call *c, const void *in, struct authz *az)
{
	struct str op = api_text(c->service->api, c->op->name);
	struct str profile = text_of(c, in, "InstanceProfileName"), group = text_of(c, in, "GroupName"),
	           role = text_of(c, in, "RoleName"), server = text_of(c, in, "ServerCertificateName"),
	           user = text_of(c, in, "UserName"), policy = text_of(c, in, "PolicyArn");
	az->resource_account = c->account;
	/* GetSessionToken's credentials need a second factor for IAM, which nobody has here; GetFederationToken's are never for
	 * IAM. */
	if (c->caller->temporary && c->caller->kind != PRINCIPAL_ROLE)
		return call_fail(c, "InvalidClientTokenId", 403, "The security token included in the request is invalid.");
	if (str_set(profile))
		entity(c, in, IAM_PROFILE, profile, az);
	else if (str_set(group))
		entity(c, in, IAM_GROUP, group, az);
	else if (str_set(role))
		entity(c, in, IAM_ROLE, role, az);
	else if (str_set(user))
		entity(c, in, IAM_USER, user, az);
	else if (has(c, "UserName") && c->caller->kind == PRINCIPAL_USER)
		entity(c, in, IAM_USER, c->caller->name, az);
	else if (str_set(server))
		certificate(c, in, server, az);
	else if (str_set(policy))
		managed(c, policy, az);
	else if (str_is(op, "CreatePolicy"))
		new_policy(c, in, az);
	else if (str_is(op, "CreateServiceLinkedRole"))
		az->resource =
		        arn(c, S("role"), ARENA_CAT(c->arena, S("/aws-service-role/"), text_of(c, in, "AWSServiceName"), S("/")),
		            iam_linked_role_name(c->arena, text_of(c, in, "AWSServiceName"), text_of(c, in, "CustomSuffix")));
	else if (str_is(op, "SimulatePrincipalPolicy") || str_is(op, "GetContextKeysForPrincipalPolicy"))
		az->resource = text_of(c, in, "PolicySourceArn");
	else if (str_is(op, "ListUsers"))
		az->resource = arn(c, S("user"), text_of(c, in, "PathPrefix"), STR_NONE);
	else if (str_is(op, "ListGroups"))
		az->resource = arn(c, S("group"), text_of(c, in, "PathPrefix"), STR_NONE);
	else if (str_is(op, "ListRoles"))
		az->resource = arn(c, S("role"), text_of(c, in, "PathPrefix"), STR_NONE);
	else if (str_is(op, "ListInstanceProfiles"))
		az->resource = arn(c, S("instance-profile"), text_of(c, in, "PathPrefix"), STR_NONE);
	else if (str_is(op, "ListServerCertificates"))
		az->resource = arn(c, S("server-certificate"), text_of(c, in, "PathPrefix"), STR_NONE);
	else if (str_is(op, "ListPolicies"))
		az->called = ARENA_CAT(c->arena, S("policy path "),
		                       str_set(text_of(c, in, "PathPrefix")) ? text_of(c, in, "PathPrefix") : S("/"));
	request_keys(c, in, az);
	return CALL_OK;
}

bool iam_may_tag(struct call *c, const void *in, const char *action)
{
	struct authz az = {.action = str_from(action)};
	return iam_resource(c, in, &az) == CALL_OK && call_authorize(c, &az);
}
