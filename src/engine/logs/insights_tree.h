/* A compiled query, between its parser, its evaluation and its runs. Private to engine/logs. */
#pragma once
#include "base/json.h"
#include "engine/logs/insights.h"
#include "model/pattern.h"

enum value_kind { VALUE_NONE, VALUE_NUMBER, VALUE_TEXT, VALUE_BOOL, VALUE_TIME };
struct value {
	enum value_kind kind;
	double number; /* BOOL: 0 or 1; TIME: milliseconds */
	struct str text;
};

enum expr_kind {
	EXPR_VALUE,
	EXPR_FIELD,
	EXPR_CALL,
	EXPR_NOT,
	EXPR_AND,
	EXPR_OR,
	EXPR_COMPARE,
	EXPR_LIKE,
	EXPR_IN,
	EXPR_ARITHMETIC
};
enum compare { COMPARE_EQ, COMPARE_NE, COMPARE_LT, COMPARE_LE, COMPARE_GT, COMPARE_GE };
enum { ARGUMENTS_MAX = 20 };

enum scalar {
	CALL_STRLEN,
	CALL_UPPER,
	CALL_LOWER,
	CALL_TRIM,
	CALL_CONTAINS,
	CALL_SUBSTR,
	CALL_REPLACE,
	CALL_CONCAT,
	CALL_ISEMPTY,
	CALL_ISBLANK,
	CALL_ISPRESENT,
	CALL_COALESCE,
	CALL_ABS,
	CALL_CEIL,
	CALL_FLOOR,
	CALL_SQRT,
	CALL_BIN,
	CALL_DATEFLOOR,
	CALLS
};
enum aggregate {
	AGG_COUNT,
	AGG_DISTINCT,
	AGG_SUM,
	AGG_AVG,
	AGG_MIN,
	AGG_MAX,
	AGG_PCT,
	AGG_EARLIEST,
	AGG_LATEST,
	AGG_STDDEV,
	AGGREGATES
};

struct expr {
	enum expr_kind kind;
	int op; /* compare, scalar, or the sign of arithmetic */
	struct value value;
	struct str field;
	const struct pattern *regex; /* LIKE */
	const struct expr *args[ARGUMENTS_MAX];
	uint32_t n;
	int64_t step_ms; /* BIN, DATEFLOOR */
};

struct column {
	struct str name;
	const struct expr *expr; /* of an aggregate: its argument, or NULL */
	enum aggregate aggregate;
	double percent;
	bool descending;
};
struct columns {
	struct column *v;
	uint32_t n;
	bool set;
};

enum command_kind { DO_FIELDS, DO_DISPLAY, DO_FILTER, DO_PARSE, DO_STATS, DO_SORT, DO_LIMIT, DO_DEDUP };
struct command {
	struct command *next;
	enum command_kind kind;
	struct columns columns, by;         /* STATS: by; SORT, DEDUP, FIELDS, DISPLAY: columns; PARSE: names */
	const struct expr *expr;            /* FILTER; PARSE: of what */
	struct str *pieces;                 /* PARSE: what stands between the asterisks, one more than names */
	const struct insights_regex *regex; /* PARSE: instead of these; NULL: none */
	uint32_t limit;
};

struct insights {
	struct command *first;
};

/* --- insights_regex.c */
/* A regular expression all of whose groups have names, which are the names of what it finds. NULL: it is none, or not valid. It
 * keeps where it is in a text: for one thread at a time. */
const struct insights_regex *insights_regex(struct arena *a, struct str text, struct str **ret_names, uint32_t *ret_n);
/* Found anywhere in s: the groups, views of it; absent ones are STR_NONE. */
bool insights_regex_find(const struct insights_regex *r, struct str s, struct str *ret, uint32_t n);

/* --- insights_eval.c */
struct named {
	struct str name;
	struct value value;
};
struct row {
	struct insights_event event;
	bool of_stats; /* no event */
	const struct json_value *json;
	bool parsed;
	struct named *v; /* made by commands, the newest last */
	uint32_t n, cap;
};
struct value insights_eval(struct arena *a, struct row *r, const struct expr *e);
struct value insights_field_value(struct arena *a, struct row *r, struct str name);
void insights_set(struct arena *a, struct row *r, struct str name, struct value v);
bool insights_true(struct value v);
bool insights_number(struct value v, double *ret);
struct str insights_text(struct arena *a, struct value v);

/* --- insights_fields.c: a field of the lines that Lambda writes of its invocations */
struct value insights_line_value(struct str line, struct str name);
