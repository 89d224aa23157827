/* kill -9 of net: its heir goes on with all that it had, and who speaks over its networks notes nothing but a moment's silence. */
#include "scene6.h"

#include "engine/net/plug.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define OUT_ALL \
	{ \
		.egress = true, .match = { -1, -1, -1, ANY } \
	}

static const struct network_acl_rule pass[] = {{100, false, true, {-1, -1, -1, ANY}}, {100, true, true, {-1, -1, -1, ANY}}};
static const struct network_route out[] = {{{0x0a000000, 16}, NETWORK_LOCAL, NULL}, {ANY, NETWORK_INTERNET, NULL}};
static const struct network_route hidden[] = {{{0x0a000000, 16}, NETWORK_LOCAL, NULL}, {ANY, NETWORK_NAT, "eni-nat"}};
static const struct network_group_rule all[] = {OUT_ALL, {false, {-1, -1, -1, ANY}, NULL}};

static void put_parts(struct cloud *c)
{
	put_vpc(c, "vpc-1", "10.0.0.0/16");
	put_acl(c, "acl-1", "vpc-1", pass, 2);
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", out, 2);
	put_subnet(c, "subnet-2", "vpc-1", "10.0.2.0/24", "acl-1", hidden, 2);
	put_group(c, "sg-1", "vpc-1", all, 2);
	put_group(c, "sg-2", "vpc-1", all, 2);
}

static void put_ports(struct cloud *c)
{
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", "127.77.0.5", "sg-1", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", NULL, "sg-2", true);
	put_port(c, NETWORK_VETH, "eni-p", "vpc-1", "subnet-2", "10.0.2.10", NULL, "sg-2", true);
	put_port(c, NETWORK_GATEWAY, "eni-nat", "vpc-1", "subnet-1", "10.0.1.200", "127.77.0.6", "sg-2", false);
}

/* What is sent at one end comes out at the other. */
static bool passes(struct cloud *c, int from, int to)
{
	char x;
	return send(from, "x", 1, MSG_NOSIGNAL) == 1 && eventually(c, recv(to, &x, 1, MSG_DONTWAIT) == 1);
}

/* Another net serves. */
static void wait_for_next(struct cloud *c, int pid)
{
	assert_true(eventually(c, cloud_net_pid(c) != pid));
	assert_true(eventually(c, cloud_net_pid(c) != 0));
}

static void kill_net(struct cloud *c)
{
	int pid = cloud_net_pid(c);
	cloud_kill_net(c, false);
	wait_for_next(c, pid);
}

struct talk {
	int from, to;
};

static struct talk talk(struct cloud *c, int ns, const char *address, int port, int server)
{
	struct talk t = {-1, -1};
	assert_true(eventually(c, connects(c, ns, address, port, &t.from)));
	assert_true(eventually(c, (t.to = accept(server, NULL, NULL)) >= 0));
	return t;
}

static bool goes_on(struct cloud *c, struct talk t)
{
	return passes(c, t.from, t.to) && passes(c, t.to, t.from);
}

static void end_talk(struct talk t)
{
	close(t.from);
	close(t.to);
}

static unsigned times_told(const struct cloud *c, const char *port)
{
	for (int i = 0; i < CLOUD_PORTS_MAX; i++)
		if (strcmp(c->ports[i].id, port) == 0)
			return c->ports[i].times;
	return 0;
}

