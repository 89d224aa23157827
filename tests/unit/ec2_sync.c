/* Records of VPCs become puts: against networks that only remember what was put. */
#include "unit.h"

#include "aws/ec2/network/sync.h"
#include "aws/ec2/network/vpc.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- networks that remember */

static char said[16384];
static int settled;

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	va_list ap;
	size_t n = strlen(said);
	va_start(ap, fmt);
	vsnprintf(said + n, sizeof(said) - n, fmt, ap);
	va_end(ap);
}

static const char *block(struct network_prefix p)
{
	static char out[4][32];
	static int i;
	char *to = out[i++ % 4];
	snprintf(to, 32, "%u.%u.%u.%u/%u", p.base >> 24, p.base >> 16 & 255, p.base >> 8 & 255, p.base & 255, p.bits);
	return to;
}

int network_put_vpc(struct networks *n, const struct network_vpc *v)
{
	(void)n;
	say("vpc %s", v->id);
	for (size_t i = 0; i < v->prefix_count; i++)
		say(" %s", block(v->prefixes[i]));
	say("\n");
	return 0;
}

int network_put_group(struct networks *n, const struct network_group *g)
{
	(void)n;
	say("group %s of %s:", g->id, g->vpc);
	for (size_t i = 0; i < g->rule_count; i++) {
		const struct network_group_rule *r = &g->rules[i];
		say(" %s %d %d-%d %s;", r->egress ? "out" : "in", r->match.protocol, r->match.from, r->match.to,
		    r->peer_group ? r->peer_group : block(r->match.peer));
	}
	say("\n");
	return 0;
}

int network_put_acl(struct networks *n, const struct network_acl *a)
{
	(void)n;
	say("acl %s of %s:", a->id, a->vpc);
	for (size_t i = 0; i < a->rule_count; i++)
		say(" %u %s %s %d %d-%d %s;", a->rules[i].number, a->rules[i].egress ? "out" : "in",
		    a->rules[i].allow ? "allow" : "deny", a->rules[i].match.protocol, a->rules[i].match.from, a->rules[i].match.to,
		    block(a->rules[i].match.peer));
	say("\n");
	return 0;
}

int network_put_subnet(struct networks *n, const struct network_subnet *s)
{
	static const char *const kinds[] = {"local", "internet", "nat", "port", "blackhole", "peer"};
	(void)n;
	say("subnet %s %s acl %s:", s->id, block(s->prefix), s->acl);
	for (size_t i = 0; i < s->route_count; i++)
		say(" %s %s%s%s;", block(s->routes[i].to), kinds[s->routes[i].kind], s->routes[i].target ? " " : "",
		    s->routes[i].target ? s->routes[i].target : "");
	say("\n");
	return 0;
}

int network_put_port(struct networks *n, const struct network_port *p)
{
	(void)n;
	say("port %s in %s kind %d mac %02x:%02x check %d name %s.%s rate %lu:", p->id, p->subnet, p->kind, p->mac[0], p->mac[5],
	    p->source_check, p->host_name, p->domain, p->bits_per_s);
	for (size_t i = 0; i < p->address_count; i++)
		say(" %s=%s", block((struct network_prefix){p->addresses[i].private, 32}),
		    block((struct network_prefix){p->addresses[i].public, 32}));
	for (size_t i = 0; i < p->group_count; i++)
		say(" %s", p->groups[i]);
	say("\n");
	return 0;
}

void network_remove(struct networks *n, const char *id)
{
	(void)n;
	say("remove %s\n", id);
}

void networks_settled(struct networks *n)
{
	(void)n;
	settled++;
}

/* --- records */

#define HEX "00000000000000000"
#define VPC "vpc-" HEX
#define SUBNET "subnet-" HEX
#define GROUP "sg-" HEX
#define ENI "eni-" HEX
#define ACL "acl-" HEX
#define TABLE "rtb-" HEX
#define IGW "igw-" HEX
#define LIST "pl-" HEX
#define RULE "sgr-" HEX

struct world {
	char dir[64];
	struct loop *loop;
	struct store *store;
	struct ec2_sync *sync;
	struct arena arena;
	struct ec2_scope s;
};

static void stop(void *ctx)
{
	loop_stop(ctx);
}

static void committed(void *ctx, int result, uint64_t revision)
{
	(void)ctx;
	(void)revision;
	assert_int_equal(result, 0);
}

static void open_txn(struct world *w)
{
	w->s = (struct ec2_scope){
	        .txn = store_begin(w->store, &w->arena), .arena = &w->arena, .account = S("1"), .region = S("us-east-1")};
}

