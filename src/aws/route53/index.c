/* The responders' copy of all hosted zones, kept true by a watch, and the responder for this machine. A query reads no store. */
#include "check.h"
#include "query_log.h"

#include "aws/elasticbeanstalk/elasticbeanstalk.h"
#include "aws/elbv2/elbv2.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/meter.h"
#include "engine/dns/blocks.h"
#include "engine/dns/name.h"
#include "engine/dns/places.h"
#include "engine/dns/rdata.h"
#include "engine/metrics/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PARTS_ZONE = 4, PARTS_SET = 6, BACKLOG = 64, COUNT_US = 500 * 1000 };
#define HOST "host" /* the responder's place, which is no VPC's id */

static void hand_over_all(struct route53_state *s);

/* --- what is put */

static void put_zone(struct route53_state *s, struct arena *a, struct str account, struct str id, struct str value)
{
	struct state_route53_zone_record r;
	uint8_t name[DNS_NAME_MAX];
	const char *why;
	if (!str_set(value)) {
		hand_over_all(s);
		dns_zone_drop(s->zones, id);
		return;
	}
	if (!route53_zone_read(a, value, &r) || !dns_name_parse(r.zone->name, true, name, &why))
		return;
	struct str *vpcs = arena_array(a, r.vpcs.n + 1, sizeof(*vpcs));
	for (uint32_t i = 0; i < r.vpcs.n; i++)
		vpcs[i] = r.vpcs.v[i].vpc_id;
	dns_zone_put(s->zones, id,
	             &(struct dns_zone_about){.name = name,
	                                      .private = r.zone->config->private_zone.v,
	                                      .owner = account,
	                                      .vpcs = vpcs,
	                                      .vpc_count = r.vpcs.n,
	                                      .order = (uint64_t)r.created.ms});
}

static struct str *wire_values(struct arena *a, const struct route53_resource_record_set *set, uint32_t *ret_n)
{
	uint8_t wire[DNS_RDATA_MAX];
	size_t n;
	struct str *values = arena_array(a, set->resource_records.n + 1, sizeof(*values));
	*ret_n = 0;
	for (uint32_t i = 0; i < set->resource_records.n; i++)
		if (!dns_rdata_parse(dns_type_named(set->type), set->resource_records.v[i].value, wire, &n))
			values[(*ret_n)++] = arena_dup(a, str_of(wire, n));
	return values;
}

static void put_place(struct dns_set_about *about, const struct route53_geo_proximity_location *p)
{
	about->bias = (int)p->bias.v;
	about->region = p->aws_region;
	about->located = p->coordinates && str_to_double(p->coordinates->latitude, &about->latitude) &&
	                 str_to_double(p->coordinates->longitude, &about->longitude);
}

static void put_set(struct route53_state *s, struct arena *a, const struct str_list *parts, struct str value)
{
	struct route53_resource_record_set set;
	uint8_t name[DNS_NAME_MAX], alias[DNS_NAME_MAX];
	const char *why;
	struct str zone = parts->v[2], key = parts->v[5];
	uint16_t type = dns_type_named(parts->v[4]);
	if (!dns_name_unreversed(parts->v[3], name))
		return;
	if (!str_set(value)) {
		dns_set_drop(s->zones, zone, name, type, key);
		return;
	}
	if (!route53_set_read(a, value, &set))
		return;
	struct dns_set_about about = {.type = type,
	                              .key = key,
	                              .ttl = (uint32_t)set.ttl.v,
	                              .policy = route53_policy(&set),
	                              .weight = (uint32_t)set.weight.v,
	                              .region = set.region,
	                              .secondary = str_is(set.failover, "SECONDARY"),
	                              .health_check = set.health_check_id};
	about.values = wire_values(a, &set, &about.value_count);
	if (set.geo_location) {
		about.continent = set.geo_location->continent_code;
		about.country = set.geo_location->country_code;
		about.subdivision = set.geo_location->subdivision_code;
	}
	if (set.geo_proximity_location)
		put_place(&about, set.geo_proximity_location);
	if (set.cidr_routing_config) {
		about.collection = set.cidr_routing_config->collection_id;
		about.location = set.cidr_routing_config->location_name;
	}
	if (set.alias_target && dns_name_parse(set.alias_target->dns_name, true, alias, &why)) {
		about.alias = alias;
		about.alias_zone = set.alias_target->hosted_zone_id;
		about.evaluate = set.alias_target->evaluate_target_health.v;
	}
	dns_set_put(s->zones, zone, name, &about);
}

