/* The table of zones: wildcards, delegations, CNAMEs, aliases, private zones, and each routing policy. */
#include "unit.h"

#include "engine/dns/blocks.h"
#include "engine/dns/name.h"
#include "engine/dns/rdata.h"
#include "engine/dns/zones.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scene {
	struct dns_zones *zones;
	bool ill[10]; /* health checks "0" to "9" */
	uint8_t answer[DNS_MESSAGE_MAX];
	char text[4096]; /* the last answer, section by section */
	struct dns_found found;
	bool authoritative;
	uint8_t scope;
};

static bool healthy(void *ctx, struct str check)
{
	struct scene *s = ctx;
	return !s->ill[check.p[0] - '0'];
}

static struct str block(void *ctx, struct str collection, const struct dns_asking *who, unsigned *ret_bits)
{
	(void)ctx;
	assert_true(str_is(collection, "c"));
	*ret_bits = 8;
	return who->address >> 24 == 10 ? S("ten") : STR_NONE;
}

static const uint8_t *wire(const char *text)
{
	static uint8_t names[4][DNS_NAME_MAX];
	static unsigned at;
	const char *why;
	uint8_t *to = names[at++ % 4];
	assert_true(dns_name_parse(str_from(text), true, to, &why));
	return to;
}

static struct dns_set_about simple(const char *type)
{
	return (struct dns_set_about){.type = dns_type_named(str_from(type)), .ttl = 60, .key = S("")};
}

/* values: parts between '|'. */
static void put_about(struct scene *s, const char *zone, const char *name, struct dns_set_about about, const char *values)
{
	static uint8_t bytes[8][DNS_RDATA_MAX];
	struct str v[8], rest = str_from(values);
	for (; rest.n; about.value_count++) {
		size_t n;
		assert_null(dns_rdata_parse(about.type, str_cut(&rest, '|'), bytes[about.value_count], &n));
		v[about.value_count] = str_of(bytes[about.value_count], n);
	}
	about.values = v;
	dns_set_put(s->zones, str_from(zone), wire(name), &about);
}

static void put(struct scene *s, const char *zone, const char *name, const char *type, const char *values)
{
	put_about(s, zone, name, simple(type), values);
}

static void zone_put(struct scene *s, const char *id, const char *name, const char *vpc, uint64_t order)
{
	struct str v = vpc ? str_from(vpc) : STR_NONE;
	dns_zone_put(
	        s->zones, str_from(id),
	        &(struct dns_zone_about){.name = wire(name), .private = vpc, .vpcs = &v, .vpc_count = vpc ? 1 : 0, .order = order});
	put(s, id, name, "SOA", "ns.test. host.test. 1 7200 900 1209600 300");
	put(s, id, name, "NS", "ns.test.");
}

static int set_up(void **state)
{
	static struct scene s;
	memset(&s, 0, sizeof(s));
	s.zones = dns_zones_new(&(struct dns_zones_hooks){.ctx = &s, .healthy = healthy, .block = block});
	zone_put(&s, "Z1", "example.com", NULL, 1);
	*state = &s;
	return 0;
}

static int tear_down(void **state)
{
	dns_zones_free(((struct scene *)*state)->zones);
	return 0;
}

/* --- asking; an answer's text: "A a.example.com 4;" ... per section, sections behind "=" "!" "+" */

static void read_answer(struct scene *s, const struct dns_writer *w, const struct dns_query *q)
{
	size_t at = DNS_HEAD + q->question_n, n = 0;
	s->text[0] = '\0';
	for (int section = 0; section < DNS_SECTIONS; section++)
		for (unsigned i = 0; i < w->counts[section]; i++) {
			struct arena CLEAN_ARENA a = {0};
			bool pointer = w->p[at] & 0xc0;
			struct str owner = dns_name_text(&a, pointer ? q->wire : w->p + at);
			at += pointer ? 2 : dns_name_size(w->p + at);
			const uint8_t *r = w->p + at;
			uint16_t type = (uint16_t)(r[0] << 8 | r[1]);
			n += (size_t)snprintf(s->text + n, sizeof(s->text) - n, "%c%s %.*s", "=!+"[section], dns_type_name(type),
			                      STR_ARG(owner));
			if (type == DNS_A)
				n += (size_t)snprintf(s->text + n, sizeof(s->text) - n, " %u", r[13]);
			at += 10u + (unsigned)(r[8] << 8 | r[9]);
		}
}

