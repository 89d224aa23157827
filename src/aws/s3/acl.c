#include "aws/s3/acl.h"

#include "aws/s3/access.h"
#include "aws/s3/object.h"
#include "base/buf.h"
#include "base/json.h"

#define ALL_USERS S("http://acs.amazonaws.com/groups/global/AllUsers")
#define AUTHENTICATED_USERS S("http://acs.amazonaws.com/groups/global/AuthenticatedUsers")
enum { GRANTS_MAX = 100 };

bool acl_enabled(const struct state_s3_bucket *b)
{
	return !str_is(b->ownership, "BucketOwnerEnforced");
}

/* --- grants as policy */

struct permission {
	const char *name, *bucket_actions, *object_actions;
};
static const struct permission permissions[] = {
        {"FULL_CONTROL",
         "\"s3:ListBucket\",\"s3:ListBucketVersions\",\"s3:ListBucketMultipartUploads\",\"s3:GetBucketAcl\",\"s3:PutBucketAcl\",\"s3:PutObject\"",
         "\"s3:GetObject\",\"s3:GetObjectVersion\",\"s3:GetObjectAcl\",\"s3:GetObjectVersionAcl\",\"s3:PutObjectAcl\",\"s3:PutObjectVersionAcl\""},
        {"READ", "\"s3:ListBucket\",\"s3:ListBucketVersions\",\"s3:ListBucketMultipartUploads\"",
         "\"s3:GetObject\",\"s3:GetObjectVersion\""},
        {"WRITE", "\"s3:PutObject\"", NULL},
        {"READ_ACP", "\"s3:GetBucketAcl\"", "\"s3:GetObjectAcl\",\"s3:GetObjectVersionAcl\""},
        {"WRITE_ACP", "\"s3:PutBucketAcl\"", "\"s3:PutObjectAcl\",\"s3:PutObjectVersionAcl\""},
};

static bool grant_is_public(const struct s3_grant *g)
{
	return g->grantee && (str_eq(g->grantee->uri, ALL_USERS) || str_eq(g->grantee->uri, AUTHENTICATED_USERS));
}

static void put_statements(struct arena *a, struct buf *out, const struct s3_grants *grants, struct str owner, bool ignore_public,
                           struct str arn, bool object)
{
	for (unsigned i = 0; i < grants->n; i++) {
		const struct s3_grant *g = &grants->v[i];
		if (!g->grantee || (ignore_public && grant_is_public(g)))
			continue;
		struct str account = str_set(g->grantee->id) ? s3_account_of_canonical_id(a, g->grantee->id) : STR_NONE;
		if (!grant_is_public(g) && (!str_set(account) || str_eq(account, owner)))
			continue;
		for (size_t k = 0; k < sizeof(permissions) / sizeof(*permissions); k++) {
			const char *actions = object ? permissions[k].object_actions : permissions[k].bucket_actions;
			if (!str_is(g->permission, permissions[k].name) || !actions)
				continue;
			if (out->n)
				buf_add_char(out, ',');
			buf_printf(out, "{\"Sid\":\"AccessControlList\",\"Effect\":\"Allow\",\"Action\":[%s],\"Resource\":[",
			           actions);
			json_put_string(out, arn);
			if (!object) {
				buf_add_char(out, ',');
				json_put_string(out, ARENA_CAT(a, arn, S("/*")));
			}
			buf_add_lit(out, "],\"Principal\":");
			if (grant_is_public(g))
				buf_add_lit(out, "\"*\"");
			else
				buf_printf(out, "{\"AWS\":\"%.*s\"}", STR_ARG(account));
			if (str_eq(g->grantee->uri, AUTHENTICATED_USERS))
				buf_add_lit(out, ",\"Condition\":{\"Null\":{\"aws:PrincipalAccount\":\"false\"}}");
			buf_add_char(out, '}');
		}
	}
}

struct str acl_with_policy(struct arena *a, const struct state_s3_bucket *b, struct str bucket, struct str key,
                           const struct state_s3_object *o)
{
	if (!acl_enabled(b) || (!b->grants.n && (!o || !o->grants.n)))
		return b->policy;
	bool ignore = b->public_access_block && b->public_access_block->ignore_public_acls.v;
	struct buf CLEAN_BUF out;
	buf_init(&out, 1 << 20);
	put_statements(a, &out, &b->grants, b->account, ignore, s3_bucket_arn(a, bucket), false);
	if (o)
		put_statements(a, &out, &o->grants, o->owner, ignore, s3_object_arn(a, bucket, key), true);
	if (!out.n)
		return b->policy;
	struct json_value *policy = str_set(b->policy) ? json_parse(a, b->policy, NULL) : NULL;
	json_each(json_get(policy, S("Statement")), s)
	{
		if (json_get(policy, S("Statement"))->kind != JSON_ARRAY)
			break;
		buf_add_char(&out, ',');
		json_put_value(&out, s);
	}
	if (policy && json_is(json_get(policy, S("Statement")), JSON_OBJECT)) {
		buf_add_char(&out, ',');
		json_put_value(&out, json_get(policy, S("Statement")));
	}
	return arena_printf(a, "{\"Version\":\"%s\",\"Statement\":[%.*s]}",
	                    str_is(json_get_str(policy, S("Version")), "2008-10-17") ? "2008-10-17" : "2012-10-17",
	                    STR_ARG(buf_str(&out)));
}

