#include "aws/lambda/directory.h"

#include "aws/lambda/code.h"
#include "aws/lambda/image.h"
#include "aws/lambda/pool.h"
#include "aws/lambda/provision.h"
#include "aws/lambda/snapstart.h"
#include "base/log.h"
#include "base/rand.h"

#include <stdlib.h>

struct directory {
	struct lambda *lambda;
	struct map fns;      /* account \0 region \0 name */
	struct map accounts; /* account \0 region */
	struct store_watch *watch;
};

static void *make(size_t size)
{
	void *p = calloc(1, size);
	if (!p)
		abort();
	return p;
}

static struct str fn_key(struct arena *a, struct str account, struct str region, struct str name)
{
	struct str zero = str_of("", 1);
	return ARENA_CAT(a, account, zero, region, zero, name);
}

struct fn *directory_find(struct directory *d, struct str account, struct str region, struct str name)
{
	char key[256];
	if (account.n + region.n + name.n + 2 > sizeof(key))
		return NULL;
	size_t n = 0;
	memcpy(key, account.p, account.n);
	n += account.n;
	key[n++] = 0;
	memcpy(key + n, region.p, region.n);
	n += region.n;
	key[n++] = 0;
	memcpy(key + n, name.p, name.n);
	n += name.n;
	return map_get(&d->fns, str_of(key, n));
}

static struct account *find_account(struct directory *d, struct str account, struct str region)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct str key = ARENA_CAT(&a, account, str_of("", 1), region);
	struct account *found = map_get(&d->accounts, key);
	if (!found) {
		found = make(sizeof(*found));
		map_put(&d->accounts, key, found);
	}
	return found;
}

static struct fn *find_or_make(struct directory *d, struct str account, struct str region, struct str name)
{
	struct fn *fn = directory_find(d, account, region, name);
	if (fn)
		return fn;
	fn = make(sizeof(*fn));
	arena_init(&fn->arena, 0);
	arena_init(&fn->tags_arena, 0);
	fn->account = arena_dup(&fn->arena, account);
	fn->region = arena_dup(&fn->arena, region);
	fn->name = arena_dup(&fn->arena, name);
	fn->owner = find_account(d, account, region);
	map_put(&d->fns, fn_key(&fn->arena, account, region, name), fn);
	return fn;
}

/* --- versions */

struct fn_version *fn_version_ref(struct fn_version *v)
{
	v->refs++;
	return v;
}

void fn_version_unref(struct fn_version *v)
{
	if (!v || --v->refs)
		return;
	struct lambda *l = pool_lambda(v->pool);
	code_unhold(l->code, v->code);
	for (uint32_t i = 0; i < v->layer_code.n; i++)
		code_unhold(l->code, v->layer_code.v[i]);
	image_unref(v->image);
	pool_unref(v->pool);
	arena_done(&v->arena);
	free(v);
}

static void is_ready(void *ctx, int error, const char *why)
{
	(void)ctx;
	(void)error;
	(void)why;
}

static struct str essence_of(struct arena *a, const struct fn_version *v)
{
	struct lambda_function_configuration f = *v->config;
	lambda_trim_for_list(&f);
	f.revision_id = f.last_modified = f.description = f.function_arn = STR_NONE;
	struct state_lambda_version_record bare = {.config = &f, .code = v->code, .layer_code = v->layer_code};
	return record_write(a, ROW("Version"), &bare);
}