static void connections_outlive_net(void **state)
{
	struct cloud *c = *state;
	int outside = cloud_outside(), server = open_in(c, outside, SOCK_STREAM, "198.51.100.2", 80);
	put_parts(c);
	put_ports(c);
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1), p = cloud_port(c, "eni-p", 1);
	int web = open_in(c, a, SOCK_STREAM, "10.0.1.10", 80), metadata = cloud_listener(c, "vpc-1", NETWORK_METADATA);
	struct talk talks[] = {talk(c, b, "10.0.1.10", 80, web), talk(c, -1, "127.77.0.5", 80, web),
	                       talk(c, a, "198.51.100.2", 80, server), talk(c, p, "198.51.100.2", 80, server),
	                       talk(c, b, "169.254.169.254", 80, metadata)};
	struct network_port_stats carried = {0};
	assert_true(eventually(c, network_port_stats(c->networks, "eni-nat", &carried) && carried.gate.active == 1));
	for (int round = 0; round < 2; round++) {
		kill_net(c);
		for (size_t i = 0; i < COUNT(talks); i++)
			assert_true(goes_on(c, talks[i]));
		/* and new ones are made */
		end_talk(talk(c, b, "10.0.1.10", 80, web));
		end_talk(talk(c, -1, "127.77.0.5", 80, web));
		end_talk(talk(c, a, "198.51.100.2", 80, server));
		end_talk(talk(c, p, "198.51.100.2", 80, server));
		end_talk(talk(c, a, "169.254.169.254", 80, metadata));
		assert_true(pings(c, b, "10.0.1.10"));
		assert_true(eventually(c, network_port_stats(c->networks, "eni-a", &carried) && carried.tx_packets > 10));
	}
	/* nobody was given anything twice */
	assert_int_equal(times_told(c, "eni-a") + times_told(c, "eni-b") + times_told(c, "eni-p"), 3);
	assert_int_equal(cloud_listener(c, "vpc-1", NETWORK_METADATA), metadata);
	/* connections through the NAT gateway are still its own */
	assert_true(eventually(c, network_port_stats(c->networks, "eni-nat", &carried) && carried.gate.active >= 1));
	/* rules are not those of before alone */
	put_group(c, "sg-1", "vpc-1", all, 1);
	assert_true(eventually(c, !connects(c, b, "10.0.1.10", 80, NULL)));
	assert_false(pings(c, b, "10.0.1.10"));
	for (size_t i = 0; i < COUNT(talks); i++)
		end_talk(talks[i]);
	close(web);
	close(server);
	close(outside);
}

/* Changes that come when nobody hears them. */
static void what_was_changed_meanwhile_holds(void **state)
{
	struct cloud *c = *state;
	put_parts(c);
	put_ports(c);
	put_port(c, NETWORK_VETH, "eni-c", "vpc-1", "subnet-1", "10.0.1.12", "127.77.0.7", "sg-2", true);
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1), gone = dup(cloud_port(c, "eni-c", 1));
	int web = open_in(c, a, SOCK_STREAM, "10.0.1.10", 80);
	assert_true(eventually(c, pings(c, b, "10.0.1.12") && connects(c, -1, "127.77.0.5", 80, NULL)));
	networks_settled(c->networks);
	int pid = cloud_net_pid(c);
	cloud_kill_net(c, false);
	/* a port goes; another gets a public address; the same id is another port now */
	network_remove(c->networks, "eni-c");
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", "127.77.0.8", "sg-2", true);
	network_remove(c->networks, "eni-p");
	put_port(c, NETWORK_VETH, "eni-p", "vpc-1", "subnet-2", "10.0.2.10", NULL, "sg-2", true);
	put_port(c, NETWORK_VETH, "eni-d", "vpc-1", "subnet-1", "10.0.1.13", NULL, "sg-2", true);
	wait_for_next(c, pid);
	int d = cloud_port(c, "eni-d", 1);
	cloud_port(c, "eni-p", 2);
	assert_true(eventually(c, pings(c, d, "10.0.1.10") && pings(c, d, "10.0.1.11")));
	assert_false(pings(c, d, "10.0.1.12"));
	assert_true(eventually(c, !inside_says(gone, "ip -o link", "eth0")));
	assert_true(eventually(c, connects(c, -1, "127.77.0.5", 80, NULL) && pings(c, -1, "127.77.0.8")));
	assert_int_equal(cloud_port(c, "eni-b", 1), b);
	/* the api side dies with it, and the next wants less */
	pid = cloud_net_pid(c);
	cloud_kill_net(c, false);
	cloud_restart_api(c);
	put_parts(c);
	put_port(c, NETWORK_VETH, "eni-d", "vpc-1", "subnet-1", "10.0.1.13", NULL, "sg-2", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", NULL, "sg-2", true);
	wait_for_next(c, pid);
	b = cloud_port(c, "eni-b", 1);
	cloud_port(c, "eni-d", 1);
	cloud_listener(c, "vpc-1", NETWORK_METADATA);
	networks_settled(c->networks);
	assert_true(eventually(c, pings(c, b, "10.0.1.13")));
	assert_true(eventually(c, !pings(c, b, "10.0.1.10")));
	close(gone);
	close(web);
}

