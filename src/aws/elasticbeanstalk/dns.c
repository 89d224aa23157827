#include "elasticbeanstalk.h"

static const struct str domain = S_INIT(".elasticbeanstalk.com"), local = S_INIT(".elasticbeanstalk.localhost");
enum { TTL_S = 60 };

enum dns_said elasticbeanstalk_answer(const struct cloud *cloud, const struct dns_query *q, struct dns_writer *w)
{
	struct str name = str_from(q->name);
	if (!q->plain || q->class != DNS_IN || !str_ends(name, domain))
		return DNS_NOT_MINE;
	uint32_t address = elasticbeanstalk_address(cloud, name);
	if (!address)
		return DNS_NOT_MINE;
	if (q->type == DNS_A || q->type == DNS_ANY)
		dns_put_address(w, DNS_ANSWER, NULL, TTL_S, address);
	else
		dns_put_soa(w, "elasticbeanstalk.com", "ns0.amazonaws.com", TTL_S);
	return DNS_ANSWERED;
}

bool elasticbeanstalk_is_local_name(struct str host)
{
	return str_ends(host, local);
}

uint32_t elasticbeanstalk_find_local(const struct cloud *cloud, struct str host)
{
	struct arena CLEAN_ARENA a = {0};
	return elasticbeanstalk_address(cloud, ARENA_CAT(&a, str_of(host.p, host.n - local.n), domain));
}
