/* What instances try with frames of their own making, what is served on the link, and how networks live through the deaths of
 * others. */
#include "cloud.h"

#include "engine/cell/cell.h"
#include "engine/net/plug.h"
#include "io/msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ANY \
	{ \
		0, 0 \
	}
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OUT_ALL \
	{ \
		.egress = true, .match = { -1, -1, -1, ANY } \
	}

static const struct network_acl_rule open_acl[] = {{100, false, true, {-1, -1, -1, ANY}}, {100, true, true, {-1, -1, -1, ANY}}};
static const struct network_route local16[] = {{{0x0a000000, 16}, NETWORK_LOCAL, NULL}};
static const struct network_group_rule all[] = {OUT_ALL, {false, {-1, -1, -1, ANY}, NULL}};

static void open_vpc(struct cloud *c, const char *vpc, const char *acl, const char *subnet, const char *group)
{
	put_vpc(c, vpc, "10.0.0.0/16");
	put_acl(c, acl, vpc, open_acl, COUNT(open_acl));
	put_subnet(c, subnet, vpc, "10.0.1.0/24", acl, local16, 1);
	put_group(c, group, vpc, all, 2);
}

/* ---- frames ---- */

static const uint8_t router_mac[6] = {0x02, 'r', 'o', 'u', 't', 'e'};

static void mac_of(const char *address, uint8_t mac[6])
{
	uint32_t a = htonl(ip(address));
	mac[0] = 0x0a;
	mac[1] = 0;
	memcpy(mac + 2, &a, 4);
}

static uint16_t sum(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint32_t s = 0;
	for (size_t i = 0; i < n; i += 2)
		s += (uint32_t)b[i] << 8 | (i + 1 < n ? b[i + 1] : 0);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons((uint16_t)~s);
}

static void set16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void set_ip(uint8_t *p, const char *address)
{
	uint32_t a = htonl(ip(address));
	memcpy(p, &a, 4);
}

/* An IPv4 header and Ethernet's before it; returns the room for what follows. */
static uint8_t *start_ip(uint8_t *f, const uint8_t from_mac[6], const uint8_t to_mac[6], const char *from, const char *to,
                         uint8_t protocol, size_t n)
{
	memset(f, 0, 34 + n);
	memcpy(f, to_mac, 6);
	memcpy(f + 6, from_mac, 6);
	set16(f + 12, 0x0800);
	f[14] = 0x45;
	set16(f + 16, (uint16_t)(20 + n));
	f[22] = 64;
	f[23] = protocol;
	set_ip(f + 26, from);
	set_ip(f + 30, to);
	uint16_t s = sum(f + 14, 20);
	memcpy(f + 24, &s, 2);
	return f + 34;
}

/* A datagram to port 9 with a mark in it. */
static void send_udp(int packet, const uint8_t from_mac[6], const char *from, const char *to, char mark)
{
	uint8_t f[64], *p = start_ip(f, from_mac, router_mac, from, to, 17, 9);
	set16(p, 1000);
	set16(p + 2, 9);
	set16(p + 4, 9);
	p[8] = (uint8_t)mark;
	send_frame(packet, f, 34 + 9);
}

/* The mark of the next datagram that comes to a socket at port 9; 0: none within a moment. */
static char next_mark(int fd)
{
	char mark = 0;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (poll(&p, 1, 200 * world_patience()) != 1 || recv(fd, &mark, 1, 0) != 1)
		return 0;
	return mark;
}

static void send_arp(int packet, uint16_t op, const uint8_t mac[6], const char *sender, const char *target)
{
	uint8_t f[42] = {0};
	memset(f, 0xff, 6);
	memcpy(f + 6, mac, 6);
	set16(f + 12, 0x0806);
	memcpy(f + 14, "\0\1\x08\0\6\4", 6);
	set16(f + 20, op);
	memcpy(f + 22, mac, 6);
	set_ip(f + 28, sender);
	set_ip(f + 38, target);
	send_frame(packet, f, sizeof(f));
}

/* Does somebody answer for `target`? */
static bool arp_answer(int packet, const char *target)
{
	uint8_t f[1600], wanted[4];
	struct pollfd p = {.fd = packet, .events = POLLIN};
	set_ip(wanted, target);
	while (poll(&p, 1, 200 * world_patience()) == 1) {
		ssize_t n = read(packet, f, sizeof(f));
		if (n >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 2 && memcmp(f + 28, wanted, 4) == 0)
			return memcmp(f + 22, router_mac, 6) == 0;
	}
	return false;
}