/* A device that went with whoever had it is made anew, also when that was said to a net that died of it. */
static void a_port_is_renewed(void **state)
{
	struct cloud *c = *state;
	put_parts(c);
	put_ports(c);
	int b = cloud_port(c, "eni-b", 1);
	cloud_port(c, "eni-a", 1);
	int pid = cloud_net_pid(c);
	cloud_kill_net(c, false);
	network_renew_port(c->networks, "eni-a");
	wait_for_next(c, pid);
	cloud_port(c, "eni-a", 2);
	assert_true(eventually(c, pings(c, b, "10.0.1.10")));
	kill_net(c);
	network_renew_port(c->networks, "eni-a");
	cloud_port(c, "eni-a", 3);
	assert_true(eventually(c, pings(c, b, "10.0.1.10")));
	cloud_turn(c, 200);
	assert_int_equal(times_told(c, "eni-a"), 3);
	assert_int_equal(times_told(c, "eni-b"), 1);
}

static void many_die(void **state)
{
	struct cloud *c = *state;
	put_parts(c);
	put_ports(c);
	int a = dup(cloud_port(c, "eni-a", 1)), b = dup(cloud_port(c, "eni-b", 1));
	int web = open_in(c, a, SOCK_STREAM, "10.0.1.10", 80);
	struct talk t = talk(c, b, "10.0.1.10", 80, web);
	/* one after the other, as soon as there is another */
	for (int i = 0; i < 4; i++) {
		int pid = cloud_net_pid(c);
		cloud_kill_net(c, false);
		for (int tries = 0; tries < 1000 && cloud_net_pid(c) == pid; tries++)
			world_sleep(1000);
		assert_int_not_equal(cloud_net_pid(c), pid);
	}
	assert_true(goes_on(c, t));
	/* the heir, and then net: another heir is there */
	int pid = cloud_net_pid(c), heir = cloud_heir_pid(pid);
	assert_return_code(kill(heir, SIGKILL), errno);
	assert_true(eventually(c, cloud_heir_pid(pid) != heir));
	kill_net(c);
	assert_true(goes_on(c, t));
	/* with api and priv */
	pid = cloud_net_pid(c);
	cloud_kill_net(c, false);
	assert_return_code(kill(c->world.priv, SIGKILL), errno);
	cloud_restart_api(c);
	world_restart_priv(&c->world);
	put_parts(c);
	put_ports(c);
	wait_for_next(c, pid);
	cloud_port(c, "eni-a", 1);
	assert_true(goes_on(c, t));
	assert_true(eventually(c, connects(c, -1, "127.77.0.5", 80, NULL)));
	put_group(c, "sg-1", "vpc-1", all, 1);
	assert_true(eventually(c, !connects(c, b, "10.0.1.10", 80, NULL)));
	end_talk(t);
	close(web);
	close(a);
	close(b);
}

/* ---- what is more than a port with a link ---- */

static int plug_in_child(int plug, int ns)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0)
		_exit(-plug_link(plug, ns, "eth0"));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

static void plugs_stay_plugs(void **state)
{
	struct cloud *c = *state;
	put_parts(c);
	put_ports(c);
	put_port(c, NETWORK_PLUG, "eni-x", "vpc-1", "subnet-1", "10.0.1.30", NULL, "sg-2", true);
	int b = cloud_port(c, "eni-b", 1), plug = cloud_port(c, "eni-x", 1);
	assert_return_code(unshare(CLONE_NEWNET), errno);
	int x = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_return_code(setns(c->home, CLONE_NEWNET), errno);
	/* a link that is made after a death, by whoever was given the plug before it */
	kill_net(c);
	assert_int_equal(plug_in_child(plug, x), 0);
	inside(x,
	       "sh -c 'ip link set lo up; ip link set eth0 up; ip addr add 10.0.1.30/24 dev eth0; ip route add default via 10.0.1.1'");
	int web = open_in(c, x, SOCK_STREAM, "10.0.1.30", 80);
	struct talk t = talk(c, b, "10.0.1.30", 80, web);
	kill_net(c);
	assert_true(goes_on(c, t));
	assert_int_equal(plug_in_child(plug, x), -EEXIST);
	assert_int_equal(times_told(c, "eni-x"), 1);
	plug = dup(plug);
	/* where nobody hears yet that it went, it goes with this */
	networks_settled(c->networks);
	network_remove(c->networks, "eni-x");
	assert_true(eventually(c, plug_in_child(plug, x) == -EPIPE));
	assert_true(eventually(c, !inside_says(x, "ip -o link", "eth0")));
	end_talk(t);
	for (const int *fd = (const int[]){web, plug, x, -1}; *fd >= 0; fd++)
		close(*fd);
}

