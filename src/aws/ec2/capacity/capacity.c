/* What this machine has for instances: memory is given once, processors are shared.
 *
 * An instance counts from the desk's step on that follows the commit of its record, and before that with the call that launches it:
 * of two calls at the same time the second must not be promised what the first one takes. */
#include "aws/ec2/capacity/capacity.h"

#include "aws/ec2/instance/instances.h"

#include <stdlib.h>
#include <unistd.h>

enum { VCPUS_PER_PROCESSOR = 8, MEMORY_SHARE_PERCENT = 75 };

struct hold {
	struct list node;
	const struct call *call; /* NULL: committed, and counted by the desk at its next round */
	int64_t memory_mib, vcpus;
};

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

void capacity_left(struct call *c, int64_t *ret_memory_mib, int64_t *ret_vcpus)
{
	struct desk *d = ec2_state(c)->desk;
	uint64_t memory, used_memory;
	unsigned vcpus, used_vcpus;
	capacity_of_host(&memory, &vcpus);
	*ret_memory_mib = (int64_t)memory;
	*ret_vcpus = vcpus;
	if (!d)
		return;
	instances_usage(d, &used_memory, &used_vcpus);
	*ret_memory_mib -= (int64_t)used_memory;
	*ret_vcpus -= used_vcpus;
	list_each (&d->holds, struct hold, node, h) {
		*ret_memory_mib -= h->call != c ? h->memory_mib : 0;
		*ret_vcpus -= h->call != c ? h->vcpus : 0;
	}
}

int64_t capacity_room(struct call *c, const struct instance_type *type)
{
	int64_t memory, vcpus;
	capacity_left(c, &memory, &vcpus);
	return capacity_fit(memory, vcpus, type);
}

/* --- holds */

static struct hold *hold_of(struct call *c)
{
	struct desk *d = ec2_state(c)->desk;
	if (!d)
		return NULL;
	list_each (&d->holds, struct hold, node, h)
		if (h->call == c)
			return h;
	return NULL;
}

static void drop(struct hold *h)
{
	list_remove(&h->node);
	free(h);
}

static void let_go(struct call *c)
{
	struct hold *h = hold_of(c);
	if (h)
		drop(h);
}

static void committed(struct call *c)
{
	struct hold *h = hold_of(c);
	if (!h)
		return;
	h->call = NULL;
	desk_soon(ec2_state(c)->desk);
}

void capacity_take(struct call *c, int64_t memory_mib, int64_t vcpus)
{
	struct desk *d = ec2_state(c)->desk;
	struct hold *h = hold_of(c);
	if (!d)
		return;
	if (!h) {
		h = calloc(1, sizeof(*h));
		if (!h)
			abort();
		h->call = c;
		list_push(&d->holds, &h->node);
		call_on_free(c, let_go);
	}
	h->memory_mib = memory_mib;
	h->vcpus = vcpus;
	call_after_commit(c, committed);
}

void capacity_counted(struct desk *d)
{
	list_each (&d->holds, struct hold, node, h)
		if (!h->call)
			drop(h);
}

void capacity_forget(struct desk *d)
{
	list_each (&d->holds, struct hold, node, h)
		drop(h);
}