static void senders_are_checked(void **state)
{
	struct cloud *c = *state;
	uint8_t mac_a[6], mac_b[6];
	mac_of("10.0.1.10", mac_a);
	mac_of("10.0.1.11", mac_b);
	open_vpc(c, "vpc-1", "acl-1", "subnet-1", "sg-all");
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-all", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", NULL, "sg-all", true);
	put_port(c, NETWORK_VETH, "eni-c", "vpc-1", "subnet-1", "10.0.1.12", NULL, "sg-all", true);
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1), d = cloud_port(c, "eni-c", 1);
	int raw = packet_socket(c, a), sink = open_in(c, d, SOCK_DGRAM, "10.0.1.12", 9);
	struct network_port_stats before = {0}, stats = {0};
	assert_true(eventually(c, network_port_stats(c->networks, "eni-a", &before)));
	send_udp(raw, mac_a, "10.0.1.10", "10.0.1.12", '1');
	assert_int_equal(next_mark(sink), '1');
	send_udp(raw, mac_a, "10.0.1.11", "10.0.1.12", '2'); /* another's address */
	send_udp(raw, mac_b, "10.0.1.10", "10.0.1.12", '3'); /* another's link address */
	send_udp(raw, mac_b, "10.0.1.11", "10.0.1.12", '4'); /* both */
	send_udp(raw, mac_a, "192.0.2.77", "10.0.1.12", '5');
	send_udp(raw, mac_a, "169.254.169.254", "10.0.1.12", '6');
	send_udp(raw, mac_a, "127.0.0.1", "10.0.1.12", '7');
	assert_int_equal(next_mark(sink), 0);
	assert_true(eventually(c, network_port_stats(c->networks, "eni-a", &stats) && stats.drops >= before.drops + 5));
	assert_true(stats.tx_packets >= 7 && stats.tx_bytes >= 7 * 43);
	/* neighbours: all within the VPC's subnets is behind the router, and what an instance says about others changes nothing */
	send_arp(raw, 1, mac_a, "10.0.1.10", "10.0.1.12");
	assert_true(arp_answer(raw, "10.0.1.12"));
	send_arp(raw, 1, mac_a, "10.0.1.10", "10.0.1.1");
	assert_true(arp_answer(raw, "10.0.1.1"));
	send_arp(raw, 1, mac_a, "10.0.1.10", "169.254.169.254");
	assert_true(arp_answer(raw, "169.254.169.254"));
	send_arp(raw, 1, mac_a, "10.0.1.10", "10.0.1.77"); /* nobody's */
	assert_false(arp_answer(raw, "10.0.1.77"));
	send_arp(raw, 1, mac_a, "10.0.1.11", "10.0.1.12");
	assert_false(arp_answer(raw, "10.0.1.12"));
	for (uint16_t op = 1; op <= 2; op++) {
		send_arp(raw, op, mac_a, "10.0.1.11", "10.0.1.11");
		send_arp(raw, op, mac_a, "10.0.1.1", "10.0.1.12");
	}
	int mine = open_in(c, a, SOCK_DGRAM, "10.0.1.10", 9), his = open_in(c, b, SOCK_DGRAM, "10.0.1.11", 9);
	int raw_c = packet_socket(c, d);
	uint8_t mac_c[6];
	mac_of("10.0.1.12", mac_c);
	send_udp(raw_c, mac_c, "10.0.1.12", "10.0.1.11", '8');
	assert_int_equal(next_mark(his), '8');
	assert_int_equal(next_mark(mine), 0);
	/* with the check off: other addresses, but still its own link address */
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-all", false);
	cloud_turn(c, 200);
	send_udp(raw, mac_b, "192.0.2.77", "10.0.1.12", '9');
	send_udp(raw, mac_a, "192.0.2.77", "10.0.1.12", 'A');
	assert_int_equal(next_mark(sink), 'A');
	close(raw);
	close(raw_c);
	close(sink);
	close(mine);
	close(his);
}

