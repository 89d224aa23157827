/* Route 53's records, keys, ids and names. Private to aws/route53.
 *
 * A zone lies under ("route53", "zone", account, id), its record sets under ("route53", "set", zone, name backwards, type,
 * identifier), so that a walk over keys is a listing in AWS's order. index.c keeps all of it in memory for the responders. */
#pragma once
#include "base/map.h"
#include "core/record.h"
#include "core/service.h"
#include "engine/dns/zones.h"
#include "gen/route53.h"
#include "gen/state_route53.h"
#include "route53.h"

extern const struct service route53_service;

#define ROUTE53_REGION "us-east-1" /* whatever is used of a service that is everywhere */

enum {
	ROUTE53_SETS_MAX = 10000,
	ROUTE53_ZONES_MAX = 500,
	ROUTE53_VPCS_MAX = 300,
	ROUTE53_CHECKS_MAX = 200,
	ROUTE53_DELEGATIONS_MAX = 100
};

struct route53_state {
	struct cloud *cloud;
	struct dns_zones *zones;
	struct dns *host;  /* the responder for this machine; NULL: none */
	char why_not[160]; /* then: why; "": nobody wants one */
	struct store_watch *watch;
	struct route53_checks *checks;
	struct query_logs *logs;
	struct loop_timer *counting; /* NULL: no query was counted since it was handed over */
	struct map blocks;           /* collection -> struct dns_blocks */
	uint64_t applied;            /* the revision up to which the responders have everything */
	int64_t lease, lease_until_ms;
};
struct route53_state *route53_state(const struct cloud *cloud);

/* --- ids: with "/hostedzone/" or "/change/" in front or without */
struct str route53_id(struct str text);
struct str route53_make_id(struct call *c, const char *prefix);

/* --- zones */
struct str route53_zones_under(struct call *c);
bool route53_zone_read(struct arena *a, struct str value, struct state_route53_zone_record *ret);
/* By id, or NoSuchHostedZone. */
int route53_zone_get(struct call *c, struct str id, struct state_route53_zone_record *ret);
bool route53_zone_find(struct call *c, struct str id, struct state_route53_zone_record *ret);
void route53_zone_put(struct call *c, const struct state_route53_zone_record *r);
void route53_zone_remove(struct call *c, const struct state_route53_zone_record *r);
int64_t route53_zone_count(struct call *c);
/* The id without the part that AWS puts before it. */
struct str route53_zone_id(const struct state_route53_zone_record *r);

/* --- association.c */
bool route53_vpc_in(const struct route53_vpcs *vpcs, struct str id, struct str region);
/* May a zone of this name (`zone`: its id, where it has one) answer in this VPC? */
int route53_vpc_check(struct call *c, const struct route53_vpc *vpc, struct str name, struct str zone);

/* --- record sets */
struct str route53_set_key(struct arena *a, struct str zone, const uint8_t *name, struct str type, struct str identifier);
struct str route53_sets_under(struct arena *a, struct str zone);
/* Those of one name; with `type`, of one name and type. */
struct str route53_sets_named(struct arena *a, struct str zone, const uint8_t *name, struct str type);
bool route53_set_read(struct arena *a, struct str value, struct route53_resource_record_set *ret);
bool route53_set_get(struct call *c, struct str key, struct route53_resource_record_set *ret);
void route53_set_put(struct call *c, struct str key, const struct route53_resource_record_set *set);
/* The part of a key that stands for an identifier. */
struct str route53_identifier_part(struct arena *a, struct str identifier);

/* --- change.c */
struct route53_change_info *route53_changed(struct call *c, struct str comment);

/* --- cidr.c */
bool route53_cidr_read(struct arena *a, struct str value, struct state_route53_cidr_record *ret);
/* Are the collection and its location there? */
bool route53_cidr_there(struct call *c, const struct route53_cidr_routing_config *config);

/* --- logging.c */
bool route53_logging_read(struct arena *a, struct str value, struct route53_query_logging_config *ret);
/* Those of a zone that goes. */
void route53_logging_drop(struct call *c, struct str zone);

/* --- delegation.c */
/* By id, or NoSuchDelegationSet. */
int route53_delegation_get(struct call *c, struct str id, struct route53_delegation_set *ret);
int64_t route53_delegation_count(struct call *c);
/* May one more zone have it? */
int route53_delegation_room(struct call *c, struct str id);
/* zone.c: four name servers of one's own. */
struct route53_delegation_set *route53_make_servers(struct call *c, bool private);

/* --- check.c */
bool route53_check_read(struct arena *a, struct str value, struct route53_health_check *ret);
bool route53_check_find(struct call *c, struct str id, struct state_route53_check_record *ret);
/* By id, or NoSuchHealthCheck. */
int route53_check_get(struct call *c, struct str id, struct state_route53_check_record *ret);
void route53_check_put(struct call *c, const struct state_route53_check_record *r);
int64_t route53_check_count(struct call *c);