static void doors_stay_open(void **state)
{
	struct cloud *c = *state;
	put_parts(c);
	put_ports(c);
	put_port(c, NETWORK_ANSWERS, "eni-in", "vpc-1", "subnet-1", "10.0.1.40", NULL, "sg-2", true);
	put_port(c, NETWORK_ASKS, "eni-out", "vpc-1", "subnet-1", "10.0.1.41", NULL, "sg-2", true);
	int a = cloud_port(c, "eni-a", 1), web = open_in(c, a, SOCK_STREAM, "10.0.1.10", 80);
	cloud_port(c, "eni-in", 1);
	cloud_port(c, "eni-out", 1);
	assert_true(eventually(c, c->sockets[NETWORK_SOCKET_DNS_TCP].times == 1));
	int listener = c->sockets[NETWORK_SOCKET_DNS_TCP].fd;
	struct talk t = talk(c, a, "10.0.1.40", 53, listener);
	kill_net(c);
	assert_true(goes_on(c, t));
	end_talk(talk(c, a, "10.0.1.40", 53, listener));
	assert_int_equal(c->sockets[NETWORK_SOCKET_DNS_TCP].times, 1);
	/* and more are opened behind them */
	assert_true(eventually(c, network_open_socket(c->networks, "eni-out", NETWORK_SOCKET_TCP, 7)));
	assert_true(eventually(c, c->sockets[NETWORK_SOCKET_TCP].tag == 7 && c->sockets[NETWORK_SOCKET_TCP].fd > 0));
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = {htonl(ip("10.0.1.10"))}};
	connect(c->sockets[NETWORK_SOCKET_TCP].fd, (struct sockaddr *)&to, sizeof(to));
	int served = -1;
	assert_true(eventually(c, (served = accept(web, NULL, NULL)) >= 0));
	end_talk(t);
	close(served);
	close(web);
}

static void put_lb(struct cloud *c, enum network_balance_state state)
{
	const struct network_balance_target targets[] = {{.address = ip("10.0.1.10"), .weight = 1, .port = 80, .state = state}};
	const struct network_balance b = {.vpc = "vpc-1",
	                                  .port = "eni-b",
	                                  .protocol = 6,
	                                  .listens = 8080,
	                                  .idle_s = 350,
	                                  .targets = targets,
	                                  .target_count = 1};
	assert_int_equal(network_put_balance(c->networks, &b), 0);
}

static void balanced_flows_are_known_again(void **state)
{
	struct cloud *c = *state;
	struct network_balance_stats stats = {0};
	put_parts(c);
	put_ports(c);
	put_lb(c, NETWORK_SERVES);
	int a = cloud_port(c, "eni-a", 1), p = cloud_port(c, "eni-p", 1), web = open_in(c, a, SOCK_STREAM, "10.0.1.10", 80);
	struct talk t = talk(c, p, "10.0.1.11", 8080, web);
	kill_net(c);
	assert_true(goes_on(c, t));
	struct talk other = talk(c, p, "10.0.1.11", 8080, web);
	assert_true(eventually(c, network_balance_stats(c->networks, "eni-b", 6, 8080, &stats) && stats.active == 2));
	/* those of before are cut with the others */
	put_lb(c, NETWORK_CUT);
	assert_true(eventually(c, network_balance_stats(c->networks, "eni-b", 6, 8080, &stats) && stats.active == 0));
	end_talk(t);
	end_talk(other);
	close(web);
}

static void put_side(struct cloud *c, int n)
{
	static const char *const names[][6] = {{"vpc-1", "acl-1", "subnet-1", "sg-1", "eni-1", "10.1.1.10"},
	                                       {"vpc-2", "acl-2", "subnet-2", "sg-2", "eni-2", "10.2.1.10"}};
	const char *const *s = names[n];
	const struct network_route routes[] = {{prefix(n ? "10.2.0.0/16" : "10.1.0.0/16"), NETWORK_LOCAL, NULL},
	                                       {prefix("10.0.0.0/8"), NETWORK_PEER, "pcx-1"}};
	const struct network_group_rule by_group[] = {OUT_ALL, {false, {6, 80, 80, ANY}, n ? "sg-1" : "sg-2"}};
	put_vpc(c, s[0], n ? "10.2.0.0/16" : "10.1.0.0/16");
	put_acl(c, s[1], s[0], pass, 2);
	put_subnet(c, s[2], s[0], n ? "10.2.1.0/24" : "10.1.1.0/24", s[1], routes, 2);
	put_group(c, s[3], s[0], by_group, 2);
	put_port(c, NETWORK_VETH, s[4], s[0], s[2], s[5], NULL, s[3], true);
}

