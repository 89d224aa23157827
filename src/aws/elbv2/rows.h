/* What all nouns of Elastic Load Balancing share: names in ARNs, records and their keys, errors in AWS's words, pages. Private to
 * aws/elbv2.
 *
 * Records lie under ("elbv2", kind, account, region, ...): balancers and target groups by name, listeners below their balancer,
 * rules below their listener, trust stores by name, with their lists of what is revoked under ("elbv2", "revoked", ..., name, id).
 * A listener's default actions are those of its default rule. Which rules use a target group lies beside them under ("elbv2",
 * "use", ..., group, balancer, listener, rule), written by elb_rule_put() and elb_rule_drop() alone. */
#pragma once
#include "base/cert.h"
#include "core/call.h"
#include "core/record.h"
#include "core/service.h"
#include "gen/elbv2.h"
#include "gen/state_elbv2.h"

extern const struct service elbv2_service;

/* Amazon's default quotas. */
enum {
	ELB_BALANCERS_MAX = 50, /* of each type in a region */
	ELB_GROUPS_MAX = 3000,
	ELB_LISTENERS_MAX = 50,    /* of a balancer, as are the next ones */
	ELB_RULES_MAX = 100,       /* without default ones */
	ELB_CERTIFICATES_MAX = 25, /* without default ones */
	ELB_BALANCER_GROUPS_MAX = 100,
	ELB_ACTION_GROUPS_MAX = 5,
	ELB_TARGETS_MAX = 1000, /* of a group */
	ELB_RULE_VALUES_MAX = 5,
	ELB_RULE_WILDCARDS_MAX = 5,
	ELB_SECURITY_GROUPS_MAX = 5,
	ELB_TRUSTS_MAX = 20,
	ELB_TRUST_CERTIFICATES_MAX = 25,
	ELB_TRUST_LISTS_MAX = 30,
	ELB_TAGS_MAX = 50,
	ELB_TAGGED_MAX = 20,
};

/* Whose records, in which transaction: a call's, or the desk's. */
struct elb_scope {
	struct store_txn *txn;
	struct arena *arena;
	struct cloud *cloud;
	struct str account, region;
	int64_t now_ms;
};
struct elb_scope elb_scope(struct call *c);

/* --- name.c: ARNs and the DNS names of balancers */
enum elb_kind { ELB_BALANCER, ELB_GROUP, ELB_LISTENER, ELB_RULE, ELB_TRUST /* a trust store */ };
struct elb_name {
	enum elb_kind kind;
	bool network;              /* not of groups and trust stores */
	struct str name, id;       /* of the balancer, the group or the trust store */
	struct str listener, rule; /* 16 hexadecimal digits each; absent where the kind has none */
};
/* False: it is none of this account and region. */
bool elb_name_parse(const struct elb_scope *s, struct str arn, struct elb_name *ret);
struct str elb_arn(const struct elb_scope *s, const struct elb_name *n);
struct str elb_dns_name(struct call *c, struct str name, bool network, bool internal);
/* The hosted zone that balancers of a region have their names in. */
struct str elb_zone_id(struct arena *a, struct str region, bool network);

