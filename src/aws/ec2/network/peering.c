/* VPC peering connections. Each side has a record of its own in its account and region, with its own tags; both are written in one
 * transaction. A request that nobody answers expires after seven days; one that has ended is listed for a while and forgotten at
 * the next request. */
#include "aws/ec2/network/vpc.h"

enum { HOUR_MS = 3600 * 1000 };
static const int64_t asked_for_ms = 7 * 24 * (int64_t)HOUR_MS;

static struct ec2_scope side(struct call *c, const struct ec2_vpc_peering_connection_vpc_info *of)
{
	return (struct ec2_scope){.txn = call_txn(c), .arena = c->arena, .account = of->owner_id, .region = of->region};
}

static void set_status(struct call *c, struct ec2_vpc_peering_connection *p, const char *code, struct str message)
{
	p->status = arena_new(c->arena, struct ec2_vpc_peering_connection_state_reason);
	*p->status = (struct ec2_vpc_peering_connection_state_reason){.code = str_from(code), .message = message};
}

/* While it is asked for: until when. Once it has ended: until when it is listed. */
static void see_time(struct call *c, struct ec2_vpc_peering_connection *p)
{
	if (str_is(p->status->code, "pending-acceptance") && c->now_ms >= p->expiration_time.ms)
		set_status(c, p, "expired", S("Expired"));
}

static bool has_ended(const struct ec2_vpc_peering_connection *p)
{
	return !str_is(p->status->code, "active") && !str_is(p->status->code, "pending-acceptance");
}

static bool is_over(struct call *c, const struct ec2_vpc_peering_connection *p)
{
	return has_ended(p) && c->now_ms >= p->expiration_time.ms + (str_is(p->status->code, "expired") ? 48 * HOUR_MS : 0);
}

/* Both sides' records, each with its own tags. */
static void put(struct call *c, const struct ec2_vpc_peering_connection *p)
{
	const struct ec2_vpc_peering_connection_vpc_info *of[] = {p->requester_vpc_info, p->accepter_vpc_info};
	for (int i = 0; i < 2; i++) {
		struct ec2_vpc_peering_connection copy = *p, had;
		struct ec2_scope s = side(c, of[i]);
		bool own = str_eq(s.account, c->account) && str_eq(s.region, c->region);
		if (!own)
			copy.tags = ec2_find(&s, &ec2_kind_peering, p->vpc_peering_connection_id, &had) ? had.tags
			                                                                                : (struct ec2_tag_list){0};
		ec2_put(&s, &ec2_kind_peering, p->vpc_peering_connection_id, &copy);
	}
}

static struct ec2_vpc_peering_connection_vpc_info *info(struct call *c, struct str owner, struct str region, struct str id,
                                                        const struct state_vpc_vpc_record *vpc)
{
	struct ec2_vpc_peering_connection_vpc_info *i = arena_new(c->arena, struct ec2_vpc_peering_connection_vpc_info);
	i->owner_id = owner;
	i->region = region;
	i->vpc_id = id;
	if (!vpc)
		return i;
	i->cidr_block = vpc->vpc->cidr_block;
	for (uint32_t k = 0; k < vpc->vpc->cidr_block_association_set.n; k++)
		*LIST_ADD(c->arena, &i->cidr_block_set) =
		        (struct ec2_cidr_block){vpc->vpc->cidr_block_association_set.v[k].cidr_block};
	return i;
}

static bool overlap(const struct state_vpc_vpc_record *a, const struct state_vpc_vpc_record *b)
{
	for (uint32_t i = 0; i < a->vpc->cidr_block_association_set.n; i++)
		for (uint32_t k = 0; k < b->vpc->cidr_block_association_set.n; k++) {
			struct ec2_block one, other;
			if (ec2_block_parse(a->vpc->cidr_block_association_set.v[i].cidr_block, &one) &&
			    ec2_block_parse(b->vpc->cidr_block_association_set.v[k].cidr_block, &other) &&
			    ec2_block_overlap(one, other))
				return true;
		}
	return false;
}

