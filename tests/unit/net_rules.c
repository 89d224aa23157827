/* The text of rules, where a packet could not tell: prefixes that overlap, names, what is taken away again. */
#include "unit.h"

#include "engine/net/conntrack.h"
#include "engine/net/rules.h"
#include "engine/net/rules_balance.h"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <stdlib.h>
#include <string.h>

static uint32_t number(void *ctx, const char *group)
{
	(void)ctx;
	return strcmp(group, "sg-7") == 0 ? 7 : 0;
}

static const char *text(struct buf *b)
{
	buf_add_char(b, '\0');
	return b->p;
}

static void prefixes_do_not_overlap(void **state)
{
	(void)state;
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 20);
	struct net_rules *m = calloc(1, sizeof(*m));
	m->h.value = 6;
	static const struct net_prefix peers[] = {
	        {0x0a010000, 16}, {0x0a000000, 8}, {0xc0a80000, 24}, {0xc0a80000, 24}, {0x0a010200, 24}};
	for (size_t i = 0; i < 5; i++)
		m->rules[i] = (struct net_rule){.protocol = 6, .from = 22, .to = 22, .peer = peers[i]};
	m->rules[5] = (struct net_rule){.protocol = 6, .from = 22, .to = 22, .peer_group = "sg-7"};
	rules_group(&b, 3, m, number, NULL);
	const char *t = text(&b);
	assert_non_null(strstr(t, "add rule ip q g3i tcp dport 22 ip saddr { 10.0.0.0/8, 192.168.0.0/24 } accept\n"));
	assert_non_null(strstr(t, "add rule ip q g3i tcp dport 22 ip saddr @m7 accept\n"));
	assert_null(strstr(t, "10.1"));
	assert_null(strstr(t, "g3o tcp"));
	/* everybody is every prefix */
	buf_clear(&b);
	m->rules[4].peer = (struct net_prefix){0, 0};
	rules_group(&b, 3, m, number, NULL);
	assert_non_null(strstr(text(&b), "add rule ip q g3i tcp dport 22 accept\n"));
	free(m);
}

static void all_is_said_of_a_match(void **state)
{
	(void)state;
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 20);
	struct net_rules *m = calloc(1, sizeof(*m));
	static const struct net_rule rules[] = {
	        {.number = 1, .protocol = 17, .from = 1000, .to = 2000, .allow = 1, .egress = 1, .peer = {0x01020304, 32}},
	        {.number = 2, .protocol = 1, .from = 8, .to = -1},
	        {.number = 3, .protocol = 1, .from = 3, .to = 4, .allow = 1},
	        {.number = 4, .protocol = 50, .allow = 1},
	        {.number = 5, .protocol = 6, .from = -1, .to = -1},
	        {.number = 6, .protocol = -1, .allow = 1},
	};
	m->h.value = 6;
	memcpy(m->rules, rules, sizeof(rules));
	rules_acl(&b, 4, m);
	assert_non_null(strstr(text(&b), "add rule ip q a4o udp dport 1000-2000 ip daddr 1.2.3.4/32 accept\n"
	                                 "add rule ip q a4i meta l4proto icmp icmp type 8 counter goto reject_in\n"
	                                 "add rule ip q a4i meta l4proto icmp icmp type 3 icmp code 4 accept\n"
	                                 "add rule ip q a4i meta l4proto 50 accept\n"
	                                 "add rule ip q a4i meta l4proto tcp counter goto reject_in\n"
	                                 "add rule ip q a4i accept\n"
	                                 "add rule ip q a4o counter goto reject_out\nadd rule ip q a4i counter goto reject_in\n"));
	free(m);
}

static unsigned count(const char *t, const char *word)
{
	unsigned n = 0;
	for (; (t = strstr(t, word)); t++)
		n++;
	return n;
}

