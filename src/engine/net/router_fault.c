/* Faults of a port's link, for a time (network.h): the link is taken down, what the router sends over it is held up by netem, or a
 * share of the packets is dropped by a rule. Each carries its end with it, so that it is over in time whoever has died meanwhile.
 *
 * The kernel forgets routes, neighbours and addresses of a link that goes down; when it comes up again they are made as at first.
 */
#include "engine/net/link.h"
#include "engine/net/netem.h"
#include "engine/net/router.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

static bool is_on(const struct net_port *m)
{
	return m->fault_until_us > clock_mono_us();
}

uint8_t fault_loss(const struct net_port *m)
{
	return is_on(m) ? m->loss_percent : 0;
}

static void set_down(struct thing *t, bool down)
{
	struct router *r = t->router;
	int error;
	t->is_down = down;
	if (down)
		subnet_update_routes(r, true); /* nothing leads to it any more */
	error = down ? link_down(r->netlink, t->ifindex) : link_up(r->netlink, t->ifindex);
	if (!error && !down)
		error = port_lead_again(t);
	if (error)
		log_error("%s: its link does not go %s: %s", t->id, down ? "down" : "up", strerror(-error));
	if (!down) {
		subnet_update_routes(r, true);
		link6_advertise(t, &t->message->port);
	}
}

static void set_delay(struct thing *t, uint16_t ms)
{
	int error = netem_set(t->router->netlink, t->ifindex, ms);
	if (error)
		log_error("%s: packets cannot be held up: %s", t->id, strerror(-error));
	t->delay_ms = ms;
}

static void over(void *ctx)
{
	struct thing *t = ctx;
	t->fault_timer = NULL;
	fault_update(t);
	port_rules_again(t);
}

void fault_update(struct thing *t)
{
	const struct net_port *m = &t->message->port;
	struct loop *l = net_loop(t->router->net);
	bool on = is_on(m), down = on && m->down;
	uint16_t delay_ms = on ? m->delay_ms : 0;
	loop_remove_timer(l, t->fault_timer);
	t->fault_timer = on ? loop_add_timer(l, m->fault_until_us - clock_mono_us(), over, t) : NULL;
	if (!t->ifindex)
		return; /* when the link comes */
	if (delay_ms != t->delay_ms)
		set_delay(t, delay_ms);
	if (down != t->is_down)
		set_down(t, down);
}

void fault_forget(struct thing *t)
{
	loop_remove_timer(net_loop(t->router->net), t->fault_timer);
	t->fault_timer = NULL;
	t->is_down = false;
	t->delay_ms = 0;
	t->loss_percent = 0;
}

bool fault_forget_losses(struct router *r)
{
	bool any = false;
	list_each (&r->things, struct thing, at, t) {
		any |= t->loss_percent > 0;
		t->loss_percent = 0;
	}
	return any;
}
