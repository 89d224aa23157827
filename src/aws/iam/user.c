#include "aws/iam/nouns.h"
#include "base/id.h"

int iam_create_user(struct call *c, const struct iam_create_user_request *in, struct iam_create_user_response *out)
{
	struct state_iam_entity_record r;
	if ((in->tags.n && !iam_may_tag(c, in, "iam:TagUser")) || !iam_create(c, IAM_USER, in->path, in->user_name, &r) ||
	    !iam_tags_put(c, &in->tags, &r.tags))
		return CALL_FAIL;
	if (str_set(in->permissions_boundary) && !iam_boundary_check(c, in->permissions_boundary))
		return CALL_FAIL;
	r.powers->boundary = in->permissions_boundary;
	iam_save(c, IAM_USER, &r);
	iam_user_show(c, &r, out->user = arena_new(c->arena, struct iam_user));
	return CALL_OK;
}

int iam_get_user(struct call *c, const struct iam_get_user_request *in, struct iam_get_user_response *out)
{
	struct state_iam_entity_record r;
	out->user = arena_new(c->arena, struct iam_user);
	/* The root user asks about itself. */
	if (!str_set(in->user_name) && c->caller->kind == PRINCIPAL_ROOT) {
		*out->user = (struct iam_user){.user_id = c->account, .arn = c->caller->arn, .create_date = OPT_TIME(0)};
		return CALL_OK;
	}
	struct str name = iam_user_or_caller(c, in->user_name);
	if (!str_set(name) || !iam_load(c, IAM_USER, name, &r))
		return CALL_FAIL;
	iam_user_show(c, &r, out->user);
	return CALL_OK;
}

/* Access keys find their user by name. */
static void rename_in_keys(struct call *c, const struct state_iam_entity_record *r)
{
	for (uint32_t i = 0; i < r->access_keys.n; i++) {
		struct state_iam_access_key_record key;
		struct str at = KEY(c->arena, S("iam"), S(""), S("key"), r->access_keys.v[i]);
		if (!record_get(call_txn(c), c->arena, at, &iam_key_type, &key))
			continue;
		key.user = r->name;
		record_put(call_txn(c), c->arena, at, &iam_key_type, &key);
	}
}

int iam_update_user(struct call *c, const struct iam_update_user_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_entity_record r, other;
	if (!iam_load(c, IAM_USER, in->user_name, &r))
		return CALL_FAIL;
	if (str_set(in->new_user_name) && !str_ieq(in->new_user_name, r.name) &&
	    iam_load_quietly(c, IAM_USER, in->new_user_name, &other))
		return call_fail(c, "EntityAlreadyExists", 409, "User with name %.*s already exists.", STR_ARG(in->new_user_name));
	struct str before = iam_entity_arn(c->arena, c->account, IAM_USER, &r);
	iam_drop(c, IAM_USER, r.name);
	if (str_set(in->new_path))
		r.path = in->new_path;
	if (str_set(in->new_user_name))
		r.name = in->new_user_name;
	iam_save(c, IAM_USER, &r);
	rename_in_keys(c, &r);
	struct str now = iam_entity_arn(c->arena, c->account, IAM_USER, &r);
	if (!str_eq(before, now))
		iam_trust_follow(c, before, now);
	return CALL_OK;
}

int iam_delete_user(struct call *c, const struct iam_delete_user_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_entity_record r;
	if (!iam_load(c, IAM_USER, in->user_name, &r))
		return CALL_FAIL;
	const char *first = r.access_keys.n        ? "delete access keys"
	                    : r.groups.n           ? "remove users from group"
	                    : r.powers->attached.n ? "detach all policies"
	                    : r.powers->inline_.n  ? "delete policies"
	                                           : NULL;
	if (first)
		return call_fail(c, "DeleteConflict", 409, "Cannot delete entity, must %s first.", first);
	iam_drop(c, IAM_USER, r.name);
	iam_trust_follow(c, iam_entity_arn(c->arena, c->account, IAM_USER, &r), r.id);
	return CALL_OK;
}

/* --- access keys */

static struct str access_key_key(struct call *c, struct str id)
{
	return KEY(c->arena, S("iam"), S(""), S("key"), id);
}

int iam_create_access_key(struct call *c, const struct iam_create_access_key_request *in,
                          struct iam_create_access_key_response *out)
{
	struct state_iam_entity_record r;
	struct str name = iam_user_or_caller(c, in->user_name);
	if (!str_set(name) || !iam_load(c, IAM_USER, name, &r))
		return CALL_FAIL;
	if (r.access_keys.n >= IAM_KEYS_OF_USER_MAX)
		return call_fail(c, "LimitExceeded", 409, "Cannot exceed quota for AccessKeysPerUser: %d", IAM_KEYS_OF_USER_MAX);
	struct state_iam_access_key_record key = {
	        .account = c->account,
	        .user = r.name,
	        .id = id_base32(c->arena, S("AKIA"), 16),
	        .secret = id_secret(c->arena, 40),
	        .created = OPT_TIME(c->now_ms - c->now_ms % 1000),
	};
	*LIST_ADD(c->arena, &r.access_keys) = key.id;
	record_put(call_txn(c), c->arena, access_key_key(c, key.id), &iam_key_type, &key);
	iam_save(c, IAM_USER, &r);
	out->access_key = arena_new(c->arena, struct iam_access_key);
	*out->access_key = (struct iam_access_key){.user_name = r.name,
	                                           .access_key_id = key.id,
	                                           .status = S("Active"),
	                                           .secret_access_key = key.secret,
	                                           .create_date = key.created};
	return CALL_OK;
}

