/* Filters of Describe operations: names are ANDed, the values of one are ORed, * ? and backslash mean what EC2 says. A kind lists
 * its filters as rows; tag:KEY and tag-key are understood for all. Private to aws/ec2. */
#pragma once
#include "aws/ec2/kind.h"

enum ec2_field_kind {
	EC2_TEXT,   /* struct str at `at` of EC2's structure */
	EC2_FLAG,   /* struct opt_bool */
	EC2_NUMBER, /* struct opt_int */
	EC2_EACH,   /* of the list at `at`: the text at `in` of every element, which is `size` long */
	EC2_ASK,    /* ask(c, record, ret) appends the values */
};
struct ec2_field {
	const char *name; /* NULL ends the rows */
	enum ec2_field_kind kind;
	size_t at, in, size;
	void (*ask)(struct call *c, void *record, struct str_list *ret);
};
#define FIELD_TEXT(name, type, member) \
	{ \
		name, EC2_TEXT, offsetof(struct type, member), 0, 0, NULL \
	}
#define FIELD_FLAG(name, type, member) \
	{ \
		name, EC2_FLAG, offsetof(struct type, member), 0, 0, NULL \
	}
#define FIELD_NUMBER(name, type, member) \
	{ \
		name, EC2_NUMBER, offsetof(struct type, member), 0, 0, NULL \
	}
#define FIELD_EACH(name, type, list, element, member) \
	{ \
		name, EC2_EACH, offsetof(struct type, list), offsetof(struct element, member), sizeof(struct element), NULL \
	}
#define FIELD_ASK(name, fn) \
	{ \
		name, EC2_ASK, 0, 0, 0, fn \
	}

/* CALL_FAIL: a name that no row has, no values, or too many. */
int ec2_filters_check(struct call *c, const struct ec2_field *fields, const struct ec2_filter_list *filters);
/* Does the record pass? The filters have been checked. */
bool ec2_filters_pass(struct call *c, const struct ec2_kind *kind, void *record, const struct ec2_field *fields,
                      const struct ec2_filter_list *filters);
/* Does the text match one of the values? */
bool ec2_filter_matches(const struct ec2_filter *filter, struct str text);
