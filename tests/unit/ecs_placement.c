/* Where tasks go: what a container instance refuses, which one the strategies choose, and the cluster query language. */
#include "aws/ecs/placement.h"
#include "unit.h"

static struct arena a;

static struct placement_node node(const char *id, const char *zone, int64_t cpu, int64_t memory)
{
	struct placement_node n = {.id = str_from(id),
	                           .arn = str_from(id),
	                           .ec2_id = S("i-1"),
	                           .status = S("ACTIVE"),
	                           .agent_version = S("1.10.2"),
	                           .connected = true,
	                           .registered_ms = INT64_C(1700000000000),
	                           .cpu = cpu,
	                           .memory = memory,
	                           .running = 3};
	n.attributes = arena_array(&a, 3, sizeof(*n.attributes));
	n.attributes[0] = (struct placement_pair){S("zone"), str_from(zone)};
	n.attributes[1] = (struct placement_pair){S("ecs.instance-type"), S("t3.small")};
	n.attributes[2] = (struct placement_pair){S("flag"), STR_NONE};
	n.attribute_count = 3;
	return n;
}

static void give_task(struct placement_node *n, const char *group)
{
	struct placement_task *v = arena_array(&a, n->task_count + 1, sizeof(*v));
	if (n->task_count)
		memcpy(v, n->tasks, n->task_count * sizeof(*v));
	v[n->task_count++] = (struct placement_task){str_from(group)};
	n->tasks = v;
}

static const struct placement_query *query(const char *text)
{
	const char *why = "";
	const struct placement_query *q = placement_query_parse(&a, str_from(text), &why);
	if (!q)
		fail_msg("%s: %s", text, why);
	return q;
}

/* --- refusals */

static void refusals_in_their_order(void **state)
{
	(void)state;
	struct placement_node n = node("a", "x", 100, 100);
	struct placement_port taken = {80, false}, udp = {80, true};
	struct str wanted = S("missing");
	struct placement_need need = {.cpu = 100, .memory = 100, .group = S("g")};
	n.ports = &taken;
	n.port_count = 1;
	assert_null(placement_refuses(&a, &n, &need));
	need.distinct = true;
	give_task(&n, "other");
	assert_null(placement_refuses(&a, &n, &need));
	give_task(&n, "g");
	assert_string_equal(placement_refuses(&a, &n, &need), "DistinctInstance placement constraint unsatisfied.");
	need.queries[need.query_count++] = query("attribute:zone == y");
	assert_string_equal(placement_refuses(&a, &n, &need), "MemberOf placement constraint unsatisfied.");
	need.ports = &udp;
	need.port_count = 1;
	assert_string_equal(placement_refuses(&a, &n, &need), "MemberOf placement constraint unsatisfied.");
	need.ports = &taken;
	assert_string_equal(placement_refuses(&a, &n, &need), "RESOURCE:PORTS");
	need.interfaces = 1;
	assert_string_equal(placement_refuses(&a, &n, &need), "RESOURCE:ENI");
	need.memory = 101;
	assert_string_equal(placement_refuses(&a, &n, &need), "RESOURCE:MEMORY");
	need.cpu = 101;
	assert_string_equal(placement_refuses(&a, &n, &need), "RESOURCE:CPU");
	need.attributes = &wanted;
	need.attribute_count = 1;
	assert_string_equal(placement_refuses(&a, &n, &need), "ATTRIBUTE");
	n.connected = false;
	assert_string_equal(placement_refuses(&a, &n, &need), "AGENT");
	n.status = S("DRAINING");
	assert_string_equal(placement_refuses(&a, &n, &need), "INACTIVE");
}

static void give_attribute(struct placement_node *n, const char *name, const char *value)
{
	struct placement_pair *v = arena_array(&a, n->attribute_count + 1, sizeof(*v));
	memcpy(v, n->attributes, n->attribute_count * sizeof(*v));
	v[n->attribute_count++] = (struct placement_pair){str_from(name), str_from(value)};
	n->attributes = v;
}

static void sites_in_turn(void **state)
{
	(void)state;
	struct placement_node n = node("a", "x", 100, 100);
	struct placement_site sites[] = {
	        {S("s1"), S("v1"), S("z1")}, {S("s2"), S("v1"), S("z2")}, {S("s3"), S("v2"), S("z1")}, {S("s4"), S("v1"), S("z1")}};
	struct placement_need need = {.cpu = 1, .memory = 1, .sites = sites, .site_count = 4};
	assert_string_equal(placement_refuses(&a, &n, &need), "ATTRIBUTE");
	give_attribute(&n, "ecs.vpc-id", "v1");
	give_attribute(&n, "ecs.availability-zone", "z1");
	assert_null(placement_refuses(&a, &n, &need));
	assert_true(placement_site(&n, &need, 0) == &sites[0]);
	assert_true(placement_site(&n, &need, 1) == &sites[3]);
	assert_true(placement_site(&n, &need, 4) == &sites[0]);
	need.site_count = 3;
	need.sites = sites + 1;
	assert_true(placement_site(&n, &need, 0) == &sites[3]);
	need.site_count = 2;
	assert_null(placement_site(&n, &need, 0));
}

/* --- strategies */

static const char *chosen(struct placement_node *v, uint32_t n, const struct placement_need *need, uint64_t random)
{
	struct placement_node *found = placement_choose(&a, v, n, need, random);
	return found ? arena_dupz(&a, found->id) : "none";
}

