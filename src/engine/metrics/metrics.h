/* Where numbers over time are kept, apart from the state of the cloud: a store of its own, DATA/metrics.
 *
 * A metric is named as CloudWatch names it: account, region, namespace, name and dimensions; the same name with other dimensions is
 * another metric, and each unit has its own data. What is kept of it are statistic sets (how many samples, their sum, least and
 * greatest) and how the samples are spread, by the second for 3 hours (of metrics of high resolution), by the minute for 15 days,
 * by five minutes for 63 days and by the hour for 455 days. What comes with a resolution of five minutes has no minutes. A metric
 * that nothing was added to for 455 days is forgotten.
 *
 * What is put is added up in memory by period and written in batches within a second; a crash loses that second, except what
 * somebody waited for (metrics_when_written). It can be read at once. Once an hour what has become old is packed and rolled up
 * (roll.c): each sample lies in one tier, so a metric by the minute takes less than 100 KiB a year. Everything happens on the
 * loop's thread. */
#pragma once
#include "store/store.h"

struct metrics;

/* Any thread, before metrics_open(): makes the files that it finds then. */
void metrics_make(const char *dir, bool ephemeral);
/* Negative errno, with the reason in ret_why. */
int metrics_open(struct metrics **ret, struct loop *l, const char *dir, bool ephemeral, char ret_why[static 200]);
/* Writes what was put; who waits for that is not called any more. NULL is harmless. */
void metrics_close(struct metrics *m);

struct metric_dimension {
	struct str name, value;
};
enum { METRIC_DIMENSIONS_MAX = 30 };
struct metric {
	struct str account, region, space, name;
	struct str unit;                           /* CloudWatch's; none: "None" */
	const struct metric_dimension *dimensions; /* in any order */
	size_t dimension_count;                    /* no NUL in any of them */
};

struct metric_set {
	double count, sum, min, max;
};
/* Is it a unit of CloudWatch's? */
bool metrics_unit_known(struct str unit);
static inline struct metric_set metric_sample(double x)
{
	return (struct metric_set){.count = 1, .sum = x, .min = x, .max = x};
}
struct metric_value {
	double value, count;
};

/* How a service publishes what it counts: one value, now, of a metric by the minute. Cheap enough for every request: it is added up
 * in memory. m NULL: nothing is kept.
 *
 *	const struct metric_dimension by[] = {{S("LoadBalancer"), name}};
 *	metrics_add(cloud->metrics, &(struct metric){account, region, S("AWS/ApplicationELB"), S("RequestCount"), S("Count"), by,
 *1}, 1); */
void metrics_add(struct metrics *m, const struct metric *metric, double value);
/* Adds values to the period that the time is in. resolution_s: 1, 60 or 300; how finely they are kept. */
void metrics_put_values(struct metrics *m, const struct metric *metric, int64_t time_ms, unsigned resolution_s,
                        const struct metric_value *values, size_t n);
/* Adds a set of samples that are not known one by one: there are no percentiles of that period then, unless all are equal. */
void metrics_put(struct metrics *m, const struct metric *metric, int64_t time_ms, unsigned resolution_s,
                 const struct metric_set *set);
/* Is this the first time in the hour of now_ms that somebody asks, of a metric that something was put to? A start of the cloud
 * begins the hour anew. */
bool metrics_begins_hour(struct metrics *m, const struct metric *metric, int64_t now_ms);
/* Is so much waiting to be written that what is put now would be dropped? */
bool metrics_full(const struct metrics *m);
/* fn(ctx, result) comes when all that was put before is durable, or -errno if it is lost; it is written at once then. */
typedef void metrics_written_fn(void *ctx, int result);
void metrics_when_written(struct metrics *m, metrics_written_fn *fn, void *ctx);
/* Is something being written, packed or forgotten? For who wants to see it done. */
bool metrics_busy(const struct metrics *m);
void metrics_not_waiting(struct metrics *m, void *ctx); /* forgets who waits with this ctx */

/* --- reading; what comes lives in the arena */

struct metric_point {
	int64_t time_ms; /* when the period began */
	struct metric_set set;
	struct str unit;
	/* How the samples are spread, in order of their values, each to within 1 % (5 % where only five minutes are left, 9 % where
	 * only hours are) and exact where a period had one value. None: not known, or not asked for. */
	struct metric_value *values;
	uint32_t value_count;
};
struct metric_points {
	struct metric_point *v;
	uint32_t n;
	bool set;
};
struct metric_query {
	const struct metric *metric; /* unit absent: data of every unit, as points of their own */
	int64_t from_ms, to_ms;      /* periods that begin in [from, to) */
	int64_t period_s;
	bool spread;
};
/* The periods that have data, in order of time. from_ms and the period are multiples of what is still kept of so long ago
 * (metrics_kept_s), else there is nothing. */
struct metric_points metrics_read(struct metrics *m, struct arena *a, const struct metric_query *q);
/* How finely what began at from_ms is kept: 1, 60, 300 or 3600 s; a second only for data of high resolution. */
int64_t metrics_kept_s(int64_t from_ms, int64_t now_ms);

/* Every metric of an account and region, in an order that stays; fn returns false to end the walk. last_ms is up to five minutes
 * behind. */
typedef bool metrics_list_fn(void *ctx, const struct metric *metric, int64_t last_ms);
void metrics_list(struct metrics *m, struct arena *a, struct str account, struct str region, metrics_list_fn *fn, void *ctx);
/* Of all accounts and regions. */
void metrics_list_all(struct metrics *m, struct arena *a, metrics_list_fn *fn, void *ctx);
