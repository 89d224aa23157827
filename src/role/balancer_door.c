/* Programs take every name under localhost for this machine and ask no DNS server, so such a request comes to the endpoint. It is
 * for a node's public address, which this machine reaches; from then on the connection is the node's. */
#include "role/balancer_door.h"

#include "aws/elasticbeanstalk/elasticbeanstalk.h"
#include "aws/elbv2/elbv2.h"
#include "base/log.h"
#include "http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_US = 5 * 1000000 };

struct visitor {
	struct loop *loop;
	struct http_request *request;
	int fd;
	struct loop_fd *watch;
	struct loop_timer *late;
};

/* The socket stays. */
static int leave(struct visitor *v)
{
	int fd = v->fd;
	loop_remove_fd(v->loop, v->watch);
	loop_remove_timer(v->loop, v->late);
	free(v);
	return fd;
}

static void refuse(struct http_request *r, const char *why)
{
	struct http_header h[] = {{S("content-type"), S("text/plain")}};
	http_reply(r, 503, h, 1, str_from(why));
}

static void client_left(void *ctx)
{
	close(leave(ctx));
}

static void give_up(struct visitor *v)
{
	struct http_request *r = v->request;
	http_on_gone(r, NULL, NULL);
	close(leave(v));
	refuse(r, "the load balancer or environment does not answer\n");
}

static void too_late(void *ctx)
{
	struct visitor *v = ctx;
	v->late = NULL;
	give_up(v);
}

static void connected(void *ctx, uint32_t events)
{
	struct visitor *v = ctx;
	int error = 0;
	socklen_t n = sizeof(error);
	(void)events;
	getsockopt(v->fd, SOL_SOCKET, SO_ERROR, &error, &n);
	if (error) {
		give_up(v);
		return;
	}
	struct http_request *r = v->request;
	http_on_gone(r, NULL, NULL);
	http_pass_on(r, leave(v));
}

static void visit(struct cloud *cloud, struct http_request *r, uint32_t address, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
	struct visitor *v = calloc(1, sizeof(*v));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (!v)
		die("out of memory (balancer)");
	*v = (struct visitor){.loop = cloud->loop, .request = r, .fd = fd};
	if (fd >= 0 && (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS))
		v->watch = loop_add_fd(v->loop, fd, EPOLLOUT, connected, v);
	if (!v->watch) {
		if (fd >= 0)
			close(fd);
		free(v);
		refuse(r, "the load balancer cannot be reached\n");
		return;
	}
	v->late = loop_add_timer(v->loop, CONNECT_US, too_late, v);
	http_on_gone(r, client_left, v);
}

bool balancer_door_take(struct cloud *cloud, struct http_request *r)
{
	struct str host = http_head(r)->host;
	struct arena *a = http_arena(r);
	uint32_t address;
	uint16_t port;
	ssize_t colon = str_rfind_char(host, ':');
	if (colon >= 0)
		host.n = (size_t)colon;
	if (!str_set(host) || str_find(host, S(".")) < 0)
		return false;
	char *name = arena_dupz(a, host);
	for (size_t i = 0; i < host.n; i++)
		name[i] = ascii_lower(name[i]);
	host = str_of(name, host.n);
	if (elasticbeanstalk_is_local_name(host)) {
		address = elasticbeanstalk_find_local(cloud, host);
		if (address)
			visit(cloud, r, address, 80);
		else
			refuse(r, "there is no environment of this name\n");
		return true;
	}
	if (!elbv2_is_local_name(host))
		return false;
	int error = elbv2_find_local(cloud, host, &address, &port);
	if (error == -ENOENT)
		refuse(r, "there is no load balancer of this name\n");
	else if (error)
		refuse(r, "the load balancer has no public address, or no listener for HTTP or TCP\n");
	else
		visit(cloud, r, address, port);
	return true;
}
