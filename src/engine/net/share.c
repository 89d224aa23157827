/* Addresses of these links are link-local: no VPC can have them, and none of them is seen outside the port's namespace. */
#include "engine/net/share.h"
#include "engine/net/link.h"
#include "engine/net/plug.h"
#include "engine/net/route.h"

#include "base/log.h"
#include "base/rand.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_ADDRESS = 0xa9fe1000u /* 169.254.16.0/20 */, SWEPT_GROUPS = 0x71740000 };

/* A route socket in that namespace; the process is back home afterwards. */
static int socket_in(int ns, int home)
{
	if (setns(ns, CLONE_NEWNET) < 0)
		return -errno;
	int sock = link_socket();
	if (setns(home, CLONE_NEWNET) < 0)
		die("cannot come back from a network namespace: %s", strerror(errno));
	return sock;
}

/* Of this cloud's, in the machine's namespace. */
static uint32_t swept_group(const struct outbound *o)
{
	return SWEPT_GROUPS + o->share;
}

/* With its last address a link loses its routes. Without a way out of the machine there is no link. */
static int leave_old(const struct outbound *o, int inside, unsigned slot)
{
	char name[OUTBOUND_NAME_MAX];
	unsigned old;
	int error = link_index(inside, "eth0", &old);
	if (error)
		return error == -ENODEV ? 0 : error;
	error = device_remove_address(inside, old, outbound_cell_address(o, slot), 31);
	int home = error ? error : link_socket();
	if (home < 0)
		return home;
	outbound_link_name(o, slot, name);
	error = link_index(home, name, &old);
	if (!error)
		error = device_set_group(home, old, swept_group(o));
	close(home);
	return error;
}

void share_sweep(const struct outbound *o)
{
	int home = link_socket();
	if (home >= 0) {
		device_remove_group(home, swept_group(o));
		close(home);
	}
}

static int add_new(int inside, int outside, int shared, unsigned slot)
{
	char name[IF_NAMESIZE];
	unsigned ours, theirs;
	uint32_t gateway = FIRST_ADDRESS + 2 * slot;
	/* a name that no link on its way out has */
	snprintf(name, sizeof(name), "c%08x", (unsigned)rand_u64());
	int error = link_add_veth(inside, "vpc0", name, shared);
	if (!error)
		error = link_index(outside, name, &theirs);
	if (!error)
		error = link_set_forwarding(outside, theirs, true);
	if (!error)
		error = link_add_address(outside, theirs, gateway, 31);
	if (!error)
		error = link_up(outside, theirs);
	if (!error)
		error = link_index(inside, "vpc0", &ours);
	if (!error)
		error = link_add_address(inside, ours, gateway + 1, 31);
	return error ? error : link_add_default_route(inside, ours, gateway);
}

int share_link(const struct outbound *o, int shared, int cell, int home, unsigned slot)
{
	int error = plug_check_router(shared);
	int inside = error ? error : socket_in(cell, home), outside = inside < 0 ? inside : socket_in(shared, home);
	error = outside < 0 ? outside : leave_old(o, inside, slot);
	if (!error)
		error = add_new(inside, outside, shared, slot);
	if (inside >= 0)
		close(inside);
	if (outside >= 0)
		close(outside);
	return error;
}
