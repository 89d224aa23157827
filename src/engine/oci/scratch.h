/* The writable space of a task: an ext4 file system of a fixed size in a sparse file below DATA/scratch. The kernel holds whoever
 * writes to its size, in bytes and in files; the space comes back when the file goes. Nothing in it must outlive a crash of the
 * machine, so it has no journal and nothing waits for a disk.
 *
 * For children of `priv`, in its mount namespace; scratch_remove() and scratch_sweep() for `priv` itself. */
#pragma once
#include <stdint.h>
#include <sys/types.h>

/* A detached mount of a fresh file system whose root belongs to `owner`. dir: DATA/scratch. The first of a size takes longer. */
int scratch_make(int dir, unsigned slot, uint64_t bytes, uid_t owner, int *ret_mount);
void scratch_remove(int dir, unsigned slot);
