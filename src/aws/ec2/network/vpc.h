/* What the nouns of a VPC share: quotas, look-ups from one noun to another, and what they make and remove for each other. Private
 * to aws/ec2. */
#pragma once
#include "aws/ec2/network/block.h"
#include "aws/ec2/network/interface.h"
#include "aws/ec2/state.h"

/* Amazon's default quotas. */
enum {
	EC2_VPCS_MAX = 5,
	EC2_VPC_BLOCKS_MAX = 5,
	EC2_SUBNETS_MAX = 200,      /* of a VPC */
	EC2_ROUTE_TABLES_MAX = 200, /* of a VPC */
	EC2_ROUTES_MAX = 50,
	EC2_GATEWAYS_MAX = 5,
	EC2_EGRESS_GATEWAYS_MAX = 5,
	EC2_NATS_MAX = 5,       /* of a zone */
	EC2_ACLS_MAX = 200,     /* of a VPC */
	EC2_ACL_RULES_MAX = 20, /* in each direction */
	EC2_GROUPS_MAX = 2500,
	EC2_GROUP_RULES_MAX = 60, /* in each direction */
	EC2_INTERFACE_GROUPS_MAX = 5,
	EC2_INTERFACE_ADDRESSES_MAX = 15, /* what the network takes: fewer than most instance types have */
	EC2_ADDRESSES_MAX = 5,
	EC2_PEERINGS_MAX = 50,
};

/* What is not there: UnsupportedOperation. */
int ec2_unsupported(struct call *c, const char *what);

/* --- vpc.c */
/* The default VPC of the call's account and region; false: it was deleted. */
bool ec2_default_vpc(struct call *c, struct state_vpc_vpc_record *ret);
/* A new VPC with its main route table, default ACL and default group. All are put. */
/* The default VPC as Amazon makes it: a subnet in each zone, an internet gateway and a route to it (default.c). */
void ec2_default_vpc_make(struct call *c, struct state_vpc_vpc_record *ret);
void ec2_vpc_make(struct call *c, struct ec2_block block, bool is_default, struct ec2_tag_list tags,
                  struct state_vpc_vpc_record *ret);
/* The VPC of an id, or the default one where it is absent: VPCIdNotSpecified. */
int ec2_vpc_or_default(struct call *c, struct str id, struct state_vpc_vpc_record *ret);
bool ec2_vpc_has_block(const struct state_vpc_vpc_record *vpc, struct ec2_block block); /* lies in one of its blocks? */
/* The default DHCP options of the region; made when there are none. */
struct str ec2_default_dhcp(const struct ec2_scope *s);
/* dhcp.c: the domain that the machines of a VPC are told. */
struct str ec2_domain_name(const struct ec2_scope *s, struct str vpc);
/* The servers that they are told. */
struct network_dhcp ec2_dhcp_servers(const struct ec2_scope *s, struct str vpc);

/* --- subnet.c */
struct ec2_block ec2_subnet_block(const struct ec2_subnet *subnet);
void ec2_subnet_make(struct call *c, const struct state_vpc_vpc_record *vpc, struct ec2_block block, unsigned zone, bool is_default,
                     struct ec2_tag_list tags, struct ec2_subnet *ret);
/* The default VPC's subnet in a zone with the first free block. */
void ec2_default_subnet_make(struct call *c, const struct state_vpc_vpc_record *vpc, unsigned zone, struct ec2_subnet *ret);

/* --- group.c */
void ec2_group_make(struct call *c, struct str vpc, struct str name, struct str description, struct ec2_tag_list tags,
                    struct state_vpc_group_record *ret);
/* A group's own rules with it. */
void ec2_group_remove(const struct ec2_scope *s, struct state_vpc_group_record *group);
bool ec2_group_named(const struct ec2_scope *s, struct str vpc, struct str name, struct state_vpc_group_record *ret);
/* The group that a request means by id, or by name in the default VPC. */
int ec2_group_given(struct call *c, struct str id, struct str name, struct state_vpc_group_record *ret);

/* Lets out over IPv6 what groups let out over IPv4 when nobody has changed that; of groups of a VPC that gets IPv6. */
void ec2_groups_add_ipv6(struct call *c, struct str vpc);

/* --- rule.c */
struct ec2_security_group_rule *ec2_rule_add(struct call *c, struct state_vpc_group_record *group,
                                             struct ec2_security_group_rule rule);
