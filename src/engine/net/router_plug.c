/* net's side of plugs: see plug.h. */
#include "engine/net/plug.h"
#include "engine/net/router.h"

#include "io/msg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void answer(struct thing *t, enum plug_verb verb, int error)
{
	struct plug_word w = {.verb = verb, .error = error};
	bool asks = verb == PLUG_ASK;
	if (asks)
		port_link_name(t, w.name);
	memcpy(w.mac, t->message->port.mac, sizeof(w.mac));
	msg_send(t->plug, &w, sizeof(w), &t->router->ns_fd, asks);
}

static void plug_speaks(void *ctx, uint32_t events)
{
	struct thing *t = ctx;
	struct plug_word w = {0};
	(void)events;
	/* it is taken when it has been answered: whoever comes after a death in between answers it (again) */
	ssize_t n = recv(t->plug, &w, sizeof(w), MSG_PEEK | MSG_DONTWAIT);
	if (n == sizeof(w) && w.verb == PLUG_ASK)
		answer(t, PLUG_ASK, 0);
	else if (n == sizeof(w) && w.verb == PLUG_MADE)
		answer(t, PLUG_MADE, port_link_came(t));
	msg_recv(t->plug, &w, sizeof(w), NULL, 0, NULL);
}

int plug_open(struct thing *t)
{
	int pair[2], error = msg_pair(pair);
	if (error)
		return error;
	t->plug = pair[0];
	t->fd = pair[1]; /* kept, so that each new api can have it */
	plug_listen(t);
	return 0;
}

void plug_listen(struct thing *t)
{
	t->plug_watch = loop_add_fd(net_loop(t->router->net), t->plug, EPOLLIN, plug_speaks, t);
}

void plug_close(struct thing *t)
{
	if (!t->plug_watch)
		return;
	loop_remove_fd(net_loop(t->router->net), t->plug_watch);
	close(t->plug);
	t->plug = -1;
	t->plug_watch = NULL;
}