static bool is_between(const struct ec2_vpc_peering_connection *p, struct str a, struct str b)
{
	struct str one = p->requester_vpc_info->vpc_id, other = p->accepter_vpc_info->vpc_id;
	return (str_eq(one, a) && str_eq(other, b)) || (str_eq(one, b) && str_eq(other, a));
}

struct str ec2_peering_between(const struct ec2_scope *s, struct str a, struct str b)
{
	struct ec2_vpc_peering_connection p;
	struct ec2_all all = ec2_all(s, &ec2_kind_peering);
	while (ec2_next(&all, &p))
		if (str_is(p.status->code, "active") && is_between(&p, a, b))
			return p.vpc_peering_connection_id;
	return STR_NONE;
}

bool ec2_peering_of(const struct ec2_scope *s, struct str vpc)
{
	struct ec2_vpc_peering_connection p;
	struct ec2_all all = ec2_all(s, &ec2_kind_peering);
	while (ec2_next(&all, &p))
		if (str_is(p.status->code, "active") &&
		    (str_eq(p.requester_vpc_info->vpc_id, vpc) || str_eq(p.accepter_vpc_info->vpc_id, vpc)))
			return true;
	return false;
}

int ec2_create_vpc_peering_connection(struct call *c, const struct ec2_create_vpc_peering_connection_request *in,
                                      struct ec2_create_vpc_peering_connection_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_vpc_vpc_record vpc, peer;
	struct ec2_tag_list tags;
	struct ec2_vpc_peering_connection other;
	struct str owner = str_set(in->peer_owner_id) ? in->peer_owner_id : c->account;
	struct str region = str_set(in->peer_region) ? in->peer_region : c->region;
	if (!str_set(in->peer_vpc_id))
		return ec2_missing(c, "peerVpcId");
	if (ec2_get(c, &ec2_kind_vpc, in->vpc_id, &vpc) != CALL_OK)
		return CALL_FAIL;
	if (!ec2_id_well_formed(in->peer_vpc_id, "vpc"))
		return ec2_malformed(c, &ec2_kind_vpc, in->peer_vpc_id);
	if (str_eq(in->vpc_id, in->peer_vpc_id))
		return ec2_invalid(c, "VpcId and PeerVpcId are the same: a VPC cannot be its own peer");
	struct ec2_vpc_peering_connection *p = out->vpc_peering_connection = arena_new(c->arena, struct ec2_vpc_peering_connection);
	p->accepter_vpc_info = info(c, owner, region, in->peer_vpc_id, NULL);
	struct ec2_scope far = side(c, p->accepter_vpc_info);
	bool there = ec2_find(&far, &ec2_kind_vpc, in->peer_vpc_id, &peer);
	if (!there && str_eq(owner, c->account) && str_eq(region, c->region))
		return ec2_not_found(c, &ec2_kind_vpc, &(struct str_list){.v = (struct str *)&in->peer_vpc_id, .n = 1});
	if (ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_peering, &tags) != CALL_OK)
		return CALL_FAIL;
	uint32_t n = 0;
	struct ec2_all all = ec2_all(&s, &ec2_kind_peering);
	while (ec2_next(&all, &other)) {
		see_time(c, &other);
		if (is_over(c, &other))
			ec2_drop(&s, &ec2_kind_peering, other.vpc_peering_connection_id);
		if (!has_ended(&other) && is_between(&other, in->vpc_id, in->peer_vpc_id))
			return call_fail(c, "VpcPeeringConnectionAlreadyExists", 400,
			                 "The VPCs %.*s and %.*s already have the peering connection %.*s.", STR_ARG(in->vpc_id),
			                 STR_ARG(in->peer_vpc_id), STR_ARG(other.vpc_peering_connection_id));
		n += !has_ended(&other);
	}
	if (n >= EC2_PEERINGS_MAX)
		return call_fail(c, "VpcPeeringConnectionLimitExceeded", 400,
		                 "The maximum number of VPC peering connections has been reached.");
	p->vpc_peering_connection_id = ec2_new_id(c->arena, "pcx");
	p->requester_vpc_info = info(c, c->account, c->region, in->vpc_id, &vpc);
	p->tags = tags;
	p->expiration_time = OPT_TIME(c->now_ms + asked_for_ms);
	if (!there || overlap(&vpc, &peer)) {
		set_status(c, p, "failed",
		           there ? S("Failed: the VPCs have overlapping CIDR blocks")
		                 : S("Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range"));
		p->expiration_time = OPT_TIME(c->now_ms + 2 * HOUR_MS);
		/* nobody but the one who asked hears of it */
		ec2_put(&s, &ec2_kind_peering, p->vpc_peering_connection_id, p);
		return CALL_OK;
	}
	set_status(c, p, "pending-acceptance", ARENA_CAT(c->arena, S("Pending Acceptance by "), owner));
	put(c, p);
	set_status(c, p, "initiating-request", ARENA_CAT(c->arena, S("Initiating Request to "), owner));
	return CALL_OK;
}