static void strategies_choose(void **state)
{
	(void)state;
	struct placement_node v[] = {node("a", "x", 500, 900), node("b", "x", 300, 900), node("c", "y", 900, 200)};
	struct placement_need need = {.cpu = 10, .memory = 10, .group = S("g")};
	/* without one, all are equal */
	assert_string_equal(chosen(v, 3, &need, 0), "a");
	assert_string_equal(chosen(v, 3, &need, 4), "b");
	assert_string_equal(chosen(v, 3, &need, 5), "c");
	need.strategy_count = 1;
	need.strategies[0] = (struct placement_strategy){.by = PLACE_BINPACK_CPU};
	assert_string_equal(chosen(v, 3, &need, 0), "b");
	need.strategies[0].by = PLACE_BINPACK_MEMORY;
	assert_string_equal(chosen(v, 3, &need, 0), "c");
	/* what has no room is not packed */
	need.memory = 300;
	assert_string_equal(chosen(v, 3, &need, 0), "a");
	need.memory = 10;
	give_task(&v[2], "g");
	give_task(&v[0], "other");
	need.strategies[0] = (struct placement_strategy){.by = PLACE_SPREAD, .field = S("zone")};
	need.strategies[1] = (struct placement_strategy){.by = PLACE_BINPACK_CPU};
	need.strategy_count = 2;
	assert_string_equal(chosen(v, 3, &need, 7), "b");
	give_task(&v[0], "g");
	give_task(&v[0], "g");
	assert_string_equal(chosen(v, 3, &need, 7), "c");
	/* each instance for itself */
	need.strategies[0] = (struct placement_strategy){.by = PLACE_SPREAD};
	assert_string_equal(chosen(v, 3, &need, 7), "b");
	need.cpu = 1000;
	assert_string_equal(chosen(v, 3, &need, 7), "none");
}

/* --- the query language */

static void queries_that_hold(void **state)
{
	static const char *const good[] = {
	        "attribute:zone == x",
	        "attribute:zone==x",
	        "attribute:zone equals 'x'",
	        "attribute:zone != y && attribute:flag exists",
	        "attribute:none !exists",
	        "attribute:none != x",
	        "not(attribute:none exists)",
	        "!attribute:none exists",
	        "attribute:zone in [y, \"x\"]",
	        "attribute:zone not_in [y,z]",
	        "attribute:ecs.instance-type =~ t3.*",
	        "attribute:ecs.instance-type !~ m5.* or attribute:zone == nowhere",
	        "attribute:ecs.instance-type matches \"(t3|m5)\\.small\"",
	        "agentConnected == true",
	        "agentVersion > 1.9.0",
	        "agentVersion less_than_equal 1.10.2",
	        "runningTasksCount >= 3 and runningTasksCount < 10",
	        "registeredAt > 2020-01-01T00:00:00Z",
	        "registeredAt <= 2030-01-01",
	        "ec2InstanceId in [i-0,i-1]",
	        "task:group == service:web",
	        "not(task:group == service:none)",
	        "attribute:zone == y and attribute:zone == y or attribute:zone == x",
	        "attribute:zone == x or attribute:zone == y and attribute:zone == y",
	        "(attribute:zone == y or attribute:zone == x) and (agentConnected == true)",
	};
	(void)state;
	struct placement_node n = node("a", "x", 1, 1);
	give_task(&n, "service:web");
	give_task(&n, "family:f");
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!placement_query_fits(&a, query(good[i]), &n))
			fail_msg("%s does not hold", good[i]);
	static const char *const otherwise[] = {
	        "attribute:zone == X",          "attribute:none exists",     "attribute:none == x",
	        "attribute:zone in [y]",        "agentVersion > 1.10.2",     "runningTasksCount == 30",
	        "task:group != service:web",    "registeredAt > 2030-01-01", "attribute:zone =~ xx",
	        "attribute:flag == something",  "agentConnected != true",    "not attribute:zone == x",
	        "attribute:none greater_than a"};
	for (size_t i = 0; i < sizeof(otherwise) / sizeof(*otherwise); i++)
		if (placement_query_fits(&a, query(otherwise[i]), &n))
			fail_msg("%s holds", otherwise[i]);
}

static void queries_that_are_none(void **state)
{
	static const char *const bad[] = {"",
	                                  " ",
	                                  "attribute:",
	                                  "attribute:x",
	                                  "attribute:x ==",
	                                  "attribute:x == 'y",
	                                  "x == y",
	                                  "attribute:x in y",
	                                  "attribute:x in [y",
	                                  "attribute:x in []",
	                                  "attribute:x == y z",
	                                  "attribute:x == y and",
	                                  "(attribute:x == y",
	                                  "attribute:x == y)",
	                                  "not",
	                                  "attribute:x =~ \"(\"",
	                                  "registeredAt > yesterday",
	                                  "attribute:x existsnot"};
	const char *why;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		why = NULL;
		if (placement_query_parse(&a, str_from(bad[i]), &why))
			fail_msg("%s is taken", bad[i]);
		assert_non_null(why);
	}
	/* depth and size have limits */
	char deep[2100];
	memset(deep, '(', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = 0;
	assert_null(placement_query_parse(&a, str_from(deep), &why));
	deep[1000] = 0;
	assert_null(placement_query_parse(&a, str_from(deep), &why));
	memset(deep, '!', 1000);
	assert_null(placement_query_parse(&a, str_from(deep), &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(refusals_in_their_order), cmocka_unit_test(sites_in_turn),
	        cmocka_unit_test(strategies_choose),       cmocka_unit_test(queries_that_hold),
	        cmocka_unit_test(queries_that_are_none),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_done(&a);
	return failed;
}
