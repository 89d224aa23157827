#include "aws/ec2/instance/fault.h"

#include "aws/ec2/capacity/spot.h"
#include "aws/ec2/state.h"
#include "base/clock.h"
#include "engine/net/network.h"
#include "engine/vm/machine.h"

/* --- spot */

static void edit_interrupt(const struct ec2_scope *s, void *ctx)
{
	struct fault_on_instance *f = ctx;
	struct state_ec2_instance_record r;
	int64_t now_ms = clock_wall_ms();
	enum instance_state state;
	f->error = NULL;
	if (!ec2_find(s, &ec2_kind_instance, f->instance, &r))
		f->error = "there is no such instance any more";
	else if (!str_is(r.instance->instance_lifecycle, "spot"))
		f->error = "it is no spot instance";
	else if ((state = ec2_instance_state(r.instance)) != INSTANCE_PENDING && state != INSTANCE_RUNNING)
		f->error = "it does not run";
	else if (f->in_ms && r.interrupt.set && r.interrupt.ms <= now_ms + f->in_ms)
		f->error = "it has its notice already";
	else if (f->in_ms)
		spot_tell(s, &r, now_ms, now_ms + f->in_ms);
	else if (r.recommended.set)
		f->error = "it is recommended to be replaced already";
	else {
		r.recommended = OPT_TIME(now_ms);
		ec2_put(s, &ec2_kind_instance, f->instance, &r);
	}
}

static void interrupted(void *ctx)
{
	struct fault_on_instance *f = ctx;
	f->done(f->ctx, f->error);
}

void fault_interrupt(struct cloud *cloud, struct fault_on_instance *f)
{
	struct ec2_state *ec2 = cloud_state(cloud, &ec2_service);
	desk_edit(ec2->desk, f->account, f->region, edit_interrupt, interrupted, f);
}

/* --- machines */

const char *fault_kill(struct cloud *cloud, struct str account, struct str region, struct str instance)
{
	struct ec2_state *ec2 = cloud_state(cloud, &ec2_service);
	struct desk_item *i = ec2->desk ? desk_item(ec2->desk, instance) : NULL;
	if (!i || i->kind != &ec2_kind_instance || !str_eq(i->account, account) || !str_eq(i->region, region))
		return "no such instance runs";
	return i->machine && i->running && machine_kill(i->machine) == 0 ? NULL : "it does not run";
}

bool fault_instance_tags(struct cloud *cloud, struct arena *a, struct str account, struct str region, struct str instance,
                         struct str_map *ret)
{
	struct store_txn *t = store_begin(cloud->store, a);
	const struct ec2_scope s = {.txn = t, .arena = a, .account = account, .region = region};
	struct state_ec2_instance_record r;
	bool known = ec2_find(&s, &ec2_kind_instance, instance, &r);
	store_abort(t);
	for (uint32_t k = 0; known && k < r.instance->tags.n; k++)
		*LIST_ADD(a, ret) = (struct str_map_entry){.key = r.instance->tags.v[k].key, .value = r.instance->tags.v[k].value};
	return known;
}

/* --- zones */

const char *fault_zone(struct cloud *cloud, struct arena *a, struct str zone, bool delay)
{
	const struct ec2_state *ec2 = cloud_state(cloud, &ec2_service);
	const struct network_facts *f = networks_facts(ec2->networks);
	if (!str_is(zone, "all") && (zone.n < 2 || ec2_zone_find(a, str_sub(zone, 0, zone.n - 1), zone) < 0))
		return "there is no such zone";
	if (!f->known)
		return "nothing is connected to a VPC yet";
	if (!f->works)
		return "networks do not work on this machine: see `quartet doctor`";
	return delay && !f->delays ? "this machine's kernel has no netem (CONFIG_NET_SCH_NETEM), so that packets cannot be held up"
	                           : NULL;
}
