/* What a snapshot of a process consists of in its file: read by the little program that becomes that process again (restore.c),
 * written by snapshot_take.c. Shared by the two alone; no part of it outlives a boot of the machine or a change of this header.
 *
 * The file: one page with struct snap_head, the contents of memory in whole pages, then the tables ("meta"), which the restorer
 * maps at SNAP_META; offsets called `_at` are within them. Text there ends with NUL. */
#pragma once
#include <stdint.h>

enum { SNAP_PAGE = 4096, SNAP_SIGNALS = 64, SNAP_THREADS_MAX = 512, SNAP_FD_LIMIT = 880, SNAP_SPECIALS = 4, SNAP_ADDRESS = 28 };
#define SNAP_MAGIC UINT64_C(0x33504e5354515251)
/* Where the restorer itself lives. Nothing of a process that is to be restored may lie here. */
#define SNAP_STUB UINT64_C(0x2f0000000000)
#define SNAP_META UINT64_C(0x2f0010000000)
#define SNAP_META_MAX UINT64_C(0x08000000)
#define SNAP_SCRATCH UINT64_C(0x2f0020000000)
#define SNAP_END UINT64_C(0x2f0020100000)
#define SNAP_ADDRESS_END UINT64_C(0x7ffffffff000)

/* Exit statuses of a restorer that could not become the process. */
enum snap_step {
	SNAP_STEP_HEAD = 100,
	SNAP_STEP_META,
	SNAP_STEP_VDSO,
	SNAP_STEP_TMP,
	SNAP_STEP_MEMORY,
	SNAP_STEP_STALE, /* a file that it had mapped is not the same any more */
	SNAP_STEP_LAYOUT,
	SNAP_STEP_FDS,
	SNAP_STEP_SIGNALS,
	SNAP_STEP_THREADS,
	SNAP_STEP_END
};

/* The kernel's struct prctl_mm_map: where it believes the parts of a program to be. The end of the heap is the important one: brk()
 * goes on from there. */
struct snap_layout {
	uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack, arg_start, arg_end, env_start, env_end,
	        auxv;
	uint32_t auxv_bytes, exe_fd;
};

/* [vvar], [vvar_vclock], [vdso]: the kernel's own pages, which are moved to where they were. */
struct snap_special {
	uint64_t start, end;
};

struct snap_head {
	uint64_t magic;
	uint32_t pid;
	uint32_t any_pid;                /* 1: the process need not have its number again */
	char boot[40];                   /* of the machine */
	uint64_t meta_start, meta_bytes; /* in the file */
	uint32_t maps, threads, fds, polls, entries, timers, specials, umask;
	uint64_t maps_at, runs_at, threads_at, fds_at, polls_at, entries_at, timers_at, actions_at, cwd_at;
	uint64_t request_at, request_bytes; /* sent again on the connection to the Runtime API */
	struct snap_special special[SNAP_SPECIALS];
	struct snap_layout layout;
};

enum snap_map_kind { SNAP_MAP_ANONYMOUS, SNAP_MAP_FILE, SNAP_MAP_SHARED };
struct snap_map {
	uint64_t start, end;
	uint32_t kind;
	uint32_t protection, flags; /* of mmap(), without MAP_FIXED */
	uint32_t advice;            /* bit set of madvise() values below 32 */
	uint64_t path_at, offset;   /* of a file */
	uint64_t device, inode, size, changed_ns;
	uint32_t writable, runs;
	uint64_t first_run;
};
/* Pages that are copied from the file; the others are what the mapping brings. */
struct snap_run {
	uint64_t start, bytes, file;
};

struct snap_thread {
	uint32_t tid, rseq_signature;
	uint64_t fs, gs, clear_tid, robust, robust_bytes, rseq, rseq_bytes;
	uint64_t context_at; /* what rt_sigreturn takes */
	char name[16];
};

enum snap_fd_kind {
	SNAP_FD_PATH,
	SNAP_FD_LOG,  /* the write end of the cell's log */
	SNAP_FD_PIPE, /* an end of a pipe whose ends are all in the process: 0 reads, 1 writes */
	SNAP_FD_PAIR, /* one of socketpair() */
	SNAP_FD_EVENT,
	SNAP_FD_POLL,
	SNAP_FD_TIMER,
	SNAP_FD_SIGNALS,
	SNAP_FD_RUNTIME, /* the connection that waits for the Runtime API */
	SNAP_FD_DEAD,    /* a connection whose other side has ended it */
	SNAP_FD_SOCKET,  /* neither connected nor listening, or of datagrams */
	SNAP_FD_LISTENER,
};
struct snap_fd {
	int32_t fd;
	uint32_t kind, flags; /* of open() */
	uint32_t group, end;  /* pipes and pairs: which of them, which end */
	uint32_t domain, type, protocol, local_bytes, peer_bytes;
	uint32_t option;  /* eventfd: semaphore; timerfd: clock; listener: IPV6_V6ONLY; path: a flock() of this kind */
	int64_t position; /* of a file; eventfd: the count; timerfd: flags; signalfd: the mask */
	int64_t value_s, value_ns, interval_s, interval_ns;
	uint64_t path_at;
	uint64_t data_at, data_bytes; /* what was written to this end's other end and not read from it */
	unsigned char local[SNAP_ADDRESS], peer[SNAP_ADDRESS];
};
struct snap_poll {
	int32_t poll, fd;
	uint32_t events, unused;
	uint64_t data;
};

/* Of /tmp: in an order in which directories come before what is in them. */
enum snap_entry_kind { SNAP_ENTRY_FILE, SNAP_ENTRY_DIRECTORY, SNAP_ENTRY_LINK };
struct snap_entry {
	uint32_t kind, mode;
	uint64_t path_at, target_at, file, bytes; /* file: whole pages in the snapshot */
	int64_t changed_s, changed_ns;
};

struct snap_timer {
	int32_t id, clock, notify, signal, tid, unused;
	uint64_t value;
	int64_t value_s, value_ns, interval_s, interval_ns;
};

struct snap_action {
	uint64_t handler, flags, restorer, mask;
};

/* The kernel's struct ucontext of x86-64, and what it is followed by. */
struct snap_context {
	uint64_t flags, link;
	uint64_t stack_pointer, stack_flags, stack_bytes; /* the alternative one */
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trap, old_mask, cr2, fpstate, reserved[8];
	uint64_t mask;
};