static int wrong_state(struct call *c, const struct ec2_vpc_peering_connection *p, const char *wanted)
{
	return call_fail(c, "InvalidStateTransition", 400,
	                 "Invalid state transition for %.*s, attempted to transition from %.*s to %s",
	                 STR_ARG(p->vpc_peering_connection_id), STR_ARG(p->status->code), wanted);
}

/* The request that the caller, being the other side, answers. */
static int asked(struct call *c, struct str id, const char *wanted, struct ec2_vpc_peering_connection *ret)
{
	if (ec2_get(c, &ec2_kind_peering, id, ret) != CALL_OK)
		return CALL_FAIL;
	see_time(c, ret);
	if (!str_eq(ret->accepter_vpc_info->owner_id, c->account) || !str_eq(ret->accepter_vpc_info->region, c->region))
		return call_fail(c, "OperationNotPermitted", 400, "User %.*s cannot %s peering %.*s in region %.*s",
		                 STR_ARG(c->account), wanted[0] == 'a' ? "accept" : "reject", STR_ARG(id), STR_ARG(c->region));
	return str_is(ret->status->code, "pending-acceptance") ? CALL_OK : wrong_state(c, ret, wanted);
}

int ec2_accept_vpc_peering_connection(struct call *c, const struct ec2_accept_vpc_peering_connection_request *in,
                                      struct ec2_accept_vpc_peering_connection_result *out)
{
	struct ec2_vpc_peering_connection *p = arena_new(c->arena, struct ec2_vpc_peering_connection);
	struct state_vpc_vpc_record one, other;
	if (asked(c, in->vpc_peering_connection_id, "active", p) != CALL_OK)
		return CALL_FAIL;
	struct ec2_scope s = ec2_scope(c), far = side(c, p->requester_vpc_info);
	if (!ec2_find(&s, &ec2_kind_vpc, p->accepter_vpc_info->vpc_id, &one) ||
	    !ec2_find(&far, &ec2_kind_vpc, p->requester_vpc_info->vpc_id, &other))
		return wrong_state(c, p, "active");
	if (overlap(&one, &other))
		return ec2_invalid(c, "The VPCs of %.*s have overlapping CIDR blocks", STR_ARG(in->vpc_peering_connection_id));
	p->accepter_vpc_info = info(c, c->account, c->region, p->accepter_vpc_info->vpc_id, &one);
	p->expiration_time = (struct opt_time){0};
	set_status(c, p, "active", S("Active"));
	put(c, p);
	out->vpc_peering_connection = p;
	return CALL_OK;
}

int ec2_reject_vpc_peering_connection(struct call *c, const struct ec2_reject_vpc_peering_connection_request *in,
                                      struct ec2_reject_vpc_peering_connection_result *out)
{
	struct ec2_vpc_peering_connection p;
	if (asked(c, in->vpc_peering_connection_id, "rejected", &p) != CALL_OK)
		return CALL_FAIL;
	p.expiration_time = OPT_TIME(c->now_ms + 2 * HOUR_MS);
	set_status(c, &p, "rejected", ARENA_CAT(c->arena, S("Rejected by "), c->account));
	put(c, &p);
	out->return_ = OPT_BOOL(true);
	return CALL_OK;
}

