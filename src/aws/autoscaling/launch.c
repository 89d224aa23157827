#include "launch.h"
#include "refresh.h"

#include "aws/ec2/ec2.h"
#include "gen/ec2.h"

const struct record_type scaling_request_row = {&ec2_api, "RunInstancesRequest"};

struct launch_source scaling_source(const struct state_autoscaling_group_record *r)
{
	const struct autoscaling_auto_scaling_group *g = r->group;
	struct launch_source from = {
	        .template = g->launch_template, .mixed = g->mixed_instances_policy, .configuration = g->launch_configuration_name};
	if (refresh_leads(r))
		from = (struct launch_source){.template = r->refresh->desired_configuration->launch_template,
		                              .mixed = r->refresh->desired_configuration->mixed_instances_policy};
	if (from.mixed)
		from.template = from.mixed->launch_template->launch_template_specification;
	return from;
}

struct places scaling_places(const struct scope *s, const struct autoscaling_auto_scaling_group *g)
{
	struct places all = {0};
	struct str rest = g->vpc_zone_identifier;
	while (rest.n) {
		struct str subnet = str_trim(str_cut(&rest, ','));
		struct str zone = ec2_subnet_zone(s->txn, s->arena, s->account, s->region, subnet);
		if (str_set(zone))
			*LIST_ADD(s->arena, &all) = (struct place){zone, subnet};
	}
	for (uint32_t i = 0; !str_set(g->vpc_zone_identifier) && i < g->availability_zones.n; i++)
		*LIST_ADD(s->arena, &all) = (struct place){g->availability_zones.v[i], STR_NONE};
	return all;
}

/* --- the parts of a request */

static void add_tag(const struct scope *s, struct ec2_tag_list *tags, struct str key, struct str value)
{
	*LIST_ADD(s->arena, tags) = (struct ec2_tag){key, str_set(value) ? value : S("")};
}

static void set_tags(const struct scope *s, const struct state_autoscaling_group_record *r, struct ec2_run_instances_request *in)
{
	struct ec2_tag_specification spec = {.resource_type = S("instance")};
	add_tag(s, &spec.tags, S("aws:autoscaling:groupName"), r->group->auto_scaling_group_name);
	for (uint32_t i = 0; i < r->group->tags.n; i++)
		if (r->group->tags.v[i].propagate_at_launch.v)
			add_tag(s, &spec.tags, r->group->tags.v[i].key, r->group->tags.v[i].value);
	*LIST_ADD(s->arena, &in->tag_specifications) = spec;
}

/* A request whose interfaces are spelled out has its subnet there. */
static void set_place(const struct scope *s, const struct place *where, const struct ec2_run_instances_request *from,
                      struct ec2_run_instances_request *in)
{
	if (from && from->network_interfaces.n && str_set(where->subnet)) {
		for (uint32_t i = 0; i < from->network_interfaces.n; i++) {
			struct ec2_instance_network_interface_specification port = from->network_interfaces.v[i];
			port.subnet_id = where->subnet;
			*LIST_ADD(s->arena, &in->network_interfaces) = port;
		}
	} else if (str_set(where->subnet)) {
		if (in->network_interfaces.n)
			in->network_interfaces.v[0].subnet_id = where->subnet;
		else
			in->subnet_id = where->subnet;
	} else {
		struct ec2_placement *p = arena_new(s->arena, struct ec2_placement);
		if (from && from->placement)
			*p = *from->placement;
		p->availability_zone = where->zone;
		in->placement = p;
	}
}

static void set_spot(const struct scope *s, struct str max_price, struct ec2_run_instances_request *in)
{
	struct ec2_instance_market_options_request *m = arena_new(s->arena, struct ec2_instance_market_options_request);
	m->market_type = S("spot");
	m->spot_options = arena_new(s->arena, struct ec2_spot_market_options);
	m->spot_options->spot_instance_type = S("one-time");
	if (max_price.n)
		m->spot_options->max_price = max_price;
	in->instance_market_options = m;
}

/* --- by a launch configuration */

