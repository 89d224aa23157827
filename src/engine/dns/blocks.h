/* Blocks of addresses and the locations that they stand for, and which of them an address is in: the longest one. Pure; a list is
 * its maker's until it is freed. Called by aws/route53 for collections of CIDR blocks. */
#pragma once
#include "base/str.h"

#include <stdint.h>

struct dns_block {
	uint8_t base[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t bits;     /* of all 128 */
	struct str location;
};
/* "192.0.2.0/24" or "2001:db8::/32". False: it is no block, or has bits behind its length. */
bool dns_block_parse(struct str text, struct dns_block *ret);
/* An address of IPv4, in host byte order, as blocks have it. */
void dns_block_of4(uint32_t address, uint8_t out[static 16]);

struct dns_blocks;
/* Everything is copied. */
struct dns_blocks *dns_blocks_new(const struct dns_block *blocks, size_t count);
void dns_blocks_free(struct dns_blocks *b); /* NULL is harmless */
/* The location of the longest block that has all of a network: its first `bits` bits are known. Absent: none has. The string lives
 * as long as the list; ret_bits is the block's length. */
struct str dns_blocks_find(const struct dns_blocks *b, const uint8_t address[static 16], unsigned bits, unsigned *ret_bits);