/* Every element that a port adds is taken away with it: one that stayed would let somebody else's packets pass later. */
static void ports_leave_nothing(void **state)
{
	(void)state;
	struct buf CLEAN_BUF add, CLEAN_BUF take;
	buf_init(&add, 1 << 20);
	buf_init(&take, 1 << 20);
	struct net_port m = {.kind = NETWORK_TAP,
	                     .address_count = 2,
	                     .group_count = 2,
	                     .mac = {2, 0, 0, 0, 0, 1},
	                     .bits_per_s = 8000000,
	                     .refusals = true,
	                     .addresses = {{0x0a000004, 0x7f400001}, {0x0a000005, 0}},
	                     .groups = {"sg-1", "sg-2"}};
	const uint32_t groups[] = {11, 12};
	struct rules_port p = {.number = 5, .subnet = 2, .mark = 4, .groups = groups, .port = &m};
	rules_port(&add, &p);
	rules_remove_port(&take, &p);
	rules_forget_port(&take, &p);
	const char *a = text(&add), *t = text(&take);
	assert_int_equal(count(a, "add element "), count(t, "delete element "));
	assert_int_equal(count(a, "add chain "), count(t, "delete chain "));
	assert_int_equal(count(a, "add counter "), count(t, "delete counter "));
	assert_int_equal(count(a, "add element ip q m11 "), 3); /* two private addresses, a public one */
	assert_int_equal(count(a, "ip q loose"), 1);
	assert_non_null(strstr(a, "add element ip q marks { \"p5\" : 4 }\n"));
	assert_non_null(strstr(a, "add element ip q inward { 127.64.0.1 : 10.0.0.4 }\n"));
	assert_non_null(strstr(t, "delete element ip q inward { 127.64.0.1 }\n"));
	assert_non_null(strstr(a, "add element ip q bound { \"p5\" . 10.0.0.5 }\n"));
	assert_null(strstr(a, "known { \"p5\" . 10.0.0.5 }"));
	assert_non_null(strstr(a, "limit rate over 1000000 bytes/second"));
	assert_non_null(strstr(a, "add rule ip q i5 meta l4proto 6 ct state new counter name d5it\n"));
	assert_non_null(strstr(a, "add rule ip6 q o5 meta l4proto 58 ct state new counter name d5oc\n"));
	buf_clear(&add);
	m.refusals = false;
	m.source_check = true;
	m.bits_per_s = 0;
	rules_port(&add, &p);
	assert_null(strstr(text(&add), "loose"));
	assert_null(strstr(text(&add), "limit"));
	assert_int_equal(count(text(&add), "add counter "), 2);
}

static struct net_balance *balance_of(size_t targets)
{
	struct net_balance *m = calloc(1, sizeof(*m));
	m->h.value = (uint32_t)targets;
	m->protocol = 17;
	m->listens = 53;
	m->idle_s = 120;
	for (size_t i = 0; i < targets; i++)
		m->targets[i] = (struct net_balance_target){.address = 0x0a000004 + (uint32_t)i, .weight = 5, .port = 5300};
	return m;
}

static void balances_leave_nothing(void **state)
{
	(void)state;
	struct buf CLEAN_BUF add, CLEAN_BUF take;
	buf_init(&add, 1 << 20);
	buf_init(&take, 1 << 20);
	struct net_balance *m = balance_of(2);
	struct rules_balance p = {
	        .number = 7, .port = 5, .private = 0x0a000009, .public = 0x7f400001, .mark = 9, .listens = 53, .protocol = 17};
	rules_balances_begin(&add);
	rules_balance(&add, &p, m);
	rules_balance_door(&add, &p, true);
	rules_balance_door(&take, &p, false);
	rules_remove_balance(&take, &p);
	rules_balances_end(&take);
	const char *a = text(&add), *t = text(&take);
	assert_int_equal(count(a, "add element "), count(t, "delete element "));
	assert_int_equal(count(a, "add chain "), count(t, "delete chain "));
	assert_int_equal(count(a, "add counter "), count(t, "delete counter "));
	assert_int_equal(count(a, "add map "), count(t, "delete map "));
	assert_non_null(strstr(a, "add element ip q balanced { 10.0.0.9 . 17 . 53 : jump b7 }\n"));
	assert_non_null(strstr(a, "add element ip q balanced_coming { 127.64.0.1 . 17 . 53 : jump b7 }\n"));
	assert_non_null(strstr(a, "add element ip q balance_entering { 10.0.0.9 . 17 . 53 : goto i5 }\n"));
	assert_non_null(strstr(a, "ct mark set 0x80000007 meta mark set 9 "));
	assert_non_null(strstr(a, "jhash ip saddr . udp sport mod 64 "));
	/* nobody serves */
	m->targets[0].state = NETWORK_KEEPS;
	m->targets[1].state = NETWORK_CUT;
	buf_clear(&add);
	rules_balance_targets(&add, &p, m);
	assert_null(strstr(text(&add), "dnat"));
	free(m);
}

