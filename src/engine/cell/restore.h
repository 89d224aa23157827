/* What the two files of the restorer share: system calls without a library, and what it reads the snapshot from. Private to it. */
#pragma once
#include "engine/cell/snapshot_format.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

enum { HIGH_FD = SNAP_FD_LIMIT };

extern struct snap_head head;
extern const char *meta; /* the tables */
extern long snapshot, log_fd;

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
void read_all(uint64_t to, uint64_t bytes, uint64_t from, enum snap_step step);
/* Moves a descriptor out of the way of those that the process had. */
long high(long fd);
/* restore_fds.c */
void restore_fds(void);

static inline long sys(long nr, long a, long b, long c, long d, long e, long f)
{
	long r;
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
	                 : "=a"(r)
	                 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory");
	return r;
}
#define SYS(nr, ...) SYS_(nr, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define SYS_(nr, a, b, c, d, e, f, ...) sys((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

__attribute__((noreturn)) static inline void fail(enum snap_step step)
{
	for (;;)
		SYS(SYS_exit_group, step);
}

static inline long need(long result, enum snap_step step)
{
	if (result < 0)
		fail(step);
	return result;
}

static inline const void *in_meta(uint64_t at)
{
	return meta + at;
}
