#include "cloud.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static void on_port(void *ctx, const char *id, int fd)
{
	struct cloud *c = ctx;
	for (int i = 0; i < CLOUD_PORTS_MAX; i++) {
		if (c->ports[i].id[0] && strcmp(c->ports[i].id, id) != 0)
			continue;
		if (c->ports[i].fd > 0)
			close(c->ports[i].fd);
		snprintf(c->ports[i].id, sizeof(c->ports[i].id), "%s", id);
		c->ports[i].fd = fd;
		c->ports[i].times++;
		return;
	}
	fail_msg("too many ports");
}

static void on_listener(void *ctx, const char *vpc, enum network_listener kind, int fd)
{
	struct cloud *c = ctx;
	for (int i = 0; i < 4; i++) {
		if (c->vpcs[i].vpc[0] && strcmp(c->vpcs[i].vpc, vpc) != 0)
			continue;
		snprintf(c->vpcs[i].vpc, sizeof(c->vpcs[i].vpc), "%s", vpc);
		if (c->vpcs[i].fds[kind] > 0)
			close(c->vpcs[i].fds[kind]);
		c->vpcs[i].fds[kind] = fd;
		return;
	}
	fail_msg("too many VPCs");
}

static void on_flows(void *ctx, const char *id, const struct network_flow *flows, size_t count, uint64_t missed)
{
	struct cloud *c = ctx;
	assert_int_equal(missed, 0);
	c->flows_times++;
	for (size_t i = 0; i < count; i++) {
		assert_true(c->flow_count < CLOUD_FLOWS_MAX);
		struct cloud_flow *f = &c->flows[c->flow_count++];
		snprintf(f->port, sizeof(f->port), "%s", id);
		f->flow = flows[i];
	}
}

static void on_socket(void *ctx, const char *vpc, const char *port, enum network_socket kind, uint32_t tag, int fd)
{
	struct cloud *c = ctx;
	(void)vpc;
	if (c->sockets[kind].fd > 0)
		close(c->sockets[kind].fd);
	snprintf(c->sockets[kind].port, sizeof(c->sockets[kind].port), "%s", port);
	c->sockets[kind].tag = tag;
	c->sockets[kind].fd = fd;
	c->sockets[kind].times++;
}

static const struct network_events events = {.port = on_port, .listener = on_listener, .flows = on_flows, .socket = on_socket};

void cloud_open(struct cloud *c)
{
	memset(c, 0, sizeof(*c));
	world_open(&c->world, NULL);
	c->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	c->networks = networks_new(c->world.loop, c->world.cells, c->world.dir, &events, c);
}

static void forget_fds(struct cloud *c)
{
	for (int i = 0; i < CLOUD_PORTS_MAX; i++)
		if (c->ports[i].fd > 0)
			close(c->ports[i].fd);
	for (int i = 0; i < 4; i++)
		for (int k = 0; k < NETWORK_LISTENERS; k++)
			if (c->vpcs[i].fds[k] > 0)
				close(c->vpcs[i].fds[k]);
	for (int i = 0; i <= NETWORK_SOCKET_DNS_TCP; i++)
		if (c->sockets[i].fd > 0)
			close(c->sockets[i].fd);
	memset(c->ports, 0, sizeof(c->ports));
	memset(c->vpcs, 0, sizeof(c->vpcs));
	memset(c->sockets, 0, sizeof(c->sockets));
}

void cloud_restart_api(struct cloud *c)
{
	networks_free(c->networks);
	forget_fds(c);
	c->networks = networks_new(c->world.loop, c->world.cells, c->world.dir, &events, c);
}

static bool command_says(const char *command, const char *needle)
{
	char line[4096];
	bool found = false;
	FILE *f = popen(command, "r");
	while (f && fgets(line, sizeof(line), f))
		found = found || strstr(line, needle);
	if (f)
		pclose(f);
	return found;
}

/* Ended; init may not have reaped it yet. */
static bool is_gone(int pid)
{
	char path[64], text[256] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	if (f) {
		text[fread(text, 1, sizeof(text) - 1, f)] = 0;
		fclose(f);
	}
	const char *end = strrchr(text, ')');
	return !end || end[2] == 'Z' || end[2] == 'X';
}

/* net, its heirs and theirs. */
static bool group_is_gone(int group)
{
	char command[96];
	snprintf(command, sizeof(command), "ps -eo pgid=,stat=,comm= | awk '$1 == %d && $2 !~ /Z|X/'", group);
	for (int i = 0; i < 100; i++) {
		if (!command_says(command, "quartet"))
			return true;
		world_sleep(10000);
	}
	return false;
}

static char outside_name[16];

static void remove_outside(void)
{
	char command[80];
	if (!outside_name[0])
		return;
	snprintf(command, sizeof(command), "ip link del %s; ip netns del %s", outside_name, outside_name);
	outside_name[0] = 0;
	assert_int_equal(system(command), 0);
}

