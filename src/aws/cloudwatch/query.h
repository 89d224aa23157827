/* Queries of GetMetricData and of alarms: metrics, and expressions over them. Private to aws/cloudwatch. */
#pragma once
#include "aws/cloudwatch/math.h"
#include "core/cloud.h"
#include "gen/cloudwatch.h"

struct query_set {
	struct cloud *cloud;
	struct arena *arena;
	struct str account, region;
	const struct cloudwatch_metric_data_queries *all;
	int64_t from_ms, to_ms;
	bool samples;              /* alarms: how many there were, too */
	struct query_state *state; /* filled in by query_begin() */
};
/* False: ret_why says what is wrong with which of them. */
bool query_begin(struct query_set *q, struct str *ret_why);
/* What the i-th of them gives: a series, or several. False: ret_why. */
bool query_run(struct query_set *q, uint32_t i, struct math_all *ret, struct str *ret_why);
/* The period of a query: its metric's, its own, or the longest of those that it is about. */
int64_t query_period_s(struct query_set *q, uint32_t i);
bool query_period_good(int64_t period_s);

/* --- search.c */
struct search;
struct search *search_parse(struct arena *a, struct str text, struct str *ret_why);
struct metric;
bool search_matches(const struct search *s, const struct metric *m);
