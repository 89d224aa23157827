/* Taps of instances' interfaces: kept until a machine starts with them, or given to one that runs. A machine that runs is asked for
 * what its records say is attaching or detaching, once at a time; what it answers is written, and if the guest does not let go it
 * is asked again. */
#include "aws/ec2/instance/instances.h"

#include "aws/ec2/network/interface.h"
#include "aws/ec2/network/vpc.h"
#include "base/hash.h"
#include "engine/vm/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AGAIN_US = 1000000 };

struct instances_tap *instances_tap(struct desk_item *i, struct str port_id, bool make)
{
	struct instances_tap *room = NULL;
	for (size_t k = 0; k < sizeof(i->taps) / sizeof(*i->taps); k++) {
		if (str_is(port_id, i->taps[k].id))
			return &i->taps[k];
		if (!i->taps[k].id[0] && !room)
			room = &i->taps[k];
	}
	if (!make || !room || port_id.n >= sizeof(room->id))
		return NULL;
	memcpy(room->id, port_id.p, port_id.n);
	room->fd = -1;
	return room;
}

void instances_drop_tap(struct instances_tap *t)
{
	if (t->id[0] && t->fd >= 0)
		close(t->fd);
	*t = (struct instances_tap){.fd = -1};
}

struct desk_item *instances_item_with_port(struct desk *d, struct str port_id, uint32_t *ret_index)
{
	size_t at = 0;
	struct str key;
	void *value;
	struct arena CLEAN_ARENA a = {0};
	struct store_txn *t = store_begin(d->cloud->store, &a);
	struct desk_item *with = NULL;
	while (!with && map_next(&d->items, &at, &key, &value)) {
		struct desk_item *i = value;
		struct ec2_scope s = {.txn = t, .arena = &a, .account = i->account, .region = i->region};
		struct ec2_interfaces all = {0};
		if (i->kind == &ec2_kind_instance)
			ec2_interfaces_of(&s, i->id, &all);
		for (uint32_t k = 0; k < all.n && k < MACHINE_PORTS_MAX && !with; k++) {
			if (!str_eq(all.v[k].interface->network_interface_id, port_id))
				continue;
			with = i;
			if (ret_index)
				*ret_index = k;
		}
	}
	store_abort(t);
	return with;
}

void instances_port(struct desk *d, struct str port_id, int tap_fd)
{
	struct desk_item *i = instances_item_with_port(d, port_id, NULL);
	struct instances_tap *t = i ? instances_tap(i, port_id, true) : NULL;
	if (!t) {
		close(tap_fd);
		return;
	}
	if (t->fd >= 0)
		close(t->fd);
	t->fd = tap_fd;
	desk_mark(i);
}

static bool parse_mac(struct str text, uint8_t mac[6])
{
	for (size_t k = 0; k < 6; k++)
		if (text.n != 17 || !hex_decode(str_sub(text, 3 * k, 2), &mac[k], 1))
			return false;
	return true;
}

bool instances_port_of(const struct ec2_scope *s, const struct ec2_network_interface *n, int tap_fd, struct machine_port *ret)
{
	ret->id = arena_dupz(s->arena, n->network_interface_id);
	ret->fd = tap_fd;
	return parse_mac(n->mac_address, ret->mac);
}

/* --- what a machine has answered */

struct answered {
	struct desk_item *item;
	char id[sizeof(((struct instances_tap *)0)->id)];
	int error;
	bool lost, gone;
};

static void edit_answered(const struct ec2_scope *s, void *ctx)
{
	struct answered *w = ctx;
	struct state_vpc_interface_record r;
	w->gone = false;
	if (!ec2_find(s, &ec2_kind_interface, str_from(w->id), &r))
		return;
	struct ec2_network_interface_attachment *at = r.interface->attachment;
	if (!at || !str_eq(at->instance_id, w->item->id))
		return;
	bool attaching = str_is(at->status, "attaching"), detaching = str_is(at->status, "detaching");
	bool in_place = attaching && !w->lost && (!w->error || w->error == -EEXIST);
	w->gone = w->lost || (attaching && !in_place) || (detaching && (!w->error || w->error == -ENOENT || r.force.v));
	if (w->gone) {
		ec2_interface_detach(s, &r);
	} else if (in_place) {
		at->status = S("attached");
		ec2_interface_put(s, &r);
	}
}

static void answer_written(void *ctx)
{
	struct answered *w = ctx;
	struct desk_item *i = w->item;
	struct instances_tap *t = instances_tap(i, str_from(w->id), false);
	if (t && w->gone)
		instances_drop_tap(t);
	else if (t)
		t->asked = t->lost = false;
	free(w);
	desk_done(i);
}

static void again(void *ctx)
{
	struct desk_item *i = ctx;
	i->timer = NULL;
	for (size_t k = 0; k < sizeof(i->taps) / sizeof(*i->taps); k++)
		i->taps[k].asked = false;
	desk_mark(i);
}

void instances_port_answered(void *ctx, struct machine *m, const char *port, int error)
{
	struct desk_item *i = ctx;
	struct instances_tap *t = instances_tap(i, str_from(port), false);
	(void)m;
	if (error == -EBUSY) {
		if (!i->timer)
			i->timer = loop_add_timer(i->desk->cloud->loop, AGAIN_US, again, i);
		return;
	}
	struct answered *w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	*w = (struct answered){.item = i, .error = error, .lost = t && t->lost};
	snprintf(w->id, sizeof(w->id), "%s", port);
	i->busy++;
	desk_edit(i->desk, i->account, i->region, edit_answered, answer_written, w);
}

/* --- the step */

void instances_step_ports(struct desk_item *i, const struct ec2_scope *s)
{
	struct ec2_interfaces all;
	bool first = i->ports_found;
	i->ports_found = false;
	ec2_interfaces_of(s, i->id, &all);
	for (uint32_t k = 0; k < all.n; k++) {
		const struct ec2_network_interface *n = all.v[k].interface;
		struct machine_port p;
		bool attaching = str_is(n->attachment->status, "attaching"), detaching = str_is(n->attachment->status, "detaching");
		struct instances_tap *t = instances_tap(i, n->network_interface_id, false);
		if (!attaching && !detaching)
			continue;
		/* The role ended before it gave the tap away, and nobody has it any more: it is as if it had not been attached. */
		bool lost = attaching && first && !t;
		if (attaching && !lost && (!t || t->fd < 0))
			continue; /* it comes */
		if (!t && !(t = instances_tap(i, n->network_interface_id, true)))
			continue;
		if (t->asked || !instances_port_of(s, n, t->fd, &p))
			continue;
		t->asked = true;
		t->lost |= lost;
		int error = attaching && !t->lost ? machine_plug_port(i->machine, &p) : machine_unplug_port(i->machine, &p);
		if (error)
			instances_port_answered(i, i->machine, p.id, error);
	}
}