static void set_version(struct directory *d, struct fn *fn, struct str version, struct str value, struct str key)
{
	struct fn_version *before = map_get(&fn->versions, version);
	if (!str_set(value)) {
		if (!before)
			return;
		map_remove(&fn->versions, version);
		snapstart_forget(d->lambda, before->snapshot);
		pool_retire(before->pool);
		before->fn = NULL;
		fn_version_unref(before);
		return;
	}
	struct fn_version *v = make(sizeof(*v));
	v->refs = 1;
	arena_init(&v->arena, 0);
	struct state_lambda_version_record *row = arena_new(&v->arena, struct state_lambda_version_record);
	if (!record_read(&v->arena, arena_dup(&v->arena, value), ROW("Version"), row)) {
		log_error("lambda: a version record does not read");
		arena_done(&v->arena);
		free(v);
		return;
	}
	v->fn = fn;
	v->shown = row->config;
	v->config = row->serving ? row->serving : row->config;
	v->code = row->serving ? row->serving_code : row->code;
	v->layer_code = row->serving ? row->serving_layer_code : row->layer_code;
	v->account = fn->account;
	v->region = fn->region;
	v->name = fn->name;
	v->account = arena_dup(&v->arena, fn->account);
	v->region = arena_dup(&v->arena, fn->region);
	v->name = arena_dup(&v->arena, fn->name);
	v->version = v->config->version;
	v->snapshot = row->snapshot;
	v->essence = essence_of(&v->arena, v);
	code_hold(d->lambda->code, v->code);
	for (uint32_t i = 0; i < v->layer_code.n; i++)
		code_hold(d->lambda->code, v->layer_code.v[i]);
	const struct state_lambda_image_record *image = row->serving ? row->serving_image : row->image;
	v->image = image ? image_ref(d->lambda, v->code, image) : NULL;
	bool same = before && str_eq(before->essence, v->essence);
	v->pool = same ? pool_ref(before->pool) : pool_new(d->lambda);
	map_put(&fn->versions, version, v);
	if (before) {
		if (!str_eq(before->snapshot, v->snapshot))
			snapstart_forget(d->lambda, before->snapshot);
		if (!same)
			pool_retire(before->pool);
		fn_version_unref(before);
	}
	bool pending = str_eq(v->shown->state, S("Pending")) || str_eq(v->shown->last_update_status, S("InProgress"));
	if (!pending)
		snapstart_see(d->lambda, v);
	if (pending)
		lambda_settle(d->lambda, key);
	else if (v->image)
		image_make_ready(v->image, is_ready, NULL); /* so that its layers are held after a restart too */
}

/* --- the other records */

static void count_unreserved(struct fn *fn, int sign)
{
	if (fn->reserved.set)
		return;
	fn->owner->running_unreserved += sign * fn->running_on_demand;
	fn->owner->provisioned += sign * fn->provisioned_sum;
}

static void set_function(struct fn *fn, struct str value)
{
	fn->owner->reserved -= fn->reserved.v;
	count_unreserved(fn, -1);
	arena_reset(&fn->tags_arena);
	fn->tags = (struct str_map){0};
	fn->reserved = (struct opt_int){0};
	fn->may_recur = false;
	fn->there = str_set(value);
	struct state_lambda_function_record row = {0};
	if (fn->there && record_read(&fn->tags_arena, arena_dup(&fn->tags_arena, value), ROW("Function"), &row)) {
		fn->reserved = row.reserved_concurrency;
		fn->may_recur = str_eq(row.recursive_loop, S("Allow"));
		fn->tags = row.tags;
	}
	fn->owner->reserved += fn->reserved.v;
	count_unreserved(fn, 1);
}

/* Aliases, policies and configurations of events begin with the arena that holds the rest of them. */
_Static_assert(offsetof(struct fn_alias, arena) == 0 && offsetof(struct fn_policy, arena) == 0 &&
                       offsetof(struct fn_event_config, arena) == 0 && offsetof(struct fn_provisioned, arena) == 0,
               "the arena is the first member");

static void free_entry(void *entry)
{
	if (entry)
		arena_done(entry);
	free(entry);
}

/* Makes room for a record that is new or has changed. NULL: it is deleted. */
static void *renew_entry(struct map *m, struct str key, struct str value, size_t size)
{
	free_entry(map_remove(m, key));
	if (!str_set(value))
		return NULL;
	void *entry = make(size);
	arena_init(entry, 0);
	map_put(m, key, entry);
	return entry;
}

static void set_alias(struct fn *fn, struct str alias, struct str value)
{
	struct fn_alias *a = renew_entry(&fn->aliases, alias, value, sizeof(*a));
	struct state_lambda_alias_record row = {0};
	if (a && record_read(&a->arena, value, ROW("Alias"), &row))
		a->config = *row.config;
}

static void set_policy(struct fn *fn, struct str qualifier, struct str value)
{
	struct fn_policy *p = renew_entry(&fn->policies, qualifier, value, sizeof(*p));
	struct state_lambda_policy_record row = {0};
	if (p && record_read(&p->arena, value, ROW("Policy"), &row))
		p->document = lambda_policy_document(&p->arena, &row);
}

