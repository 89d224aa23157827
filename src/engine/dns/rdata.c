#include "engine/dns/rdata.h"

#include "base/str.h"
#include "engine/dns/name.h"

#include <arpa/inet.h>
#include <string.h>

enum { STRING_MAX = 255 };

static const struct {
	const char *name;
	uint16_t type;
} types[] = {{"A", DNS_A},         {"AAAA", DNS_AAAA}, {"CAA", DNS_CAA},     {"CNAME", DNS_CNAME}, {"DS", DNS_DS},
             {"HTTPS", DNS_HTTPS}, {"MX", DNS_MX},     {"NAPTR", DNS_NAPTR}, {"NS", DNS_NS},       {"PTR", DNS_PTR},
             {"SOA", DNS_SOA},     {"SPF", DNS_SPF},   {"SRV", DNS_SRV},     {"SSHFP", DNS_SSHFP}, {"SVCB", DNS_SVCB},
             {"TLSA", DNS_TLSA},   {"TXT", DNS_TXT}};

uint16_t dns_type_named(struct str name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (str_is(name, types[i].name))
			return types[i].type;
	return 0;
}

const char *dns_type_name(uint16_t type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (type == types[i].type)
			return types[i].name;
	return NULL;
}

/* A value that is read field by field; what is wrong first is kept. */
struct reading {
	struct str rest;
	uint8_t *out;
	size_t n;
	const char *wrong;
};

static void fail(struct reading *r, const char *why)
{
	if (!r->wrong)
		r->wrong = why;
}

static void skip_space(struct reading *r)
{
	while (r->rest.n && (r->rest.p[0] == ' ' || r->rest.p[0] == '\t'))
		r->rest = str_from_at(r->rest, 1);
}

static struct str word(struct reading *r)
{
	size_t n = 0;
	skip_space(r);
	while (n < r->rest.n && r->rest.p[n] != ' ' && r->rest.p[n] != '\t')
		n++;
	struct str w = str_sub(r->rest, 0, n);
	r->rest = str_from_at(r->rest, n);
	return w;
}

static void put(struct reading *r, const void *p, size_t n)
{
	if (n > DNS_RDATA_MAX - r->n) {
		fail(r, "ValueTooLong (Value is too long)");
		return;
	}
	memcpy(r->out + r->n, p, n);
	r->n += n;
}

