#include "aws/ec2/usage.h"

#include "aws/ec2/capacity/reservation.h"
#include "aws/ec2/compute.h"
#include "base/clock.h"
#include "core/meter.h"

enum {
	USES_MAX = 4,
	MINUTE_MS = 60 * 1000,
	HOUR_MS = 3600 * 1000,
	MIB = 1 << 20,
	GP3_IOPS = 3000,
	GP3_MIB_PER_S = 125,
	IO2_TIER = 32000
};

struct uses {
	struct arena *arena;
	struct meter_use v[USES_MAX];
	size_t n;
};

/* By the second, a minute at least. */
static void add(struct uses *u, struct str usage, int64_t rate)
{
	if (rate > 0)
		u->v[u->n++] = (struct meter_use){.usage = usage, .rate = rate, .minimum_ms = MINUTE_MS, .step_ms = 1000};
}

/* Running alone costs: pending, stopping and stopped do not. */
static void of_instance(struct uses *u, const void *record)
{
	const struct ec2_instance *i = ((const struct state_ec2_instance_record *)record)->instance;
	bool spot = str_is(i->instance_lifecycle, "spot");
	bool dedicated = i->placement && str_is(i->placement->tenancy, "dedicated");
	struct str kind = spot ? S("SpotUsage:") : dedicated ? S("DedicatedUsage:") : S("BoxUsage:");
	if (ec2_instance_state(i) == INSTANCE_RUNNING)
		add(u, ARENA_CAT(u->arena, kind, i->instance_type), 1);
}

/* Places that are held for nobody cost what an instance would. */
static void of_reservation(struct uses *u, const void *record)
{
	const struct ec2_capacity_reservation *r = record;
	if (str_is(r->state, "active"))
		add(u, ARENA_CAT(u->arena, S("UnusedBox:"), r->instance_type), r->available_instance_count.v);
}

static void of_volume(struct uses *u, const void *record)
{
	const struct ec2_volume *v = ((const struct state_ec2_volume_record *)record)->volume;
	if (!str_is(v->state, "creating") && !str_is(v->state, "available") && !str_is(v->state, "in-use"))
		return;
	bool io1 = str_is(v->volume_type, "io1"), io2 = str_is(v->volume_type, "io2"), gp3 = str_is(v->volume_type, "gp3");
	struct str suffix = io1                                  ? S(".piops")
	                    : str_is(v->volume_type, "standard") ? S("")
	                                                         : ARENA_CAT(u->arena, S("."), v->volume_type);
	add(u, ARENA_CAT(u->arena, S("EBS:VolumeUsage"), suffix), v->size.v);
	if (io1 || gp3)
		add(u, ARENA_CAT(u->arena, S("EBS:VolumeP-IOPS"), suffix), v->iops.v - (gp3 ? GP3_IOPS : 0));
	/* The first 32,000 of a volume, the next 32,000 and the rest have prices of their own. */
	for (int64_t tier = 0; io2 && tier < 3; tier++) {
		int64_t above = v->iops.v - tier * IO2_TIER;
		static const char *const names[] = {"EBS:VolumeP-IOPS.io2", "EBS:VolumeP-IOPS.io2.tier2",
		                                    "EBS:VolumeP-IOPS.io2.tier3"};
		add(u, str_from(names[tier]), above > IO2_TIER && tier < 2 ? IO2_TIER : above);
	}
	if (gp3)
		add(u, S("EBS:VolumeP-Throughput.gp3"), v->throughput.v - GP3_MIB_PER_S);
}

/* Addresses that came from Amazon's pool with the interface; elastic ones have records of their own. */
static void of_interface(struct uses *u, const void *record)
{
	const struct ec2_network_interface *eni = ((const struct state_vpc_interface_record *)record)->interface;
	int64_t n = 0;
	for (uint32_t i = 0; i < eni->private_ip_addresses.n; i++) {
		const struct ec2_network_interface_association *as = eni->private_ip_addresses.v[i].association;
		n += as && !str_set(as->allocation_id);
	}
	add(u, S("PublicIPv4:InUseAddress"), n);
}

static void of_address(struct uses *u, const void *record)
{
	const struct ec2_address *address = record;
	add(u, str_set(address->association_id) ? S("PublicIPv4:InUseAddress") : S("PublicIPv4:IdleAddress"), 1);
}

/* In MiB of its own layer: what lies below belongs to the snapshots before it. */
static void of_snapshot(struct uses *u, const void *record)
{
	const struct state_ec2_snapshot_record *r = record;
	if (str_is(r->snapshot->state, "completed"))
		add(u, S("EBS:SnapshotUsage"), (r->bytes.v + MIB - 1) / MIB);
}

/* By the hour that has begun. */
static void of_nat(struct uses *u, const void *record)
{
	const struct ec2_nat_gateway *nat = record;
	if (str_is(nat->state, "available"))
		u->v[u->n++] =
		        (struct meter_use){.usage = S("NatGateway-Hours"), .rate = 1, .minimum_ms = HOUR_MS, .step_ms = HOUR_MS};
}

static const struct {
	const struct ec2_kind *kind;
	void (*uses)(struct uses *u, const void *record);
} metered[] = {
        {&ec2_kind_instance, of_instance}, {&ec2_kind_volume, of_volume}, {&ec2_kind_interface, of_interface},
        {&ec2_kind_address, of_address},   {&ec2_kind_nat, of_nat},       {&ec2_kind_reservation, of_reservation},
        {&ec2_kind_snapshot, of_snapshot},
};

static void set_tags(const struct ec2_scope *s, struct str id, const struct ec2_tag_list *tags)
{
	struct str_map map = {0};
	for (uint32_t i = 0; i < tags->n; i++)
		*LIST_ADD(s->arena, &map) = (struct str_map_entry){tags->v[i].key, tags->v[i].value};
	meter_tags(s->txn, s->arena, s->account, s->region, id, &map, clock_wall_ms());
}

/* What is used up to now was used under the tags of now, so new ones come first, and those of what goes last. */
void ec2_meter(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id, const void *record)
{
	static const struct ec2_tag_list none = {0};
	struct uses u = {.arena = s->arena};
	for (size_t i = 0; i < sizeof(metered) / sizeof(*metered); i++) {
		if (metered[i].kind != kind)
			continue;
		if (record) {
			metered[i].uses(&u, record);
			set_tags(s, id, ec2_tags(kind, (void *)(uintptr_t)record));
		}
		meter_set(s->txn, s->arena, s->account, s->region, id, u.v, u.n, clock_wall_ms());
		if (!record)
			set_tags(s, id, &none);
	}
}
