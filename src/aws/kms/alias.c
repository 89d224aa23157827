/* CreateAlias, UpdateAlias, DeleteAlias, ListAliases. An alias is another name of a key, and the names below alias/aws are AWS's.
 */
#include "rows.h"

static int check_name(struct call *c, struct str name)
{
	if (!str_starts(name, S("alias/")) || name.n == 6)
		return call_fail(c, "InvalidAliasNameException", 0,
		                 "Alias must start with the prefix \"alias/\". Please see "
		                 "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html");
	if (str_starts(name, S("alias/aws/")))
		return call_fail(c, "InvalidAliasNameException", 0, "The alias prefix alias/aws/ is reserved.");
	if (str_find_char(name, ':') >= 0)
		return kms_invalid(c, "%.*s contains invalid characters for an alias", STR_ARG(name));
	return CALL_OK;
}

static int check_target(struct call *c, struct str target, struct kms_found *ret)
{
	if (str_starts(target, S("alias/")))
		return kms_invalid(c, "Aliases must refer to keys. Not aliases");
	if (kms_find_key(c, target, ret) != CALL_OK || kms_changeable(c, ret) != CALL_OK)
		return CALL_FAIL;
	return CALL_OK;
}

int kms_create_alias(struct call *c, const struct kms_create_alias_request *in, struct model_none *out)
{
	(void)out;
	struct kms_found k;
	struct state_kms_alias_record r;
	struct str key = kms_alias_key(c, c->account, in->alias_name);
	if (check_name(c, in->alias_name) != CALL_OK || check_target(c, in->target_key_id, &k) != CALL_OK)
		return CALL_FAIL;
	if (record_get(call_txn(c), c->arena, key, &kms_alias_row, &r))
		return call_fail(c, "AlreadyExistsException", 0, "An alias with the name %.*s already exists",
		                 STR_ARG(kms_alias_arn(c, in->alias_name)));
	r = (struct state_kms_alias_record){
	        .name = in->alias_name, .key_id = k.r.id, .created = OPT_TIME(c->now_ms), .updated = OPT_TIME(c->now_ms)};
	record_put(call_txn(c), c->arena, key, &kms_alias_row, &r);
	return CALL_OK;
}

static int load(struct call *c, struct str name, struct state_kms_alias_record *ret)
{
	if (check_name(c, name) != CALL_OK)
		return CALL_FAIL;
	return record_get(call_txn(c), c->arena, kms_alias_key(c, c->account, name), &kms_alias_row, ret)
	               ? CALL_OK
	               : call_fail(c, "NotFoundException", 0, "Alias %.*s is not found.", STR_ARG(kms_alias_arn(c, name)));
}

int kms_update_alias(struct call *c, const struct kms_update_alias_request *in, struct model_none *out)
{
	(void)out;
	struct kms_found k, old;
	struct state_kms_alias_record r;
	if (load(c, in->alias_name, &r) != CALL_OK || check_target(c, in->target_key_id, &k) != CALL_OK)
		return CALL_FAIL;
	if (kms_load(c, c->account, r.key_id, &old) && !(str_eq(old.r.usage, k.r.usage) && str_eq(old.r.spec, k.r.spec)))
		return kms_invalid(c, "The current key and the new key must be the same type and have the same key usage.");
	r.key_id = k.r.id;
	r.updated = OPT_TIME(c->now_ms);
	record_put(call_txn(c), c->arena, kms_alias_key(c, c->account, r.name), &kms_alias_row, &r);
	return CALL_OK;
}

int kms_delete_alias(struct call *c, const struct kms_delete_alias_request *in, struct model_none *out)
{
	(void)out;
	struct state_kms_alias_record r;
	if (load(c, in->alias_name, &r) != CALL_OK)
		return CALL_FAIL;
	store_delete(call_txn(c), kms_alias_key(c, c->account, r.name));
	return CALL_OK;
}

static void show(struct call *c, const struct state_kms_alias_record *r, struct kms_list_aliases_response *out)
{
	*LIST_ADD(c->arena, &out->aliases) = (struct kms_alias_list_entry){.alias_name = r->name,
	                                                                   .alias_arn = kms_alias_arn(c, r->name),
	                                                                   .target_key_id = r->key_id,
	                                                                   .creation_date = r->created,
	                                                                   .last_updated_date = r->updated};
}

int kms_list_aliases(struct call *c, const struct kms_list_aliases_request *in, struct kms_list_aliases_response *out)
{
	uint32_t limit = in->limit.set ? (uint32_t)in->limit.v : 50;
	struct str under = kms_alias_under(c->arena, c->account, c->region), from, key, last = STR_NONE;
	struct store_value v;
	struct state_kms_alias_record r;
	struct kms_found k = {0};
	if ((str_set(in->key_id) && kms_find_key(c, in->key_id, &k) != CALL_OK) || !kms_marker(c, in->marker, under, &from))
		return CALL_FAIL;
	out->aliases.set = true;
	out->truncated = OPT_BOOL(false);
	struct store_iter *i = store_scan(call_txn(c), from, store_prefix_end(c->arena, under), false);
	while (store_next(i, &key, &v)) {
		if (!record_read(c->arena, v.value, &kms_alias_row, &r) || (str_set(k.arn) && !str_eq(r.key_id, k.r.id)))
			continue;
		if (out->aliases.n == limit) {
			out->truncated = OPT_BOOL(true);
			out->next_marker = kms_marker_of(c, last);
			return CALL_OK;
		}
		show(c, &r, out);
		last = arena_dup(c->arena, key);
	}
	return CALL_OK;
}
