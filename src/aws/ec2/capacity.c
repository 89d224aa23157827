/* What this machine has for instances: memory is given once, processors are shared. */
#include "aws/ec2/fleet.h"
#include "aws/ec2/spot.h"

#include <unistd.h>

enum { VCPUS_PER_PROCESSOR = 8, MEMORY_SHARE_PERCENT = 75 };

void capacity_of_host(uint64_t *ret_memory_mib, unsigned *ret_vcpus)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) >> 20;
	*ret_memory_mib = memory * MEMORY_SHARE_PERCENT / 100;
	*ret_vcpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN) * VCPUS_PER_PROCESSOR;
}

int64_t capacity_fit(int64_t memory_mib, int64_t vcpus, const struct instance_type *type)
{
	int64_t by_memory = memory_mib > 0 ? memory_mib / type->memory_mib : 0, by_vcpus = vcpus > 0 ? vcpus / type->vcpus : 0;
	return by_memory < by_vcpus ? by_memory : by_vcpus;
}

int64_t capacity_room(struct call *c, const struct instance_type *type)
{
	uint64_t memory, used_memory = 0;
	unsigned vcpus, used_vcpus = 0;
	capacity_of_host(&memory, &vcpus);
	if (ec2_state(c)->desk)
		fleet_usage(ec2_state(c)->desk, &used_memory, &used_vcpus);
	return capacity_fit((int64_t)memory - (int64_t)used_memory, (int64_t)vcpus - used_vcpus, type);
}