static enum dns_said ask_as(struct scene *s, const struct dns_asking *who, const char *name, const char *type)
{
	struct dns_query q = {.type = strcmp(type, "ANY") == 0 ? DNS_ANY : dns_type_named(str_from(type)), .class = DNS_IN};
	struct dns_writer w;
	uint8_t query[DNS_HEAD + DNS_NAME_MAX + 4] = {0};
	const uint8_t *at = wire(name);
	size_t n = dns_name_size(at);
	memcpy(q.wire, at, n);
	memcpy(query + DNS_HEAD, at, n);
	q.question_n = n + 4;
	dns_begin(&w, s->answer, sizeof(s->answer), query, &q);
	enum dns_said said = dns_zones_answer(s->zones, who, &q, &w, &s->found);
	s->authoritative = w.authoritative;
	s->scope = w.scope_bits;
	read_answer(s, &w, &q);
	return said;
}

static const struct dns_asking nobody = {.bits = 32};

#define ASK(name, type, said, answer) \
	do { \
		assert_int_equal(ask_as(s, &nobody, name, type), said); \
		assert_string_equal(s->text, answer); \
	} while (0)

#define NO "!SOA example.com."

static void names_are_found(void **state)
{
	struct scene *s = *state;
	put(s, "Z1", "a.b.example.com", "A", "192.0.2.1");
	ASK("A.b.Example.com", "A", DNS_ANSWERED, "=A a.b.example.com. 1");
	assert_true(s->authoritative);
	ASK("a.b.example.com", "AAAA", DNS_ANSWERED, NO);
	ASK("b.example.com", "A", DNS_ANSWERED, NO); /* there is something below it */
	ASK("c.example.com", "A", DNS_ABSENT, NO);
	ASK("example.org", "A", DNS_NOT_MINE, "");
	ASK("com", "A", DNS_NOT_MINE, "");
	put(s, "Z1", "a.b.example.com", "A", "192.0.2.2");
	ASK("a.b.example.com", "A", DNS_ANSWERED, "=A a.b.example.com. 2");
	dns_set_drop(s->zones, S("Z1"), wire("a.b.example.com"), DNS_A, S(""));
	ASK("b.example.com", "A", DNS_ABSENT, NO);
	/* two zones with one name: the older one; and the inner one of two */
	zone_put(s, "Z2", "example.com", NULL, 2);
	put(s, "Z2", "late.example.com", "A", "192.0.2.3");
	ASK("late.example.com", "A", DNS_ABSENT, NO);
	zone_put(s, "Z3", "sub.example.com", NULL, 3);
	put(s, "Z1", "x.sub.example.com", "A", "192.0.2.4");
	ASK("x.sub.example.com", "A", DNS_ABSENT, "!SOA sub.example.com.");
	dns_zone_drop(s->zones, S("Z3"));
	ASK("x.sub.example.com", "A", DNS_ANSWERED, "=A x.sub.example.com. 4");
	dns_zone_drop(s->zones, S("Z1"));
	ASK("late.example.com", "A", DNS_ANSWERED, "=A late.example.com. 3");
}

