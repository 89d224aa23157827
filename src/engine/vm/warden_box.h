/* What only `priv` can do for a system container: the ids of its users, block devices of files, and moving a network link. The rest
 * is the shim's work, which is root of nothing but a user namespace (box.h). For the warden alone. */
#pragma once
#include "engine/cell/child.h"
#include "engine/vm/proto.h"

extern const char storage_program[]; /* QEMU's storage daemon */

/* NULL: containers can be made here. */
const char *warden_box_why_not(const struct cgroups *g);
/* BLOCK and LINK: 0 or -EINVAL. */
int warden_box_check(const struct warden_request *r, unsigned long nfds);

/* In the child: leaves the machine for a mount namespace with /dev, /proc and /sys of its own, and for a user namespace in which it
 * is root and nobody else is there but the container's users. report: to the warden, which maps the ids in between. BOX_OFFERS
 * FUSE devices are open from offers_fd on, and after them a mount of the first (BOX_OFFER_MOUNT). */
int warden_box_enter(const struct child_world *w, uid_t uid_base, unsigned slot, int report, int offers_fd);
/* In priv, meanwhile. */
int warden_box_map(const struct child_world *w, uid_t uid_base, unsigned slot, pid_t pid, int report);

/* A block device of what is offered; ret_fds: the mount of the ext4 file system on it, with the ids of the container, or the
 * device; and the file below. All goes when nobody has it any more. Blocks for as long as the storage daemon does not answer. */
int warden_box_block(const struct warden_request *r, const int *fds, int ret_fds[2]);
/* In a process of its own, which stays in another network namespace. */
int warden_box_link(const struct child_world *w, const struct warden_request *r, const int *fds);

/* What a container and its storage daemon may not ask of the kernel: everything but what reaches beyond namespaces. The program
 * belongs to the caller. */
int box_filter_compile(struct sock_fprog *ret_program);