int cloud_outside(void)
{
	char *name = outside_name;
	snprintf(outside_name, sizeof(outside_name), "qx%d", (int)getpid());
	char text[600];
	snprintf(text, sizeof(text),
	         "ip netns add %1$s && ip link add %1$s type veth peer name eth0 netns %1$s && "
	         "ip addr add 198.51.100.1/30 dev %1$s && ip link set %1$s up && "
	         "echo 1 > /proc/sys/net/ipv4/conf/%1$s/forwarding && ip -n %1$s addr add 198.51.100.2/30 dev eth0 && "
	         "ip -n %1$s link set eth0 up && ip -n %1$s route add 203.0.113.0/24 dev eth0",
	         name);
	assert_int_equal(system(text), 0);
	snprintf(text, sizeof(text), "/run/netns/%s", name);
	int fd = open(text, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

void cloud_close(struct cloud *c)
{
	char name[32];
	int pid = cloud_net_pid(c), group = pid ? getpgid(pid) : 0;
	remove_outside();
	networks_free(c->networks);
	forget_fds(c);
	world_close(&c->world);
	close(c->home);
	assert_true(pid == 0 || is_gone(pid));
	assert_true(group <= 0 || group_is_gone(group));
	snprintf(name, sizeof(name), "qv%.8s-", c->world.instance);
	assert_false(command_says("ip -o link", name));
	assert_false(command_says("ip route show table local", name));
	snprintf(name, sizeof(name), "quartet_%.8s", c->world.instance);
	assert_false(command_says("nft list tables", name));
}

void cloud_turn(struct cloud *c, int ms)
{
	bool never = false;
	world_wait(&c->world, &never, ms * 1000);
}

int cloud_port(struct cloud *c, const char *id, unsigned times)
{
	for (int tries = 0; tries < 400; tries++) {
		for (int i = 0; i < CLOUD_PORTS_MAX; i++)
			if (strcmp(c->ports[i].id, id) == 0 && c->ports[i].times >= times)
				return c->ports[i].fd;
		cloud_turn(c, 20);
	}
	char command[160];
	snprintf(command, sizeof(command), "cat %s/run/net.log >&2", c->world.dir);
	assert_int_equal(system(command), 0);
	fail_msg("%s does not come: %s", id, networks_facts(c->networks)->why_not);
	return -1;
}

int cloud_listener(struct cloud *c, const char *vpc, enum network_listener kind)
{
	for (int tries = 0; tries < 400; tries++) {
		for (int i = 0; i < 4; i++)
			if (strcmp(c->vpcs[i].vpc, vpc) == 0 && c->vpcs[i].fds[kind] > 0)
				return c->vpcs[i].fds[kind];
		cloud_turn(c, 20);
	}
	fail_msg("no listener %d of %s", kind, vpc);
	return -1;
}

int cloud_net_pid(const struct cloud *c)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct ucred peer = {0};
	socklen_t n = sizeof(peer);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/run/net.sock", c->world.dir);
	int pid = 0;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0)
		pid = peer.pid;
	close(fd);
	return pid;
}

int cloud_heir_pid(int net)
{
	char path[64], text[64] = "";
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", net, net);
	for (int i = 0; net && i < 300 && !atoi(text); i++) {
		FILE *f = fopen(path, "r");
		if (!f || !fgets(text, sizeof(text), f))
			world_sleep(10000);
		if (f)
			fclose(f);
	}
	return atoi(text);
}

void cloud_kill_net(struct cloud *c, bool with_heir)
{
	int net = cloud_net_pid(c), heir = cloud_heir_pid(net);
	assert_true(net > 1 && heir > 1);
	if (with_heir) {
		/* or it would make another */
		assert_return_code(kill(net, SIGSTOP), errno);
		assert_return_code(kill(heir, SIGKILL), errno);
	}
	assert_return_code(kill(net, SIGKILL), errno);
}

/* ---- puts ---- */

uint32_t ip(const char *text)
{
	struct in_addr a;
	assert_int_equal(inet_pton(AF_INET, text, &a), 1);
	return ntohl(a.s_addr);
}

struct network_prefix prefix(const char *text)
{
	char address[32];
	unsigned bits;
	assert_int_equal(sscanf(text, "%31[0-9.]/%u", address, &bits), 2);
	return (struct network_prefix){ip(address), (uint8_t)bits};
}

void put_vpc(struct cloud *c, const char *id, const char *text)
{
	struct network_prefix p = prefix(text);
	assert_int_equal(network_put_vpc(c->networks, &(struct network_vpc){id, &p, 1}), 0);
}

void put_subnet(struct cloud *c, const char *id, const char *vpc, const char *text, const char *acl,
                const struct network_route *routes, size_t n)
{
	struct network_subnet s = {.id = id, .vpc = vpc, .acl = acl, .prefix = prefix(text), .routes = routes, .route_count = n};
	assert_int_equal(network_put_subnet(c->networks, &s), 0);
}