static void clouds_of_one_machine_are_apart(void **state)
{
	struct cloud *c = *state;
	open_vpc(c, "vpc-1", "acl-1", "subnet-1", "sg-1");
	open_vpc(c, "vpc-2", "acl-2", "subnet-2", "sg-2");
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-1", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", NULL, "sg-1", true);
	put_port(c, NETWORK_VETH, "eni-x", "vpc-2", "subnet-2", "10.0.1.10", NULL, "sg-2", true);
	put_port(c, NETWORK_VETH, "eni-y", "vpc-2", "subnet-2", "10.0.1.12", NULL, "sg-2", true);
	int a = cloud_port(c, "eni-a", 1), x = cloud_port(c, "eni-x", 1);
	int b = cloud_port(c, "eni-b", 1);
	cloud_port(c, "eni-y", 1);
	assert_true(eventually(c, pings(c, a, "10.0.1.11")));
	assert_true(pings(c, x, "10.0.1.12"));
	assert_false(pings(c, a, "10.0.1.12"));
	assert_false(pings(c, x, "10.0.1.11"));
	assert_false(pings(c, -1, "10.0.1.10"));
	assert_string_equal(network_port_at(c->networks, "vpc-1", ip("10.0.1.10")), "eni-a");
	assert_string_equal(network_port_at(c->networks, "vpc-2", ip("10.0.1.10")), "eni-x");
	assert_null(network_port_at(c->networks, "vpc-1", ip("10.0.1.12")));
	/* the end of one is not the end of the other */
	network_remove(c->networks, "vpc-2");
	assert_true(eventually(c, !pings(c, x, "10.0.1.12")));
	assert_true(pings(c, b, "10.0.1.10"));
	assert_null(network_port_at(c->networks, "vpc-2", ip("10.0.1.10")));
}

static void services_know_who_asks(void **state)
{
	struct cloud *c = *state;
	const struct network_group_rule none[] = {{true, {6, 9, 9, ANY}, NULL}};
	open_vpc(c, "vpc-1", "acl-1", "subnet-1", "sg-1");
	/* neither groups nor ACLs have a say in it */
	put_acl(c, "acl-1", "vpc-1", NULL, 0);
	put_group(c, "sg-1", "vpc-1", none, 1);
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-1", false);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", NULL, "sg-1", true);
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1);
	static const struct {
		enum network_listener kind;
		const char *address;
		int port;
	} tcp[] = {{NETWORK_METADATA, "169.254.169.254", 80},
	           {NETWORK_ENDPOINT, "169.254.169.254", 4566},
	           {NETWORK_DNS_TCP, "169.254.169.253", 53},
	           {NETWORK_DNS_TCP, "10.0.0.2", 53}};
	for (size_t i = 0; i < COUNT(tcp); i++) {
		struct sockaddr_in peer;
		socklen_t n = sizeof(peer);
		int fd = -1, listener = cloud_listener(c, "vpc-1", tcp[i].kind);
		assert_true(connects(c, i % 2 ? b : a, tcp[i].address, tcp[i].port, &fd));
		int one = accept(listener, (struct sockaddr *)&peer, &n);
		assert_true(one >= 0);
		assert_string_equal(network_port_at(c->networks, "vpc-1", ntohl(peer.sin_addr.s_addr)), i % 2 ? "eni-b" : "eni-a");
		char x = 0;
		assert_int_equal(send(one, "y", 1, 0), 1);
		world_sleep(50000);
		assert_int_equal(recv(fd, &x, 1, MSG_DONTWAIT), 1);
		close(one);
		close(fd);
	}
	/* the resolver answers from the address that it was asked at */
	int client = open_in(c, a, SOCK_DGRAM, "10.0.1.10", 5353), dns = cloud_listener(c, "vpc-1", NETWORK_DNS);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr = {htonl(ip("10.0.0.2"))}}, peer;
	socklen_t n = sizeof(peer);
	char room[16];
	assert_return_code(connect(client, (struct sockaddr *)&to, sizeof(to)), errno);
	assert_int_equal(send(client, "who", 3, 0), 3);
	world_sleep(50000);
	assert_int_equal(recvfrom(dns, room, sizeof(room), MSG_DONTWAIT, (struct sockaddr *)&peer, &n), 3);
	assert_int_equal(ntohl(peer.sin_addr.s_addr), ip("10.0.1.10"));
	assert_int_equal(sendto(dns, "you", 3, 0, (struct sockaddr *)&peer, n), 3);
	world_sleep(50000);
	assert_int_equal(recv(client, room, sizeof(room), MSG_DONTWAIT), 3);
	close(client);
	/* nothing else of the router is there, and no port speaks with another's address, its source check off or not */
	assert_false(connects(c, a, "169.254.169.254", 81, NULL));
	assert_false(connects(c, a, "10.0.1.1", 80, NULL));
	assert_false(pings(c, a, "10.0.1.1"));
	uint8_t mac_a[6], f[64];
	mac_of("10.0.1.10", mac_a);
	int raw = packet_socket(c, a);
	uint8_t *p = start_ip(f, mac_a, router_mac, "10.0.1.11", "169.254.169.253", 17, 9);
	set16(p, 1000);
	set16(p + 2, 53);
	set16(p + 4, 9);
	send_frame(raw, f, 43);
	world_sleep(100000);
	assert_int_equal(recv(dns, room, sizeof(room), MSG_DONTWAIT), -1);
	close(raw);
	/* a port that asks without end is not heard more often than 1024 times a second, after as many at once; others are */
	int loud = open_in(c, a, SOCK_DGRAM, "10.0.1.10", 5354), quiet = open_in(c, b, SOCK_DGRAM, "10.0.1.11", 5354);
	int heard = 0;
	for (int i = 0; i < 6000; i++) {
		sendto(loud, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
		while (recv(dns, room, sizeof(room), MSG_DONTWAIT) > 0)
			heard++;
	}
	assert_in_range(heard, 1000, 4000);
	assert_int_equal(sendto(quiet, "yy", 2, 0, (struct sockaddr *)&to, sizeof(to)), 2);
	world_sleep(50000);
	ssize_t length;
	while ((length = recv(dns, room, sizeof(room), MSG_DONTWAIT)) == 1)
		;
	assert_int_equal(length, 2);
	close(loud);
	close(quiet);
}

