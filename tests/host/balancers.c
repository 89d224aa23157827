/* Load balancers for real: a node's HAProxy in a sandbox, two targets beside it, curl in front. */
#include "crew.h"

#include "../unit/unit.h"
#include "engine/lb/lb.h"
#include "engine/net/plug.h"
#include "io/msg.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCENE "qtlb"
enum { TEXT = 65536 };

static struct lb *lb;
static struct {
	bool serves, known;
	char why[256];
	struct {
		char target[64], reason[64], description[64];
		enum lb_health health;
	} targets[8];
	unsigned count;
	struct lb_counters counters;
	struct lb_group_counters group;
	bool counted;
} seen;
static pid_t servers[3], clients, answerer;
static int port_fd = -1;

/* ---- what is heard ---- */

static void on_node(void *ctx, const char *balancer, const char *node, bool serves, const char *why)
{
	(void)ctx;
	assert_string_equal(balancer, "app-1");
	assert_string_equal(node, "eni-1");
	seen.known = true;
	seen.serves = serves;
	snprintf(seen.why, sizeof(seen.why), "%s", why);
}

static void on_target(void *ctx, const char *balancer, const char *node, const char *group, const char *target,
                      const struct lb_target_health *h)
{
	unsigned i = 0;
	(void)ctx;
	(void)balancer;
	(void)node;
	(void)group;
	while (i < seen.count && strcmp(seen.targets[i].target, target) != 0)
		i++;
	assert_true(i < 8);
	seen.count = i == seen.count ? i + 1 : seen.count;
	snprintf(seen.targets[i].target, 64, "%s", target);
	snprintf(seen.targets[i].reason, 64, "%s", h->reason);
	snprintf(seen.targets[i].description, 64, "%s", h->description);
	seen.targets[i].health = h->health;
}

static void on_counters(void *ctx, const char *balancer, const char *node, const char *group, const struct lb_counters *c,
                        const struct lb_group_counters *g)
{
	(void)ctx;
	(void)balancer;
	(void)node;
	(void)group;
	if (c) {
		seen.counters = *c;
		seen.counted = true;
	} else {
		seen.group = *g;
	}
}

static const struct lb_events lb_events = {.node = on_node, .health = on_target, .counters = on_counters};

/* ---- the scene: a network namespace for each target, one for the node, all on a bridge in one for clients ---- */

__attribute__((format(printf, 1, 2))) static int shell(const char *format, ...)
{
	char line[4096];
	va_list ap;
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	return system(line);
}

