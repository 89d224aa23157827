/* The part of `priv` that makes tasks and unpacks layers: control groups, sandboxes, directories. It reads no client bytes:
 * requests are the fixed structs of proto.h, checked before anything is done; what is in a layer or in a container's plan is read
 * by children that have no rights. What it has started does not end with it. */
#pragma once
#include "engine/cell/child.h"
#include "io/loop.h"

struct steward;
enum steward_channel { STEWARD_OF_TASKS, STEWARD_OF_LAYERS, STEWARD_CHANNELS };

/* world and cgroups must live as long. Removes what tasks and unpackings that are no more have left. */
struct steward *steward_new(struct loop *l, const struct child_world *world, struct cgroups *cgroups, const char *data_dir);
/* Serves `sock` (taken over) in place of the one of before. */
void steward_serve(struct steward *s, enum steward_channel channel, int sock);
/* keep: tasks go on. Else they are killed, and it blocks until they are gone. */
void steward_free(struct steward *s, bool keep);
