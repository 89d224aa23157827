/* A way into an instance that runs, without keys: `quartet exec`. The permission is ssm:StartSession on the instance, which is what
 * AWS asks for the same, so policies that were written for Session Manager hold here too. */
#pragma once
#include "core/cloud.h"
#include "core/use.h"

struct gate;
struct http_request;
struct machine;

/* The machine of the instance, for `who`, who came with request r; it is the desk's and may go as soon as control returns to the
 * loop. NULL: *ret_status (of HTTP) and *ret_why say why not, in r's arena. */
struct machine *ec2_enter(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who,
                          struct str region, struct str id, unsigned *ret_status, struct str *ret_why);
/* The same without a question of permission, for a session that was allowed before. NULL: it does not run. */
struct machine *ec2_enter_machine(struct cloud *cloud, struct str id);
/* What it uses, for `who`, who must be allowed ec2:DescribeInstances; it is asked for anew as well, so the next answer is of about
 * now. False: as above. */
bool ec2_use(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who, struct str region,
             struct str id, struct workload_use *ret, unsigned *ret_status, struct str *ret_why);
