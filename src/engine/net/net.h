/* The process `net`: every VPC's router, in namespaces that belong to a user namespace of its own. `priv` starts it; it has no
 * rights on the machine, sees none of its files, and listens on one socket. It outlives all other roles, its heir outlives it, and
 * both end when they are told to. */
#pragma once
#include <stdint.h>
#include <sys/types.h>

struct list;

enum { NET_BACKLOG = 8 };

struct net_config {
	int run_dir;       /* DATA/run: the socket's directory */
	uid_t uid;         /* whom net becomes on the machine: nobody else's */
	uid_t service_uid; /* whose the socket is, besides root's */
	gid_t service_gid;
};

#define NET_SOCKET "net.sock"

/* Starts it, detached from the caller. *ret_ready is a descriptor from which a struct net_ready comes once it listens or has
 * failed. From a process with `priv`'s capabilities. 0 or negative errno. */
struct net_ready {
	int32_t error;
	char why_not[160];
};
int net_start(const struct net_config *config, int *ret_ready);

/* In that process, when it has given up everything else: serves until told to end. `listener` listens; home_ns_fd is the process's
 * own network namespace. legacies: what an earlier net has left (heir.h), taken over; NULL: there was none. deaths: of nets before
 * this one that have not lived for a second. */
void net_serve(int listener, int home_ns_fd, struct list *legacies, unsigned deaths);

/* A connection to the net of that directory; -ENOENT or -ECONNREFUSED: there is none. */
int net_connect(int run_dir);