static void wildcards_stand_for_names(void **state)
{
	struct scene *s = *state;
	put(s, "Z1", "*.example.com", "A", "192.0.2.1");
	put(s, "Z1", "there.example.com", "TXT", "\"t\"");
	put(s, "Z1", "x.deep.example.com", "A", "192.0.2.2");
	put(s, "Z1", "*.deep.example.com", "TXT", "\"t\"");
	ASK("any.example.com", "A", DNS_ANSWERED, "=A any.example.com. 1");
	ASK("any.any.example.com", "A", DNS_ANSWERED, "=A any.any.example.com. 1");
	ASK("any.example.com", "TXT", DNS_ANSWERED, NO);
	ASK("there.example.com", "A", DNS_ANSWERED, NO);  /* the name is there */
	ASK("x.there.example.com", "A", DNS_ABSENT, NO);  /* and nothing below it */
	ASK("y.deep.example.com", "A", DNS_ANSWERED, NO); /* the inner wildcard */
	ASK("y.deep.example.com", "TXT", DNS_ANSWERED, "=TXT y.deep.example.com.");
	ASK("deep.example.com", "A", DNS_ANSWERED, NO);
	ASK("*.example.com", "A", DNS_ANSWERED, "=A \\052.example.com. 1");
}

static void zones_are_delegated(void **state)
{
	struct scene *s = *state;
	put(s, "Z1", "sub.example.com", "NS", "ns.sub.example.com|ns.elsewhere.test");
	put(s, "Z1", "ns.sub.example.com", "A", "192.0.2.1");
	put(s, "Z1", "sub.example.com", "DS", "1 5 1 0123456789012345678901234567890123456789");
	ASK("www.sub.example.com", "A", DNS_ANSWERED, "!NS sub.example.com.!NS sub.example.com.+A ns.sub.example.com. 1");
	assert_false(s->authoritative);
	ASK("sub.example.com", "NS", DNS_ANSWERED, "!NS sub.example.com.!NS sub.example.com.+A ns.sub.example.com. 1");
	ASK("sub.example.com", "DS", DNS_ANSWERED, "=DS sub.example.com.");
	ASK("ns.sub.example.com", "A", DNS_ANSWERED, "!NS sub.example.com.!NS sub.example.com.+A ns.sub.example.com. 1");
	ASK("example.com", "NS", DNS_ANSWERED, "=NS example.com.");
	assert_true(s->authoritative);
}

static void cnames_are_followed(void **state)
{
	struct scene *s = *state;
	zone_put(s, "Z2", "example.net", NULL, 2);
	put(s, "Z1", "a.example.com", "CNAME", "B.example.com");
	put(s, "Z1", "b.example.com", "CNAME", "c.example.net");
	put(s, "Z2", "c.example.net", "A", "192.0.2.1");
	put(s, "Z1", "out.example.com", "CNAME", "www.elsewhere.test");
	put(s, "Z1", "gone.example.com", "CNAME", "nothing.example.com");
	put(s, "Z1", "l1.example.com", "CNAME", "l2.example.com");
	put(s, "Z1", "l2.example.com", "CNAME", "l1.example.com");
	put(s, "Z1", "*.w.example.com", "CNAME", "c.example.net");
	ASK("a.example.com", "A", DNS_ANSWERED, "=CNAME a.example.com.=CNAME b.example.com.=A c.example.net. 1");
	ASK("a.example.com", "CNAME", DNS_ANSWERED, "=CNAME a.example.com.");
	ASK("a.example.com", "AAAA", DNS_ANSWERED, "=CNAME a.example.com.=CNAME b.example.com.!SOA example.net.");
	ASK("x.w.example.com", "A", DNS_ANSWERED, "=CNAME x.w.example.com.=A c.example.net. 1");
	ASK("gone.example.com", "A", DNS_ABSENT, "=CNAME gone.example.com." NO);
	ASK("out.example.com", "A", DNS_ANSWERED, "=CNAME out.example.com.");
	assert_true(s->found.leads_out);
	assert_memory_equal(s->found.out, wire("www.elsewhere.test"), 20);
	assert_int_equal(ask_as(s, &nobody, "l1.example.com", "A"), DNS_ANSWERED);
}

