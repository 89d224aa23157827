/* Two ports of a VPC beside a plain veth pair: latency and throughput between them, how soon a change of a security group acts, and
 * what many groups and rules cost. Prints `name value` lines, times in microseconds. Needs root. */
#include "../tests/host/cloud.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	ROUNDS = 5,
	ROUND_TRIPS = 2000,
	STREAM_US = 400000,
	PIECE = 256 * 1024,
	CHANGES = 15,
	GROUPS = 1000,
	RULES = 50,
	PORT = 7000,
	SETTLE_MS = 50
};

static const struct network_group_rule let_out = {.egress = true, .match = {.protocol = -1, .from = -1, .to = -1}},
                                       let_in = {.match = {.protocol = -1, .from = -1, .to = -1}};

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_value);
	return v[n / 2];
}

static void command(const char *text)
{
	if (system(text) != 0) {
		fprintf(stderr, "network: this failed: %s\n", text);
		exit(1);
	}
}

/* --- the peer: two namespaces of our own and nothing between them */

static int new_namespace(const struct cloud *c)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (setns(c->home, CLONE_NEWNET) < 0)
		abort();
	return fd;
}

static void plain_pair(const struct cloud *c, int *ret_a, int *ret_b)
{
	char text[600];
	int a = new_namespace(c), b = new_namespace(c), pid = (int)getpid();
	if (a < 0 || b < 0) {
		perror("network: a namespace");
		exit(1);
	}
	snprintf(text, sizeof(text),
	         "IN='nsenter --net=/proc/%1$d/fd/'; ${IN}%2$d ip link add eth0 type veth peer name there && "
	         "${IN}%2$d ip link set there netns /proc/%1$d/fd/%3$d name eth0 && ${IN}%2$d ip addr add 10.9.0.1/24 dev eth0 && "
	         "${IN}%3$d ip addr add 10.9.0.2/24 dev eth0 && ${IN}%2$d ip link set eth0 up && ${IN}%3$d ip link set eth0 up",
	         pid, a, b);
	command(text);
	*ret_a = a;
	*ret_b = b;
}

/* --- one connection */

struct pair {
	int near, far; /* blocking */
};

