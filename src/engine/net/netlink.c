#include "engine/net/netlink.h"

#include <errno.h>
#include <sys/socket.h>

enum { ANSWER_ROOM = 8192 };

int netlink_ask(int sock, struct nlmsghdr *h, void (*each)(void *ctx, const struct nlmsghdr *r), void *ctx)
{
	h->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (send(sock, h, h->nlmsg_len, 0) < 0)
		return -errno;
	char room[ANSWER_ROOM];
	for (;;) {
		ssize_t n = recv(sock, room, sizeof(room), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		int left = (int)n;
		for (struct nlmsghdr *r = (void *)room; mnl_nlmsg_ok(r, left); r = mnl_nlmsg_next(r, &left)) {
			if (r->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)mnl_nlmsg_get_payload(r))->error;
			if (each)
				each(ctx, r);
		}
	}
}

struct nlmsghdr *netlink_start(char room[static NETLINK_ROOM], uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(room);
	h->nlmsg_type = type;
	h->nlmsg_flags = flags;
	return h;
}
