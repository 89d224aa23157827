/* What `priv` says to a zygote: fixed structs, one a message, on descriptor ZYGOTE_FD. HELLO comes once, with the filter's
 * instructions behind it; the zygote answers it with READY when its runtime is loaded, and each CLONE with its outcome. */
#pragma once
#include "engine/cgroup/cgroup.h"
#include "engine/net/outbound.h"

#include <stdint.h>

enum { ZYGOTE_FD = 3, ZYGOTE_FILTER_MAX = 4096 /* the kernel's own limit */ };

/* With the descriptors of the template, of /proc and of the machine's network namespace. */
struct zygote_hello {
	struct outbound outbound;
	uint32_t filter_length; /* instructions: struct sock_filter */
};

/* With control, lifeline, and what is there of cgroup_into and cgroup_join: bit n of `present` stands for the n-th. */
struct zygote_clone {
	uint32_t slot, uid, present;
};
enum { ZYGOTE_CLONE_FDS = 2 + 1 + CGROUP_CONTROLLERS };

struct zygote_answer {
	int32_t error;
	int32_t pid;
};