static void put_blocks(struct route53_state *s, struct arena *a, struct str id, struct str value)
{
	struct state_route53_cidr_record r;
	dns_blocks_free(map_remove(&s->blocks, id));
	if (!str_set(value) || !route53_cidr_read(a, value, &r))
		return;
	struct dns_block *blocks = arena_array(a, r.blocks.n + 1, sizeof(*blocks));
	size_t n = 0;
	for (uint32_t i = 0; i < r.blocks.n; i++)
		if (dns_block_parse(r.blocks.v[i].cidr_block, &blocks[n]))
			blocks[n++].location = r.blocks.v[i].location_name;
	map_put(&s->blocks, id, dns_blocks_new(blocks, n));
}

static void take(struct route53_state *s, struct str key, struct str value)
{
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, key);
	if (parts.n == PARTS_ZONE && str_is(parts.v[1], "zone"))
		put_zone(s, &a, parts.v[2], parts.v[3], value);
	else if (parts.n == PARTS_SET && str_is(parts.v[1], "set"))
		put_set(s, &a, &parts, value);
	else if (parts.n == PARTS_ZONE && str_is(parts.v[1], "check"))
		route53_check_take(s->checks, parts.v[2], parts.v[3], value);
	else if (parts.n == PARTS_ZONE && str_is(parts.v[1], "cidr"))
		put_blocks(s, &a, parts.v[3], value);
	else if (parts.n == PARTS_ZONE && str_is(parts.v[1], "logging"))
		query_logs_take(s->logs, parts.v[2], parts.v[3], value);
}

static void changed(void *ctx, const struct store_event *e)
{
	struct route53_state *s = ctx;
	take(s, e->key, e->value);
	s->applied = e->revision;
}

static bool is_healthy(void *ctx, struct str check)
{
	const struct route53_state *s = ctx;
	return route53_check_healthy(s->checks, check);
}

/* The location of the block that has the asker's network. */
static struct str block(void *ctx, struct str collection, const struct dns_asking *who, unsigned *ret_bits)
{
	const struct route53_state *s = ctx;
	const struct dns_blocks *b = map_get(&s->blocks, collection);
	const unsigned mapped = who->address6 ? 0 : 96;
	uint8_t four[16];
	if (!b || !who->bits)
		return STR_NONE;
	dns_block_of4(who->address, four);
	struct str found = dns_blocks_find(b, who->address6 ? who->address6 : four, who->bits + mapped, ret_bits);
	*ret_bits -= str_set(found) ? mapped : 0;
	return found;
}

/* What an alias may lead to beside records of its zone: load balancers. */
static int addresses(void *ctx, struct str vpc, const uint8_t *name, uint16_t type, uint8_t (*out)[16], int max, bool *ret_healthy)
{
	const struct route53_state *s = ctx;
	return elbv2_addresses(s->cloud, vpc, name, type, out, max, ret_healthy);
}

/* --- answers */

static void hand_over(void *ctx, const char *zone, const char *owner, struct dns_counts *counts)
{
	const struct route53_state *s = ctx;
	const struct metric_dimension by = {S("HostedZoneId"), str_from(zone)};
	const struct metric metric = {str_from(owner), S(ROUTE53_REGION), S("AWS/Route53"), S("DNSQueries"), S("Count"), &by, 1};
	const struct metric_value value = {1, (double)counts->queries};
	metrics_put_values(s->cloud->metrics, &metric, clock_wall_ms(), 60, &value, 1);
	if (counts->charged)
		meter_count(s->cloud->meter, str_from(owner), S(ROUTE53_REGION), S("DNS-Queries"), (int64_t)counts->charged);
	*counts = (struct dns_counts){0};
}

static void hand_over_all(struct route53_state *s)
{
	if (s->cloud->metrics)
		dns_zones_counts(s->zones, hand_over, s);
}

static void hand_over_due(void *ctx)
{
	struct route53_state *s = ctx;
	s->counting = NULL;
	hand_over_all(s);
}

/* Queries are counted where the zone is, and handed to metrics and the meter together. */
static void count_query(struct route53_state *s, const struct dns_found *found)
{
	found->counts->queries++;
	found->counts->charged += !found->alias; /* queries for aliases of what AWS charges for anyway are free */
	if (!s->counting)
		s->counting = loop_add_timer(s->cloud->loop, COUNT_US, hand_over_due, s);
}

