/* Public addresses. They are addresses of this machine (127.0.0.0/8), so that its programs reach instances at them and nothing else
 * does; each is somebody's only once, whatever account and region. A key ("ec2", "public", address) is the lock and says whose. */
#include "aws/ec2/network/vpc.h"

#include "base/rand.h"

enum { TRIES = 64 };

static const struct ec2_block range = {0x7f400000, 12}; /* 127.64.0.0/12 */
static const struct record_type row = {&state_vpc_api, "PublicAddressRecord"};

static struct str key_of(const struct ec2_scope *s, uint32_t address)
{
	return KEY(s->arena, S("ec2"), S("public"), arena_printf(s->arena, "%08x", address));
}

static bool take(const struct ec2_scope *s, struct str holder, uint32_t address)
{
	struct state_vpc_public_address_record record;
	struct str key = key_of(s, address);
	if (record_get(s->txn, s->arena, key, &row, &record))
		return false;
	record = (struct state_vpc_public_address_record){.account = s->account, .region = s->region, .holder = holder};
	record_put(s->txn, s->arena, key, &row, &record);
	return true;
}

static bool usable(uint32_t address)
{
	return ec2_block_has(range, address) && (address & 0xff) != 0 && (address & 0xff) != 0xff;
}

bool ec2_pool_take_this(const struct ec2_scope *s, struct str holder, uint32_t address)
{
	return usable(address) && take(s, holder, address);
}

/* At random first, so that who allocates at the same time seldom asks for the same one; then in order. */
bool ec2_pool_take(const struct ec2_scope *s, struct str holder, uint32_t *ret)
{
	uint64_t size = ec2_block_size(range);
	for (int i = 0; i < TRIES; i++) {
		uint32_t address = range.base + (uint32_t)rand_below(size);
		if (ec2_pool_take_this(s, holder, address)) {
			*ret = address;
			return true;
		}
	}
	for (uint64_t i = 0; i < size; i++)
		if (ec2_pool_take_this(s, holder, range.base + (uint32_t)i)) {
			*ret = range.base + (uint32_t)i;
			return true;
		}
	return false;
}

void ec2_pool_give(const struct ec2_scope *s, uint32_t address)
{
	store_delete(s->txn, key_of(s, address));
}
