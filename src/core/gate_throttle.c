/* Throttling that somebody has asked for (`quartet chaos api-throttle`): a client's call is answered with the error that its
 * service has for too many calls, in the service's own words, before it is allowed or done. Our own services' calls are not a
 * client's. */
#include "core/chaos.h"
#include "core/gate_call.h"

#include "base/rand.h"

static const struct {
	const char *api, *code;
	unsigned status;
	const char *message;
} own[] = {
        {"ec2", "RequestLimitExceeded", 503, "Request limit exceeded."},
        {"lambda", "TooManyRequestsException", 429, "Rate exceeded"},
        {"route53", "Throttling", 400, "Rate exceeded"},
        {"s3", "SlowDown", 503, "Please reduce your request rate."},
        {"servicediscovery", "RequestLimitExceeded", 400, "Rate exceeded"},
};

bool gate_throttles(struct gate_call *g)
{
	struct call *c = &g->call;
	const struct chaos_fault *f = c->http ? chaos_find(c->cloud->chaos, CHAOS_THROTTLE, str_from(g->api->id)) : NULL;
	if (!f || rand_below(100) >= f->amount)
		return false;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (str_is(str_from(g->api->id), own[i].api)) {
			call_fail(c, own[i].code, own[i].status, "%s", own[i].message);
			return true;
		}
	call_fail(c, c->protocol == PROTOCOL_QUERY ? "Throttling" : "ThrottlingException", 400, "Rate exceeded");
	return true;
}
