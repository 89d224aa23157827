#include "aws/ec2/instance_type.h"

static const unsigned machine_architectures =
#if defined(__x86_64__)
        ARCH_X86_64;
#elif defined(__aarch64__)
        ARCH_ARM64;
#else
        0;
#endif

const struct instance_type *instance_type_find(struct str name)
{
	unsigned low = 0, high = instance_type_count;
	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		int order = str_cmp(name, str_from(instance_types[middle].name));
		if (!order)
			return &instance_types[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

bool instance_type_offered(const struct instance_type *t)
{
	return (t->architectures & machine_architectures) && !t->gpus && str_find(str_from(t->name), S(".metal")) < 0;
}

unsigned instance_type_cpu_percent(const struct instance_type *t)
{
	return t->credits_tenths_h ? (unsigned)(t->credits_tenths_h * 100 / 600) : t->vcpus * 100u;
}
