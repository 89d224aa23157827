/* `quartet why-not FROM TO PORT`: EC2's reachability analysis in one line, and, where this machine is at the other end, a try. */
#include "role/cli.h"

#include "gen/ec2.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TRY_MS = 2000 };

struct asked {
	struct cli *cli;
	struct cli_cloud cloud;
	const char *from, *to;
	bool udp;
	uint16_t port;
};
/* One end as EC2 knows it. */
struct end {
	struct str id;             /* i-, eni- or igw-; absent: an address alone */
	struct str address;        /* that was named; absent: none */
	struct str vpc;            /* of an interface */
	struct str public_address; /* over IPv6: the address itself */
};

static int call(struct asked *a, const char *op, const void *in, void *out)
{
	return cli_call(a->cli, &a->cloud, &ec2_api, op, in, out, NULL);
}

static int one_interface(struct asked *a, const char *filter, struct str value, struct end *ret, bool *ret_found)
{
	struct ec2_describe_network_interfaces_request in = {0};
	struct ec2_describe_network_interfaces_result out = {0};
	struct ec2_filter *f = LIST_ADD(&a->cli->arena, &in.filters);
	*f = (struct ec2_filter){.name = str_from(filter)};
	*LIST_ADD(&a->cli->arena, &f->values) = value;
	int status = call(a, "DescribeNetworkInterfaces", &in, &out);
	if (status != CLI_OK)
		return status;
	*ret_found = out.network_interfaces.n > 0;
	if (out.network_interfaces.n > 1 && !str_starts(value, S("i-")))
		return cli_fail(a->cli, CLI_FAILED, "%.*s is the address of several interfaces: name one by its id",
		                STR_ARG(value));
	if (!*ret_found)
		return CLI_OK;
	const struct ec2_network_interface *eni = &out.network_interfaces.v[0];
	if (!str_set(ret->id))
		ret->id = eni->network_interface_id;
	ret->vpc = eni->vpc_id;
	if (eni->association)
		ret->public_address = eni->association->public_ip;
	return CLI_OK;
}

static int resolve(struct asked *a, const char *word, struct end *ret)
{
	struct str s = str_from(word);
	struct in_addr address;
	struct in6_addr address6;
	bool found = false;
	int status;
	if (str_starts(s, S("i-")) || str_starts(s, S("eni-"))) {
		ret->id = s;
		status = one_interface(a, s.p[0] == 'i' ? "attachment.instance-id" : "network-interface-id", s, ret, &found);
		if (status == CLI_OK && !found)
			return cli_fail(a->cli, CLI_FAILED, "%s does not exist, or has no interface", word);
		return status;
	}
	if (inet_pton(AF_INET6, word, &address6) == 1) {
		status = one_interface(a, "ipv6-addresses.ipv6-address", s, ret, &found);
		ret->address = ret->public_address = s;
		return status;
	}
	if (inet_pton(AF_INET, word, &address) != 1)
		return cli_fail(a->cli, CLI_USAGE, "\"%s\" is no instance, interface or address, nor \"internet\" or \"host\"",
		                word);
	status = one_interface(a, "association.public-ip", s, ret, &found);
	if (status != CLI_OK || found)
		return status;
	ret->address = s;
	return one_interface(a, "addresses.private-ip-address", s, ret, &found);
}

static bool is_outside(const char *word)
{
	return strcmp(word, "internet") == 0 || strcmp(word, "host") == 0;
}

static int find_gateway(struct asked *a, struct str vpc, struct str *ret)
{
	struct ec2_describe_internet_gateways_request in = {0};
	struct ec2_describe_internet_gateways_result out = {0};
	struct ec2_filter *f = LIST_ADD(&a->cli->arena, &in.filters);
	*f = (struct ec2_filter){.name = S("attachment.vpc-id")};
	*LIST_ADD(&a->cli->arena, &f->values) = vpc;
	int status = call(a, "DescribeInternetGateways", &in, &out);
	if (status != CLI_OK)
		return status;
	if (!out.internet_gateways.n) {
		printf("stopped: no internet gateway is attached to %.*s\n", STR_ARG(vpc));
		return CLI_FAILED;
	}
	*ret = out.internet_gateways.v[0].internet_gateway_id;
	return CLI_OK;
}