/* A page's size: `most` unless fewer are asked for. False: InvalidInput. */
bool route53_page(struct call *c, struct str max_items, uint32_t most, uint32_t *ret);
int route53_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- set_check.c: is this set one that may be in the zone? Sentences of what is wrong with it are added. CALL_FAIL: the call ends
 * with an error at once. */
struct route53_checking {
	const struct state_route53_zone_record *zone;
	const uint8_t *apex;
	struct str_list wrong;
};
void route53_wrong(struct call *c, struct route53_checking *k, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* geo_location.c: is it one of those that there are? */
bool route53_geo_there(const struct route53_geo_location *g);
int route53_set_check_form(struct call *c, const struct route53_change *change);
void route53_set_check_values(struct call *c, struct route53_checking *k, const struct route53_resource_record_set *set,
                              const uint8_t *name);
enum dns_policy route53_policy(const struct route53_resource_record_set *set);

/* A name as conditions of policies have it: lower case, without the dot at its end. */
struct str route53_normal_name(struct arena *a, struct str name);

/* --- index.c */
int route53_index_open(struct route53_state *s);
void route53_index_close(struct route53_state *s);
/* The address that public hosted zones have for a name. False: none. */
bool route53_public_address(const struct route53_state *s, struct str name, uint32_t *ret);

/* Handlers; each file says which. */
route53_associate_vpc_with_hosted_zone_handler route53_associate_vpc_with_hosted_zone;
route53_change_cidr_collection_handler route53_change_cidr_collection;
route53_change_resource_record_sets_handler route53_change_resource_record_sets;
route53_change_tags_for_resource_handler route53_change_tags_for_resource;
route53_create_cidr_collection_handler route53_create_cidr_collection;
route53_create_health_check_handler route53_create_health_check;
route53_create_hosted_zone_handler route53_create_hosted_zone;
route53_create_query_logging_config_handler route53_create_query_logging_config;
route53_create_reusable_delegation_set_handler route53_create_reusable_delegation_set;
route53_delete_cidr_collection_handler route53_delete_cidr_collection;
route53_delete_health_check_handler route53_delete_health_check;
route53_delete_hosted_zone_handler route53_delete_hosted_zone;
route53_delete_query_logging_config_handler route53_delete_query_logging_config;
route53_delete_reusable_delegation_set_handler route53_delete_reusable_delegation_set;
route53_disassociate_vpc_from_hosted_zone_handler route53_disassociate_vpc_from_hosted_zone;
route53_get_account_limit_handler route53_get_account_limit;
route53_get_change_handler route53_get_change;
route53_get_checker_ip_ranges_handler route53_get_checker_ip_ranges;
route53_get_health_check_count_handler route53_get_health_check_count;
route53_get_geo_location_handler route53_get_geo_location;
route53_get_health_check_handler route53_get_health_check;
route53_get_health_check_last_failure_reason_handler route53_get_health_check_last_failure_reason;
route53_get_health_check_status_handler route53_get_health_check_status;
route53_get_hosted_zone_count_handler route53_get_hosted_zone_count;
route53_get_hosted_zone_handler route53_get_hosted_zone;
route53_get_hosted_zone_limit_handler route53_get_hosted_zone_limit;
route53_get_dnssec_handler route53_get_dnssec;
route53_get_query_logging_config_handler route53_get_query_logging_config;
route53_get_reusable_delegation_set_handler route53_get_reusable_delegation_set;
route53_get_reusable_delegation_set_limit_handler route53_get_reusable_delegation_set_limit;
route53_list_cidr_blocks_handler route53_list_cidr_blocks;
route53_list_cidr_collections_handler route53_list_cidr_collections;
route53_list_cidr_locations_handler route53_list_cidr_locations;
route53_list_geo_locations_handler route53_list_geo_locations;
route53_list_health_checks_handler route53_list_health_checks;
route53_list_hosted_zones_by_name_handler route53_list_hosted_zones_by_name;
route53_list_hosted_zones_by_vpc_handler route53_list_hosted_zones_by_vpc;
route53_list_hosted_zones_handler route53_list_hosted_zones;
route53_list_query_logging_configs_handler route53_list_query_logging_configs;
route53_list_resource_record_sets_handler route53_list_resource_record_sets;
route53_list_reusable_delegation_sets_handler route53_list_reusable_delegation_sets;
route53_list_tags_for_resource_handler route53_list_tags_for_resource;
route53_list_tags_for_resources_handler route53_list_tags_for_resources;
route53_test_dns_answer_handler route53_test_dns_answer;
route53_update_health_check_handler route53_update_health_check;
route53_update_hosted_zone_comment_handler route53_update_hosted_zone_comment;
