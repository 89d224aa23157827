/* What HAProxy is told of a balancer: HAProxy itself is asked whether it understands it. */
#include "unit.h"

#include "engine/lb/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/quartet-lb-XXXXXX";

static const struct lb_target targets[] = {
        {.id = "i-1:80", .address = 0x0a000105, .port = 80, .zone = "us-east-1a"},
        {.id = "i-2:80", .address = 0x0a000205, .port = 8080, .zone = "us-east-1b", .draining = true}};
static const struct lb_group groups[] = {{.name = "arn:web",
                                          .stickiness = LB_STICKY_COOKIE,
                                          .stickiness_s = 60,
                                          .cross_zone = true,
                                          .targets = targets,
                                          .target_count = 2},
                                         {.name = "arn:grpc",
                                          .version = LB_GRPC,
                                          .protocol = LB_HTTPS,
                                          .algorithm = LB_LEAST_OUTSTANDING,
                                          .slow_start_s = 30,
                                          .targets = targets,
                                          .target_count = 2,
                                          .check = {.protocol = LB_HTTPS,
                                                    .port = 81,
                                                    .interval_s = 5,
                                                    .healthy = 3,
                                                    .unhealthy = 4,
                                                    .path = "/ok",
                                                    .matcher = "0-12"}},
                                         {.name = "arn:app",
                                          .version = LB_HTTP2,
                                          .algorithm = LB_WEIGHTED_RANDOM,
                                          .stickiness = LB_STICKY_APP_COOKIE,
                                          .app_cookie = "JSESSIONID",
                                          .check = {.disabled = true}}};

#define VALUES(...) \
	.values = (const struct lb_value[]){__VA_ARGS__}, \
	.value_count = sizeof((const struct lb_value[]){__VA_ARGS__}) / sizeof(struct lb_value)
static const struct lb_condition conditions[] = {{LB_FIELD_HOST, VALUES({NULL, "*.Example.com"}, {NULL, "it's.org"})},
                                                 {LB_FIELD_PATH, VALUES({NULL, "/img/*"}, {NULL, "/a b\\\"$%#'?"})},
                                                 {LB_FIELD_HEADER, .header = "X-Test", VALUES({NULL, "a?c"})},
                                                 {LB_FIELD_METHOD, VALUES({NULL, "GET"}, {NULL, "HEAD"})},
                                                 {LB_FIELD_QUERY, VALUES({"version", "v1"}, {NULL, "*beta*"})},
                                                 {LB_FIELD_SOURCE_IP, VALUES({NULL, "10.0.0.0/8"})},
                                                 {LB_FIELD_PATH, .regex = true, VALUES({NULL, "^/v[0-9]+/'x'$"})}};
static const struct lb_share shares[] = {{"arn:web", 3}, {"arn:grpc", 0}, {"arn:app", 1}};
static const struct lb_share nothing[] = {{"arn:web", 0}};
static const struct lb_rule rules[] = {
        {.priority = "1",
         .conditions = conditions,
         .condition_count = 7,
         .action = {.shares = shares, .share_count = 3, .group_stickiness_s = 60}},
        {.priority = "2",
         .conditions = conditions,
         .condition_count = 2,
         .action = {.kind = LB_REDIRECT,
                    .protocol = "HTTPS",
                    .host = "w.#{host}",
                    .port = "443",
                    .path = "/x/#{path}\"$%",
                    .query = "a=1&#{query}",
                    .status = 301}},
        {.priority = "3",
         .conditions = conditions + 3,
         .condition_count = 1,
         .action = {.kind = LB_FIXED_RESPONSE, .status = 418, .content_type = "text/plain", .body = "I'm a \"teapot\"\n%[x]"}},
        {.priority = "4", .conditions = conditions + 4, .condition_count = 1, .action = {.kind = LB_FIXED_RESPONSE, .status = 204}},
        {.priority = "5", .conditions = conditions + 5, .condition_count = 1, .action = {.shares = nothing, .share_count = 1}},
        {.priority = "default", .action = {.shares = shares, .share_count = 1}}};

static void put_file(struct str name, struct str bytes)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%.*s", dir, STR_ARG(name));
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
	fclose(f);
}

/* Takes the bundle apart as the agent does. */
static void write_bundle(const struct buf *b)
{
	struct str rest = buf_str(b);
	assert_false(b->overflow);
	while (rest.n) {
		uint64_t bytes = 0;
		struct str head = str_cut(&rest, '\n');
		assert_true(str_is(str_cut(&head, ' '), "file"));
		struct str name = str_cut(&head, ' ');
		assert_true(str_to_u64(head, &bytes) && bytes <= rest.n);
		put_file(name, str_sub(rest, 0, bytes));
		rest = str_from_at(rest, bytes);
	}
	put_file(S("agent.lua"), str_from(lb_agent_text));
}