static void aliases_answer_in_their_name(void **state)
{
	struct scene *s = *state;
	struct dns_set_about a = simple("A");
	a.alias = wire("t.example.com");
	a.alias_zone = S("Z1");
	put(s, "Z1", "t.example.com", "A", "192.0.2.1");
	put_about(s, "Z1", "example.com", a, "");
	ASK("example.com", "A", DNS_ANSWERED, "=A example.com. 1");
	dns_set_drop(s->zones, S("Z1"), wire("t.example.com"), DNS_A, S(""));
	ASK("example.com", "A", DNS_ANSWERED, NO);
	a.alias = wire("example.com"); /* itself */
	put_about(s, "Z1", "example.com", a, "");
	ASK("example.com", "A", DNS_ANSWERED, NO);
}

static void private_zones_hide_public_ones(void **state)
{
	struct scene *s = *state;
	const struct dns_asking in = {.vpc = S("vpc-1")}, other = {.vpc = S("vpc-2")};
	zone_put(s, "P1", "example.com", "vpc-1", 2);
	zone_put(s, "Z2", "sub.example.com", NULL, 3);
	put(s, "Z1", "www.example.com", "A", "192.0.2.1");
	put(s, "P1", "db.example.com", "A", "192.0.2.2");
	put(s, "Z2", "x.sub.example.com", "A", "192.0.2.3");
	assert_int_equal(ask_as(s, &in, "db.example.com", "A"), DNS_ANSWERED);
	assert_int_equal(ask_as(s, &in, "www.example.com", "A"), DNS_ABSENT);
	assert_int_equal(ask_as(s, &in, "x.sub.example.com", "A"), DNS_ABSENT);
	assert_int_equal(ask_as(s, &other, "www.example.com", "A"), DNS_ANSWERED);
	assert_int_equal(ask_as(s, &other, "db.example.com", "A"), DNS_ABSENT);
	assert_int_equal(ask_as(s, &nobody, "db.example.com", "A"), DNS_ABSENT);
	assert_int_equal(dns_zones_private(s->zones, S("vpc-1"), wire("a.example.com")), 2);
	assert_int_equal(dns_zones_private(s->zones, S("vpc-2"), wire("a.example.com")), -1);
}

/* --- policies */

static void put_one(struct scene *s, const char *key, struct dns_set_about about, const char *value)
{
	about.type = DNS_A;
	about.ttl = 60;
	about.key = str_from(key);
	put_about(s, "Z1", "p.example.com", about, value);
}

/* The last byte of the address that came; 0: none. */
static int answer_to(struct scene *s, const struct dns_asking *who)
{
	assert_int_equal(ask_as(s, who, "p.example.com", "A"), DNS_ANSWERED);
	const char *space = strrchr(s->text, ' ');
	return strncmp(s->text, "=A", 2) == 0 ? atoi(space + 1) : 0;
}

static unsigned seen(struct scene *s)
{
	unsigned all = 0;
	for (int i = 0; i < 400; i++)
		all |= 1u << answer_to(s, &nobody);
	return all;
}

static void weights_are_kept(void **state)
{
	struct scene *s = *state;
	int first = 0;
	put_one(s, "a", (struct dns_set_about){.policy = DNS_WEIGHTED, .weight = 3, .health_check = S("1")}, "192.0.2.1");
	put_one(s, "b", (struct dns_set_about){.policy = DNS_WEIGHTED, .weight = 1, .health_check = S("2")}, "192.0.2.2");
	put_one(s, "c", (struct dns_set_about){.policy = DNS_WEIGHTED, .weight = 0, .health_check = S("3")}, "192.0.2.3");
	for (int i = 0; i < 4000; i++)
		first += answer_to(s, &nobody) == 1;
	assert_in_range(first, 2700, 3300);
	assert_int_equal(seen(s), 1u << 1 | 1u << 2);
	s->ill[1] = true;
	assert_int_equal(seen(s), 1u << 2);
	s->ill[2] = true; /* what has no weight is used when the others are ill */
	assert_int_equal(seen(s), 1u << 3);
	s->ill[3] = true; /* all of them: as if none were */
	assert_int_equal(seen(s), 1u << 1 | 1u << 2);
}

