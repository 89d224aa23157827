/* DNS messages, which instances and name servers write as they like: what is read of a query lies within it, and an answer to it
 * reads as one. */
#include "engine/dns/wire.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_query q;
	struct dns_writer w;
	uint8_t answer[DNS_LARGE_MAX], name[DNS_NAME_MAX];
	/* the other half of an answer that led on */
	static const uint8_t half[] = "\0\0\1\0\0\1\0\0\0\0\0\0\1x\0\0\1\0\1";
	assert(dns_query_read(half, sizeof(half) - 1, &q) == DNS_OK);
	dns_begin(&w, answer, q.limit, half, &q);
	assert(dns_merge(&w, data, size) <= 15 && dns_end(&w, DNS_OK) <= q.limit);
	int code = dns_query_read(data, size, &q);
	if (code < 0)
		return 0;
	assert(q.limit >= DNS_PLAIN_MAX && q.limit <= DNS_LARGE_MAX);
	assert(q.question_n == 0 || DNS_HEAD + q.question_n <= size);
	size_t n = dns_refuse(answer, q.limit, data, &q, DNS_SERVER_FAILED);
	assert(n <= q.limit && n >= DNS_HEAD + q.question_n);
	if (code != DNS_OK)
		return 0;
	assert(strlen(q.name) < sizeof(q.name));
	if (q.plain)
		assert(dns_name_write(q.name, name) + 4 == q.question_n);
	assert(dns_answers(data, &q, q.id, answer, n));
	dns_begin(&w, answer, q.limit, data, &q);
	for (unsigned i = 0; i < size % 64; i++)
		dns_put_address(&w, DNS_ANSWER, NULL, 60, i);
	dns_put_soa(&w, q.plain ? q.name : "", "ns.test", 60);
	w.authoritative = true;
	n = dns_end(&w, DNS_OK);
	assert(n <= q.limit && dns_answers(data, &q, q.id, answer, n));
	/* as if it came from a name server */
	dns_answers(answer, &q, q.id, data, size);
	return 0;
}
