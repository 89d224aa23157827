/* Giving up privilege, for good: user namespace, capabilities, seccomp. Used by `priv`'s children on their way into a cell. */
#pragma once
#include <linux/filter.h>
#include <sys/types.h>

enum { CELL_UID = 993, CELL_GID = 990 };

/* Compiles the system call allow-list once; the program belongs to the caller for the life of the process. What is
 * not on the list gives EPERM; clone3 gives ENOSYS, upon which libc uses clone, whose flags the filter can see. */
int confine_compile(struct sock_fprog *ret_program);

/* From root of the first user namespace to uid CELL_UID of a new one in which nothing is owned: host_uid is what it is outside.
 * proc_fd: a directory of a writable /proc that shows this process (closed by the caller). Afterwards: no capability in any set,
 * no_new_privs, not dumpable, limits of files and processes, killed with its parent. seccomp is not yet on. */
int confine_identity(uid_t host_uid, int proc_fd);
/* From root of the first user namespace to root of a new one that is host_uid outside, with the capabilities that routers need in
 * namespaces of its own making. */
int confine_net(uid_t host_uid, int proc_fd);
/* Turns the filter on for this process and all that come from it. */
int confine_syscalls(const struct sock_fprog *program);
/* For `api`, at once and for all its threads: the same list without programs, identities and devices. */
int confine_api_syscalls(void);
/* Drops from the bounding set, and from the others, every capability that `priv` has no use for. */
int confine_priv(void);
