/* The cells as `priv` holds them: made, dressed, destroyed, and swept up after whoever crashed. One keeper a process;
 * single-threaded. It reads no client bytes: requests are the fixed structs of proto.h, checked here before anything is done. */
#pragma once
#include "io/loop.h"

#include <stddef.h>
#include <stdint.h>

struct keeper;
struct outbound;

struct keeper_config {
	const char *instance;       /* 8 hexadecimal digits: names everything we make */
	const char *data_dir;       /* absolute. Code lies below data_dir/code */
	const char *runtime_dir;    /* may be NULL */
	const char *zygote_library; /* path of zygote.so, which must live as long as the keeper; NULL: no zygotes */
	const char *restorer;       /* path of the program that becomes a snapshot; NULL: no snapshots */
	const char *range;          /* IPv4 addresses for links */
	const char *resolver;       /* may be NULL */
	const char *cgroup_root;    /* /sys/fs/cgroup */
	uint32_t uid_base;
	/* api opens a channel (enum priv_channel) to another part of the process, which takes `sock` over */
	void (*channel)(void *ctx, unsigned channel, int sock);
	void *channel_ctx;
};

/* Moves the process to a mount namespace of its own, removes leftovers of this instance and prepares what cells share. Never NULL:
 * where cells cannot work, MAKE answers -ENOTSUP and FACTS says why. */
struct keeper *keeper_new(struct loop *l, const struct keeper_config *config);
/* Serves requests from `sock` (taken over) until it closes; then every cell is destroyed and `gone` is called. */
void keeper_serve(struct keeper *k, int sock, loop_fn *gone, void *ctx);
/* What cells share and machines may use too; they live as long as the keeper. */
struct child_world;
struct cgroups;
const struct child_world *keeper_world(const struct keeper *k);
struct cgroups *keeper_cgroups(struct keeper *k);
/* Destroys every cell, waits until they are gone, removes all that was made. */
void keeper_free(struct keeper *k);

/* For links that are not cells': the machine's way out, and pairs of addresses. -EAGAIN: none is free. */
const struct outbound *keeper_outbound(const struct keeper *k);
int keeper_take_slot(struct keeper *k, unsigned *ret_slot);
void keeper_give_slot(struct keeper *k, unsigned slot);

/* 8 hexadecimal digits that stand for a data directory in the names of what is made outside it. */
void keeper_instance(const char *data_dir, char ret_instance[9]);

/* Pure checks of requests, for tests and fuzzing: is this message one that may be obeyed? */
int keeper_check_request(const void *p, size_t n);
