#include "aws/lambda/publish.h"

#include "aws/lambda/directory.h"
#include "base/clock.h"
#include "base/map.h"
#include "engine/metrics/metrics.h"

#include <stdlib.h>

enum { EVERY_US = 1000000, DURATIONS = 128, MINUTE_S = 60, PARTS = 5 };

/* A function, or one of its aliases or versions, while something runs by that name. */
struct publish_place {
	double running;
	size_t key_n;
	char key[];
};

/* What one function counted, as it was invoked; or by no name what all of an account and region did. */
struct counts {
	struct str account, region, name, resource, executed; /* views of the key; executed: the version, where an alias chose it */
	double invocations, errors, throttles, running, provisioned, spilled;
	double unreserved,
	        claimed; /* of all functions: running ones without a reservation, and what is taken of the account's limit */
	bool ran;        /* running is set */
	struct metric_value durations[DURATIONS];
	unsigned duration_count;
};

struct publish {
	struct lambda *lambda;
	struct map all;    /* account, region, name, resource, executed version -> struct counts */
	struct map places; /* account, region, resource -> struct publish_place */
	struct loop_timer *timer;
};

static void put(struct publish *p, const struct counts *k, const struct metric_dimension *dimensions, size_t n, const char *name,
                const char *unit, const struct metric_value *values, size_t count)
{
	struct metric m = {k->account, k->region, S("AWS/Lambda"), str_from(name), str_from(unit), dimensions, n};
	metrics_put_values(p->lambda->cloud->metrics, &m, clock_wall_ms(), MINUTE_S, values, count);
}

/* So often one and so often nothing, as many samples as there were invocations. */
static void put_share(struct publish *p, const struct counts *k, const struct metric_dimension *dimensions, size_t n,
                      const char *name, double ones, double of)
{
	const struct metric_value values[] = {{0, of - ones}, {1, ones}};
	put(p, k, dimensions, n, name, "Count", values, 2);
}

static void give_by(struct publish *p, const struct counts *k, const struct metric_dimension *dimensions, size_t n)
{
	if (k->invocations > 0) {
		put_share(p, k, dimensions, n, "Invocations", k->invocations, k->invocations);
		put_share(p, k, dimensions, n, "Errors", k->errors, k->invocations);
	}
	if (k->invocations + k->throttles > 0)
		put_share(p, k, dimensions, n, "Throttles", k->throttles, k->invocations + k->throttles);
	if (k->provisioned > 0)
		put_share(p, k, dimensions, n, "ProvisionedConcurrencyInvocations", k->provisioned, k->provisioned);
	if (k->spilled > 0)
		put_share(p, k, dimensions, n, "ProvisionedConcurrencySpilloverInvocations", k->spilled, k->spilled);
	if (k->duration_count)
		put(p, k, dimensions, n, "Duration", "Milliseconds", k->durations, k->duration_count);
}

static void give(struct publish *p, struct counts *k)
{
	const struct metric_dimension d[] = {
	        {S("FunctionName"), k->name}, {S("Resource"), k->resource}, {S("ExecutedVersion"), k->executed}};
	const struct metric_value running = {k->running, 1};
	if (k->resource.n)
		give_by(p, k, d, k->executed.n ? 3 : 2);
	else
		give_by(p, k, d, k->name.n ? 1 : 0);
	if (k->ran)
		put(p, k, d, k->resource.n ? 2 : k->name.n ? 1 : 0, "ConcurrentExecutions", "Count", &running, 1);
	if (k->ran && !k->name.n) {
		put(p, k, NULL, 0, "UnreservedConcurrentExecutions", "Count", &(struct metric_value){k->unreserved, 1}, 1);
		put(p, k, NULL, 0, "ClaimedAccountConcurrency", "Count", &(struct metric_value){k->claimed, 1}, 1);
	}
	k->invocations = k->errors = k->throttles = k->provisioned = k->spilled = 0;
	k->duration_count = 0;
	k->unreserved = k->claimed = 0;
	k->ran = false;
}

static void give_all(struct publish *p)
{
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&p->all, &at, &key, &value)) {
		if (p->lambda->cloud->metrics)
			give(p, value);
		free(value);
	}
	map_done(&p->all);
	p->all = (struct map){0};
}

