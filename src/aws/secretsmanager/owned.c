/* Secrets that other services keep here: their owner alone makes, changes and ends them, in the transaction of its own call. */
#include "rows.h"

#include "base/id.h"

int secret_unowned(struct call *c, const struct secret *s)
{
	if (!str_set(s->r.owner))
		return CALL_OK;
	return secret_refused(c, "You can't perform this operation on the secret because it is managed by the service %.*s.",
	                      STR_ARG(s->r.owner));
}

int secretsmanager_keep(struct call *c, const char *owner, struct str name, struct str text, struct str *ret_arn)
{
	struct secret s = {.account = c->account};
	struct str_list current = {0};
	struct str version;
	bool new;
	if (!secret_look(c, name, &s)) {
		s.r = (struct state_secretsmanager_secret_record){
		        .name = name, .suffix = secret_suffix(c->arena), .owner = str_from(owner), .created = OPT_TIME(c->now_ms)};
		s.account = c->account;
		s.arn = secret_arn(c->arena, c->account, c->region, &s.r);
	}
	*LIST_ADD(c->arena, &current) = SECRET_CURRENT;
	s.r.changed = OPT_TIME(c->now_ms);
	if (secret_add(c, &s, id_uuid(c->arena), text, STR_NONE, &current, &version, &new) != CALL_OK)
		return CALL_FAIL;
	secret_save(c, &s);
	*ret_arn = s.arn;
	return CALL_OK;
}

int secretsmanager_kept(struct call *c, struct str name, struct str *ret_text)
{
	struct secret s;
	struct state_secretsmanager_version *v;
	struct str bytes;
	if (secret_find(c, name, false, &s) != CALL_OK || secret_choose(c, &s, STR_NONE, STR_NONE, &v) != CALL_OK)
		return CALL_FAIL;
	return secret_open(c, &s, v, ret_text, &bytes);
}

void secretsmanager_forget(struct call *c, struct str name)
{
	struct secret s;
	if (secret_look(c, name, &s))
		secret_drop(call_txn(c), c->arena, s.account, c->region, &s.r, c->now_ms);
}
