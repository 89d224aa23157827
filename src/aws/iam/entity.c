#include "aws/iam/entity.h"

#include "base/id.h"
#include "base/uri.h"

const struct iam_kind_row iam_kinds[IAM_KINDS] = {
        [IAM_USER] = {S_INIT("user"), "AIDA", "The user with name %.*s cannot be found.", "User with name %.*s already exists.",
                      "UsersPerAccount", 5000, 2048, "user", "PoliciesPerUser"},
        [IAM_GROUP] = {S_INIT("group"), "AGPA", "The group with name %.*s cannot be found.", "Group with name %.*s already exists.",
                       "GroupsPerAccount", 300, 5120, "group", "PoliciesPerGroup"},
        [IAM_ROLE] = {S_INIT("role"), "AROA", "The role with name %.*s cannot be found.", "Role with name %.*s already exists.",
                      "RolesPerAccount", 1000, 10240, "role", "PoliciesPerRole"},
        [IAM_PROFILE] = {S_INIT("instance-profile"), "AIPA", "Instance Profile %.*s cannot be found.",
                         "Instance Profile %.*s already exists.", "InstanceProfilesPerAccount", 1000, 0, "instance profile", ""},
};

const struct record_type iam_entity_type = {&state_iam_api, "EntityRecord"};
const struct record_type iam_policy_type = {&state_iam_api, "ManagedPolicyRecord"};
const struct record_type iam_key_type = {&state_iam_api, "AccessKeyRecord"};
const struct record_type iam_alias_type = {&state_iam_api, "AliasRecord"};
const struct record_type iam_use_type = {&state_iam_api, "KeyUseRecord"};

/* printf formats that come from the table above. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

struct str iam_lower(struct arena *a, struct str s)
{
	char *p = arena_dupz(a, s);
	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(p[i]);
	return str_of(p, s.n);
}

struct str iam_entity_key(struct arena *a, struct str account, enum iam_kind kind, struct str name)
{
	return KEY(a, S("iam"), account, iam_kinds[kind].key, iam_lower(a, name));
}

struct str iam_entity_arn(struct arena *a, struct str account, enum iam_kind kind, const struct state_iam_entity_record *r)
{
	return ARENA_CAT(a, S("arn:aws:iam::"), account, S(":"), iam_kinds[kind].key, r->path, r->name);
}

bool iam_arn_parse(struct str arn, struct str kind, struct str *ret_account, struct str *ret_path, struct str *ret_name)
{
	struct str rest = arn;
	if (!str_is(str_cut(&rest, ':'), "arn") || !str_is(str_cut(&rest, ':'), "aws") || !str_is(str_cut(&rest, ':'), "iam") ||
	    str_cut(&rest, ':').n != 0)
		return false;
	struct str account = str_cut(&rest, ':');
	if (!str_starts(rest, kind) || rest.n <= kind.n || rest.p[kind.n] != '/')
		return false;
	rest = str_from_at(rest, kind.n);
	size_t slash = (size_t)str_rfind_char(rest, '/');
	*ret_account = account;
	*ret_path = str_sub(rest, 0, slash + 1);
	*ret_name = str_from_at(rest, slash + 1);
	return ret_name->n > 0;
}

bool iam_load_quietly(struct call *c, enum iam_kind kind, struct str name, struct state_iam_entity_record *ret)
{
	if (name.n == 0 ||
	    !record_get(call_txn(c), c->arena, iam_entity_key(c->arena, c->account, kind, name), &iam_entity_type, ret))
		return false;
	if (!ret->powers)
		ret->powers = arena_new(c->arena, struct state_iam_powers_record);
	return true;
}

bool iam_load(struct call *c, enum iam_kind kind, struct str name, struct state_iam_entity_record *ret)
{
	if (iam_load_quietly(c, kind, name, ret))
		return true;
	call_fail(c, "NoSuchEntity", 404, iam_kinds[kind].missing, STR_ARG(name));
	return false;
}

void iam_save(struct call *c, enum iam_kind kind, const struct state_iam_entity_record *r)
{
	record_put(call_txn(c), c->arena, iam_entity_key(c->arena, c->account, kind, r->name), &iam_entity_type, r);
}

void iam_drop(struct call *c, enum iam_kind kind, struct str name)
{
	store_delete(call_txn(c), iam_entity_key(c->arena, c->account, kind, name));
}

unsigned iam_count(struct call *c, struct str kind)
{
	unsigned n = 0;
	struct str key, prefix = KEY_UNDER(c->arena, S("iam"), c->account, kind);
	struct store_value v;
	struct store_iter *i = store_scan(call_txn(c), prefix, store_prefix_end(c->arena, prefix), false);
	while (store_next(i, &key, &v))
		n++;
	return n;
}

bool iam_create(struct call *c, enum iam_kind kind, struct str path, struct str name, struct state_iam_entity_record *ret)
{
	const struct iam_kind_row *row = &iam_kinds[kind];
	struct state_iam_entity_record old;
	if (iam_load_quietly(c, kind, name, &old)) {
		call_fail(c, "EntityAlreadyExists", 409, row->exists, STR_ARG(name));
		return false;
	}
	if (iam_count(c, row->key) >= row->most) {
		call_fail(c, "LimitExceeded", 409, "Cannot exceed quota for %s: %u", row->quota, row->most);
		return false;
	}
	*ret = (struct state_iam_entity_record){
	        .path = str_set(path) ? path : S("/"),
	        .name = name,
	        .id = id_base32(c->arena, str_from(row->id_prefix), 17),
	        .created = OPT_TIME(c->now_ms - c->now_ms % 1000),
	        .powers = arena_new(c->arena, struct state_iam_powers_record),
	};
	return true;
}

struct str iam_user_or_caller(struct call *c, struct str user_name)
{
	if (str_set(user_name))
		return user_name;
	if (c->caller->kind == PRINCIPAL_USER)
		return c->caller->name;
	call_fail(c, "ValidationError", 400, "Must specify userName when calling with non-User credentials");
	return STR_NONE;
}

/* --- tags */

