/* IPv4 addresses and blocks in EC2's spelling. Private to aws/ec2. */
#pragma once
#include "base/arena.h"

struct ec2_block {
	uint32_t base; /* host byte order; host bits are zero */
	uint8_t bits;
};

bool ec2_address_parse(struct str s, uint32_t *ret);
struct str ec2_address_text(struct arena *a, uint32_t address);
/* "10.0.0.0/16"; host bits are cut off, as EC2 does. */
bool ec2_block_parse(struct str s, struct ec2_block *ret);
struct str ec2_block_text(struct arena *a, struct ec2_block b);
static inline uint32_t ec2_block_mask(uint8_t bits)
{
	return bits ? ~0u << (32 - bits) : 0;
}
static inline uint64_t ec2_block_size(struct ec2_block b)
{
	return 1ull << (32 - b.bits);
}
static inline bool ec2_block_has(struct ec2_block b, uint32_t address)
{
	return (address & ec2_block_mask(b.bits)) == b.base;
}
static inline bool ec2_block_within(struct ec2_block inner, struct ec2_block outer)
{
	return inner.bits >= outer.bits && ec2_block_has(outer, inner.base);
}
static inline bool ec2_block_overlap(struct ec2_block a, struct ec2_block b)
{
	return ec2_block_within(a, b) || ec2_block_within(b, a);
}
