/* Where a network's link ends in the namespace of an instance: a socket between `net`, which has no power over that namespace, and
 * a child of `priv`, which has it over both. A link is made with each end where it belongs, for moving one later would wait for
 * every processor twice, and all other changes of links on the machine with it. The child asks where the other end is (ASK; back
 * come the router's namespace, its name and the interface's address), makes the pair, and says so (MADE; back comes how it went,
 * when packets pass). `net` keeps its end for as long as the port is there; api hands the other one through and says nothing. */
#pragma once
#include "io/loop.h"

#include <net/if.h>
#include <stdint.h>

enum plug_verb { PLUG_ASK = 1, PLUG_MADE };

struct plug_word {
	uint32_t verb;
	int32_t error;          /* of answers */
	char name[IF_NAMESIZE]; /* ASK's answer: of the router's end */
	uint8_t mac[6], spare[2];
};

/* For who has power over both namespaces: makes the link with `name` in the namespace ns_fd, down and without addresses, and
 * returns when the router is ready for it. The thread is in the router's network namespace afterwards. -EEXIST: there is a link of
 * that name; -EPERM: the other end would be in a namespace of the machine's own. */
int plug_link(int plug, int ns_fd, const char *name);
/* Is this a network namespace of net's making? One of the first user namespace is the machine's, or a sandbox's that is none of
 * net's: -EPERM. */
int plug_check_router(int fd);
