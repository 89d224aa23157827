/* What a policy document is compiled to. For policy*.c alone. */
#pragma once
#include "core/policy.h"

/* A text with wildcards, and perhaps variables to fill in first. */
struct policy_pattern {
	struct str text;
	bool wild;      /* has * or ? */
	bool variables; /* has ${...} that counts (version 2012-10-17) */
	bool any;       /* just "*" */
};

struct policy_action {
	struct str service; /* lower case; wild: may hold wildcards */
	struct str name;    /* behind the colon */
	bool any, service_wild, name_any, name_wild;
};

enum principal_type { PRINCIPAL_TYPE_AWS, PRINCIPAL_TYPE_SERVICE, PRINCIPAL_TYPE_FEDERATED, PRINCIPAL_TYPE_CANONICAL };
struct policy_principal {
	enum principal_type type;
	struct str value;   /* as given */
	struct str account; /* an account id or root ARN: its account */
	bool any;
};

enum condition_test {
	TEST_STRING,
	TEST_STRING_FOLD,
	TEST_STRING_LIKE,
	TEST_NUMERIC,
	TEST_DATE,
	TEST_BOOL,
	TEST_BINARY,
	TEST_IP,
	TEST_ARN,
	TEST_NULL,
};
enum condition_order { ORDER_EQ, ORDER_LT, ORDER_LE, ORDER_GT, ORDER_GE };
enum condition_set { SET_NONE, SET_ALL, SET_ANY };
struct policy_condition {
	enum condition_test test;
	enum condition_order order;
	enum condition_set set;
	bool negated, if_exists;
	struct str key;
	struct policy_pattern *values;
	unsigned count;
};

struct policy_statement {
	struct str sid;
	bool deny, not_action, not_resource, not_principal;
	bool has_resource, has_principal;
	struct policy_place begins, ends;
	struct policy_action *actions;
	struct policy_pattern *resources;
	struct policy_principal *principals;
	struct policy_condition *conditions;
	unsigned action_count, resource_count, principal_count, condition_count;
};

struct policy {
	struct arena arena;
	struct str name;
	enum policy_kind kind;
	struct policy_statement *statements;
	unsigned count;
};

/* policy_variables.c: the pattern with its variables filled in. literal (as long as *ret, or NULL: none) marks bytes that came from
 * values or escapes and are no wildcards. False: a variable has no (single) value. */
bool policy_expand(const struct policy_pattern *p, const struct policy_request *q, struct str *ret, const char **ret_literal);
/* Does text match, wildcards working? An unresolved variable matches nothing. */
bool policy_pattern_match(const struct policy_pattern *p, const struct policy_request *q, struct str text);
/* The same without wildcards. */
bool policy_pattern_equal(const struct policy_pattern *p, const struct policy_request *q, struct str text, bool fold);
/* Six parts one by one; in the last, * spans anything. */
bool policy_pattern_arn(const struct policy_pattern *p, const struct policy_request *q, struct str arn);
/* Calls fn with the name of every variable. */
void policy_each_variable(struct str text, void (*fn)(void *ctx, struct str name), void *ctx);

/* policy_condition.c */
bool policy_condition_name(struct str name,
                           struct policy_condition *ret); /* "ForAllValues:StringLikeIfExists"; false: no such operator */
bool policy_condition_holds(const struct policy_condition *c, const struct policy_request *q);
bool policy_ip_valid(struct str text); /* an address or CIDR */
