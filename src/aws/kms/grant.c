/* CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant: somebody may do some operations with a key, apart from
 * all policies. A grant holds from its reply on, so tokens of grants are taken and not needed. */
#include "rows.h"

#include "base/base64.h"
#include "base/id.h"

#include <limits.h>

enum { ID_DIGITS = 64 };

static struct str key_of(struct call *c, const struct kms_found *k, struct str id)
{
	return KEY(c->arena, S("kms"), S("grant"), k->account, c->region, k->r.id, id);
}

static bool has_all(const struct str_map *context, const struct str_map *wanted)
{
	for (uint32_t i = 0; i < wanted->n; i++) {
		struct str value = context ? str_map_get(context, wanted->v[i].key) : STR_NONE;
		if (!str_set(value) || !str_eq(value, wanted->v[i].value))
			return false;
	}
	return true;
}

static bool is_grantee(const struct principal *who, struct str grantee)
{
	return str_eq(grantee, who->arn) ||
	       (str_set(who->issuer_arn) && who->kind == PRINCIPAL_ROLE && str_eq(grantee, who->issuer_arn));
}

static bool names(const struct str_list *operations, struct str operation)
{
	for (uint32_t i = 0; i < operations->n; i++)
		if (str_eq(operations->v[i], operation))
			return true;
	return false;
}

bool kms_granted(struct call *c, const struct kms_found *k, struct str action, const struct str_map *context)
{
	struct str under = kms_grant_under(c->arena, k->account, c->region, k->r.id), key, operation = str_from_at(action, 4);
	struct store_value v;
	struct state_kms_grant_record g;
	if (c->caller->kind == PRINCIPAL_SERVICE || c->caller->kind == PRINCIPAL_ANONYMOUS)
		return false;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	while (store_next(i, &key, &v))
		if (record_read(c->arena, v.value, &kms_grant_row, &g) && is_grantee(c->caller, g.grantee) &&
		    names(&g.operations, operation) && has_all(context, &g.context_subset) && has_all(context, &g.context_equals) &&
		    (!g.context_equals.n || g.context_equals.n == (context ? context->n : 0)))
			return true;
	return false;
}

static struct str token_of(struct call *c, const struct kms_found *k, struct str id)
{
	return base64url_encode(c->arena, ARENA_CAT(c->arena, k->arn, S(" "), id));
}

/* The same grant under the same name is there already: it is answered again. */
static bool there(struct call *c, const struct kms_found *k, const struct state_kms_grant_record *g, struct str *ret_id)
{
	struct str under = kms_grant_under(c->arena, k->account, c->region, k->r.id), key;
	struct store_value v;
	struct state_kms_grant_record old;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	while (str_set(g->name) && store_next(i, &key, &v)) {
		if (!record_read(c->arena, v.value, &kms_grant_row, &old))
			continue;
		*ret_id = old.id;
		old.id = g->id;
		old.created = g->created;
		if (str_eq(record_write(c->arena, &kms_grant_row, &old), record_write(c->arena, &kms_grant_row, g)))
			return true;
	}
	return false;
}

int kms_create_grant(struct call *c, const struct kms_create_grant_request *in, struct kms_create_grant_response *out)
{
	struct kms_found k;
	if (kms_find_key(c, in->key_id, &k) != CALL_OK)
		return CALL_FAIL;
	if (str_is(k.r.state, "PendingDeletion") || str_is(k.r.state, "Disabled"))
		return kms_usable(c, &k, k.r.usage.p);
	if (!str_starts(in->grantee_principal, S("arn:aws:")))
		return call_fail(c, "InvalidArnException", 0, "%.*s is not an ARN of a principal", STR_ARG(in->grantee_principal));
	if (!in->operations.n)
		return kms_invalid(c, "A grant has at least one operation.");
	if (in->dry_run.v)
		return kms_dry_run(c);
	struct state_kms_grant_record g = {.id = id_hex(c->arena, ID_DIGITS),
	                                   .key_id = k.r.id,
	                                   .name = in->name,
	                                   .grantee = in->grantee_principal,
	                                   .retiring = in->retiring_principal,
	                                   .issuer = arena_printf(c->arena, "arn:aws:iam::%.*s:root", STR_ARG(c->caller->account)),
	                                   .operations = in->operations,
	                                   .created = OPT_TIME(c->now_ms)};
	if (in->constraints) {
		g.context_subset = in->constraints->encryption_context_subset;
		g.context_equals = in->constraints->encryption_context_equals;
	}
	if (!there(c, &k, &g, &out->grant_id)) {
		record_put(call_txn(c), c->arena, key_of(c, &k, g.id), &kms_grant_row, &g);
		out->grant_id = g.id;
	}
	out->grant_token = token_of(c, &k, out->grant_id);
	return CALL_OK;
}

/* --- lists */

static void show(struct call *c, struct str account, const struct state_kms_grant_record *g, struct kms_grant_list_entry *ret)
{
	*ret = (struct kms_grant_list_entry){.key_id = kms_key_arn(c->arena, account, c->region, g->key_id),
	                                     .grant_id = g->id,
	                                     .name = str_set(g->name) ? g->name : S(""),
	                                     .creation_date = g->created,
	                                     .grantee_principal = g->grantee,
	                                     .retiring_principal = g->retiring,
	                                     .issuing_account = g->issuer,
	                                     .operations = g->operations};
	if (!g->context_subset.n && !g->context_equals.n)
		return;
	ret->constraints = arena_new(c->arena, struct kms_grant_constraints);
	ret->constraints->encryption_context_subset = g->context_subset;
	ret->constraints->encryption_context_equals = g->context_equals;
}