static void due(void *ctx)
{
	struct publish *p = ctx;
	p->timer = NULL;
	give_all(p);
}

static struct counts *counts_by(struct publish *p, const struct fn *fn, struct str name, struct str resource, struct str executed)
{
	char key[640];
	const struct str parts[] = {fn->account, fn->region, name, resource, executed};
	size_t n = 0;
	if (fn->account.n + fn->region.n + name.n + resource.n + executed.n + PARTS > sizeof(key))
		return NULL;
	for (unsigned i = 0; i < PARTS; i++) {
		memcpy(key + n, parts[i].p, parts[i].n);
		n += parts[i].n;
		key[n++] = 0;
	}
	struct counts *k = map_get(&p->all, str_of(key, n));
	if (k)
		return k;
	k = calloc(1, sizeof(*k) + n);
	if (!k)
		abort();
	struct str rest = str_of(memcpy(k + 1, key, n), n);
	k->account = str_cut(&rest, '\0');
	k->region = str_cut(&rest, '\0');
	k->name = str_cut(&rest, '\0');
	k->resource = str_cut(&rest, '\0');
	k->executed = str_cut(&rest, '\0');
	map_put(&p->all, str_of(key, n), k);
	if (!p->timer)
		p->timer = loop_add_timer(p->lambda->cloud->loop, EVERY_US, due, p);
	return k;
}

static struct counts *counts_of(struct publish *p, const struct fn *fn, struct str name, struct str resource)
{
	return counts_by(p, fn, name, resource, S(""));
}

static void count(struct publish *p, struct counts *k, bool error, double duration_ms)
{
	if (!k)
		return;
	if (k->duration_count == DURATIONS && p->lambda->cloud->metrics)
		give(p, k);
	k->invocations++;
	k->errors += error;
	if (k->duration_count < DURATIONS)
		k->durations[k->duration_count++] = (struct metric_value){duration_ms, 1};
}

/* name:qualifier, a part of the ARN; without a qualifier the name. */
static struct str resource_of(const struct fn *fn, struct str arn)
{
	struct lambda_name name;
	if (lambda_name_split(arn, &name) && str_set(name.qualifier) && name.qualifier.n && !str_is(name.qualifier, "$LATEST") &&
	    name.qualifier.p > name.name.p)
		return str_of(name.name.p, (size_t)(name.qualifier.p - name.name.p) + name.qualifier.n);
	return fn->name;
}

static bool is_alias(const struct fn *fn, struct str resource)
{
	return resource.n > fn->name.n && !ascii_is_digit(resource.p[fn->name.n + 1]);
}

void publish_provisioned(struct publish *p, const struct fn *fn, struct str arn, bool provisioned)
{
	struct counts *by[2];
	if (!p)
		return;
	by[0] = counts_of(p, fn, fn->name, S(""));
	by[1] = counts_of(p, fn, fn->name, resource_of(fn, arn));
	for (unsigned i = 0; i < 2; i++)
		if (by[i])
			*(provisioned ? &by[i]->provisioned : &by[i]->spilled) += 1;
}

void publish_invocation(struct publish *p, const struct fn *fn, struct str arn, struct str version, bool error, double duration_ms)
{
	if (!p)
		return;
	struct str resource = resource_of(fn, arn);
	count(p, counts_of(p, fn, fn->name, S("")), error, duration_ms);
	count(p, counts_of(p, fn, fn->name, resource), error, duration_ms);
	if (is_alias(fn, resource))
		count(p, counts_by(p, fn, fn->name, resource, version), error, duration_ms);
	count(p, counts_of(p, fn, S(""), S("")), error, duration_ms);
}

static void ran(struct counts *k, double running)
{
	if (!k || (k->ran && k->running >= running))
		return;
	k->running = running;
	k->ran = true;
}

void publish_running(struct publish *p, const struct fn *fn)
{
	if (!p)
		return;
	const struct account *all = fn->owner;
	struct counts *k = counts_of(p, fn, S(""), S(""));
	ran(counts_of(p, fn, fn->name, S("")), (double)fn->running);
	ran(k, (double)all->running);
	if (!k)
		return;
	double unreserved = (double)all->running_unreserved, claimed = unreserved + (double)(all->reserved + all->provisioned);
	k->unreserved = unreserved > k->unreserved ? unreserved : k->unreserved;
	k->claimed = claimed > k->claimed ? claimed : k->claimed;
}