static struct str_map_entry *tag_find(struct str_map *tags, struct str key)
{
	for (uint32_t i = 0; i < tags->n; i++)
		if (str_ieq(tags->v[i].key, key))
			return &tags->v[i];
	return NULL;
}

bool iam_tags_put(struct call *c, const struct iam_tag_list_type *from, struct str_map *tags)
{
	for (uint32_t i = 0; i < from->n; i++) {
		const struct iam_tag *t = &from->v[i];
		if (str_istarts(t->key, S("aws:"))) {
			call_fail(c, "InvalidInput", 400, "Caller is not allowed to create tags with system prefix aws:");
			return false;
		}
		for (uint32_t k = 0; k < i; k++)
			if (str_ieq(from->v[k].key, t->key)) {
				call_fail(c, "InvalidInput", 400,
				          "Duplicate tag keys found. Please note that Tag keys are case insensitive.");
				return false;
			}
		struct str_map_entry *e = tag_find(tags, t->key);
		if (!e)
			e = LIST_ADD(c->arena, tags);
		*e = (struct str_map_entry){.key = t->key, .value = t->value};
	}
	if (tags->n > IAM_TAGS_MAX) {
		call_fail(c, "LimitExceeded", 409, "The number of tags has reached the maximum limit.");
		return false;
	}
	return true;
}

void iam_tags_remove(const struct str_list *keys, struct str_map *tags)
{
	for (uint32_t i = 0; i < keys->n; i++) {
		struct str_map_entry *e = tag_find(tags, keys->v[i]);
		if (e)
			*e = tags->v[--tags->n];
	}
}

void iam_tags_show(struct arena *a, const struct str_map *from, struct iam_tag_list_type *to)
{
	for (uint32_t i = 0; i < from->n; i++)
		*LIST_ADD(a, to) = (struct iam_tag){.key = from->v[i].key, .value = from->v[i].value};
}

