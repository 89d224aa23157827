/* ip-10-0-0-5.ec2.internal and ec2-127-64-0-5.compute-1.amazonaws.com, as AWS spells them, for addresses that interfaces have. A
 * VPC without enableDnsSupport has no resolver; one without enableDnsHostnames has no such names. Names of its private namespaces
 * are Cloud Map's, those of hosted zones Route 53's. What a rule of Route 53 Resolver leads elsewhere is asked there, unless
 * something of the VPC's own has more labels in common with the name. */
#include "aws/ec2/network/dns.h"

#include "aws/ec2/network/block.h"
#include "aws/ec2/network/endpoint.h"
#include "aws/ec2/network/interface.h"
#include "aws/ec2/network/vpc.h"
#include "aws/elasticbeanstalk/elasticbeanstalk.h"
#include "aws/elbv2/elbv2.h"
#include "aws/route53/route53.h"
#include "aws/route53resolver/route53resolver.h"
#include "aws/servicediscovery/servicediscovery.h"
#include "engine/net/network.h"

#include <stdlib.h>
#include <string.h>

enum { TTL_S = 60 };

/* Whose a VPC is never changes. */
struct home {
	struct arena arena;
	struct str account, region;
};
struct ec2_names {
	struct desk *desk;
	struct map homes; /* VPC -> struct home */
	struct map doors; /* interface -> VPC that it answers for */
	struct dns_way way;
};

/* One question, and what is known about where it was asked. */
struct asked {
	struct ec2_names *names;
	struct ec2_scope scope;
	const char *vpc_id;
	uint32_t peer;
	struct state_vpc_vpc_record vpc;
	const struct dns_query *query;
	struct dns_writer *answer;
};

struct ec2_names *ec2_names_new(struct desk *desk)
{
	struct ec2_names *n = calloc(1, sizeof(*n));
	if (!n)
		abort();
	n->desk = desk;
	return n;
}

static void home_free(struct home *home)
{
	if (!home)
		return;
	arena_done(&home->arena);
	free(home);
}

void ec2_names_forget(struct ec2_names *n, struct str vpc)
{
	home_free(map_remove(&n->homes, vpc));
}

void ec2_names_open(struct ec2_names *n, const char *interface, const char *vpc)
{
	char *held = strdup(vpc);
	if (!held)
		abort();
	ec2_names_close(n, interface);
	map_put(&n->doors, str_from(interface), held);
}

void ec2_names_close(struct ec2_names *n, const char *interface)
{
	free(map_remove(&n->doors, str_from(interface)));
}

void ec2_names_free(struct ec2_names *n)
{
	size_t at = 0;
	struct str vpc;
	void *home;
	if (!n)
		return;
	while (map_next(&n->doors, &at, &vpc, &home))
		free(home);
	map_done(&n->doors);
	at = 0;
	while (map_next(&n->homes, &at, &vpc, &home))
		home_free(home);
	map_done(&n->homes);
	free(n);
}

/* Looked for once for each VPC: who asks may be a task as well as an instance. */
static bool find_home(struct ec2_names *n, struct arena *a, struct str vpc, struct str *ret_account, struct str *ret_region)
{
	struct str under = KEY_UNDER(a, S("ec2")), key;
	struct store_txn *t = store_begin(n->desk->cloud->store, a);
	struct store_iter *iter = store_scan(t, under, store_prefix_end(a, under), false);
	struct store_value v;
	bool found = false;
	while (!found && store_next(iter, &key, &v)) {
		struct str_list parts = record_key_parts(a, key);
		if (parts.n != 5 || !str_is(parts.v[3], ec2_kind_vpc.prefix) || !str_eq(parts.v[4], vpc))
			continue;
		*ret_account = parts.v[1];
		*ret_region = parts.v[2];
		found = true;
	}
	store_abort(t);
	return found;
}

