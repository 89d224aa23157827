/* CloudWatch's statistics: from their names to numbers. Private to aws/cloudwatch. */
#pragma once
#include "engine/metrics/metrics.h"

enum statistic_kind {
	STAT_SAMPLE_COUNT,
	STAT_AVERAGE,
	STAT_SUM,
	STAT_MINIMUM,
	STAT_MAXIMUM,
	STAT_PERCENTILE,      /* p95 */
	STAT_TRIMMED_MEAN,    /* tm90, TM(10%:90%), TM(:100), IQM */
	STAT_WINSORIZED_MEAN, /* wm98, WM(...) */
	STAT_TRIMMED_COUNT,   /* tc, TC(...) */
	STAT_TRIMMED_SUM,     /* ts, TS(...) */
	STAT_PERCENTILE_RANK, /* PR(:300): the share of samples in there */
};
struct statistic {
	enum statistic_kind kind;
	bool percent, has_from, has_to; /* bounds are shares of the samples, else values */
	double from, to;                /* PERCENTILE: from alone */
};

/* False: it is no statistic. */
bool statistic_parse(struct str name, struct statistic *ret);
/* Does it need to know how the samples are spread? */
static inline bool statistic_spread(const struct statistic *s)
{
	return s->kind >= STAT_PERCENTILE;
}
/* False: it cannot be told (negative values, sets without samples). */
bool statistic_of(const struct statistic *s, const struct metric_point *p, double *ret);