static void peerings_are_made_again(void **state)
{
	struct cloud *c = *state;
	put_side(c, 0);
	put_side(c, 1);
	assert_int_equal(network_put_peering(c->networks, &(struct network_peering){"pcx-1", {"vpc-1", "vpc-2"}}), 0);
	int one = dup(cloud_port(c, "eni-1", 1)), two = dup(cloud_port(c, "eni-2", 1));
	int web = open_in(c, two, SOCK_STREAM, "10.2.1.10", 80);
	struct talk t = talk(c, one, "10.2.1.10", 80, web);
	int pid = cloud_net_pid(c);
	cloud_kill_net(c, false);
	/* nobody is there who could say it again */
	cloud_restart_api(c);
	wait_for_next(c, pid);
	assert_true(goes_on(c, t));
	end_talk(talk(c, one, "10.2.1.10", 80, web));
	assert_false(pings(c, one, "10.2.1.10"));
	end_talk(t);
	close(web);
	close(one);
	close(two);
}

/* ---- IPv6 ---- */

static int connect6(struct cloud *c, int ns, const char *to, int port)
{
	int fd = open6(c, ns, SOCK_STREAM, NULL, 0);
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = ip6(to)};
	connect(fd, (struct sockaddr *)&a, sizeof(a));
	return fd;
}

static void ipv6_outlives_net(void **state)
{
	struct scene s;
	struct cloud *c = &s.c;
	(void)state;
	open_scene(&s);
	struct network_group_rule in = rule6(false, 6, 80, "::", 0);
	struct network_route open = route6("::", 0, NETWORK_INTERNET, NULL);
	put_rules(&s, &in);
	put_scene(&s, &open, 1);
	assert_true(eventually(c, connects6(c, s.a, NULL, B6, 80) && connects6(c, -1, NULL, B6, 80)));
	for (int fd; (fd = accept(s.served, NULL, NULL)) >= 0;)
		close(fd);
	struct talk t = {.from = connect6(c, s.a, B6, 80), .to = -1}, here = {.to = -1};
	assert_true(eventually(c, (t.to = accept(s.served, NULL, NULL)) >= 0));
	here.from = connect6(c, -1, B6, 80);
	assert_true(eventually(c, (here.to = accept(s.served, NULL, NULL)) >= 0));
	for (int round = 0; round < 2; round++) {
		kill_net(c);
		assert_true(goes_on(c, t));
		assert_true(goes_on(c, here));
		assert_true(eventually(c, connects6(c, s.a, NULL, B6, 80) && connects6(c, -1, NULL, B6, 80)));
	}
	assert_int_equal(times_told(c, "eni-a") + times_told(c, "eni-b"), 2);
	/* by routes and rules that can be changed: an egress-only gateway lets nobody in */
	struct network_route leave = route6("::", 0, NETWORK_EGRESS_ONLY, NULL);
	put_scene(&s, &leave, 1);
	assert_true(eventually(c, !connects6(c, -1, NULL, B6, 80)));
	put_rules(&s, NULL);
	assert_true(eventually(c, !connects6(c, s.a, NULL, B6, 80)));
	end_talk(t);
	end_talk(here);
	close_scene(&s);
}

/* It dies with the word unread that everything shall end: its heir, and that one's, end nevertheless. */
static void who_dies_at_the_end_has_no_heir(void **state)
{
	struct cloud c;
	(void)state;
	cloud_open(&c);
	put_parts(&c);
	put_ports(&c);
	cloud_port(&c, "eni-a", 1);
	int pid = cloud_net_pid(&c);
	assert_int_not_equal(cloud_heir_pid(pid), 0);
	assert_return_code(kill(pid, SIGSTOP), errno);
	pid_t killer = fork();
	if (killer == 0) {
		usleep(500000);
		_exit(kill(pid, SIGKILL));
	}
	cloud_close(&c);
	assert_int_equal(waitpid(killer, NULL, 0), killer);
}

static int open_cloud(void **state)
{
	static struct cloud c;
	cloud_open(&c);
	*state = &c;
	return 0;
}

static int close_cloud(void **state)
{
	cloud_close(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(connections_outlive_net, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(what_was_changed_meanwhile_holds, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(a_port_is_renewed, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(many_die, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(plugs_stay_plugs, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(doors_stay_open, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(balanced_flows_are_known_again, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(peerings_are_made_again, open_cloud, close_cloud),
	        cmocka_unit_test(ipv6_outlives_net),
	        cmocka_unit_test(who_dies_at_the_end_has_no_heir),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
