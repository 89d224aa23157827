/* Route 53 Resolver's records, keys, errors, pages and filters, and its copy in memory. Private to aws/route53resolver.
 *
 * A record lies under ("route53resolver", kind, account, region, id): endpoints, rules, associations; of a VPC's configuration the
 * id is the VPC's. */
#pragma once
#include "core/record.h"
#include "core/service.h"
#include "gen/route53resolver.h"
#include "gen/state_route53resolver.h"
#include "route53resolver.h"

/* Of an account in a region, as AWS sets them. */
enum {
	RESOLVER_ENDPOINTS_MAX = 4,
	RESOLVER_ENDPOINT_IPS_MIN = 2,
	RESOLVER_ENDPOINT_IPS_MAX = 6,
	RESOLVER_RULES_MAX = 1000,
	RESOLVER_TARGETS_MAX = 6,
	RESOLVER_ASSOCIATIONS_MAX = 2000,
	RESOLVER_TAGS_MAX = 200,
};
_Static_assert((int)RESOLVER_ENDPOINT_IPS_MAX <= (int)DNS_WAY_DOORS_MAX && (int)RESOLVER_TARGETS_MAX <= (int)DNS_WAY_SERVERS_MAX,
               "a rule's way has room for all");
#define RESOLVER_INTERNET "rslvr-autodefined-rr-internet-resolver"

extern const struct service route53resolver_service;

struct resolver_scope {
	struct store_txn *txn;
	struct arena *arena;
	struct str account, region;
};
struct resolver_scope resolver_scope(struct call *c);

/* --- records */
enum resolver_kind { RESOLVER_ENDPOINT, RESOLVER_RULE, RESOLVER_ASSOCIATION, RESOLVER_CONFIG };
/* Into and from the kind's struct (EndpointRecord, ...). */
bool resolver_find(const struct resolver_scope *s, enum resolver_kind kind, struct str id, void *ret);
void resolver_put(const struct resolver_scope *s, enum resolver_kind kind, struct str id, const void *record);
void resolver_drop(const struct resolver_scope *s, enum resolver_kind kind, struct str id);
bool resolver_read(struct arena *a, enum resolver_kind kind, struct str value, void *ret);
/* The kind of a record by the second part of its key. False: none. */
bool resolver_kind_named(struct str name, enum resolver_kind *ret);

/* A walk over a kind. */
struct resolver_all {
	struct resolver_scope scope;
	enum resolver_kind kind;
	struct store_iter *iter;
	struct str key;
};
struct resolver_all resolver_all(const struct resolver_scope *s, enum resolver_kind kind);
bool resolver_next(struct resolver_all *all, void *ret);

/* --- errors, ids, times */
__attribute__((format(printf, 3, 4))) int resolver_invalid(struct call *c, const char *field, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) int resolver_bad(struct call *c, const char *fmt, ...); /* InvalidRequestException */
int resolver_absent(struct call *c, const char *type, const char *noun, struct str id);
int resolver_limit(struct call *c, const char *type, const char *what, int64_t most);
/* CALL_FAIL where the input asks for what there is none of. */
int resolver_only(struct call *c, bool asked, const char *field, const char *what);
struct str resolver_arn(struct arena *a, struct str region, struct str account, const char *type, struct str id);
struct str resolver_make_id(struct call *c, const char *prefix);
struct str resolver_time(struct arena *a, int64_t ms);
/* "[Trace id: 1-...] " and the text, as AWS has it of what has just been asked for. */
struct str resolver_traced(struct call *c, const char *text);
/* By id, or ResourceNotFoundException. */
int resolver_endpoint_get(struct call *c, struct str id, struct state_route53resolver_endpoint_record *ret);
/* endpoint.c: once all of its addresses are there it is operational. */
void resolver_endpoint_settle(struct state_route53resolver_endpoint_record *r);
int resolver_rule_get(struct call *c, struct str id, struct state_route53resolver_rule_record *ret);

