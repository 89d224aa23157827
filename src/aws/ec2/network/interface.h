/* Network interfaces as instances need them. The record (struct state_vpc_interface_record) holds EC2's structure, addresses,
 * groups, attachment and the public address with it; records -> kernel is sync.c's work. A port exists in the kernel while the
 * record's `Up` is set: set it when the machine is to run, clear it when it has ended (a port that is put again brings a new tap).
 *
 * All functions write through the transaction of the scope or call that they are given. Private to aws/ec2. */
#pragma once
#include "aws/ec2/state.h"

struct ec2_interface_new {
	struct str subnet;                /* must exist */
	const struct str_list *groups;    /* ids; none: the VPC's default group */
	struct str address;               /* primary private address; absent: the first free one */
	const struct str_list *secondary; /* further ones; NULL: none */
	int64_t secondary_count;          /* further free ones */
	const struct str_list *ipv6;      /* IPv6 addresses; NULL: none */
	int64_t ipv6_count;               /* free ones of the subnet's block instead */
	struct str description;           /* absent: "" */
	struct ec2_tag_list tags;
	struct str type;      /* "interface", "nat_gateway" */
	struct str requester; /* requester-managed by this id; absent: the account's own */
	bool public;          /* with a public address of Amazon's pool, released with the interface */
	bool unfiltered;      /* without groups: everything passes */
};
/* CALL_OK and the record, which has been put; or CALL_FAIL with EC2's error (InvalidIPAddress.InUse,
 * InsufficientFreeAddressesInSubnet, InvalidGroup.NotFound, SecurityGroupsPerInterfaceLimitExceeded, ...). */
int ec2_interface_create(struct call *c, const struct ec2_interface_new *what, struct state_vpc_interface_record *ret);
/* Exclusive to an instance from now on: state in-use, attachment attached. Changes *record and puts it. */
void ec2_interface_attach(const struct ec2_scope *s, struct state_vpc_interface_record *record, struct str instance,
                          int64_t device_index, bool delete_on_termination, int64_t now_ms);
/* Free again: available, no attachment, not up. A public address that is no elastic one is released. One that was lent and has been
 * returned goes altogether. */
void ec2_interface_detach(const struct ec2_scope *s, struct state_vpc_interface_record *record);
/* Removes the interface with its addresses; an elastic address is disassociated and stays the account's. */
void ec2_interface_remove(const struct ec2_scope *s, struct state_vpc_interface_record *record);
/* What the type's network gives, for as long as the port is up; the caller sets it up next. NULL: no limit. */
struct instance_type;
void ec2_interface_limit(struct state_vpc_interface_record *record, const struct instance_type *type);
/* The instance runs or ends: its port is there or not, as a plug (containers) or a tap device. A public address of
 * Amazon's pool that the interface had is given back with `release_public` (stop) and taken anew with `take_public` (start).
 * Negative errno: the pool is empty. */
int ec2_interface_set_up(const struct ec2_scope *s, struct state_vpc_interface_record *record, bool up, bool as_namespace);
int ec2_interface_take_public(const struct ec2_scope *s, struct state_vpc_interface_record *record);
void ec2_interface_release_public(const struct ec2_scope *s, struct state_vpc_interface_record *record);

/* Other groups, all of its VPC (ids; at least one). */
int ec2_interface_set_groups(struct call *c, struct state_vpc_interface_record *record, const struct str_list *groups);

/* The interfaces that are attached to an instance, by device index; *ret lies in the arena. */
struct ec2_interfaces {
	struct state_vpc_interface_record *v;
	uint32_t n;
	bool set;
};
void ec2_interfaces_of(const struct ec2_scope *s, struct str instance, struct ec2_interfaces *ret);
/* The interface that has this private address in a subnet; STR_NONE: none. */
struct str ec2_address_holder(const struct ec2_scope *s, struct str subnet, uint32_t address);

/* Where an instance is launched: the subnet named, else the default subnet of that zone (absent: one of them). CALL_FAIL:
 * InvalidSubnetID.*, VPCIdNotSpecified, or a zone without default subnet. */
int ec2_subnet_for_launch(struct call *c, struct str subnet, struct str zone, struct ec2_subnet *ret);
/* Groups by name in a VPC (RunInstances' SecurityGroup.n) to ids. CALL_FAIL: InvalidGroup.NotFound. */
int ec2_groups_by_name(struct call *c, struct str vpc, const struct str_list *names, struct str_list *ret_ids);
/* "ip-172-31-0-5.ec2.internal" */
struct str ec2_private_name(struct arena *a, struct str region, struct str address);
/* "ec2-127-64-0-5.compute-1.amazonaws.com"; absent where the VPC has no DNS hostnames. */
struct str ec2_public_name(struct arena *a, struct str region, struct str address);
