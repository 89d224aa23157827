/* A port that many sandboxes share: its namespace is a router of its own between their links and the port's one. There they are
 * told apart by the addresses of their links, and behind it they have the port's; who was asked by whom the kernel keeps in the
 * namespace's own table of flows. What may leave and where to is the VPC's router's business, as with every port. */
#include "engine/net/link.h"
#include "engine/net/router.h"

#include "base/log.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

/* Link-local services are for whoever the interface belongs to (an instance would get its credentials there): names alone are for
 * all. IPv6 is not led through. */
static const char rules[] =
        "table ip q {\n"
        "chain forward { type filter hook forward priority filter; policy drop;\n"
        "ct state established,related accept\n"
        "iifname \"eth0\" drop\n"
        "oifname != \"eth0\" drop\n"
        "ip daddr 169.254.169.253 meta l4proto { tcp, udp } th dport 53 accept\n"
        "ip daddr { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3 } drop\n"
        "accept\n"
        "}\n"
        "chain input { type filter hook input priority filter; policy drop; }\n"
        "chain output { type filter hook output priority filter; policy drop; }\n"
        "chain hide { type nat hook postrouting priority srcnat; policy accept; oifname \"eth0\" masquerade\n}\n"
        "}\n"
        "table ip6 q {\n"
        "chain forward { type filter hook forward priority filter; policy drop; }\n"
        "chain input { type filter hook input priority filter; policy drop; }\n"
        "}\n";

static int set_rules(void)
{
	char why[200] = "";
	struct nft *nft = nft_new();
	int error = nft ? nft_run(nft, rules, why, sizeof(why)) : -ENOTSUP;
	if (error)
		log_error("rules of a shared port refused: %s", why);
	nft_free(nft);
	return error;
}

static int let_through(void)
{
	unsigned eth0;
	int sock = link_socket(), error = sock < 0 ? sock : link_index(sock, "eth0", &eth0);
	if (!error)
		error = link_set_forwarding(sock, eth0, true);
	if (sock >= 0)
		close(sock);
	return error;
}

int port_share(const struct thing *t)
{
	if (setns(t->fd, CLONE_NEWNET) < 0)
		return -errno;
	int error = router_set_switches();
	if (!error)
		error = set_rules();
	if (!error)
		error = let_through();
	router_leave(t->router);
	return error;
}
