/* A port that is nothing but sockets: its namespace is kept here, and whoever speaks from there is given a socket at a time. Those
 * that listen are kept here too, so that who asks while nobody serves them waits in their queues. */
#include "engine/net/router.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DNS_PORT = 53 };

bool port_has_sockets(const struct thing *t)
{
	return t->message->port.kind == NETWORK_ASKS || t->message->port.kind == NETWORK_ANSWERS;
}

static int enter(const struct thing *t)
{
	return setns(t->fd, CLONE_NEWNET) < 0 ? -errno : 0;
}

int port_listen(struct thing *t)
{
	static const int types[PORT_SOCKETS] = {SOCK_DGRAM, SOCK_STREAM};
	int error = enter(t);
	if (error)
		return error;
	for (int i = 0; i < PORT_SOCKETS && !error; i++) {
		t->sockets[i] = router_bind(types[i], INADDR_ANY, DNS_PORT);
		error = t->sockets[i] < 0 ? t->sockets[i] : 0;
	}
	router_leave(t->router);
	return error;
}

void port_hang_up(struct thing *t)
{
	for (int i = 0; i < PORT_SOCKETS; i++) {
		if (t->sockets[i] >= 0)
			close(t->sockets[i]);
		t->sockets[i] = -1;
	}
}

int port_open_socket(const struct thing *t, enum network_socket kind)
{
	if (!t->live || !port_has_sockets(t))
		return -ENOENT;
	int error = enter(t);
	if (error)
		return error;
	int type = kind == NETWORK_SOCKET_TCP ? SOCK_STREAM : SOCK_DGRAM;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		fd = -errno;
	router_leave(t->router);
	return fd;
}