/* ---- a tap, as a virtual machine has it: ARP and DHCP by hand ---- */

static size_t dhcp_request(uint8_t *f, const uint8_t mac[6], uint8_t type, const char *wanted)
{
	static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	size_t n = 8 + 240 + 3 + (wanted ? 6 : 0) + 1;
	uint8_t *p = start_ip(f, mac, everybody, "0.0.0.0", "255.255.255.255", 17, n);
	set16(p, 68);
	set16(p + 2, 67);
	set16(p + 4, (uint16_t)n);
	uint8_t *d = p + 8;
	memcpy(d, "\1\1\6\0abcd", 8);
	memcpy(d + 28, mac, 6);
	memcpy(d + 236, "\x63\x82\x53\x63\x35\1", 6);
	d[242] = type;
	d += 243;
	if (wanted) {
		*d++ = 50;
		*d++ = 4;
		set_ip(d, wanted);
		d += 4;
	}
	*d = 255;
	return 34 + n;
}

/* The type of the DHCP answer that comes to the tap, 0: none; *ret_address: the address in it. */
static int dhcp_answer_type(int tap, uint8_t *f, uint32_t *ret_address)
{
	struct pollfd p = {.fd = tap, .events = POLLIN};
	while (poll(&p, 1, 300 * world_patience()) == 1) {
		ssize_t n = read(tap, f, 1600);
		if (n < 34 + 8 + 243 || f[23] != 17 || f[37] != 68)
			continue;
		uint32_t a;
		memcpy(&a, f + 42 + 16, 4);
		*ret_address = ntohl(a);
		return f[42 + 242];
	}
	return 0;
}

