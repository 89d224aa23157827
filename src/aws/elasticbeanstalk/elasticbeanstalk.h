/* Elastic Beanstalk's face for the rest: where environments are by their names. */
#pragma once
#include "core/cloud.h"
#include "engine/dns/dns.h"

/* PREFIX.REGION.elasticbeanstalk.com in lower case: the address (host byte order) that it leads to; 0: there is none. */
uint32_t elasticbeanstalk_address(const struct cloud *cloud, struct str cname);
/* DNS_NOT_MINE: no environment is called so. */
enum dns_said elasticbeanstalk_answer(const struct cloud *cloud, const struct dns_query *q, struct dns_writer *w);
/* The same for a name that programs take for this machine's own: PREFIX.REGION.elasticbeanstalk.localhost. */
bool elasticbeanstalk_is_local_name(struct str host);
uint32_t elasticbeanstalk_find_local(const struct cloud *cloud, struct str host);