static void haproxy_takes_it(void)
{
	char line[512];
	if (access("/usr/sbin/haproxy", X_OK) != 0)
		skip();
	snprintf(line, sizeof(line),
	         "cd %s && ADDRESS=127.0.0.1 /usr/sbin/haproxy -c -f haproxy.cfg >out 2>&1 || { cat out haproxy.cfg; false; }",
	         dir);
	assert_int_equal(system(line), 0);
	snprintf(line, sizeof(line), "! grep -q WARNING %s/out || { cat %s/out; false; }", dir, dir);
	assert_int_equal(system(line), 0);
}

static char *certificate(const char *name)
{
	static char pem[2][16384];
	static int n;
	char line[512];
	char *to = pem[n++ % 2];
	snprintf(
	        line, sizeof(line),
	        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=%s -keyout %s/k -out %s/c "
	        "2>/dev/null && cat %s/c %s/k",
	        name, dir, dir, dir, dir);
	FILE *f = popen(line, "r");
	assert_non_null(f);
	to[fread(to, 1, sizeof(pem[0]) - 1, f)] = 0;
	assert_int_equal(pclose(f), 0);
	return to;
}

static struct lb_balancer balancer(struct lb_listener *listeners, size_t n)
{
	return (struct lb_balancer){.id = "app-1",
	                            .secret = "0123456789abcdef",
	                            .listeners = listeners,
	                            .listener_count = n,
	                            .groups = groups,
	                            .group_count = 3,
	                            .http2 = true};
}

