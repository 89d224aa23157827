/* Who is `net` when net has died: its heir, a copy of the process that waits for that and does nothing else. It is told of each
 * thing that has to live on - the message that put it, its number, its descriptors - once the kernel has it. So namespaces, links
 * and sockets stay while nobody serves them, packets pass in them by the rules of before, and a moment later the heir takes them
 * over (router_heir.c) and makes an heir of its own. One that has died is replaced. Only who kills both at once ends networks: then
 * they are made anew.
 *
 * Owned by net and on its loop. What is told is copied. */
#pragma once
#include "base/list.h"
#include "engine/net/network_proto.h"
#include "io/loop.h"

enum { LEGACY_FDS_MAX = 8 };

/* What there is to know of one router, thing or peering. */
struct legacy {
	struct list at;
	char router[NETWORK_ID_MAX], id[NETWORK_ID_MAX]; /* of a router both are the VPC's; of a peering `router` is "" */
	uint32_t number, last_number;                    /* things: its own, and the last that its router has given */
	uint32_t device;                                 /* ports */
	uint32_t uplink;                                 /* routers: the machine's end of the link */
	int fds[LEGACY_FDS_MAX];                         /* -1: none in this place */
	size_t bytes;
	const union net_message *message;
};

struct heir;

/* deaths: of nets before this one that have not lived for a second; it goes to the heir, which does not become net after too many.
 * tell_all(ctx) is called whenever there is a new heir, the first one too: it tells all that is there. */
struct heir *heir_new(struct loop *l, int listener, int home_ns_fd, unsigned deaths, void (*tell_all)(void *ctx), void *ctx);
/* Instead of what was told under this id before. */
void heir_tell(struct heir *h, const struct legacy *l);
/* A router with all that is in it. */
void heir_forget(struct heir *h, const char *router, const char *id);
/* Nobody is to come after: it has ended when this returns. */
void heir_end(struct heir *h);

/* Closes the descriptors that are still in it. */
void legacy_free(struct legacy *l);
