/* What an instance type is made of: a constant table out of models/data/instance_types.json. Used by EC2's operations, by the
 * placement of instances and by the bill. Lives for ever. */
#pragma once
#include "base/str.h"

enum instance_architecture { ARCH_I386 = 1, ARCH_X86_64 = 2, ARCH_ARM64 = 4, ARCH_X86_64_MAC = 8, ARCH_ARM64_MAC = 16 };

struct instance_type {
	const char *name; /* "t3.micro" */
	const char *gpu;  /* NULL: none */
	uint32_t memory_mib, storage_gb;
	uint32_t micro_usd_h;             /* on demand, Linux, us-east-1; 0: not known */
	uint16_t vcpus, credits_tenths_h; /* CPU credits an hour, in tenths; 0: not burstable */
	uint8_t architectures, gpus;
	const char *network;           /* "Up to 5 Gigabit"; NULL: not known */
	uint32_t network_mbps;         /* the most in each direction; 0: not known */
	uint8_t interfaces, addresses; /* network interfaces, IPv4 addresses on each; 0: not known */
};

extern const struct instance_type instance_types[]; /* by name */
extern const unsigned instance_type_count;

/* NULL: there is none of that name. */
const struct instance_type *instance_type_find(struct str name);
/* Can this machine run it? It has neither accelerators nor bare metal to give, and only processors of its own kind. */
bool instance_type_offered(const struct instance_type *t);
/* Has it GPUs, FPGAs or chips for inference, training or video? */
bool instance_type_accelerated(const struct instance_type *t);
/* What Amazon says of its family: is it of the current generation, and run by its Xen hypervisor? */
bool instance_type_current(const struct instance_type *t);
bool instance_type_xen(const struct instance_type *t);
/* Percent of one vCPU that all of an instance's vCPUs together may use for ever; 100 * vcpus where it is not burstable. */
unsigned instance_type_cpu_percent(const struct instance_type *t);
