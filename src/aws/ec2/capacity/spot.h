/* Spot: requests, the price, and what an interruption does. A spot instance runs on capacity that nobody pays the whole price for;
 * a launch that does not fit otherwise takes it back. Private to aws/ec2. */
#pragma once
#include "aws/ec2/desk.h"

extern const struct ec2_kind ec2_kind_spot_request;

/* What a launch asks for; checked by spot_take(). */
struct spot_ask {
	bool set;
	struct str price, max_price; /* dollars an hour; max_price: as shown */
	struct opt_time from, until;
	bool persistent;
	struct str request; /* absent: a new one; else one that waits, which this launch fulfils */
};
/* CALL_FAIL also when the highest price is below that of now. A launch that fulfils a request that waits (spot_open.c) finds it
 * here, and gets the tags that the template gave it then. */
int spot_take(struct call *c, const struct ec2_run_instances_request *in, const struct instance_type *type, struct spot_ask *ret,
              struct ec2_tag_list *template_tags);
/* Makes the request of an instance that is about to be put, and says so in its record. No spot: nothing is done. */
void spot_launched(struct call *c, const struct spot_ask *ask, const struct ec2_run_instances_request *in,
                   const struct ec2_tag_list *template_tags, struct state_ec2_instance_record *r);
/* Gives the oldest spot instances their notice until `count` instances of the type fit. How many fit then; *ret_waits: whether they
 * have to wait for others to end. Fewer than count: nobody was told. */
int64_t spot_reclaim(struct call *c, const struct instance_type *type, int64_t room, int64_t count, bool *ret_waits);
/* Gives an instance its notice: at that time it is ended. It is recommended to be replaced from now on at the latest. Puts r. */
void spot_tell(const struct ec2_scope *s, struct state_ec2_instance_record *r, int64_t now_ms, int64_t end_ms);
/* One that cannot be stopped (started again): CALL_FAIL with the reason. */
int spot_check_stop(struct call *c, const struct ec2_instance *i);
int spot_check_start(struct call *c, const struct ec2_instance *i);
/* Is it a spot instance that its request has no second one for? Then it ends where others are stopped. */
bool spot_is_one_time(const struct ec2_scope *s, const struct ec2_instance *i);

/* spot_open.c: requests that wait. What is launched when their time, the price or capacity comes is kept beside them. */
void spot_keep_launch(const struct ec2_scope *s, struct str request, const struct ec2_run_instances_request *in,
                      const struct ec2_tag_list *template_tags);
/* Nothing more comes of it. */
void spot_drop_launch(const struct ec2_scope *s, struct str request);
/* The request that a launch in the name of the service fulfils; absent: it is no such launch. */
struct str spot_fulfils(const struct call *c, const struct ec2_run_instances_request *in);
void spot_template_tags(const struct ec2_scope *s, struct str request, struct ec2_tag_list *ret);
/* Its end came: false when it had come before. The caller puts r. */
bool spot_expire(const struct ec2_scope *s, struct ec2_spot_instance_request *r, int64_t now_ms);
/* The desk's step of a request. */
void spot_step_request(struct desk_item *i, const struct ec2_scope *s);

/* spot_end.c. The step of an instance that has its notice. */
void spot_step(struct desk_item *i, const struct state_ec2_instance_record *r);
/* Has an instance that took the place of others to wait until they have ended? */
bool spot_waits(struct desk_item *i, const struct state_ec2_instance_record *r);
/* An instance is terminated: its request is closed, or open again if it is persistent. It is stopped, or about to start again:
 * a persistent request is disabled so long. */
void spot_instance_ended(const struct ec2_scope *s, const struct state_ec2_instance_record *r, int64_t now_ms);
void spot_instance_stopped(const struct ec2_scope *s, const struct state_ec2_instance_record *r, int64_t now_ms);
void spot_instance_starts(const struct ec2_scope *s, const struct ec2_instance *i, int64_t now_ms);
void spot_status(const struct ec2_scope *s, struct ec2_spot_instance_request *r, int64_t now_ms, const char *code,
                 const char *message);

ec2_request_spot_instances_handler ec2_request_spot_instances;
ec2_describe_spot_instance_requests_handler ec2_describe_spot_instance_requests;
ec2_cancel_spot_instance_requests_handler ec2_cancel_spot_instance_requests;
ec2_describe_spot_price_history_handler ec2_describe_spot_price_history;