/* --- errors */
int elb_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));       /* ValidationError */
int elb_configuration(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* InvalidConfigurationRequest */
/* What AWS has and this has not: ValidationError. */
int elb_absent(struct call *c, const char *what);
/* May a balancer (a target group) be called so? */
int elb_name_check(struct call *c, const char *noun, struct str name);

/* --- balancers */
bool elb_balancer_find(const struct elb_scope *s, struct str name, struct state_elbv2_balancer_record *ret);
void elb_balancer_put(const struct elb_scope *s, const struct state_elbv2_balancer_record *r);
void elb_balancer_drop(const struct elb_scope *s, const struct state_elbv2_balancer_record *r);
/* By ARN: ValidationError, LoadBalancerNotFound. */
int elb_balancer_get(struct call *c, struct str arn, struct state_elbv2_balancer_record *ret);
static inline bool elb_is_network(const struct state_elbv2_balancer_record *r)
{
	return str_is(r->balancer->type, "network");
}

/* --- target groups */
bool elb_group_find(const struct elb_scope *s, struct str name, struct state_elbv2_group_record *ret);
void elb_group_put(const struct elb_scope *s, const struct state_elbv2_group_record *r);
void elb_group_drop(const struct elb_scope *s, struct str name);
int elb_group_get(struct call *c, struct str arn, struct state_elbv2_group_record *ret);
/* The names of the balancers whose rules use a group. */
struct str_list elb_group_users(const struct elb_scope *s, struct str group);

/* --- listeners and rules */
bool elb_listener_find(const struct elb_scope *s, struct str balancer, struct str id, struct state_elbv2_listener_record *ret);
void elb_listener_put(const struct elb_scope *s, const struct elb_name *at, const struct state_elbv2_listener_record *r);
/* With all its rules. */
void elb_listener_drop(const struct elb_scope *s, const struct elb_name *at);
int elb_listener_get(struct call *c, struct str arn, struct elb_name *ret_at, struct state_elbv2_listener_record *ret);
/* All of a balancer's, by port. */
struct elb_listeners {
	struct state_elbv2_listener_record *v;
	uint32_t n;
	bool set;
};
struct elb_listeners elb_listeners_of(const struct elb_scope *s, struct str balancer);

bool elb_rule_find(const struct elb_scope *s, const struct elb_name *at, struct state_elbv2_rule_record *ret);
void elb_rule_put(const struct elb_scope *s, const struct elb_name *at, const struct state_elbv2_rule_record *r);
void elb_rule_drop(const struct elb_scope *s, const struct elb_name *at);
int elb_rule_get(struct call *c, struct str arn, struct elb_name *ret_at, struct state_elbv2_rule_record *ret);
/* A listener's in their order, the default one last; of the whole balancer (listener absent) in any order. */
struct elb_rules {
	struct state_elbv2_rule_record *v;
	uint32_t n;
	bool set;
};
struct elb_rules elb_rules_of(const struct elb_scope *s, struct str balancer, struct str listener);
/* The number of a rule; INT64_MAX: the default one. */
int64_t elb_rule_priority(const struct state_elbv2_rule_record *r);

/* --- walks over records in the order of keys, a page at a time */
struct elb_walk {
	struct arena *arena;
	struct store_iter *iter;
	struct str key, value, after, last;
	uint32_t left;
	bool more; /* the page is full, and there is another one */
};
int elb_walk_begin(struct call *c, struct elb_walk *w, const char *kind, struct str below, struct str marker, struct opt_int size);
bool elb_walk_next(struct elb_walk *w);
/* What elb_walk_next() stands at belongs to the page. False: the page is full. */
bool elb_walk_take(struct elb_walk *w);
struct str elb_walk_marker(struct call *c, const struct elb_walk *w); /* absent: that was the last page */
bool elb_read(struct arena *a, struct str value, const char *shape, void *ret);
/* A marker among things that are in memory: how many to pass over. */
int elb_page_of(struct call *c, struct str marker, struct opt_int size, uint32_t count, uint32_t *ret_from, uint32_t *ret_to,
                struct str *ret_next);
/* The target group that has a balancer for its target; absent: none has. */
struct str elb_chained_to(struct call *c, struct str balancer_arn);
bool elb_among(const struct str_list *l, struct str text);

/* --- attribute.c */
/* An attribute of a balancer as it is now. */
struct str elb_balancer_attribute(const struct state_elbv2_balancer_record *r, const char *key);
struct str elb_group_attribute(const struct state_elbv2_group_record *r, const char *key);
struct str elb_listener_attribute(const struct state_elbv2_listener_record *r, const char *key);
/* Headers of all its responses, by their names. */
struct str_map elb_listener_headers(struct arena *a, const struct state_elbv2_listener_record *r);
static inline bool elb_on(struct str value)
{
	return str_is(value, "true");
}
static inline int64_t elb_number(struct str value)
{
	int64_t n = 0;
	str_to_i64(value, &n);
	return n;
}

/* --- tag.c */
int elb_tags_check(struct call *c, const struct elbv2_tag_list *tags);

/* --- group_check.c: protocols */
bool elb_protocol_http(struct str protocol); /* HTTP, HTTPS */
bool elb_group_is_http(const struct elbv2_target_group *g);
static inline bool elb_group_is_alb(const struct elbv2_target_group *g) /* its target is an application load balancer */
{
	return str_is(g->target_type, "alb");
}
int elb_health_check(struct call *c, struct elbv2_target_group *g);

/* --- listener.c */
static inline bool elb_listener_is_of_packets(struct str protocol)
{
	return str_is(protocol, "UDP") || str_is(protocol, "TCP_UDP");
}

/* --- policy.c */
struct elb_policy {
	const char *name, *protocols, *ciphers; /* separated by blanks, the preferred one first */
};
const struct elb_policy *elb_policy_named(struct str name); /* NULL: there is none */

/* --- trust.c, trust_load.c, trust_link.c: trust stores */
bool elb_trust_find(const struct elb_scope *s, struct str name, struct state_elbv2_trust_record *ret);
void elb_trust_put(const struct elb_scope *s, const struct state_elbv2_trust_record *r);
int elb_trust_get(struct call *c, struct str arn, struct state_elbv2_trust_record *ret);
/* All lists of what is revoked, in PEM, one after the other; "": none. */
struct str elb_trust_revoked(const struct elb_scope *s, const struct state_elbv2_trust_record *r);
struct str elb_trust_revoked_one(const struct elb_scope *s, struct str name, int64_t id);
/* An object of S3, read as the caller. As a handler: CALL_OK (*ret lies in the call's arena), CALL_FAIL, CALL_WAIT (the operation
 * is run again). `at`: which of an operation's objects, asked for in their order from 0. */
struct elb_object {
	struct str bucket, key, version;
	const char *missing; /* the code for one that cannot be read */
};
enum { ELB_OBJECT_BYTES_MAX = 512 * 1024 };
int elb_object_read(struct call *c, uint32_t at, const struct elb_object *o, struct str *ret);
/* A link that gives a trust store's certificates (id 0) or one of its lists to whoever has it, for ten minutes. */
struct str elb_trust_link(struct call *c, struct str name, int64_t id);
call_resume_fn *elb_intercept(struct call *c);

/* --- mutual.c: certificates of clients, as a listener asks for them */
int elb_mutual_check(struct call *c, const struct state_elbv2_balancer_record *b, struct elbv2_listener *l,
                     const struct elbv2_mutual_authentication_attributes *in);

/* --- action.c: fills in what is not said. `listener`: of whose rule they are. */
int elb_actions_check(struct call *c, const struct state_elbv2_balancer_record *balancer, const struct elbv2_listener *listener,
                      const struct elbv2_actions *in, struct elbv2_actions *ret);
/* The ARNs of the target groups, each once. */
void elb_actions_groups(struct arena *a, const struct elbv2_actions *actions, struct str_list *ret);
/* --- condition.c */
int elb_conditions_check(struct call *c, const struct elbv2_rule_condition_list *in, struct elbv2_rule_condition_list *ret);

/* --- transform.c */
int elb_transforms_check(struct call *c, const struct elbv2_rule_transform_list *in, const struct elbv2_actions *actions);
unsigned elb_regex_groups(struct str regex); /* that capture */

/* --- certificate.c */
/* Is this a certificate that the account may use here? CALL_FAIL: CertificateNotFound. */
int elb_certificate_check(struct call *c, struct str arn);
bool elb_certificate_find(const struct elb_scope *s, struct str arn, struct cert_bundle *ret);
/* All that a balancer's listeners have; after a change of those, what is used from now on or not any more is noted. */
struct str_list elb_certificates_of(const struct elb_scope *s, struct str balancer);
void elb_certificates_note(const struct elb_scope *s, const struct elb_name *at, const struct str_list *before);

/* --- balancer.c, balancer_place.c */
void elb_balancer_show(const struct elb_scope *s, const struct state_elbv2_balancer_record *r, struct elbv2_load_balancer *ret);
/* Where its nodes are to be, as the call says; they are checked. */
struct elb_places {
	struct state_elbv2_node *v;
	uint32_t n;
	bool set;
	struct str vpc;
};
int elb_places_check(struct call *c, bool network, bool internal, const struct str_list *subnets,
                     const struct elbv2_subnet_mappings *mappings, bool ipv6, struct elb_places *ret);
/* Its nodes get interfaces where they have none, and those that are elsewhere go. */
int elb_places_take(struct call *c, struct state_elbv2_balancer_record *r, const struct elb_places *places);
/* Is the type of its addresses one that it may have: ipv4, dualstack, dualstack-without-public-ipv4? *ret: what is not said is
 * ipv4. */
int elb_address_type_check(struct call *c, bool network, bool internal, struct str type, struct str *ret);
static inline bool elb_has_ipv6(const struct elbv2_load_balancer *b)
{
	return str_starts(b->ip_address_type, S("dualstack"));
}
/* Ids of groups of this VPC; none given: its default one, where `usual`. */
int elb_security_groups_check(struct call *c, const struct str_list *in, struct str vpc, bool usual, struct str_list *ret);

/* --- target.c */
/* A target of a group; NULL: it is not registered. port 0: any. */
struct state_elbv2_target *elb_target_of(const struct state_elbv2_group_record *r, struct str id, int64_t port);
/* --- registered.c */
/* Deregisters it (with no port: at every port) in the record, which the caller puts. Until when it drains; 0: it is gone. */
int64_t elb_target_drain(const struct elb_scope *s, struct state_elbv2_group_record *r, struct str id, struct opt_int port);
/* --- health.c */
void elb_health_find(const struct elb_scope *s, const struct state_elbv2_group_record *r, const struct str_list *users,
                     const struct state_elbv2_target *t, struct elbv2_target_health *ret);

/* Handlers; each file says which. */
#define HANDLER(name) elbv2_##name##_handler elbv2_##name
HANDLER(add_listener_certificates);
HANDLER(add_tags);
HANDLER(add_trust_store_revocations);
HANDLER(create_listener);
HANDLER(create_load_balancer);
HANDLER(create_rule);
HANDLER(create_target_group);
HANDLER(create_trust_store);
HANDLER(delete_listener);
HANDLER(delete_load_balancer);
HANDLER(delete_rule);
HANDLER(delete_shared_trust_store_association);
HANDLER(delete_target_group);
HANDLER(delete_trust_store);
HANDLER(deregister_targets);
HANDLER(describe_account_limits);
HANDLER(describe_capacity_reservation);
HANDLER(describe_listener_attributes);
HANDLER(describe_listener_certificates);
HANDLER(describe_listeners);
HANDLER(describe_load_balancer_attributes);
HANDLER(describe_load_balancers);
HANDLER(describe_rules);
HANDLER(describe_ssl_policies);
HANDLER(describe_tags);
HANDLER(describe_target_group_attributes);
HANDLER(describe_target_groups);
HANDLER(describe_target_health);
HANDLER(describe_trust_store_associations);
HANDLER(describe_trust_store_revocations);
HANDLER(describe_trust_stores);
HANDLER(get_trust_store_ca_certificates_bundle);
HANDLER(get_trust_store_revocation_content);
HANDLER(modify_listener);
HANDLER(modify_listener_attributes);
HANDLER(modify_load_balancer_attributes);
HANDLER(modify_rule);
HANDLER(modify_target_group);
HANDLER(modify_target_group_attributes);
HANDLER(modify_trust_store);
HANDLER(register_targets);
HANDLER(remove_listener_certificates);
HANDLER(remove_tags);
HANDLER(remove_trust_store_revocations);
HANDLER(set_ip_address_type);
HANDLER(set_rule_priorities);
HANDLER(set_security_groups);
HANDLER(set_subnets);
#undef HANDLER