static void taps_get_their_address(void **state)
{
	struct cloud *c = *state;
	uint8_t f[1700], mac[6], other[6];
	uint32_t address = 0;
	mac_of("10.0.1.20", mac);
	mac_of("10.0.1.21", other);
	open_vpc(c, "vpc-1", "acl-1", "subnet-1", "sg-1");
	put_port(c, NETWORK_TAP, "eni-t", "vpc-1", "subnet-1", "10.0.1.20", NULL, "sg-1", true);
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-1", true);
	int tap = cloud_port(c, "eni-t", 1), a = cloud_port(c, "eni-a", 1);
	fcntl(tap, F_SETFL, O_NONBLOCK);
	size_t n = dhcp_request(f, mac, 1, NULL);
	assert_int_equal(write(tap, f, n), n);
	assert_int_equal(dhcp_answer_type(tap, f, &address), 2);
	assert_int_equal(address, ip("10.0.1.20"));
	n = dhcp_request(f, mac, 3, "10.0.1.20");
	assert_int_equal(write(tap, f, n), n);
	assert_int_equal(dhcp_answer_type(tap, f, &address), 5);
	/* from the subnet's router, with its mask, resolver and names */
	assert_int_equal(f[26] << 24 | f[27] << 16 | f[28] << 8 | f[29], ip("10.0.1.1"));
	assert_non_null(memmem(f, 600, "\1\4\xff\xff\xff\0", 6));
	assert_non_null(memmem(f, 600, "\3\4\x0a\0\1\1", 6));
	assert_non_null(memmem(f, 600, "\6\4\x0a\0\0\2", 6));
	assert_non_null(memmem(f, 600, "\x0c\x0bip-10-0-0-1", 13));
	assert_non_null(memmem(f, 600, "ec2.internal", 12));
	n = dhcp_request(f, mac, 3, "10.0.1.21");
	assert_int_equal(write(tap, f, n), n);
	assert_int_equal(dhcp_answer_type(tap, f, &address), 6);
	n = dhcp_request(f, other, 1, NULL);
	assert_int_equal(write(tap, f, n), n);
	assert_int_equal(dhcp_answer_type(tap, f, &address), 0);
	/* it speaks with others */
	int sink = open_in(c, a, SOCK_DGRAM, "10.0.1.10", 9);
	uint8_t *p = start_ip(f, mac, router_mac, "10.0.1.20", "10.0.1.10", 17, 9);
	set16(p + 2, 9);
	set16(p + 4, 9);
	p[8] = 't';
	assert_int_equal(write(tap, f, 43), 43);
	assert_int_equal(next_mark(sink), 't');
	/* all of that from the heir too */
	int pid = cloud_net_pid(c);
	cloud_kill_net(c, false);
	assert_true(eventually(c, cloud_net_pid(c) != pid));
	assert_true(eventually(c, write(tap, f, 43) == 43 && next_mark(sink) == 't'));
	n = dhcp_request(f, mac, 1, NULL);
	assert_true(eventually(c, write(tap, f, n) == (ssize_t)n && dhcp_answer_type(tap, f, &address) == 2));
	assert_int_equal(address, ip("10.0.1.20"));
	assert_int_equal(cloud_port(c, "eni-t", 1), tap);
	close(sink);
}

/* ---- deaths ---- */

/* With all that it had, when nobody is left who could take it over. */
static void net_is_made_again(void **state)
{
	struct cloud *c = *state;
	open_vpc(c, "vpc-1", "acl-1", "subnet-1", "sg-1");
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", "127.77.0.5", "sg-1", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", NULL, "sg-1", true);
	int a = cloud_port(c, "eni-a", 1);
	assert_true(eventually(c, pings(c, a, "10.0.1.11")));
	int pid = cloud_net_pid(c);
	assert_true(pid > 1);
	cloud_kill_net(c, true);
	a = cloud_port(c, "eni-a", 2);
	cloud_port(c, "eni-b", 2);
	assert_int_not_equal(cloud_net_pid(c), pid);
	assert_true(eventually(c, pings(c, a, "10.0.1.11")));
	/* a change that comes while it is away */
	cloud_kill_net(c, true);
	put_group(c, "sg-1", "vpc-1", all, 1);
	a = cloud_port(c, "eni-a", 3);
	cloud_port(c, "eni-b", 3);
	assert_true(eventually(c, !pings(c, a, "10.0.1.11")));
}

/* Is there a route of this cloud to a public address? */
static bool leads_to(const struct cloud *c, const char *public)
{
	char command[120];
	snprintf(command, sizeof(command), "ip -o route show table local | grep '^%s via .* dev qv%.8s-' >/dev/null", public,
	         c->world.instance);
	return system(command) == 0;
}

/* A socket of this machine's that wants to be connected to port 80, under one of the machine's addresses; one packet has been sent.
 */
static int hello_from(struct cloud *c, uint32_t address, const char *to)
{
	const struct sockaddr_in under = {.sin_family = AF_INET, .sin_addr = {htonl(address)}};
	const struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = {htonl(ip(to))}};
	int fd = open_in(c, -1, SOCK_STREAM, NULL, 0);
	assert_true(eventually(c, bind(fd, (const struct sockaddr *)&under, sizeof(under)) == 0));
	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), -1);
	assert_int_equal(errno, EINPROGRESS);
	cloud_turn(c, 50);
	return fd;
}

static ino_t inode(int fd)
{
	struct stat st;
	assert_return_code(fstat(fd, &st), errno);
	return st.st_ino;
}