static struct pair connected(struct cloud *c, int a, int b, const char *address)
{
	struct pair p = {-1, -1};
	int one = 1, server = open_in(c, b, SOCK_STREAM, address, PORT);
	for (int tries = 0; p.near < 0 && tries < 50; tries++) {
		if (!connects(c, a, address, PORT, &p.near))
			cloud_turn(c, 20);
	}
	if (p.near < 0) {
		fprintf(stderr, "network: %s cannot be reached\n", address);
		exit(1);
	}
	p.far = accept(server, NULL, NULL);
	close(server);
	fcntl(p.near, F_SETFL, 0);
	fcntl(p.far, F_SETFL, 0);
	setsockopt(p.near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(p.far, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return p;
}

static void part(struct pair p)
{
	close(p.near);
	close(p.far);
}

static void *echo(void *arg)
{
	const struct pair *p = arg;
	char x;
	while (recv(p->far, &x, 1, 0) == 1 && send(p->far, &x, 1, MSG_NOSIGNAL) == 1)
		;
	return NULL;
}

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double round_trip_us(struct cloud *c, int a, int b, const char *address)
{
	static double times[ROUND_TRIPS];
	struct pair p = connected(c, a, b, address);
	pthread_t thread;
	char x = 0;
	pthread_create(&thread, NULL, echo, &p);
	for (int i = 0; i < ROUND_TRIPS; i++) {
		double begin = now_us();
		if (send(p.near, &x, 1, MSG_NOSIGNAL) != 1 || recv(p.near, &x, 1, 0) != 1)
			exit(1);
		times[i] = now_us() - begin;
	}
	shutdown(p.near, SHUT_WR);
	pthread_join(thread, NULL);
	part(p);
	return median(times, ROUND_TRIPS);
}

static void *sink(void *arg)
{
	const struct pair *p = arg;
	static char room[PIECE];
	static size_t total;
	ssize_t n;
	total = 0;
	while ((n = recv(p->far, room, sizeof(room), 0)) > 0)
		total += (size_t)n;
	return &total;
}

static double bytes_per_s(struct cloud *c, int a, int b, const char *address)
{
	static char piece[PIECE];
	struct pair p = connected(c, a, b, address);
	pthread_t thread;
	void *total;
	pthread_create(&thread, NULL, sink, &p);
	int64_t begin = clock_mono_us();
	while (clock_mono_us() < begin + STREAM_US)
		if (send(p.near, piece, sizeof(piece), MSG_NOSIGNAL) < 0)
			exit(1);
	shutdown(p.near, SHUT_WR);
	pthread_join(thread, &total);
	double us = (double)(clock_mono_us() - begin);
	part(p);
	return (double)*(const size_t *)total * 1e6 / us;
}

/* --- how soon a change acts */

struct probe {
	int near, far; /* non-blocking UDP; near is connected to far */
};

static bool arrives(const struct probe *p)
{
	char x;
	ssize_t ignored = send(p->near, "x", 1, MSG_NOSIGNAL);
	(void)ignored;
	bool came = false;
	while (recv(p->far, &x, 1, MSG_DONTWAIT) == 1)
		came = true;
	return came;
}

/* A datagram every few microseconds until they begin to arrive, or until a thousand in a row have not. */
static double until_us(struct cloud *c, const struct probe *p, bool open)
{
	int64_t begin = clock_mono_us(), last = begin;
	for (int lost = 0; clock_mono_us() < begin + 5000000;) {
		loop_turn(c->world.loop, 0);
		bool came = arrives(p);
		if (came && open)
			return (double)(clock_mono_us() - begin);
		if (came)
			last = clock_mono_us();
		lost = came ? 0 : lost + 1;
		if (!open && lost == 1000)
			return (double)(last - begin);
	}
	fprintf(stderr, "network: the change does not come to be\n");
	exit(1);
}

/* Opens and closes by a rule of the group of far; the flow is one and the same, so it is the established one that is closed. */
static void changes(struct cloud *c, const struct probe *p, const char *group, const struct network_group_rule *rules, size_t n,
                    const char *name)
{
	double opening[CHANGES], closing[CHANGES];
	for (int i = 0; i < CHANGES; i++) {
		cloud_turn(c, SETTLE_MS); /* the kernel still puts away what the last change replaced */
		put_group(c, group, "vpc-1", rules, n);
		opening[i] = until_us(c, p, true);
		cloud_turn(c, SETTLE_MS);
		put_group(c, group, "vpc-1", rules, n - 1);
		closing[i] = until_us(c, p, false);
	}
	put_group(c, group, "vpc-1", rules, n);
	until_us(c, p, true);
	printf("open%s %.0f\nclose%s %.0f\n", name, median(opening, CHANGES), name, median(closing, CHANGES));
}

int main(void)
{
	static struct cloud cloud;
	struct cloud *c = &cloud;
	const struct network_group_rule all[] = {let_out, let_in};
	const struct network_acl_rule open_acl[] = {{.number = 100, .allow = true, .match = let_in.match},
	                                            {.number = 100, .egress = true, .allow = true, .match = let_in.match}};
	const struct network_route local = {.to = prefix("10.0.0.0/16"), .kind = NETWORK_LOCAL};
	int plain_a, plain_b;
	cloud_open(c);
	plain_pair(c, &plain_a, &plain_b);
	put_vpc(c, "vpc-1", "10.0.0.0/16");
	put_acl(c, "acl-1", "vpc-1", open_acl, 2);
	put_subnet(c, "subnet-1", "vpc-1", "10.0.1.0/24", "acl-1", &local, 1);
	put_group(c, "sg-a", "vpc-1", all, 2);
	put_group(c, "sg-b", "vpc-1", all, 2);
	put_port(c, NETWORK_VETH, "eni-a", "vpc-1", "subnet-1", "10.0.1.10", NULL, "sg-a", true);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", NULL, "sg-b", true);
	int a = cloud_port(c, "eni-a", 1), b = cloud_port(c, "eni-b", 1);

	double times[2][ROUNDS], rates[2][ROUNDS];
	for (int i = 0; i < ROUNDS; i++) {
		times[0][i] = round_trip_us(c, a, b, "10.0.1.11");
		times[1][i] = round_trip_us(c, plain_a, plain_b, "10.9.0.2");
		rates[0][i] = bytes_per_s(c, a, b, "10.0.1.11");
		rates[1][i] = bytes_per_s(c, plain_a, plain_b, "10.9.0.2");
	}
	double alone = median(times[0], ROUNDS);
	printf("round_trip %.2f\nround_trip_plain %.2f\n", alone, median(times[1], ROUNDS));
	printf("bytes_per_s %.0f\nbytes_per_s_plain %.0f\n", median(rates[0], ROUNDS), median(rates[1], ROUNDS));

	struct probe p = {.near = open_in(c, a, SOCK_DGRAM, NULL, 0), .far = open_in(c, b, SOCK_DGRAM, "10.0.1.11", PORT)};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr = {htonl(ip("10.0.1.11"))}};
	if (connect(p.near, (struct sockaddr *)&to, sizeof(to)) < 0)
		return 1;
	changes(c, &p, "sg-b", all, 2, "");

	/* Many groups, each of many rules of its own; the one that lets the probe in is the last of its group. */
	static struct network_group_rule many[RULES + 1];
	char id[40], address[40];
	int64_t begin = clock_mono_us();
	for (int g = 0; g < GROUPS; g++) {
		for (int r = 0; r < RULES - 1; r++) {
			snprintf(address, sizeof(address), "192.%d.%d.0/24", g % 200, r);
			many[r] = (struct network_group_rule){
			        .match = {.protocol = 6, .from = 100 * r + g, .to = 100 * r + g, .peer = prefix(address)}};
		}
		many[RULES - 1] = let_out;
		snprintf(id, sizeof(id), "sg-%d", g);
		put_group(c, id, "vpc-1", many, RULES);
		loop_turn(c->world.loop, 0);
	}
	/* what is put later is there later */
	put_port(c, NETWORK_VETH, "eni-c", "vpc-1", "subnet-1", "10.0.1.12", NULL, "sg-0", true);
	cloud_port(c, "eni-c", 1);
	printf("put_groups %.0f\n", (double)(clock_mono_us() - begin));
	many[RULES] = let_in;
	put_group(c, "sg-7", "vpc-1", many, RULES + 1);
	put_port(c, NETWORK_VETH, "eni-b", "vpc-1", "subnet-1", "10.0.1.11", NULL, "sg-7", true);
	until_us(c, &p, true);
	changes(c, &p, "sg-7", many, RULES + 1, "_many");
	for (int i = 0; i < ROUNDS; i++)
		times[0][i] = round_trip_us(c, a, b, "10.0.1.11");
	printf("round_trip_many %.2f\n", median(times[0], ROUNDS));
	close(p.near);
	close(p.far);
	cloud_close(c);
	return 0;
}
