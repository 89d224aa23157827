/* Load balancers and environments at the endpoint's own port, by their names under localhost:
 * http://NAME-ID.REGION.elb.localhost:4566/, http://PREFIX.REGION.elasticbeanstalk.localhost:4566/. */
#pragma once
#include "core/cloud.h"

struct http_request;

/* True: the request is for one of them, and goes to it with all that follows on its connection. */
bool balancer_door_take(struct cloud *cloud, struct http_request *r);
