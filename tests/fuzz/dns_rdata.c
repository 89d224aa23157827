/* Names and values of records, which clients write as they like: what is taken fits the wire, and names come back as they were. */
#include "engine/dns/name.h"
#include "engine/dns/rdata.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = {DNS_A,   DNS_AAAA,  DNS_CAA, DNS_CNAME, DNS_DS,   DNS_HTTPS, DNS_MX,  DNS_NAPTR,
	                                 DNS_PTR, DNS_SSHFP, DNS_SRV, DNS_SVCB,  DNS_TLSA, DNS_TXT,   DNS_SOA, DNS_SPF};
	static uint8_t wire[DNS_RDATA_MAX];
	uint8_t name[DNS_NAME_MAX], again[DNS_NAME_MAX];
	struct arena CLEAN_ARENA a = {0};
	const char *why;
	size_t n;
	if (!size)
		return 0;
	struct str text = str_of(data + 1, size - 1);
	if (!dns_rdata_parse(types[data[0] % (sizeof(types) / sizeof(*types))], text, wire, &n))
		assert(n <= sizeof(wire));
	n = dns_name_parse(text, true, name, &why);
	if (!n)
		return 0;
	assert(n <= DNS_NAME_MAX && dns_name_size(name) == n);
	assert(dns_name_parse(dns_name_text(&a, name), true, again, &why) == n && memcmp(name, again, n) == 0);
	assert(dns_name_unreversed(dns_name_reversed(&a, name), again) == n && memcmp(name, again, n) == 0);
	return 0;
}
