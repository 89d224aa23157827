/* Balancers by names under localhost. The endpoint's own port serves them: role/door.c passes on what comes with such a name. */
#include "elbv2.h"

#include "base/clock.h"
#include "desk.h"

#include <errno.h>

static const struct str domain = S_INIT(".localhost");

bool elbv2_is_local_name(struct str host)
{
	return str_ends(host, domain) && str_find(host, S(".elb.")) > 0;
}

static uint16_t first_port(const struct elb_scope *s, const struct elb_item *i)
{
	struct elb_listeners all = elb_listeners_of(s, i->name);
	for (uint32_t k = 0; k < all.n; k++)
		if (str_is(all.v[k].listener->protocol, "HTTP") || str_is(all.v[k].listener->protocol, "TCP"))
			return (uint16_t)all.v[k].listener->port.v;
	return 0;
}

int elbv2_find_local(struct cloud *cloud, struct str host, uint32_t *ret_address, uint16_t *ret_port)
{
	struct arena CLEAN_ARENA a = {0};
	uint32_t addresses[LB_NODES_MAX];
	struct str zone, name = ARENA_CAT(&a, str_of(host.p, host.n - domain.n), S(".amazonaws.com"));
	const struct elb_desk *d = elb_desk(cloud);
	const struct elb_item *i = d ? elb_desk_named(d, name, &zone) : NULL;
	if (!i)
		return -ENOENT;
	struct elb_scope s = {.arena = &a, .cloud = cloud, .account = i->account, .region = i->region, .now_ms = clock_wall_ms()};
	s.txn = store_begin(cloud->store, &a);
	uint16_t port = first_port(&s, i);
	store_abort(s.txn);
	if (!port || i->internal || !elb_item_addresses(i, STR_NONE, zone, addresses))
		return -EHOSTUNREACH;
	*ret_address = addresses[0];
	*ret_port = port;
	return 0;
}
