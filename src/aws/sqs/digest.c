/* Message attributes: what is right about them, how much they count, and the digest that SDKs check. */
#include "sqs.h"

#include "base/hash.h"

#include <stdlib.h>

enum { NAME_MAX_CHARS = 256, TYPE_MAX_CHARS = 256, TRANSPORT_STRING = 1, TRANSPORT_BINARY = 2 };

static bool is_type(struct str type, const char *base)
{
	size_t n = strlen(base);
	return str_starts(type, str_from(base)) && (type.n == n || type.p[n] == '.');
}

static bool name_good(struct str name)
{
	if (!name.n || name.n > NAME_MAX_CHARS || name.p[0] == '.' || name.p[name.n - 1] == '.' || str_find(name, S("..")) >= 0 ||
	    str_istarts(name, S("AWS.")) || str_istarts(name, S("Amazon.")))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '_' && name.p[i] != '.')
			return false;
	return true;
}

bool sqs_text_good(struct str s)
{
	if (!str_is_utf8(s))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char x = (unsigned char)s.p[i];
		if (x < 0x20 && x != 9 && x != 10 && x != 13)
			return false;
		/* U+FFFE and U+FFFF */
		if (x == 0xef && i + 2 < s.n && (unsigned char)s.p[i + 1] == 0xbf && (unsigned char)s.p[i + 2] >= 0xbe)
			return false;
	}
	return true;
}

static struct str check_one(struct arena *a, struct str name, const struct sqs_message_attribute_value *v)
{
	double number;
	if (!name_good(name))
		return arena_printf(
		        a,
		        "Message (user) attribute name '%.*s' is invalid: it can contain A-Z, a-z, 0-9, underscore, hyphen and "
		        "period, which cannot be at an end or follow each other, and cannot begin with AWS. or Amazon.",
		        STR_ARG(name));
	bool binary = is_type(v->data_type, "Binary"), is_number = is_type(v->data_type, "Number");
	if (!v->data_type.n)
		return arena_printf(a, "The message attribute '%.*s' must contain non-empty message attribute type.",
		                    STR_ARG(name));
	if ((!binary && !is_number && !is_type(v->data_type, "String")) || v->data_type.n > TYPE_MAX_CHARS)
		return arena_printf(a,
		                    "The message attribute '%.*s' has an invalid message attribute type, the set of supported type "
		                    "prefixes is Binary, Number, and String.",
		                    STR_ARG(name));
	struct str value = binary ? v->binary_value : v->string_value;
	if (!value.n)
		return arena_printf(
		        a,
		        "The message attribute '%.*s' must contain non-empty message attribute value for message attribute type '%.*s'.",
		        STR_ARG(name), STR_ARG(v->data_type));
	if (is_number && !str_to_double(value, &number))
		return arena_printf(a, "Can't cast the value of message (user) attribute '%.*s' to a number.", STR_ARG(name));
	if (!binary && !sqs_text_good(value))
		return arena_printf(a, "Message (user) attribute '%.*s' contains invalid characters.", STR_ARG(name));
	return STR_NONE;
}

struct str sqs_attributes_wrong(struct arena *a, const struct sqs_message_body_attribute_map *map)
{
	if (map->n > SQS_ATTRIBUTES_MAX)
		return arena_printf(a, "Number of message attributes [%u] exceeds the allowed maximum [%d].", map->n,
		                    SQS_ATTRIBUTES_MAX);
	for (uint32_t i = 0; i < map->n; i++) {
		struct str why = check_one(a, map->v[i].key, &map->v[i].value);
		if (str_set(why))
			return why;
	}
	return STR_NONE;
}

size_t sqs_attributes_bytes(const struct sqs_message_body_attribute_map *map)
{
	size_t n = 0;
	for (uint32_t i = 0; i < map->n; i++)
		n += map->v[i].key.n + map->v[i].value.data_type.n + map->v[i].value.string_value.n +
		     map->v[i].value.binary_value.n;
	return n;
}

/* --- MD5 */

static void add_text(struct hash *h, struct str s)
{
	uint32_t n = __builtin_bswap32((uint32_t)s.n);
	hash_add(h, &n, sizeof(n));
	hash_add(h, s.p, s.n);
}

static int by_name(const void *x, const void *y)
{
	const struct sqs_message_body_attribute_map_entry *const *a = x, *const *b = y;
	return str_cmp((*a)->key, (*b)->key);
}

/* Of every attribute in order of names: name, type, one byte for how the value travels, value; lengths are four bytes in front. */
struct str sqs_attributes_md5(struct arena *a, const struct sqs_message_body_attribute_map *map)
{
	struct hash h;
	unsigned char out[HASH_MAX_BYTES];
	char *hex = arena_alloc(a, 33);
	if (!map->n)
		return STR_NONE;
	const struct sqs_message_body_attribute_map_entry **sorted = arena_array(a, map->n, sizeof(struct sqs_queue *));
	for (uint32_t i = 0; i < map->n; i++)
		sorted[i] = &map->v[i];
	qsort(sorted, map->n, sizeof(*sorted), by_name);
	hash_init(&h, HASH_MD5);
	for (uint32_t i = 0; i < map->n; i++) {
		const struct sqs_message_attribute_value *v = &sorted[i]->value;
		bool binary = is_type(v->data_type, "Binary");
		unsigned char transport = binary ? TRANSPORT_BINARY : TRANSPORT_STRING;
		add_text(&h, sorted[i]->key);
		add_text(&h, v->data_type);
		hash_add(&h, &transport, 1);
		add_text(&h, binary ? v->binary_value : v->string_value);
	}
	hash_end(&h, out);
	hex_encode(out, 16, hex);
	return str_of(hex, 32);
}