struct wish {
	struct str account, under, marker, id, grantee, retiring;
	struct opt_int limit;
};

static int list(struct call *c, const struct wish *w, struct kms_list_grants_response *out)
{
	uint32_t limit = w->limit.set ? (uint32_t)w->limit.v : 50;
	struct str from, key, last = STR_NONE;
	struct store_value v;
	struct state_kms_grant_record g;
	if (!kms_marker(c, w->marker, w->under, &from))
		return CALL_FAIL;
	out->grants.set = true;
	out->truncated = OPT_BOOL(false);
	struct store_iter *i = store_scan(call_txn(c), from, store_prefix_end(c->arena, w->under), false);
	while (store_next(i, &key, &v)) {
		if (!record_read(c->arena, v.value, &kms_grant_row, &g) || (str_set(w->id) && !str_eq(w->id, g.id)) ||
		    (str_set(w->grantee) && !str_eq(w->grantee, g.grantee)) ||
		    (str_set(w->retiring) && !(str_set(g.retiring) && str_eq(w->retiring, g.retiring))))
			continue;
		if (out->grants.n == limit) {
			out->truncated = OPT_BOOL(true);
			out->next_marker = kms_marker_of(c, last);
			break;
		}
		show(c, w->account, &g, LIST_ADD(c->arena, &out->grants));
		last = arena_dup(c->arena, key);
	}
	return CALL_OK;
}

int kms_list_grants(struct call *c, const struct kms_list_grants_request *in, struct kms_list_grants_response *out)
{
	struct kms_found k;
	if (kms_find_key(c, in->key_id, &k) != CALL_OK)
		return CALL_FAIL;
	const struct wish w = {.account = k.account,
	                       .under = kms_grant_under(c->arena, k.account, c->region, k.r.id),
	                       .marker = in->marker,
	                       .id = in->grant_id,
	                       .grantee = in->grantee_principal,
	                       .limit = in->limit};
	return list(c, &w, out);
}

int kms_list_retirable_grants(struct call *c, const struct kms_list_retirable_grants_request *in,
                              struct kms_list_grants_response *out)
{
	const struct wish w = {.account = c->account,
	                       .under = KEY_UNDER(c->arena, S("kms"), S("grant"), c->account, c->region),
	                       .marker = in->marker,
	                       .retiring = in->retiring_principal,
	                       .limit = in->limit};
	return list(c, &w, out);
}

/* --- the end of one */

static int drop(struct call *c, const struct kms_found *k, struct str id)
{
	struct state_kms_grant_record g;
	if (!id.n || id.n > 128 || !record_get(call_txn(c), c->arena, key_of(c, k, id), &kms_grant_row, &g))
		return call_fail(c, "NotFoundException", 0, "Grant ID %.*s not found", STR_ARG(id));
	store_delete(call_txn(c), key_of(c, k, id));
	return CALL_OK;
}

int kms_revoke_grant(struct call *c, const struct kms_revoke_grant_request *in, struct model_none *out)
{
	(void)out;
	struct kms_found k;
	if (kms_find_key(c, in->key_id, &k) != CALL_OK)
		return CALL_FAIL;
	return in->dry_run.v ? kms_dry_run(c) : drop(c, &k, in->grant_id);
}

/* By whoever made it, may retire it, or got it with RetireGrant among its operations: no policy has to say so. */
int kms_retire_grant(struct call *c, const struct kms_retire_grant_request *in, struct model_none *out)
{
	(void)out;
	struct kms_found k;
	struct state_kms_grant_record g;
	struct str arn = in->key_id, id = in->grant_id;
	if (str_set(in->grant_token)) {
		id = base64url_decode(c->arena, in->grant_token);
		arn = str_set(id) ? str_cut(&id, ' ') : STR_NONE;
		if (!str_set(id) || !str_starts(arn, S("arn:aws:kms:")))
			return call_fail(c, "InvalidGrantTokenException", 0, "%s", "");
	} else if (!str_set(arn) || !str_set(id)) {
		return kms_invalid(c, "Either a grant token, or a key's ARN and a grant's ID have to be specified.");
	}
	if (kms_find_key(c, arn, &k) != CALL_OK)
		return CALL_FAIL;
	if (!id.n || id.n > 128 || !record_get(call_txn(c), c->arena, key_of(c, &k, id), &kms_grant_row, &g))
		return call_fail(c, "NotFoundException", 0, "Grant ID %.*s not found", STR_ARG(id));
	bool may = (str_set(g.retiring) && is_grantee(c->caller, g.retiring)) ||
	           (is_grantee(c->caller, g.grantee) && names(&g.operations, S("RetireGrant"))) ||
	           (c->caller->kind == PRINCIPAL_ROOT && str_eq(c->caller->arn, g.issuer));
	if (!may) {
		struct authz az = {.action = S("kms:RetireGrant")};
		kms_about(c, &az, &k, NULL);
		if (!call_authorize(c, &az))
			return CALL_FAIL;
	}
	return in->dry_run.v ? kms_dry_run(c) : drop(c, &k, id);
}