static void failover_follows_health(void **state)
{
	struct scene *s = *state;
	put_one(s, "a", (struct dns_set_about){.policy = DNS_FAILOVER, .health_check = S("1")}, "192.0.2.1");
	put_one(s, "b", (struct dns_set_about){.policy = DNS_FAILOVER, .secondary = true, .health_check = S("2")}, "192.0.2.2");
	assert_int_equal(answer_to(s, &nobody), 1);
	s->ill[1] = true;
	assert_int_equal(answer_to(s, &nobody), 2);
	s->ill[2] = true;
	assert_int_equal(answer_to(s, &nobody), 1);
}

static void the_nearest_region_answers(void **state)
{
	struct scene *s = *state;
	put_one(s, "a", (struct dns_set_about){.policy = DNS_LATENCY, .region = S("us-east-1")}, "192.0.2.1");
	put_one(s, "b", (struct dns_set_about){.policy = DNS_LATENCY, .region = S("eu-west-1"), .health_check = S("2")},
	        "192.0.2.2");
	const struct dns_asking frankfurt = {.region = S("eu-central-1"), .bits = 24},
	                        ohio = {.region = S("us-east-2"), .bits = 24};
	assert_int_equal(answer_to(s, &frankfurt), 2);
	assert_int_equal(s->scope, 24);
	assert_int_equal(answer_to(s, &ohio), 1);
	s->ill[2] = true;
	assert_int_equal(answer_to(s, &frankfurt), 1);
}

static void a_bias_moves_borders(void **state)
{
	struct scene *s = *state;
	const struct dns_asking dublin = {.region = S("eu-west-1")};
	put_one(s, "a", (struct dns_set_about){.policy = DNS_PROXIMITY, .located = true, .latitude = 50.1, .longitude = 8.7},
	        "192.0.2.1");
	put_one(s, "b", (struct dns_set_about){.policy = DNS_PROXIMITY, .region = S("us-east-1")}, "192.0.2.2");
	assert_int_equal(answer_to(s, &dublin), 1);
	put_one(s, "b", (struct dns_set_about){.policy = DNS_PROXIMITY, .region = S("us-east-1"), .bias = 90}, "192.0.2.2");
	assert_int_equal(answer_to(s, &dublin), 2);
}

static void the_narrowest_place_answers(void **state)
{
	struct scene *s = *state;
	const struct dns_asking texas = {.continent = S("NA"), .country = S("US"), .subdivision = S("TX")},
	                        ohio = {.continent = S("NA"), .country = S("US"), .subdivision = S("OH")},
	                        canada = {.continent = S("NA"), .country = S("CA")},
	                        chile = {.continent = S("SA"), .country = S("CL")};
	put_one(s, "a",
	        (struct dns_set_about){
	                .policy = DNS_GEOLOCATION, .country = S("US"), .subdivision = S("TX"), .health_check = S("1")},
	        "192.0.2.1");
	put_one(s, "b", (struct dns_set_about){.policy = DNS_GEOLOCATION, .country = S("US")}, "192.0.2.2");
	put_one(s, "c", (struct dns_set_about){.policy = DNS_GEOLOCATION, .continent = S("NA")}, "192.0.2.3");
	assert_int_equal(answer_to(s, &texas), 1);
	assert_int_equal(answer_to(s, &ohio), 2);
	assert_int_equal(answer_to(s, &canada), 3);
	assert_int_equal(answer_to(s, &chile), 0);
	assert_int_equal(answer_to(s, &nobody), 0);
	s->ill[1] = true; /* the next wider one */
	assert_int_equal(answer_to(s, &texas), 2);
	put_one(s, "d", (struct dns_set_about){.policy = DNS_GEOLOCATION, .country = S("*")}, "192.0.2.4");
	assert_int_equal(answer_to(s, &chile), 4);
}

