/* Zones with their record sets, in memory, and what they answer: RFC 1034 with the aliases and routing policies of Route 53.
 *
 * Whoever keeps the records (aws/route53) puts them here as they change; a query reads nothing else. Names are on the wire, in
 * lower case. All of it belongs to the loop's thread. */
#pragma once
#include "base/str.h"
#include "engine/dns/dns.h"

enum dns_policy {
	DNS_SIMPLE,
	DNS_WEIGHTED,
	DNS_LATENCY,
	DNS_FAILOVER,
	DNS_GEOLOCATION,
	DNS_PROXIMITY,
	DNS_MULTIVALUE,
	DNS_BLOCKS /* "IP-based" */
};

/* A record set as it is put; everything is copied. */
struct dns_set_about {
	uint16_t type;
	uint32_t ttl;
	struct str key; /* which one of those of its name and type */
	enum dns_policy policy;
	uint32_t weight;
	struct str region;                          /* latency, proximity */
	struct str continent, country, subdivision; /* geolocation; country "*": the rest */
	struct str collection, location;            /* blocks; location "*": the rest */
	bool secondary;                             /* failover */
	bool located;                               /* proximity: by degrees, not by region */
	double latitude, longitude;
	int bias;
	struct str health_check;  /* absent: it is always healthy */
	const struct str *values; /* on the wire */
	uint32_t value_count;
	const uint8_t *alias; /* whose answer it has; NULL: it has values */
	struct str alias_zone;
	bool evaluate; /* the alias is as healthy as its target */
};

struct dns_set {
	struct dns_set *next; /* of the same name */
	struct dns_set_about about;
};

/* Who asks, as far as it is known. */
struct dns_asking {
	struct str vpc;          /* absent: no resolver of a VPC */
	struct str zone;         /* this zone and no other (TestDNSAnswer); absent: the innermost that the asker sees */
	uint32_t address;        /* of the client's network, or of the resolver */
	const uint8_t *address6; /* its 16 bytes where it is one of IPv6; NULL: it is not */
	uint8_t bits;            /* of it that are known */
	struct str region;
	struct str continent, country, subdivision; /* absent: unknown */
};

/* What only others know. All may be NULL. */
struct dns_zones_hooks {
	void *ctx;
	/* Is this health check's last word that all is well? Unknown ones are healthy. */
	bool (*healthy)(void *ctx, struct str check);
	/* Addresses of what an alias leads to that is no record of its zone (a load balancer), 4 or 16 bytes each in the order of
	 * the wire; how many, at most `max`; -1: there is no such thing. vpc: whose resolver asks, or absent. */
	int (*addresses)(void *ctx, struct str vpc, const uint8_t *name, uint16_t type, uint8_t (*out)[16], int max,
	                 bool *ret_healthy);
	/* The location of a block that an address is in, and its length in bits; absent: none. */
	struct str (*block)(void *ctx, struct str collection, const struct dns_asking *who, unsigned *ret_bits);
};

struct dns_zones;
struct dns_zones *dns_zones_new(const struct dns_zones_hooks *hooks);
void dns_zones_free(struct dns_zones *z); /* NULL is harmless */

struct dns_zone_about {
	const uint8_t *name;
	bool private;
	const struct str *vpcs;
	uint32_t vpc_count;
	struct str owner; /* comes back with what is found */
	uint64_t order;   /* of two public zones with one name the lower one answers */
};
/* Makes a zone or changes it; its record sets may come before. */
void dns_zone_put(struct dns_zones *z, struct str id, const struct dns_zone_about *about);
void dns_zone_drop(struct dns_zones *z, struct str id);
void dns_set_put(struct dns_zones *z, struct str zone, const uint8_t *name, const struct dns_set_about *about);
void dns_set_drop(struct dns_zones *z, struct str zone, const uint8_t *name, uint16_t type, struct str key);

/* How often a zone was asked, and how often for what is no alias elsewhere; for whoever counts. */
struct dns_counts {
	uint64_t queries, charged;
};
/* What the answer came from, for logs. */
struct dns_found {
	const char *zone, *owner;  /* NULL: none; they live until the zone is dropped */
	struct dns_counts *counts; /* the zone's, as long as it lives; nobody here counts */
	bool private;              /* the zone is */
	bool alias;                /* of something that is no record */
	/* A CNAME leads to a name that no zone here has: it is to be asked for elsewhere. */
	bool leads_out;
	uint8_t out[DNS_NAME_MAX];
};
/* DNS_NOT_MINE: no zone that the asker sees has the name. */
enum dns_said dns_zones_answer(struct dns_zones *z, const struct dns_asking *who, const struct dns_query *q, struct dns_writer *w,
                               struct dns_found *ret);
/* Of each zone that has counted something. */
void dns_zones_counts(struct dns_zones *z, void (*each)(void *ctx, const char *zone, const char *owner, struct dns_counts *counts),
                      void *ctx);
/* The length in labels of the private zone that answers a VPC for a name; -1: none. */
int dns_zones_private(const struct dns_zones *z, struct str vpc, const uint8_t *name);