/* Writes what was put and lets the loop carry it to the networks. */
static void commit(struct world *w)
{
	said[0] = '\0';
	store_commit(w->s.txn, committed, NULL);
	loop_add_timer(w->loop, 60000, stop, w->loop);
	loop_run(w->loop);
}

static void put_vpc(struct world *w)
{
	struct ec2_vpc vpc = {.vpc_id = S(VPC), .cidr_block = S("10.0.0.0/16")};
	struct state_vpc_vpc_record record = {.vpc = &vpc};
	LIST_ADD(&w->arena, &vpc.cidr_block_association_set)->cidr_block = S("10.0.0.0/16");
	ec2_put(&w->s, &ec2_kind_vpc, vpc.vpc_id, &record);
}

static void put_table(struct world *w, bool internet, bool list)
{
	struct ec2_route_table table = {.route_table_id = S(TABLE), .vpc_id = S(VPC)};
	*LIST_ADD(&w->arena, &table.associations) = (struct ec2_route_table_association){.main = OPT_BOOL(true)};
	*LIST_ADD(&w->arena, &table.routes) =
	        (struct ec2_route){.destination_cidr_block = S("10.0.0.0/16"), .gateway_id = S("local")};
	if (internet)
		*LIST_ADD(&w->arena, &table.routes) = (struct ec2_route){
		        .destination_cidr_block = list ? STR_NONE : S("0.0.0.0/0"),
		        .destination_prefix_list_id = list ? S(LIST) : STR_NONE,
		        .gateway_id = S(IGW),
		};
	ec2_put(&w->s, &ec2_kind_route_table, table.route_table_id, &table);
}

static void put_gateway(struct world *w, bool attached)
{
	struct ec2_internet_gateway gateway = {.internet_gateway_id = S(IGW)};
	if (attached)
		*LIST_ADD(&w->arena, &gateway.attachments) = (struct ec2_internet_gateway_attachment){S("available"), S(VPC)};
	ec2_put(&w->s, &ec2_kind_gateway, gateway.internet_gateway_id, &gateway);
}

static void put_acl(struct world *w)
{
	struct ec2_port_range ports = {OPT_INT(80), OPT_INT(81)};
	struct ec2_network_acl acl = {.network_acl_id = S(ACL), .vpc_id = S(VPC)};
	*LIST_ADD(&w->arena, &acl.associations) = (struct ec2_network_acl_association){S("x"), S(ACL), S(SUBNET)};
	*LIST_ADD(&w->arena, &acl.entries) = (struct ec2_network_acl_entry){.rule_number = OPT_INT(100),
	                                                                    .egress = OPT_BOOL(false),
	                                                                    .protocol = S("6"),
	                                                                    .rule_action = S("allow"),
	                                                                    .cidr_block = S("0.0.0.0/0"),
	                                                                    .port_range = &ports};
	*LIST_ADD(&w->arena, &acl.entries) = (struct ec2_network_acl_entry){.rule_number = OPT_INT(32767),
	                                                                    .egress = OPT_BOOL(false),
	                                                                    .protocol = S("-1"),
	                                                                    .rule_action = S("deny"),
	                                                                    .cidr_block = S("0.0.0.0/0")};
	ec2_put(&w->s, &ec2_kind_acl, acl.network_acl_id, &acl);
}

static void put_group(struct world *w, struct ec2_security_group_rule rule)
{
	struct ec2_security_group group = {.group_id = S(GROUP), .vpc_id = S(VPC), .group_name = S("g")};
	struct state_vpc_group_record record = {.group = &group};
	*LIST_ADD(&w->arena, &record.rule_ids) = S(RULE);
	rule.security_group_rule_id = S(RULE);
	rule.group_id = S(GROUP);
	ec2_put(&w->s, &ec2_kind_group, group.group_id, &record);
	ec2_put(&w->s, &ec2_kind_rule, rule.security_group_rule_id, &rule);
}

static void put_subnet(struct world *w)
{
	struct ec2_subnet subnet = {.subnet_id = S(SUBNET), .vpc_id = S(VPC), .cidr_block = S("10.0.1.0/24")};
	ec2_put(&w->s, &ec2_kind_subnet, subnet.subnet_id, &subnet);
}