static void the_longest_block_has_an_address(void **state)
{
	static const char *const texts[] = {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "2001:db8::/32", "192.0.2.0/24"};
	static const char *const wrong[] = {"10.0.0.1/8",     "10.0.0.0/33", "10.0.0.0", "2001:db8::/129",
	                                    "2001:db8::1/64", "/8",          "x/8"};
	struct dns_block blocks[5], none;
	uint8_t at[16];
	unsigned bits = 0;
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_true(dns_block_parse(str_from(texts[i]), &blocks[i]));
		blocks[i].location = str_from(texts[i]);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_false(dns_block_parse(str_from(wrong[i]), &none));
	struct dns_blocks *b = dns_blocks_new(blocks, 5);
	dns_block_of4(0x0a010203, at);
	assert_true(str_is(dns_blocks_find(b, at, 128, &bits), "10.1.2.0/24"));
	assert_int_equal(bits, 96 + 24);
	assert_true(str_is(dns_blocks_find(b, at, 96 + 20, &bits), "10.1.0.0/16")); /* only so much of it is known */
	assert_false(str_set(dns_blocks_find(b, at, 96 + 7, &bits)));
	dns_block_of4(0x0b010203, at);
	assert_false(str_set(dns_blocks_find(b, at, 128, &bits)));
	memcpy(at, "\x20\x01\x0d\xb8\xff", 5);
	assert_true(str_is(dns_blocks_find(b, at, 56, &bits), "2001:db8::/32"));
	assert_int_equal(bits, 32);
	dns_blocks_free(b);
}

static void blocks_of_addresses_answer(void **state)
{
	struct scene *s = *state;
	const struct dns_asking ten = {.address = 0x0a000000, .bits = 24}, other = {.address = 0xc0000200, .bits = 24};
	put_one(s, "a",
	        (struct dns_set_about){.policy = DNS_BLOCKS, .collection = S("c"), .location = S("ten"), .health_check = S("1")},
	        "192.0.2.1");
	assert_int_equal(answer_to(s, &ten), 1);
	assert_int_equal(s->scope, 8);
	assert_int_equal(answer_to(s, &other), 0);
	put_one(s, "b", (struct dns_set_about){.policy = DNS_BLOCKS, .collection = S("c"), .location = S("*")}, "192.0.2.2");
	assert_int_equal(answer_to(s, &other), 2);
	s->ill[1] = true;
	assert_int_equal(answer_to(s, &ten), 2);
}

static void several_values_are_healthy_ones(void **state)
{
	struct scene *s = *state;
	for (int i = 1; i < 12; i++) {
		char key[8], value[20];
		snprintf(key, sizeof(key), "%d", i);
		snprintf(value, sizeof(value), "192.0.2.%d", i);
		put_one(s, key, (struct dns_set_about){.policy = DNS_MULTIVALUE, .health_check = i == 1 ? S("1") : S("2")}, value);
	}
	unsigned count = 0;
	assert_int_equal(ask_as(s, &nobody, "p.example.com", "A"), DNS_ANSWERED);
	for (const char *at = s->text; (at = strstr(at, "=A")); at++)
		count++;
	assert_int_equal(count, 8);
	s->ill[2] = true;
	assert_int_equal(ask_as(s, &nobody, "p.example.com", "A"), DNS_ANSWERED);
	assert_string_equal(s->text, "=A p.example.com. 1");
}

int main(void)
{
#define ONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	        ONE(names_are_found),
	        ONE(wildcards_stand_for_names),
	        ONE(zones_are_delegated),
	        ONE(cnames_are_followed),
	        ONE(aliases_answer_in_their_name),
	        ONE(private_zones_hide_public_ones),
	        ONE(weights_are_kept),
	        ONE(failover_follows_health),
	        ONE(the_nearest_region_answers),
	        ONE(a_bias_moves_borders),
	        ONE(the_narrowest_place_answers),
	        ONE(the_longest_block_has_an_address),
	        ONE(blocks_of_addresses_answer),
	        ONE(several_values_are_healthy_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