/* --- pages and filters */
struct resolver_page {
	struct resolver_all all;
	uint32_t limit, n;
	struct str last;
};
/* MaxResults and NextToken; CALL_FAIL: InvalidNextTokenException. */
int resolver_page_begin(struct call *c, struct resolver_page *p, enum resolver_kind kind, struct opt_int max, struct str token);
/* Is there room for one more? False: *ret_token is where the next page begins. */
bool resolver_page_add(struct call *c, struct resolver_page *p, struct str *ret_token);

struct resolver_field {
	const char *name;
	enum { RESOLVER_TEXT, RESOLVER_LIST, RESOLVER_NUMBER } kind;
	size_t at; /* in the struct that is shown */
};
/* Fields end with one without a name; names of filters are compared without case and '_'. CALL_FAIL: a filter that there is none
 * such. */
int resolver_filters_check(struct call *c, const struct route53resolver_filters *f, const struct resolver_field *fields);
bool resolver_filters_pass(struct arena *a, const struct route53resolver_filters *f, const struct resolver_field *fields,
                           const void *shown);

/* --- tag.c */
int resolver_tags_check(struct call *c, const struct route53resolver_tag_list *tags);
void resolver_authz_tags(struct call *c, struct authz *az, const struct route53resolver_tag_list *tags);

/* --- rule.c: the rule that everything else goes by */
struct route53resolver_resolver_rule *resolver_internet_rule(struct arena *a, struct str region);

/* --- index.c: rules, endpoints and configurations in memory, kept true by a watch; and the keeper of endpoints' statuses */
struct resolver_state;
struct resolver_state *resolver_index_open(struct cloud *cloud);
void resolver_index_close(struct resolver_state *s); /* NULL is harmless */

route53resolver_associate_resolver_endpoint_ip_address_handler route53resolver_associate_resolver_endpoint_ip_address;
route53resolver_associate_resolver_rule_handler route53resolver_associate_resolver_rule;
route53resolver_create_resolver_endpoint_handler route53resolver_create_resolver_endpoint;
route53resolver_create_resolver_rule_handler route53resolver_create_resolver_rule;
route53resolver_delete_resolver_endpoint_handler route53resolver_delete_resolver_endpoint;
route53resolver_delete_resolver_rule_handler route53resolver_delete_resolver_rule;
route53resolver_disassociate_resolver_endpoint_ip_address_handler route53resolver_disassociate_resolver_endpoint_ip_address;
route53resolver_disassociate_resolver_rule_handler route53resolver_disassociate_resolver_rule;
route53resolver_get_resolver_config_handler route53resolver_get_resolver_config;
route53resolver_get_resolver_endpoint_handler route53resolver_get_resolver_endpoint;
route53resolver_get_resolver_rule_handler route53resolver_get_resolver_rule;
route53resolver_get_resolver_rule_association_handler route53resolver_get_resolver_rule_association;
route53resolver_list_resolver_configs_handler route53resolver_list_resolver_configs;
route53resolver_list_resolver_endpoint_ip_addresses_handler route53resolver_list_resolver_endpoint_ip_addresses;
route53resolver_list_resolver_endpoints_handler route53resolver_list_resolver_endpoints;
route53resolver_list_resolver_rule_associations_handler route53resolver_list_resolver_rule_associations;
route53resolver_list_resolver_rules_handler route53resolver_list_resolver_rules;
route53resolver_list_tags_for_resource_handler route53resolver_list_tags_for_resource;
route53resolver_tag_resource_handler route53resolver_tag_resource;
route53resolver_untag_resource_handler route53resolver_untag_resource;
route53resolver_update_resolver_config_handler route53resolver_update_resolver_config;
route53resolver_update_resolver_endpoint_handler route53resolver_update_resolver_endpoint;
route53resolver_update_resolver_rule_handler route53resolver_update_resolver_rule;
