/* A cloud of some services on a clock that the test moves: the same beginning, end and questions for every simulation that needs no
 * more of a cloud than its store, its gate and what its flags name. One at a time. The test defines `cloud_services`. */
#pragma once
#include "unit.h"

#include "core/cloud.h"
#include "core/service.h"

enum { WORLD_METER = 1, WORLD_METRICS = 2, WORLD_HTTP = 4, WORLD_SEAL = 8 };

struct world {
	struct cloud cloud;
	struct arena arena; /* as long as the world */
	const struct principal *root;
	char dir[64], code[128]; /* code: of the last answer's error; "": none */
	int64_t wall_ms, mono_us;
	unsigned flags;
};
extern struct world world;

/* 2026-01-01, randomness by that seed, an empty directory. */
int world_begin(uint64_t seed, unsigned flags);
int world_end(void);
/* The role ends in the middle of whatever is under way - no answer and no commit is heard of any more - and starts again. */
void world_close(void);
void world_open(void);
void world_move_clock(int64_t ms);
/* Commits are another thread's: what is not over in one turn is in one of the next. */
void world_turns(int n);
/* The root user's call; what it answers is copied into `into`, NULL with an error (world.code). */
const void *world_ask(struct arena *into, const struct api *api, const char *operation, const void *in);