int iam_tags_list(struct call *c, const struct str_map *from, struct opt_int max_items, struct str marker,
                  struct iam_tag_list_type *to, struct opt_bool *ret_truncated, struct str *ret_marker)
{
	struct iam_piece piece;
	if (!iam_piece_open(c, max_items, marker, from->n, &piece, ret_truncated, ret_marker))
		return CALL_FAIL;
	struct str_map shown = {.v = from->v + piece.from, .n = piece.to - piece.from};
	to->set = true;
	iam_tags_show(c->arena, &shown, to);
	return CALL_OK;
}

/* --- documents */

bool iam_document_check(struct call *c, struct str json, enum policy_kind kind)
{
	struct str message = STR_NONE;
	struct policy *p = policy_parse(json, kind, S(""), c->arena, &message);
	if (!p)
		call_fail(c, "MalformedPolicyDocument", 400, "%.*s", STR_ARG(message));
	policy_free(p);
	return p != NULL;
}

struct str iam_document_show(struct arena *a, struct str json)
{
	return str_set(json) ? uri_encode(a, json, false) : STR_NONE;
}

/* --- replies */

struct iam_attached_permissions_boundary *iam_boundary_show(struct arena *a, struct str arn)
{
	if (!str_set(arn))
		return NULL;
	struct iam_attached_permissions_boundary *b = arena_new(a, struct iam_attached_permissions_boundary);
	b->permissions_boundary_type = S("PermissionsBoundaryPolicy");
	b->permissions_boundary_arn = arn;
	return b;
}

void iam_attached_show(struct arena *a, struct str arn, struct iam_attached_policy *to)
{
	(void)a;
	to->policy_arn = arn;
	to->policy_name = str_from_at(arn, (size_t)str_rfind_char(arn, '/') + 1);
}

void iam_user_show(struct call *c, const struct state_iam_entity_record *r, struct iam_user *to)
{
	*to = (struct iam_user){.path = r->path,
	                        .user_name = r->name,
	                        .user_id = r->id,
	                        .arn = iam_entity_arn(c->arena, c->account, IAM_USER, r),
	                        .create_date = r->created,
	                        .permissions_boundary = iam_boundary_show(c->arena, r->powers->boundary)};
	iam_tags_show(c->arena, &r->tags, &to->tags);
}

void iam_group_show(struct call *c, const struct state_iam_entity_record *r, struct iam_group *to)
{
	*to = (struct iam_group){.path = r->path,
	                         .group_name = r->name,
	                         .group_id = r->id,
	                         .arn = iam_entity_arn(c->arena, c->account, IAM_GROUP, r),
	                         .create_date = r->created};
}

void iam_role_show(struct call *c, const struct state_iam_entity_record *r, struct iam_role *to)
{
	*to = (struct iam_role){
	        .path = r->path,
	        .role_name = r->name,
	        .role_id = r->id,
	        .arn = iam_entity_arn(c->arena, c->account, IAM_ROLE, r),
	        .create_date = r->created,
	        .assume_role_policy_document = iam_document_show(c->arena, r->trust),
	        .description = r->description,
	        .max_session_duration = r->max_session_s,
	        .permissions_boundary = iam_boundary_show(c->arena, r->powers->boundary),
	};
	iam_tags_show(c->arena, &r->tags, &to->tags);
}

void iam_profile_show(struct call *c, const struct state_iam_entity_record *r, struct iam_instance_profile *to)
{
	*to = (struct iam_instance_profile){.path = r->path,
	                                    .instance_profile_name = r->name,
	                                    .instance_profile_id = r->id,
	                                    .arn = iam_entity_arn(c->arena, c->account, IAM_PROFILE, r),
	                                    .create_date = r->created};
	to->roles.set = true;
	for (uint32_t i = 0; i < r->roles.n; i++) {
		struct state_iam_entity_record role;
		if (iam_load_quietly(c, IAM_ROLE, r->roles.v[i], &role))
			iam_role_show(c, &role, LIST_ADD(c->arena, &to->roles));
	}
	iam_tags_show(c->arena, &r->tags, &to->tags);
}