/* ---- in words ---- */

static void print_id(const char *before, const struct ec2_analysis_component *c)
{
	if (c)
		printf("%s%.*s", before, STR_ARG(c->id));
}

static void print_route(const struct ec2_explanation *e)
{
	const struct ec2_analysis_route_table_route *r = e->route_table_route;
	if (!r)
		return;
	struct str to = str_set(r->nat_gateway_id)              ? r->nat_gateway_id
	                : str_set(r->network_interface_id)      ? r->network_interface_id
	                : str_set(r->vpc_peering_connection_id) ? r->vpc_peering_connection_id
	                                                        : r->gateway_id;
	printf("the route to %.*s by %.*s in", STR_ARG(r->destination_cidr), STR_ARG(to));
}

static void print_acl(const struct ec2_explanation *e)
{
	const struct ec2_analysis_acl_rule *r = e->acl_rule;
	if (r && r->rule_number.v <= 32766)
		printf("entry %ld", (long)r->rule_number.v);
	else
		printf("no entry but the last (*)");
	print_id(" of ", e->acl);
	printf(", %.*s", STR_ARG(e->direction));
	print_id(", at ", e->subnet);
	if (e->port_ranges.n)
		printf(": the answers to client ports like %ld are denied", (long)e->port_ranges.v[0].from.v);
	else
		printf(": denied");
}

static void print_groups(const struct ec2_explanation *e)
{
	bool out = str_is(e->direction, "egress");
	printf("no %.*s rule of ", STR_ARG(e->direction));
	for (uint32_t i = 0; i < e->security_groups.n; i++)
		printf("%s%.*s", i ? ", " : "", STR_ARG(e->security_groups.v[i].id));
	if (!e->security_groups.n)
		printf("any group");
	print_id(" at ", e->network_interface);
	printf(" allows %.*s port %ld %s %.*s", e->protocols.n ? (int)e->protocols.v[0].n : 0,
	       e->protocols.n ? e->protocols.v[0].p : "", (long)e->port.v, out ? "to" : "from", STR_ARG(e->address));
}

static void print_explanation(const struct ec2_explanation *e)
{
	struct str code = e->explanation_code;
	printf("stopped: ");
	if (str_is(code, "ENI_SG_RULES_MISMATCH")) {
		print_groups(e);
	} else if (str_is(code, "SUBNET_ACL_RESTRICTION")) {
		print_acl(e);
	} else if (str_is(code, "NO_ROUTE_TO_DESTINATION")) {
		printf("no route of");
		print_id(" ", e->route_table);
		print_id(", the table of ", e->subnet);
		printf(", leads to %.*s", STR_ARG(e->address));
	} else if (str_is(code, "BAD_STATE_ROUTE")) {
		print_route(e);
		print_id(" ", e->route_table);
		print_id(", the table of ", e->subnet);
		printf(", leads to nothing that passes packets for %.*s on", STR_ARG(e->address));
	} else if (str_starts(code, S("IGW_PUBLIC_IP_"))) {
		print_id("", e->network_interface);
		printf(" has no public address, and the way %s the internet",
		       str_ends(code, S("EGRESS")) ? "leads to" : "comes from");
	} else if (str_is(code, "EGRESS_ONLY_GATEWAY")) {
		print_route(e);
		print_id(" ", e->route_table);
		print_id(", the table of ", e->subnet);
		printf(", leads to a gateway that lets nobody ask from outside");
	} else if (str_is(code, "NO_IPV6_ADDRESS")) {
		print_id("", e->network_interface);
		printf(" has no IPv6 address");
	} else if (str_is(code, "ENI_SOURCE_DEST_CHECK_RESTRICTION")) {
		print_id("", e->network_interface);
		printf(" gets only what is for its own addresses (source/destination check), not %.*s", STR_ARG(e->address));
	} else if (str_is(code, "NO_LISTENER")) {
		printf("nothing is served at port %ld of %.*s", (long)e->port.v, STR_ARG(e->address));
	} else if (str_is(code, "NO_POSSIBLE_DESTINATION")) {
		printf("nobody inside has %.*s, and it is not led outside", STR_ARG(e->address));
	} else if (e->component) {
		print_id("", e->component);
		print_id(" of ", e->attached_to);
		printf(str_set(e->state) && str_is(e->state, "in-use") ? " is not running" : " is not in use");
	} else {
		printf("%.*s", STR_ARG(code));
	}
	printf(" [%.*s]\n", STR_ARG(code));
}