/* --- requests */

bool acl_requested(const struct acl_request *r)
{
	return str_set(r->canned) || str_set(r->full_control) || str_set(r->read) || str_set(r->read_acp) || str_set(r->write) ||
	       str_set(r->write_acp) || r->document;
}

static void add_grant(struct arena *a, struct s3_grants *to, const struct s3_grantee *who, const char *permission)
{
	struct s3_grant *g = LIST_ADD(a, to);
	g->grantee = arena_new(a, struct s3_grantee);
	*g->grantee = *who;
	g->permission = str_from(permission);
}

/* x-amz-grant-read: id="...", uri="..." */
static int add_header_grants(struct call *c, struct s3_grants *to, struct str header, const char *permission)
{
	while (str_set(header)) {
		struct str value = str_trim(str_cut(&header, ','));
		struct str name = str_trim(str_cut(&value, '='));
		value = str_trim(value);
		if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
			value = str_sub(value, 1, value.n - 2);
		struct s3_grantee who = {0};
		if (str_ieq(name, S("id")) && str_set(s3_account_of_canonical_id(c->arena, value)))
			who = (struct s3_grantee){.type = S("CanonicalUser"), .id = value};
		else if (str_ieq(name, S("uri")) && (str_eq(value, ALL_USERS) || str_eq(value, AUTHENTICATED_USERS)))
			who = (struct s3_grantee){.type = S("Group"), .uri = value};
		else
			return s3_bad_argument(c, str_ieq(name, S("uri")) ? "Invalid group uri" : "Invalid id",
			                       name.n ? "grantee" : "header", value);
		add_grant(c->arena, to, &who, permission);
	}
	return CALL_OK;
}

static bool canned_known(struct str canned)
{
	static const char *const names[] = {"private",           "public-read",
	                                    "public-read-write", "authenticated-read",
	                                    "bucket-owner-read", "bucket-owner-full-control",
	                                    "aws-exec-read",     "log-delivery-write"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_is(canned, names[i]))
			return true;
	return false;
}

static int add_canned(struct call *c, const struct state_s3_bucket *b, struct str canned, struct str owner, struct s3_grants *to)
{
	struct arena *a = c->arena;
	struct s3_grantee everybody = {.type = S("Group"), .uri = ALL_USERS},
	                  users = {.type = S("Group"), .uri = AUTHENTICATED_USERS};
	struct s3_grantee bucket_owner = {.type = S("CanonicalUser"), .id = s3_canonical_id(a, b->account)};
	if (str_is(canned, "private"))
		return CALL_OK;
	if (str_is(canned, "public-read") || str_is(canned, "public-read-write")) {
		add_grant(a, to, &everybody, "READ");
		if (str_is(canned, "public-read-write"))
			add_grant(a, to, &everybody, "WRITE");
		return CALL_OK;
	}
	if (str_is(canned, "authenticated-read")) {
		add_grant(a, to, &users, "READ");
		return CALL_OK;
	}
	if (str_is(canned, "bucket-owner-read") || str_is(canned, "bucket-owner-full-control")) {
		if (!str_eq(owner, b->account))
			add_grant(a, to, &bucket_owner, str_is(canned, "bucket-owner-read") ? "READ" : "FULL_CONTROL");
		return CALL_OK;
	}
	return s3_unsupported(c, "this canned ACL");
}

/* The canned bucket-owner-full-control, spelled out. */
static bool only_owner_controls(struct arena *a, const struct s3_access_control_policy *document, struct str owner)
{
	const struct s3_grant *g = document->grants.n == 1 ? document->grants.v : NULL;
	return g && g->grantee && str_is(g->permission, "FULL_CONTROL") && str_eq(g->grantee->id, s3_canonical_id(a, owner));
}

