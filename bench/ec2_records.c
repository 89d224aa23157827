/* Writes the records of stopped instances, each with its disk and its interface, into the store of a cloud that does not run: what
 * ten thousand launches would leave behind, by the functions that write it there. Prints the id of one of them.
 * usage: ec2_records STATE ACCOUNT REGION VPC SUBNET GROUP COUNT */
#include "aws/ec2/compute.h"
#include "base/arena.h"
#include "base/log.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

enum { LAUNCHED_MS = 1000, AT_ONCE = 200, PER_RESERVATION = 2 };

static struct ec2_placement *placement(struct arena *a, struct str region)
{
	struct ec2_placement *p = arena_new(a, struct ec2_placement);
	*p = (struct ec2_placement){
	        .availability_zone = ARENA_CAT(a, region, S("a")), .tenancy = S("default"), .group_name = S("")};
	return p;
}

static void put_disk(const struct ec2_scope *s, struct str instance)
{
	struct ec2_volume *v = arena_new(s->arena, struct ec2_volume);
	*v = (struct ec2_volume){.volume_id = ec2_new_id(s->arena, "vol"),
	                         .size = OPT_INT(8),
	                         .volume_type = S("gp3"),
	                         .state = S("in-use"),
	                         .availability_zone = ARENA_CAT(s->arena, s->region, S("a")),
	                         .create_time = OPT_TIME(LAUNCHED_MS)};
	*LIST_ADD(s->arena, &v->attachments) = (struct ec2_volume_attachment){.volume_id = v->volume_id,
	                                                                      .instance_id = instance,
	                                                                      .device = S("/dev/xvda"),
	                                                                      .state = S("attached"),
	                                                                      .attach_time = OPT_TIME(LAUNCHED_MS),
	                                                                      .delete_on_termination = OPT_BOOL(true)};
	ec2_put(s, &ec2_kind_volume, v->volume_id, &(struct state_ec2_volume_record){.volume = v, .made = OPT_BOOL(true)});
}

static void put_port(const struct ec2_scope *s, char **to, struct str instance, unsigned n)
{
	struct ec2_network_interface *e = arena_new(s->arena, struct ec2_network_interface);
	struct str address = arena_printf(s->arena, "172.31.%u.%u", n / 250 % 256, 4 + n % 250);
	*e = (struct ec2_network_interface){.network_interface_id = ec2_new_id(s->arena, "eni"),
	                                    .vpc_id = str_from(to[4]),
	                                    .subnet_id = str_from(to[5]),
	                                    .private_ip_address = address,
	                                    .mac_address = arena_printf(s->arena, "02:00:00:00:%02x:%02x", n / 256 % 256, n % 256),
	                                    .source_dest_check = OPT_BOOL(true),
	                                    .status = S("in-use"),
	                                    .owner_id = s->account,
	                                    .interface_type = S("interface")};
	*LIST_ADD(s->arena, &e->groups) = (struct ec2_group_identifier){.group_id = str_from(to[6]), .group_name = S("default")};
	*LIST_ADD(s->arena, &e->private_ip_addresses) =
	        (struct ec2_network_interface_private_ip_address){.private_ip_address = address, .primary = OPT_BOOL(true)};
	e->attachment = arena_new(s->arena, struct ec2_network_interface_attachment);
	*e->attachment = (struct ec2_network_interface_attachment){.attachment_id = ec2_new_id(s->arena, "eni-attach"),
	                                                           .instance_id = instance,
	                                                           .instance_owner_id = s->account,
	                                                           .device_index = OPT_INT(0),
	                                                           .status = S("attached"),
	                                                           .attach_time = OPT_TIME(LAUNCHED_MS),
	                                                           .delete_on_termination = OPT_BOOL(true)};
	ec2_put(s, &ec2_kind_interface, e->network_interface_id, &(struct state_vpc_interface_record){.interface = e});
}

static void put_instance(const struct ec2_scope *s, char **to, struct str id, struct str reservation, unsigned n)
{
	struct ec2_instance *i = arena_new(s->arena, struct ec2_instance);
	*i = (struct ec2_instance){.instance_id = id,
	                           .image_id = S("ami-00000000"),
	                           .instance_type = n % 10 ? S("t3.micro") : S("t3.small"),
	                           .architecture = S("x86_64"),
	                           .state = ec2_instance_state_shape(s->arena, INSTANCE_STOPPED),
	                           .state_transition_reason = S("User initiated"),
	                           .ami_launch_index = OPT_INT(n % PER_RESERVATION),
	                           .launch_time = OPT_TIME(LAUNCHED_MS),
	                           .subnet_id = str_from(to[5]),
	                           .vpc_id = str_from(to[4]),
	                           .root_device_name = S("/dev/xvda"),
	                           .root_device_type = S("ebs"),
	                           .placement = placement(s->arena, s->region)};
	*LIST_ADD(s->arena, &i->tags) = (struct ec2_tag){.key = S("Name"), .value = arena_printf(s->arena, "host-%u", n)};
	i->monitoring = arena_new(s->arena, struct ec2_monitoring);
	i->monitoring->state = S("disabled");
	i->metadata_options = arena_new(s->arena, struct ec2_instance_metadata_options_response);
	i->metadata_options->http_tokens = S("optional");
	i->metadata_options->http_endpoint = S("enabled");
	const struct state_ec2_instance_record r = {.instance = i,
	                                            .reservation = reservation,
	                                            .owner = s->account,
	                                            .launched = OPT_TIME(LAUNCHED_MS),
	                                            .changed = OPT_TIME(LAUNCHED_MS)};
	put_disk(s, id);
	put_port(s, to, id, n);
	ec2_put(s, &ec2_kind_instance, id, &r);
}

static void committed(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	if (result < 0)
		die("the records cannot be written (%d)", result);
	loop_stop(ctx);
}

int main(int argc, char **argv)
{
	if (argc != 8)
		return 2;
	struct loop *loop = loop_new();
	struct store *store;
	char why[200];
	if (store_open(&store, loop, &(struct store_config){.path = argv[1]}, why) < 0)
		die("%s", why);
	char shown[32] = "";
	unsigned count = (unsigned)atoi(argv[7]);
	for (unsigned n = 0; n < count;) {
		struct arena a = {0};
		struct ec2_scope s = {
		        .txn = store_begin(store, &a), .arena = &a, .account = str_from(argv[2]), .region = str_from(argv[3])};
		struct str reservation = STR_NONE, id;
		for (unsigned k = 0; k < AT_ONCE && n < count; k++, n++) {
			if (n % PER_RESERVATION == 0)
				reservation = ec2_new_id(&a, "r");
			id = ec2_new_id(&a, "i");
			put_instance(&s, argv, id, reservation, n);
			if (n == count / 2)
				snprintf(shown, sizeof(shown), "%.*s", STR_ARG(id));
		}
		store_commit(s.txn, committed, loop);
		loop_run(loop);
		arena_done(&a);
	}
	store_close(store);
	loop_free(loop);
	printf("%s\n", shown);
	return 0;
}
