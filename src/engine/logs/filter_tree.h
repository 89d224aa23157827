/* A compiled filter, between its parser and its matcher. Private to engine/logs. */
#pragma once
#include "engine/logs/filter.h"
#include "model/pattern.h"

enum filter_kind { FILTER_ALL, FILTER_TERMS, FILTER_JSON, FILTER_FIELDS };
enum term_kind { TERM_MUST, TERM_MAY, TERM_NOT };
enum cond_kind { COND_AND, COND_OR, COND_TEST };
enum cond_op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IS_TRUE, OP_IS_FALSE, OP_IS_NULL, OP_EXISTS, OP_NOT_EXISTS };

struct filter_term {
	struct filter_term *next;
	enum term_kind kind;
	struct str text;
	const struct pattern *regex; /* NULL: text */
};

/* What a value is compared with. */
struct filter_value {
	struct str text;            /* without the asterisks at its ends */
	bool any_before, any_after; /* there was an asterisk */
	bool is_number;
	double number;
	const struct pattern *regex; /* NULL: none of it */
};

struct filter_step {    /* of a selector */
	struct str key; /* absent: an index */
	uint32_t index;
};

struct filter_cond {
	enum cond_kind kind;
	struct filter_cond *left, *right;
	const struct filter_step *steps; /* JSON: what is tested */
	uint32_t step_count;
	enum cond_op op;
	struct filter_value value;
};

struct filter_field {
	struct str name;          /* absent: unnamed */
	struct filter_cond *cond; /* NULL: any */
};

struct log_filter {
	enum filter_kind kind;
	struct filter_term *terms;
	bool has_must, has_may;
	struct filter_cond *cond;
	const struct filter_field *fields;
	uint32_t field_count;
	int32_t ellipsis; /* fields before it; -1: there is none */
};

struct log_selector {
	struct filter_cond at; /* JSON: its steps */
	struct str name;       /* of a field, with the $ */
};
