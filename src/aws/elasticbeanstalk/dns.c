#include "elasticbeanstalk.h"

static const struct str domain = S_INIT(".elasticbeanstalk.com"), local = S_INIT(".elasticbeanstalk.localhost");
enum { TTL_S = 60, ADDRESSES = 16 };

enum dns_said elasticbeanstalk_answer(const struct cloud *cloud, struct str vpc, const struct dns_query *q, struct dns_writer *w)
{
	struct str name = str_from(q->name);
	if (!q->plain || q->class != DNS_IN || !str_ends(name, domain))
		return DNS_NOT_MINE;
	uint32_t addresses[ADDRESSES];
	unsigned n = elasticbeanstalk_addresses(cloud, vpc, name, addresses, ADDRESSES);
	if (!n)
		return DNS_NOT_MINE;
	bool wanted = q->type == DNS_A || q->type == DNS_ANY;
	for (unsigned i = 0; wanted && i < n; i++)
		dns_put_address(w, DNS_ANSWER, NULL, TTL_S, addresses[i]);
	if (!wanted)
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
	struct str cname = ARENA_CAT(&a, str_of(host.p, host.n - local.n), domain);
	uint32_t address = 0;
	elasticbeanstalk_addresses(cloud, STR_NONE, cname, &address, 1);
	return address;
}