static void put_interface_as(struct world *w, struct str id, bool up, bool public)
{
	struct ec2_network_interface_association as = {.public_ip = S("127.64.0.9")};
	struct ec2_network_interface eni = {.network_interface_id = id,
	                                    .vpc_id = S(VPC),
	                                    .subnet_id = S(SUBNET),
	                                    .private_ip_address = S("10.0.1.4"),
	                                    .mac_address = S("02:00:00:00:00:a7"),
	                                    .interface_type = S("interface"),
	                                    .source_dest_check = OPT_BOOL(true)};
	struct state_vpc_interface_record record = {.interface = &eni, .up = OPT_BOOL(up), .bits_per_second = OPT_INT(1000)};
	*LIST_ADD(&w->arena, &eni.private_ip_addresses) = (struct ec2_network_interface_private_ip_address){
	        .private_ip_address = S("10.0.1.4"), .association = public ? &as : NULL};
	*LIST_ADD(&w->arena, &eni.groups) = (struct ec2_group_identifier){.group_id = S(GROUP)};
	ec2_put(&w->s, &ec2_kind_interface, eni.network_interface_id, &record);
}

static void put_interface(struct world *w, bool up, bool public)
{
	put_interface_as(w, S(ENI), up, public);
}

static struct ec2_security_group_rule ssh(void)
{
	return (struct ec2_security_group_rule){.is_egress = OPT_BOOL(false),
	                                        .ip_protocol = S("tcp"),
	                                        .from_port = OPT_INT(22),
	                                        .to_port = OPT_INT(22),
	                                        .cidr_ipv4 = S("192.0.2.0/24")};
}

static void put_all(struct world *w, bool up)
{
	put_vpc(w);
	put_table(w, true, false);
	put_gateway(w, true);
	put_acl(w);
	put_group(w, ssh());
	put_subnet(w);
	put_interface(w, up, false);
}

