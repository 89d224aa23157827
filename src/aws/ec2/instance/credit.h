/* CPU credits of burstable types. credit.c is the arithmetic and pure; credit_keep.c keeps the accounts, one a record beside the
 * instance's, and holds machines to them; credit_op.c has the operations. A credit is a minute of one vCPU; amounts are millionths
 * of it. Private to aws/ec2. */
#pragma once
#include "aws/ec2/compute.h"
#include "aws/ec2/instance/instance_type.h"

#define CREDIT INT64_C(1000000)

struct desk_item;
struct machine_usage;

struct credit_kind {
	int64_t per_hour; /* earned while running; 0: the type is not burstable */
	int64_t most;     /* of the balance, and of what may be owed: a day's */
	int64_t launch;   /* given at every start while standard */
	bool keeps;       /* the balance outlives a stop, for a week */
};
struct credit_account {
	bool unlimited;
	int64_t balance;
	int64_t launch;  /* what is left of those; spent first, and not counted against the most */
	int64_t surplus; /* owed; paid back by what is earned */
};

/* --- credit.c */

struct credit_kind credit_kind_of(const struct instance_type *t);
/* It starts, after so long an end; away_ms < 0: for the first time. */
void credit_start(const struct credit_kind *k, struct credit_account *a, int64_t away_ms);
/* It has run for so long, and its processors for so much. Returns what has to be paid now. */
int64_t credit_pass(const struct credit_kind *k, struct credit_account *a, int64_t ms, int64_t cpu_us);
/* It ends, or is standard from now on: what it owes has to be paid. */
int64_t credit_settle(struct credit_account *a);
/* How much of one vCPU all of its vCPUs may use until it is looked at again, a minute later: what it earns, and what it has. */
unsigned credit_percent(const struct instance_type *t, const struct credit_account *a);

/* --- credit_keep.c */

/* What an instance is to be at its launch. `asked` absent: as the account says for the family, or AWS. */
void credit_open(const struct ec2_scope *s, const struct ec2_instance *i, const struct instance_type *t, struct str asked);
/* The type's mode for launches that say nothing. */
bool credit_default(const struct ec2_scope *s, struct str family);
void credit_set_default(const struct ec2_scope *s, struct str family, bool unlimited);
bool credit_is_unlimited(const struct ec2_scope *s, const struct ec2_instance *i, const struct instance_type *t);
void credit_set_unlimited(const struct ec2_scope *s, const struct ec2_instance *i, const struct instance_type *t, bool unlimited);
/* Its machine has ended; gone: and no other will come. In the transaction of the record. */
void credit_end(const struct ec2_scope *s, const struct ec2_instance *i, bool gone);
/* For a machine that starts; 100 for each vCPU where the type is not burstable. */
unsigned credit_percent_at_start(const struct ec2_scope *s, const struct ec2_instance *i, const struct instance_type *t);
/* Holds a running machine to what its account has. */
void credit_apply(struct desk_item *i, const struct ec2_scope *s, const struct ec2_instance *instance);

/* The account as it stands with a machine's counter; written later. False: not burstable, or nothing has been measured. */
struct credit_look {
	struct credit_account account;
	int64_t used, charged; /* since the last time */
};
bool credit_look(struct desk_item *i, const struct ec2_scope *s, const struct ec2_instance *instance,
                 const struct machine_usage *usage, struct credit_look *ret);

/* --- credit_op.c */

/* RunInstances' CreditSpecification. CALL_FAIL: EC2's error. */
int credit_check_launch(struct call *c, const struct ec2_credit_specification_request *asked, const struct instance_type *t);
ec2_describe_instance_credit_specifications_handler ec2_describe_instance_credit_specifications;
ec2_get_default_credit_specification_handler ec2_get_default_credit_specification;
ec2_modify_default_credit_specification_handler ec2_modify_default_credit_specification;
ec2_modify_instance_credit_specification_handler ec2_modify_instance_credit_specification;