/* ---- asking ---- */

/* What this machine can find out itself: does a connection to the public address come about? */
static void try_connection(const struct asked *a, struct str public_address)
{
	char text[INET6_ADDRSTRLEN];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(a->port)};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
	snprintf(text, sizeof(text), "%.*s", STR_ARG(public_address));
	bool ipv6 = inet_pton(AF_INET6, text, &to6.sin6_addr) == 1;
	int fd = a->udp || (!ipv6 && inet_pton(AF_INET, text, &to.sin_addr) != 1)
	                 ? -1
	                 : socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	const void *peer = ipv6 ? (const void *)&to6 : &to;
	int error = connect(fd, peer, ipv6 ? sizeof(to6) : sizeof(to)) < 0 ? errno : 0;
	if (error == EINPROGRESS) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		socklen_t n = sizeof(error);
		if (poll(&p, 1, TRY_MS) != 1)
			error = ETIMEDOUT;
		else
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n);
	}
	close(fd);
	if (!error)
		printf("tried from this machine: %s port %u accepts connections\n", text, a->port);
	else if (error == ECONNREFUSED)
		printf("tried from this machine: nothing listens at %s port %u\n", text, a->port);
	else
		printf("tried from this machine: %s port %u: %s\n", text, a->port, strerror(error));
}

/* An address of this machine's, for "host" as the far end: the one it would speak to the internet with. */
static struct str own_address(struct cli *cli)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(0xc6336401)}};
	socklen_t n = sizeof(a);
	char text[INET_ADDRSTRLEN] = "127.0.0.1";
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, n) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0)
		inet_ntop(AF_INET, &a.sin_addr, text, sizeof(text));
	if (fd >= 0)
		close(fd);
	return arena_dup(&cli->arena, str_from(text));
}

static int analyse(struct asked *a, const struct end *from, const struct end *to, bool *ret_found)
{
	struct ec2_create_network_insights_path_request create = {.source = from->id,
	                                                          .source_ip = from->address,
	                                                          .destination = to->id,
	                                                          .destination_ip = to->address,
	                                                          .protocol = a->udp ? S("udp") : S("tcp"),
	                                                          .destination_port = OPT_INT(a->port)};
	struct ec2_create_network_insights_path_result path = {0};
	int status = call(a, "CreateNetworkInsightsPath", &create, &path);
	if (status != CLI_OK)
		return status;
	struct str id = path.network_insights_path->network_insights_path_id;
	struct ec2_start_network_insights_analysis_request start = {.network_insights_path_id = id};
	struct ec2_start_network_insights_analysis_result started = {0};
	status = call(a, "StartNetworkInsightsAnalysis", &start, &started);
	if (status == CLI_OK) {
		struct str of = started.network_insights_analysis->network_insights_analysis_id;
		struct ec2_describe_network_insights_analyses_request describe = {0};
		struct ec2_describe_network_insights_analyses_result all = {0};
		struct ec2_delete_network_insights_analysis_request drop = {.network_insights_analysis_id = of};
		struct ec2_delete_network_insights_analysis_result dropped = {0};
		*LIST_ADD(&a->cli->arena, &describe.network_insights_analysis_ids) = of;
		/* the first asks the kernel for its counters, the second has them */
		for (int i = 0; i < 2 && status == CLI_OK; i++) {
			all = (struct ec2_describe_network_insights_analyses_result){0};
			status = call(a, "DescribeNetworkInsightsAnalyses", &describe, &all);
			usleep(i ? 0 : 100000);
		}
		if (status == CLI_OK && all.network_insights_analyses.n) {
			const struct ec2_network_insights_analysis *one = &all.network_insights_analyses.v[0];
			*ret_found = one->network_path_found.v;
			for (uint32_t i = 0; i < one->explanations.n; i++)
				print_explanation(&one->explanations.v[i]);
			if (*ret_found)
				printf("nothing stops it: groups, ACLs and routes let %s port %u pass, and its answers\n",
				       a->udp ? "udp" : "tcp", a->port);
			if (str_set(one->warning_message))
				printf("%.*s\n", STR_ARG(one->warning_message));
		}
		int gone = call(a, "DeleteNetworkInsightsAnalysis", &drop, &dropped);
		status = status == CLI_OK ? gone : status;
	}
	struct ec2_delete_network_insights_path_request drop = {.network_insights_path_id = id};
	struct ec2_delete_network_insights_path_result dropped = {0};
	int gone = call(a, "DeleteNetworkInsightsPath", &drop, &dropped);
	return status == CLI_OK ? gone : status;
}

