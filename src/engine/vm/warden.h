/* The part of `priv` that starts machines: it makes the sandbox and the control group of each and puts a shim with QEMU into it. It
 * reads no client bytes: requests are the fixed structs of proto.h, checked before anything is done. What it has started does not
 * end with it. */
#pragma once
#include "engine/cell/child.h"
#include "io/loop.h"

struct warden;

/* world and cgroups must live as long. uid_base: the first of MACHINE_SLOTS user ids. */
struct warden *warden_new(struct loop *l, const struct child_world *world, struct cgroups *cgroups, uid_t uid_base);
/* Serves `sock` (taken over) in place of the one of before. */
void warden_serve(struct warden *w, int sock);
/* keep: machines go on. Else their power buttons are pressed, and after some seconds what is left is killed; it blocks for that
 * long. */
void warden_free(struct warden *w, bool keep);
