/* Answers of another message, written into one of ours: names that were compressed there are whole here. The bytes may be anything.
 */
#include "engine/dns/wire.h"

#include <string.h>

enum {
	POINTER = 0xc0,
	POINTERS_MAX = 32,
	RECORD_HEAD = 10,
	CODE = 0x0f,
	CUT = 0x02,
	SOA_NUMBERS = 20,
	MERGED_MAX = 2 * DNS_NAME_MAX + SOA_NUMBERS
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* The name at `at`, whole. What it takes there; 0: it is none. */
static size_t expand(const uint8_t *m, size_t n, size_t at, uint8_t out[static DNS_NAME_MAX], size_t *ret_n)
{
	size_t size = 0, taken = 0, begin = at;
	unsigned pointers = 0;
	for (;;) {
		if (at >= n)
			return 0;
		if ((m[at] & POINTER) == POINTER) {
			if (n - at < 2 || ++pointers > POINTERS_MAX)
				return 0;
			taken = taken ? taken : at + 2 - begin;
			at = (size_t)(m[at] & ~POINTER) << 8 | m[at + 1];
			continue;
		}
		size_t label = m[at];
		if (label > DNS_LABEL_MAX || label >= n - at || size + label + 1 > DNS_NAME_MAX)
			return 0;
		memcpy(out + size, m + at, label + 1);
		size += label + 1;
		at += label + 1;
		if (!label) {
			*ret_n = size;
			return taken ? taken : at - begin;
		}
	}
}

/* How many bytes of a type's data lie before its names, and how many names there are. */
static void names_in(uint16_t type, size_t *ret_before, unsigned *ret_names)
{
	*ret_before = type == DNS_MX ? 2 : type == DNS_SRV ? 6 : 0;
	*ret_names = type == DNS_SOA                                                                               ? 2
	             : type == DNS_CNAME || type == DNS_NS || type == DNS_PTR || type == DNS_MX || type == DNS_SRV ? 1
	                                                                                                           : 0;
}

/* A record's data, whole. False: it makes no sense. */
static bool put_data(struct dns_writer *w, const uint8_t *m, size_t n, size_t at, size_t size, const uint8_t *owner, size_t owner_n,
                     uint16_t type, uint32_t ttl)
{
	uint8_t data[MERGED_MAX + DNS_NAME_MAX];
	size_t before, done = 0, end = at + size;
	unsigned names;
	names_in(type, &before, &names);
	if (!names) {
		dns_put_record(w, DNS_ANSWER, owner, owner_n, type, ttl, m + at, size);
		return true;
	}
	if (size < before)
		return false;
	memcpy(data, m + at, before);
	done = before;
	at += before;
	for (; names; names--) {
		size_t name_n = 0, taken = expand(m, end < n ? end : n, at, data + done, &name_n);
		if (!taken || taken > end - at)
			return false;
		done += name_n;
		at += taken;
	}
	if (end - at > SOA_NUMBERS)
		return false;
	memcpy(data + done, m + at, end - at);
	done += end - at;
	dns_put_record(w, DNS_ANSWER, owner, owner_n, type, ttl, data, done);
	return true;
}

int dns_merge(struct dns_writer *w, const uint8_t *m, size_t n)
{
	uint8_t name[DNS_NAME_MAX];
	size_t name_n, taken, at = DNS_HEAD;
	if (n < DNS_HEAD || get16(m + 4) != 1)
		return -1;
	taken = expand(m, n, at, name, &name_n);
	if (!taken || n - at - taken < 4)
		return -1;
	at += taken + 4;
	for (unsigned count = get16(m + 6); count; count--) {
		taken = expand(m, n, at, name, &name_n);
		if (!taken || n - at - taken < RECORD_HEAD)
			return -1;
		const uint8_t *r = m + at + taken;
		uint32_t ttl = (uint32_t)get16(r + 4) << 16 | get16(r + 6);
		size_t size = get16(r + 8);
		at += taken + RECORD_HEAD;
		if (size > n - at)
			return -1;
		if (get16(r + 2) == DNS_IN && !put_data(w, m, n, at, size, name, name_n, get16(r), ttl))
			return -1;
		at += size;
	}
	w->overflow = w->overflow || m[2] & CUT;
	return m[3] & CODE;
}
