#include "aws/iam/nouns.h"

static bool list_has(const struct str_list *l, struct str name)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_ieq(l->v[i], name))
			return true;
	return false;
}

static void list_remove_name(struct str_list *l, struct str name)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < l->n; i++)
		if (!str_ieq(l->v[i], name))
			l->v[kept++] = l->v[i];
	l->n = kept;
}

int iam_create_group(struct call *c, const struct iam_create_group_request *in, struct iam_create_group_response *out)
{
	struct state_iam_entity_record r;
	if (!iam_create(c, IAM_GROUP, in->path, in->group_name, &r))
		return CALL_FAIL;
	iam_save(c, IAM_GROUP, &r);
	iam_group_show(c, &r, out->group = arena_new(c->arena, struct iam_group));
	return CALL_OK;
}

static bool is_member(const struct state_iam_entity_record *r, struct str group)
{
	return list_has(&r->groups, group);
}

int iam_get_group(struct call *c, const struct iam_get_group_request *in, struct iam_get_group_response *out)
{
	struct state_iam_entity_record r;
	if (!iam_load(c, IAM_GROUP, in->group_name, &r))
		return CALL_FAIL;
	iam_group_show(c, &r, out->group = arena_new(c->arena, struct iam_group));
	return iam_list(c, IAM_USER, is_member, r.name, in->max_items, in->marker, &out->users, &out->is_truncated, &out->marker);
}

int iam_update_group(struct call *c, const struct iam_update_group_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_entity_record r, user;
	struct iam_walk walk;
	if (!iam_load(c, IAM_GROUP, in->group_name, &r))
		return CALL_FAIL;
	bool renamed = str_set(in->new_group_name) && !str_eq(in->new_group_name, r.name);
	if (renamed && !str_ieq(in->new_group_name, r.name) && iam_load_quietly(c, IAM_GROUP, in->new_group_name, &user))
		return call_fail(c, "EntityAlreadyExists", 409, "Group with name %.*s already exists.",
		                 STR_ARG(in->new_group_name));
	iam_drop(c, IAM_GROUP, r.name);
	if (renamed) {
		iam_walk_open(c, IAM_USER, STR_NONE, &walk);
		while (iam_walk_next(&walk, &user)) {
			if (!list_has(&user.groups, r.name))
				continue;
			list_remove_name(&user.groups, r.name);
			*LIST_ADD(c->arena, &user.groups) = in->new_group_name;
			iam_save(c, IAM_USER, &user);
		}
		r.name = in->new_group_name;
	}
	if (str_set(in->new_path))
		r.path = in->new_path;
	iam_save(c, IAM_GROUP, &r);
	return CALL_OK;
}

int iam_delete_group(struct call *c, const struct iam_delete_group_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_entity_record r, user;
	struct iam_walk walk;
	if (!iam_load(c, IAM_GROUP, in->group_name, &r))
		return CALL_FAIL;
	iam_walk_open(c, IAM_USER, STR_NONE, &walk);
	while (iam_walk_next(&walk, &user))
		if (list_has(&user.groups, r.name))
			return call_fail(c, "DeleteConflict", 409, "Cannot delete entity, must remove users from group first.");
	if (r.powers->attached.n)
		return call_fail(c, "DeleteConflict", 409, "Cannot delete entity, must detach all policies first.");
	if (r.powers->inline_.n)
		return call_fail(c, "DeleteConflict", 409, "Cannot delete entity, must delete policies first.");
	iam_drop(c, IAM_GROUP, r.name);
	return CALL_OK;
}

int iam_add_user_to_group(struct call *c, const struct iam_add_user_to_group_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_entity_record group, user;
	if (!iam_load(c, IAM_GROUP, in->group_name, &group) || !iam_load(c, IAM_USER, in->user_name, &user))
		return CALL_FAIL;
	if (list_has(&user.groups, group.name))
		return CALL_OK;
	if (user.groups.n >= IAM_GROUPS_OF_USER_MAX)
		return call_fail(c, "LimitExceeded", 409, "Cannot exceed quota for GroupsPerUser: %d", IAM_GROUPS_OF_USER_MAX);
	*LIST_ADD(c->arena, &user.groups) = group.name;
	iam_save(c, IAM_USER, &user);
	return CALL_OK;
}

int iam_remove_user_from_group(struct call *c, const struct iam_remove_user_from_group_request *in, struct model_none *out)
{
	(void)out;
	struct state_iam_entity_record group, user;
	if (!iam_load(c, IAM_GROUP, in->group_name, &group) || !iam_load(c, IAM_USER, in->user_name, &user))
		return CALL_FAIL;
	if (!list_has(&user.groups, group.name))
		return call_fail(c, "NoSuchEntity", 404, "User %.*s is not in group %.*s.", STR_ARG(user.name),
		                 STR_ARG(group.name));
	list_remove_name(&user.groups, group.name);
	iam_save(c, IAM_USER, &user);
	return CALL_OK;
}

int iam_list_groups_for_user(struct call *c, const struct iam_list_groups_for_user_request *in,
                             struct iam_list_groups_for_user_response *out)
{
	struct state_iam_entity_record user, r;
	struct iam_piece piece;
	if (!iam_load(c, IAM_USER, in->user_name, &user) ||
	    !iam_piece_open(c, in->max_items, in->marker, user.groups.n, &piece, &out->is_truncated, &out->marker))
		return CALL_FAIL;
	out->groups.set = true;
	for (uint32_t i = piece.from; i < piece.to; i++)
		if (iam_load_quietly(c, IAM_GROUP, user.groups.v[i], &r))
			iam_group_show(c, &r, LIST_ADD(c->arena, &out->groups));
	return CALL_OK;
}
