/* An address or a block of either family in one shape: IPv4 as IPv6 maps it, ::ffff:a.b.c.d. All zero: none. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct network_ip {
	uint8_t b[16];
};
struct network_block {
	struct network_ip base; /* host bits are zero */
	uint8_t bits;           /* of 128 */
};

enum { NETWORK_IP4_BITS = 96 }; /* before an IPv4 address */

static inline struct network_ip network_ip4(uint32_t a)
{
	return (struct network_ip){{[10] = 0xff, 0xff, (uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a}};
}
static inline struct network_ip network_ip6(const uint8_t address[16])
{
	struct network_ip ip;
	memcpy(ip.b, address, sizeof(ip.b));
	return ip;
}
static inline bool network_ip_equal(struct network_ip a, struct network_ip b)
{
	return memcmp(a.b, b.b, sizeof(a.b)) == 0;
}
static inline bool network_ip_none(struct network_ip a)
{
	return network_ip_equal(a, (struct network_ip){{0}});
}
static inline bool network_ip_is4(struct network_ip a)
{
	return memcmp(a.b, network_ip4(0).b, 12) == 0;
}
/* Of one that is IPv4. */
static inline uint32_t network_ip_to4(struct network_ip a)
{
	return (uint32_t)a.b[12] << 24 | (uint32_t)a.b[13] << 16 | (uint32_t)a.b[14] << 8 | a.b[15];
}

static inline struct network_block network_block4(uint32_t base, unsigned bits)
{
	return (struct network_block){network_ip4(base), (uint8_t)(NETWORK_IP4_BITS + bits)};
}
static inline struct network_block network_block6(const uint8_t base[16], unsigned bits)
{
	return (struct network_block){network_ip6(base), (uint8_t)bits};
}
/* A block of one family has no address of the other, ::/0 neither. */
static inline bool network_block_has(struct network_block k, struct network_ip a)
{
	unsigned whole = k.bits / 8, rest = k.bits % 8;
	if (network_ip_is4(a) != network_ip_is4(k.base) || memcmp(k.base.b, a.b, whole) != 0)
		return false;
	return rest == 0 || ((k.base.b[whole] ^ a.b[whole]) & (0xff00 >> rest & 0xff)) == 0;
}
