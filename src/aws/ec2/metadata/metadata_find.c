#include "aws/ec2/metadata/metadata_find.h"
#include "aws/autoscaling/autoscaling.h"

#include "aws/ec2/instance/event.h"
#include "aws/ec2/network/interface.h"
#include "aws/ec2/network/vpc.h"
#include "aws/iam/iam.h"
#include "engine/net/network.h"

#include <netinet/in.h>

static struct str role_name(struct str arn)
{
	return str_from_at(arn, (size_t)(str_rfind_char(arn, '/') + 1));
}

static void fill_port(const struct ec2_scope *s, const struct ec2_network_interface *n, struct metadata_interface *ret)
{
	struct ec2_subnet subnet;
	struct state_vpc_vpc_record vpc;
	struct metadata_address *addresses = arena_array(s->arena, n->private_ip_addresses.n + 1, sizeof(*addresses));
	*ret = (struct metadata_interface){.id = n->network_interface_id,
	                                   .mac = n->mac_address,
	                                   .subnet_id = n->subnet_id,
	                                   .vpc_id = n->vpc_id,
	                                   .device_number = n->attachment ? (unsigned)n->attachment->device_index.v : 0,
	                                   .addresses = addresses,
	                                   .address_count = n->private_ip_addresses.n};
	for (uint32_t k = 0; k < n->private_ip_addresses.n; k++) {
		const struct ec2_network_interface_private_ip_address *p = &n->private_ip_addresses.v[k];
		addresses[k].private = p->private_ip_address;
		addresses[k].public = p->association ? p->association->public_ip : STR_NONE;
	}
	for (uint32_t k = 0; k < n->groups.n; k++) {
		*LIST_ADD(s->arena, &ret->group_ids) = n->groups.v[k].group_id;
		*LIST_ADD(s->arena, &ret->group_names) = n->groups.v[k].group_name;
	}
	for (uint32_t k = 0; k < n->ipv6_addresses.n; k++)
		*LIST_ADD(s->arena, &ret->ipv6s) = n->ipv6_addresses.v[k].ipv6_address;
	if (ec2_find(s, &ec2_kind_subnet, n->subnet_id, &subnet)) {
		ret->subnet_cidr = subnet.cidr_block;
		for (uint32_t k = 0; k < subnet.ipv6_cidr_block_association_set.n; k++)
			*LIST_ADD(s->arena, &ret->subnet_ipv6_cidrs) = subnet.ipv6_cidr_block_association_set.v[k].ipv6_cidr_block;
	}
	if (!ec2_find(s, &ec2_kind_vpc, n->vpc_id, &vpc))
		return;
	for (uint32_t k = 0; k < vpc.vpc->cidr_block_association_set.n; k++)
		*LIST_ADD(s->arena, &ret->vpc_cidrs) = vpc.vpc->cidr_block_association_set.v[k].cidr_block;
	for (uint32_t k = 0; k < vpc.vpc->ipv6_cidr_block_association_set.n; k++)
		*LIST_ADD(s->arena, &ret->vpc_ipv6_cidrs) = vpc.vpc->ipv6_cidr_block_association_set.v[k].ipv6_cidr_block;
}

static void fill_disks(const struct ec2_scope *s, const struct ec2_instance *i, struct metadata_view *v)
{
	struct ec2_all all = ec2_all(s, &ec2_kind_volume);
	struct metadata_device *devices = arena_array(s->arena, 2 + 16, sizeof(*devices));
	size_t n = 2;
	devices[0] = (struct metadata_device){S("ami"), i->root_device_name};
	/* In the order of listings: ami, ebsN, root. */
	for (;;) {
		struct state_ec2_volume_record r = {0};
		if (n == 17 || !ec2_next(&all, &r))
			break;
		if (!r.volume->attachments.n || !str_eq(r.volume->attachments.v[0].instance_id, i->instance_id) ||
		    str_eq(r.volume->attachments.v[0].device, i->root_device_name))
			continue;
		devices[n - 1] = (struct metadata_device){.name = arena_printf(s->arena, "ebs%zu", n - 1),
		                                          .device = r.volume->attachments.v[0].device,
		                                          .volume = r.volume->volume_id};
		n++;
	}
	devices[n - 1] = (struct metadata_device){S("root"), i->root_device_name};
	v->devices = devices;
	v->device_count = n;
}

static void fill_profile(const struct ec2_instance *i, struct str account, struct cloud *cloud, struct arena *a,
                         struct metadata_view *v, struct metadata_options *o)
{
	struct str arn, id, role;
	if (!i->iam_instance_profile || !iam_find_profile(cloud, a, account, i->iam_instance_profile->arn, &arn, &id, &role))
		return;
	v->profile_arn = arn;
	v->profile_id = id;
	if (!str_set(role))
		return;
	v->role_name = role_name(role);
	o->role_arn = role;
}

