/* A program that becomes a process of which there is a snapshot: it puts everything back that the process had and then lets itself
 * be forgotten. It is an ordinary program of an ordinary user, run inside a cell as any runtime is; what it cannot do, the process
 * could not have done either.
 *
 * It is linked to an address that nobody else uses, has no library, no thread-local storage and no stack protector, because it
 * takes away all other memory before it brings the process's: even its first stack. Descriptor 3 is the snapshot, 1 the cell's log.
 * A step that fails ends it with that step's number (enum snap_step).
 *
 * Threads get the numbers that they had: a new cell's first process is number 2 again, and the next ones follow in order; a number
 * that was not in use is spent on a child that ends at once. Registers, signal masks and floating point state come back the way the
 * kernel itself brings them back after a signal handler: by rt_sigreturn, of a frame that the snapshot holds ready. */
#include "engine/cell/restore.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { STACK_BYTES = 64 * 1024, THREAD_STACK = 1024, TEXT_MAX = 32 * 1024, LARGE_BYTES = 4 << 20 };
enum { SNAPSHOT_FD = 3, FUTEX_WAIT_ = 0, FUTEX_WAKE_ = 1 };

__attribute__((noreturn)) void snap_main(void);
__attribute__((noreturn)) void snap_thread_main(const struct snap_thread *t);

char snap_stack[STACK_BYTES] __attribute__((aligned(64)));
static char thread_stacks[SNAP_THREADS_MAX][THREAD_STACK] __attribute__((aligned(64)));
static char text[TEXT_MAX];
struct snap_head head;
const char *meta;
long snapshot, log_fd;
static volatile int go;
extern char _end[] __attribute__((visibility("hidden")));

__asm__(".globl _start\n"
        "_start:\n"
        "	lea snap_stack+65536(%rip), %rsp\n"
        "	xor %ebp, %ebp\n"
        "	call snap_main\n"
        "	ud2\n"
        /* rdi: flags, rsi: stack, rdx: tls, rcx: what the thread is given */
        ".globl snap_spawn\n"
        "snap_spawn:\n"
        "	push %r12\n"
        "	mov %rcx, %r12\n"
        "	mov %rdx, %r8\n"
        "	xor %edx, %edx\n"
        "	xor %r10d, %r10d\n"
        "	mov $56, %eax\n"
        "	syscall\n"
        "	test %rax, %rax\n"
        "	jnz 1f\n"
        "	mov %r12, %rdi\n"
        "	call snap_thread_main\n"
        "	ud2\n"
        "1:	pop %r12\n"
        "	ret\n"
        /* rdi: a frame */
        ".globl snap_leave\n"
        "snap_leave:\n"
        "	mov %rdi, %rsp\n"
        "	mov $15, %eax\n"
        "	syscall\n"
        "	ud2\n"
        /* the subject of a trial (snapshot_try.c), moved to pages of its own; rdi: where they end. It takes the restorer's memory
         * away, says that it is there, and says so once more when it has another number */
        ".globl snap_subject\n"
        "snap_subject:\n"
        "	lea -256(%rdi), %rsp\n"
        "	movabs $0x2f0000000000, %rdi\n"
        "	movabs $0x20100000, %rsi\n"
        "	mov $11, %eax\n"
        "	syscall\n"
        "	mov $39, %eax\n"
        "	syscall\n"
        "	mov %eax, %ebx\n"
        "	movb $0x31, (%rsp)\n"
        "	movq $0, 16(%rsp)\n"
        "	movq $1000000, 24(%rsp)\n"
        "	call 2f\n"
        "1:	lea 16(%rsp), %rdi\n"
        "	xor %esi, %esi\n"
        "	mov $35, %eax\n"
        "	syscall\n"
        "	mov $39, %eax\n"
        "	syscall\n"
        "	cmp %eax, %ebx\n"
        "	je 1b\n"
        "	movb $0x32, (%rsp)\n"
        "	call 2f\n"
        "	mov $42, %edi\n"
        "	mov $60, %eax\n"
        "	syscall\n"
        "2:	mov $1, %edi\n"
        "	lea 8(%rsp), %rsi\n"
        "	mov $1, %edx\n"
        "	mov $1, %eax\n"
        "	syscall\n"
        "	ret\n"
        ".globl snap_subject_end\n"
        "snap_subject_end:\n"
        /* a child that shares our memory, and that we wait for, ends without touching it */
        ".globl snap_spend\n"
        "snap_spend:\n"
        "	mov $0x4100, %edi\n" /* CLONE_VM | CLONE_VFORK */
        "	xor %esi, %esi\n"
        "	xor %edx, %edx\n"
        "	xor %r10d, %r10d\n"
        "	xor %r8d, %r8d\n"
        "	mov $56, %eax\n"
        "	syscall\n"
        "	test %rax, %rax\n"
        "	jnz 1f\n"
        "	xor %edi, %edi\n"
        "	mov $60, %eax\n"
        "	syscall\n"
        "1:	ret\n");