static void set_event_config(struct fn *fn, struct str qualifier, struct str value)
{
	struct fn_event_config *e = renew_entry(&fn->event_configs, qualifier, value, sizeof(*e));
	struct state_lambda_event_config_record row = {0};
	if (e && record_read(&e->arena, value, ROW("EventConfig"), &row))
		e->config = *row.config;
}

static void set_provisioned(struct fn *fn, struct str qualifier, struct str value)
{
	const struct fn_provisioned *before = map_get(&fn->provisioned, qualifier);
	struct state_lambda_provisioned_record row = {0};
	count_unreserved(fn, -1);
	fn->provisioned_sum -= before ? before->requested : 0;
	struct fn_provisioned *p = renew_entry(&fn->provisioned, qualifier, value, sizeof(*p));
	if (p && record_read(&p->arena, value, ROW("Provisioned"), &row)) {
		p->requested = row.requested.v;
		p->since_ms = row.last_modified.ms;
		fn->provisioned_sum += p->requested;
	}
	count_unreserved(fn, 1);
}

/* What a version's own number has, or else the alias that leads to it: by the alias's weights, where it leads to two. */
static int64_t share_of(const struct lambda_alias_configuration *a, struct str version, int64_t requested)
{
	const struct lambda_alias_routing_configuration *r = a->routing_config;
	const struct lambda_additional_version_weights_entry *other =
	        r && r->additional_version_weights.n ? &r->additional_version_weights.v[0] : NULL;
	int64_t second = other ? (int64_t)((double)requested * other->value.v + 0.5) : 0;
	if (other && str_eq(other->key, version))
		return second;
	return str_eq(a->function_version, version) ? requested - second : 0;
}

static void provide(struct fn *fn)
{
	size_t at = 0;
	struct str version, name;
	void *value;
	while (map_next(&fn->versions, &at, &version, &value)) {
		struct fn_version *v = value;
		const struct fn_provisioned *p = map_get(&fn->provisioned, version);
		struct str qualifier = version;
		int64_t wanted = p ? p->requested : 0;
		size_t k = 0;
		void *alias;
		while (!p && fn->provisioned.count && map_next(&fn->aliases, &k, &name, &alias)) {
			const struct fn_provisioned *of = map_get(&fn->provisioned, name);
			wanted = of ? share_of(&((const struct fn_alias *)alias)->config, version, of->requested) : 0;
			if (!wanted)
				continue;
			p = of;
			qualifier = name;
		}
		provision_set(pool_provision(v->pool), v, qualifier, wanted, p ? p->since_ms : 0);
	}
}

int64_t fn_provisioned_ready(struct fn *fn, struct str qualifier, bool *ret_failed)
{
	int64_t ready = 0;
	size_t at = 0;
	struct str version;
	void *value;
	*ret_failed = false;
	while (map_next(&fn->versions, &at, &version, &value)) {
		const struct provision *p = pool_provision(((struct fn_version *)value)->pool);
		if (!provision_is_for(p, qualifier))
			continue;
		ready += p->ready < p->wanted ? p->ready : p->wanted;
		*ret_failed |= p->failed;
	}
	return ready;
}

static void fn_free(struct fn *fn)
{
	map_done(&fn->provisioned);
	map_done(&fn->versions);
	map_done(&fn->aliases);
	map_done(&fn->policies);
	map_done(&fn->event_configs);
	arena_done(&fn->tags_arena);
	arena_done(&fn->arena);
	free(fn);
}

/* Forgets a function that has no records and no calls any more. */
static void drop_if_empty(struct directory *d, struct fn *fn)
{
	if (fn->there || fn->running || fn->versions.count || fn->aliases.count || fn->policies.count || fn->event_configs.count ||
	    fn->provisioned.count)
		return;
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	map_remove(&d->fns, fn_key(&a, fn->account, fn->region, fn->name));
	fn_free(fn);
}

void directory_release(struct directory *d, struct fn *fn)
{
	drop_if_empty(d, fn);
}