static int begin(void **state)
{
	static struct world w;
	char why[200];
	memset(&w, 0, sizeof(w));
	snprintf(w.dir, sizeof(w.dir), "/tmp/quartet-ec2-sync-XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	w.loop = loop_new();
	assert_int_equal(store_open(&w.store, w.loop, &(struct store_config){.path = w.dir, .ephemeral = true}, why), 0);
	said[0] = '\0';
	settled = 0;
	*state = &w;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;
	char command[128];
	ec2_sync_free(w->sync);
	store_close(w->store);
	loop_free(w->loop);
	arena_done(&w->arena);
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	return system(command);
}

static void start(struct world *w)
{
	said[0] = '\0';
	w->sync = ec2_sync_new(w->store, w->loop, NULL);
}

static const char everything[] =
        "vpc " VPC " 10.0.0.0/16\n"
        "acl " ACL " of " VPC ": 100 in allow 6 80-81 0.0.0.0/0;\n"
        "group " GROUP " of " VPC ": in 6 22-22 192.0.2.0/24;\n"
        "subnet " SUBNET " 10.0.1.0/24 acl " ACL ": 10.0.0.0/16 local; 0.0.0.0/0 internet;\n"
        "port " ENI " in " SUBNET " kind 0 mac 02:a7 check 1 name ip-10-0-1-4.ec2.internal rate 1000: 10.0.1.4/32=0.0.0.0/32 " GROUP
        "\n";

/* --- tests */

static void test_what_is_recorded_is_put_at_the_start(void **state)
{
	struct world *w = *state;
	open_txn(w);
	put_all(w, true);
	commit(w);
	start(w);
	assert_string_equal(said, everything);
	assert_int_equal(settled, 1);
}

static void test_nothing_without_an_interface_that_is_up(void **state)
{
	struct world *w = *state;
	open_txn(w);
	put_all(w, false);
	commit(w);
	start(w);
	assert_string_equal(said, "");
	assert_int_equal(settled, 1);
	open_txn(w);
	put_interface(w, true, false);
	commit(w);
	assert_non_null(strstr(said, "vpc " VPC " 10.0.0.0/16\n"));
	open_txn(w);
	put_interface(w, false, false);
	commit(w);
	assert_non_null(strstr(said, "remove " ENI "\n"));
	assert_null(strstr(said, "remove " VPC "\n"));
	assert_null(strstr(said, "remove " GROUP "\n"));

	/* the router stays for a while, in case that another comes */
	open_txn(w);
	put_interface(w, true, false);
	commit(w);
	assert_non_null(strstr(said, "port " ENI));
	assert_null(strstr(said, "vpc " VPC));
	open_txn(w);
	put_interface(w, false, false);
	commit(w);
	said[0] = '\0';
	clock_fake(clock_wall_ms(), clock_mono_us() + EC2_SYNC_LINGER_US + 1);
	for (int i = 0; i < 100 && !said[0]; i++)
		loop_turn(w->loop, 0);
	assert_non_null(strstr(said, "remove " VPC "\n"));
	assert_non_null(strstr(said, "remove " GROUP "\n"));
}

static void test_only_what_changed_is_put(void **state)
{
	struct world *w = *state;
	open_txn(w);
	put_all(w, true);
	commit(w);
	start(w);
	open_txn(w);
	put_all(w, true);
	commit(w);
	assert_string_equal(said, "");
	struct ec2_security_group_rule rule = ssh();
	rule.to_port = OPT_INT(23);
	open_txn(w);
	put_group(w, rule);
	commit(w);
	assert_string_equal(said, "group " GROUP " of " VPC ": in 6 22-23 192.0.2.0/24;\n");
}

static void test_routes_follow_their_targets(void **state)
{
	struct world *w = *state;
	open_txn(w);
	put_all(w, true);
	commit(w);
	start(w);
	open_txn(w);
	put_gateway(w, false);
	commit(w);
	assert_string_equal(said, "subnet " SUBNET " 10.0.1.0/24 acl " ACL ": 10.0.0.0/16 local; 0.0.0.0/0 blackhole;\n");
}

static void test_prefix_lists_stand_for_their_entries(void **state)
{
	struct world *w = *state;
	open_txn(w);
	put_all(w, true);
	commit(w);
	start(w);
	struct ec2_managed_prefix_list list = {.prefix_list_id = S(LIST)};
	struct state_vpc_prefix_list_record record = {.list = &list};
	struct ec2_security_group_rule rule = ssh();
	open_txn(w);
	struct state_vpc_prefix_list_version *v = LIST_ADD(&w->arena, &record.versions);
	LIST_ADD(&w->arena, &v->entries)->cidr = S("198.51.100.0/24");
	LIST_ADD(&w->arena, &v->entries)->cidr = S("203.0.113.0/24");
	ec2_put(&w->s, &ec2_kind_prefix_list, S(LIST), &record);
	rule.cidr_ipv4 = STR_NONE;
	rule.prefix_list_id = S(LIST);
	put_group(w, rule);
	put_table(w, true, true);
	commit(w);
	assert_string_equal(said, "group " GROUP " of " VPC ": in 6 22-22 198.51.100.0/24; in 6 22-22 203.0.113.0/24;\n"
	                          "subnet " SUBNET " 10.0.1.0/24 acl " ACL
	                          ": 10.0.0.0/16 local; 198.51.100.0/24 internet; 203.0.113.0/24 internet;\n");
	open_txn(w);
	v = LIST_ADD(&w->arena, &record.versions);
	LIST_ADD(&w->arena, &v->entries)->cidr = S("198.51.100.0/24");
	ec2_put(&w->s, &ec2_kind_prefix_list, S(LIST), &record);
	commit(w);
	assert_string_equal(said, "group " GROUP " of " VPC ": in 6 22-22 198.51.100.0/24;\n"
	                          "subnet " SUBNET " 10.0.1.0/24 acl " ACL ": 10.0.0.0/16 local; 198.51.100.0/24 internet;\n");
}

static void test_public_addresses_and_removal(void **state)
{
	struct world *w = *state;
	open_txn(w);
	put_all(w, true);
	commit(w);
	start(w);
	open_txn(w);
	put_interface(w, true, true);
	commit(w);
	assert_non_null(strstr(said, "10.0.1.4/32=127.64.0.9/32"));
	assert_null(strstr(said, "vpc "));
	open_txn(w);
	ec2_drop(&w->s, &ec2_kind_group, S(GROUP));
	commit(w);
	assert_string_equal(said, "remove " GROUP "\n");
}

/* The end of the one before would take the address away again. */
static void test_an_address_goes_to_the_next(void **state)
{
	struct world *w = *state;
	open_txn(w);
	put_all(w, true);
	commit(w);
	start(w);
	open_txn(w);
	ec2_drop(&w->s, &ec2_kind_interface, S(ENI));
	put_interface_as(w, S("eni-0next"), true, true);
	commit(w);
	const char *end = strstr(said, "remove " ENI "\n"), *next = strstr(said, "port eni-0next ");
	assert_non_null(end);
	assert_non_null(next);
	assert_true(end < next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(test_what_is_recorded_is_put_at_the_start, begin, end),
	        cmocka_unit_test_setup_teardown(test_only_what_changed_is_put, begin, end),
	        cmocka_unit_test_setup_teardown(test_routes_follow_their_targets, begin, end),
	        cmocka_unit_test_setup_teardown(test_prefix_lists_stand_for_their_entries, begin, end),
	        cmocka_unit_test_setup_teardown(test_public_addresses_and_removal, begin, end),
	        cmocka_unit_test_setup_teardown(test_an_address_goes_to_the_next, begin, end),
	        /* the clock stands still after it */
	        cmocka_unit_test_setup_teardown(test_nothing_without_an_interface_that_is_up, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
