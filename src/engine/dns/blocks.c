/* Sorted by length, the longest first, then by base: one search in halves for each length that there is. */
#include "engine/dns/blocks.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 16, BITS4 = 32, BITS6 = 128, MAPPED = BITS6 - BITS4, MAPPED_AT = 10 };

struct dns_blocks {
	size_t count;
	struct dns_block v[]; /* their locations lie behind them */
};

void dns_block_of4(uint32_t address, uint8_t out[static 16])
{
	memset(out, 0, MAPPED_AT);
	out[MAPPED_AT] = out[MAPPED_AT + 1] = 0xff;
	for (unsigned i = 0; i < 4; i++)
		out[MAPPED / 8 + i] = (uint8_t)(address >> (24 - 8 * i));
}

static void cut(const uint8_t address[static BYTES], unsigned bits, uint8_t out[static BYTES])
{
	memset(out, 0, BYTES);
	memcpy(out, address, bits / 8);
	if (bits % 8)
		out[bits / 8] = (uint8_t)(address[bits / 8] & 0xff << (8 - bits % 8));
}

bool dns_block_parse(struct str text, struct dns_block *ret)
{
	char z[INET6_ADDRSTRLEN];
	uint8_t base[BYTES];
	struct in_addr four;
	uint64_t bits;
	ptrdiff_t slash = str_find_char(text, '/');
	if (slash <= 0 || slash >= (ptrdiff_t)sizeof(z) || !str_to_u64(str_from_at(text, (size_t)slash + 1), &bits))
		return false;
	memcpy(z, text.p, (size_t)slash);
	z[slash] = '\0';
	struct dns_block b = {.location = STR_NONE};
	if (bits <= BITS4 && inet_pton(AF_INET, z, &four) == 1) {
		dns_block_of4(ntohl(four.s_addr), b.base);
		bits += MAPPED;
	} else if (bits > BITS6 || inet_pton(AF_INET6, z, b.base) != 1) {
		return false;
	}
	b.bits = (uint8_t)bits;
	cut(b.base, b.bits, base);
	if (memcmp(base, b.base, BYTES) != 0)
		return false;
	*ret = b;
	return true;
}

static int order(const void *a, const void *b)
{
	const struct dns_block *x = a, *y = b;
	return x->bits != y->bits ? (int)y->bits - (int)x->bits : memcmp(x->base, y->base, BYTES);
}

struct dns_blocks *dns_blocks_new(const struct dns_block *blocks, size_t count)
{
	size_t text = 0;
	for (size_t i = 0; i < count; i++)
		text += blocks[i].location.n;
	struct dns_blocks *b = malloc(sizeof(*b) + count * sizeof(*blocks) + text + 1);
	if (!b)
		abort();
	b->count = count;
	char *at = (char *)(b->v + count);
	for (size_t i = 0; i < count; i++) {
		b->v[i] = blocks[i];
		b->v[i].location.p = memcpy(at, blocks[i].location.p, blocks[i].location.n);
		at += blocks[i].location.n;
	}
	qsort(b->v, count, sizeof(*b->v), order);
	return b;
}

void dns_blocks_free(struct dns_blocks *b)
{
	free(b);
}

struct str dns_blocks_find(const struct dns_blocks *b, const uint8_t address[static 16], unsigned bits, unsigned *ret_bits)
{
	for (size_t at = 0; at < b->count;) {
		struct dns_block wanted = {.bits = b->v[at].bits};
		cut(address, wanted.bits, wanted.base);
		const struct dns_block *found =
		        wanted.bits > bits ? NULL : bsearch(&wanted, b->v + at, b->count - at, sizeof(*b->v), order);
		if (found) {
			*ret_bits = found->bits;
			return found->location;
		}
		while (at < b->count && b->v[at].bits == wanted.bits)
			at++;
	}
	return STR_NONE;
}