static void end_process(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

static void drop_scene(void)
{
	for (int i = 0; i < 3; i++)
		end_process(&servers[i]);
	end_process(&answerer);
	end_process(&clients);
	shell("for i in t1 t2; do ip netns del " SCENE "-$i 2>/dev/null; done");
}

/* The clients' namespace is the router too: it belongs to a user namespace of its own, as net's do. */
static void make_clients(void)
{
	int told[2];
	char word;
	assert_int_equal(pipe(told), 0);
	clients = fork();
	if (clients == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && write(told[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(told[1]);
	assert_int_equal(read(told[0], &word, 1), 1);
	close(told[0]);
}

/* net's part of a plug. */
static _Noreturn void answer_plug(int plug)
{
	struct plug_word w;
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)clients);
	int space = open(path, O_RDONLY | O_CLOEXEC);
	fcntl(plug, F_SETFL, 0);
	while (msg_recv(plug, &w, sizeof(w), NULL, 0, NULL) == sizeof(w)) {
		struct plug_word a = {.verb = w.verb, .name = "node", .mac = {0x0a, 1, 2, 3, 4, 5}};
		if (w.verb == PLUG_MADE)
			a.error = -shell("nsenter -t %d -n ip link set node master lan up", (int)clients);
		msg_send(plug, &a, sizeof(a), &space, w.verb == PLUG_ASK);
	}
	_exit(0);
}

static void make_scene(void)
{
	int pair[2];
	drop_scene();
	make_clients();
	assert_int_equal(
	        shell("set -e; C='nsenter -t %d -n ip'; $C link set lo up; $C link add name lan type bridge; $C link set lan up; "
	              "$C addr add 10.0.1.9/24 dev lan; for n in 1 2; do ip netns add " SCENE "-t$n; "
	              "$C link add name v$n type veth peer name eth0; $C link set eth0 netns " SCENE
	              "-t$n; $C link set v$n master lan up; "
	              "ip -n " SCENE "-t$n addr add 10.0.1.1$n/24 dev eth0; ip -n " SCENE "-t$n link set eth0 up; done",
	              (int)clients),
	        0);
	assert_int_equal(msg_pair(pair), 0);
	answerer = fork();
	if (answerer == 0) {
		close(pair[1]);
		answer_plug(pair[0]);
	}
	close(pair[0]);
	port_fd = pair[1];
}

/* It says its name, the headers that it got when asked for /headers, and the status that /tmp/.../status says when asked for
 * /health. */
static const char server[] =
        "import base64, hashlib, http.server, os, sys\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "  protocol_version = 'HTTP/1.1'\n"
        "  def do_GET(self):\n"
        "    status, text = 200, sys.argv[1]\n"
        "    if self.path == '/headers': text = ''.join('%s: %s\\n' % h for h in self.headers.items())\n"
        "    if self.path == '/health' and os.path.exists(sys.argv[2]): status = int(open(sys.argv[2]).read())\n"
        "    if self.headers.get('Upgrade') == 'websocket':\n"
        "      self.send_response(101); self.send_header('Upgrade', 'websocket'); self.send_header('Connection', 'Upgrade')\n"
        "      key = self.headers['Sec-WebSocket-Key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'\n"
        "      self.send_header('Sec-WebSocket-Accept', base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())\n"
        "      self.end_headers(); self.wfile.write(b'echo ' + self.rfile.read(5)); self.close_connection = True; return\n"
        "    self.send_response(status)\n"
        "    if self.path == '/close': self.close_connection = True; self.connection.close(); return\n"
        "    self.send_header('Content-Length', str(len(text)))\n"
        "    self.end_headers()\n"
        "    self.wfile.write(text.encode())\n"
        "  def log_message(self, *a): pass\n"
        "class S(http.server.ThreadingHTTPServer):\n"
        "  request_queue_size = 128\n"
        "  def handle_error(self, *a): pass\n"
        "S(('', 80), H).serve_forever()\n";

static void serve(int n)
{
	char name[8], space[32], status[128];
	snprintf(name, sizeof(name), "t%d", n);
	snprintf(space, sizeof(space), SCENE "-t%d", n);
	snprintf(status, sizeof(status), "%s/status%d", world.dir, n);
	pid_t pid = fork();
	if (pid == 0) {
		execlp("ip", "ip", "netns", "exec", space, "python3", "-c", server, name, status, NULL);
		_exit(127);
	}
	servers[n] = pid;
}

static void end_server(int n)
{
	kill(servers[n], SIGKILL);
	waitpid(servers[n], NULL, 0);
	servers[n] = 0;
}

/* A status that /health answers with from now on; 0: 200 again. */
static void set_health(int n, int status)
{
	if (status)
		shell("echo %d > %s/status%d", status, world.dir, n);
	else
		shell("rm -f %s/status%d", world.dir, n);
}

/* What the command prints that is run among the clients, while the loop turns. */
__attribute__((format(printf, 1, 2))) static const char *ask(const char *format, ...)
{
	static char text[TEXT];
	char line[2048], whole[2304];
	va_list ap;
	bool never = false;
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	snprintf(whole, sizeof(whole), "exec nsenter -t %d -n %s", (int)clients, line);
	FILE *f = popen(whole, "r");
	assert_non_null(f);
	fcntl(fileno(f), F_SETFL, O_NONBLOCK);
	size_t n = 0;
	for (int i = 0; i < 6000 * world_patience(); i++) {
		ssize_t r = read(fileno(f), text + n, sizeof(text) - 1 - n);
		if (r == 0)
			break;
		n += r > 0 ? (size_t)r : 0;
		world_wait(&world, &never, 10000);
	}
	text[n] = 0;
	pclose(f);
	return text;
}

/* ---- the balancer ---- */

static struct lb_target both[] = {{.id = "one", .address = 0x0a00010b, .port = 80, .zone = "a"},
                                  {.id = "two", .address = 0x0a00010c, .port = 80, .zone = "b"}};
static struct lb_group group;
static struct lb_share share = {"arn:web", 1};
static const struct lb_value api_path = {NULL, "/api/*"};
static const struct lb_condition api = {.field = LB_FIELD_PATH, .values = &api_path, .value_count = 1};
static struct lb_rule rules[2];
static struct lb_listener listener;
static struct lb_node node = {"eni-1", "a"};
static struct lb_balancer balancer;

static void describe(void)
{
	group = (struct lb_group){.name = "arn:web",
	                          .cross_zone = true,
	                          .targets = both,
	                          .target_count = 2,
	                          .check = {.path = "/health", .interval_s = 1, .timeout_s = 1, .healthy = 2, .unhealthy = 2}};
	rules[0] = (struct lb_rule){
	        .conditions = &api,
	        .condition_count = 1,
	        .action = {.kind = LB_FIXED_RESPONSE, .status = 418, .content_type = "text/plain", .body = "teapot"}};
	rules[1] = (struct lb_rule){.action = {.shares = &share, .share_count = 1}};
	listener = (struct lb_listener){.protocol = LB_HTTP, .port = 80, .rules = rules, .rule_count = 2};
	balancer = (struct lb_balancer){.id = "app-1",
	                                .secret = "0123456789abcdef",
	                                .nodes = &node,
	                                .node_count = 1,
	                                .listeners = &listener,
	                                .listener_count = 1,
	                                .groups = &group,
	                                .group_count = 1};
}

static void put(void)
{
	assert_int_equal(lb_put(lb, &balancer), 0);
}

static bool is_health(const char *target, enum lb_health health, const char *reason)
{
	for (unsigned i = 0; i < seen.count; i++)
		if (strcmp(seen.targets[i].target, target) == 0)
			return seen.targets[i].health == health && strcmp(seen.targets[i].reason, reason) == 0;
	return false;
}

#define UNTIL(condition) \
	do { \
		bool never_ = false; \
		for (int i_ = 0; i_ < 3000 * world_patience() && !(condition); i_++) \
			world_wait(&world, &never_, 10000); \
		if (!(condition)) \
			fail_msg("never came: %s (%s)", #condition, seen.why); \
	} while (0)

static unsigned count(const char *text, const char *word)
{
	unsigned n = 0;
	for (const char *p = text; (p = strstr(p, word)); p += strlen(word))
		n++;
	return n;
}

/* ---- tests ---- */

static void comes_up_and_spreads(void **state)
{
	(void)state;
	const struct task_port port = {.fd = port_fd, .address = 0x0a000105, .gateway = 0x0a000109, .prefix = 24};
	describe();
	put();
	assert_int_equal(lb_port(lb, "eni-1", &port), 0);
	lb_settle(lb);
	UNTIL(seen.serves);
	UNTIL(is_health("one", LB_HEALTHY, "") && is_health("two", LB_HEALTHY, ""));
	const char *text = ask("curl -s http://10.0.1.5/?[1-20]");
	assert_int_equal(count(text, "t1"), 10);
	assert_int_equal(count(text, "t2"), 10);
	struct lb_target_health h;
	assert_true(lb_health_of(lb, "app-1", "eni-1", "arn:web", "one", &h) && h.health == LB_HEALTHY);
	assert_false(lb_health_of(lb, "app-1", "eni-1", "arn:web", "three", &h));
}

static void says_who_asked(void **state)
{
	(void)state;
	const char *text = ask("curl -s http://10.0.1.5/headers -H 'X-Forwarded-For: 1.2.3.4' -H 'Host: Web.example'");
	assert_non_null(strstr(text, "X-Forwarded-For: 1.2.3.4, 10.0.1.9\n"));
	assert_non_null(strstr(text, "X-Forwarded-Proto: http\n"));
	assert_non_null(strstr(text, "X-Forwarded-Port: 80\n"));
	assert_non_null(strstr(text, "X-Amzn-Trace-Id: Root=1-"));
	assert_non_null(strstr(text, "Host: Web.example\n"));
	text = ask(
	        "curl -s http://10.0.1.5/headers -H 'X-Amzn-Trace-Id: Self=1-2-3;Root=1-67891233-abcdef012345678912345678;CalledFrom=app'");
	assert_null(strstr(text, "Self=1-2-3"));
	assert_non_null(strstr(text, "X-Amzn-Trace-Id: Self=1-"));
	assert_non_null(strstr(text, ";Root=1-67891233-abcdef012345678912345678;CalledFrom=app\n"));
	text = ask("curl -si http://10.0.1.5/api/x");
	assert_non_null(strstr(text, "HTTP/1.1 418 "));
	assert_non_null(strstr(text, "\r\nServer: awselb/2.0\r\n"));
	assert_non_null(strstr(text, "\r\n\r\nteapot"));
	text = ask("curl -si http://10.0.1.5/close");
	assert_non_null(strstr(text, "HTTP/1.1 502 "));
	assert_non_null(strstr(text, "\r\n\r\n<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
	                             "<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"));
}

static void leaves_the_unhealthy_out(void **state)
{
	(void)state;
	set_health(1, 500);
	UNTIL(is_health("one", LB_UNHEALTHY, "Target.ResponseCodeMismatch"));
	assert_string_equal(seen.targets[0].target[0] == 'o' ? seen.targets[0].description : seen.targets[1].description,
	                    "Health checks failed with these codes: [500]");
	assert_int_equal(count(ask("curl -s http://10.0.1.5/?[1-10]"), "t2"), 10);
	end_server(2);
	UNTIL(is_health("two", LB_UNHEALTHY, "Target.FailedHealthChecks"));
	/* none is healthy: all are asked, and who refuses the connection is a 502 */
	const char *text = ask("curl -si http://10.0.1.5/?[1-10]");
	assert_int_equal(count(text, "HTTP/1.1 200"), 5);
	assert_int_equal(count(text, "HTTP/1.1 502"), 5);
	assert_int_equal(count(text, "<h1>502 Bad Gateway</h1>"), 5);
	set_health(1, 0);
	serve(2);
	UNTIL(is_health("one", LB_HEALTHY, "") && is_health("two", LB_HEALTHY, ""));
}

static void keeps_to_a_target(void **state)
{
	(void)state;
	group.stickiness = LB_STICKY_COOKIE;
	group.stickiness_s = 60;
	put();
	UNTIL(strstr(ask("curl -si http://10.0.1.5/"), "Set-Cookie: AWSALB="));
	const char *text = ask("curl -si http://10.0.1.5/");
	assert_non_null(strstr(text, "Set-Cookie: AWSALBCORS="));
	assert_non_null(strstr(text, "; Path=/; SameSite=None; Secure\r\n"));
	text = ask("curl -s -c %s/jar -b %s/jar http://10.0.1.5/?[1-10]", world.dir, world.dir);
	assert_true(count(text, "t1") == 10 || count(text, "t2") == 10);
	bool one = count(text, "t1") == 10;
	both[!one].draining = true;
	put();
	UNTIL(count(ask("curl -s -b %s/jar http://10.0.1.5/", world.dir), one ? "t2" : "t1") == 1);
	both[!one].draining = false;
	group.stickiness = LB_NOT_STICKY;
	put();
}

/* Runs a crowd of clients while things change; none may be failed. */
static void changes_under_load(void **state)
{
	(void)state;
	bool never = false;
	int wait = 0;
	struct lb_value host = {NULL, "never.example"};
	struct lb_condition one_more = {.field = LB_FIELD_HOST, .values = &host, .value_count = 1};
	shell("(nsenter -t %d -n sh -c 'for i in 1 2 3 4; do curl -s -o /dev/null -w \"%%{http_code}\\n\" --retry 0 "
	      "http://10.0.1.5/?[1-1500] & done; wait' > %s/codes; echo done >> %s/codes) &",
	      (int)clients, world.dir, world.dir);
	for (int i = 0; i < 12; i++) {
		world_wait(&world, &never, 200000);
		both[0].draining = i % 2;
		group.target_count = i % 4 == 2 ? 1 : 2;
		if (i % 3 == 0)
			rules[0].conditions = i % 2 ? &one_more : &api;
		put();
	}
	both[0].draining = false;
	group.target_count = 2;
	rules[0].conditions = &api;
	put();
	while (shell("grep -q done %s/codes", world.dir) != 0 && wait++ < 6000)
		world_wait(&world, &never, 50000);
	assert_int_equal(
	        shell("test $(grep -c ^200$ %s/codes) = 6000 || { sort %s/codes | uniq -c; false; }", world.dir, world.dir), 0);
}

/* The HAProxy below this program (other clouds have theirs) that looks after the others; 0: there is none. */
static pid_t find_master(void)
{
	int pid = 0;
	FILE *f = popen("up() { sed -n 's/^PPid:\t//p' /proc/$1/status; }; for p in $(pgrep -x haproxy); do q=$(up $p); "
	                "test \"$(cat /proc/$q/comm)\" = haproxy && continue; while [ ${q:-0} -gt 1 ]; do "
	                "if grep -qa host_balancers /proc/$q/cmdline; then echo $p; exit; fi; q=$(up $q); done; done",
	                "r");
	assert_non_null(f);
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	pclose(f);
	return pid;
}

static void comes_back_when_killed(void **state)
{
	(void)state;
	bool never = false;
	UNTIL(is_health("one", LB_HEALTHY, "") && is_health("two", LB_HEALTHY, ""));
	set_health(2, 404);
	UNTIL(is_health("two", LB_UNHEALTHY, "Target.ResponseCodeMismatch"));
	pid_t master = find_master();
	assert_true(master > 0);
	assert_int_equal(shell("kill -9 $(pgrep -P %d)", (int)master), 0);
	/* nobody is here to be asked meanwhile: it knows by itself what there was */
	char line[128];
	snprintf(line, sizeof(line), "nsenter -t %d -n curl -s 'http://10.0.1.5/?[1-10]'", (int)clients);
	world_sleep(1000000);
	FILE *f = popen(line, "r");
	char text[256] = "";
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	pclose(f);
	assert_int_equal(count(text, "t1"), 10);
	set_health(2, 0);
	UNTIL(is_health("two", LB_HEALTHY, ""));
	world_wait(&world, &never, 1000);
}

static void counts(void **state)
{
	(void)state;
	seen.counted = false;
	UNTIL(seen.counted);
	unsigned long long before = seen.counters.requests, two = seen.group.target_2xx, fixed = seen.counters.fixed_responses;
	ask("curl -s -o /dev/null http://10.0.1.5/?[1-7] http://10.0.1.5/api/[1-3]");
	seen.counted = false;
	UNTIL(seen.counted);
	assert_int_equal(seen.counters.requests - before, 10);
	assert_int_equal(seen.group.target_2xx - two, 7);
	assert_int_equal(seen.counters.fixed_responses - fixed, 3);
}

static void is_adopted(void **state)
{
	(void)state;
	pid_t master = find_master();
	lb_free(lb);
	tasks_free(tasks);
	memset(&seen, 0, sizeof(seen));
	memset(&heard, 0, sizeof(heard));
	tasks = tasks_new(world.loop, world.cells, world.dir, getenv("QUARTET_CONTAINER_RUNTIME"), &crew_events, crew_found,
	                  &heard);
	lb = lb_new(world.loop, tasks, &lb_events, NULL);
	put();
	const struct task_port port = {.fd = port_fd, .address = 0x0a000105, .gateway = 0x0a000109, .prefix = 24};
	assert_int_equal(lb_port(lb, "eni-1", &port), 0);
	lb_settle(lb);
	UNTIL(seen.serves && is_health("one", LB_HEALTHY, "") && is_health("two", LB_HEALTHY, ""));
	assert_int_equal(find_master(), master);
}

/* A certificate for the name, with its key. */
static char *certificate(const char *name)
{
	static char pem[2][16384];
	static int n;
	char *to = pem[n++ % 2], line[512];
	snprintf(line, sizeof(line),
	         "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=%s "
	         "-addext subjectAltName=DNS:%s -keyout key -out crt 2>/dev/null && cat crt key",
	         world.dir, name, name);
	FILE *f = popen(line, "r");
	assert_non_null(f);
	to[fread(to, 1, sizeof(pem[0]) - 1, f)] = 0;
	assert_int_equal(pclose(f), 0);
	return to;
}

#define HTTPS "curl -sik --resolve '*:443:10.0.1.5' "

static void speaks_tls(void **state)
{
	(void)state;
	struct lb_certificate certificates[] = {{"arn:one", certificate("one.example")}, {"arn:two", certificate("two.example")}};
	struct lb_listener listeners[2] = {listener,
	                                   {.protocol = LB_HTTPS,
	                                    .port = 443,
	                                    .certificates = certificates,
	                                    .certificate_count = 2,
	                                    .tls_min = LB_TLS_1_2,
	                                    .tls_max = LB_TLS_1_3,
	                                    .rules = rules,
	                                    .rule_count = 2}};
	balancer.listeners = listeners;
	balancer.listener_count = 2;
	balancer.http2 = true;
	balancer.tls_headers = true;
	put();
	UNTIL(strstr(ask(HTTPS "https://one.example/headers"), "HTTP/2 200"));
	const char *text = ask(HTTPS "https://one.example/headers");
	assert_non_null(strstr(text, "X-Forwarded-Proto: https\n"));
	assert_non_null(strstr(text, "X-Forwarded-Port: 443\n"));
	assert_non_null(strstr(text, "X-Amzn-Tls-Version: TLSv1.3\n"));
	assert_non_null(strstr(text, "Host: one.example\n"));
	assert_non_null(strstr(ask(HTTPS "--http1.1 https://two.example/"), "HTTP/1.1 200"));
	text = ask(
	        "curl -sv --cacert %s/crt --resolve two.example:443:10.0.1.5 -o /dev/null -w '%%{ssl_verify_result}' https://two.example/",
	        world.dir);
	assert_string_equal(text, "0"); /* the second certificate, by its name */
	assert_string_equal(ask(HTTPS "--tls-max 1.1 -o /dev/null -w '%%{http_code}' https://one.example/"), "000");
	assert_non_null(strstr(ask(HTTPS "https://one.example/api/x"), "HTTP/2 418"));
	balancer.listeners = &listener;
	balancer.listener_count = 1;
	balancer.tls_headers = false;
	put();
	UNTIL(strcmp(ask(HTTPS "-o /dev/null -w '%%{http_code}' https://one.example/"), "000") == 0);
}

static void keeps_to_limits(void **state)
{
	(void)state;
	struct lb_target none = both[0];
#define STATUS(...) ask("sh -c 'curl -s -o /dev/null -w %%{http_code} " __VA_ARGS__)
	assert_string_equal(STATUS("http://10.0.1.5/$(head -c 16000 /dev/zero | tr \\\\0 a)'"), "200");
	assert_string_equal(STATUS("http://10.0.1.5/$(head -c 17000 /dev/zero | tr \\\\0 a)'"), "414");
	assert_string_equal(STATUS("-H X-Big:$(head -c 15000 /dev/zero | tr \\\\0 a) http://10.0.1.5/'"), "200");
	assert_string_equal(STATUS("-X TRACE http://10.0.1.5/'"), "405");
	assert_string_equal(STATUS("-H X-Forwarded-For:$(seq -s, 1 31) http://10.0.1.5/'"), "463");
	/* nobody is there: that is another answer than nobody's who answers */
	group.target_count = 0;
	put();
	UNTIL(strstr(ask("curl -si http://10.0.1.5/"), "<title>503 Service Temporarily Unavailable</title>"));
	group.target_count = 2;
	both[0].address = 0x0a0001c8; /* which nobody has */
	both[0].id = "nobody";
	both[1].draining = true;
	put();
	UNTIL(strstr(ask("curl -si -m 30 http://10.0.1.5/"), "HTTP/1.1 50"));
	assert_non_null(strstr(ask("curl -si -m 30 http://10.0.1.5/"), "HTTP/1.1 50"));
	both[0] = none;
	both[1].draining = false;
	put();
	UNTIL(is_health("one", LB_HEALTHY, "") && is_health("two", LB_HEALTHY, ""));
}

static void passes_websockets(void **state)
{
	(void)state;
	const char *text = ask(
	        "python3 -c \"import socket; s = socket.create_connection(('10.0.1.5', 80)); s.sendall(b'GET /ws HTTP/1.1\\r\\nHost: x\\r\\n"
	        "Upgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n"
	        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n\\r\\n'); f = s.makefile('rb'); print(f.readline()); "
	        "[None for l in iter(f.readline, b'\\r\\n')]; s.sendall(b'hello'); print(f.read(10))\"");
	assert_non_null(strstr(text, "HTTP/1.1 101 "));
	assert_non_null(strstr(text, "b'echo hello'"));
}

/* The target is another HAProxy, which speaks nothing but HTTP/2. */
static void speaks_http2_with_targets(void **state)
{
	(void)state;
	struct lb_target target = {.id = "h2", .address = 0x0a00010b, .port = 81};
	struct lb_certificate one = {"arn:one", certificate("one.example")};
	struct lb_listener sealed = {.protocol = LB_HTTPS,
	                             .port = 443,
	                             .certificates = &one,
	                             .certificate_count = 1,
	                             .tls_min = LB_TLS_1_2,
	                             .tls_max = LB_TLS_1_3,
	                             .rules = rules,
	                             .rule_count = 2};
	const struct lb_group before = group;
	balancer.listeners = &sealed;
	balancer.http2 = true;
	shell("printf '%%s\\n' 'defaults' '  mode http' '  timeout client 60s' 'frontend f' '  bind :81 proto h2' "
	      "'  http-request return status 200 content-type application/grpc hdr grpc-status 12 string \"%%[req.ver]\"' > %s/h2.cfg",
	      world.dir);
	pid_t pid = fork();
	if (pid == 0) {
		char path[128];
		snprintf(path, sizeof(path), "%s/h2.cfg", world.dir);
		execlp("ip", "ip", "netns", "exec", SCENE "-t1", "haproxy", "-db", "-f", path, NULL);
		_exit(127);
	}
	group.version = LB_HTTP2;
	group.targets = &target;
	group.target_count = 1;
	put();
	UNTIL(is_health("h2", LB_HEALTHY, ""));
	UNTIL(strcmp(ask(HTTPS "-o /dev/null -w '%%{http_code}' https://one.example/"), "200") == 0);
	/* clients have to speak it too */
	assert_string_equal(ask(HTTPS "--http1.1 -o /dev/null -w '%%{http_code}' https://one.example/"), "464");
	group.version = LB_GRPC;
	group.check.matcher = "0";
	put();
	UNTIL(is_health("h2", LB_UNHEALTHY, "Target.ResponseCodeMismatch"));
	group.check.matcher = "12";
	put();
	UNTIL(is_health("h2", LB_HEALTHY, ""));
	UNTIL(strcmp(ask(HTTPS "-o /dev/null -w '%%{http_code}' https://one.example/"), "464") == 0);
	assert_non_null(strstr(ask(HTTPS "-X POST -H 'Content-Type: application/grpc' https://one.example/"), "grpc-status: 12"));
	balancer.listeners = &listener;
	group = before;
	put();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	UNTIL(count(ask("curl -s http://10.0.1.5/"), "t") == 1);
}

static void has_no_power(void **state)
{
	(void)state;
	pid_t master = find_master();
	assert_true(master > 0);
	assert_int_equal(
	        shell("for p in %d $(pgrep -P %d); do grep -q 'CapEff:.0*$' /proc/$p/status && grep -q 'CapBnd:.0*$' /proc/$p/status && "
	              "grep -q 'NoNewPrivs:.1' /proc/$p/status && grep -q 'Seccomp:.2' /proc/$p/status || exit 1; done",
	              (int)master, (int)master),
	        0);
}

/* The network gives another link: the node is made anew on it. */
static void moves_to_another_link(void **state)
{
	(void)state;
	const struct task_port port = {.fd = port_fd, .address = 0x0a000105, .gateway = 0x0a000109, .prefix = 24};
	pid_t master = find_master();
	seen.known = false;
	assert_int_equal(lb_port(lb, "eni-1", &port), 0);
	UNTIL(seen.known && seen.serves);
	UNTIL(find_master() != master);
	UNTIL(count(ask("curl -s -m 1 http://10.0.1.5/"), "t") == 1);
}

static void passes_tcp(void **state)
{
	(void)state;
	group.protocol = LB_TCP;
	group.check.protocol = LB_TCP;
	listener.protocol = LB_TCP;
	listener.rules = &rules[1];
	listener.rule_count = 1;
	balancer.network = true;
	put();
	UNTIL(strcmp(ask("curl -s -o /dev/null -w '%%{http_code}' http://10.0.1.5/api/x"), "200") == 0);
	const char *text = ask("curl -s http://10.0.1.5/headers");
	assert_non_null(strstr(text, "Host: 10.0.1.5\n"));
	assert_null(strstr(text, "X-Forwarded-For"));
	UNTIL(is_health("one", LB_HEALTHY, "") && is_health("two", LB_HEALTHY, ""));
	end_server(2);
	UNTIL(is_health("two", LB_UNHEALTHY, "Target.FailedHealthChecks"));
	assert_int_equal(count(ask("sh -c 'for i in 1 2 3 4; do curl -s http://10.0.1.5/; done'"), "t1"), 4);
	serve(2);
	UNTIL(is_health("two", LB_HEALTHY, ""));
}

static void goes_without_a_trace(void **state)
{
	seen.known = false;
	lb_remove(lb, "app-1");
	UNTIL(seen.known && !seen.serves);
	UNTIL(find_master() == 0);
	leaves_nothing(state);
}

static int set_up(void **state)
{
	int result;
	if (access("/usr/sbin/haproxy", X_OK) != 0) {
		print_message("skipped: haproxy is not installed\n");
		exit(77);
	}
	result = crew_set_up(state);
	make_scene();
	serve(1);
	serve(2);
	lb = NULL;
	tasks_free(tasks);
	tasks = tasks_new(world.loop, world.cells, world.dir, getenv("QUARTET_CONTAINER_RUNTIME"), &crew_events, crew_found,
	                  &heard);
	lb = lb_new(world.loop, tasks, &lb_events, NULL);
	return result;
}

static int tear_down(void **state)
{
	lb_free(lb);
	drop_scene();
	close(port_fd);
	return crew_tear_down(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(comes_up_and_spreads),
	                                   cmocka_unit_test(says_who_asked),
	                                   cmocka_unit_test(leaves_the_unhealthy_out),
	                                   cmocka_unit_test(keeps_to_a_target),
	                                   cmocka_unit_test(changes_under_load),
	                                   cmocka_unit_test(comes_back_when_killed),
	                                   cmocka_unit_test(counts),
	                                   cmocka_unit_test(is_adopted),
	                                   cmocka_unit_test(speaks_tls),
	                                   cmocka_unit_test(keeps_to_limits),
	                                   cmocka_unit_test(passes_websockets),
	                                   cmocka_unit_test(speaks_http2_with_targets),
	                                   cmocka_unit_test(has_no_power),
	                                   cmocka_unit_test(moves_to_another_link),
	                                   cmocka_unit_test(passes_tcp),
	                                   cmocka_unit_test(goes_without_a_trace)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
