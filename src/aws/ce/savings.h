/* What Cost Explorer and budgets say of savings plans and reservations, summed from lines of the bill. Private to aws/ce. */
#pragma once
#include "aws/ce/cost.h"

/* A part of a hundred, "62.5"; of nothing "0". */
struct str cost_percentage(struct arena *a, __int128 part, __int128 whole);
/* The period of a question whose parts are days (the default) or months, or the whole where groups are asked for. */
int cost_question_period(struct call *c, const struct ce_date_interval *i, struct str granularity, bool groups,
                         struct cost_period *ret);
/* Are all dimensions of the filter among these (ending with NULL), joined by And alone? CALL_OK or CALL_FAIL. */
int cost_only_dimensions(struct call *c, const struct ce_expression *e, const char *const *names);
/* The index of a name in names (ending with NULL); -1: it is none of them. */
int cost_name_index(struct str name, const char *const *names);

/* plan_use.c: ten-billionths of USD. */
struct plan_use {
	const struct savings_plan *plan; /* NULL: of several */
	__int128 used, unused;           /* of the commitment */
	__int128 demand;                 /* what was covered, at prices on demand */
	__int128 recurring;              /* of the commitment, what is paid by the hour */
};
void plan_use_add(struct plan_use *u, const struct cost_line *l);

/* plan_coverage.c */
struct plan_coverage {
	__int128 covered, demand; /* at prices on demand: what plans cover, what they might and do not */
};
/* Is the line about what a savings plan may cover? Then adds it. */
bool plan_coverage_add(struct plan_coverage *to, const struct cost_line *l);

/* reservation_use.c: hours and units of the size "small" in ten-billionths, and USD. */
struct reservation_use {
	struct str id;
	const struct meter_commitment *c; /* NULL: of several */
	__int128 hours, units;            /* bought */
	__int128 used_hours, used_units;
	__int128 fee, unused_fee;
	__int128 demand, demand_all; /* on demand: what was used, all of it would cost */
};
/* What reservations were and did in a part of a period, in hours since 1970; `lines` are those of the part alone. */
struct reservation_uses {
	struct reservation_use *v;
	uint32_t n;
	bool set;
};
struct reservation_uses reservation_uses(const struct cost_scope *s, const struct cost_lines *lines,
                                         const struct ce_expression *filter, int64_t from_hour, int64_t to_hour);
struct reservation_use reservation_sum(const struct reservation_uses *uses);