void put_group(struct cloud *c, const char *id, const char *vpc, const struct network_group_rule *rules, size_t n)
{
	assert_int_equal(network_put_group(c->networks, &(struct network_group){id, vpc, rules, n}), 0);
}

void put_acl(struct cloud *c, const char *id, const char *vpc, const struct network_acl_rule *rules, size_t n)
{
	assert_int_equal(network_put_acl(c->networks, &(struct network_acl){id, vpc, rules, n}), 0);
}

void put_port(struct cloud *c, enum network_port_kind kind, const char *id, const char *vpc, const char *subnet,
              const char *address, const char *public, const char *group, bool source_check)
{
	uint32_t a = ip(address);
	struct network_address addresses[] = {{a, public ? ip(public) : 0}};
	struct network_port p = {.id = id,
	                         .vpc = vpc,
	                         .subnet = subnet,
	                         .kind = kind,
	                         .mac = {0x0a, 0, (uint8_t)(a >> 24), (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)a},
	                         .addresses = addresses,
	                         .address_count = 1,
	                         .groups = &group,
	                         .group_count = 1,
	                         .source_check = source_check,
	                         .flows = c->count_flows,
	                         .fault = c->fault,
	                         .zone = c->zone,
	                         .host_name = "ip-10-0-0-1",
	                         .domain = "ec2.internal"};
	assert_int_equal(network_put_port(c->networks, &p), 0);
}

/* ---- packets ---- */

static void enter(int ns)
{
	if (setns(ns, CLONE_NEWNET) < 0)
		fail_msg("setns %d: %s", ns, strerror(errno));
}

int open_in(struct cloud *c, int ns, int type, const char *address, int port)
{
	int one = 1;
	if (ns >= 0)
		enter(ns);
	int fd = socket(AF_INET, (type == SOCK_RAW ? SOCK_RAW : type) | SOCK_NONBLOCK | SOCK_CLOEXEC,
	                type == SOCK_RAW ? IPPROTO_ICMP : 0);
	if (ns >= 0)
		enter(c->home);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (address) {
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(ip(address))}};
		assert_return_code(bind(fd, (struct sockaddr *)&a, sizeof(a)), errno);
		if (type == SOCK_STREAM)
			assert_return_code(listen(fd, 16), errno);
	}
	return fd;
}

bool connects(struct cloud *c, int ns, const char *to, int port, int *ret_fd)
{
	int fd = open_in(c, ns, SOCK_STREAM, NULL, 0), error = 0;
	socklen_t n = sizeof(error);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(ip(to))}};
	bool done = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	if (!done && errno == EINPROGRESS) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		done = poll(&p, 1, 300 * world_patience()) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && !error;
	}
	if (done && ret_fd)
		*ret_fd = fd;
	else
		close(fd);
	return done;
}

bool pings(struct cloud *c, int ns, const char *to)
{
	static uint16_t next;
	int fd = open_in(c, ns, SOCK_RAW, NULL, 0);
	struct icmphdr h = {.type = ICMP_ECHO, .un.echo = {.id = htons(4711), .sequence = htons(++next)}};
	h.checksum = (uint16_t) ~(htons(0x0800) + h.un.echo.id + h.un.echo.sequence);
	uint32_t sum = htons(0x0800) + (uint32_t)h.un.echo.id + h.un.echo.sequence;
	sum = (sum & 0xffff) + (sum >> 16);
	h.checksum = (uint16_t) ~((sum & 0xffff) + (sum >> 16));
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(ip(to))}};
	bool back = false;
	if (sendto(fd, &h, sizeof(h), 0, (struct sockaddr *)&a, sizeof(a)) == sizeof(h)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		while (!back && poll(&p, 1, 300 * world_patience()) == 1) {
			unsigned char room[256];
			ssize_t n = recv(fd, room, sizeof(room), 0);
			const struct icmphdr *r = (void *)(room + 20);
			back = n >= 28 && r->type == ICMP_ECHOREPLY && r->un.echo.sequence == h.un.echo.sequence &&
			       r->un.echo.id == h.un.echo.id && memcmp(room + 12, &a.sin_addr, 4) == 0;
		}
	}
	close(fd);
	return back;
}

void write_inside(struct cloud *c, int ns, const char *path, const char *text)
{
	enter(ns);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = write(fd, text, strlen(text));
	close(fd);
	enter(c->home);
	assert_int_equal(n, strlen(text));
}

int packet_socket(struct cloud *c, int ns)
{
	enter(ns);
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(0x0003));
	unsigned index = if_nametoindex("eth0");
	enter(c->home);
	assert_true(fd >= 0 && index > 0);
	struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(0x0003), .sll_ifindex = (int)index};
	assert_return_code(bind(fd, (struct sockaddr *)&a, sizeof(a)), errno);
	return fd;
}

void send_frame(int packet, const void *frame, size_t n)
{
	assert_int_equal(send(packet, frame, n, 0), n);
}