static void set_disks(const struct scope *s, const struct autoscaling_block_device_mappings *from,
                      struct ec2_block_device_mapping_request_list *to)
{
	for (uint32_t i = 0; i < from->n; i++) {
		const struct autoscaling_block_device_mapping *m = &from->v[i];
		struct ec2_block_device_mapping d = {.device_name = m->device_name, .virtual_name = m->virtual_name};
		if (m->no_device.v)
			d.no_device = S("");
		if (m->ebs) {
			d.ebs = arena_new(s->arena, struct ec2_ebs_block_device);
			d.ebs->snapshot_id = m->ebs->snapshot_id;
			d.ebs->volume_size = m->ebs->volume_size;
			d.ebs->volume_type = m->ebs->volume_type;
			d.ebs->delete_on_termination =
			        m->ebs->delete_on_termination.set ? m->ebs->delete_on_termination : OPT_BOOL(true);
			d.ebs->iops = m->ebs->iops;
			d.ebs->throughput = m->ebs->throughput;
			d.ebs->encrypted = m->ebs->encrypted;
		}
		*LIST_ADD(s->arena, to) = d;
	}
}

static void by_configuration(const struct scope *s, const struct autoscaling_launch_configuration *k,
                             struct ec2_run_instances_request *in)
{
	in->image_id = k->image_id;
	in->instance_type = k->instance_type;
	in->key_name = k->key_name;
	in->user_data = k->user_data;
	in->ebs_optimized = k->ebs_optimized;
	set_disks(s, &k->block_device_mappings, &in->block_device_mappings);
	in->monitoring = arena_new(s->arena, struct ec2_run_instances_monitoring_enabled);
	in->monitoring->enabled = OPT_BOOL(!k->instance_monitoring || k->instance_monitoring->enabled.v);
	if (k->iam_instance_profile.n) {
		in->iam_instance_profile = arena_new(s->arena, struct ec2_iam_instance_profile_specification);
		if (str_starts(k->iam_instance_profile, S("arn:")))
			in->iam_instance_profile->arn = k->iam_instance_profile;
		else
			in->iam_instance_profile->name = k->iam_instance_profile;
	}
	if (k->metadata_options) {
		in->metadata_options = arena_new(s->arena, struct ec2_instance_metadata_options_request);
		in->metadata_options->http_tokens = k->metadata_options->http_tokens;
		in->metadata_options->http_endpoint = k->metadata_options->http_endpoint;
		in->metadata_options->http_put_response_hop_limit = k->metadata_options->http_put_response_hop_limit;
	}
	if (k->associate_public_ip_address.set) {
		struct ec2_instance_network_interface_specification port = {
		        .device_index = OPT_INT(0), .associate_public_ip_address = k->associate_public_ip_address};
		for (uint32_t i = 0; i < k->security_groups.n; i++)
			*LIST_ADD(s->arena, &port.groups) = k->security_groups.v[i];
		*LIST_ADD(s->arena, &in->network_interfaces) = port;
	} else {
		for (uint32_t i = 0; i < k->security_groups.n; i++)
			*LIST_ADD(s->arena,
			          str_starts(k->security_groups.v[i], S("sg-")) ? &in->security_group_ids : &in->security_groups) =
			        k->security_groups.v[i];
	}
	if (k->spot_price.n)
		set_spot(s, k->spot_price, in);
}

/* --- mixed instances: on demand or spot, and which override */

static bool next_on_demand(const struct state_autoscaling_group_record *r, const struct autoscaling_instances_distribution *d)
{
	int64_t desired = r->group->desired_capacity.v, have = 0;
	int64_t base = d && d->on_demand_base_capacity.set ? d->on_demand_base_capacity.v : 0;
	int64_t percent =
	        d && d->on_demand_percentage_above_base_capacity.set ? d->on_demand_percentage_above_base_capacity.v : 100;
	int64_t above = desired > base ? desired - base : 0;
	int64_t want = base + (above * percent + 99) / 100;
	for (uint32_t i = 0; i < r->members.n; i++)
		if (member_counts(&r->members.v[i]) && !r->members.v[i].spot.v)
			have += member_weight(&r->members.v[i]);
	return have < want;
}

