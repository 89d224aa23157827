/* The networks as `priv` keeps them: starts and ends `net`, and makes the one link from each VPC to the machine, with the routes of
 * public addresses. One a keeper; single-threaded. It obeys the fixed structs of network_proto.h and links nothing but network
 * namespaces that belong to the user namespace of the `net` that it speaks to. */
#pragma once
#include "io/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct keeper;
struct netkeeper;

struct netkeeper_config {
	const char *data_dir; /* absolute; net's socket lies below its run/ */
	uint32_t uid_base;    /* as the keeper's: net's user comes after those of cells */
};

/* Finds the net of an earlier run, if there is one. */
struct netkeeper *netkeeper_new(struct loop *l, struct keeper *keeper, const struct netkeeper_config *config);
/* Serves requests from `sock` (taken over); a new one takes the place of the one before. */
void netkeeper_serve(struct netkeeper *n, int sock);
/* Before the keeper's. end: net and everything of it goes, and this waits for that; else it goes on, without a way out. */
void netkeeper_free(struct netkeeper *n, bool end);
