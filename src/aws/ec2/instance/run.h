/* What RunInstances' files share: run.c has the instances, run_ports.c their network interfaces. Private to aws/ec2. */
#pragma once
#include "aws/ec2/capacity/placement.h"
#include "aws/ec2/capacity/reservation.h"
#include "aws/ec2/capacity/spot.h"
#include "aws/ec2/compute.h"
#include "aws/ec2/network/interface.h"

/* One network interface of every instance of a call. */
struct run_port {
	int64_t index;
	struct state_vpc_interface_record there; /* one that exists; its interface is NULL: it is made */
	struct ec2_subnet subnet;
	struct str_list groups, secondary, ipv6;
	struct str address, description;
	int64_t secondary_count, ipv6_count;
	bool public, goes; /* with a public address; with the instance */
};

/* What all instances of a call have in common. */
struct launch {
	const struct ec2_run_instances_request *in;
	struct state_ec2_image_record image;
	const struct instance_type *type;
	struct ec2_subnet subnet; /* of the first interface */
	struct ec2_key_pair_info key;
	struct ec2_iam_instance_profile profile;
	struct str user_data;
	struct run_port *ports; /* by device index */
	uint32_t port_count;
	struct ec2_block_device_mapping *disks; /* the image's, overlaid with the request's; the root is first */
	uint32_t disk_count;
	struct placement place;
	struct spot_ask spot;
	struct reserved reserved;
	bool after_spot;                   /* spot instances have to go first */
	bool container;                    /* its driver */
	struct ec2_tag_list template_tags; /* what an instance made of a launch template says of it */
};

/* metadata_default.c: what the account says of its instances' metadata service; empty where it says nothing. */
void ec2_metadata_defaults(const struct ec2_scope *s, struct ec2_instance_metadata_defaults_response *ret);
ec2_get_instance_metadata_defaults_handler ec2_get_instance_metadata_defaults;
ec2_modify_instance_metadata_defaults_handler ec2_modify_instance_metadata_defaults;

/* The instance profile that was asked for, if the caller may give its role. */
int ec2_run_take_profile(struct call *c, struct launch *l);
/* Subnets, groups and addresses of the interfaces that were asked for, and l->subnet. CALL_FAIL: EC2's error. */
int ec2_run_take_ports(struct call *c, struct launch *l);
/* Has the type room for them? */
int ec2_run_check_ports(struct call *c, const struct launch *l);
/* How many interfaces an instance of the type may have here. */
unsigned ec2_type_interfaces(const struct instance_type *t);
/* Makes and attaches those of one instance. */
int ec2_run_make_ports(struct call *c, const struct launch *l, struct str instance);