static void everything_at_once(void **state)
{
	(void)state;
	CLEAN_BUF struct buf b = {0};
	struct lb_certificate certificates[] = {{"arn:a", certificate("a.example.com")}, {"arn:b", certificate("b.example.com")}};
	struct lb_listener l[] = {{.protocol = LB_HTTP, .port = 80, .rules = rules, .rule_count = 6},
	                          {.protocol = LB_HTTPS,
	                           .port = 443,
	                           .rules = rules + 5,
	                           .rule_count = 1,
	                           .certificates = certificates,
	                           .certificate_count = 2,
	                           .mutual = LB_MUTUAL_VERIFY,
	                           .authorities = certificates[1].pem,
	                           .advertise = true,
	                           .ignore_expiry = true,
	                           .tls_min = LB_TLS_1_2,
	                           .tls_max = LB_TLS_1_3,
	                           .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"}};
	struct lb_balancer one = balancer(l, 2);
	for (int variant = 0; variant < 3; variant++) {
		one.xff = (enum lb_xff_mode)variant;
		one.xff_client_port = one.tls_headers = one.drop_invalid_headers = one.access_log = variant == 1;
		assert_true(lb_config_check(&one));
		buf_init(&b, LB_BUNDLE_BYTES_MAX);
		lb_config_bundle(&b, &one);
		write_bundle(&b);
		haproxy_takes_it();
		buf_done(&b);
	}
}

static void network_balancer(void **state)
{
	(void)state;
	CLEAN_BUF struct buf b = {0};
	struct lb_group tcp[] = {{.name = "arn:tcp", .protocol = LB_TCP, .proxy_protocol_v2 = true},
	                         {.name = "arn:tls", .protocol = LB_TLS, .stickiness = LB_STICKY_SOURCE_IP}};
	struct lb_share both[] = {{"arn:tcp", 1}, {"arn:tls", 2}};
	struct lb_rule rule[] = {{.action = {.shares = both, .share_count = 2}}, {.action = {.shares = both, .share_count = 1}}};
	struct lb_certificate c = {"arn:a", certificate("a.example.com")};
	struct lb_listener l[] = {{.protocol = LB_TCP, .port = 80, .rules = rule, .rule_count = 1},
	                          {.protocol = LB_TLS,
	                           .port = 443,
	                           .rules = rule + 1,
	                           .rule_count = 1,
	                           .certificates = &c,
	                           .certificate_count = 1,
	                           .tls_max = LB_TLS_1_3,
	                           .alpn = "h2,http/1.1"}};
	struct lb_balancer one = balancer(l, 2);
	one.network = true;
	one.groups = tcp;
	one.group_count = 2;
	assert_true(lb_config_check(&one));
	buf_init(&b, LB_BUNDLE_BYTES_MAX);
	lb_config_bundle(&b, &one);
	write_bundle(&b);
	haproxy_takes_it();
	one.network = false;
	assert_false(lb_config_check(&one));
	/* what the router leads has no frontend; of the rest each is drawn by what is left of the weights */
	one.network = true;
	tcp[0] = (struct lb_group){.name = "arn:tcp", .protocol = LB_TCP, .preserve_client_ip = true};
	tcp[1] = (struct lb_group){.name = "arn:tls", .protocol = LB_TCP_UDP};
	l[1] = (struct lb_listener){.protocol = LB_TCP_UDP, .port = 53, .rules = rule, .rule_count = 1};
	assert_true(lb_config_check(&one));
	buf_clear(&b);
	lb_config_bundle(&b, &one);
	assert_true(str_find(buf_str(&b), S("frontend f")) < 0);
	assert_true(str_find(buf_str(&b), S("backend g1")) > 0);
	write_bundle(&b);
	haproxy_takes_it();
	tcp[0].preserve_client_ip = false;
	buf_clear(&b);
	lb_config_bundle(&b, &one);
	assert_true(str_find(buf_str(&b), S("use_backend g0 if { var(sess.dice) -m int lt 1 }")) > 0);
	assert_true(str_find(buf_str(&b), S("use_backend g1")) < 0);
	write_bundle(&b);
	haproxy_takes_it();
}

static void nothing_yet(void **state)
{
	(void)state;
	CLEAN_BUF struct buf b = {0}, boot = {0};
	struct lb_balancer one = balancer(NULL, 0);
	one.group_count = 0;
	assert_true(lb_config_check(&one));
	buf_init(&b, LB_BUNDLE_BYTES_MAX);
	buf_init(&boot, LB_BUNDLE_BYTES_MAX);
	lb_config_bundle(&b, &one);
	write_bundle(&b);
	haproxy_takes_it();
	lb_config_boot(&boot);
	put_file(S("haproxy.cfg"), buf_str(&boot));
	haproxy_takes_it();
}

static void who_is_wanted(void **state)
{
	(void)state;
	CLEAN_BUF struct buf b = {0};
	char token[2][LB_TOKEN_CHARS + 1];
	struct lb_balancer one = balancer(NULL, 0);
	struct lb_node node = {"eni-1", "us-east-1a"};
	buf_init(&b, LB_WANTED_BYTES_MAX);
	lb_config_wanted(&b, &one, &node);
	buf_add_char(&b, 0);
	lb_config_token(&one, &groups[0], "i-2:80", token[0]);
	lb_config_token(&one, &groups[1], "i-2:80", token[1]);
	assert_string_not_equal(token[0], token[1]);
	assert_non_null(strstr(b.p, " http 0 30 5 5 2 0 1 0 200 / -g\ntarget "));
	assert_non_null(strstr(b.p, " grpcs 81 5 5 3 4 30 1 0 0-12 /ok -g\ntarget "));
	assert_non_null(strstr(b.p, " none "));
	assert_non_null(strstr(b.p, token[0]));
	assert_non_null(strstr(b.p, " 10.0.2.5 8080 drain\n"));
	assert_null(strstr(b.p, token[1])); /* in another zone, and the group keeps to its own */
}

static void what_cannot_be_true(void **state)
{
	(void)state;
	struct lb_share stranger = {"arn:nobody", 1};
	struct lb_rule r = {.action = {.shares = &stranger, .share_count = 1}};
	struct lb_listener l = {.protocol = LB_HTTP, .port = 80, .rules = &r, .rule_count = 1};
	struct lb_balancer one = balancer(&l, 1);
	assert_false(lb_config_check(&one));
	r = rules[5];
	assert_true(lb_config_check(&one));
	l.protocol = LB_HTTPS;
	assert_false(lb_config_check(&one));
	l.protocol = LB_HTTP;
	r.conditions = &(struct lb_condition){LB_FIELD_METHOD, VALUES({NULL, "GET\n  bind :1"})};
	r.condition_count = 1;
	assert_false(lb_config_check(&one));
	struct lb_group g = {.name = "arn:web", .check = {.path = "/ x"}};
	one = balancer(NULL, 0);
	one.groups = &g;
	one.group_count = 1;
	assert_false(lb_config_check(&one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(everything_at_once), cmocka_unit_test(network_balancer),
	                                   cmocka_unit_test(nothing_yet), cmocka_unit_test(who_is_wanted),
	                                   cmocka_unit_test(what_cannot_be_true)};
	if (!mkdtemp(dir))
		return 1;
	int result = cmocka_run_group_tests(tests, NULL, NULL);
	char line[128];
	snprintf(line, sizeof(line), "rm -rf %s", dir);
	return system(line) == 0 ? result : 1;
}
