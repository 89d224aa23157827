/* Network interfaces of running machines. */
#include "engine/vm/machine_state.h"

#include <errno.h>
#include <stdio.h>

static int ask(struct machine *m, const struct machine_port *p, enum shim_verb verb, const int *fd)
{
	struct shim_request r = {.verb = verb};
	if (m->state != MACHINE_RUNNING)
		return -ESRCH;
	if ((size_t)snprintf(r.disk, sizeof(r.disk), "%s", p->id) >= sizeof(r.disk))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(p->mac); i++)
		snprintf(r.serial + 2 * i, 3, "%02x", p->mac[i]);
	return machine_ask(m, &r, fd, fd ? 1 : 0);
}

int machine_plug_port(struct machine *m, const struct machine_port *p)
{
	return m->is_box ? machine_box_link(m, p) : ask(m, p, SHIM_PORT, &p->fd);
}

int machine_unplug_port(struct machine *m, const struct machine_port *p)
{
	/* A container's link ends with the network's end of it. */
	return m->is_box ? -ENOENT : ask(m, p, SHIM_UNPORT, NULL);
}
