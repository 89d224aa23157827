/* Registers as ptrace shows them, as rt_sigreturn takes them. Only x86-64 has this; elsewhere every call fails with -ENOTSUP. */
#pragma once
#include "base/buf.h"
#include "engine/cell/snapshot_format.h"

#include <sys/types.h>
#include <sys/user.h>

/* Appends a stopped thread's floating point state to the text. *ret_address: where it will lie in the restorer. */
int x86_read_float(pid_t tid, struct buf *text, uint64_t *ret_address);
/* All but the mask, the alternative stack and the floating point state. */
void x86_context(const struct user_regs_struct *regs, struct snap_context *ret);
