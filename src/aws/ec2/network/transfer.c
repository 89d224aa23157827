/* VPCs' routers count; once a minute what has come together is handed to the meter. What was counted before this role began is not
 * new, and what a router that has gone counted in its last minute costs nothing. Both sides of a way between zones are paid for. */
#include "aws/ec2/network/transfer.h"

#include "base/map.h"
#include "core/meter.h"

#include <stdlib.h>

enum { EVERY_US = 60 * 1000000, SOON_US = 500 * 1000, BEGIN_TRIES = 60 };

struct carried {
	struct network_vpc_stats seen;
	bool known; /* `seen` was handed on, or is older than this role */
	unsigned round;
};

struct transfers {
	struct cloud *cloud;
	struct networks *networks;
	struct ec2_sync *sync;
	struct loop_timer *timer;
	struct map vpcs;       /* struct carried */
	unsigned round, tries; /* round 0: it begins */
};

/* A counter that has become less has begun anew. */
static int64_t grown(uint64_t now, uint64_t before)
{
	return (int64_t)(now >= before ? now - before : now);
}

static void look_at(void *ctx, struct str account, struct str region, struct str vpc)
{
	struct transfers *t = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct carried *c = map_get(&t->vpcs, vpc);
	struct network_vpc_stats now;
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			abort();
		c->known = t->round > 0;
		map_put(&t->vpcs, vpc, c);
	}
	c->round = t->round;
	if (!network_vpc_stats(t->networks, arena_dupz(&a, vpc), &now))
		return; /* asked for now, known the next time */
	const struct {
		const char *usage;
		int64_t bytes;
	} uses[] = {{"DataTransfer-In-Bytes", grown(now.in_bytes, c->seen.in_bytes)},
	            {"DataTransfer-Out-Bytes", grown(now.out_bytes, c->seen.out_bytes)},
	            {"DataTransfer-Regional-Bytes", 2 * grown(now.zones_bytes, c->seen.zones_bytes)}};
	for (size_t i = 0; c->known && i < sizeof(uses) / sizeof(*uses); i++)
		if (uses[i].bytes)
			meter_count_of(t->cloud->meter, account, region, vpc, str_from(uses[i].usage), uses[i].bytes);
	c->seen = now;
	c->known = true;
}

static void forget_gone(struct transfers *t, bool all)
{
	size_t at = 0;
	struct str vpc;
	void *value;
	while (map_next(&t->vpcs, &at, &vpc, &value))
		if (all || ((struct carried *)value)->round != t->round) {
			free(map_remove(&t->vpcs, vpc));
			at = 0; /* others may have moved */
		}
}

static void look(void *ctx)
{
	struct transfers *t = ctx;
	t->round++;
	ec2_sync_each_vpc(t->sync, look_at, t);
	forget_gone(t, false);
	t->timer = loop_add_clock_timer(t->cloud->loop, EVERY_US, look, t);
}

/* What routers that outlived the last role have counted is where this one begins, as soon as they say it. */
static void begin(void *ctx)
{
	struct transfers *t = ctx;
	size_t at = 0;
	struct str vpc;
	void *value;
	bool known = true;
	ec2_sync_each_vpc(t->sync, look_at, t);
	while (map_next(&t->vpcs, &at, &vpc, &value))
		known = known && ((struct carried *)value)->known;
	if (known || ++t->tries == BEGIN_TRIES)
		t->timer = loop_add_clock_timer(t->cloud->loop, EVERY_US, look, t);
	else
		t->timer = loop_add_timer(t->cloud->loop, SOON_US, begin, t);
}

struct transfers *transfers_start(struct cloud *cloud, struct networks *networks, struct ec2_sync *sync)
{
	if (!cloud->meter || !networks || !sync)
		return NULL;
	struct transfers *t = calloc(1, sizeof(*t));
	if (!t)
		abort();
	*t = (struct transfers){.cloud = cloud, .networks = networks, .sync = sync};
	begin(t);
	return t;
}

void transfers_stop(struct transfers *t)
{
	if (!t)
		return;
	loop_remove_timer(t->cloud->loop, t->timer);
	forget_gone(t, true);
	map_done(&t->vpcs);
	free(t);
}