bool metadata_of_instance(const struct ec2_scope *s, struct cloud *cloud, struct str instance_id, struct metadata_view *ret_view,
                          struct metadata_options *ret_options)
{
	struct state_ec2_instance_record r;
	struct ec2_interfaces ports;
	if (!ec2_find(s, &ec2_kind_instance, instance_id, &r) || !r.instance->state)
		return false;
	const struct ec2_instance *i = r.instance;
	ec2_interfaces_of(s, instance_id, &ports);
	struct metadata_interface *interfaces = arena_array(s->arena, ports.n + 1, sizeof(*interfaces));
	for (uint32_t k = 0; k < ports.n; k++)
		fill_port(s, ports.v[k].interface, &interfaces[k]);
	struct str_map *tags = arena_new(s->arena, struct str_map);
	for (uint32_t k = 0; k < i->tags.n; k++)
		*LIST_ADD(s->arena, tags) = (struct str_map_entry){i->tags.v[k].key, i->tags.v[k].value};
	*ret_options = (struct metadata_options){.disabled = str_is(i->metadata_options->http_endpoint, "disabled"),
	                                         .ipv6 = str_is(i->metadata_options->http_protocol_ipv6, "enabled"),
	                                         .token_required = str_is(i->metadata_options->http_tokens, "required"),
	                                         .hop_limit = (int)i->metadata_options->http_put_response_hop_limit.v};
	*ret_view = (struct metadata_view){.instance_id = i->instance_id,
	                                   .image_id = i->image_id,
	                                   .type = i->instance_type,
	                                   .reservation_id = r.reservation,
	                                   .account = s->account,
	                                   .region = s->region,
	                                   .zone = i->placement->availability_zone,
	                                   .zone_id = i->placement->availability_zone_id,
	                                   .architecture = i->architecture,
	                                   .pending_ms = i->launch_time.ms,
	                                   .launch_index = (unsigned)i->ami_launch_index.v,
	                                   .group_name = i->placement->group_name.n ? i->placement->group_name : STR_NONE,
	                                   .partition = (unsigned)i->placement->partition_number.v,
	                                   .spot = str_is(i->instance_lifecycle, "spot"),
	                                   .monitored = i->monitoring && !str_is(i->monitoring->state, "disabled"),
	                                   .target_state =
	                                           autoscaling_target_state(s->txn, s->arena, s->account, s->region, instance_id),
	                                   .events_scheduled = event_metadata(s->arena, &r, true),
	                                   .events_history = event_metadata(s->arena, &r, false),
	                                   .interrupt_ms = r.interrupt.set ? r.interrupt.ms : 0,
	                                   .recommended_ms = r.recommended.set ? r.recommended.ms : 0,
	                                   .host_name = ports.n ? ports.v[0].interface->private_dns_name : STR_NONE,
	                                   .key_name = i->key_name,
	                                   .public_key = r.public_key,
	                                   .user_data = r.user_data,
	                                   .interfaces = interfaces,
	                                   .interface_count = ports.n,
	                                   .tags_shown = str_is(i->metadata_options->instance_metadata_tags, "enabled"),
	                                   .tags = tags};
	fill_disks(s, i, ret_view);
	fill_profile(i, s->account, cloud, s->arena, ret_view, ret_options);
	return true;
}

static const char *port_of(struct networks *n, const char *vpc, const struct sockaddr_storage *peer)
{
	if (peer->ss_family == AF_INET6)
		return network_port_at6(n, vpc, ((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr.s6_addr);
	return network_port_at(n, vpc, ntohl(((const struct sockaddr_in *)(const void *)peer)->sin_addr.s_addr));
}

bool metadata_find(void *ctx, struct arena *a, struct str vpc_id, const struct sockaddr_storage *peer,
                   struct metadata_view *ret_view, struct metadata_options *ret_options)
{
	struct desk *d = ctx;
	struct ec2_scope s = {.arena = a};
	const char *port = d->ec2->networks ? port_of(d->ec2->networks, arena_dupz(a, vpc_id), peer) : NULL;
	struct desk_item *i = port ? instances_item_with_port(d, str_from(port), NULL) : NULL;
	if (!i)
		return false;
	s.txn = store_begin(d->cloud->store, a);
	s.account = i->account;
	s.region = i->region;
	bool there = metadata_of_instance(&s, d->cloud, i->id, ret_view, ret_options);
	/* What was read lies in the transaction's snapshot, which ends: strings of records are copies in the arena. */
	store_abort(s.txn);
	if (there)
		instances_reached(d, i->id);
	return there;
}

void metadata_tokenless(void *desk, struct str instance_id, bool refused)
{
	struct desk_item *i = map_get(&((struct desk *)desk)->items, instance_id);
	if (i)
		*(refused ? &i->tokenless_refused : &i->tokenless) += 1;
}
