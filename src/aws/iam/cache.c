#include "aws/iam/source.h"
#include "base/log.h"

#include <stdlib.h>

struct iam_account {
	struct map entities; /* kind letter and lower-case name -> struct iam_cached */
	struct map managed;  /* ARN -> struct policy: this account's own managed policies */
};

/* AWS's managed policies are the same for all and never change. */
static struct map aws_compiled;

static void *must(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

static struct iam_account *account_of(struct iam *iam, struct str account)
{
	struct iam_account *a = map_get(&iam->accounts, account);
	if (!a) {
		a = must(calloc(1, sizeof(*a)));
		map_put(&iam->accounts, account, a);
	}
	return a;
}

static bool read_record(struct iam *iam, struct arena *a, struct str key, const struct record_type *type, void *ret)
{
	struct arena CLEAN_ARENA scratch = {0};
	struct store_txn *t = store_begin(iam->cloud->store, &scratch);
	bool found = record_get(t, a, key, type, ret);
	store_abort(t);
	return found;
}

const struct iam_cached *iam_cached_entity(struct iam *iam, struct str account, enum iam_kind kind, struct str name)
{
	if (name.n == 0 || name.n > 256)
		return NULL;
	/* Accounts are kept from their first find on, so that asking for what is not there leaves nothing behind. */
	struct iam_account *acc = map_get(&iam->accounts, account);
	char id[260];
	id[0] = (char)('a' + kind);
	for (size_t i = 0; i < name.n; i++)
		id[i + 1] = ascii_lower(name.p[i]);
	struct str at = str_of(id, name.n + 1);
	struct iam_cached *e = acc ? map_get(&acc->entities, at) : NULL;
	if (e)
		return e;
	struct state_iam_entity_record r;
	struct arena arena = {0};
	if (!read_record(iam, &arena, iam_entity_key(&arena, account, kind, name), &iam_entity_type, &r)) {
		arena_done(&arena);
		return NULL;
	}
	e = must(calloc(1, sizeof(*e)));
	e->arena = arena;
	e->kind = kind;
	e->account = arena_dup(&e->arena, account);
	e->record = r;
	if (!e->record.powers)
		e->record.powers = arena_new(&e->arena, struct state_iam_powers_record);
	e->arn = iam_entity_arn(&e->arena, account, kind, &e->record);
	map_put(&account_of(iam, account)->entities, at, e);
	return e;
}

/* --- compiled documents */

static struct policy *compile(struct str document, struct str name)
{
	struct arena CLEAN_ARENA scratch = {0};
	struct str message = STR_NONE;
	struct policy *p = policy_parse(document, POLICY_IDENTITY, name, &scratch, &message);
	if (!p)
		log_error("%.*s does not read any more: %.*s", STR_ARG(name), STR_ARG(message));
	return p;
}

const struct policy *iam_cached_managed(struct iam *iam, struct str account, struct str arn)
{
	const struct iam_aws_policy *aws = iam_aws_policy(arn);
	struct iam_account *acc = map_get(&iam->accounts, account);
	struct policy *p = aws ? map_get(&aws_compiled, arn) : acc ? map_get(&acc->managed, arn) : NULL;
	if (p)
		return p;
	struct arena CLEAN_ARENA a = {0};
	struct str name = ARENA_CAT(&a, S("managed policy "), arn), owner, path, policy;
	if (aws) {
		p = compile(aws->document, name);
	} else {
		struct state_iam_managed_policy_record r;
		if (!iam_arn_parse(arn, S("policy"), &owner, &path, &policy) || !str_eq(owner, account) ||
		    !read_record(iam, &a, iam_policy_key(&a, account, policy), &iam_policy_type, &r))
			return NULL;
		const struct state_iam_version_record *v = iam_version_find(&r, r.default_);
		p = v ? compile(v->document, name) : NULL;
	}
	if (p)
		map_put(aws ? &aws_compiled : &account_of(iam, account)->managed, arn, p);
	return p;
}

const struct policy *iam_policy_of_nothing(void)
{
	static struct policy *p;
	if (!p)
		p = compile(
		        S("{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"*\"}}"),
		        S("a policy that is gone"));
	return p;
}

static void add(struct iam_cached *e, const struct policy *p)
{
	if (p)
		e->identity[e->identity_count++] = p;
}

static void compile_own(struct iam_cached *e)
{
	const struct state_iam_powers_record *powers = e->record.powers;
	e->own = arena_array(&e->arena, powers->inline_.n + 1u, sizeof(*e->own));
	for (uint32_t i = 0; i < powers->inline_.n; i++) {
		struct str name = arena_printf(&e->arena, "inline policy %.*s of %s %.*s", STR_ARG(powers->inline_.v[i].name),
		                               iam_kinds[e->kind].word, STR_ARG(e->record.name));
		struct policy *p = compile(powers->inline_.v[i].document, name);
		if (p)
			e->own[e->own_count++] = p;
	}
}

static void compile_entity(struct iam *iam, struct iam_cached *e)
{
	const struct state_iam_powers_record *powers = e->record.powers;
	struct iam_cached *groups[IAM_GROUPS_OF_USER_MAX];
	unsigned group_count = 0;
	size_t room = powers->inline_.n + powers->attached.n;
	for (uint32_t i = 0; i < e->record.groups.n && group_count < IAM_GROUPS_OF_USER_MAX; i++) {
		struct iam_cached *g = (struct iam_cached *)iam_cached_entity(iam, e->account, IAM_GROUP, e->record.groups.v[i]);
		if (!g)
			continue;
		if (!g->compiled)
			compile_entity(iam, g);
		room += g->identity_count;
		groups[group_count++] = g;
	}
	e->identity = arena_array(&e->arena, room + 1, sizeof(*e->identity));
	compile_own(e);
	for (unsigned i = 0; i < e->own_count; i++)
		add(e, e->own[i]);
	for (uint32_t i = 0; i < powers->attached.n; i++)
		add(e, iam_cached_managed(iam, e->account, powers->attached.v[i]));
	for (unsigned g = 0; g < group_count; g++)
		for (unsigned i = 0; i < groups[g]->identity_count; i++)
			add(e, groups[g]->identity[i]);
	if (str_set(powers->boundary)) {
		e->boundary = iam_cached_managed(iam, e->account, powers->boundary);
		if (!e->boundary)
			e->boundary = iam_policy_of_nothing();
	}
	e->compiled = true;
}

void iam_cached_policies(struct iam *iam, const struct iam_cached *entity, struct principal_policies *ret)
{
	struct iam_cached *e = (struct iam_cached *)entity;
	if (!e->compiled)
		compile_entity(iam, e);
	ret->identity = e->identity;
	ret->identity_count = e->identity_count;
	ret->boundary = e->boundary;
}

/* --- forgetting */

static void entity_free(struct iam_cached *e)
{
	for (unsigned i = 0; i < e->own_count; i++)
		policy_free(e->own[i]);
	struct arena arena = e->arena;
	free(e);
	arena_done(&arena);
}

static void account_free(struct iam_account *a)
{
	size_t at = 0;
	struct str key;
	void *v;
	while (map_next(&a->entities, &at, &key, &v))
		entity_free(v);
	at = 0;
	while (map_next(&a->managed, &at, &key, &v))
		policy_free(v);
	map_done(&a->entities);
	map_done(&a->managed);
	free(a);
}

void iam_cache_drop(struct iam *iam, struct str account)
{
	struct iam_account *a = map_remove(&iam->accounts, account);
	if (a)
		account_free(a);
}

void iam_cache_done(struct iam *iam)
{
	size_t at = 0;
	struct str key;
	void *v;
	while (map_next(&iam->accounts, &at, &key, &v))
		account_free(v);
	map_done(&iam->accounts);
	iam->accounts = (struct map){0};
}
