/* The memory and processors of this machine that instances and reservations are given. Private to aws/ec2. */
#pragma once
#include "aws/ec2/desk.h"

/* MiB and vCPUs that instances may have altogether, and how many of a type fit into what is left. */
void capacity_of_host(uint64_t *ret_memory_mib, unsigned *ret_vcpus);
int64_t capacity_fit(int64_t memory_mib, int64_t vcpus, const struct instance_type *type);

/* What is left beside what runs, what reservations keep and what other calls are taking; may be negative. */
void capacity_left(struct call *c, int64_t *ret_memory_mib, int64_t *ret_vcpus);
int64_t capacity_room(struct call *c, const struct instance_type *type);
/* The call takes this much with its commit, all in all: nobody else is promised it from now on. Nothing is held when it fails. */
void capacity_take(struct call *c, int64_t memory_mib, int64_t vcpus);
/* The desk has had a round: what was committed before is in its count. */
void capacity_counted(struct desk *d);
void capacity_forget(struct desk *d); /* the desk goes */