struct owned_key {
	struct state_iam_entity_record user;
	struct state_iam_access_key_record key;
	uint32_t at; /* in the user's list */
};

/* A key that an operation names, of the user that it names or of the caller. */
static bool load_access_key(struct call *c, struct str user_name, struct str id, struct owned_key *ret)
{
	struct str name = iam_user_or_caller(c, user_name);
	if (!str_set(name) || !iam_load(c, IAM_USER, name, &ret->user))
		return false;
	for (ret->at = 0; ret->at < ret->user.access_keys.n; ret->at++)
		if (str_eq(ret->user.access_keys.v[ret->at], id) &&
		    record_get(call_txn(c), c->arena, access_key_key(c, id), &iam_key_type, &ret->key))
			return true;
	call_fail(c, "NoSuchEntity", 404, "The Access Key with id %.*s cannot be found.", STR_ARG(id));
	return false;
}

int iam_delete_access_key(struct call *c, const struct iam_delete_access_key_request *in, struct model_none *out)
{
	(void)out;
	struct owned_key k;
	if (!load_access_key(c, in->user_name, in->access_key_id, &k))
		return CALL_FAIL;
	k.user.access_keys.v[k.at] = k.user.access_keys.v[--k.user.access_keys.n];
	store_delete(call_txn(c), access_key_key(c, k.key.id));
	store_delete(call_txn(c), KEY(c->arena, S("iam-use"), k.key.id));
	iam_save(c, IAM_USER, &k.user);
	return CALL_OK;
}

int iam_update_access_key(struct call *c, const struct iam_update_access_key_request *in, struct model_none *out)
{
	(void)out;
	struct owned_key k;
	if (!load_access_key(c, in->user_name, in->access_key_id, &k))
		return CALL_FAIL;
	k.key.inactive = OPT_BOOL(!str_is(in->status, "Active"));
	record_put(call_txn(c), c->arena, access_key_key(c, k.key.id), &iam_key_type, &k.key);
	return CALL_OK;
}

int iam_list_access_keys(struct call *c, const struct iam_list_access_keys_request *in, struct iam_list_access_keys_response *out)
{
	struct state_iam_entity_record r = {0};
	struct iam_piece piece;
	out->access_key_metadata.set = true;
	/* The root user's keys are the configuration's; it has none of those that operations make. */
	bool root = !str_set(in->user_name) && c->caller->kind == PRINCIPAL_ROOT;
	struct str name = root ? STR_NONE : iam_user_or_caller(c, in->user_name);
	if (!root && (!str_set(name) || !iam_load(c, IAM_USER, name, &r)))
		return CALL_FAIL;
	if (!iam_piece_open(c, in->max_items, in->marker, r.access_keys.n, &piece, &out->is_truncated, &out->marker))
		return CALL_FAIL;
	for (uint32_t i = piece.from; i < piece.to; i++) {
		struct state_iam_access_key_record key;
		if (record_get(call_txn(c), c->arena, access_key_key(c, r.access_keys.v[i]), &iam_key_type, &key))
			*LIST_ADD(c->arena, &out->access_key_metadata) = (struct iam_access_key_metadata){
			        .user_name = r.name,
			        .access_key_id = key.id,
			        .status = key.inactive.v ? S("Inactive") : S("Active"),
			        .create_date = key.created,
			};
	}
	return CALL_OK;
}

int iam_get_access_key_last_used(struct call *c, const struct iam_get_access_key_last_used_request *in,
                                 struct iam_get_access_key_last_used_response *out)
{
	struct state_iam_access_key_record key;
	struct state_iam_key_use_record use = {0};
	if (!record_get(call_txn(c), c->arena, access_key_key(c, in->access_key_id), &iam_key_type, &key) ||
	    !str_eq(key.account, c->account))
		return call_fail(c, "NoSuchEntity", 404, "The Access Key with id %.*s cannot be found.",
		                 STR_ARG(in->access_key_id));
	iam_key_last_used(c, key.id, &use);
	out->user_name = key.user;
	out->access_key_last_used = arena_new(c->arena, struct iam_access_key_last_used);
	*out->access_key_last_used = (struct iam_access_key_last_used){
	        .last_used_date = use.time,
	        .service_name = use.time.set ? use.service : S("N/A"),
	        .region = use.time.set ? use.region : S("N/A"),
	};
	return CALL_OK;
}