/* Who asks at a door may be anybody: the door's groups have let him. */
static const struct home *home_of(struct ec2_names *n, const char *vpc, uint32_t peer, bool at_door)
{
	struct arena CLEAN_ARENA a = {0};
	struct str account, region;
	struct home *home = map_get(&n->homes, str_from(vpc));
	if (home || (!at_door && !network_port_at(n->desk->ec2->networks, vpc, peer)) ||
	    !find_home(n, &a, str_from(vpc), &account, &region))
		return home;
	home = calloc(1, sizeof(*home));
	if (!home)
		abort();
	home->account = arena_dup(&home->arena, account);
	home->region = arena_dup(&home->arena, region);
	map_put(&n->homes, str_from(vpc), home);
	return home;
}

/* --- what a name says */

/* "10-0-0-5" to the address. */
static bool dashed(struct str text, uint32_t *ret)
{
	char dots[16];
	if (text.n >= sizeof(dots))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '.')
			return false;
		dots[i] = text.p[i] == '-' ? '.' : text.p[i];
	}
	return ec2_address_parse(str_of(dots, text.n), ret);
}

/* "5.0.0.10" to 10.0.0.5. */
static bool backwards(struct str text, uint32_t *ret)
{
	uint32_t a;
	if (!ec2_address_parse(text, &a))
		return false;
	*ret = a >> 24 | (a >> 8 & 0xff00) | (a << 8 & 0xff0000) | a << 24;
	return true;
}

/* The part of a name in front of ".DOMAIN"; STR_NONE: it is not below that. */
static struct str below(struct arena *a, struct str name, struct str domain)
{
	struct str dot = ARENA_CAT(a, S("."), domain);
	return str_ends(name, dot) ? str_sub(name, 0, name.n - dot.n) : STR_NONE;
}

/* --- answers */

static enum dns_said no_such(const struct asked *q, struct str domain, bool exists)
{
	dns_put_soa(q->answer, arena_dupz(q->scope.arena, domain), "ns0.amazonaws.com", TTL_S);
	return exists ? DNS_ANSWERED : DNS_ABSENT;
}

static enum dns_said address_is(const struct asked *q, struct str domain, uint32_t address)
{
	if (q->query->type != DNS_A && q->query->type != DNS_ANY)
		return no_such(q, domain, true);
	dns_put_address(q->answer, DNS_ANSWER, NULL, TTL_S, address);
	return DNS_ANSWERED;
}

static enum dns_said private_name(const struct asked *q, struct str label, struct str domain)
{
	uint32_t address;
	bool there = q->vpc.dns_hostnames.v && str_starts(label, S("ip-")) && dashed(str_from_at(label, 3), &address) &&
	             network_port_at(q->names->desk->ec2->networks, q->vpc_id, address);
	return there ? address_is(q, domain, address) : no_such(q, domain, false);
}

/* The interface that has a public address, whosever it is, with the private address behind it. */
static bool behind(const struct asked *q, uint32_t public, struct ec2_network_interface *ret, uint32_t *ret_private)
{
	static const struct record_type row = {&state_vpc_api, "PublicAddressRecord"};
	struct state_vpc_public_address_record held;
	struct state_vpc_interface_record r;
	struct ec2_address elastic;
	struct ec2_scope s = q->scope;
	struct str text = ec2_address_text(s.arena, public);
	if (!record_get(s.txn, s.arena, KEY(s.arena, S("ec2"), S("public"), arena_printf(s.arena, "%08x", public)), &row, &held))
		return false;
	s.account = held.account;
	s.region = held.region;
	struct str interface = held.holder;
	if (ec2_find(&s, &ec2_kind_address, held.holder, &elastic))
		interface = elastic.network_interface_id;
	if (!interface.n || !ec2_find(&s, &ec2_kind_interface, interface, &r))
		return false;
	*ret = *r.interface;
	for (uint32_t i = 0; i < ret->private_ip_addresses.n; i++) {
		const struct ec2_network_interface_private_ip_address *p = &ret->private_ip_addresses.v[i];
		if (p->association && str_eq(p->association->public_ip, text))
			return ec2_address_parse(p->private_ip_address, ret_private);
	}
	return false;
}

