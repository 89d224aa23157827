/* Permissions: a repository's own policy, and the registry's, which speaks of all its repositories, are one resource policy to the
 * decision. */
#include "aws/ecr/rows.h"

#include "base/json.h"

static void put_statements(struct buf *b, struct arena *a, struct str policy)
{
	if (!str_set(policy))
		return;
	const struct json_value *v = json_parse(a, policy, NULL), *s = json_get(v, S("Statement"));
	if (json_is(s, JSON_OBJECT)) {
		if (b->p[b->n - 1] != '[')
			buf_add_char(b, ',');
		json_put_value(b, s);
	}
	for (const struct json_value *one = json_is(s, JSON_ARRAY) ? s->first : NULL; one; one = one->next) {
		if (b->p[b->n - 1] != '[')
			buf_add_char(b, ',');
		json_put_value(b, one);
	}
}

/* A statement of a repository's policy names no resource: it is about that repository. */
void ecr_about(struct call *c, struct authz *az, const struct ecr_place *p)
{
	struct state_ecr_repository_record r;
	struct state_ecr_registry_record registry = {0};
	bool there = ecr_find_repository(call_txn(c), c->arena, p, &r);
	az->resource = ecr_arn(c->arena, p);
	az->resource_account = p->account;
	if (there)
		authz_add_tags(c, az, "aws:ResourceTag", &r.tags);
	if (there)
		authz_add_tags(c, az, "ecr:ResourceTag", &r.tags);
	bool more = record_get(call_txn(c), c->arena, ecr_registry_key(c->arena, p->account, p->region), ECR_ROW("Registry"),
	                       &registry) &&
	            str_set(registry.policy);
	if (!more) {
		az->resource_policy = there ? r.policy : STR_NONE;
		return;
	}
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 20);
	buf_add_lit(&b, "{\"Version\":\"2012-10-17\",\"Statement\":[");
	put_statements(&b, c->arena, there ? r.policy : STR_NONE);
	put_statements(&b, c->arena, registry.policy);
	buf_add_lit(&b, "]}");
	az->resource_policy = arena_dup(c->arena, buf_str(&b));
}

bool ecr_allowed(struct call *c, const char *action, const struct ecr_place *p)
{
	struct authz az = {.action = str_from(action)};
	ecr_about(c, &az, p);
	return call_authorize(c, &az);
}