long snap_spawn(uint64_t flags, void *stack, uint64_t tls, const struct snap_thread *t);
long snap_spend(void);
extern const char snap_subject[] __attribute__((visibility("hidden"))), snap_subject_end[] __attribute__((visibility("hidden")));
__attribute__((noreturn)) void snap_leave(const void *frame);

void *memcpy(void *to, const void *from, size_t n)
{
	void *r = to;
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return r;
}

void *memset(void *to, int c, size_t n)
{
	void *r = to;
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return r;
}

void read_all(uint64_t to, uint64_t bytes, uint64_t from, enum snap_step step)
{
	while (bytes) {
		long n = SYS(SYS_pread64, snapshot, to, bytes, from);
		if (n <= 0)
			fail(step);
		to += (uint64_t)n;
		from += (uint64_t)n;
		bytes -= (uint64_t)n;
	}
}

/* ---- the kernel's own pages ---- */

static uint64_t read_hex(const char **p)
{
	uint64_t v = 0;
	for (;; (*p)++) {
		char c = **p;
		if (c >= '0' && c <= '9')
			v = v << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint64_t)(c - 'a' + 10);
		else
			return v;
	}
}

/* Moves them out of the way, one behind the other; they are found by their names, in the order of their addresses. */
static void keep_specials(void)
{
	long fd = need(SYS(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC), SNAP_STEP_VDSO);
	size_t n = 0;
	for (;;) {
		long r = need(SYS(SYS_read, fd, text + n, sizeof(text) - 1 - n), SNAP_STEP_VDSO);
		if (!r)
			break;
		n += (size_t)r;
	}
	SYS(SYS_close, fd);
	text[n] = 0;
	uint32_t found = 0;
	uint64_t to = SNAP_SCRATCH;
	for (const char *p = text; *p;) {
		const char *line = p;
		uint64_t start = read_hex(&p);
		p++;
		uint64_t end = read_hex(&p);
		while (*p && *p != '\n')
			p++;
		const char *name = p;
		while (name > line && *name != '[' && *name != '/')
			name--;
		if (*p)
			p++;
		if (name[0] != '[' || name[1] != 'v' || name[2] == 's')
			continue;
		if (found == head.specials || end - start != head.special[found].end - head.special[found].start)
			fail(SNAP_STEP_VDSO);
		need(SYS(SYS_mremap, start, end - start, end - start, MREMAP_MAYMOVE | MREMAP_FIXED, to), SNAP_STEP_VDSO);
		to += end - start;
		found++;
	}
	if (found != head.specials)
		fail(SNAP_STEP_VDSO);
}

static void put_specials(void)
{
	uint64_t from = SNAP_SCRATCH;
	for (uint32_t i = 0; i < head.specials; i++) {
		uint64_t n = head.special[i].end - head.special[i].start;
		need(SYS(SYS_mremap, from, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, head.special[i].start), SNAP_STEP_VDSO);
		from += n;
	}
}

/* ---- /tmp ---- */

static void write_file(long fd, const struct snap_entry *e)
{
	uint64_t from = e->file, left = e->bytes;
	while (left) {
		uint64_t piece = left < sizeof(text) ? left : sizeof(text);
		read_all((uint64_t)(uintptr_t)text, piece, from, SNAP_STEP_TMP);
		if (SYS(SYS_write, fd, text, piece) != (long)piece)
			fail(SNAP_STEP_TMP);
		from += piece;
		left -= piece;
	}
}

static void fill_tmp(void)
{
	const struct snap_entry *list = in_meta(head.entries_at);
	SYS(SYS_umask, 0);
	for (uint32_t i = 0; i < head.entries; i++) {
		const struct snap_entry *e = &list[i];
		const char *path = in_meta(e->path_at);
		long fd;
		switch (e->kind) {
		case SNAP_ENTRY_DIRECTORY:
			need(SYS(SYS_mkdirat, AT_FDCWD, path, e->mode | 0700), SNAP_STEP_TMP);
			break;
		case SNAP_ENTRY_LINK:
			need(SYS(SYS_symlinkat, in_meta(e->target_at), AT_FDCWD, path), SNAP_STEP_TMP);
			break;
		default:
			fd = need(SYS(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, e->mode | 0200),
			          SNAP_STEP_TMP);
			write_file(fd, e);
			SYS(SYS_fchmod, fd, e->mode);
			SYS(SYS_close, fd);
		}
	}
	/* from the inside out, so that what is made in a directory does not change its time again */
	for (uint32_t i = head.entries; i--;) {
		const struct snap_entry *e = &list[i];
		const int64_t times[4] = {e->changed_s, e->changed_ns, e->changed_s, e->changed_ns};
		if (e->kind == SNAP_ENTRY_DIRECTORY)
			SYS(SYS_fchmodat, AT_FDCWD, in_meta(e->path_at), e->mode);
		SYS(SYS_utimensat, AT_FDCWD, in_meta(e->path_at), times, AT_SYMLINK_NOFOLLOW);
	}
	SYS(SYS_umask, head.umask);
}