static void others_die_and_connections_live(void **state)
{
	struct cloud *c = *state;
	const struct network_route out[] = {{{0x0a000000, 16}, NETWORK_LOCAL, NULL}, {ANY, NETWORK_INTERNET, NULL}};
	put_vpc(c, "vpc-0", "10.9.0.0/16"); /* has the first link, whose address says nothing */
	open_vpc(c, "vpc-1", "acl-1", "subnet-1", "sg-1");
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", out, 2);
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", "127.77.0.5", "sg-1", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", "127.77.0.6", "sg-1", true);
	int a = cloud_port(c, "eni-a", 1), b = dup(cloud_port(c, "eni-b", 1)), fd = -1, from_here = -1;
	char first;
	ino_t a_is = inode(a);
	int web = open_in(c, a, SOCK_STREAM, "10.0.1.10", 80);
	/* the kernel may lose what is sent in the moment in which a link comes */
	assert_true(eventually(c, connects(c, b, "10.0.1.10", 80, &fd)));
	int peer = accept(web, NULL, NULL);
	assert_true(eventually(c, connects(c, -1, "127.77.0.5", 80, &from_here)));
	int here_peer = accept(web, NULL, NULL);
	assert_true(peer >= 0 && here_peer >= 0);
	uint32_t link = network_outside_address(c->networks, "vpc-1");
	assert_int_not_equal(link, network_outside_address(c->networks, "vpc-none")); /* so it tells that priv has answered */
	int pid = cloud_net_pid(c);
	/* the api side: what its predecessor has said holds until it has said all, */
	cloud_restart_api(c);
	put_vpc(c, "vpc-0", "10.9.0.0/16");
	open_vpc(c, "vpc-1", "acl-1", "subnet-1", "sg-1");
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", out, 2);
	cloud_listener(c, "vpc-1", NETWORK_METADATA);
	assert_true(eventually(c, network_outside_address(c->networks, "vpc-1") == link));
	assert_int_equal(send(from_here, "0", 1, 0), 1);
	assert_true(eventually(c, recv(here_peer, &first, 1, MSG_DONTWAIT) == 1));
	assert_true(leads_to(c, "127.77.0.5") && leads_to(c, "127.77.0.6"));
	/* and then it wants less */
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", "127.77.0.5", "sg-1", true);
	a = cloud_port(c, "eni-a", 1);
	assert_int_equal(inode(a), a_is);
	assert_int_equal(cloud_net_pid(c), pid);
	cloud_listener(c, "vpc-1", NETWORK_METADATA);
	char x;
	assert_int_equal(send(fd, "1", 1, 0), 1);
	world_sleep(100000);
	assert_int_equal(recv(peer, &x, 1, MSG_DONTWAIT), 1);
	assert_true(eventually(c, send(from_here, "2", 1, 0) == 1 && recv(here_peer, &x, 1, MSG_DONTWAIT) == 1));
	networks_settled(c->networks);
	assert_true(eventually(c, !connects(c, b, "10.0.1.10", 80, NULL)));
	assert_true(eventually(c, !leads_to(c, "127.77.0.6")));
	assert_true(leads_to(c, "127.77.0.5"));
	/* priv: its links go with the next one's start, and come again */
	assert_return_code(kill(c->world.priv, SIGKILL), errno);
	world_restart_priv(&c->world);
	assert_int_equal(cloud_net_pid(c), pid);
	/* who goes on under the address of another link, which may be his of before, leaves nothing in the others' way */
	assert_true(eventually(c, leads_to(c, "127.77.0.5")));
	close(hello_from(c, network_outside_address(c->networks, "vpc-0"), "127.77.0.5"));
	assert_true(eventually(c, connects(c, -1, "127.77.0.5", 80, NULL)));
	/* everything but net, which a cloud that wants no networks ends */
	assert_return_code(kill(c->world.priv, SIGKILL), errno);
	cloud_restart_api(c);
	world_restart_priv(&c->world);
	networks_settled(c->networks);
	assert_true(eventually(c, cloud_net_pid(c) == 0));
	close(b);
	close(fd);
	close(from_here);
	close(peer);
	close(here_peer);
	close(web);
}

/* The role as main starts it; returns api's end of its socket. */
static int start_role(const char *dir, bool ephemeral, pid_t *ret_pid, int *ret_main)
{
	int to_main[2], to_api[2];
	const char *program = getenv("QUARTET_PROGRAM");
	assert_non_null(program);
	assert_int_equal(msg_pair(to_main), 0);
	assert_int_equal(msg_pair(to_api), 0);
	*ret_pid = fork();
	if (*ret_pid == 0) {
		int main_end = fcntl(to_main[1], F_DUPFD, 64), api_end = fcntl(to_api[1], F_DUPFD, 64);
		if (dup2(main_end, 3) < 0 || dup2(api_end, 4) < 0)
			_exit(1);
		close_range(5, ~0u, 0);
		execl(program, "quartet", "role", "priv", dir, "127.0.0.1", "0", "0", "", "", ephemeral ? "1" : "0", "", "0", "",
		      "auto", "no", "", (char *)NULL);
		_exit(1);
	}
	close(to_main[1]);
	close(to_api[1]);
	*ret_main = to_main[0];
	return to_api[0];
}

