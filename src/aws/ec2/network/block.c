#include "aws/ec2/network/block.h"

bool ec2_address_parse(struct str s, uint32_t *ret)
{
	uint32_t address = 0;
	unsigned parts = 0;
	while (str_set(s)) {
		struct str part = str_cut(&s, '.');
		uint64_t v;
		if (++parts > 4 || part.n > 3 || !str_to_u64(part, &v) || v > 255 || (part.n > 1 && part.p[0] == '0'))
			return false;
		address = address << 8 | (uint32_t)v;
	}
	if (parts != 4)
		return false;
	*ret = address;
	return true;
}

struct str ec2_address_text(struct arena *a, uint32_t v)
{
	return arena_printf(a, "%u.%u.%u.%u", v >> 24, v >> 16 & 255, v >> 8 & 255, v & 255);
}

bool ec2_block_parse(struct str s, struct ec2_block *ret)
{
	struct str address = str_cut(&s, '/');
	uint32_t base;
	uint64_t bits;
	if (!str_set(s) || s.n > 2 || (s.n > 1 && s.p[0] == '0') || !str_to_u64(s, &bits) || bits > 32 ||
	    !ec2_address_parse(address, &base))
		return false;
	*ret = (struct ec2_block){base & ec2_block_mask((uint8_t)bits), (uint8_t)bits};
	return true;
}

struct str ec2_block_text(struct arena *a, struct ec2_block b)
{
	return ARENA_CAT(a, ec2_address_text(a, b.base), arena_printf(a, "/%u", b.bits));
}