int ec2_delete_vpc_peering_connection(struct call *c, const struct ec2_delete_vpc_peering_connection_request *in,
                                      struct ec2_delete_vpc_peering_connection_result *out)
{
	struct ec2_vpc_peering_connection p;
	if (ec2_get(c, &ec2_kind_peering, in->vpc_peering_connection_id, &p) != CALL_OK)
		return CALL_FAIL;
	see_time(c, &p);
	bool requester = str_eq(p.requester_vpc_info->owner_id, c->account);
	if (!str_is(p.status->code, "active") && !(str_is(p.status->code, "pending-acceptance") && requester))
		return wrong_state(c, &p, "deleted");
	p.expiration_time = OPT_TIME(c->now_ms + 2 * HOUR_MS);
	set_status(c, &p, "deleted", ARENA_CAT(c->arena, S("Deleted by "), c->account));
	put(c, &p);
	out->return_ = OPT_BOOL(true);
	return CALL_OK;
}

/* --- Describe */

#define ASK(fn, value) \
	static void fn(struct call *c, void *record, struct str_list *ret) \
	{ \
		struct ec2_vpc_peering_connection *p = record; \
		see_time(c, p); \
		*LIST_ADD(c->arena, ret) = p->value; \
	}
ASK(accepter_block, accepter_vpc_info->cidr_block)
ASK(accepter_owner, accepter_vpc_info->owner_id)
ASK(accepter_vpc, accepter_vpc_info->vpc_id)
ASK(requester_block, requester_vpc_info->cidr_block)
ASK(requester_owner, requester_vpc_info->owner_id)
ASK(requester_vpc, requester_vpc_info->vpc_id)
ASK(status_code, status->code)
ASK(status_message, status->message)

/* Shown, and so found, while somebody may accept it. */
static void expiration(struct call *c, void *record, struct str_list *ret)
{
	struct ec2_vpc_peering_connection *p = record;
	see_time(c, p);
	if (str_is(p->status->code, "pending-acceptance"))
		ec2_path_values(c->arena, "VpcPeeringConnection", p, "ExpirationTime", ret);
}

static const struct ec2_field fields[] = {
        FIELD_ASK("accepter-vpc-info.cidr-block", accepter_block),
        FIELD_ASK("accepter-vpc-info.owner-id", accepter_owner),
        FIELD_ASK("accepter-vpc-info.vpc-id", accepter_vpc),
        FIELD_ASK("expiration-time", expiration),
        FIELD_ASK("requester-vpc-info.cidr-block", requester_block),
        FIELD_ASK("requester-vpc-info.owner-id", requester_owner),
        FIELD_ASK("requester-vpc-info.vpc-id", requester_vpc),
        FIELD_ASK("status-code", status_code),
        FIELD_ASK("status-message", status_message),
        FIELD_TEXT("vpc-peering-connection-id", ec2_vpc_peering_connection, vpc_peering_connection_id),
        {0},
};

static bool hidden(struct call *c, void *record)
{
	struct ec2_vpc_peering_connection *p = record;
	see_time(c, p);
	return is_over(c, p);
}

static void show(struct call *c, void *record, void *out)
{
	struct ec2_vpc_peering_connection *p = record;
	if (!str_is(p->status->code, "pending-acceptance"))
		p->expiration_time = (struct opt_time){0};
	p->tags.set = true;
	*LIST_ADD(c->arena, &((struct ec2_describe_vpc_peering_connections_result *)out)->vpc_peering_connections) = *p;
}

int ec2_describe_vpc_peering_connections(struct call *c, const struct ec2_describe_vpc_peering_connections_request *in,
                                         struct ec2_describe_vpc_peering_connections_result *out)
{
	out->vpc_peering_connections.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_peering,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->vpc_peering_connection_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .hidden = hidden,
	                                       .show = show},
	                    out, &out->next_token);
}