int acl_grants(struct call *c, const struct state_s3_bucket *b, const struct acl_request *r, struct str owner,
               struct s3_grants *ret)
{
	struct s3_grants grants = {0};
	struct s3_grantee self = {.type = S("CanonicalUser"), .id = s3_canonical_id(c->arena, owner)};
	if (!acl_requested(r))
		return CALL_OK;
	if (str_set(r->canned) && !canned_known(r->canned))
		return s3_bad_argument(c, "", "x-amz-acl", r->canned);
	if (!acl_enabled(b)) {
		/* What changes nothing is let through. */
		bool harmless = r->document ? only_owner_controls(c->arena, r->document, b->account)
		                            : str_is(r->canned, "bucket-owner-full-control") && !str_set(r->full_control) &&
		                                      !str_set(r->read);
		return harmless ? CALL_OK : s3_fail(c, S3_ACL_NOT_SUPPORTED);
	}
	if (r->document) {
		if (r->document->grants.n > GRANTS_MAX)
			return s3_fail(c, S3_MALFORMED_XML);
		for (unsigned i = 0; i < r->document->grants.n; i++) {
			const struct s3_grant *g = &r->document->grants.v[i];
			bool known = false;
			for (size_t k = 0; k < sizeof(permissions) / sizeof(*permissions); k++)
				known |= str_is(g->permission, permissions[k].name);
			if (!known || !g->grantee)
				return s3_fail(c, S3_MALFORMED_XML);
			if (str_set(g->grantee->uri) ? !grant_is_public(g)
			                             : !str_set(s3_account_of_canonical_id(c->arena, g->grantee->id)))
				return s3_bad_argument(c, "Invalid id", str_set(g->grantee->uri) ? "Group/URI" : "CanonicalUser/ID",
				                       str_set(g->grantee->uri) ? g->grantee->uri : g->grantee->id);
			*LIST_ADD(c->arena, &grants) = *g;
		}
	} else {
		add_grant(c->arena, &grants, &self, "FULL_CONTROL");
		if (str_set(r->canned) && add_canned(c, b, r->canned, owner, &grants) != CALL_OK)
			return CALL_FAIL;
		if (add_header_grants(c, &grants, r->full_control, "FULL_CONTROL") != CALL_OK ||
		    add_header_grants(c, &grants, r->read, "READ") != CALL_OK ||
		    add_header_grants(c, &grants, r->read_acp, "READ_ACP") != CALL_OK ||
		    add_header_grants(c, &grants, r->write, "WRITE") != CALL_OK ||
		    add_header_grants(c, &grants, r->write_acp, "WRITE_ACP") != CALL_OK)
			return CALL_FAIL;
	}
	bool block = b->public_access_block && b->public_access_block->block_public_acls.v;
	for (unsigned i = 0; block && i < grants.n; i++)
		if (grant_is_public(&grants.v[i]))
			return s3_fail(c, S3_ACCESS_DENIED);
	bool only_owner = grants.n == 1 && !r->document;
	*ret = only_owner ? (struct s3_grants){0} : grants;
	return CALL_OK;
}

void acl_show(struct call *c, struct str owner, const struct s3_grants *grants, struct s3_grants *ret, struct s3_owner **ret_owner)
{
	struct str id = s3_canonical_id(c->arena, owner);
	*ret_owner = arena_new(c->arena, struct s3_owner);
	(*ret_owner)->id = id;
	*ret = *grants;
	if (!grants->n)
		add_grant(c->arena, ret, &(struct s3_grantee){.type = S("CanonicalUser"), .id = id}, "FULL_CONTROL");
	ret->set = true;
}

int s3_get_bucket_acl(struct call *c, const struct s3_get_bucket_acl_request *in, struct s3_get_bucket_acl_output *out)
{
	const struct state_s3_bucket *b = bucket_get(c, in->bucket);
	if (!b)
		return s3_fail_bucket(c, S3_NO_SUCH_BUCKET, in->bucket);
	acl_show(c, b->account, &b->grants, &out->grants, &out->owner);
	return CALL_OK;
}

int s3_put_bucket_acl(struct call *c, const struct s3_put_bucket_acl_request *in, struct model_none *out)
{
	(void)out;
	const struct state_s3_bucket *b = bucket_get(c, in->bucket);
	if (!b)
		return s3_fail_bucket(c, S3_NO_SUCH_BUCKET, in->bucket);
	struct state_s3_bucket changed = *b;
	struct acl_request r = ACL_REQUEST_BUCKET(in);
	r.document = in->access_control_policy;
	if (!acl_requested(&r))
		return call_fail(c, "MissingSecurityHeader", 400, "Your request was missing a required header");
	if (acl_grants(c, b, &r, b->account, &changed.grants) != CALL_OK)
		return CALL_FAIL;
	bucket_put(c, in->bucket, &changed);
	return CALL_OK;
}

int s3_get_object_acl(struct call *c, const struct s3_get_object_acl_request *in, struct s3_get_object_acl_output *out)
{
	struct object_at at;
	if (object_open(c, in->bucket, in->key, in->version_id, &at) != CALL_OK)
		return CALL_FAIL;
	struct s3_grants none = {0};
	acl_show(c, at.object.owner, acl_enabled(at.bucket) ? &at.object.grants : &none, &out->grants, &out->owner);
	return CALL_OK;
}

int s3_put_object_acl(struct call *c, const struct s3_put_object_acl_request *in, struct s3_put_object_acl_output *out)
{
	(void)out;
	struct object_at at;
	if (object_open(c, in->bucket, in->key, in->version_id, &at) != CALL_OK)
		return CALL_FAIL;
	struct acl_request r = ACL_REQUEST_OBJECT(in);
	r.document = in->access_control_policy;
	if (!acl_requested(&r))
		return call_fail(c, "MissingSecurityHeader", 400, "Your request was missing a required header");
	at.object.grants = (struct s3_grants){0};
	if (acl_grants(c, at.bucket, &r, at.object.owner, &at.object.grants) != CALL_OK)
		return CALL_FAIL;
	object_put(call_txn(c), c->arena, in->bucket, in->key, at.tail, &at.object);
	object_tell_changed(c, at.bucket, in->bucket, in->key, &at.object, "s3:ObjectAcl:Put");
	return CALL_OK;
}
