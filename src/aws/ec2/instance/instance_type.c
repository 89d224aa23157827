#include "aws/ec2/instance/instance_type.h"

#include <string.h>

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

unsigned instance_type_cpu_percent(const struct instance_type *t)
{
	return t->credits_tenths_h ? (unsigned)(t->credits_tenths_h * 100 / 600) : t->vcpus * 100u;
}

static bool family_in(const char *type, const char *const *families)
{
	size_t n = strcspn(type, ".");
	for (; *families; families++)
		if (strlen(*families) == n && !memcmp(*families, type, n))
			return true;
	return false;
}

bool instance_type_accelerated(const struct instance_type *t)
{
	static const char *const families[] = {"dl1", "f1", "f2", "inf1", "inf2", "trn1", "trn1n", "vt1", NULL};
	return t->gpus || family_in(t->name, families);
}

bool instance_type_offered(const struct instance_type *t)
{
	return (t->architectures & machine_architectures) && !instance_type_accelerated(t) &&
	       str_find(str_from(t->name), S(".metal")) < 0;
}

bool instance_type_current(const struct instance_type *t)
{
	static const char *const previous[] = {"c1", "c3", "cc2", "cr1", "g2", "hs1", "i2", "m1", "m2", "m3", "r3", "t1", NULL};
	return !family_in(t->name, previous);
}

bool instance_type_xen(const struct instance_type *t)
{
	static const char *const xen[] = {"c1", "c3", "c4", "cc2", "cr1", "d2", "f1", "g2", "g3", "h1", "hs1", "i2",  "i3",
	                                  "m1", "m2", "m3", "m4",  "p2",  "p3", "r3", "r4", "t1", "t2", "x1",  "x1e", NULL};
	return family_in(t->name, xen);
}