/* ---- memory ---- */

/* The beginning of the kernel's struct stat of x86-64. */
struct kernel_stat {
	uint64_t device, inode, links;
	uint32_t mode, uid, gid, pad;
	uint64_t rdev;
	int64_t size, block, blocks, atime_s, atime_ns, mtime_s, mtime_ns, ctime_s, ctime_ns, unused[3];
};

static long open_mapped(const struct snap_map *m)
{
	long fd = SYS(SYS_openat, AT_FDCWD, in_meta(m->path_at), (m->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	struct kernel_stat st;
	if (fd < 0 || SYS(SYS_fstat, fd, &st) < 0)
		fail(SNAP_STEP_STALE);
	/* files of /tmp are copies */
	bool copy = m->changed_ns == 0;
	if ((uint64_t)st.size != m->size ||
	    (!copy && (st.inode != m->inode || (uint64_t)st.mtime_s * 1000000000u + (uint64_t)st.mtime_ns != m->changed_ns)))
		fail(SNAP_STEP_STALE);
	return fd;
}

static void map_all(void)
{
	const struct snap_map *maps = in_meta(head.maps_at);
	const struct snap_run *runs = in_meta(head.runs_at);
	long file = -1;
	uint64_t file_path = 0;
	for (uint32_t i = 0; i < head.maps; i++) {
		const struct snap_map *m = &maps[i];
		if (m->kind == SNAP_MAP_FILE && (file < 0 || file_path != m->path_at + m->writable)) {
			if (file >= 0)
				SYS(SYS_close, file);
			file = open_mapped(m);
			file_path = m->path_at + m->writable;
		}
		/* a shared mapping of a file is filled by the file */
		bool fills = m->runs > 0;
		uint32_t protection = m->protection | (fills ? PROT_READ | PROT_WRITE : 0);
		need(SYS(SYS_mmap, m->start, m->end - m->start, protection, m->flags | MAP_FIXED,
		         m->kind == SNAP_MAP_FILE ? file : -1, m->offset),
		     SNAP_STEP_MEMORY);
		/* filling takes most of a restore's time, and most of that a fault for each page: large pages are fewer */
		if (m->kind == SNAP_MAP_ANONYMOUS && m->runs && m->end - m->start >= LARGE_BYTES)
			SYS(SYS_madvise, m->start, m->end - m->start, MADV_HUGEPAGE);
		for (uint32_t r = 0; r < m->runs; r++) {
			const struct snap_run *run = &runs[m->first_run + r];
			read_all(run->start, run->bytes, run->file, SNAP_STEP_MEMORY);
		}
		if (protection != m->protection)
			need(SYS(SYS_mprotect, m->start, m->end - m->start, m->protection), SNAP_STEP_MEMORY);
		for (uint32_t a = 0; a < 32; a++)
			if (m->advice >> a & 1)
				SYS(SYS_madvise, m->start, m->end - m->start, a);
	}
	if (file >= 0)
		SYS(SYS_close, file);
}

long high(long fd)
{
	long r = need(SYS(SYS_fcntl, fd, F_DUPFD_CLOEXEC, HIGH_FD), SNAP_STEP_FDS);
	SYS(SYS_close, fd);
	return r;
}

static void become_empty(void)
{
	uint64_t end = ((uint64_t)(uintptr_t)_end + SNAP_PAGE - 1) & ~(uint64_t)(SNAP_PAGE - 1);
	uint64_t meta_end = SNAP_META + ((head.meta_bytes + SNAP_PAGE - 1) & ~(uint64_t)(SNAP_PAGE - 1));
	need(SYS(SYS_munmap, 0, SNAP_STUB), SNAP_STEP_MEMORY);
	need(SYS(SYS_munmap, end, SNAP_META - end), SNAP_STEP_MEMORY);
	need(SYS(SYS_munmap, meta_end, SNAP_SCRATCH - meta_end), SNAP_STEP_MEMORY);
	need(SYS(SYS_munmap, SNAP_END, SNAP_ADDRESS_END - SNAP_END), SNAP_STEP_MEMORY);
}

static void set_layout(void)
{
	/* without the file of the program, which only the privileged may set */
	need(SYS(SYS_prctl, 35 /* PR_SET_MM */, 14 /* PR_SET_MM_MAP */, &head.layout, sizeof(head.layout)), SNAP_STEP_LAYOUT);
	/* what a runtime may have registered for; to register is free of effects otherwise */
	SYS(SYS_membarrier, 1 << 4 /* PRIVATE_EXPEDITED */);
	SYS(SYS_membarrier, 1 << 6 /* PRIVATE_EXPEDITED_SYNC_CORE */);
}

/* ---- the process and its threads ---- */

static void set_signals(void)
{
	const struct snap_action *actions = in_meta(head.actions_at);
	for (int i = 0; i < SNAP_SIGNALS; i++)
		if (actions[i].handler || actions[i].flags)
			need(SYS(SYS_rt_sigaction, i + 1, &actions[i], 0, 8), SNAP_STEP_SIGNALS);
	const struct snap_timer *timers = in_meta(head.timers_at);
	for (uint32_t i = 0; i < head.timers; i++) {
		const struct snap_timer *t = &timers[i];
		struct {
			uint64_t value;
			int32_t signal, notify, tid, pad[11];
		} event = {.value = t->value, .signal = t->signal, .notify = t->notify, .tid = t->tid};
		const int64_t due[4] = {t->interval_s, t->interval_ns, t->value_s, t->value_ns};
		int id = -1;
		need(SYS(SYS_timer_create, t->clock, &event, &id), SNAP_STEP_SIGNALS);
		if (id != t->id)
			fail(SNAP_STEP_SIGNALS);
		SYS(SYS_timer_settime, id, 0, due, 0);
	}
}

static void resume(const struct snap_thread *t)
{
	if (t->robust)
		SYS(SYS_set_robust_list, t->robust, t->robust_bytes);
	if (t->rseq)
		SYS(SYS_rseq, t->rseq, t->rseq_bytes, 0, t->rseq_signature);
	SYS(SYS_set_tid_address, t->clear_tid);
	SYS(SYS_prctl, 15 /* PR_SET_NAME */, t->name);
	SYS(SYS_arch_prctl, 0x1002 /* ARCH_SET_FS */, t->fs);
	if (t->gs)
		SYS(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, t->gs);
	snap_leave(in_meta(t->context_at));
}

void snap_thread_main(const struct snap_thread *t)
{
	while (!go)
		SYS(SYS_futex, &go, FUTEX_WAIT_, 0, 0);
	resume(t);
	fail(SNAP_STEP_THREADS);
}

static void start_threads(void)
{
	const struct snap_thread *t = in_meta(head.threads_at);
	uint32_t next = (uint32_t)SYS(SYS_getpid);
	for (uint32_t i = 1; i < head.threads; i++) {
		long tid;
		for (next++; !head.any_pid && next < t[i].tid; next++) {
			tid = need(snap_spend(), SNAP_STEP_THREADS);
			SYS(SYS_wait4, tid, 0, 0x40000000 /* __WALL */, 0);
			if (tid != next)
				fail(SNAP_STEP_THREADS);
		}
		tid = snap_spawn(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS,
		                 thread_stacks[i] + THREAD_STACK - 64, t[i].fs, &t[i]);
		if (tid < 0 || (!head.any_pid && tid != t[i].tid))
			fail(SNAP_STEP_THREADS);
	}
}

/* Without a snapshot we are one to be taken. */
static void become_subject(void)
{
	const uint64_t at = 0x10000000, bytes = 4 * SNAP_PAGE;
	need(SYS(SYS_mmap, at, bytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
	     SNAP_STEP_HEAD);
	memcpy((void *)(uintptr_t)at, snap_subject, (size_t)(snap_subject_end - snap_subject));
	((void (*)(uint64_t))(uintptr_t)at)(at + bytes);
}

void snap_main(void)
{
	long n = SYS(SYS_pread64, SNAPSHOT_FD, &head, sizeof(head), 0);
	if (n == -9 /* EBADF */)
		become_subject();
	if (n != (long)sizeof(head) || head.magic != SNAP_MAGIC || (!head.any_pid && SYS(SYS_getpid) != (long)head.pid))
		fail(SNAP_STEP_HEAD);
	need(SYS(SYS_mmap, SNAP_META, head.meta_bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, SNAPSHOT_FD, head.meta_start),
	     SNAP_STEP_META);
	meta = (const char *)(uintptr_t)SNAP_META;
	keep_specials();
	become_empty();
	snapshot = high(SNAPSHOT_FD);
	log_fd = high(1);
	SYS(SYS_close, 0);
	SYS(SYS_close, 2);
	fill_tmp();
	map_all();
	put_specials();
	set_layout();
	restore_fds();
	SYS(SYS_chdir, in_meta(head.cwd_at));
	set_signals();
	start_threads();
	SYS(SYS_close, snapshot);
	SYS(SYS_close, log_fd);
	go = 1;
	SYS(SYS_futex, &go, FUTEX_WAKE_, SNAP_THREADS_MAX);
	resume(in_meta(head.threads_at));
	fail(SNAP_STEP_END);
}
