/* Elastic Beanstalk's face for the rest: where environments are by their names. */
#pragma once
#include "core/cloud.h"
#include "engine/dns/dns.h"

/* PREFIX.REGION.elasticbeanstalk.com in lower case: the addresses (host byte order) that it leads to, of its instance or of its
 * load balancer, in any order. How many, at most `max`; 0: there is none. vpc: who asks, absent: this machine. */
unsigned elasticbeanstalk_addresses(const struct cloud *cloud, struct str vpc, struct str cname, uint32_t *out, unsigned max);
/* DNS_NOT_MINE: no environment is called so. */
enum dns_said elasticbeanstalk_answer(const struct cloud *cloud, struct str vpc, const struct dns_query *q, struct dns_writer *w);
/* The same for a name that programs take for this machine's own: PREFIX.REGION.elasticbeanstalk.localhost. */
bool elasticbeanstalk_is_local_name(struct str host);
uint32_t elasticbeanstalk_find_local(const struct cloud *cloud, struct str host);