/* What the role does about networks when it ends: orderly, because main is gone, and after that in an ephemeral cloud's sweep. */
static void roles_end_what_they_should(void **state)
{
	struct cloud c = {.home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)};
	char dir[] = "/tmp/quartet-host-XXXXXX";
	const uint32_t drain = 1;
	(void)state;
	assert_non_null(mkdtemp(dir));
	strcpy(c.world.dir, dir);
	for (int ending = 0; ending < 3; ending++) {
		pid_t priv;
		int to_main, status;
		c.world.loop = loop_new();
		c.world.cells = cells_new(c.world.loop, start_role(dir, ending == 2, &priv, &to_main), &(struct cells_config){0});
		cloud_restart_api(&c);
		int before = cloud_net_pid(&c);
		/* the sweep asks for nothing */
		if (ending < 2) {
			open_vpc(&c, "vpc-1", "acl-1", "subnet-1", "sg-1");
			put_port(&c, NETWORK_TAP, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-1", true);
			cloud_port(&c, "eni-a", 1);
		}
		int pid = ending < 2 ? cloud_net_pid(&c) : before;
		assert_true(pid > 1);
		if (ending == 0)
			assert_int_equal(send(to_main, &drain, sizeof(drain), 0), sizeof(drain));
		close(to_main);
		assert_int_equal(waitpid(priv, &status, 0), priv);
		assert_int_equal(status, 0);
		if (ending == 1)
			assert_int_equal(cloud_net_pid(&c), pid);
		else
			assert_int_equal(cloud_net_pid(&c), 0);
		cloud_restart_api(&c);
		networks_free(c.networks);
		c.networks = NULL;
		cells_free(c.world.cells);
		loop_free(c.world.loop);
	}
	assert_int_equal(access(dir, F_OK), -1);
	close(c.home);
}

static void rates_are_limited(void **state)
{
	struct cloud *c = *state;
	open_vpc(c, "vpc-1", "acl-1", "subnet-1", "sg-1");
	uint32_t addresses[] = {ip("10.0.1.10"), ip("10.0.1.11")};
	static const char *const ids[] = {"eni-a", "eni-b"}, *const group = "sg-1";
	for (int i = 0; i < 2; i++) {
		struct network_address address = {addresses[i], 0};
		struct network_port p = {.id = ids[i],
		                         .vpc = "vpc-1",
		                         .subnet = "subnet-1",
		                         .kind = NETWORK_VETH,
		                         .mac = {0x0a, 0, 0, 0, 0, (uint8_t)i},
		                         .addresses = &address,
		                         .address_count = 1,
		                         .groups = &group,
		                         .group_count = 1,
		                         .source_check = true,
		                         .host_name = "",
		                         .domain = "",
		                         .bits_per_s = i ? 0 : 8000000};
		assert_int_equal(network_put_port(c->networks, &p), 0);
	}
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1);
	int from[2] = {open_in(c, a, SOCK_DGRAM, "10.0.1.10", 9), open_in(c, b, SOCK_DGRAM, "10.0.1.11", 9)};
	static char datagram[1400];
	for (int way = 0; way < 2; way++) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(addresses[!way])}};
		size_t got = 0, sent = 0;
		bool drained = false;
		struct timespec start, now;
		clock_gettime(CLOCK_MONOTONIC, &start);
		double s;
		do {
			if (sendto(from[way], datagram, sizeof(datagram), 0, (struct sockaddr *)&to, sizeof(to)) > 0)
				sent += sizeof(datagram);
			for (ssize_t n; (n = recv(from[!way], datagram, sizeof(datagram), MSG_DONTWAIT)) > 0;)
				got += (size_t)n;
			clock_gettime(CLOCK_MONOTONIC, &now);
			s = (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9;
			/* a second's worth may come at once */
			if (s > 1 && !drained)
				drained = true, got = sent = 0;
		} while (s < 2);
		/* a megabyte a second; what was sent was more than twice that */
		assert_true(sent > 2600000);
		assert_in_range(got, 500000, 1300000);
	}
	close(from[0]);
	close(from[1]);
}