/* --- rule_list.c: the rules of a group as IpPermissions */
void ec2_group_fill(struct call *c, struct state_vpc_group_record *group);

/* --- route_table.c */
void ec2_route_table_make(struct call *c, const struct state_vpc_vpc_record *vpc, bool is_main, struct ec2_tag_list tags,
                          struct ec2_route_table *ret);
/* The local route of a block of the VPC, of either family. */
void ec2_route_tables_set_block(struct call *c, struct str vpc, struct str block, bool there);
/* Subnet ids that are given up: their associations go. */
void ec2_route_tables_drop_subnet(const struct ec2_scope *s, struct str subnet);
/* Is the route's target there and in use? */
bool ec2_route_works(const struct ec2_scope *s, const struct ec2_route *route, struct str vpc);

/* --- acl.c */
void ec2_acl_make(struct call *c, struct str vpc, bool is_default, struct ec2_tag_list tags, struct ec2_network_acl *ret);
void ec2_acl_add_subnet(const struct ec2_scope *s, struct str vpc, struct str subnet);
/* The entries for IPv6 that Amazon adds to a VPC's ACLs when it gets IPv6. */
void ec2_acls_add_ipv6(const struct ec2_scope *s, struct str vpc);
void ec2_acls_drop_subnet(const struct ec2_scope *s, struct str subnet);

/* --- prefix_list.c */
/* As how many rules or routes one counts that names this list, or none (1). */
int64_t ec2_prefix_list_weight(const struct ec2_scope *s, struct str id);

/* --- subnet_reservation.c */
extern const struct ec2_kind ec2_kind_subnet_reservation;
/* The blocks of a subnet whose addresses are given to those alone who name them. */
struct ec2_reserved {
	struct ec2_block *v;
	uint32_t n;
};
struct ec2_reserved ec2_subnet_reserved(const struct ec2_scope *s, struct str subnet);
/* The subnet goes, or its block of IPv6 alone. */
void ec2_subnet_reservations_drop(const struct ec2_scope *s, struct str subnet, bool only_ipv6);

/* --- pool.c: public addresses, of all accounts together */
/* Takes a free one; false: there is none. The holder is an allocation or an interface. */
bool ec2_pool_take(const struct ec2_scope *s, struct str holder, uint32_t *ret);
/* Takes this very one; false: it is not of the pool, or in use. */
bool ec2_pool_take_this(const struct ec2_scope *s, struct str holder, uint32_t address);
void ec2_pool_give(const struct ec2_scope *s, uint32_t address);

/* --- interface.c */
/* Another private address (absent: the first free one) of the interface's subnet. The record is not put. */
int ec2_interface_add_address(struct call *c, struct ec2_network_interface *eni, const struct ec2_subnet *subnet, struct str text);
/* Takes one away, with the public address that is mapped to it. The record is not put. */
void ec2_interface_drop_address(const struct ec2_scope *s, struct ec2_network_interface *eni, uint32_t at);
void ec2_interfaces_rename(const struct ec2_scope *s, struct str vpc);
void ec2_interface_put(const struct ec2_scope *s, struct state_vpc_interface_record *record);

/* Is an internet gateway attached? */
bool ec2_vpc_has_gateway(struct call *c, struct str vpc);

/* --- peering.c */
/* The active peering of two VPCs that is seen from here; absent: there is none. */
struct str ec2_peering_between(const struct ec2_scope *s, struct str a, struct str b);
bool ec2_peering_of(const struct ec2_scope *s, struct str vpc); /* has it an active one? */

/* --- address.c */
/* The elastic address belongs to no interface any more. */
void ec2_address_let_go(const struct ec2_scope *s, struct str allocation);
/* Maps an elastic address to a private address of an interface; puts both records. */
void ec2_address_bind(struct call *c, struct ec2_address *address, struct state_vpc_interface_record *record, uint32_t at);
/* What an interface's private address shows of an elastic or lent address. */
struct ec2_network_interface_association *ec2_association_make(const struct ec2_scope *s, struct str public_ip,
                                                               struct str allocation, struct str association, bool dns_names);