/* Each has its part, and one that goes takes no more than its own with it. */
static void parts_are_even_and_stay(void **state)
{
	(void)state;
	struct net_balance *m = balance_of(5);
	uint16_t before[RULES_BALANCE_PARTS_MAX], after[RULES_BALANCE_PARTS_MAX];
	unsigned has[5] = {0}, moved = 0;
	size_t n = rules_balance_parts(m, before);
	assert_int_equal(n, 64);
	for (size_t i = 0; i < n; i++)
		has[before[i]]++;
	for (size_t i = 0; i < 5; i++)
		assert_in_range(has[i], 64 / 5 - 4, 64 / 5 + 1);
	m->targets[2].state = NETWORK_KEEPS;
	assert_int_equal(rules_balance_parts(m, after), n);
	for (size_t i = 0; i < n; i++) {
		assert_int_not_equal(after[i], 2);
		moved += before[i] != 2 && before[i] != after[i];
	}
	assert_in_range(moved, 0, 24);
	/* by weights */
	m->targets[0].weight = 50;
	m->targets[1].state = m->targets[3].state = NETWORK_KEEPS;
	memset(has, 0, sizeof(has));
	n = rules_balance_parts(m, before);
	for (size_t i = 0; i < n; i++)
		has[before[i]]++;
	assert_in_range(has[0], 54, 60);
	free(m);
	m = balance_of(NETWORK_BALANCE_TARGETS_MAX);
	assert_int_equal(rules_balance_parts(m, before), RULES_BALANCE_PARTS_MAX);
	free(m);
}

/* The kernel forgets an established connection after five days without a packet, and each packet begins them anew. */
static void silence_is_seen(void **state)
{
	(void)state;
	const uint32_t days = 5 * 24 * 3600;
	assert_false(conntrack_idle(TCP_CONNTRACK_ESTABLISHED, days, 350));
	assert_false(conntrack_idle(TCP_CONNTRACK_ESTABLISHED, days - 349, 350));
	assert_true(conntrack_idle(TCP_CONNTRACK_ESTABLISHED, days - 350, 350));
	assert_true(conntrack_idle(TCP_CONNTRACK_ESTABLISHED, 1, 350));
	assert_false(conntrack_idle(TCP_CONNTRACK_ESTABLISHED, 1, 0));          /* nobody asks */
	assert_false(conntrack_idle(TCP_CONNTRACK_ESTABLISHED, 0, 350));        /* not known */
	assert_false(conntrack_idle(TCP_CONNTRACK_TIME_WAIT, days - 400, 350)); /* it has ended */
	assert_false(conntrack_idle(TCP_CONNTRACK_SYN_SENT, 100, 350));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(silence_is_seen),        cmocka_unit_test(prefixes_do_not_overlap),
	        cmocka_unit_test(all_is_said_of_a_match), cmocka_unit_test(ports_leave_nothing),
	        cmocka_unit_test(balances_leave_nothing), cmocka_unit_test(parts_are_even_and_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
