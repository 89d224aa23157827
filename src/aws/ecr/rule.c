/* Rules of pull-through caches. AWS knows a few public registries; here the configuration says which may be asked, because whoever
 * may make a rule chooses where this machine connects to. */
#include "aws/ecr/import_fetch.h"
#include "aws/ecr/rows.h"

#include "base/log.h"
#include "core/cloud.h"

#include <stdlib.h>

enum { RULES_MAX = 50, PAGE_DEFAULT = 100 };

static struct str rule_key(struct arena *a, struct str account, struct str region, struct str prefix)
{
	return KEY(a, S("ecr"), S("rule"), account, region, prefix);
}

static struct str without_scheme(struct str url)
{
	ptrdiff_t at = str_find(url, S("://"));
	return at >= 0 ? str_from_at(url, (size_t)at + 3) : url;
}

static struct str without_slash(struct str s)
{
	return str_ends(s, S("/")) ? str_sub(s, 0, s.n - 1) : s;
}

struct str ecr_upstream(const struct cloud *cloud, struct str url)
{
	struct str rest = cloud->upstreams ? str_from(cloud->upstreams) : STR_NONE, host = without_slash(without_scheme(url));
	while (str_set(rest)) {
		struct str one = str_trim(str_cut(&rest, ' '));
		bool web = str_starts(one, S("https://")) || str_starts(one, S("http://"));
		if (web && str_eq(without_slash(registry_host(one)), host))
			return without_slash(one);
	}
	return STR_NONE;
}

bool ecr_find_rule(struct store_txn *t, struct arena *a, const struct ecr_place *p, struct state_ecr_rule_record *ret)
{
	/* from the whole name up, a part less each time */
	for (struct str prefix = p->name; prefix.n;) {
		ptrdiff_t slash = str_rfind_char(prefix, '/');
		prefix = slash > 0 ? str_sub(prefix, 0, (size_t)slash) : S("");
		if (record_get(t, a, rule_key(a, p->account, p->region, prefix.n ? prefix : S("ROOT")), ECR_ROW("Rule"), ret))
			return true;
	}
	return false;
}

struct str ecr_upstream_name(struct arena *a, const struct state_ecr_rule_record *rule, struct str name)
{
	struct str rest = str_is(rule->prefix, "ROOT") ? name : str_from_at(name, rule->prefix.n + 1);
	bool plain = !str_set(rule->upstream_prefix) || str_is(rule->upstream_prefix, "ROOT");
	return plain ? rest : ARENA_CAT(a, rule->upstream_prefix, S("/"), rest);
}

static int find(struct call *c, struct str registry_id, struct str prefix, struct state_ecr_rule_record *ret)
{
	struct str account = str_set(registry_id) ? registry_id : c->account;
	if (record_get(call_txn(c), c->arena, rule_key(c->arena, account, c->region, without_slash(prefix)), ECR_ROW("Rule"), ret))
		return CALL_OK;
	return call_fail(
	        c, "PullThroughCacheRuleNotFoundException", 0,
	        "The pull through cache rule with ecrRepositoryPrefix '%.*s' does not exist in the registry with id '%.*s'.",
	        STR_ARG(prefix), STR_ARG(account));
}

static unsigned count(struct call *c, struct str under)
{
	struct store_value v;
	struct str key;
	unsigned n = 0;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	while (store_next(i, &key, &v))
		n++;
	return n;
}

