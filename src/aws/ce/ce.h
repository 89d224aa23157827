/* What aws/budgets asks Cost Explorer: how much of a period's costs or usage an expression matches so far, and will match by its
 * end. Results live in the arena. */
#pragma once
#include "gen/ce.h"
#include "store/store.h"

struct price_book;

struct ce_spend {
	struct store_txn *txn;
	struct arena *arena;
	const struct price_book *prices;
	struct str account;
	int64_t now_ms;
	const struct ce_expression *filter; /* NULL: all */
	bool usage;                         /* quantities in place of USD */
	bool amortized;                     /* fees shared out among what they cover */
	int64_t from_day, to_day;           /* since 1970, [from, to); today is one of them */
};
struct ce_spent {
	struct str actual, forecast; /* decimals */
	struct str unit;             /* "USD"; of usage "N/A" where there are several */
};
struct ce_spent ce_spent(const struct ce_spend *q);
/* The days [from, to) of the month, quarter or year that a day is in. */
void ce_unit_days(int64_t day, int months, int64_t *ret_from, int64_t *ret_to);
/* "62.5": how much of what was committed to was used so far, or how much of what ran was covered. Of the question, `usage` and
 * `amortized` are not looked at. */
enum ce_share { CE_RESERVATION_UTILIZATION, CE_RESERVATION_COVERAGE, CE_PLAN_UTILIZATION, CE_PLAN_COVERAGE };
/* Absent: there was nothing to be used, or nothing ran. */
struct str ce_commitment_share(const struct ce_spend *q, enum ce_share what);
