/* TestDNSAnswer: what the responder would say, by the way that a query takes. */
#include "rows.h"

#include "engine/dns/name.h"
#include "engine/dns/rdata.h"

#include <arpa/inet.h>
#include <string.h>

enum { SUBNET_BITS = 24 };

static const char *code_name(enum dns_said said)
{
	return said == DNS_ABSENT ? "NXDOMAIN" : said == DNS_NOT_MINE ? "REFUSED" : "NOERROR";
}

static bool read_address(struct str text, uint32_t *ret)
{
	char z[INET_ADDRSTRLEN];
	struct in_addr a;
	if (!text.n || text.n >= sizeof(z))
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	if (inet_pton(AF_INET, z, &a) != 1)
		return false;
	*ret = ntohl(a.s_addr);
	return true;
}

static int read_asker(struct call *c, const struct route53_test_dns_answer_request *in, struct dns_asking *who)
{
	uint64_t bits = SUBNET_BITS;
	if (in->resolver_ip.n && !read_address(in->resolver_ip, &who->address))
		return route53_invalid(c, "Invalid IPv4 address: '%.*s'", STR_ARG(in->resolver_ip));
	who->bits = in->resolver_ip.n ? 32 : 0;
	if (!in->edns0_client_subnet_ip.n)
		return in->edns0_client_subnet_mask.n ? route53_invalid(c, "EDNS0ClientSubnetMask needs an EDNS0ClientSubnetIP")
		                                      : CALL_OK;
	if (!read_address(in->edns0_client_subnet_ip, &who->address))
		return route53_invalid(c, "Invalid IPv4 address: '%.*s'", STR_ARG(in->edns0_client_subnet_ip));
	if (in->edns0_client_subnet_mask.n && (!str_to_u64(in->edns0_client_subnet_mask, &bits) || bits > 32))
		return route53_invalid(c, "Invalid subnet mask: '%.*s'", STR_ARG(in->edns0_client_subnet_mask));
	who->bits = (uint8_t)bits;
	who->address &= bits ? UINT32_MAX << (32 - bits) : 0;
	return CALL_OK;
}

/* The value, as the zone has it, whose bytes these are; an address that an alias gave has none and is spelled. */
static struct str text_of(struct call *c, struct str zone, uint16_t type, struct str data)
{
	struct str under = route53_sets_under(c->arena, zone), key;
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	uint8_t wire[DNS_RDATA_MAX];
	char text[INET6_ADDRSTRLEN];
	size_t n;
	if ((type == DNS_A && data.n == 4) || (type == DNS_AAAA && data.n == 16)) {
		inet_ntop(type == DNS_A ? AF_INET : AF_INET6, data.p, text, sizeof(text));
		return arena_dup(c->arena, str_from(text));
	}
	while (store_next(iter, &key, &v)) {
		struct route53_resource_record_set set;
		if (!route53_set_read(c->arena, v.value, &set) || dns_type_named(set.type) != type)
			continue;
		for (uint32_t i = 0; i < set.resource_records.n; i++)
			if (!dns_rdata_parse(type, set.resource_records.v[i].value, wire, &n) && str_eq(str_of(wire, n), data))
				return set.resource_records.v[i].value;
	}
	return S("");
}

/* Records of our own writer, whose names are whole or the question's. */
static void read_records(struct call *c, struct str zone, const struct dns_writer *w, const struct dns_query *q,
                         struct route53_test_dns_answer_response *out)
{
	size_t at = DNS_HEAD + q->question_n;
	for (unsigned i = 0; i < w->counts[DNS_ANSWER]; i++) {
		at += (w->p[at] & 0xc0) ? 2 : dns_name_size(w->p + at);
		uint16_t type = (uint16_t)(w->p[at] << 8 | w->p[at + 1]), n = (uint16_t)(w->p[at + 8] << 8 | w->p[at + 9]);
		if (type == q->type)
			*LIST_ADD(c->arena, &out->record_data) = text_of(c, zone, type, str_of(w->p + at + 10, n));
		at += 10u + n;
	}
}

int route53_test_dns_answer(struct call *c, const struct route53_test_dns_answer_request *in,
                            struct route53_test_dns_answer_response *out)
{
	struct state_route53_zone_record r;
	struct dns_asking who = {0};
	struct dns_query q = {.type = dns_type_named(in->record_type), .class = DNS_IN, .plain = true, .limit = DNS_LARGE_MAX};
	struct dns_writer w;
	struct dns_found found;
	uint8_t query[DNS_HEAD + DNS_NAME_MAX + 4] = {0}, *answer = arena_alloc(c->arena, DNS_MESSAGE_MAX);
	const char *why;
	if (route53_zone_get(c, in->hosted_zone_id, &r) != CALL_OK || read_asker(c, in, &who) != CALL_OK)
		return CALL_FAIL;
	size_t n = dns_name_parse(in->record_name, true, q.wire, &why);
	if (!n)
		return route53_invalid(c, "FATAL problem: %s encountered with '%.*s'", why, STR_ARG(in->record_name));
	memcpy(query + DNS_HEAD, q.wire, n);
	q.question_n = n + 4;
	who.zone = route53_zone_id(&r);
	dns_begin(&w, answer, DNS_MESSAGE_MAX, query, &q);
	enum dns_said said = dns_zones_answer(route53_state(c->cloud)->zones, &who, &q, &w, &found);
	out->nameserver = r.delegation_set->name_servers.v[0];
	out->record_name = dns_name_text(c->arena, q.wire);
	out->record_name.n -= out->record_name.n > 1;
	out->record_type = in->record_type;
	out->record_data.set = true;
	out->response_code = str_from(code_name(said));
	out->protocol = S("UDP");
	read_records(c, who.zone, &w, &q, out);
	return CALL_OK;
}