int ecr_create_pull_through_cache_rule(struct call *c, const struct ecr_create_pull_through_cache_rule_request *in,
                                       struct ecr_create_pull_through_cache_rule_response *out)
{
	struct str account = str_set(in->registry_id) ? in->registry_id : c->account;
	struct state_ecr_rule_record old, r = {.prefix = without_slash(in->ecr_repository_prefix),
	                                       .url = in->upstream_registry_url,
	                                       .registry = in->upstream_registry,
	                                       .upstream_prefix = without_slash(in->upstream_repository_prefix),
	                                       .created = OPT_TIME(c->now_ms)};
	struct str key = rule_key(c->arena, account, c->region, r.prefix);
	if (!str_eq(account, c->account))
		return ecr_invalid(c, "A rule is made in one's own registry.");
	if (str_set(in->credential_arn) || str_set(in->custom_role_arn))
		return ecr_invalid(
		        c, "Quartet does not provide credentials of a rule: the name and password of an upstream registry are "
		           "in [containers] upstreams of its configuration.");
	if (!str_set(ecr_upstream(c->cloud, r.url)))
		return call_fail(c, "UnsupportedUpstreamRegistryException", 0,
		                 "The specified upstream registry '%.*s' isn't supported: it is not in [containers] upstreams of "
		                 "this cloud's configuration.",
		                 STR_ARG(r.url));
	if (record_get(call_txn(c), c->arena, key, ECR_ROW("Rule"), &old))
		return call_fail(
		        c, "PullThroughCacheRuleAlreadyExistsException", 0,
		        "A pull through cache rule with the ecrRepositoryPrefix '%.*s' already exists in the registry with "
		        "id '%.*s'.",
		        STR_ARG(r.prefix), STR_ARG(account));
	if (count(c, KEY_UNDER(c->arena, S("ecr"), S("rule"), account, c->region)) >= RULES_MAX)
		return call_fail(c, "LimitExceededException", 0, "A registry has at most %d pull through cache rules.", RULES_MAX);
	record_put(call_txn(c), c->arena, key, ECR_ROW("Rule"), &r);
	*out = (struct ecr_create_pull_through_cache_rule_response){.ecr_repository_prefix = r.prefix,
	                                                            .upstream_registry_url = r.url,
	                                                            .created_at = r.created,
	                                                            .registry_id = account,
	                                                            .upstream_registry = r.registry,
	                                                            .upstream_repository_prefix = r.upstream_prefix};
	return CALL_OK;
}

int ecr_delete_pull_through_cache_rule(struct call *c, const struct ecr_delete_pull_through_cache_rule_request *in,
                                       struct ecr_delete_pull_through_cache_rule_response *out)
{
	struct state_ecr_rule_record r;
	struct str account = str_set(in->registry_id) ? in->registry_id : c->account;
	if (find(c, in->registry_id, in->ecr_repository_prefix, &r) != CALL_OK)
		return CALL_FAIL;
	store_delete(call_txn(c), rule_key(c->arena, account, c->region, r.prefix));
	*out = (struct ecr_delete_pull_through_cache_rule_response){.ecr_repository_prefix = r.prefix,
	                                                            .upstream_registry_url = r.url,
	                                                            .created_at = r.created,
	                                                            .registry_id = account,
	                                                            .upstream_repository_prefix = r.upstream_prefix};
	return CALL_OK;
}

static void fill(struct str account, const struct state_ecr_rule_record *r, struct ecr_pull_through_cache_rule *ret)
{
	*ret = (struct ecr_pull_through_cache_rule){.ecr_repository_prefix = r->prefix,
	                                            .upstream_registry_url = r->url,
	                                            .created_at = r->created,
	                                            .updated_at = r->created,
	                                            .registry_id = account,
	                                            .upstream_registry = r->registry,
	                                            .upstream_repository_prefix = r->upstream_prefix};
}

