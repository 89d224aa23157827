#include "engine/net/plug.h"
#include "engine/net/link.h"
#include "engine/net/route.h"

#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 20 * 1000 };

static int say(int plug, enum plug_verb verb, struct plug_word *ret, int *ret_fd)
{
	struct pollfd p = {.fd = plug, .events = POLLIN};
	struct plug_word w = {.verb = verb};
	size_t nfds = 0;
	int error = msg_send(plug, &w, sizeof(w), NULL, 0);
	if (error)
		return error;
	for (;;) {
		int fd = -1;
		if (poll(&p, 1, PATIENCE_MS) != 1)
			return -ETIMEDOUT;
		ssize_t n = msg_recv(plug, ret, sizeof(*ret), &fd, 1, &nfds);
		bool right = n == sizeof(*ret) && ret->verb == verb;
		if (right && ret_fd)
			*ret_fd = fd;
		else
			msg_close_fds(&fd, 1);
		if (right)
			return ret->error;
		/* what was asked before may be answered twice, by a net and its heir */
		if (n != sizeof(*ret))
			return n < 0 ? (int)n : -EPIPE;
	}
}

int plug_check_router(int fd)
{
	struct stat owner, own;
	int user = ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET ? ioctl(fd, NS_GET_USERNS) : -1;
	if (user < 0)
		return -EPERM;
	bool good = fstat(user, &owner) == 0 && stat("/proc/self/ns/user", &own) == 0 && owner.st_ino != own.st_ino;
	close(user);
	return good ? 0 : -EPERM;
}

int plug_link(int plug, int ns_fd, const char *name)
{
	struct plug_word w;
	unsigned index;
	int router = -1, error = say(plug, PLUG_ASK, &w, &router);
	if (!error)
		error = router < 0 || !memchr(w.name, 0, sizeof(w.name)) ? -EPIPE : plug_check_router(router);
	if (!error && setns(router, CLONE_NEWNET) < 0)
		error = -errno;
	if (router >= 0)
		close(router);
	int sock = error ? error : link_socket();
	if (sock < 0)
		return sock;
	error = device_add_veth(sock, w.name, name, ns_fd, w.mac);
	if (!error) {
		struct plug_word made;
		error = say(plug, PLUG_MADE, &made, NULL);
		if (error && link_index(sock, w.name, &index) == 0)
			link_remove(sock, index);
	}
	close(sock);
	return error;
}
