#include "engine/dns/wire.h"

#include <string.h>

enum { OPCODE = 0x7800, RESPONSE = 0x8000, AUTHORITATIVE = 0x0400, TRUNCATED = 0x0200, DESIRED = 0x0100, AVAILABLE = 0x0080 };
enum { POINTER = 0xc0, OPT_BYTES = 11, SUBNET_BYTES = 24, RECORD_HEAD = 10 };
enum { OPTION_SUBNET = 8, FAMILY_IPV4 = 1, FAMILY_IPV6 = 2 };

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void set16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void set32(uint8_t *p, uint32_t v)
{
	set16(p, (uint16_t)(v >> 16));
	set16(p + 2, (uint16_t)v);
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool ordinary(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '*';
}

/* --- reading */

/* The question's name, which has no pointers: nothing lies before it. Its size on the wire; 0: it is none. */
static size_t read_name(const uint8_t *p, size_t n, struct dns_query *q)
{
	size_t at = 0, text = 0;
	q->plain = true;
	while (at < n && p[at]) {
		size_t label = p[at++];
		if (label > DNS_LABEL_MAX || label >= n - at || at + label + 1 > DNS_NAME_MAX)
			return 0;
		if (text)
			q->name[text++] = '.';
		q->wire[at - 1] = (uint8_t)label;
		for (; label; label--, at++) {
			uint8_t c = lower(p[at]);
			q->wire[at] = c;
			q->plain = q->plain && ordinary(c);
			q->name[text++] = (char)(ordinary(c) ? c : '?');
		}
	}
	q->name[text] = '\0';
	q->wire[at < DNS_NAME_MAX ? at : DNS_NAME_MAX - 1] = 0;
	return at < n ? at + 1 : 0;
}

/* A name that is passed over: labels, and a pointer at its end perhaps. 0: it does not end. */
static size_t skip_name(const uint8_t *p, size_t n)
{
	size_t at = 0;
	while (at < n && p[at]) {
		if ((p[at] & POINTER) == POINTER)
			return n - at >= 2 ? at + 2 : 0;
		if (p[at] > DNS_LABEL_MAX || n - at <= p[at])
			return 0;
		at += 1u + p[at];
	}
	return at < n ? at + 1 : 0;
}

/* False: it is none. One of a family that nobody knows is as if it were not there. */
static bool read_subnet(const uint8_t *v, size_t size, struct dns_query *q)
{
	uint16_t family = size < 4 ? 0 : get16(v);
	size_t bytes = size < 4 ? 0 : (v[2] + 7u) / 8;
	uint8_t address[16] = {0};
	if (family != FAMILY_IPV4 && family != FAMILY_IPV6)
		return true;
	if (v[2] > (family == FAMILY_IPV4 ? 32 : 128) || v[3] || size != 4 + bytes)
		return false;
	memcpy(address, v + 4, bytes);
	if (v[2] % 8)
		address[bytes - 1] &= (uint8_t)(0xff << (8 - v[2] % 8));
	q->has_subnet = true;
	q->subnet_is_6 = family == FAMILY_IPV6;
	q->subnet_bits = v[2];
	q->subnet = q->subnet_is_6 ? 0 : (uint32_t)get16(address) << 16 | get16(address + 2);
	memcpy(q->subnet6, address, sizeof(address));
	return true;
}

/* Of the options of an OPT record the client's subnet matters. False: they are none. */
static bool read_options(const uint8_t *p, size_t n, struct dns_query *q)
{
	while (n) {
		if (n < 4 || n - 4 < get16(p + 2))
			return false;
		size_t size = get16(p + 2);
		const uint8_t *v = p + 4;
		if (get16(p) == OPTION_SUBNET && !read_subnet(v, size, q))
			return false;
		p += 4 + size;
		n -= 4 + size;
	}
	return true;
}

/* The records behind the question, of which only one OPT matters. */
static int read_additional(const uint8_t *p, size_t n, unsigned count, struct dns_query *q)
{
	for (; count; count--) {
		size_t name = skip_name(p, n);
		if (!name || n - name < RECORD_HEAD)
			return DNS_FORMAT_ERROR;
		const uint8_t *r = p + name;
		size_t whole = name + RECORD_HEAD + get16(r + 8);
		if (whole > n)
			return DNS_FORMAT_ERROR;
		if (get16(r) == DNS_OPT) {
			if (q->extended || name != 1)
				return DNS_FORMAT_ERROR;
			q->extended = true;
			size_t limit = get16(r + 2);
			if (!read_options(r + RECORD_HEAD, whole - name - RECORD_HEAD, q))
				return DNS_FORMAT_ERROR;
			q->limit = limit < DNS_PLAIN_MAX ? DNS_PLAIN_MAX : limit > DNS_LARGE_MAX ? DNS_LARGE_MAX : limit;
		}
		p += whole;
		n -= whole;
	}
	return DNS_OK;
}

int dns_query_read(const uint8_t *p, size_t n, struct dns_query *ret)
{
	*ret = (struct dns_query){.limit = DNS_PLAIN_MAX};
	if (n < DNS_HEAD || get16(p + 2) & RESPONSE)
		return -1;
	ret->id = get16(p);
	ret->recursion = get16(p + 2) & DESIRED;
	if (get16(p + 2) & OPCODE)
		return DNS_NOT_IMPLEMENTED;
	if (get16(p + 4) != 1 || get16(p + 6) || get16(p + 8))
		return DNS_FORMAT_ERROR;
	size_t name = read_name(p + DNS_HEAD, n - DNS_HEAD, ret);
	if (!name || n - DNS_HEAD - name < 4)
		return DNS_FORMAT_ERROR;
	ret->type = get16(p + DNS_HEAD + name);
	ret->class = get16(p + DNS_HEAD + name + 2);
	ret->question_n = name + 4;
	size_t behind = DNS_HEAD + ret->question_n;
	return read_additional(p + behind, n - behind, get16(p + 10), ret);
}

bool dns_answers(const uint8_t *query, const struct dns_query *q, uint16_t id, const uint8_t *answer, size_t n)
{
	if (n < DNS_HEAD + q->question_n || get16(answer) != id || !(get16(answer + 2) & RESPONSE) || get16(answer + 2) & OPCODE ||
	    get16(answer + 4) != 1)
		return false;
	for (size_t i = DNS_HEAD; i < DNS_HEAD + q->question_n; i++)
		if (lower(query[i]) != lower(answer[i]))
			return false;
	return true;
}

/* --- writing */

size_t dns_name_write(const char *text, uint8_t out[static DNS_NAME_MAX])
{
	size_t n = 0;
	while (*text) {
		size_t label = strcspn(text, ".");
		if (!label || label > DNS_LABEL_MAX || n + label + 2 > DNS_NAME_MAX)
			return 0;
		out[n++] = (uint8_t)label;
		memcpy(out + n, text, label);
		n += label;
		text += label;
		if (*text == '.' && !*++text)
			return 0;
	}
	out[n++] = 0;
	return n;
}

void dns_begin(struct dns_writer *w, uint8_t *p, size_t limit, const uint8_t *query, const struct dns_query *q)
{
	size_t opt = q->has_subnet ? OPT_BYTES + SUBNET_BYTES : q->extended ? OPT_BYTES : 0;
	*w = (struct dns_writer){.p = p, .max = limit - opt, .query = q};
	memset(p, 0, DNS_HEAD);
	memcpy(p + DNS_HEAD, query + DNS_HEAD, q->question_n);
	w->n = w->end_of_question = DNS_HEAD + q->question_n;
}

void dns_put_record(struct dns_writer *w, enum dns_section section, const uint8_t *owner, size_t owner_n, uint16_t type,
                    uint32_t ttl, const void *data, size_t n)
{
	if (w->overflow || !owner_n || n > UINT16_MAX || owner_n + RECORD_HEAD + n > w->max - w->n) {
		w->overflow = true;
		return;
	}
	uint8_t *p = w->p + w->n;
	memcpy(p, owner, owner_n);
	p += owner_n;
	set16(p, type);
	set16(p + 2, DNS_IN);
	set32(p + 4, ttl);
	set16(p + 8, (uint16_t)n);
	memcpy(p + RECORD_HEAD, data, n);
	w->n += owner_n + RECORD_HEAD + n;
	w->counts[section]++;
}

void dns_put(struct dns_writer *w, enum dns_section section, const char *owner, enum dns_type type, uint32_t ttl, const void *data,
             size_t n)
{
	uint8_t name[DNS_NAME_MAX] = {POINTER, DNS_HEAD};
	size_t name_n = owner ? dns_name_write(owner, name) : 2;
	dns_put_record(w, section, name, name_n, (uint16_t)type, ttl, data, n);
}

void dns_put_address(struct dns_writer *w, enum dns_section section, const char *owner, uint32_t ttl, uint32_t address)
{
	uint8_t data[4];
	set32(data, address);
	dns_put(w, section, owner, DNS_A, ttl, data, sizeof(data));
}

void dns_put_name(struct dns_writer *w, enum dns_section section, const char *owner, enum dns_type type, uint32_t ttl,
                  const char *name)
{
	uint8_t data[DNS_NAME_MAX];
	size_t n = dns_name_write(name, data);
	if (n)
		dns_put(w, section, owner, type, ttl, data, n);
	else
		w->overflow = true;
}

void dns_put_service(struct dns_writer *w, enum dns_section section, const char *owner, uint32_t ttl, uint16_t priority,
                     uint16_t weight, uint16_t port, const char *target)
{
	const uint16_t head[] = {priority, weight, port};
	uint8_t data[sizeof(head) + DNS_NAME_MAX];
	size_t n = dns_name_write(target, data + sizeof(head));
	for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++) {
		data[2 * i] = (uint8_t)(head[i] >> 8);
		data[2 * i + 1] = (uint8_t)head[i];
	}
	if (n)
		dns_put(w, section, owner, DNS_SRV, ttl, data, sizeof(head) + n);
	else
		w->overflow = true;
}

