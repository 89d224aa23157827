#include "world.h"

#include "turn.h"

#include "aws/iam/iam.h"
#include "base/clock.h"
#include "base/rand.h"
#include "core/call.h"
#include "core/gate.h"
#include "core/meter.h"
#include "core/seal.h"
#include "engine/metrics/metrics.h"
#include "http/http.h"
#include "store/blob.h"

#include <stdio.h>
#include <stdlib.h>

/* A cloud is never taken apart in the program; this one is, and what its identities held goes with the test. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

struct world world;
static struct seal seal;

static void on_request(void *ctx, struct http_request *r)
{
	(void)ctx;
	(void)r;
	fail_msg("a request from outside");
}

static const char *below(const char *name)
{
	return arena_printf(&world.arena, "%s/%s", world.dir, name).p;
}

void world_open(void)
{
	char why[200];
	struct cloud *c = &world.cloud;
	unsigned n = 0;
	*c = (struct cloud){.data_dir = world.dir, .ephemeral = true, .endpoint = "http://127.0.0.1:1"};
	c->loop = loop_new();
	c->work = work_new(c->loop, 1);
	struct store_config config = {.path = below("state"), .ephemeral = true};
	assert_int_equal(store_open(&c->store, c->loop, &config, why), 0);
	assert_int_equal(blobs_open(&c->blobs, below("blobs"), true), 0);
	if (world.flags & WORLD_SEAL) {
		assert_int_equal(seal_open(&seal, world.dir), 0);
		c->seal = &seal;
	}
	iam_open(c, &(struct iam_config){.well_known = true});
	c->gate = gate_new(c, &(struct gate_config){.well_known_keys = true});
	if (world.flags & WORLD_METER)
		c->meter = meter_new(c->loop, c->store);
	if (world.flags & WORLD_HTTP)
		c->http = http_server_new(c->loop, NULL, on_request, NULL);
	if (world.flags & WORLD_METRICS)
		assert_int_equal(metrics_open(&c->metrics, c->loop, below("metrics"), true, why), 0);
	while (cloud_services[n])
		n++;
	c->service_state = calloc(n + 1, sizeof(void *));
	for (unsigned i = 0; i < n; i++)
		if (cloud_services[i]->start)
			assert_int_equal(cloud_services[i]->start(c, &c->service_state[i]), 0);
}

void world_close(void)
{
	struct cloud *c = &world.cloud;
	store_settle(c->store);
	for (int i = 0; cloud_services[i]; i++)
		if (cloud_services[i]->stop)
			cloud_services[i]->stop(c->service_state[i]);
	free(c->service_state);
	if (c->metrics)
		metrics_close(c->metrics);
	iam_close(c);
	if (c->http)
		http_server_free(c->http);
	gate_free(c->gate);
	if (c->meter)
		meter_free(c->meter);
	work_free(c->work);
	blobs_close(c->blobs);
	store_close(c->store);
	loop_free(c->loop);
}

int world_begin(uint64_t seed, unsigned flags)
{
	memset(&world, 0, sizeof(world));
	world.flags = flags;
	rand_seed(seed);
	snprintf(world.dir, sizeof(world.dir), "/tmp/quartet-sim-XXXXXX");
	if (!mkdtemp(world.dir))
		return -1;
	world.wall_ms = INT64_C(1767225600000); /* 2026-01-01: a month of 31 days */
	world.mono_us = 1000000000;
	clock_fake(world.wall_ms, world.mono_us);
	world.root = principal_new(PRINCIPAL_ROOT, S("000000000000"));
	world_open();
	return 0;
}

int world_end(void)
{
	char command[128];
	world_close();
	principal_unref(world.root);
	arena_done(&world.arena);
	snprintf(command, sizeof(command), "rm -rf %s", world.dir);
	return system(command);
}

void world_move_clock(int64_t ms)
{
	world.wall_ms += ms;
	world.mono_us += ms * 1000;
	clock_fake(world.wall_ms, world.mono_us);
}

void world_turns(int n)
{
	for (int i = 0; i < n; i++)
		cloud_turn(&world.cloud);
}

/* --- asking */

struct waiting {
	struct arena *into;
	bool done;
	const void *out;
};

static void answered(void *ctx, struct call *sub)
{
	struct waiting *x = ctx;
	const struct shape *shape = operation_output(sub->service->api, sub->op);
	x->done = true;
	snprintf(world.code, sizeof(world.code), "%.*s", STR_ARG(str_set(sub->error.code) ? sub->error.code : S("")));
	if (world.code[0] || !shape)
		return;
	void *copy = arena_zalloc(x->into, shape->size);
	model_copy(x->into, sub->service->api, shape, sub->out, copy);
	x->out = copy;
}

const void *world_ask(struct arena *into, const struct api *api, const char *operation, const void *in)
{
	struct waiting x = {.into = into};
	call_op(&world.cloud, world.root, S("us-east-1"), api, operation, in, answered, &x);
	while (!x.done)
		loop_turn(world.cloud.loop, 1000);
	return x.out;
}
