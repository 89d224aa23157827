#include "base/id.h"

#include "base/rand.h"

static const char hex_digits[] = "0123456789abcdef";

void id_uuid_to(char out[static 37])
{
	unsigned char b[16];
	rand_bytes(b, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	size_t at = 0;
	for (size_t i = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[at++] = '-';
		out[at++] = hex_digits[b[i] >> 4];
		out[at++] = hex_digits[b[i] & 15];
	}
	out[at] = '\0';
}

struct str id_uuid(struct arena *a)
{
	char out[37];
	id_uuid_to(out);
	return arena_dup(a, str_of(out, 36));
}

/* n characters drawn from an alphabet whose size is a power of two. */
static struct str id_draw(struct arena *a, struct str prefix, size_t n, const char *alphabet, unsigned mask)
{
	char *p = arena_alloc(a, prefix.n + n + 1);
	if (prefix.n)
		memcpy(p, prefix.p, prefix.n);
	unsigned char *tail = (unsigned char *)p + prefix.n;
	rand_bytes(tail, n);
	for (size_t i = 0; i < n; i++)
		tail[i] = (unsigned char)alphabet[tail[i] & mask];
	tail[n] = '\0';
	return str_of(p, prefix.n + n);
}

struct str id_hex(struct arena *a, size_t n)
{
	return id_draw(a, STR_NONE, n, hex_digits, 15);
}

struct str id_base32(struct arena *a, struct str prefix, size_t n)
{
	return id_draw(a, prefix, n, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 31);
}

struct str id_secret(struct arena *a, size_t n)
{
	return id_draw(a, STR_NONE, n, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 63);
}

bool id_is_uuid(struct str s)
{
	if (s.n != 36)
		return false;
	for (size_t i = 0; i < 36; i++) {
		char c = ascii_lower(s.p[i]);
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? c != '-' : !(ascii_is_digit(c) || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}
