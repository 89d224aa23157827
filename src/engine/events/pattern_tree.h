/* What a pattern is once it is read: for pattern_parse.c, which makes it, and those that ask it. */
#pragma once
#include "engine/events/pattern.h"
#include "model/model.h"

enum test_kind {
	TEST_EXACT, /* a value of the same kind and text */
	TEST_PREFIX,
	TEST_SUFFIX,
	TEST_FOLDED, /* equals-ignore-case */
	TEST_WILDCARD,
	TEST_RANGE, /* numbers */
	TEST_CIDR,
	TEST_THERE,
	TEST_ABSENT,
	TEST_NONE_OF, /* anything-but: of `of` */
};

/* One of those in the array at the end of a path. */
struct test {
	enum test_kind kind;
	bool fold;             /* prefix, suffix: whatever the case */
	enum json_token value; /* TEST_EXACT */
	struct str text;
	double from, to;           /* TEST_RANGE */
	bool above, below;         /* without from, without to */
	unsigned char network[16]; /* TEST_CIDR; IPv4 in the first four bytes */
	unsigned bits;
	bool six;
	struct str_list parts; /* TEST_WILDCARD: what is between the stars */
	struct test *of, *next;
};

struct fields;
struct field {
	struct str name;
	struct test *tests; /* a leaf's; NULL: it has fields of its own */
	struct fields *fields;
	struct field *next;
};
/* $or: one of them */
struct ways {
	struct fields *any;
	struct ways *next;
};
struct fields {
	struct field *first;
	struct ways *ways;
	struct fields *next; /* the next of its $or */
};
struct event_pattern {
	struct fields all;
};

bool test_parse_cidr(struct str text, struct test *ret);