/* What a unit of capacity costs with it. */
static double price_of(const struct autoscaling_launch_template_overrides *o)
{
	int64_t weight = 1;
	str_to_i64(o->weighted_capacity, &weight);
	return (double)ec2_type_price(o->instance_type) / (double)weight;
}

static unsigned spots_of(const struct state_autoscaling_group_record *r, struct str type)
{
	unsigned n = 0;
	for (uint32_t i = 0; i < r->members.n; i++)
		n += member_counts(&r->members.v[i]) && r->members.v[i].spot.v && str_eq(r->members.v[i].type, type);
	return n;
}

static bool usable(const struct autoscaling_launch_template_overrides *o)
{
	return !o->instance_type.n || ec2_type_offered(o->instance_type);
}

/* Is it among the so many cheapest? Of equal ones those that are first in the list are. */
static bool cheap(const struct autoscaling_overrides *all, uint32_t at, int64_t pools)
{
	int64_t before = 0;
	for (uint32_t i = 0; i < all->n; i++) {
		double mine = price_of(&all->v[at]), other = price_of(&all->v[i]);
		before += usable(&all->v[i]) && (other < mine || (other <= mine && i < at));
	}
	return before < pools;
}

/* All pools of this machine are of the same capacity: where capacity decides, the first in the list is as good as any, and where
 * the price decides too, the cheapest is. Lowest price spreads spot instances over the cheapest pools. */
static const struct autoscaling_launch_template_overrides *pick_override(const struct scope *s,
                                                                         const struct state_autoscaling_group_record *r,
                                                                         const struct autoscaling_mixed_instances_policy *p,
                                                                         bool spot)
{
	struct autoscaling_overrides expanded = scaling_overrides(s->arena, p, spot);
	const struct autoscaling_overrides *all = &expanded;
	const struct autoscaling_instances_distribution *d = p->instances_distribution;
	struct str strategy = !d ? STR_NONE : spot ? d->spot_allocation_strategy : d->on_demand_allocation_strategy;
	bool lowest = str_is(strategy, "lowest-price"), priced = lowest || str_is(strategy, "price-capacity-optimized");
	int64_t pools = !priced ? INT64_MAX : lowest && spot && d->spot_instance_pools.set ? d->spot_instance_pools.v : 1;
	const struct autoscaling_launch_template_overrides *best = NULL;
	for (uint32_t i = 0; i < all->n; i++) {
		const struct autoscaling_launch_template_overrides *o = &all->v[i];
		if (!usable(o) || !cheap(all, i, pools))
			continue;
		if (!best || (pools > 1 && priced && spots_of(r, o->instance_type) < spots_of(r, best->instance_type)))
			best = o;
	}
	return best ? best : all->n ? &all->v[0] : NULL;
}

static bool by_template(const struct scope *s, const struct state_autoscaling_group_record *r, const struct launch_source *from,
                        const struct place *where, struct state_autoscaling_member *m, struct ec2_run_instances_request *in,
                        struct str *ret_why)
{
	const struct autoscaling_launch_template_specification *t = from->template;
	struct ec2_template_seen seen;
	const struct autoscaling_instances_distribution *d = from->mixed ? from->mixed->instances_distribution : NULL;
	bool spot = from->mixed && !next_on_demand(r, d);
	const struct autoscaling_launch_template_overrides *over = from->mixed ? pick_override(s, r, from->mixed, spot) : NULL;
	if (over && over->launch_template_specification)
		t = over->launch_template_specification;
	if (!ec2_see_template(s->txn, s->arena, s->account, s->region, t->launch_template_id, t->launch_template_name, t->version,
	                      &seen, ret_why))
		return false;
	m->template_id = seen.id;
	m->template_name = seen.name;
	m->template_version = arena_printf(s->arena, "%lld", (long long)seen.version);
	in->launch_template = arena_new(s->arena, struct ec2_launch_template_specification);
	in->launch_template->launch_template_id = seen.id;
	in->launch_template->version = m->template_version;
	set_place(s, where, seen.data, in);
	if (over) {
		in->instance_type = over->instance_type;
		in->image_id = over->image_id;
		int64_t weight;
		if (over->weighted_capacity.n && str_to_i64(over->weighted_capacity, &weight))
			m->weight = OPT_INT(weight);
	}
	if (spot)
		set_spot(s, d ? d->spot_max_price : STR_NONE, in);
	const struct ec2_instance_market_options_request *market =
	        in->instance_market_options ? in->instance_market_options : seen.data->instance_market_options;
	m->spot = OPT_BOOL(market && str_is(market->market_type, "spot"));
	m->type = in->instance_type.n ? in->instance_type : seen.data->instance_type;
	m->image = in->image_id.n ? in->image_id : seen.data->image_id;
	return true;
}