void dns_put_soa(struct dns_writer *w, const char *zone, const char *server, uint32_t ttl)
{
	static const uint32_t serial_refresh_retry_expire[] = {1, 7200, 900, 1209600};
	uint8_t data[2 * DNS_NAME_MAX + 20];
	size_t n = dns_name_write(server, data), m = n ? dns_name_write("awsdns-hostmaster.amazon.com", data + n) : 0;
	if (!m) {
		w->overflow = true;
		return;
	}
	for (size_t i = 0; i < 4; i++)
		set32(data + n + m + 4 * i, serial_refresh_retry_expire[i]);
	set32(data + n + m + 16, ttl);
	dns_put(w, DNS_AUTHORITY, zone, DNS_SOA, ttl, data, n + m + 20);
}

/* What was said comes back, with the part of it that the answer holds for. */
static void put_subnet(struct dns_writer *w, uint8_t *opt)
{
	const struct dns_query *q = w->query;
	size_t address = (q->subnet_bits + 7u) / 8;
	uint8_t *p = opt + OPT_BYTES;
	if (!q->has_subnet)
		return;
	set16(opt + 9, (uint16_t)(8 + address));
	set16(p, OPTION_SUBNET);
	set16(p + 2, (uint16_t)(4 + address));
	set16(p + 4, q->subnet_is_6 ? FAMILY_IPV6 : FAMILY_IPV4);
	p[6] = q->subnet_bits;
	p[7] = w->scope_bits;
	memcpy(p + 8, q->subnet6, address);
	w->n += 8 + address;
}