static void number(struct reading *r, unsigned bytes, const char *why)
{
	uint64_t v;
	uint8_t b[4];
	struct str w = word(r);
	if (!w.n || !ascii_is_digit(w.p[0]) || !str_to_u64(w, &v) || v >> (8 * bytes)) {
		fail(r, why);
		return;
	}
	for (unsigned i = 0; i < bytes; i++)
		b[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
	put(r, b, bytes);
}

static void domain(struct reading *r)
{
	uint8_t name[DNS_NAME_MAX];
	const char *why;
	size_t n = dns_name_parse(word(r), false, name, &why);
	if (n)
		put(r, name, n);
	else
		fail(r, why);
}

/* The byte behind a backslash: itself, or three octal digits. */
static bool escaped(struct reading *r, uint8_t *ret)
{
	struct str s = r->rest;
	if (!s.n)
		return false;
	if (!ascii_is_digit(s.p[0])) {
		*ret = (uint8_t)s.p[0];
		r->rest = str_from_at(s, 1);
		return true;
	}
	if (s.n < 3 || s.p[0] > '3' || s.p[1] < '0' || s.p[1] > '7' || s.p[2] < '0' || s.p[2] > '7')
		return false;
	*ret = (uint8_t)((s.p[0] - '0') << 6 | (s.p[1] - '0') << 3 | (s.p[2] - '0'));
	r->rest = str_from_at(s, 3);
	return true;
}

/* A string in quotation marks into at most 255 bytes. */
static size_t quoted(struct reading *r, uint8_t text[static STRING_MAX])
{
	size_t n = 0;
	skip_space(r);
	if (!r->rest.n || r->rest.p[0] != '"') {
		fail(r, "InvalidCharacterString (Value should be enclosed in quotation marks)");
		return 0;
	}
	r->rest = str_from_at(r->rest, 1);
	for (;;) {
		if (!r->rest.n) {
			fail(r, "InvalidCharacterString (Value should be enclosed in quotation marks)");
			return 0;
		}
		uint8_t c = (uint8_t)r->rest.p[0];
		r->rest = str_from_at(r->rest, 1);
		if (c == '"')
			return n;
		if (c == '\\' && !escaped(r, &c)) {
			fail(r, "InvalidCharacterString (Value contains an escape that is none)");
			return 0;
		}
		if (n == STRING_MAX) {
			fail(r, "CharacterStringTooLong (Value is too long)");
			return 0;
		}
		text[n++] = c;
	}
}

static void character_string(struct reading *r)
{
	uint8_t text[1 + STRING_MAX];
	size_t n = quoted(r, text + 1);
	text[0] = (uint8_t)n;
	put(r, text, n + 1);
}

static void hexadecimal(struct reading *r, const char *why)
{
	uint8_t bytes = 0;
	struct str w;
	size_t digits = 0;
	while ((w = word(r)).n)
		for (size_t i = 0; i < w.n; i++, digits++) {
			char c = ascii_lower(w.p[i]);
			int v = ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
			if (v < 0) {
				fail(r, why);
				return;
			}
			bytes = (uint8_t)(bytes << 4 | v);
			if (digits % 2)
				put(r, &bytes, 1);
		}
	if (!digits || digits % 2)
		fail(r, why);
}

static void texts(struct reading *r)
{
	do {
		character_string(r);
		skip_space(r);
	} while (!r->wrong && r->rest.n);
}

static void address(struct reading *r, int family, const char *why)
{
	char text[INET6_ADDRSTRLEN + 1];
	uint8_t bytes[16];
	if (r->rest.n >= sizeof(text)) {
		fail(r, why);
		return;
	}
	memcpy(text, r->rest.p, r->rest.n);
	text[r->rest.n] = '\0';
	r->rest.n = strlen(text) == r->rest.n ? 0 : r->rest.n;
	if (inet_pton(family, text, bytes) == 1)
		put(r, bytes, family == AF_INET ? 4 : 16);
	else
		fail(r, why);
}

static void issuers(struct reading *r)
{
	static const char why[] = "CAARRDATAInvalid (CAA record is not of the form: flags tag \"value\")";
	uint8_t value[STRING_MAX];
	number(r, 1, why);
	struct str tag = word(r);
	uint8_t n = (uint8_t)tag.n;
	if (!tag.n || tag.n > 15)
		fail(r, why);
	for (size_t i = 0; i < tag.n; i++)
		if (!ascii_is_alnum(tag.p[i]))
			fail(r, why);
	if (r->wrong)
		return;
	put(r, &n, 1);
	put(r, tag.p, tag.n);
	size_t value_n = quoted(r, value);
	put(r, value, value_n);
}

static void bindings(struct reading *r)
{
	size_t n = 0;
	number(r, 2, "SVCBRRDATAInvalidPriority (Priority is not a number from 0 to 65535)");
	domain(r);
	if (r->wrong)
		return;
	bool alias = r->out[0] == 0 && r->out[1] == 0;
	const char *wrong = dns_svcb_parse(str_trim(r->rest), r->out + r->n, DNS_RDATA_MAX - r->n, &n);
	if (wrong)
		fail(r, wrong);
	else if (alias && n)
		fail(r, "SVCBRRDATAAliasModeParameters (A record in alias mode has no parameters)");
	r->n += n;
	r->rest.n = 0;
}

static void fields(struct reading *r, uint16_t type)
{
	static const char soa[] =
	        "SOARRDATAInvalid (SOA record is not of the form: server mailbox serial refresh retry expire minimum)";
	static const char srv[] = "SRVRRDATAInvalid (SRV record is not of the form: priority weight port target)";
	static const char naptr[] =
	        "NAPTRRRDATAInvalid (NAPTR record is not of the form: order preference \"flags\" \"service\" \"regexp\" replacement)";
	static const char ds[] = "DSRRDATAInvalid (DS record is not of the form: tag algorithm type digest)";
	static const char sshfp[] = "SSHFPRRDATAInvalid (SSHFP record is not of the form: algorithm type fingerprint)";
	static const char tlsa[] = "TLSARRDATAInvalid (TLSA record is not of the form: usage selector type data)";
	static const char mx[] = "MXRRDATAInvalid (MX record is not of the form: preference exchange)";
	switch (type) {
	case DNS_A:
		address(r, AF_INET, "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)");
		break;
	case DNS_AAAA:
		address(r, AF_INET6, "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)");
		break;
	case DNS_CNAME:
	case DNS_NS:
	case DNS_PTR:
		domain(r);
		break;
	case DNS_MX:
		number(r, 2, mx);
		domain(r);
		break;
	case DNS_TXT:
	case DNS_SPF:
		texts(r);
		break;
	case DNS_SRV:
		for (int i = 0; i < 3; i++)
			number(r, 2, srv);
		domain(r);
		break;
	case DNS_SOA:
		domain(r);
		domain(r);
		for (int i = 0; i < 5; i++)
			number(r, 4, soa);
		break;
	case DNS_CAA:
		issuers(r);
		break;
	case DNS_NAPTR:
		number(r, 2, naptr);
		number(r, 2, naptr);
		for (int i = 0; i < 3; i++)
			character_string(r);
		domain(r);
		break;
	case DNS_DS:
		number(r, 2, ds);
		number(r, 1, ds);
		number(r, 1, ds);
		hexadecimal(r, ds);
		break;
	case DNS_SSHFP:
		number(r, 1, sshfp);
		number(r, 1, sshfp);
		hexadecimal(r, sshfp);
		break;
	case DNS_TLSA:
		for (int i = 0; i < 3; i++)
			number(r, 1, tlsa);
		hexadecimal(r, tlsa);
		break;
	case DNS_SVCB:
	case DNS_HTTPS:
		bindings(r);
		break;
	default:
		fail(r, "UnsupportedType (Records of this type cannot be made)");
	}
	skip_space(r);
	if (r->rest.n)
		fail(r, "UnexpectedData (Value contains spaces or further fields)");
}

const char *dns_rdata_parse(uint16_t type, struct str value, uint8_t out[static DNS_RDATA_MAX], size_t *ret_n)
{
	struct reading r = {.rest = value, .out = out};
	fields(&r, type);
	if (!r.wrong)
		*ret_n = r.n;
	return r.wrong;
}