static bool ask_zones(struct route53_state *s, const struct dns_asking *who, uint32_t peer, const struct dns_query *q,
                      struct dns_writer *w, enum dns_said *ret)
{
	struct dns_found found;
	*ret = dns_zones_answer(s->zones, who, q, w, &found);
	w->leads_out = found.leads_out;
	if (found.leads_out)
		memcpy(w->out, found.out, sizeof(w->out));
	if (*ret == DNS_NOT_MINE)
		return false;
	count_query(s, &found);
	if (query_logs_any(s->logs))
		query_logs_add(s->logs, &found, peer, q, *ret);
	return true;
}

enum dns_said route53_answer(const struct cloud *cloud, struct str vpc, struct str region, uint32_t peer, const struct dns_query *q,
                             struct dns_writer *w)
{
	struct route53_state *s = route53_state(cloud);
	struct dns_asking who = {.vpc = vpc, .region = region, .address = peer, .bits = 32};
	enum dns_said said = DNS_NOT_MINE;
	if (!s)
		return said;
	dns_region_land(region, &who.continent, &who.country, &who.subdivision);
	ask_zones(s, &who, peer, q, w, &said);
	/* To whoever asks there, a resolver has the answer, and no authority. */
	w->authoritative = false;
	return said;
}

int route53_private_zone(const struct cloud *cloud, struct str vpc, const struct dns_query *q)
{
	const struct route53_state *s = route53_state(cloud);
	return s ? dns_zones_private(s->zones, vpc, q->wire) : -1;
}

static enum dns_said host_asks(void *ctx, const char *place, uint32_t peer, const struct dns_query *q, struct dns_writer *w)
{
	struct route53_state *s = ctx;
	const struct dns_asking who = {.address = q->has_subnet ? q->subnet : peer,
	                               .address6 = q->subnet_is_6 ? q->subnet6 : NULL,
	                               .bits = q->has_subnet ? q->subnet_bits : 32};
	enum dns_said said;
	(void)place;
	if (ask_zones(s, &who, peer, q, w, &said))
		return said;
	said = elbv2_answer(s->cloud, STR_NONE, q, w);
	return said == DNS_NOT_MINE ? elasticbeanstalk_answer(s->cloud, STR_NONE, q, w) : said;
}

/* The first record of a type that the public zones have for a name: where it lies in *ret_answer. NULL: there is none. */
static const uint8_t *public_record(const struct route53_state *s, struct str name, uint16_t type, size_t *ret_n)
{
	static uint8_t answer[DNS_LARGE_MAX];
	uint8_t query[DNS_HEAD + DNS_NAME_MAX + 4] = {0};
	struct dns_query q = {.type = type, .class = DNS_IN};
	const struct dns_asking who = {.bits = 0};
	struct dns_writer w;
	struct dns_found found;
	enum dns_said said;
	const char *why;
	size_t n = dns_name_parse(name, true, q.wire, &why), at;
	if (!n)
		return NULL;
	memcpy(query + DNS_HEAD, q.wire, n);
	q.question_n = n + 4;
	dns_begin(&w, answer, sizeof(answer), query, &q);
	said = dns_zones_answer(s->zones, &who, &q, &w, &found);
	at = DNS_HEAD + q.question_n;
	for (unsigned i = 0; said == DNS_ANSWERED && !w.overflow && i < w.counts[DNS_ANSWER]; i++) {
		at += (answer[at] & 0xc0) ? 2 : dns_name_size(answer + at);
		const uint8_t *r = answer + at;
		if (r[1] == type) {
			*ret_n = (size_t)(r[8] << 8 | r[9]);
			return r + 10;
		}
		at += 10u + (unsigned)(r[8] << 8 | r[9]);
	}
	return NULL;
}

bool route53_public_address(const struct route53_state *s, struct str name, uint32_t *ret)
{
	size_t n;
	const uint8_t *r = public_record(s, name, DNS_A, &n);
	if (!r || n != 4)
		return false;
	*ret = (uint32_t)r[0] << 24 | (uint32_t)r[1] << 16 | (uint32_t)r[2] << 8 | r[3];
	return true;
}