#define HANDLER(name) ec2_##name##_handler ec2_##name
HANDLER(describe_account_attributes);
HANDLER(describe_carrier_gateways);
HANDLER(describe_customer_gateways);
HANDLER(describe_hosts);
HANDLER(describe_transit_gateway_attachments);
HANDLER(describe_transit_gateway_vpc_attachments);
HANDLER(describe_transit_gateways);
HANDLER(describe_vpn_connections);
HANDLER(describe_vpn_gateways);
HANDLER(create_subnet_cidr_reservation);
HANDLER(delete_subnet_cidr_reservation);
HANDLER(get_subnet_cidr_reservations);
HANDLER(describe_availability_zones);
HANDLER(describe_regions);
HANDLER(associate_vpc_cidr_block);
HANDLER(create_default_vpc);
HANDLER(create_vpc);
HANDLER(delete_vpc);
HANDLER(describe_vpc_attribute);
HANDLER(describe_vpcs);
HANDLER(disassociate_vpc_cidr_block);
HANDLER(modify_vpc_attribute);
HANDLER(create_default_subnet);
HANDLER(create_subnet);
HANDLER(delete_subnet);
HANDLER(describe_subnets);
HANDLER(modify_subnet_attribute);
HANDLER(associate_subnet_cidr_block);
HANDLER(disassociate_subnet_cidr_block);
HANDLER(authorize_security_group_egress);
HANDLER(authorize_security_group_ingress);
HANDLER(create_security_group);
HANDLER(delete_security_group);
HANDLER(describe_security_group_references);
HANDLER(describe_security_group_rules);
HANDLER(describe_security_groups);
HANDLER(get_security_groups_for_vpc);
HANDLER(describe_stale_security_groups);
HANDLER(modify_security_group_rules);
HANDLER(revoke_security_group_egress);
HANDLER(revoke_security_group_ingress);
HANDLER(update_security_group_rule_descriptions_egress);
HANDLER(update_security_group_rule_descriptions_ingress);
HANDLER(associate_route_table);
HANDLER(create_route);
HANDLER(create_route_table);
HANDLER(delete_route);
HANDLER(delete_route_table);
HANDLER(describe_route_tables);
HANDLER(disassociate_route_table);
HANDLER(replace_route);
HANDLER(replace_route_table_association);
HANDLER(attach_internet_gateway);
HANDLER(create_internet_gateway);
HANDLER(delete_internet_gateway);
HANDLER(describe_internet_gateways);
HANDLER(detach_internet_gateway);
HANDLER(create_egress_only_internet_gateway);
HANDLER(delete_egress_only_internet_gateway);
HANDLER(describe_egress_only_internet_gateways);
HANDLER(assign_ipv6_addresses);
HANDLER(unassign_ipv6_addresses);
HANDLER(assign_private_ip_addresses);
HANDLER(attach_network_interface);
HANDLER(detach_network_interface);
HANDLER(create_network_interface);
HANDLER(delete_network_interface);
HANDLER(describe_network_interface_attribute);
HANDLER(describe_network_interfaces);
HANDLER(modify_network_interface_attribute);
HANDLER(reset_network_interface_attribute);
HANDLER(unassign_private_ip_addresses);
HANDLER(allocate_address);
HANDLER(associate_address);
HANDLER(describe_addresses);
HANDLER(describe_addresses_attribute);
HANDLER(disassociate_address);
HANDLER(release_address);
HANDLER(associate_dhcp_options);
HANDLER(create_dhcp_options);
HANDLER(delete_dhcp_options);
HANDLER(describe_dhcp_options);
HANDLER(create_network_acl);
HANDLER(create_network_acl_entry);
HANDLER(delete_network_acl);
HANDLER(delete_network_acl_entry);
HANDLER(describe_network_acls);
HANDLER(replace_network_acl_association);
HANDLER(replace_network_acl_entry);
HANDLER(create_managed_prefix_list);
HANDLER(delete_managed_prefix_list);
HANDLER(describe_managed_prefix_lists);
HANDLER(get_managed_prefix_list_entries);
HANDLER(modify_managed_prefix_list);
HANDLER(create_network_insights_path);
HANDLER(delete_network_insights_analysis);
HANDLER(delete_network_insights_path);
HANDLER(describe_network_insights_analyses);
HANDLER(describe_network_insights_paths);
HANDLER(start_network_insights_analysis);
HANDLER(accept_vpc_peering_connection);
HANDLER(create_vpc_peering_connection);
HANDLER(delete_vpc_peering_connection);
HANDLER(describe_vpc_peering_connections);
HANDLER(reject_vpc_peering_connection);
HANDLER(create_nat_gateway);
HANDLER(delete_nat_gateway);
HANDLER(describe_nat_gateways);
#undef HANDLER
