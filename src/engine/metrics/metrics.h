/* Where numbers over time are kept, apart from the state of the cloud: a store of its own, DATA/metrics.
 *
 * A metric is named as CloudWatch names it: account, region, namespace, name and dimensions; the same name with other dimensions is
 * another metric. What is kept of it are statistic sets (how many samples, their sum, least and greatest) by minute for 15 days, by
 * five minutes for 63 days and by hour for 455 days, whatever is asked for later; what comes with a resolution of five minutes has
 * no minutes. A metric that nothing was added to for 455 days is forgotten. So a metric takes about a MiB at most.
 *
 * What is put is gathered in memory and written within a second; a crash loses that second. Everything happens on the loop's
 * thread. */
#pragma once
#include "store/store.h"

struct metrics;

/* Negative errno, with the reason in ret_why. */
/* Any thread, before metrics_open(): makes the files that it finds then. */
void metrics_make(const char *dir, bool ephemeral);
int metrics_open(struct metrics **ret, struct loop *l, const char *dir, bool ephemeral, char ret_why[static 200]);
/* Writes what was put. NULL is harmless. */
void metrics_close(struct metrics *m);

struct metric_dimension {
	struct str name, value;
};
enum { METRIC_DIMENSIONS_MAX = 30 };
struct metric {
	struct str account, region, space, name, unit; /* no NUL in any of them; the unit is not part of the name */
	const struct metric_dimension *dimensions;     /* in any order */
	size_t dimension_count;
};

struct metric_set {
	double count, sum, min, max;
};
static inline struct metric_set metric_sample(double x)
{
	return (struct metric_set){.count = 1, .sum = x, .min = x, .max = x};
}
/* Adds a set to the period that the time is in. resolution_s: 60, or 300. */
void metrics_put(struct metrics *m, const struct metric *metric, int64_t time_ms, unsigned resolution_s,
                 const struct metric_set *set);
/* How a service publishes what it counts: one value, now, of a metric by the minute. Cheap enough for every request: it is added up
 * in memory. m NULL: nothing is kept.
 *
 *	const struct metric_dimension by[] = {{S("LoadBalancer"), name}};
 *	metrics_add(cloud->metrics, &(struct metric){account, region, S("AWS/ApplicationELB"), S("RequestCount"), S("Count"), by,
 *1}, 1); */
void metrics_add(struct metrics *m, const struct metric *metric, double value);

struct metric_point {
	int64_t time_ms; /* when the period began */
	struct metric_set set;
};
struct metric_points {
	struct metric_point *v;
	uint32_t n;
	bool set;
};
/* The periods of [from, to) that have data, in order of time. from_ms and the period are multiples of a minute, and of what is
 * still kept of so long ago, else there is nothing. */
struct metric_points metrics_read(struct metrics *m, struct arena *a, const struct metric *metric, int64_t from_ms, int64_t to_ms,
                                  int64_t period_s, struct str *ret_unit);
/* How finely what began at from_ms is kept: 60, 300 or 3600 s. */
int64_t metrics_kept_s(int64_t from_ms, int64_t now_ms);

/* Every metric of an account and region; fn returns false to end the walk. Strs live in the arena. */
typedef bool metrics_list_fn(void *ctx, const struct metric *metric, int64_t last_ms);
void metrics_list(struct metrics *m, struct arena *a, struct str account, struct str region, metrics_list_fn *fn, void *ctx);
/* Of all accounts and regions. */
void metrics_list_all(struct metrics *m, struct arena *a, metrics_list_fn *fn, void *ctx);
