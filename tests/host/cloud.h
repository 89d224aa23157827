/* Virtual networks without the cloud: net and priv for real, the face that EC2 uses in the caller's process, and packets sent from
 * inside the ports' namespaces. For host tests. Needs root. */
#pragma once
#include "world.h"

#include "engine/net/network.h"

enum { CLOUD_PORTS_MAX = 32, CLOUD_FLOWS_MAX = 64 };

struct cloud {
	struct world world;
	struct networks *networks;
	int home; /* our own network namespace */
	struct {
		char id[NETWORK_ID_MAX];
		int fd;
		unsigned times; /* told */
	} ports[CLOUD_PORTS_MAX];
	struct {
		char vpc[NETWORK_ID_MAX];
		int fds[NETWORK_LISTENERS];
	} vpcs[4];
	struct {
		char port[NETWORK_ID_MAX];
		uint32_t tag;
		int fd;
		unsigned times;
	} sockets[NETWORK_SOCKET_DNS_TCP + 1]; /* the last one told, by kind */
	struct network_fault fault;            /* of ports that are put from now on */
	bool count_flows;                      /* of ports that are put from now on */
	unsigned zone;                         /* of ports that are put from now on */
	unsigned flows_times;                  /* told, of any port */
	struct cloud_flow {
		char port[NETWORK_ID_MAX];
		struct network_flow flow;
	} flows[CLOUD_FLOWS_MAX]; /* all that was told */
	size_t flow_count;
};

void cloud_open(struct cloud *c);
/* A namespace that stands for the internet: 198.51.100.2 behind a link of this machine's. It goes with the test's cloud. */
int cloud_outside(void);
/* Forgets all descriptors, ends networks and priv; asserts that nothing is left on the machine. */
void cloud_close(struct cloud *c);
/* The api side again, as after a crash of it. */
void cloud_restart_api(struct cloud *c);
void cloud_turn(struct cloud *c, int ms);
/* The descriptor of a port, once it has been told `times` times; asserts that it comes. */
int cloud_port(struct cloud *c, const char *id, unsigned times);
int cloud_listener(struct cloud *c, const char *vpc, enum network_listener kind);
/* net's pid; 0: it is not there. */
int cloud_net_pid(const struct cloud *c);
/* Its heir's, which may have to be made first; 0: there is none. */
int cloud_heir_pid(int net);
/* kill -9 of net, once it has an heir, or of both at once. */
void cloud_kill_net(struct cloud *c, bool with_heir);

/* Puts of ordinary things. Addresses as text. */
void put_vpc(struct cloud *c, const char *id, const char *prefix);
void put_subnet(struct cloud *c, const char *id, const char *vpc, const char *prefix, const char *acl,
                const struct network_route *routes, size_t n);
void put_group(struct cloud *c, const char *id, const char *vpc, const struct network_group_rule *rules, size_t n);
void put_acl(struct cloud *c, const char *id, const char *vpc, const struct network_acl_rule *rules, size_t n);
void put_port(struct cloud *c, enum network_port_kind kind, const char *id, const char *vpc, const char *subnet,
              const char *address, const char *public, const char *group, bool source_check);
struct network_prefix prefix(const char *text);
uint32_t ip(const char *text);

/* A socket in a namespace (-1: the machine's), non-blocking; bound to address:port when those are given. */
int open_in(struct cloud *c, int ns, int type, const char *address, int port);
/* Does a TCP connection from there come about within 300 ms (times patience)? *ret_fd (may be NULL): it, the caller's. */
bool connects(struct cloud *c, int ns, const char *to, int port, int *ret_fd);
bool pings(struct cloud *c, int ns, const char *to);
/* Waits up to 3 s for the expression to become true, while the loop turns. */
#define eventually(c, expression) \
	({ \
		bool came_ = false; \
		for (int i_ = 0; i_ < 200 && !came_; i_++) { \
			came_ = (expression); \
			if (!came_) \
				cloud_turn((c), 50); \
		} \
		came_; \
	})
/* Writes a file of /proc/sys/net as it is in there. */
void write_inside(struct cloud *c, int ns, const char *path, const char *text);
/* Sends a whole frame from a namespace's eth0; returns an AF_PACKET socket there, the caller's, on which answers can be read. */
int packet_socket(struct cloud *c, int ns);
void send_frame(int packet, const void *frame, size_t n);