static void put_opt(struct dns_writer *w)
{
	uint8_t *p = w->p + w->n;
	memset(p, 0, OPT_BYTES);
	set16(p + 1, DNS_OPT);
	set16(p + 3, DNS_LARGE_MAX);
	w->n += OPT_BYTES;
	put_subnet(w, p);
	w->counts[DNS_ADDITIONAL]++;
}

size_t dns_end(struct dns_writer *w, enum dns_code code)
{
	const struct dns_query *q = w->query;
	if (w->overflow) { /* half an answer is none: the asker comes again over TCP */
		w->n = w->end_of_question;
		memset(w->counts, 0, sizeof(w->counts));
	}
	if (q->extended)
		put_opt(w);
	set16(w->p, q->id);
	set16(w->p + 2, (uint16_t)(RESPONSE | (w->authoritative ? AUTHORITATIVE : 0) | (w->overflow ? TRUNCATED : 0) |
	                           (q->recursion ? DESIRED : 0) | AVAILABLE | code));
	set16(w->p + 4, q->question_n ? 1 : 0);
	for (size_t i = 0; i < DNS_SECTIONS; i++)
		set16(w->p + 6 + 2 * i, w->counts[i]);
	return w->n;
}

size_t dns_refuse(uint8_t *p, size_t max, const uint8_t *query, const struct dns_query *q, enum dns_code code)
{
	struct dns_writer w;
	dns_begin(&w, p, max, query, q);
	return dns_end(&w, code);
}