/* lambda, kind, account, region, name[, more] */
static void take_record(struct directory *d, struct str key, struct str value)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct str_list parts = record_key_parts(&a, key);
	if (parts.n < 5)
		return;
	struct str kind = parts.v[1], last = parts.n > 5 ? parts.v[5] : STR_NONE;
	bool function = str_eq(kind, S("function"));
	if (!function &&
	    (!str_set(last) || (!str_eq(kind, S("version")) && !str_eq(kind, S("alias")) && !str_eq(kind, S("policy")) &&
	                        !str_eq(kind, S("event_config")) && !str_eq(kind, S("provisioned")))))
		return;
	struct fn *fn = find_or_make(d, parts.v[2], parts.v[3], parts.v[4]);
	if (function) {
		set_function(fn, value);
	} else if (str_eq(kind, S("version"))) {
		int64_t number;
		struct str version = lambda_is_version_number(last, &number) ? arena_printf(&a, "%lld", (long long)number) : last;
		/* Keyed with leading zeros, known without. */
		while (version.n > 1 && version.p[0] == '0')
			version = str_from_at(version, 1);
		set_version(d, fn, version, value, key);
	} else if (str_eq(kind, S("alias"))) {
		set_alias(fn, last, value);
	} else if (str_eq(kind, S("provisioned"))) {
		set_provisioned(fn, last, value);
	} else if (str_eq(kind, S("policy"))) {
		set_policy(fn, last, value);
	} else {
		set_event_config(fn, last, value);
	}
	if (fn->provisioned.count || str_eq(kind, S("provisioned")))
		provide(fn);
	drop_if_empty(d, fn);
}

bool directory_knows_snapshot(const struct directory *d, struct str name)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&d->fns, &at, &key, &value)) {
		size_t i = 0;
		void *version;
		while (map_next(&((struct fn *)value)->versions, &i, &key, &version))
			if (str_eq(((const struct fn_version *)version)->snapshot, name))
				return true;
	}
	return false;
}

static void on_change(void *ctx, const struct store_event *e)
{
	take_record(ctx, e->key, e->value);
}

struct directory *directory_open(struct lambda *l)
{
	struct directory *d = make(sizeof(*d));
	d->lambda = l;
	l->directory = d;
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	d->watch = record_follow(l->cloud->store, KEY_UNDER(&a, S("lambda")), on_change, d);
	return d;
}

void directory_close(struct directory *d)
{
	if (!d)
		return;
	store_unwatch(d->watch);
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&d->fns, &at, &key, &value)) {
		struct fn *fn = value;
		size_t i = 0;
		struct str name;
		void *entry;
		while (map_next(&fn->versions, &i, &name, &entry)) {
			((struct fn_version *)entry)->fn = NULL;
			pool_retire(((struct fn_version *)entry)->pool);
			fn_version_unref(entry);
		}
		for (i = 0; map_next(&fn->aliases, &i, &name, &entry); free_entry(entry))
			;
		for (i = 0; map_next(&fn->policies, &i, &name, &entry); free_entry(entry))
			;
		for (i = 0; map_next(&fn->event_configs, &i, &name, &entry); free_entry(entry))
			;
		for (i = 0; map_next(&fn->provisioned, &i, &name, &entry); free_entry(entry))
			;
		fn_free(fn);
	}
	map_done(&d->fns);
	for (at = 0; map_next(&d->accounts, &at, &key, &value);)
		free(value);
	map_done(&d->accounts);
	free(d);
}

/* --- choosing */

bool alias_draw(double weight, uint64_t random)
{
	return (double)(random >> 11) * 0x1p-53 < weight;
}

struct fn_version *fn_choose_version(struct fn *fn, struct str qualifier)
{
	struct fn_version *v = map_get(&fn->versions, str_set(qualifier) ? qualifier : S(LAMBDA_LATEST));
	if (v)
		return v;
	const struct fn_alias *alias = map_get(&fn->aliases, qualifier);
	if (!alias)
		return NULL;
	struct str version = alias->config.function_version;
	const struct lambda_alias_routing_configuration *r = alias->config.routing_config;
	if (r && r->additional_version_weights.n && alias_draw(r->additional_version_weights.v[0].value.v, rand_u64()))
		version = r->additional_version_weights.v[0].key;
	return map_get(&fn->versions, version);
}

struct str fn_policy_document(const struct fn *fn, struct str qualifier)
{
	const struct fn_policy *p = map_get(&fn->policies, str_set(qualifier) ? qualifier : S("-"));
	return p ? p->document : STR_NONE;
}

const struct lambda_function_event_invoke_config *fn_event_config(const struct fn *fn, struct str qualifier)
{
	const struct fn_event_config *e = map_get(&fn->event_configs, str_set(qualifier) ? qualifier : S(LAMBDA_LATEST));
	return e ? &e->config : NULL;
}
