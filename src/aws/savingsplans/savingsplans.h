/* The savings plans that an account has, for those who make bills (aws/ce). Results live in the arena. */
#pragma once
#include "aws/pricing/pricing.h"
#include "store/store.h"

enum { SAVINGS_YEAR_H = 365 * 24 };

struct savings_plan {
	struct str id, arn;
	struct str type, payment;  /* "Compute", "EC2Instance"; "No Upfront", ... */
	struct str region, family; /* of an EC2Instance plan; else absent */
	int64_t years;
	int64_t commitment_e5; /* an hour, in hundred-thousandths of a dollar */
	int64_t upfront_e5;    /* of the commitment of all hours together: what is due at the beginning */
	int64_t from_ms, to_ms;
	struct price_rates rates; /* as of the purchase */
};
struct savings_plans {
	struct savings_plan *v;
	uint32_t n;
	bool set;
};
/* Those that count, by their beginnings: also what has ended, and what begins later; not what was given back or never begins. */
struct savings_plans savings_plans_read(struct store_txn *t, struct arena *a, struct str account);
/* "ComputeSP:1yrNoUpfront", "EC2SP:m5.3yrAllUpfront": the usage type of its fees, without a region's prefix. */
struct str savings_plan_usage(struct arena *a, struct str type, struct str family, int64_t years, struct str payment);
