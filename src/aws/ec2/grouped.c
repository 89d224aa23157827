/* What services that keep groups of instances see of EC2's records. They change nothing here: that is what operations are for. */
#include "aws/ec2/compute.h"
#include "aws/ec2/ec2.h"
#include "aws/ec2/instance/launch_data.h"
#include "aws/ec2/network/vpc.h"

#include <stdlib.h>

static struct ec2_scope scope_of(struct store_txn *t, struct arena *a, struct str account, struct str region)
{
	return (struct ec2_scope){.txn = t, .arena = a, .account = account, .region = region};
}

void ec2_see_instance(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id,
                      struct ec2_seen *ret)
{
	struct ec2_scope s = scope_of(t, a, account, region);
	struct state_ec2_instance_record r = {0};
	*ret = (struct ec2_seen){0};
	if (!ec2_find(&s, &ec2_kind_instance, id, &r))
		return;
	const struct ec2_instance *i = r.instance;
	*ret = (struct ec2_seen){.there = true,
	                         .state = i->state->name,
	                         .reason = i->state_reason ? i->state_reason->message : STR_NONE,
	                         .type = i->instance_type,
	                         .zone = i->placement->availability_zone,
	                         .zone_id = i->placement->availability_zone_id,
	                         .subnet = i->subnet_id,
	                         .vpc = i->vpc_id,
	                         .image = i->image_id,
	                         .launched_ms = i->launch_time.ms,
	                         .spot = str_is(i->instance_lifecycle, "spot"),
	                         .noticed = r.interrupt.set,
	                         .recommended = r.recommended.set};
	struct ec2_interfaces ports;
	ec2_interfaces_of(&s, id, &ports);
	if (ports.n)
		ret->address = ports.v[0].interface->private_ip_address;
	if (ec2_instance_state(i) == INSTANCE_RUNNING && !r.reached.set)
		ret->impaired_ms = r.changed.ms + EC2_CHECK_LATE_MS;
	for (uint32_t k = 0; k < i->tags.n; k++)
		*LIST_ADD(a, &ret->tags) = (struct str_map_entry){i->tags.v[k].key, i->tags.v[k].value};
}

/* --- watching */

struct ec2_instances_watch {
	struct store_watch *watch;
	ec2_instance_changed_fn *fn;
	void *ctx;
};

static void changed(void *ctx, const struct store_event *e)
{
	struct ec2_instances_watch *w = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, e->key);
	if (parts.n == 5 && str_is(parts.v[3], ec2_kind_instance.prefix))
		w->fn(w->ctx, parts.v[1], parts.v[2], parts.v[4]);
}

struct ec2_instances_watch *ec2_watch_instances(struct cloud *cloud, ec2_instance_changed_fn *fn, void *ctx)
{
	struct arena CLEAN_ARENA a = {0};
	struct ec2_instances_watch *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	*w = (struct ec2_instances_watch){.fn = fn, .ctx = ctx};
	struct str under = KEY_UNDER(&a, S("ec2"));
	w->watch = store_watch(cloud->store, under, store_prefix_end(&a, under), store_revision(cloud->store), changed, w);
	return w;
}

void ec2_unwatch_instances(struct ec2_instances_watch *w)
{
	if (!w)
		return;
	store_unwatch(w->watch);
	free(w);
}

/* --- launch templates */

static bool find_template(const struct ec2_scope *s, struct str id, struct str name, struct state_ec2_launch_template_record *ret,
                          struct str *ret_why)
{
	struct store_value v;
	struct str key = KEY(s->arena, S("ec2"), s->account, s->region, S("lt-name"), name);
	struct str found = str_set(id) ? id : store_get(s->txn, key, &v) ? arena_dup(s->arena, v.value) : STR_NONE;
	if (str_set(found) && ec2_find(s, &ec2_kind_launch_template, found, ret) &&
	    (!str_set(id) || !str_set(name) || str_eq(name, ret->template->launch_template_name)))
		return true;
	*ret_why = arena_printf(s->arena, "The specified launch template, with template %s %.*s, does not exist.",
	                        str_set(id) ? "ID" : "name", STR_ARG(str_set(id) ? id : name));
	return false;
}

bool ec2_see_template(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id, struct str name,
                      struct str version, struct ec2_template_seen *ret, struct str *ret_why)
{
	struct ec2_scope s = scope_of(t, a, account, region);
	struct state_ec2_launch_template_record r = {0};
	struct ec2_launch_template_version v = {0};
	int64_t number = 0;
	if (!find_template(&s, id, name, &r, ret_why))
		return false;
	if (str_empty(version) || str_is(version, "$Default"))
		number = r.template->default_version_number.v;
	else if (str_is(version, "$Latest"))
		number = r.template->latest_version_number.v;
	else if (!str_to_i64(version, &number))
		number = 0;
	if (number < 1 || !ec2_launch_version_find(&s, r.template->launch_template_id, number, &v)) {
		*ret_why = arena_printf(a, "Could not find the specified version %.*s for the launch template with ID %.*s.",
		                        STR_ARG(version), STR_ARG(r.template->launch_template_id));
		return false;
	}
	*ret = (struct ec2_template_seen){.id = r.template->launch_template_id,
	                                  .name = r.template->launch_template_name,
	                                  .version = number,
	                                  .data = arena_new(a, struct ec2_run_instances_request)};
	ec2_carry(a, "ResponseLaunchTemplateData", v.launch_template_data, "RunInstancesRequest", ret->data);
	return true;
}

/* --- places and types */

struct str ec2_subnet_vpc(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id)
{
	struct ec2_scope s = scope_of(t, a, account, region);
	struct ec2_subnet r = {0};
	return str_set(id) && ec2_find(&s, &ec2_kind_subnet, id, &r) ? r.vpc_id : STR_NONE;
}

struct str ec2_zone_named(struct arena *a, struct str region, struct str name_or_id)
{
	int zone = ec2_zone_find(a, region, name_or_id);
	return zone < 0 ? STR_NONE : ec2_zone_name(a, region, (unsigned)zone);
}

struct str ec2_zone_id_of(struct arena *a, struct str region, struct str name)
{
	int zone = ec2_zone_find(a, region, name);
	return zone < 0 ? STR_NONE : ec2_zone_id(a, region, (unsigned)zone);
}

bool ec2_type_offered(struct str type)
{
	const struct instance_type *found = instance_type_find(type);
	return found && instance_type_offered(found);
}

uint64_t ec2_type_price(struct str type)
{
	const struct instance_type *found = instance_type_find(type);
	return found ? found->micro_usd_h : 0;
}
