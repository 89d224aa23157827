/* What cover.c (reserved instances) and plan.c (savings plans) share: the usage of one hour, and what of it is covered. Private to
 * these two; everything lives in the arena of the bill, but for maps, which cost_plans_end() frees. */
#pragma once
#include "aws/ce/cost.h"
#include "base/map.h"

/* What runs in an hour. */
struct cost_run {
	struct str region, usage, type; /* type: "m5.large"; empty: it is no instance */
	int64_t size_e2, left;
};
struct cost_runs {
	struct cost_run *v;
	uint32_t n;
	bool set;
};
/* The cover of the same time, usage and buyer; made if there is none yet. */
struct cost_cover *cost_cover_of(struct arena *a, struct cost_covers *covers, const struct cost_cover *wanted);

struct cost_plans; /* NULL: there are none */
struct cost_plans *cost_plans_begin(struct arena *a, const struct cost_cover_question *q);
void cost_plans_end(struct cost_plans *plans);
/* Covers what reservations have left of an hour (since 1970). */
void cost_plans_cover_hour(struct arena *a, const struct cost_cover_question *q, struct cost_plans *plans, int64_t hour,
                           struct cost_runs *runs, struct cost_covers *covers);
/* Their fees, by plan. */
void cost_plans_add_fees(struct arena *a, struct str account, const struct cost_cover_question *q, const struct cost_plans *plans,
                         const struct cost_covers *covers, struct cost_lines *fees);