/* The analysis is of records; what `quartet chaos` does to links is in none. */
static int say_faults(struct asked *a)
{
	struct str all;
	int status = cli_admin_as(a->cli, &a->cloud, "GET", "/_quartet/chaos", &all);
	while (status == CLI_OK && str_set(all)) {
		struct str line = str_cut(&all, '\n'), rest = line;
		str_cut(&rest, ' ');
		if (str_starts(rest, S("zone-down ")) || str_starts(rest, S("lossy ")) || str_starts(rest, S("slow ")))
			printf("and whatever that says, a fault is in force: %.*s (quartet chaos list)\n", STR_ARG(rest));
	}
	return status;
}

static bool parse_port(const char *text, uint16_t *ret, bool *ret_udp)
{
	struct str number = str_from(text);
	uint64_t n = 0;
	ptrdiff_t slash = str_find_char(number, '/');
	struct str protocol = slash < 0 ? S("tcp") : str_from_at(number, (size_t)slash + 1);
	number.n = slash < 0 ? number.n : (size_t)slash;
	*ret_udp = str_is(protocol, "udp");
	*ret = (uint16_t)n;
	if (!str_to_u64(number, &n) || n > 65535)
		return false;
	*ret = (uint16_t)n;
	return *ret_udp || str_is(protocol, "tcp");
}

int cli_why_not(struct cli *cli)
{
	struct asked a = {.cli = cli};
	struct end from = {0}, to = {0};
	bool found = false;
	const char *region = cli_option(cli, "--region", NULL);
	int status = cli_open(cli, 3, &a.cloud);
	if (status != CLI_OK)
		return status;
	if (region)
		a.cloud.region = region;
	if (cli->argc != 3 || !parse_port(cli->argv[2], &a.port, &a.udp))
		return cli_fail(cli, CLI_USAGE, "from whom, to whom, which port? see: quartet why-not --help");
	a.from = cli->argv[0];
	a.to = cli->argv[1];
	bool from_out = is_outside(a.from), to_out = is_outside(a.to);
	if (from_out && to_out)
		return cli_fail(cli, CLI_USAGE, "one end has to be an instance, an interface or an address");
	if (!from_out)
		status = resolve(&a, a.from, &from);
	if (status == CLI_OK && !to_out)
		status = resolve(&a, a.to, &to);
	if (status == CLI_OK && !from_out && !str_set(from.id))
		return cli_fail(cli, CLI_FAILED, "no interface has the address %s", a.from);
	if (status == CLI_OK && from_out && !str_set(to.id))
		return cli_fail(cli, CLI_FAILED, "no interface has the address %s", a.to);
	if (status == CLI_OK && from_out)
		status = find_gateway(&a, to.vpc, &from.id);
	else if (status == CLI_OK && strcmp(a.to, "internet") == 0)
		status = find_gateway(&a, from.vpc, &to.id);
	else if (status == CLI_OK && to_out)
		to.address = own_address(cli);
	if (status == CLI_OK)
		status = analyse(&a, &from, &to, &found);
	if (status == CLI_OK)
		status = say_faults(&a);
	if (status != CLI_OK)
		return status;
	if (found && from_out && str_set(to.public_address))
		try_connection(&a, to.public_address);
	return found ? CLI_OK : CLI_FAILED;
}
