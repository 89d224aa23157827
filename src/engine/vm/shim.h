/* One machine: QEMU and the process that looks after it. The warden's child becomes it, inside the sandbox that it has made. */
#pragma once
#include "engine/vm/proto.h"

#include <linux/filter.h>

struct shim_plan {
	const struct warden_request *request;
	unsigned slot;
	int claim; /* containers: where it comes to hear what is known of a machine only later: request, listen, console; -1: none
	            */
	int listen, console;
	const int *files;   /* kernel and initrd, if the request has them; then one tap a port */
	int join, cpu_stat; /* containers: of the container's own control group (cgroup_delegate()) */
	int outside;        /* containers: of the storage daemon's control group (cgroup_open_outside()); -1: it stays */
	int memory;         /* containers: what their control group uses; -1: nobody counts it */
	int offers;         /* containers: the first of BOX_OFFERS open FUSE devices; see BOX_OFFER_MOUNT */
	const struct sock_fprog *filter; /* of system calls, for QEMU or the container; NULL: none */
};

/* A container's says on `claim` how it has started, a 0 or a negative errno, and waits there for a struct warden_request with the
 * two descriptors; it ends when that socket is closed before.
 * Never returns. Descriptors other than the plan's are closed already. The process ends when api has heard how the machine ended
 * and says QUIT, or when it is killed; QEMU dies with it. */
_Noreturn void shim_run(const struct shim_plan *plan);