/* As a child of priv makes a link; its result. */
static int plug_in_child(int plug, int ns)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0)
		_exit(-plug_link(plug, ns, "eth0"));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

static int new_namespace(const struct cloud *c)
{
	assert_return_code(unshare(CLONE_NEWNET), errno);
	int ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_return_code(setns(c->home, CLONE_NEWNET), errno);
	assert_true(ns >= 0);
	return ns;
}

static bool has_link(const struct cloud *c, int ns)
{
	assert_return_code(setns(ns, CLONE_NEWNET), errno);
	bool has = if_nametoindex("eth0") != 0;
	assert_return_code(setns(c->home, CLONE_NEWNET), errno);
	return has;
}

static void put_plugged(struct cloud *c)
{
	open_vpc(c, "vpc-1", "acl-1", "subnet-1", "sg-all");
	put_port(c, NETWORK_PLUG, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-all", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", NULL, "sg-all", true);
}

static void links_are_made_by_who_has_the_namespace(void **state)
{
	struct cloud *c = *state;
	uint8_t mac_a[6];
	mac_of("10.0.1.10", mac_a);
	put_plugged(c);
	int a = new_namespace(c), b = cloud_port(c, "eni-b", 1), plug = cloud_port(c, "eni-a", 1);
	int listener = open_in(c, b, SOCK_STREAM, "10.0.1.11", 80), sink = open_in(c, b, SOCK_DGRAM, "10.0.1.11", 9);
	assert_int_equal(plug_in_child(plug, a), 0);
	assert_return_code(setns(a, CLONE_NEWNET), errno);
	int made = system(
	        "ip link set lo up && ip link set eth0 up && ip addr add 10.0.1.10/24 dev eth0 && ip route add default via 10.0.1.1");
	assert_return_code(setns(c->home, CLONE_NEWNET), errno);
	assert_int_equal(made, 0);
	assert_true(eventually(c, connects(c, a, "10.0.1.11", 80, NULL)));
	/* its rules hold as any other's */
	int raw = packet_socket(c, a);
	send_udp(raw, mac_a, "10.0.1.99", "10.0.1.11", '1');
	send_udp(raw, mac_a, "10.0.1.10", "10.0.1.11", '2');
	assert_int_equal(next_mark(sink), '2');
	/* one link a port */
	assert_int_equal(plug_in_child(plug, a), -EEXIST);
	/* a new api has the plug too, and the link is where it was */
	cloud_restart_api(c);
	put_plugged(c);
	assert_int_equal(plug_in_child(cloud_port(c, "eni-a", 1), a), -EEXIST);
	assert_true(connects(c, a, "10.0.1.11", 80, NULL));
	/* it goes with its port, and the plug is dead then */
	plug = dup(cloud_port(c, "eni-a", 1));
	network_remove(c->networks, "eni-a");
	assert_true(eventually(c, plug_in_child(plug, a) == -EPIPE));
	assert_true(eventually(c, !has_link(c, a)));
	for (const int *fd = (const int[]){listener, sink, raw, plug, a, -1}; *fd >= 0; fd++)
		close(*fd);
}

/* Whoever speaks for `net` does not get a link into a namespace that is not net's. */
static void plugs_lead_to_routers_alone(void **state)
{
	struct cloud *c = *state;
	int pair[2], ns = new_namespace(c), foreign[] = {c->home, new_namespace(c)};
	assert_int_equal(msg_pair(pair), 0);
	for (int i = 0; i < 2; i++) {
		struct plug_word w = {.verb = PLUG_ASK, .name = "qtplug"};
		assert_int_equal(msg_send(pair[0], &w, sizeof(w), &foreign[i], 1), 0);
		assert_int_equal(plug_in_child(pair[1], ns), -EPERM);
	}
	assert_false(has_link(c, ns));
	for (const int *fd = (const int[]){pair[0], pair[1], ns, foreign[1], -1}; *fd >= 0; fd++)
		close(*fd);
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
	        cmocka_unit_test_setup_teardown(senders_are_checked, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(clouds_of_one_machine_are_apart, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(services_know_who_asks, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(links_are_made_by_who_has_the_namespace, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(plugs_lead_to_routers_alone, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(taps_get_their_address, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(net_is_made_again, open_cloud, close_cloud),
	        cmocka_unit_test_setup_teardown(others_die_and_connections_live, open_cloud, close_cloud),
	        cmocka_unit_test(roles_end_what_they_should),
	        cmocka_unit_test_setup_teardown(rates_are_limited, open_cloud, close_cloud),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
