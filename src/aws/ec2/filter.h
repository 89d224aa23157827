/* Filters of Describe operations: names are ANDed, the values of one are ORed, * ? and backslash mean what EC2 says. A kind lists
 * its filters as rows; tag:KEY and tag-key are understood for all. Private to aws/ec2. */
#pragma once
#include "aws/ec2/kind.h"

enum ec2_field_kind {
	EC2_TEXT,   /* struct str at `at` of EC2's structure */
	EC2_FLAG,   /* struct opt_bool */
	EC2_NUMBER, /* struct opt_int */
	EC2_EACH,   /* of the list at `at`: the text at `in` of every element, which is `size` long */
	EC2_PATH,   /* what lies at `path` of the model's structure `shape`, of every element on the way: "Placement.Tenancy" */
	EC2_ASK,    /* ask(c, record, ret) appends the values */
	EC2_NEVER,  /* EC2 knows the name, but this cloud has nothing of the kind: nothing matches */
};
struct ec2_field {
	const char *name; /* NULL ends the rows */
	enum ec2_field_kind kind;
	size_t at, in, size;
	void (*ask)(struct call *c, void *record, struct str_list *ret);
	const char *shape, *path;
};
#define FIELD_TEXT(name_, type, member) \
	{ \
		.name = name_, .kind = EC2_TEXT, .at = offsetof(struct type, member) \
	}
#define FIELD_FLAG(name_, type, member) \
	{ \
		.name = name_, .kind = EC2_FLAG, .at = offsetof(struct type, member) \
	}
#define FIELD_NUMBER(name_, type, member) \
	{ \
		.name = name_, .kind = EC2_NUMBER, .at = offsetof(struct type, member) \
	}
#define FIELD_EACH(name_, type, list, element, member) \
	{ \
		.name = name_, .kind = EC2_EACH, .at = offsetof(struct type, list), .in = offsetof(struct element, member), \
		.size = sizeof(struct element) \
	}
#define FIELD_PATH(name_, shape_, path_) \
	{ \
		.name = name_, .kind = EC2_PATH, .shape = shape_, .path = path_ \
	}
#define FIELD_ASK(name_, fn) \
	{ \
		.name = name_, .kind = EC2_ASK, .ask = fn \
	}
#define FIELD_NEVER(name_) \
	{ \
		.name = name_, .kind = EC2_NEVER \
	}

/* CALL_FAIL: a name that no row has, no values, or too many. */
int ec2_filters_check(struct call *c, const struct ec2_field *fields, const struct ec2_filter_list *filters);
/* Does the record pass? The filters have been checked. */
bool ec2_filters_pass(struct call *c, const struct ec2_kind *kind, void *record, const struct ec2_field *fields,
                      const struct ec2_filter_list *filters);
/* Does the text match one of the values? */
bool ec2_filter_matches(const struct ec2_filter *filter, struct str text);
/* Appends, as text, what lies at the path of a structure of EC2's model; of what is not set, nothing. */
void ec2_path_values(struct arena *a, const char *shape, const void *at, const char *path, struct str_list *ret);