/* Within its VPC the private address, as the packets are to stay inside; elsewhere the public one. */
static enum dns_said public_name(const struct asked *q, struct str label, struct str domain)
{
	struct ec2_network_interface interface;
	uint32_t public, private;
	if (!q->vpc.dns_hostnames.v || !str_starts(label, S("ec2-")) || !dashed(str_from_at(label, 4), &public) ||
	    !behind(q, public, &interface, &private))
		return DNS_NOT_MINE;
	return address_is(q, domain, str_is(interface.vpc_id, q->vpc_id) ? private : public);
}

static enum dns_said hosted(const struct asked *q)
{
	return route53_answer(q->names->desk->cloud, str_from(q->vpc_id), q->scope.region, q->peer, q->query, q->answer);
}

/* Does the VPC answer for the name of this address? */
static bool has_reverse(const struct asked *q, struct str label, uint32_t *ret)
{
	return backwards(label, ret) && ec2_vpc_has_block(&q->vpc, (struct ec2_block){*ret, 32}) &&
	       resolver_reverse(q->names->desk->cloud, str_from(q->vpc_id));
}

static enum dns_said reverse_name(const struct asked *q, struct str label, struct str domain, struct str zone)
{
	uint32_t address;
	if (!has_reverse(q, label, &address))
		return hosted(q);
	if (!q->vpc.dns_hostnames.v || !network_port_at(q->names->desk->ec2->networks, q->vpc_id, address))
		return no_such(q, domain, false);
	if (q->query->type != DNS_PTR && q->query->type != DNS_ANY)
		return no_such(q, domain, true);
	struct str name = ec2_private_name(q->scope.arena, zone, ec2_address_text(q->scope.arena, address));
	dns_put_name(q->answer, DNS_ANSWER, NULL, DNS_PTR, TTL_S, arena_dupz(q->scope.arena, name));
	return DNS_ANSWERED;
}

/* S3's names lead to a gateway endpoint where the asker's routes do; elsewhere they are what the world says. */
static bool is_s3(const struct asked *q, struct str name)
{
	struct arena *a = q->scope.arena;
	struct str regional = ARENA_CAT(a, S("s3."), q->scope.region, S(".amazonaws.com"));
	bool first = str_is(q->scope.region, "us-east-1");
	return str_eq(name, regional) || str_set(below(a, name, regional)) ||
	       (first && (str_is(name, "s3.amazonaws.com") || str_set(below(a, name, S("s3.amazonaws.com")))));
}

static enum dns_said s3_name(const struct asked *q)
{
	struct ec2_vpc_endpoint e;
	const char *port = network_port_at(q->names->desk->ec2->networks, q->vpc_id, q->peer);
	if (!port || !ec2_endpoint_of(&q->scope, str_from(port), &e))
		return DNS_NOT_MINE;
	return address_is(q, S("s3.amazonaws.com"), NETWORK_SERVICE_ADDRESS);
}

/* The domains of what EC2 names. */
struct domains {
	struct str internal, public;
};

static struct domains domains_of(const struct asked *q)
{
	struct arena *a = q->scope.arena;
	struct str region = q->scope.region;
	if (str_is(region, "us-east-1"))
		return (struct domains){S("ec2.internal"), S("compute-1.amazonaws.com")};
	return (struct domains){ARENA_CAT(a, region, S(".compute.internal")), ARENA_CAT(a, region, S(".compute.amazonaws.com"))};
}

static int labels_in(struct str name)
{
	int n = name.n > 0;
	for (size_t i = 0; i < name.n; i++)
		n += name.p[i] == '.';
	return n;
}

static struct discovery_scope discovery_of(const struct asked *q)
{
	return (struct discovery_scope){
	        .txn = q->scope.txn, .arena = q->scope.arena, .account = q->scope.account, .region = q->scope.region};
}

