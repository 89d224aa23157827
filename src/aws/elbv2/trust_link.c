/* Links to what a trust store holds: signed by this process, good for ten minutes and until it ends. Elastic Load Balancing keeps
 * it, and not a bucket: what lies in S3 may have changed since. */
#include "desk.h"

#include "base/hash.h"
#include "core/listen.h"

/* An operation's name, so that the gate hands the unsigned request to this service. */
#define LINK_QUERY "Action=GetTrustStoreRevocationContent&Version=2015-12-01&link=1"

struct link {
	struct str account, region, name, id, expires;
};

static struct str signature_of(struct call *c, const struct link *l)
{
	const struct elb_desk *d = cloud_state(c->cloud, &elbv2_service);
	struct str end = S("\n");
	unsigned char mac[32];
	char hex[65];
	hmac_sha256(str_of(d->link_key, sizeof(d->link_key)),
	            ARENA_CAT(c->arena, l->account, end, l->region, end, l->name, end, l->id, end, l->expires), mac);
	hex_encode(mac, sizeof(mac), hex);
	return arena_dup(c->arena, str_from(hex));
}

struct str elb_trust_link(struct call *c, struct str name, int64_t id)
{
	const struct link l = {.account = c->account,
	                       .region = c->region,
	                       .name = name,
	                       .id = arena_printf(c->arena, "%lld", (long long)id),
	                       .expires = arena_printf(c->arena, "%lld", (long long)(c->now_ms / 1000 + 600))};
	return ARENA_CAT(c->arena, str_from(c->cloud->endpoint), S("/?" LINK_QUERY "&account="), l.account, S("&region="), l.region,
	                 S("&name="), l.name, S("&id="), l.id, S("&expires="), l.expires, S("&signature="), signature_of(c, &l));
}

static int serve(struct call *c)
{
	const struct link l = {.account = call_query(c, S("account")),
	                       .region = call_query(c, S("region")),
	                       .name = call_query(c, S("name")),
	                       .id = call_query(c, S("id")),
	                       .expires = call_query(c, S("expires"))};
	struct str signature = call_query(c, S("signature")), pem = STR_NONE;
	int64_t until = 0, id = 0;
	c->reply.kind = REPLY_MEMORY;
	call_reply_header(c, S("Content-Type"), S("text/plain"));
	if (!str_set(l.account) || !str_set(l.region) || !str_set(l.name) || !str_set(signature) || !str_to_i64(l.id, &id) ||
	    !str_to_i64(l.expires, &until) || until * 1000 < c->now_ms || !hash_equal(signature, signature_of(c, &l))) {
		call_reply_status(c, 403);
		c->reply.memory = S("This link is not valid any more.\n");
		return CALL_OK;
	}
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_trust_record r = {0};
	s.account = l.account;
	s.region = l.region;
	if (elb_trust_find(&s, l.name, &r))
		pem = id ? elb_trust_revoked_one(&s, l.name, id) : r.bundle;
	call_reply_status(c, str_set(pem) ? 200 : 404);
	c->reply.memory = str_set(pem) ? pem : S("It is not there any more.\n");
	return CALL_OK;
}

call_resume_fn *elb_intercept(struct call *c)
{
	return c->http && str_starts(listen_query(c->http), S(LINK_QUERY)) ? serve : NULL;
}
