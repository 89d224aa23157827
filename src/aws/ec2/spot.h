/* Spot: requests, the price, and what an interruption does. A spot instance runs on capacity that nobody pays the whole price for;
 * a launch that does not fit otherwise takes it back. Private to aws/ec2. */
#pragma once
#include "aws/ec2/desk.h"

extern const struct ec2_kind ec2_kind_spot_request;

/* What a launch asks for; checked by spot_take(). */
struct spot_ask {
	bool set;
	struct str price, max_price; /* dollars an hour; max_price: as shown */
	struct opt_time until;
};
/* CALL_FAIL also when the highest price is below that of now. */
int spot_take(struct call *c, const struct ec2_instance_market_options_request *market, const struct instance_type *type,
              struct spot_ask *ret);
/* Makes the request of an instance that is about to be put, and says so in its record. No spot: nothing is done. */
void spot_launched(struct call *c, const struct spot_ask *ask, const struct ec2_tag_specification_list *tags,
                   struct state_ec2_instance_record *r);
/* Gives the oldest spot instances their notice until `count` instances of the type fit. How many fit then; *ret_waits: whether they
 * have to wait for others to end. Fewer than count: nobody was told. */
int64_t spot_reclaim(struct call *c, const struct instance_type *type, int64_t room, int64_t count, bool *ret_waits);
/* One that cannot be stopped: CALL_FAIL with the reason. */
int spot_check_stop(struct call *c, const struct ec2_instance *i);

/* spot_end.c. The step of an instance that has its notice. */
void spot_step(struct desk_item *i, const struct state_ec2_instance_record *r);
/* Has an instance that took the place of others to wait until they have ended? */
bool spot_waits(struct desk_item *i, const struct state_ec2_instance_record *r);
/* An instance is terminated: its request is closed. */
void spot_instance_ended(const struct ec2_scope *s, const struct state_ec2_instance_record *r, int64_t now_ms);
void spot_status(const struct ec2_scope *s, struct ec2_spot_instance_request *r, int64_t now_ms, const char *code,
                 const char *message);

/* capacity.c: MiB and vCPUs that instances may have altogether, and how many of a type fit beside what there is. */
void capacity_of_host(uint64_t *ret_memory_mib, unsigned *ret_vcpus);
int64_t capacity_fit(int64_t memory_mib, int64_t vcpus, const struct instance_type *type);
int64_t capacity_room(struct call *c, const struct instance_type *type);

ec2_request_spot_instances_handler ec2_request_spot_instances;
ec2_describe_spot_instance_requests_handler ec2_describe_spot_instance_requests;
ec2_cancel_spot_instance_requests_handler ec2_cancel_spot_instance_requests;
ec2_describe_spot_price_history_handler ec2_describe_spot_price_history;