bool route53_public_cname(const struct cloud *cloud, struct arena *a, struct str name, struct str *ret)
{
	const struct route53_state *s = route53_state(cloud);
	size_t n;
	const uint8_t *r = s ? public_record(s, name, DNS_CNAME, &n) : NULL;
	if (!r)
		return false;
	*ret = dns_name_text(a, r);
	return true;
}

/* --- the responder for this machine */

static int open_socket(int type, const struct sockaddr_in *at)
{
	int one = 1, fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), e;
	if (fd < 0)
		return -errno;
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 || (type == SOCK_STREAM && listen(fd, BACKLOG) < 0)) {
		e = -errno;
		close(fd);
		return e;
	}
	return fd;
}

static bool read_place(struct str text, struct sockaddr_in *ret)
{
	char address[INET_ADDRSTRLEN];
	uint64_t port;
	ptrdiff_t colon = str_rfind_char(text, ':');
	*ret = (struct sockaddr_in){.sin_family = AF_INET};
	if (colon < 0 || colon >= (ptrdiff_t)sizeof(address) || !str_to_u64(str_from_at(text, (size_t)colon + 1), &port) || !port ||
	    port > UINT16_MAX)
		return false;
	memcpy(address, text.p, (size_t)colon);
	address[colon] = '\0';
	ret->sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, address, &ret->sin_addr) == 1;
}

static void open_host(struct route53_state *s)
{
	const struct dns_answerer table[] = {{.ask = host_asks, .ctx = s}};
	struct sockaddr_in at;
	const char *listen_at = s->cloud->dns_listen;
	if (!listen_at || strcmp(listen_at, "none") == 0)
		return;
	if (!read_place(str_from(listen_at), &at)) {
		snprintf(s->why_not, sizeof(s->why_not), "[dns] listen wants ADDRESS:PORT or none, not \"%s\"", listen_at);
		log_warn("no names are answered to this machine: %s", s->why_not);
		return;
	}
	int datagrams = open_socket(SOCK_DGRAM, &at), connections = datagrams < 0 ? datagrams : open_socket(SOCK_STREAM, &at);
	if (connections < 0) {
		snprintf(s->why_not, sizeof(s->why_not), "%s: %s", listen_at, strerror(-connections));
		log_warn("no names are answered to this machine: %s; another address can be set as [dns] listen, or none",
		         s->why_not);
		if (datagrams >= 0)
			close(datagrams);
		return;
	}
	s->host = dns_new(s->cloud->loop, table, 1, s->cloud->resolver, "/etc/resolv.conf");
	dns_serve_datagrams(s->host, HOST, datagrams);
	dns_serve_connections(s->host, HOST, connections);
	log_info("answering names of hosted zones at %s", listen_at);
}

const char *route53_responder(const struct cloud *cloud, const char **ret_why)
{
	const struct route53_state *s = route53_state(cloud);
	*ret_why = s ? s->why_not : "";
	return s && s->host ? cloud->dns_listen : NULL;
}

int route53_index_open(struct route53_state *s)
{
	struct arena CLEAN_ARENA a = {0};
	struct str under = KEY_UNDER(&a, S("route53")), key;
	struct store_value v;
	s->checks = route53_checks_new(s);
	s->logs = query_logs_new(s->cloud);
	s->zones =
	        dns_zones_new(&(struct dns_zones_hooks){.ctx = s, .healthy = is_healthy, .addresses = addresses, .block = block});
	struct store_txn *t = store_begin(s->cloud->store, &a);
	struct store_iter *iter = store_scan(t, under, store_prefix_end(&a, under), false);
	while (store_next(iter, &key, &v))
		take(s, key, v.value);
	store_abort(t);
	s->applied = store_revision(s->cloud->store);
	s->watch = store_watch(s->cloud->store, under, store_prefix_end(&a, under), s->applied, changed, s);
	if (!s->watch)
		return -EIO;
	open_host(s);
	return 0;
}

void route53_index_close(struct route53_state *s)
{
	store_unwatch(s->watch);
	loop_remove_timer(s->cloud->loop, s->counting);
	hand_over_all(s);
	dns_free(s->host);
	query_logs_free(s->logs);
	dns_zones_free(s->zones);
	size_t at = 0;
	struct str id;
	void *blocks;
	while (map_next(&s->blocks, &at, &id, &blocks))
		dns_blocks_free(blocks);
	map_done(&s->blocks);
	route53_checks_free(s->checks);
}
