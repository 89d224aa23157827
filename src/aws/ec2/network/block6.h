/* IPv6 addresses and blocks in EC2's spelling, which is the canonical one (RFC 5952). Private to aws/ec2. */
#pragma once
#include "base/arena.h"
#include "engine/net/ip.h"

struct ec2_block6 {
	uint8_t base[16]; /* host bits are zero */
	uint8_t bits;
};

bool ec2_address6_parse(struct str s, uint8_t ret[16]);
struct str ec2_address6_text(struct arena *a, const uint8_t address[16]);
/* "fd12:3456:789a:bc00::/56"; host bits are cut off, as EC2 does. */
bool ec2_block6_parse(struct str s, struct ec2_block6 *ret);
struct str ec2_block6_text(struct arena *a, const struct ec2_block6 *b);
bool ec2_block6_has(const struct ec2_block6 *b, const uint8_t address[16]);
bool ec2_block6_within(const struct ec2_block6 *inner, const struct ec2_block6 *outer);
bool ec2_block6_overlap(const struct ec2_block6 *a, const struct ec2_block6 *b);
/* Of either family. */
bool ec2_ip_parse(struct str s, struct network_ip *ret);
struct str ec2_ip_text(struct arena *a, struct network_ip ip);
struct str ec2_ip_block_text(struct arena *a, struct network_block b);
/* Is this a block or an address of IPv6? By its spelling alone. */
static inline bool ec2_is_ipv6(struct str s)
{
	return str_set(s) && memchr(s.p, ':', s.n) != NULL;
}
