/* EC2's face for other services: which images there are, and network interfaces for what others run. What the functions give lives
 * in the arena of the call, or in the one that they are given. */
#pragma once
#include "core/call.h"

struct ec2_default_image {
	struct str id, name, created; /* ISO 8601 */
	struct str_list platforms;    /* that environments of Elastic Beanstalk can be of on it */
};
/* The image that is there from the beginning. False: there is none, or not yet. */
bool ec2_find_default_image(struct call *c, struct ec2_default_image *ret);
bool ec2_get_default_image(const struct cloud *cloud, struct arena *a, struct ec2_default_image *ret);

/* Is this the id of an image that the call's account may launch in its region? */
bool ec2_image_there(struct call *c, struct str id);
struct str ec2_image_root(struct call *c, struct str id); /* its root device; absent: there is no such image */

/* Is this the id of a VPC of the call's account and region? */
bool ec2_vpc_there(struct call *c, struct str id);
/* The same of another region. */
bool ec2_vpc_of(struct call *c, struct str region, struct str id);

/* The zone of a subnet; absent: there is none such. */
struct str ec2_subnet_zone(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id);
/* Does this instance of the call's account and region run, so that a session can be begun in it? */
bool ec2_instance_runs(struct call *c, struct str id);
/* Its tags; none where there is no such instance. */
void ec2_instance_tags(struct call *c, struct str id, struct str_map *ret);

/* A network interface that a service of ours has for something that it runs (a task of ECS). Its user sees it, and cannot change
 * it: it is managed by its requester. It exists in the kernel from the commit on that makes it to the one that gives it back. */
struct ec2_lend {
	struct str subnet;
	const struct str_list *groups; /* ids; none: the VPC's default group */
	bool public;
	struct str requester, description;
	const struct str_map *tags; /* NULL: none */
	struct str instance;        /* that runs, and is given it as one more device; absent: it is given as a namespace */
	struct str type;            /* absent: "interface" */
	bool unfiltered;            /* it has no groups, and everything passes (network load balancers) */
	struct str address;         /* its private address; absent: a free one */
	struct str allocation;      /* of the elastic address that it gets; absent: none */
	/* It is no link to anywhere: the VPC's resolver answers there ("answers") or asks others from there ("asks"). Or many
	 * sandboxes have links into it ("shared"). Absent: it is given to somebody. */
	struct str door;
	bool ipv6;           /* with an address of IPv6, too */
	struct str address6; /* this one; absent: a free one */
};
struct ec2_lent {
	struct str id, mac, address, private_name; /* private_name absent: the VPC has no names */
	struct str subnet, vpc, zone;
	struct str address6, block6; /* absent: it has none of IPv6; the block is the subnet's */
	struct str public;           /* absent: it has no public address */
	uint8_t ip6[16];
	uint32_t ip, gateway, resolver; /* host byte order */
	uint8_t prefix;
};
/* CALL_OK, or CALL_FAIL with EC2's error (InvalidSubnetID.NotFound, InsufficientFreeAddressesInSubnet, InvalidGroup.NotFound, ...).
 */
int ec2_lend_interface(struct call *c, const struct ec2_lend *what, struct ec2_lent *ret);
/* False: there is none such. */
bool ec2_find_lent(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id,
                   struct ec2_lent *ret);
/* How many more interfaces the instance could be given; 0 where there is none such. */
int64_t ec2_interface_room(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str instance);
/* Other groups; CALL_FAIL with EC2's error. */
int ec2_lent_set_groups(struct call *c, struct str id, const struct str_list *groups);
/* With an address of IPv6 and a public one of Amazon's pool from now on, or without; an elastic one stays. CALL_FAIL with EC2's
 * error. */
int ec2_lent_set_addresses(struct call *c, struct str id, bool ipv6, bool public);
bool ec2_subnet_has_ipv6(struct call *c, struct str id);
/* Is this an elastic address of the account that nothing has yet? */
bool ec2_allocation_free(struct call *c, struct str allocation);
/* The VPC of a security group; absent: there is none such. The default group of a VPC. */
struct str ec2_group_vpc(struct call *c, struct str id);
struct str ec2_default_group(struct call *c, struct str vpc);
/* Is an internet gateway attached to the VPC? */
bool ec2_vpc_reaches_internet(struct call *c, struct str vpc);
/* Does this address (host byte order) lie in the VPC's blocks? *ret_zone: of its subnet; absent: it is in none. */
bool ec2_vpc_spans(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str vpc, uint32_t address,
                   struct str *ret_zone);
/* Removes it with its addresses, as soon as an instance that has it let go; harmless when it is gone. */
void ec2_return_interface(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id);
/* fn is called when the interface is in the kernel, with its plug (NETWORK_PLUG; of a shared one its namespace, of another door:
 * -1); also after a restart of the role, for each that is there. It says if the interface is its own: then the descriptor is too. A
 * few watchers. */
