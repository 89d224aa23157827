#include "aws/ec2/network/sync_pass.h"

#include "aws/ec2/network/vpc.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

struct place {
	struct str account, region; /* in `name` */
	char *name;
	struct sync_puts puts;
	struct map seen; /* ec2_sync_linger()'s */
	bool dirty;
};
struct ec2_sync {
	struct store *store;
	struct loop *loop;
	struct networks *networks;
	struct chaos *chaos; /* NULL: no faults */
	struct store_watch *watch;
	struct loop_timer *timer, *later;
	struct map places; /* by account and region: struct place */
};

void ec2_sync_copy(const struct ec2_scope *scope, const struct str_list *vpcs, struct networks *to)
{
	struct sync_pass p = {.networks = to, .scope = *scope};
	buf_init(&p.buf, 1u << 20);
	for (uint32_t i = 0; i < vpcs->n; i++)
		map_put(&p.vpcs, vpcs->v[i], &p);
	sync_pass_put(&p);
	map_done(&p.vpcs);
	buf_done(&p.buf);
}

static void look_again(void *ctx);

static void sync_place(struct ec2_sync *s, struct place *place)
{
	struct arena CLEAN_ARENA a = {0};
	struct sync_pass p = {.networks = s->networks,
	                      .chaos = s->chaos,
	                      .puts = &place->puts,
	                      .scope = {.arena = &a, .account = place->account, .region = place->region}};
	buf_init(&p.buf, 1u << 20);
	p.scope.txn = store_begin(s->store, &a);
	place->dirty = false;
	sync_pass_find_vpcs(&p);
	if (ec2_sync_linger(&place->seen, &p.vpcs, loop_now_us(s->loop)) && !s->later)
		s->later = loop_add_timer(s->loop, EC2_SYNC_LINGER_US, look_again, s);
	sync_pass_put(&p);
	store_abort(p.scope.txn);
	map_done(&p.vpcs);
	buf_done(&p.buf);
}

void ec2_sync_each_vpc(const struct ec2_sync *s, ec2_sync_vpc_fn *fn, void *ctx)
{
	size_t at = 0;
	struct str key;
	void *value, *since;
	while (map_next(&s->places, &at, &key, &value)) {
		const struct place *place = value;
		size_t k = 0;
		struct str vpc;
		while (map_next(&place->seen, &k, &vpc, &since))
			fn(ctx, place->account, place->region, vpc);
	}
}

static void sync_dirty(void *ctx)
{
	struct ec2_sync *s = ctx;
	struct str key;
	void *value;
	size_t at = 0;
	s->timer = NULL;
	while (map_next(&s->places, &at, &key, &value))
		if (((struct place *)value)->dirty)
			sync_place(s, value);
}

/* Places with something that lingers, or all. */
static void mark(struct ec2_sync *s, bool all)
{
	struct str key;
	void *value;
	size_t at = 0;
	while (map_next(&s->places, &at, &key, &value))
		((struct place *)value)->dirty |= all || ((struct place *)value)->seen.count > 0;
}

static void look_again(void *ctx)
{
	struct ec2_sync *s = ctx;
	s->later = NULL;
	mark(s, false);
	sync_dirty(s);
}

static void faults_changed(void *ctx)
{
	struct ec2_sync *s = ctx;
	mark(s, true);
	if (!s->timer)
		s->timer = loop_add_timer(s->loop, 0, sync_dirty, s);
}

void ec2_sync_chaos(struct ec2_sync *s, struct chaos *chaos)
{
	s->chaos = chaos;
	chaos_listen(chaos, faults_changed, s);
}

static struct place *place_of(struct ec2_sync *s, struct str account, struct str region)
{
	struct arena CLEAN_ARENA a = {0};
	struct str name = ARENA_CAT(&a, account, S("/"), region);
	struct place *place = map_get(&s->places, name);
	if (place)
		return place;
	place = calloc(1, sizeof(*place));
	if (!place || !(place->name = strndup(name.p, name.n)))
		die("out of memory (networks)");
	place->account = str_of(place->name, account.n);
	place->region = str_of(place->name + account.n + 1, region.n);
	map_put(&s->places, name, place);
	return place;
}

static struct place *place_of_key(struct ec2_sync *s, struct str key)
{
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, key);
	if (parts.n != 5 || !ec2_sync_is_about(parts.v[3]))
		return NULL;
	return place_of(s, parts.v[1], parts.v[2]);
}

static void on_change(void *ctx, const struct store_event *e)
{
	struct ec2_sync *s = ctx;
	struct place *place = place_of_key(s, e->key);
	if (!place)
		return;
	place->dirty = true;
	if (!s->timer)
		s->timer = loop_add_timer(s->loop, 0, sync_dirty, s);
}

static void begin(struct ec2_sync *s)
{
	struct arena CLEAN_ARENA a = {0};
	struct str under = KEY_UNDER(&a, S("ec2")), key;
	struct store_value v;
	struct store_txn *t = store_begin(s->store, &a);
	struct store_iter *i = store_scan(t, under, store_prefix_end(&a, under), false);
	while (store_next(i, &key, &v)) {
		struct place *place = place_of_key(s, key);
		if (place)
			place->dirty = true;
	}
	store_abort(t);
	sync_dirty(s);
	networks_settled(s->networks);
	s->watch = store_watch(s->store, under, store_prefix_end(&a, under), store_revision(s->store), on_change, s);
}

struct ec2_sync *ec2_sync_new(struct store *store, struct loop *loop, struct networks *networks)
{
	struct ec2_sync *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory (networks)");
	s->store = store;
	s->loop = loop;
	s->networks = networks;
	begin(s);
	return s;
}

static void free_all(struct map *m)
{
	struct str key;
	void *value;
	size_t at = 0;
	while (map_next(m, &at, &key, &value))
		free(value);
	map_done(m);
}

void ec2_sync_free(struct ec2_sync *s)
{
	struct str key;
	void *value;
	size_t at = 0;
	if (!s)
		return;
	store_unwatch(s->watch);
	if (s->chaos)
		chaos_listen(s->chaos, NULL, NULL);
	loop_remove_timer(s->loop, s->timer);
	loop_remove_timer(s->loop, s->later);
	while (map_next(&s->places, &at, &key, &value)) {
		struct place *place = value;
		free_all(&place->puts.by_id);
		free_all(&place->seen);
		free(place->name);
	}
	free_all(&s->places);
	free(s);
}
