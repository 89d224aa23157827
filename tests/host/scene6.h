/* A VPC with IPv6 and two ports in two subnets, for host tests of it. eni-b listens at port 80 and is of the group sg-b. */
#pragma once
#include "cloud.h"

#include <netinet/in.h>

#define ANY \
	{ \
		0, 0 \
	}
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BLOCK "fd9a:1:2:300::"
#define A6 "fd9a:1:2:300::a"
#define B6 "fd9a:1:2:301::b"
#define P6 "fd9a:1:3:500::c"

struct scene {
	struct cloud c;
	int a, b; /* namespaces */
	int served;
};

/* Addresses and puts of IPv6. */
struct in6_addr ip6(const char *text);
struct network_prefix6 prefix6(const char *text, uint8_t bits);
void put_vpc6(struct cloud *c, const char *id, const char *v4, const char *v6);
struct network_route route6(const char *to, uint8_t bits, enum network_target kind, const char *target);
void put_subnet6(struct cloud *c, const char *id, const char *vpc, const char *v4, const char *v6, const char *acl,
                 const struct network_route *routes, size_t n);
void put_port6(struct cloud *c, const char *id, const char *vpc, const char *subnet, const char *v4, const char *v6,
               const char *group, bool source_check);
struct network_group_rule rule6(bool egress, int16_t protocol, int32_t port, const char *peer, uint8_t bits);
const struct network_acl_rule *open_acl(void);
/* A socket in a namespace (-1: the machine's), non-blocking; bound to address and port when there is an address. */
int open6(struct cloud *c, int ns, int type, const char *address, int port);
bool connects6(struct cloud *c, int ns, const char *from, const char *to, int port);
/* A command in a namespace: that has to end well, and whether its output has the needle. */
void inside(int ns, const char *command);
bool inside_says(int ns, const char *command, const char *needle);
bool arrives(int fd);
void send_to(int fd, const char *to, int port);
/* vpc-a with two subnets, and further routes of both; what the group of eni-b lets in beside all that goes out. */
void put_scene(struct scene *s, const struct network_route *more, size_t n);
void put_rules(struct scene *s, const struct network_group_rule *in);
void open_scene(struct scene *s);
void close_scene(struct scene *s);
