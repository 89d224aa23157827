/* Capacity reservations: places of one instance type that nobody else gets. What a reservation has free counts as used in this
 * machine's capacity (its desk item, reservation_step()), and its own instances come out of that. The record says how many are
 * free; it changes in the same transaction as the instance that takes or leaves a place. Private to aws/ec2. */
#pragma once
#include "aws/ec2/desk.h"

extern const struct ec2_kind ec2_kind_reservation;
enum { EC2_RESERVATIONS_MAX = 200 }; /* of an account in a region */

/* Where the instances of a call may go: reservations with free places, `places` in all. */
struct reserved {
	struct ec2_capacity_reservation *v;
	uint32_t n;
	int64_t places;
	bool only; /* nowhere else */
	struct ec2_capacity_reservation_specification_response *shown;
};
/* Those that fit what a launch (or, `start`, an instance that was launched so) says of reservations. CALL_FAIL: EC2's error: a
 * target that is not there, does not fit or is full. */
int reservation_find(struct call *c, const struct ec2_capacity_reservation_specification *spec, const struct instance_type *type,
                     struct str zone, int64_t count, struct reserved *ret);
int reservation_find_again(struct call *c, const struct ec2_instance *i, struct reserved *ret);
/* Puts one instance (its record is put by the caller) into the first with a free place; none: it goes without. */
void reservation_enter(const struct ec2_scope *s, struct reserved *all, struct ec2_instance *i);
/* It has stopped, or is no more. */
void reservation_leave(const struct ec2_scope *s, struct ec2_instance *i);
/* Its end in that state: what runs in it goes on without it. Puts r. */
void reservation_end(const struct ec2_scope *s, struct ec2_capacity_reservation *r, const char *state, int64_t now_ms);
/* Holds the free places, and ends what has come to its date. */
void reservation_step(struct desk_item *i, const struct ec2_scope *s);

ec2_create_capacity_reservation_handler ec2_create_capacity_reservation;
ec2_describe_capacity_reservations_handler ec2_describe_capacity_reservations;
ec2_modify_capacity_reservation_handler ec2_modify_capacity_reservation;
ec2_modify_instance_capacity_reservation_attributes_handler ec2_modify_instance_capacity_reservation_attributes;
ec2_cancel_capacity_reservation_handler ec2_cancel_capacity_reservation;