struct publish_place *publish_begin(struct publish *p, const struct fn *fn, struct str qualifier)
{
	bool named = str_set(qualifier) && qualifier.n && !str_is(qualifier, "$LATEST");
	struct arena CLEAN_ARENA a = {0};
	if (!p)
		return NULL;
	struct str resource = named ? ARENA_CAT(&a, fn->name, S(":"), qualifier) : fn->name;
	struct str key = ARENA_CAT(&a, fn->account, S("/"), fn->region, S("/"), resource);
	struct publish_place *place = map_get(&p->places, key);
	if (!place) {
		place = calloc(1, sizeof(*place) + key.n);
		if (!place)
			abort();
		place->key_n = key.n;
		memcpy(place->key, key.p, key.n);
		map_put(&p->places, key, place);
	}
	place->running++;
	ran(counts_of(p, fn, fn->name, resource), place->running);
	return place;
}

void publish_end(struct publish *p, struct publish_place *place)
{
	if (!p || !place || --place->running > 0)
		return;
	map_remove(&p->places, str_of(place->key, place->key_n));
	free(place);
}

void publish_throttle(struct publish *p, const struct fn *fn)
{
	struct counts *by[3];
	if (!p)
		return;
	by[0] = counts_of(p, fn, fn->name, S(""));
	by[1] = counts_of(p, fn, fn->name, fn->name);
	by[2] = counts_of(p, fn, S(""), S(""));
	for (unsigned i = 0; i < 3; i++)
		if (by[i])
			by[i]->throttles++;
}

void publish_event(struct publish *p, const struct event_name *n, const char *name, const char *unit, double value)
{
	if (!p)
		return;
	char resource[400];
	size_t length = n->name.n + 1 + n->qualifier.n;
	struct metric_dimension by[] = {{S("FunctionName"), n->name}, {S("Resource"), n->name}};
	if (str_set(n->qualifier) && !str_is(n->qualifier, "$LATEST") && length <= sizeof(resource)) {
		memcpy(resource, n->name.p, n->name.n);
		resource[n->name.n] = ':';
		memcpy(resource + n->name.n + 1, n->qualifier.p, n->qualifier.n);
		by[1].value = str_of(resource, length);
	}
	for (size_t k = 0; k < 3; k++) {
		const struct metric m = {n->account, n->region, S("AWS/Lambda"), str_from(name), str_from(unit), by, k};
		metrics_add(p->lambda->cloud->metrics, &m, value);
	}
}

void publish_source(struct publish *p, struct str account, struct str region, struct str uuid, const char *name, double events)
{
	const struct metric_dimension by = {S("EventSourceMappingUUID"), uuid};
	const struct metric m = {account, region, S("AWS/Lambda"), str_from(name), S("Count"), &by, 1};
	if (p && p->lambda->cloud->metrics)
		metrics_add(p->lambda->cloud->metrics, &m, events);
}

void publish_extensions(struct publish *p, const struct fn *fn, struct str arn, double ms)
{
	if (!p || !p->lambda->cloud->metrics)
		return;
	const struct metric_dimension by[] = {{S("FunctionName"), fn->name}, {S("Resource"), resource_of(fn, arn)}};
	for (size_t k = 0; k < 3; k++) {
		const struct metric m = {
		        fn->account, fn->region, S("AWS/Lambda"), S("PostRuntimeExtensionsDuration"), S("Milliseconds"), by, k};
		metrics_add(p->lambda->cloud->metrics, &m, ms);
	}
}

struct publish *publish_new(struct lambda *l)
{
	struct publish *p = calloc(1, sizeof(*p));
	if (!p)
		abort();
	p->lambda = l;
	return p;
}

void publish_free(struct publish *p)
{
	if (!p)
		return;
	size_t at = 0;
	struct str key;
	void *place;
	loop_remove_timer(p->lambda->cloud->loop, p->timer);
	give_all(p);
	while (map_next(&p->places, &at, &key, &place))
		free(place);
	map_done(&p->places);
	free(p);
}