bool scaling_prepare(const struct scope *s, const struct state_autoscaling_group_record *r, const struct place *where,
                     struct state_autoscaling_member *m, struct str *ret_why)
{
	struct launch_source from = scaling_source(r);
	struct ec2_run_instances_request in = {.min_count = OPT_INT(1), .max_count = OPT_INT(1), .client_token = m->slot};
	m->zone = where->zone;
	m->subnet = where->subnet;
	set_tags(s, r, &in);
	if (from.template) {
		if (!by_template(s, r, &from, where, m, &in, ret_why))
			return false;
	} else {
		struct state_autoscaling_configuration_record k = {0};
		if (!scaling_configuration_find(s, from.configuration, &k)) {
			*ret_why = arena_printf(s->arena, "Launch configuration %.*s not found", STR_ARG(from.configuration));
			return false;
		}
		by_configuration(s, k.configuration, &in);
		set_place(s, where, NULL, &in);
		m->configuration = from.configuration;
		m->type = in.instance_type;
		m->image = in.image_id;
		m->spot = OPT_BOOL(in.instance_market_options != NULL);
	}
	if (r->group->placement_group.n) {
		if (!in.placement)
			in.placement = arena_new(s->arena, struct ec2_placement);
		in.placement->group_name = r->group->placement_group;
	}
	m->request = record_write(s->arena, &scaling_request_row, &in);
	return true;
}

bool scaling_current(const struct scope *s, const struct state_autoscaling_group_record *r,
                     const struct state_autoscaling_member *m)
{
	struct launch_source from = scaling_source(r);
	struct ec2_template_seen seen;
	struct str why;
	if (!from.template)
		return str_eq(m->configuration, from.configuration);
	const struct autoscaling_launch_template_specification *t = from.template;
	if (from.mixed) {
		struct autoscaling_overrides all = scaling_overrides(s->arena, from.mixed, m->spot.v);
		for (uint32_t i = 0; i < all.n; i++)
			if (all.v[i].launch_template_specification && str_eq(all.v[i].instance_type, m->type))
				t = all.v[i].launch_template_specification;
	}
	return ec2_see_template(s->txn, s->arena, s->account, s->region, t->launch_template_id, t->launch_template_name, t->version,
	                        &seen, &why) &&
	       str_eq(seen.id, m->template_id) &&
	       str_eq(arena_printf(s->arena, "%lld", (long long)seen.version), m->template_version);
}

int64_t scaling_age(const struct scope *s, const struct state_autoscaling_group_record *r, const struct state_autoscaling_member *m)
{
	struct launch_source from = scaling_source(r);
	struct state_autoscaling_configuration_record k = {0};
	int64_t version = 0;
	if (str_set(m->configuration))
		return scaling_configuration_find(s, m->configuration, &k) ? k.configuration->created_time.ms : 0;
	if (!from.template || !str_set(m->template_id))
		return 0;
	bool same = str_set(from.template->launch_template_id) ? str_eq(from.template->launch_template_id, m->template_id)
	                                                       : str_eq(from.template->launch_template_name, m->template_name);
	return same && str_to_i64(m->template_version, &version) ? version : 0;
}
