#include "aws/ec2/network/block6.h"
#include "aws/ec2/network/block.h"

#include <arpa/inet.h>
#include <sys/socket.h>

bool ec2_address6_parse(struct str s, uint8_t ret[16])
{
	char text[INET6_ADDRSTRLEN];
	uint8_t address[16];
	if (!str_set(s) || s.n >= sizeof(text) || memchr(s.p, '\0', s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(AF_INET6, text, address) != 1)
		return false;
	memcpy(ret, address, sizeof(address));
	return true;
}

struct str ec2_address6_text(struct arena *a, const uint8_t address[16])
{
	char text[INET6_ADDRSTRLEN] = "";
	inet_ntop(AF_INET6, address, text, sizeof(text));
	return arena_dup(a, str_from(text));
}

static void cut(uint8_t address[16], unsigned bits)
{
	for (unsigned i = 0; i < 16; i++)
		if (bits < 8 * (i + 1))
			address[i] &= bits <= 8 * i ? 0 : (uint8_t)(0xff << (8 * (i + 1) - bits));
}

bool ec2_block6_parse(struct str s, struct ec2_block6 *ret)
{
	struct str address = str_cut(&s, '/');
	struct ec2_block6 b;
	uint64_t bits;
	if (!str_set(s) || s.n > 3 || (s.n > 1 && s.p[0] == '0') || !str_to_u64(s, &bits) || bits > 128 ||
	    !ec2_address6_parse(address, b.base))
		return false;
	b.bits = (uint8_t)bits;
	cut(b.base, b.bits);
	*ret = b;
	return true;
}

struct str ec2_block6_text(struct arena *a, const struct ec2_block6 *b)
{
	return ARENA_CAT(a, ec2_address6_text(a, b->base), arena_printf(a, "/%u", b->bits));
}

bool ec2_block6_has(const struct ec2_block6 *b, const uint8_t address[16])
{
	uint8_t base[16];
	memcpy(base, address, sizeof(base));
	cut(base, b->bits);
	return memcmp(base, b->base, sizeof(base)) == 0;
}

bool ec2_block6_within(const struct ec2_block6 *inner, const struct ec2_block6 *outer)
{
	return inner->bits >= outer->bits && ec2_block6_has(outer, inner->base);
}

bool ec2_block6_overlap(const struct ec2_block6 *a, const struct ec2_block6 *b)
{
	return ec2_block6_within(a, b) || ec2_block6_within(b, a);
}

bool ec2_ip_parse(struct str s, struct network_ip *ret)
{
	uint32_t v4;
	uint8_t v6[16];
	/* what IPv6 spells as mapped is no address of it that anybody could have */
	if (ec2_is_ipv6(s) && ec2_address6_parse(s, v6) && !network_ip_is4(network_ip6(v6)))
		*ret = network_ip6(v6);
	else if (!ec2_is_ipv6(s) && ec2_address_parse(s, &v4))
		*ret = network_ip4(v4);
	else
		return false;
	return true;
}

struct str ec2_ip_text(struct arena *a, struct network_ip ip)
{
	return network_ip_is4(ip) ? ec2_address_text(a, network_ip_to4(ip)) : ec2_address6_text(a, ip.b);
}

struct str ec2_ip_block_text(struct arena *a, struct network_block b)
{
	return ARENA_CAT(a, ec2_ip_text(a, b.base),
	                 arena_printf(a, "/%u", b.bits - (network_ip_is4(b.base) ? NETWORK_IP4_BITS : 0u)));
}
