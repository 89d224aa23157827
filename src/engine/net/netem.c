#include "engine/net/netem.h"

#include "engine/net/netlink.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

enum { PACKETS = 10000 /* that wait at most */, NS_PER_MS = 1000000 };

static struct nlmsghdr *start(char room[static NETLINK_ROOM], uint16_t type, uint16_t flags, unsigned ifindex)
{
	struct nlmsghdr *h = netlink_start(room, type, flags);
	struct tcmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	*m = (struct tcmsg){.tcm_family = AF_UNSPEC, .tcm_ifindex = (int)ifindex, .tcm_parent = TC_H_ROOT};
	return h;
}

/* Its options are a struct with attributes behind it. */
static int add(int sock, unsigned ifindex, uint16_t delay_ms)
{
	char room[NETLINK_ROOM];
	struct nlmsghdr *h = start(room, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, ifindex);
	mnl_attr_put_strz(h, TCA_KIND, "netem");
	struct nlattr *options = mnl_attr_nest_start(h, TCA_OPTIONS);
	options->nla_type = TCA_OPTIONS;
	struct tc_netem_qopt *q = mnl_nlmsg_get_payload_tail(h);
	*q = (struct tc_netem_qopt){.limit = PACKETS};
	h->nlmsg_len += MNL_ALIGN(sizeof(*q));
	mnl_attr_put_u64(h, TCA_NETEM_LATENCY64, (uint64_t)delay_ms * NS_PER_MS);
	mnl_attr_nest_end(h, options);
	return netlink_ask(sock, h, NULL, NULL);
}

int netem_set(int sock, unsigned ifindex, uint16_t delay_ms)
{
	char room[NETLINK_ROOM];
	if (delay_ms)
		return add(sock, ifindex, delay_ms);
	int error = netlink_ask(sock, start(room, RTM_DELQDISC, 0, ifindex), NULL, NULL);
	return error == -ENOENT || error == -EINVAL ? 0 : error; /* there is none */
}

bool netem_works(int sock, unsigned ifindex)
{
	return add(sock, ifindex, 1) == 0 && netem_set(sock, ifindex, 0) == 0;
}