int ecr_describe_pull_through_cache_rules(struct call *c, const struct ecr_describe_pull_through_cache_rules_request *in,
                                          struct ecr_describe_pull_through_cache_rules_response *out)
{
	struct state_ecr_rule_record r;
	struct store_value v;
	struct str account = str_set(in->registry_id) ? in->registry_id : c->account, key, from, last = STR_NONE;
	struct str under = KEY_UNDER(c->arena, S("ecr"), S("rule"), account, c->region);
	uint32_t max = in->max_results.set ? (uint32_t)in->max_results.v : PAGE_DEFAULT;
	out->pull_through_cache_rules.set = true;
	for (uint32_t i = 0; i < in->ecr_repository_prefixes.n; i++) {
		if (find(c, in->registry_id, in->ecr_repository_prefixes.v[i], &r) != CALL_OK)
			return CALL_FAIL;
		fill(account, &r, LIST_ADD(c->arena, &out->pull_through_cache_rules));
	}
	if (in->ecr_repository_prefixes.n)
		return CALL_OK;
	if (ecr_page_from(c, in->next_token, under, &from) != CALL_OK)
		return CALL_FAIL;
	struct store_iter *i = store_scan(call_txn(c), from, store_prefix_end(c->arena, under), false);
	while (store_next(i, &key, &v)) {
		if (out->pull_through_cache_rules.n == max) {
			out->next_token = ecr_page_token(c, last);
			break;
		}
		last = arena_dup(c->arena, key);
		record_read(c->arena, v.value, ECR_ROW("Rule"), &r);
		fill(account, &r, LIST_ADD(c->arena, &out->pull_through_cache_rules));
	}
	return CALL_OK;
}

/* --- ValidatePullThroughCacheRule: the upstream is asked */

struct check {
	struct call *call; /* NULL: nobody waits any more */
	struct arena arena;
	const atomic_bool *stopping;
	struct str base;
	int error;
	struct str why;
	bool over;
};

static void check_run(void *job)
{
	struct check *k = job;
	struct registry r;
	k->error = registry_open(&r, &k->arena, k->base, S(""), k->stopping);
	r.sign = ecr_sign_login;
	if (!k->error)
		k->error = registry_ping(&r);
	k->why = r.why;
	registry_close(&r);
}

static void check_free(struct check *k)
{
	arena_done(&k->arena);
	free(k);
}

static void check_done(void *job)
{
	struct check *k = job;
	k->over = true;
	if (k->call)
		call_resume(k->call);
	else
		check_free(k);
}

static void check_let_go(struct call *c)
{
	struct check *k = c->state;
	if (!k)
		return;
	c->state = NULL;
	k->call = NULL;
	if (k->over)
		check_free(k);
}

static int checked(struct call *c)
{
	const struct ecr_validate_pull_through_cache_rule_request *in = c->in;
	struct ecr_validate_pull_through_cache_rule_response *out = c->out;
	const struct check *k = c->state;
	struct state_ecr_rule_record r;
	if (find(c, in->registry_id, in->ecr_repository_prefix, &r) != CALL_OK)
		return CALL_FAIL;
	*out = (struct ecr_validate_pull_through_cache_rule_response){
	        .ecr_repository_prefix = r.prefix,
	        .registry_id = str_set(in->registry_id) ? in->registry_id : c->account,
	        .upstream_registry_url = r.url,
	        .upstream_repository_prefix = r.upstream_prefix,
	        .is_valid = OPT_BOOL(k && !k->error),
	        .failure = !k         ? S("The upstream registry is not in [containers] upstreams of this cloud's configuration.")
	                   : k->error ? arena_dup(c->arena, k->why)
	                              : STR_NONE};
	return CALL_OK;
}

int ecr_validate_pull_through_cache_rule(struct call *c, const struct ecr_validate_pull_through_cache_rule_request *in,
                                         struct ecr_validate_pull_through_cache_rule_response *out)
{
	(void)out;
	struct state_ecr_rule_record r;
	if (find(c, in->registry_id, in->ecr_repository_prefix, &r) != CALL_OK)
		return CALL_FAIL;
	struct str base = ecr_upstream(c->cloud, r.url);
	if (!str_set(base))
		return checked(c);
	struct check *k = calloc(1, sizeof(*k));
	if (!k)
		die("out of memory (ecr)");
	k->call = c;
	k->stopping = &ecr_state(c)->stopping;
	k->base = arena_dup(&k->arena, base);
	c->state = k;
	call_on_free(c, check_let_go);
	int said = call_wait(c, checked, check_let_go);
	work_add(ecr_import_threads(ecr_state(c)), check_run, check_done, k);
	return said;
}
