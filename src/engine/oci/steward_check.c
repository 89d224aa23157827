#include "engine/oci/proto.h"

#include <errno.h>
#include <string.h>

static int check_start(const struct steward_request *r, unsigned long nfds)
{
	if (r->runtime >= STEWARD_RUNTIMES || r->container_count < 1 || r->container_count > STEWARD_CONTAINERS_MAX ||
	    r->layer_count > STEWARD_LAYERS_MAX || r->volume_count > STEWARD_VOLUMES_MAX || r->has_port > 1 ||
	    r->has_address6 > r->has_port || r->prefix > 32 || nfds != TASK_FDS + r->container_count + r->has_port)
		return -EINVAL;
	if (r->cpu_units > 1 << 20 || r->memory_bytes < 1 << 20 || r->memory_bytes > (uint64_t)STEWARD_MEMORY_MAX_MB << 20 ||
	    r->scratch_bytes < 16 << 20 || r->scratch_bytes > 1ull << 44 || r->scratch_bytes & 0xfffff)
		return -EINVAL;
	if (!memchr(r->name, 0, sizeof(r->name)) || !r->name[0])
		return -EINVAL;
	for (unsigned i = 0; i < r->container_count; i++) {
		const struct steward_container *k = &r->containers[i];
		if (k->layer_count > STEWARD_CHAIN_MAX || k->cpu_units > 1 << 20)
			return -EINVAL;
		for (unsigned j = 0; j < k->layer_count; j++)
			if (k->layers[j] >= r->layer_count)
				return -EINVAL;
	}
	return 0;
}

int steward_check(const void *p, unsigned long n, unsigned long nfds)
{
	static union steward_any_request r;
	if (n < sizeof(r.h) || n > sizeof(r))
		return -EINVAL;
	memcpy(&r, p, n);
	switch (r.h.verb) {
	case STEWARD_FACTS:
	case STEWARD_KILL:
		return n == sizeof(r.h) && nfds == 0 &&
		                       r.h.number < (r.h.verb == STEWARD_FACTS ? (uint32_t)STEWARD_RUNTIMES : STEWARD_SLOTS)
		               ? 0
		               : -EINVAL;
	case STEWARD_START:
		return n == sizeof(r.start) ? check_start(&r.start, nfds) : -EINVAL;
	case STEWARD_UNPACK:
		return n == sizeof(r.unpack) && nfds == 1 && r.unpack.max_bytes && r.unpack.max_entries ? 0 : -EINVAL;
	case STEWARD_TRIM:
		return n == sizeof(r.trim) && nfds == 0 && r.trim.count <= STEWARD_TRIM_MAX && r.trim.more <= 1 ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}
