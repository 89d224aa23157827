/* Metric math: expressions over time series. Private to aws/cloudwatch. Nothing here reads a metric: who evaluates says what the
 * names in an expression stand for. */
#pragma once
#include "base/arena.h"
#include "model/model.h"

struct math_point {
	int64_t time_ms;
	double value;
};
struct math_points {
	struct math_point *v; /* in order of time */
	uint32_t n;
	bool set;
};
struct math_series {
	struct str label;
	int64_t period_s;
	struct math_points points;
};
struct math_all {
	struct math_series *v;
	uint32_t n;
	bool set;
};
enum math_kind { MATH_SCALAR, MATH_SERIES, MATH_ARRAY, MATH_TEXT, MATH_WORD };
struct math_value {
	enum math_kind kind;
	double scalar;
	struct str text;
	struct math_all all; /* SERIES: one */
};

enum { MATH_DEPTH_MAX = 64, MATH_NODES_MAX = 1000, MATH_SERIES_MAX = 500 };

struct math_node;
/* NULL: *ret_why says what is wrong. The tree lives in the arena. */
struct math_node *math_parse(struct arena *a, struct str text, struct str *ret_why);
/* The names of other queries in it, each once. */
struct str_list math_names(struct arena *a, const struct math_node *n);
bool math_calls(const struct math_node *n, const char *function); /* SEARCH, METRICS */

struct math {
	struct arena *arena;
	int64_t from_ms, to_ms, period_s; /* where FILL and TIME_SERIES have points */
	/* Each: false: math_fail() was called. */
	bool (*named)(struct math *m, struct str name, struct math_value *ret);
	bool (*metrics)(struct math *m, struct str like, struct math_all *ret); /* like absent: all metrics of the request */
	bool (*search)(struct math *m, struct str query, struct str statistic, int64_t period_s, struct math_all *ret);
	void *ctx;
	struct str error;
	unsigned depth;
};
bool math_eval(struct math *m, const struct math_node *n, struct math_value *ret);
__attribute__((format(printf, 2, 3))) bool math_fail(struct math *m, const char *fmt, ...); /* false */

/* --- math_parse.c for math_eval.c */
enum math_op { MATH_NUMBER, MATH_STRING, MATH_NAME, MATH_CALL, MATH_LIST, MATH_NEGATE, MATH_BINARY };
struct math_node {
	enum math_op op;
	char what[3]; /* BINARY: "+", "<=", ... */
	double number;
	struct str text;                /* STRING, NAME, CALL */
	struct math_node *first, *next; /* operands; the next one of its parent's */
	unsigned count;
};
/* --- math_call.c */
bool math_call(struct math *m, const struct math_node *n, struct math_value *ret);
bool math_known(struct str function); /* false too: one that is refused */
struct math_value math_scalar(double x);
/* One value of each point of a series or an array. */
struct math_value math_each(struct math *m, const struct math_value *v, double (*fn)(double x));
