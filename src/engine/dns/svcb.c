/* Parameters of SVCB and HTTPS records (RFC 9460): key=value pairs, on the wire in the order of their keys' numbers. */
#include "engine/dns/rdata.h"

#include "base/base64.h"

#include <arpa/inet.h>
#include <string.h>

enum { KEY_MANDATORY, KEY_ALPN, KEY_NO_DEFAULT_ALPN, KEY_PORT, KEY_IPV4HINT, KEY_ECH, KEY_IPV6HINT, KEY_DOHPATH, KEY_NAMED };
enum { PAIRS_MAX = 32, VALUE_MAX = 1024 };

static const char invalid[] = "SVCBRRDATAInvalidParameter (Parameters are not of the form: key=value)";
static const char *const names[KEY_NAMED] = {"mandatory", "alpn", "no-default-alpn", "port",
                                             "ipv4hint",  "ech",  "ipv6hint",        "dohpath"};

struct pair {
	uint16_t key;
	uint16_t n;
	uint8_t value[VALUE_MAX];
};

static bool key_named(struct str text, uint16_t *ret)
{
	uint64_t v;
	for (uint16_t i = 0; i < KEY_NAMED; i++)
		if (str_is(text, names[i])) {
			*ret = i;
			return true;
		}
	if (!str_starts(text, S("key")) || text.n < 4 || !ascii_is_digit(text.p[3]) || !str_to_u64(str_from_at(text, 3), &v) ||
	    v >= UINT16_MAX)
		return false;
	*ret = (uint16_t)v;
	return true;
}

static bool add(struct pair *p, const void *bytes, size_t n)
{
	if (n > (size_t)VALUE_MAX - p->n)
		return false;
	memcpy(p->value + p->n, bytes, n);
	p->n = (uint16_t)(p->n + n);
	return true;
}

static bool add_number(struct pair *p, uint16_t v)
{
	const uint8_t bytes[] = {(uint8_t)(v >> 8), (uint8_t)v};
	return add(p, bytes, 2);
}

static bool add_address(struct pair *p, int family, struct str text)
{
	char z[INET6_ADDRSTRLEN + 1];
	uint8_t bytes[16];
	if (!text.n || text.n >= sizeof(z))
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	return inet_pton(family, z, bytes) == 1 && add(p, bytes, family == AF_INET ? 4 : 16);
}

/* One of the values between commas. */
static bool add_item(struct pair *p, struct str item)
{
	uint16_t key;
	switch (p->key) {
	case KEY_MANDATORY:
		return key_named(item, &key) && key != KEY_MANDATORY && add_number(p, key);
	case KEY_ALPN:
		return item.n && item.n <= 255 && add(p, &(uint8_t){(uint8_t)item.n}, 1) && add(p, item.p, item.n);
	case KEY_IPV4HINT:
		return add_address(p, AF_INET, item);
	default:
		return add_address(p, AF_INET6, item);
	}
}

static bool read_value(struct pair *p, struct str value, bool given)
{
	uint64_t v;
	switch (p->key) {
	case KEY_NO_DEFAULT_ALPN:
		return !given;
	case KEY_PORT:
		return str_to_u64(value, &v) && v <= UINT16_MAX && add_number(p, (uint16_t)v);
	case KEY_MANDATORY:
	case KEY_ALPN:
	case KEY_IPV4HINT:
	case KEY_IPV6HINT:
		if (!value.n)
			return false;
		while (value.n)
			if (!add_item(p, str_cut(&value, ',')))
				return false;
		return true;
	case KEY_ECH: {
		struct arena CLEAN_ARENA a = {0};
		struct str bytes = base64_decode(&a, value);
		return bytes.n && add(p, bytes.p, bytes.n);
	}
	default:
		return add(p, value.p, value.n);
	}
}

/* "key", "key=value" or key="value" off the front of the text. */
static bool take_pair(struct str *text, struct pair *p)
{
	size_t n = 0, end;
	while (n < text->n && text->p[n] != '=' && text->p[n] != ' ')
		n++;
	*p = (struct pair){0};
	if (!key_named(str_sub(*text, 0, n), &p->key))
		return false;
	bool given = n < text->n && text->p[n] == '=';
	*text = str_from_at(*text, given ? n + 1 : n);
	struct str value = STR_NONE;
	if (given && text->n && text->p[0] == '"') {
		ptrdiff_t close = str_find_char(str_from_at(*text, 1), '"');
		if (close < 0)
			return false;
		value = str_sub(*text, 1, (size_t)close);
		*text = str_from_at(*text, (size_t)close + 2);
	} else if (given) {
		for (end = 0; end < text->n && text->p[end] != ' '; end++) {}
		value = str_sub(*text, 0, end);
		*text = str_from_at(*text, end);
	}
	if (text->n && text->p[0] != ' ')
		return false;
	*text = str_trim(*text);
	return read_value(p, value, given);
}

const char *dns_svcb_parse(struct str text, uint8_t *out, size_t max, size_t *ret_n)
{
	static struct pair pairs[PAIRS_MAX];
	unsigned count = 0;
	size_t n = 0;
	while (text.n) {
		unsigned at = count;
		if (count == PAIRS_MAX || !take_pair(&text, &pairs[count]))
			return invalid;
		struct pair one = pairs[count++];
		for (; at && pairs[at - 1].key > one.key; at--)
			pairs[at] = pairs[at - 1];
		pairs[at] = one;
		if (at && pairs[at - 1].key == one.key)
			return "SVCBRRDATADuplicateParameter (A parameter is given twice)";
	}
	for (unsigned i = 0; i < count; i++) {
		const struct pair *p = &pairs[i];
		const uint8_t head[] = {(uint8_t)(p->key >> 8), (uint8_t)p->key, (uint8_t)(p->n >> 8), (uint8_t)p->n};
		if (sizeof(head) + p->n > max - n)
			return "ValueTooLong (Value is too long)";
		memcpy(out + n, head, sizeof(head));
		memcpy(out + n + sizeof(head), p->value, p->n);
		n += sizeof(head) + p->n;
	}
	*ret_n = n;
	return NULL;
}
