#include "engine/dns/name.h"

#include "base/buf.h"

#include <string.h>

enum { LABELS_MAX = 128 };

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* One byte of a label. False: an escape that is none. */
static bool next_byte(struct str *text, uint8_t *ret)
{
	if (text->p[0] != '\\') {
		*ret = (uint8_t)text->p[0];
		*text = str_from_at(*text, 1);
		return *ret > ' ' && *ret < 0x7f;
	}
	if (text->n < 4 || text->p[1] > '3' || !is_octal(text->p[1]) || !is_octal(text->p[2]) || !is_octal(text->p[3]))
		return false;
	*ret = (uint8_t)((text->p[1] - '0') << 6 | (text->p[2] - '0') << 3 | (text->p[3] - '0'));
	*text = str_from_at(*text, 4);
	return true;
}

size_t dns_name_parse(struct str text, bool fold, uint8_t out[static DNS_NAME_MAX], const char **ret_why)
{
	size_t n = 1, label = 0;
	*ret_why = text.n ? "DomainLabelEmpty (Domain label is empty)" : "DomainNameEmpty (Domain name is empty)";
	if (!text.n)
		return 0;
	if (str_is(text, ".")) {
		out[0] = 0;
		return 1;
	}
	while (text.n) {
		uint8_t byte;
		if (text.p[0] == '.') {
			text = str_from_at(text, 1);
			if (n == label + 1)
				return 0;
			out[label] = (uint8_t)(n - label - 1);
			label = n++;
			if (!text.n)
				break;
			continue;
		}
		if (!next_byte(&text, &byte)) {
			*ret_why = "InvalidDomainCharacter (Domain name contains an invalid character)";
			return 0;
		}
		if (n - label > DNS_LABEL_MAX) {
			*ret_why = "DomainLabelTooLong (Domain label is too long)";
			return 0;
		}
		if (n >= DNS_NAME_MAX - 1) {
			*ret_why = "DomainNameTooLong (Domain name is too long)";
			return 0;
		}
		out[n++] = fold ? (uint8_t)ascii_lower((char)byte) : byte;
	}
	if (n > label + 1) {
		out[label] = (uint8_t)(n - label - 1);
		label = n++;
	}
	out[label] = 0;
	return n;
}

static void add_byte(struct buf *b, uint8_t c, bool plain)
{
	if (plain)
		buf_add_char(b, (char)c);
	else
		buf_printf(b, "\\%03o", c);
}

struct str dns_name_text(struct arena *a, const uint8_t *wire)
{
	struct buf CLEAN_BUF b = {0};
	buf_init(&b, 4 * DNS_NAME_MAX + 1);
	for (; *wire; wire += 1 + *wire) {
		for (size_t i = 1; i <= *wire; i++)
			add_byte(&b, wire[i], ascii_is_alnum((char)wire[i]) || wire[i] == '-' || wire[i] == '_');
		buf_add_char(&b, '.');
	}
	return arena_dup(a, b.n ? buf_str(&b) : S("."));
}

struct str dns_name_reversed(struct arena *a, const uint8_t *wire)
{
	struct buf CLEAN_BUF b = {0};
	const uint8_t *labels[LABELS_MAX];
	size_t n = 0;
	buf_init(&b, 4 * DNS_NAME_MAX + 1);
	for (; *wire && n < LABELS_MAX; wire += 1 + *wire)
		labels[n++] = wire;
	while (n-- > 0) {
		for (size_t i = 1; i <= *labels[n]; i++) {
			uint8_t c = labels[n][i];
			add_byte(&b, c, c > ' ' && c < 0x7f && c != '.' && c != '\\');
		}
		buf_add_char(&b, '.');
	}
	return arena_dup(a, buf_str(&b));
}

size_t dns_name_unreversed(struct str text, uint8_t out[static DNS_NAME_MAX])
{
	uint8_t wire[DNS_NAME_MAX];
	const uint8_t *labels[LABELS_MAX], *at = wire;
	const char *why;
	size_t n = dns_name_parse(text.n ? text : S("."), false, wire, &why), count = 0, size = 0;
	if (!n)
		return 0;
	for (; *at && count < LABELS_MAX; at += 1 + *at)
		labels[count++] = at;
	while (count-- > 0) {
		memcpy(out + size, labels[count], 1u + *labels[count]);
		size += 1u + *labels[count];
	}
	out[size] = 0;
	return size + 1;
}

size_t dns_name_size(const uint8_t *wire)
{
	const uint8_t *at = wire;
	while (*at)
		at += 1 + *at;
	return (size_t)(at - wire) + 1;
}

bool dns_name_within(const uint8_t *name, const uint8_t *zone)
{
	size_t n = dns_name_size(name), m = dns_name_size(zone);
	while (n > m) {
		n -= 1u + *name;
		name += 1 + *name;
	}
	return n == m && memcmp(name, zone, n) == 0;
}
