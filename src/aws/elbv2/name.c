/* ARNs, and the names that balancers have in DNS. */
#include "rows.h"

#include "base/id.h"
#include "base/rand.h"

enum { ID_DIGITS = 16 };

static bool is_id(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_digit(s.p[i]) && (s.p[i] < 'a' || s.p[i] > 'f'))
			return false;
	return s.n == ID_DIGITS;
}

static struct str prefix(const struct elb_scope *s)
{
	return ARENA_CAT(s->arena, S("arn:aws:elasticloadbalancing:"), s->region, S(":"), s->account, S(":"));
}

bool elb_name_parse(const struct elb_scope *s, struct str arn, struct elb_name *ret)
{
	struct str head = prefix(s), rest = str_from_at(arn, head.n);
	struct elb_name n = {0};
	if (!str_starts(arn, head))
		return false;
	struct str type = str_cut(&rest, '/');
	if (str_is(type, "targetgroup") || str_is(type, "truststore")) {
		n.kind = str_is(type, "truststore") ? ELB_TRUST : ELB_GROUP;
		n.name = str_cut(&rest, '/');
		n.id = rest;
		*ret = n;
		return n.name.n && is_id(n.id);
	}
	n.kind = str_is(type, "loadbalancer") ? ELB_BALANCER : str_is(type, "listener") ? ELB_LISTENER : ELB_RULE;
	if (n.kind == ELB_RULE && !str_is(type, "listener-rule"))
		return false;
	struct str family = str_cut(&rest, '/');
	n.network = str_is(family, "net");
	n.name = str_cut(&rest, '/');
	n.id = str_cut(&rest, '/');
	if (n.kind != ELB_BALANCER)
		n.listener = str_cut(&rest, '/');
	if (n.kind == ELB_RULE)
		n.rule = str_cut(&rest, '/');
	if (str_set(rest) || (!n.network && !str_is(family, "app")) || !n.name.n || !is_id(n.id) ||
	    (n.kind != ELB_BALANCER && !is_id(n.listener)) || (n.kind == ELB_RULE && !is_id(n.rule)))
		return false;
	*ret = n;
	return true;
}

struct str elb_arn(const struct elb_scope *s, const struct elb_name *n)
{
	struct str head = prefix(s), family = n->network ? S("net/") : S("app/"), slash = S("/");
	switch (n->kind) {
	case ELB_GROUP:
		return ARENA_CAT(s->arena, head, S("targetgroup/"), n->name, slash, n->id);
	case ELB_TRUST:
		return ARENA_CAT(s->arena, head, S("truststore/"), n->name, slash, n->id);
	case ELB_BALANCER:
		return ARENA_CAT(s->arena, head, S("loadbalancer/"), family, n->name, slash, n->id);
	case ELB_LISTENER:
		return ARENA_CAT(s->arena, head, S("listener/"), family, n->name, slash, n->id, slash, n->listener);
	default:
		return ARENA_CAT(s->arena, head, S("listener-rule/"), family, n->name, slash, n->id, slash, n->listener, slash,
		                 n->rule);
	}
}

/* --- DNS */

/* Network balancers' names are in another domain than application balancers'. */
struct str elb_dns_name(struct call *c, struct str name, bool network, bool internal)
{
	if (network)
		return ARENA_CAT(c->arena, name, S("-"), id_hex(c->arena, ID_DIGITS), S(".elb."), c->region, S(".amazonaws.com"));
	return arena_printf(c->arena, "%s%.*s-%u.%.*s.elb.amazonaws.com", internal ? "internal-" : "", STR_ARG(name),
	                    (unsigned)rand_below(2000000000) + 100000000u, STR_ARG(c->region));
}

struct str elb_zone_id(struct arena *a, struct str region, bool network)
{
	static const struct {
		const char *region, *application, *network;
	} zones[] = {
	        {"af-south-1", "Z268VQBMOI5EKX", "Z203XCE67M25HM"},     {"ap-east-1", "Z3DQVH9N71FHZ0", "Z12Y7K3UBGUAD1"},
	        {"ap-northeast-1", "Z14GRHDCWA56QT", "Z31USIVHYNEOWT"}, {"ap-northeast-2", "ZWKZPGTI48KDX", "ZIBE1TIR4HY56"},
	        {"ap-northeast-3", "Z5LXEXXYW11ES", "Z1GWIQ4HH19I5X"},  {"ap-south-1", "ZP97RAFLXTNZK", "ZVDDRBQ08TROA"},
	        {"ap-southeast-1", "Z1LMS91P8CMLE5", "ZKVM4W9LS7TM"},   {"ap-southeast-2", "Z1GM3OXH4ZPM65", "ZCT6FZBF4DROD"},
	        {"ca-central-1", "ZQSVJUPU6J1EY", "Z2EPGBW3API2WT"},    {"eu-central-1", "Z215JYRZR1TBD5", "Z3F0SRJ5LGBH90"},
	        {"eu-north-1", "Z23TAZ6LKFMNIO", "Z1UDT6IFJ4EJM"},      {"eu-south-1", "Z3ULH7SSC9OV64", "Z23146JA1KNAFP"},
	        {"eu-west-1", "Z32O12XQLNTSW2", "Z2IFOLAFXWLO4F"},      {"eu-west-2", "ZHURV8PSTC4K8", "ZD4D7Y8KGAS4G"},
	        {"eu-west-3", "Z3Q77PNBQS71R4", "Z1CMS0P5QUZ6D5"},      {"me-south-1", "ZS929ML54UICD", "Z3QSRYVP46NYYV"},
	        {"sa-east-1", "Z2P70J7HTTTPLU", "ZTK26PT1VY4CU"},       {"us-east-1", "Z35SXDOTRQ7X7K", "Z26RNL4JYFTOTI"},
	        {"us-east-2", "Z3AADJGX6KTTL2", "ZLMOA37VPKANP"},       {"us-west-1", "Z368ELLRRE2KJ0", "Z24FKFUX50B4VW"},
	        {"us-west-2", "Z1H1FL5HABSF5", "Z18D5FSROUN65G"},
	};
	for (size_t i = 0; i < sizeof(zones) / sizeof(*zones); i++)
		if (str_is(region, zones[i].region))
			return str_from(network ? zones[i].network : zones[i].application);
	/* Of a region that Amazon has not: made of its name, so that it is always the same. */
	struct str text = ARENA_CAT(a, network ? S("n") : S("a"), region);
	uint64_t h = 1469598103934665603u;
	char id[14] = "Z";
	for (size_t i = 0; i < text.n; i++)
		h = (h ^ (unsigned char)text.p[i]) * 1099511628211u;
	for (size_t i = 1; i < sizeof(id) - 1; i++, h /= 32)
		id[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[h % 32];
	return arena_dup(a, str_from(id));
}

/* --- names of people's choice */

int elb_name_check(struct call *c, const char *noun, struct str name)
{
	if (name.n > 32)
		return elb_invalid(c, "%s name '%.*s' cannot be longer than '32' characters", noun, STR_ARG(name));
	if (!name.n)
		return elb_invalid(c, "%s name cannot be empty", noun);
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && name.p[i] != '-')
			return elb_invalid(
			        c, "%s name '%.*s' can only contain characters that are alphanumeric characters or hyphens(-)",
			        noun, STR_ARG(name));
	if (name.p[0] == '-' || name.p[name.n - 1] == '-')
		return elb_invalid(c, "%s name '%.*s' cannot begin or end with '-'", noun, STR_ARG(name));
	return CALL_OK;
}