/* How many labels the innermost domain has that is the VPC's own and that the name is in; -1: none. */
static int own_labels(const struct asked *q)
{
	struct str name = str_from(q->query->name), own = STR_NONE, label;
	struct domains d = domains_of(q);
	int labels = route53_private_zone(q->names->desk->cloud, str_from(q->vpc_id), q->query);
	uint32_t address;
	if (!q->query->plain)
		return labels;
	const struct discovery_scope scope = discovery_of(q);
	if (str_set(below(q->scope.arena, name, d.internal)))
		own = d.internal;
	else if (str_set(below(q->scope.arena, name, d.public)))
		own = d.public;
	else if (!str_set(label = below(q->scope.arena, name, S("in-addr.arpa"))) || !has_reverse(q, label, &address))
		own = discovery_zone_of(&scope, str_from(q->vpc_id), name);
	else
		own = name; /* nothing is further inside than the rules that AWS defines for a VPC's blocks */
	return str_set(own) && labels_in(own) > labels ? labels_in(own) : labels;
}

/* Is the name asked for elsewhere? */
static bool leads_elsewhere(const struct asked *q)
{
	struct dns_way *way = &q->names->way;
	int rule = resolver_rule(q->names->desk->cloud, str_from(q->vpc_id), q->query->wire, way);
	if (rule < 0 || rule < own_labels(q))
		return false;
	q->answer->way = way;
	if (way->door_count)
		resolver_count(q->names->desk->cloud, way->doors[0]);
	return true;
}

static enum dns_said answer(const struct asked *q)
{
	struct arena *a = q->scope.arena;
	struct str region = q->scope.region, name = str_from(q->query->name), label;
	struct domains d = domains_of(q);
	if (!q->vpc.dns_support.v)
		return DNS_SILENT;
	if (q->query->class != DNS_IN)
		return DNS_NOT_MINE;
	if (leads_elsewhere(q))
		return DNS_SENT;
	/* A private zone hides what else there is of its names. */
	if (route53_private_zone(q->names->desk->cloud, str_from(q->vpc_id), q->query) >= 0)
		return hosted(q);
	if (!q->query->plain)
		return hosted(q);
	if (str_set(label = below(a, name, d.internal)))
		return private_name(q, label, d.internal);
	if (str_set(label = below(a, name, d.public)))
		return public_name(q, label, d.public);
	if (str_set(label = below(a, name, S("in-addr.arpa"))))
		return reverse_name(q, label, S("in-addr.arpa"), region);
	if (is_s3(q, name))
		return s3_name(q);
	enum dns_said balancer = elbv2_answer(q->names->desk->cloud, str_from(q->vpc_id), q->query, q->answer);
	if (balancer != DNS_NOT_MINE)
		return balancer;
	enum dns_said environment = elasticbeanstalk_answer(q->names->desk->cloud, str_from(q->vpc_id), q->query, q->answer);
	if (environment != DNS_NOT_MINE)
		return environment;
	const struct discovery_scope scope = discovery_of(q);
	enum dns_said said = discovery_answer(&scope, str_from(q->vpc_id), q->query, q->answer);
	return said == DNS_NOT_MINE ? hosted(q) : said;
}

enum dns_said ec2_names_ask(void *ctx, const char *place, uint32_t peer, const struct dns_query *query, struct dns_writer *w)
{
	struct ec2_names *n = ctx;
	const char *behind_door = map_get(&n->doors, str_from(place)), *vpc = behind_door ? behind_door : place;
	struct arena CLEAN_ARENA a = {0};
	const struct home *home = home_of(n, vpc, peer, behind_door != NULL);
	if (!home)
		return DNS_SILENT;
	if (behind_door)
		resolver_count(n->desk->cloud, place);
	struct asked q = {.names = n,
	                  .vpc_id = vpc,
	                  .peer = peer,
	                  .query = query,
	                  .answer = w,
	                  .scope = {.txn = store_begin(n->desk->cloud->store, &a),
	                            .arena = &a,
	                            .account = home->account,
	                            .region = home->region}};
	enum dns_said said = ec2_find(&q.scope, &ec2_kind_vpc, str_from(vpc), &q.vpc) ? answer(&q) : DNS_SILENT;
	store_abort(q.scope.txn);
	return said;
}
