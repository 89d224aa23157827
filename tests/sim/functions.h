/* A whole cloud in this process, on a clock that the test moves, whose cells are made of nothing: what runs in one is a runtime in
 * a few lines that answers as the test says, over the real Runtime API.
 *
 * For what takes minutes and hours, and for a hundred functions at once. The cloud's data is a directory of its own, which
 * world_reopen() keeps. */
#pragma once
#include "core/cloud.h"
#include "gen/lambda.h"

enum { SIM_CALLS_MAX = 2000 };

/* One invocation as a runtime saw it. */
struct sim_call {
	int64_t at_ms; /* wall clock */
	char request_id[37];
	char payload[4096];
	char access_key_id[129];
	int64_t credentials_left_ms;
};
enum sim_answer { SIM_SUCCEEDS, SIM_FAILS, SIM_HANGS /* until sim_answer_all() */ };
struct sim_function {
	const char *name;
	enum sim_answer answer;
	int64_t takes_ms;
	unsigned calls, environments;
	struct sim_call log[SIM_CALLS_MAX];
};

struct world {
	struct cloud cloud;
	struct arena arena;
	const struct principal *root;
	char dir[64];
	int64_t wall_ms, mono_us;
	int64_t step_ms; /* of world_pass(): 500 unless the test says otherwise */
};
void world_open(struct world *w);
/* Ends the cloud and starts another on the same data, after away_ms. */
void world_reopen(struct world *w, int64_t away_ms);
void world_close(struct world *w);
/* Time goes by, in steps small enough to see when things happen. */
void world_pass(struct world *w, int64_t ms);
/* Lets what is due happen without time going by. */
void world_settle(struct world *w);

/* Makes a function that runs as f says; it is Active afterwards. */
void sim_create(struct world *w, struct sim_function *f, int64_t timeout_s);
/* The same without waiting: it is Pending until time is given to the cloud. */
void sim_begin(struct world *w, struct sim_function *f, int64_t timeout_s);
/* Lets those that hang answer. */
void sim_answer_all(struct sim_function *f);

/* An operation as the account's root, to its end. The error's code, or "" ; ret_out (if any) gets the output, good until the next
 * one.
 */
const char *world_call(struct world *w, const struct api *api, const char *operation, const void *in, const void **ret_out);
/* A member of the last error besides code and message; absent: none. */
struct str world_error_field(const char *name);
/* The same without waiting for its end: *ret_code (128 bytes) is set then. */
void world_begin(struct world *w, const struct api *api, const char *operation, const void *in, char *ret_code);
void sim_send(struct world *w, const char *name, const char *payload);
