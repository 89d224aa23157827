#include "aws/ec2/flow/flow_format.h"

#include "aws/ec2/network/block6.h"
#include "base/buf.h"

enum { LINE_MAX_BYTES = 8192 };

struct record {
	struct arena *arena;
	const struct flow_place *place;
	const struct network_flow *flow; /* NULL: there is none */
	int64_t start_s, end_s;
	struct str status;
	unsigned version;
};

/* What an interface forwards for others has its own address of that family at this end; the packet's is in pkt-srcaddr and
 * pkt-dstaddr. */
static struct str end_address(const struct record *r, bool source)
{
	const struct flow_place *p = r->place;
	struct network_ip of = source ? r->flow->from : r->flow->to;
	const struct network_ip *primary = NULL;
	bool own = (bool)r->flow->out != source;
	for (size_t i = 0; i < p->address_count && !own; i++) {
		own = network_ip_equal(p->addresses[i], of);
		if (!primary && network_ip_is4(p->addresses[i]) == network_ip_is4(of))
			primary = &p->addresses[i];
	}
	return ec2_ip_text(r->arena, own || !primary ? of : *primary);
}

static struct str number(const struct record *r, uint64_t v)
{
	return arena_printf(r->arena, "%llu", (unsigned long long)v);
}

#define FIELD(name, needs_flow, value) \
	static struct str name(const struct record *r) \
	{ \
		return needs_flow && !r->flow ? STR_NONE : (value); \
	}
FIELD(version, false, number(r, r->version))
FIELD(account_id, false, r->place->account)
FIELD(interface_id, false, r->place->interface)
FIELD(srcaddr, true, end_address(r, true))
FIELD(dstaddr, true, end_address(r, false))
FIELD(srcport, true, number(r, r->flow->from_port))
FIELD(dstport, true, number(r, r->flow->to_port))
FIELD(protocol, true, number(r, r->flow->protocol))
FIELD(packets, true, number(r, r->flow->packets))
FIELD(bytes, true, number(r, r->flow->bytes))
FIELD(start, false, number(r, (uint64_t)r->start_s))
FIELD(end, false, number(r, (uint64_t)r->end_s))
FIELD(action, true, r->flow->accepted ? S("ACCEPT") : S("REJECT"))
FIELD(log_status, false, r->status)
FIELD(vpc_id, false, r->place->vpc)
FIELD(subnet_id, false, r->place->subnet)
FIELD(instance_id, false, r->place->instance)
FIELD(type, true, network_ip_is4(r->flow->from) ? S("IPv4") : S("IPv6"))
FIELD(pkt_srcaddr, true, ec2_ip_text(r->arena, r->flow->from))
FIELD(pkt_dstaddr, true, ec2_ip_text(r->arena, r->flow->to))
FIELD(region, false, r->place->region)
FIELD(az_id, false, r->place->zone_id)
FIELD(flow_direction, true, r->flow->out ? S("egress") : S("ingress"))

static const struct {
	const char *name;
	unsigned version; /* of the records in which it came */
	struct str (*value)(const struct record *r);
} fields[] = {
        {"version", 2, version},
        {"account-id", 2, account_id},
        {"interface-id", 2, interface_id},
        {"srcaddr", 2, srcaddr},
        {"dstaddr", 2, dstaddr},
        {"srcport", 2, srcport},
        {"dstport", 2, dstport},
        {"protocol", 2, protocol},
        {"packets", 2, packets},
        {"bytes", 2, bytes},
        {"start", 2, start},
        {"end", 2, end},
        {"action", 2, action},
        {"log-status", 2, log_status},
        {"vpc-id", 3, vpc_id},
        {"subnet-id", 3, subnet_id},
        {"instance-id", 3, instance_id},
        {"type", 3, type},
        {"pkt-srcaddr", 3, pkt_srcaddr},
        {"pkt-dstaddr", 3, pkt_dstaddr},
        {"region", 4, region},
        {"az-id", 4, az_id},
        {"flow-direction", 5, flow_direction},
};
enum { FIELDS = sizeof(fields) / sizeof(*fields) };

static unsigned field_of(struct str name)
{
	unsigned i = 0;
	while (i < FIELDS && !str_is(name, fields[i].name))
		i++;
	return i;
}

/* The next field of a format, "${name}" between blanks. False: the end. */
static bool next_field(struct str *rest, struct str *ret_name)
{
	*rest = str_trim(*rest);
	if (!rest->n)
		return false;
	struct str word = str_cut(rest, ' ');
	bool dressed = str_starts(word, S("${")) && word.n > 3 && word.p[word.n - 1] == '}';
	*ret_name = dressed ? str_sub(word, 2, word.n - 3) : word;
	return true;
}

bool flow_format_good(struct str format, struct str *ret_wrong)
{
	struct str name, rest = format;
	unsigned n = 0;
	while (next_field(&rest, &name)) {
		bool dressed = name.p > format.p && name.p[-1] == '{';
		*ret_wrong = name;
		if (!dressed || field_of(name) == FIELDS || n++ == 2 * FIELDS)
			return false;
	}
	*ret_wrong = format;
	return n > 0;
}

struct str flow_format_head(struct arena *a, struct str format)
{
	struct buf CLEAN_BUF b;
	struct str name;
	buf_init(&b, LINE_MAX_BYTES);
	while (next_field(&format, &name)) {
		if (b.n)
			buf_add_char(&b, ' ');
		buf_add_str(&b, name);
	}
	return arena_dup(a, buf_str(&b));
}

struct str flow_format_line(struct arena *a, struct str format, const struct flow_place *p, const struct network_flow *f,
                            int64_t start_s, int64_t end_s, struct str status)
{
	struct record r = {.arena = a, .place = p, .flow = f, .start_s = start_s, .end_s = end_s, .status = status, .version = 2};
	struct buf CLEAN_BUF b;
	struct str name, rest = format;
	buf_init(&b, LINE_MAX_BYTES);
	/* a record is of the version of its newest field */
	while (next_field(&rest, &name)) {
		unsigned i = field_of(name);
		if (i < FIELDS && fields[i].version > r.version)
			r.version = fields[i].version;
	}
	while (next_field(&format, &name)) {
		unsigned i = field_of(name);
		struct str value = i < FIELDS ? fields[i].value(&r) : STR_NONE;
		if (b.n)
			buf_add_char(&b, ' ');
		buf_add_str(&b, str_set(value) && value.n ? value : S("-"));
	}
	return arena_dup(a, buf_str(&b));
}
