/* What Service Connect's proxy is told: one listener a name, and one before a port of the task's own. */
#include "unit.h"

#include "aws/ecs/connect.h"

static struct state_ecs_connect_record record(struct arena *a)
{
	struct state_ecs_connect_record r = {0};
	*LIST_ADD(a, &r.names) = (struct state_ecs_connect_name){.name = S("web.space"),
	                                                         .address = S("127.255.0.1"),
	                                                         .port = OPT_INT(8080),
	                                                         .protocol = S("http"),
	                                                         .idle_seconds = OPT_INT(300),
	                                                         .request_seconds = OPT_INT(15)};
	*LIST_ADD(a, &r.names) = (struct state_ecs_connect_name){.name = S("db"),
	                                                         .address = S("127.255.0.2"),
	                                                         .port = OPT_INT(5432),
	                                                         .protocol = S("tcp"),
	                                                         .idle_seconds = OPT_INT(0)};
	*LIST_ADD(a, &r.names) = (struct state_ecs_connect_name){.name = S("rpc"),
	                                                         .address = S("127.255.0.3"),
	                                                         .port = OPT_INT(1),
	                                                         .protocol = S("grpc"),
	                                                         .request_seconds = OPT_INT(0)};
	*LIST_ADD(a, &r.doors) = (struct state_ecs_connect_door){
	        .port = OPT_INT(9000), .to = OPT_INT(80), .protocol = S("http"), .request_seconds = OPT_INT(7)};
	return r;
}

static bool says(struct str text, const char *line)
{
	return strstr(text.p, line) != NULL;
}

static void test_what_is_told(void **state)
{
	struct arena CLEAN_ARENA a = {0};
	(void)state;
	struct state_ecs_connect_record r = record(&a);
	struct str text = str_from(arena_dupz(&a, connect_text(&a, &r)));
	assert_true(says(text, "bind 127.255.255.254:61000\n  timeout client 300s\n  default_backend b0\n"));
	assert_true(says(text, "backend b0\n  mode http\n  balance roundrobin\n  timeout server 15s\n"));
	assert_true(says(text, "frontend f1\n  mode tcp\n  option tcplog\n  bind 127.255.255.254:61001\n  default_backend b1\n"));
	assert_true(says(text, "bind 127.255.255.254:61002 proto h2\n"));
	assert_true(says(text, "frontend d0\n  mode http\n  bind :9000\n  default_backend e0\nbackend e0\n  mode http\n"));
	assert_true(says(text, "server app 127.0.0.1:80\n"));
	text = str_from(arena_dupz(&a, connect_rules(&a, &r)));
	assert_true(says(text, "ip daddr 127.255.0.1 tcp dport 8080 dnat to 127.255.255.254:61000\n"));
	assert_true(says(text, "ip daddr 127.255.0.3 tcp dport 1 dnat to 127.255.255.254:61002\n"));
}

static void test_nothing_is_told(void **state)
{
	struct arena CLEAN_ARENA a = {0};
	(void)state;
	struct state_ecs_connect_record r = {0};
	struct str text = str_from(arena_dupz(&a, connect_text(&a, &r)));
	assert_true(says(text, "lua-load /tmp/feed.lua\n"));
	assert_false(says(text, "frontend"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_is_told), cmocka_unit_test(test_nothing_is_told)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