typedef bool ec2_port_fn(void *ctx, struct str interface, int fd);
void ec2_watch_ports(struct cloud *cloud, ec2_port_fn *fn, void *ctx);
void ec2_unwatch_ports(struct cloud *cloud, ec2_port_fn *fn, void *ctx);
/* The link that was made is gone with the namespace that it led to: a new plug comes. */
void ec2_renew_port(struct cloud *cloud, struct str interface);

/* How many bytes a lent interface has received and sent since its link was made. False: not known yet; a moment later perhaps. */
bool ec2_lent_traffic(const struct cloud *cloud, struct str interface, uint64_t *ret_received, uint64_t *ret_sent);

/* --- lend_balance.c: what a lent interface of a network load balancer has its VPC's router do (engine/net/network.h). It goes with
 * the interface. */
struct network_balance;
struct network_balance_stats;
void ec2_lent_balance(const struct cloud *cloud, const struct network_balance *b);
void ec2_lent_unbalance(const struct cloud *cloud, const char *interface, uint8_t protocol, uint16_t listens);
/* All that it has was said: what is left of before this start goes. */
void ec2_lent_balances_settled(const struct cloud *cloud, const char *interface);
/* False: nothing is known yet; a moment later perhaps. */
bool ec2_lent_balance_stats(const struct cloud *cloud, const char *interface, uint8_t protocol, uint16_t listens,
                            struct network_balance_stats *ret);
struct network_port_stats;
bool ec2_lent_port_stats(const struct cloud *cloud, const char *interface, struct network_port_stats *ret);

/* --- identify.c: which instance it is that shows a signed identity document */
struct ec2_identified {
	struct str id, type, zone, image, subnet, vpc;
	int64_t vcpus, memory_mib; /* of its type */
};
/* False: the document is not of this cloud, or not of an instance of the call's account and region that runs. */
bool ec2_identify(struct call *c, struct str document, struct str signature, struct ec2_identified *ret);
enum ec2_life { EC2_LIFE_UP, EC2_LIFE_DOWN, EC2_LIFE_GONE };
/* Pending and running ones are up, terminated ones are gone; all others are down. */
enum ec2_life ec2_instance_life(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id);

/* --- grouped.c: for services that keep groups of instances */
struct ec2_run_instances_request;
struct ec2_seen {
	bool there;        /* false: terminated so long ago that nothing is known of it any more */
	struct str state;  /* "pending", "running", ... */
	struct str reason; /* why it was terminated or stopped, as its state reason says it */
	struct str type, zone, zone_id, subnet, image;
	struct str vpc, address;          /* the primary private address; absent: it has none any more */
	int64_t launched_ms, impaired_ms; /* impaired_ms: since when its status checks fail, or from when on they will; 0: never */
	bool spot, noticed, recommended;  /* a spot instance; it has its notice of interruption; it is recommended to be replaced */
	struct str_map tags;
};
void ec2_see_instance(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id,
                      struct ec2_seen *ret);
/* fn is called for every change of an instance's record. */
typedef void ec2_instance_changed_fn(void *ctx, struct str account, struct str region, struct str id);
struct ec2_instances_watch;
struct ec2_instances_watch *ec2_watch_instances(struct cloud *cloud, ec2_instance_changed_fn *fn, void *ctx);
void ec2_unwatch_instances(struct ec2_instances_watch *w); /* NULL is harmless */

/* A version of a launch template: a number, $Latest, $Default or nothing. `data` is what RunInstances makes of it. False: *ret_why
 * says why not, in EC2's words. */
struct ec2_template_seen {
	struct str id, name;
	int64_t version;
	struct ec2_run_instances_request *data;
};
bool ec2_see_template(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id, struct str name,
                      struct str version, struct ec2_template_seen *ret, struct str *ret_why);
/* A subnet and its VPC; a zone's name (of one or of an id), absent: none of the region. */
struct str ec2_subnet_vpc(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id);
struct str ec2_zone_named(struct arena *a, struct str region, struct str name_or_id);
struct str ec2_zone_id_of(struct arena *a, struct str region, struct str name);
/* Does this machine offer the type? False also where there is none such. */
bool ec2_type_offered(struct str type);
/* Names of the offered types that fit, the cheapest first. False: the requirements cannot be, *ret_why says why. */
struct ec2_instance_requirements_request;
bool ec2_types_fitting(struct arena *a, const struct ec2_instance_requirements_request *r, struct str_list *ret,
                       const char **ret_why);
/* What an instance of it costs an hour on demand, in millionths of a dollar; 0: not known. Spot is a fixed part of that. */
uint64_t ec2_type_price(struct str type);
