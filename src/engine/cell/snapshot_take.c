/* The order: every thread is stopped by ptrace; the registers, masks and lists that only the kernel knows are read, some by system
 * calls that a thread is made to make, whose results are left in a scrap of its stack that is put back afterwards; then memory,
 * descriptors and /tmp. Nothing of it runs in the process, and no file of its is written. */
#include "engine/cell/snapshot_state.h"

#include "engine/cell/snapshot_x86.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

int taking_refuse(struct taking *t, int error, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	if (!t->why[0])
		vsnprintf(t->why, SNAPSHOT_WHY_MAX, fmt, args);
	va_end(args);
	return error;
}

int taking_write(struct taking *t, const void *p, size_t n, uint64_t *ret_at)
{
	size_t whole = (n + SNAP_PAGE - 1) & ~(size_t)(SNAP_PAGE - 1);
	if (t->end + whole > t->job->bytes_max)
		return taking_refuse(t, -EFBIG, "it would have more than %llu MB", (unsigned long long)t->job->bytes_max >> 20);
	for (size_t done = 0; done < n;) {
		ssize_t r = pwrite(t->job->out, (const char *)p + done, n - done, (off_t)(t->end + done));
		if (r <= 0)
			return taking_refuse(t, r < 0 ? -errno : -EIO, "writing it: %s", strerror(r < 0 ? errno : EIO));
		done += (size_t)r;
	}
	*ret_at = t->end;
	t->end += whole;
	return 0;
}

uint64_t taking_text(struct taking *t, const char *text)
{
	uint64_t at = t->text.n;
	buf_add(&t->text, text, strlen(text) + 1);
	return at;
}

char *taking_read(struct taking *t, const char *name, size_t *ret_n)
{
	int fd = openat(t->proc, name, O_RDONLY | O_CLOEXEC);
	struct buf b;
	buf_init(&b, 16 << 20);
	for (ssize_t n = 1; fd >= 0 && n > 0;) {
		char *room = buf_room(&b, 65536);
		n = room ? read(fd, room, 65535) : -1;
		if (n > 0)
			buf_grew(&b, (size_t)n);
	}
	if (fd < 0 || b.overflow) {
		if (fd >= 0)
			close(fd);
		buf_done(&b);
		return NULL;
	}
	close(fd);
	buf_add_char(&b, 0);
	size_t n;
	char *p = buf_take(&b, &n);
	if (ret_n)
		*ret_n = n - 1;
	return p;
}

/* ---- stopping ---- */

static bool is_stopped(const struct taking *t, pid_t tid)
{
	for (size_t i = 0; i < t->stopped_count; i++)
		if (t->stopped[i].tid == tid)
			return true;
	return false;
}

static int stop_one(struct taking *t, pid_t tid)
{
	int status;
	if (ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_EXITKILL) < 0)
		return errno == ESRCH ? 0 : taking_refuse(t, -errno, "its threads cannot be looked at: %s", strerror(errno));
	if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0 || waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status))
		return 0; /* it has just ended */
	if (t->stopped_count == SNAP_THREADS_MAX)
		return taking_refuse(t, -E2BIG, "it has more than %d threads", SNAP_THREADS_MAX);
	t->stopped[t->stopped_count++] = (struct snap_taken_thread){.tid = tid};
	return 0;
}

/* Threads start threads: looks until there is none that still runs. */
static int stop_all(struct taking *t)
{
	for (bool found = true; found;) {
		int fd = openat(t->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *d = fd < 0 ? NULL : fdopendir(fd);
		int error = d ? 0 : -errno;
		found = false;
		for (struct dirent *e; d && !error && (e = readdir(d));) {
			pid_t tid = atoi(e->d_name);
			if (tid <= 0 || is_stopped(t, tid))
				continue;
			size_t before = t->stopped_count;
			error = stop_one(t, tid);
			found |= t->stopped_count > before;
		}
		if (d)
			closedir(d);
		if (error)
			return error;
	}
	return t->stopped_count ? 0 : taking_refuse(t, -ESRCH, "the process has ended");
}

/* ---- what the kernel knows of a thread ---- */

long taking_call(struct taking *t, pid_t tid, long number, const uint64_t a[6])
{
	struct user_regs_struct regs;
	int status;
	if (ptrace(PTRACE_GETREGS, tid, 0, &regs) < 0)
		return -EIO;
	regs.rax = (unsigned long long)number;
	regs.orig_rax = (unsigned long long)-1; /* not within a system call: nothing is to be begun again */
	regs.rdi = a[0];
	regs.rsi = a[1];
	regs.rdx = a[2];
	regs.r10 = a[3];
	regs.r8 = a[4];
	regs.r9 = a[5];
	regs.rip = t->gate;
	if (ptrace(PTRACE_SETREGS, tid, 0, &regs) < 0 || ptrace(PTRACE_SINGLESTEP, tid, 0, 0) < 0 ||
	    waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP ||
	    ptrace(PTRACE_GETREGS, tid, 0, &regs) < 0)
		return -EIO;
	return (long)regs.rax;
}

/* A scrap of memory below the thread's stack pointer and what lies above it there unsaid, for results; it is put back. */
struct scrap {
	uint64_t at;
	unsigned char before[2048];
};

static bool scrap_take(struct taking *t, const struct snap_taken_thread *thread, struct scrap *s)
{
	s->at = (thread->regs.rsp - 4096) & ~UINT64_C(63);
	return pread(t->memory, s->before, sizeof(s->before), (off_t)s->at) == (ssize_t)sizeof(s->before);
}

static void scrap_give(struct taking *t, const struct scrap *s)
{
	if (pwrite(t->memory, s->before, sizeof(s->before), (off_t)s->at) < 0)
		taking_refuse(t, -EIO, "its stack cannot be written");
}

/* A system call whose result lies in the scrap: n bytes of it. */
static bool ask(struct taking *t, pid_t tid, const struct scrap *s, long number, const uint64_t a[6], void *ret, size_t n)
{
	return taking_call(t, tid, number, a) >= 0 && pread(t->memory, ret, n, (off_t)s->at) == (ssize_t)n;
}

/* What ptrace shows of an interrupted system call, as what the process is to find: the call is made again. */
static void begin_again(struct user_regs_struct *r)
{
	enum { RESTARTSYS = -512, RESTARTNOINTR = -513, RESTARTNOHAND = -514, RESTART_RESTARTBLOCK = -516 };
	long result = (long)r->rax, number = (long)r->orig_rax;
	bool poll = number == SYS_epoll_wait || number == SYS_epoll_pwait || number == SYS_epoll_pwait2;
	if (number < 0)
		return;
	if (result == RESTARTSYS || result == RESTARTNOINTR || result == RESTARTNOHAND || result == RESTART_RESTARTBLOCK ||
	    (poll && result == -EINTR)) {
		r->rax = r->orig_rax;
		r->rip -= 2;
	}
}

static int last_number(const char *status, const char *name, long *ret)
{
	const char *p = strstr(status, name);
	if (!p)
		return -ENOENT;
	const char *end = strchr(p, '\n');
	while (end > p && end[-1] != '\t' && end[-1] != ' ')
		end--;
	*ret = atol(end);
	return 0;
}

static int read_thread(struct taking *t, struct snap_taken_thread *thread)
{
	char name[64];
	pid_t tid = thread->tid;
	struct snap_thread *out = &thread->out;
	struct scrap s;
	uint64_t mask = 0;
	struct {
		uint64_t pointer;
		int32_t flags, pad;
		uint64_t bytes;
	} stack = {0};
	long number;
	snprintf(name, sizeof(name), "task/%d/status", (int)tid);
	char *status = taking_read(t, name, NULL);
	bool good = status && last_number(status, "NSpid:", &number) == 0;
	free(status);
	snprintf(name, sizeof(name), "task/%d/comm", (int)tid);
	char *comm = taking_read(t, name, NULL);
	if (!good || !comm || ptrace(PTRACE_GETREGS, tid, 0, &thread->regs) < 0 ||
	    ptrace(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask) < 0) {
		free(comm);
		return taking_refuse(t, -EIO, "a thread cannot be read");
	}
	out->tid = (uint32_t)number;
	snprintf(out->name, sizeof(out->name), "%.*s", (int)strcspn(comm, "\n"), comm);
	free(comm);
	out->fs = thread->regs.fs_base;
	out->gs = thread->regs.gs_base;
	void *robust = NULL;
	size_t robust_bytes = 0;
	if (syscall(SYS_get_robust_list, tid, &robust, &robust_bytes) == 0) {
		out->robust = (uint64_t)(uintptr_t)robust;
		out->robust_bytes = robust_bytes;
	}
	struct __ptrace_rseq_configuration rseq = {0};
	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, sizeof(rseq), &rseq) > 0) {
		out->rseq = rseq.rseq_abi_pointer;
		out->rseq_bytes = rseq.rseq_abi_size;
		out->rseq_signature = rseq.signature;
	}
	struct snap_context context;
	int error = x86_read_float(tid, &t->text, &context.fpstate);
	if (error)
		return taking_refuse(t, error, "the floating point state cannot be read: %s", strerror(-error));
	uint64_t fpstate = context.fpstate;
	if (!scrap_take(t, thread, &s) || !ask(t, tid, &s, SYS_sigaltstack, (uint64_t[6]){0, s.at}, &stack, sizeof(stack)) ||
	    !ask(t, tid, &s, SYS_prctl, (uint64_t[6]){40 /* PR_GET_TID_ADDRESS */, s.at}, &out->clear_tid, 8))
		return taking_refuse(t, -EIO, "a thread does not do what it is asked to");
	scrap_give(t, &s);
	begin_again(&thread->regs);
	x86_context(&thread->regs, &context);
	context.fpstate = fpstate;
	context.mask = mask;
	context.stack_pointer = stack.pointer;
	context.stack_flags = (uint64_t)(stack.flags & ~1 /* SS_ONSTACK */);
	context.stack_bytes = stack.bytes;
	while (t->text.n % 16)
		buf_add_char(&t->text, 0);
	out->context_at = t->text.n;
	buf_add(&t->text, &context, sizeof(context));
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct snap_taken_thread *x = a, *y = b;
	return x->out.tid < y->out.tid ? -1 : x->out.tid > y->out.tid;
}

static int read_timers(struct taking *t, const struct snap_taken_thread *first)
{
	char *timers = taking_read(t, "timers", NULL);
	int error = 0;
	for (char *p = timers; p && (p = strstr(p, "ID: ")) && !error; p++) {
		struct snap_timer out = {0};
		struct scrap s;
		char how[16] = "";
		int notified;
		unsigned long long value;
		if (p > timers && p[-1] != '\n')
			continue; /* ClockID */
		if (sscanf(p, "ID: %d\nsignal: %d/%llx\nnotify: %15[^/]/%*[^.].%d\nClockID: %d", &out.id, &out.signal, &value, how,
		           &notified, &out.clock) != 6 ||
		    out.id != (int32_t)t->head.timers || strcmp(how, "signal")) {
			error = taking_refuse(t, -ENOTSUP, "it has a timer of a kind that cannot be kept");
			break;
		}
		out.value = value;
		out.notify = 0;
		char *tid = strstr(p, "/tid.");
		if (tid && tid < strstr(p, "ClockID")) {
			out.notify = 4; /* SIGEV_THREAD_ID */
			out.tid = notified;
			for (size_t i = 0; i < t->stopped_count; i++)
				if (t->stopped[i].tid == notified)
					out.tid = (int32_t)t->stopped[i].out.tid;
		}
		int64_t due[4];
		if (!scrap_take(t, first, &s) ||
		    !ask(t, first->tid, &s, SYS_timer_gettime, (uint64_t[6]){(uint64_t)out.id, s.at}, due, sizeof(due)))
			error = taking_refuse(t, -EIO, "a timer cannot be read");
		else
			scrap_give(t, &s);
		out.interval_s = due[0];
		out.interval_ns = due[1];
		out.value_s = due[2];
		out.value_ns = due[3];
		buf_add(&t->timers, &out, sizeof(out));
		t->head.timers++;
	}
	free(timers);
	return error;
}

/* /proc/PID/stat, by the numbers of proc(5). */
static int read_layout(struct taking *t, const struct snap_taken_thread *first)
{
	char *stat = taking_read(t, "stat", NULL), *p = stat ? strrchr(stat, ')') : NULL;
	uint64_t field[52] = {0};
	if (p)
		p += 3; /* the third field is the state, a letter */
	for (int i = 4; p && i < 52; i++) {
		p = strchr(p, ' ');
		if (p)
			field[i] = strtoull(++p, NULL, 10);
	}
	bool whole = p != NULL;
	free(stat);
	long brk = taking_call(t, first->tid, SYS_brk, (uint64_t[6]){0});
	if (!whole || brk <= 0 || !field[26] || !field[51])
		return taking_refuse(t, -EIO, "where its parts lie cannot be read");
	t->head.layout = (struct snap_layout){.start_code = field[26],
	                                      .end_code = field[27],
	                                      .start_stack = field[28],
	                                      .start_data = field[45],
	                                      .end_data = field[46],
	                                      .start_brk = field[47],
	                                      .brk = (uint64_t)brk,
	                                      .arg_start = field[48],
	                                      .arg_end = field[49],
	                                      .env_start = field[50],
	                                      .env_end = field[51],
	                                      .exe_fd = UINT32_MAX};
	return 0;
}

static int read_process(struct taking *t)
{
	int error = 0;
	for (size_t i = 0; i < t->stopped_count && !error; i++)
		error = read_thread(t, &t->stopped[i]);
	if (error)
		return error;
	qsort(t->stopped, t->stopped_count, sizeof(*t->stopped), by_number);
	const struct snap_taken_thread *first = &t->stopped[0];
	if (first->tid != t->job->pid)
		return taking_refuse(t, -ENOTSUP, "its first thread has ended");
	for (size_t i = 0; i < t->stopped_count; i++)
		buf_add(&t->threads, &t->stopped[i].out, sizeof(t->stopped[i].out));
	t->head.pid = first->out.tid;
	t->head.threads = (uint32_t)t->stopped_count;
	struct scrap s;
	if (!scrap_take(t, first, &s))
		return taking_refuse(t, -EIO, "its stack cannot be read");
	while (t->text.n % 16)
		buf_add_char(&t->text, 0);
	t->head.actions_at = t->text.n;
	for (int i = 1; i <= SNAP_SIGNALS; i++) {
		struct snap_action action = {0};
		bool fixed = i == SIGKILL || i == SIGSTOP;
		if (!fixed &&
		    !ask(t, first->tid, &s, SYS_rt_sigaction, (uint64_t[6]){(uint64_t)i, 0, s.at, 8}, &action, sizeof(action)))
			return taking_refuse(t, -EIO, "its signal handlers cannot be read");
		buf_add(&t->text, &action, sizeof(action));
	}
	int64_t itimer[4];
	if (!ask(t, first->tid, &s, SYS_getitimer, (uint64_t[6]){0, s.at}, itimer, sizeof(itimer)))
		return taking_refuse(t, -EIO, "its timer cannot be read");
	scrap_give(t, &s);
	if (itimer[2] || itimer[3])
		return taking_refuse(t, -ENOTSUP, "an alarm() is running in it");
	error = read_layout(t, first);
	return error ? error : read_timers(t, first);
}

/* ---- the whole ---- */

/* A system call instruction in the kernel's own page of code. */
static int find_gate(struct taking *t)
{
	char *maps = taking_read(t, "maps", NULL);
	char *line = maps ? strstr(maps, "[vdso]") : NULL;
	unsigned long long start, end;
	while (line && line > maps && line[-1] != '\n')
		line--;
	if (line && sscanf(line, "%llx-%llx", &start, &end) == 2 && end - start <= SNAP_PIECE &&
	    pread(t->memory, t->piece, (size_t)(end - start), (off_t)start) == (ssize_t)(end - start))
		for (size_t i = 0; i + 1 < end - start; i++)
			if (t->piece[i] == 0x0f && t->piece[i + 1] == 0x05) {
				t->gate = start + i;
				break;
			}
	free(maps);
	return t->gate ? 0 : taking_refuse(t, -ENOTSUP, "no system call instruction in its vdso");
}

static int read_boot(char ret[40])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	memset(ret, 0, 40);
	ssize_t n = read(fd, ret, 36);
	close(fd);
	return n == 36 ? 0 : -EIO;
}

/* A process of its would not come along, and neither would the one that waits for this one. */
static int refuse_company(struct taking *t)
{
	char name[64], *children;
	for (size_t i = 0; i < t->stopped_count; i++) {
		snprintf(name, sizeof(name), "task/%d/children", (int)t->stopped[i].tid);
		children = taking_read(t, name, NULL);
		bool any = children && strspn(children, " \n") != strlen(children);
		free(children);
		if (any)
			return taking_refuse(t, -ENOTSUP, "it has started processes that still run");
	}
	return 0;
}

static int write_tables(struct taking *t)
{
	struct {
		struct buf *table;
		uint64_t *at;
		size_t size;
		uint32_t *count;
	} tables[] = {
	        {&t->text, NULL, 0, NULL},
	        {&t->maps, &t->head.maps_at, sizeof(struct snap_map), &t->head.maps},
	        {&t->runs, &t->head.runs_at, 0, NULL},
	        {&t->threads, &t->head.threads_at, 0, NULL},
	        {&t->fds, &t->head.fds_at, sizeof(struct snap_fd), &t->head.fds},
	        {&t->polls, &t->head.polls_at, sizeof(struct snap_poll), &t->head.polls},
	        {&t->entries, &t->head.entries_at, sizeof(struct snap_entry), &t->head.entries},
	        {&t->timers, &t->head.timers_at, 0, NULL},
	};
	struct buf CLEAN_BUF meta;
	buf_init(&meta, SNAP_META_MAX);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		while (meta.n % 64)
			buf_add_char(&meta, 0);
		if (tables[i].at)
			*tables[i].at = meta.n;
		if (tables[i].count)
			*tables[i].count = (uint32_t)(tables[i].table->n / tables[i].size);
		if (tables[i].table->overflow)
			meta.overflow = true;
		buf_add_str(&meta, buf_str(tables[i].table));
	}
	if (meta.overflow)
		return taking_refuse(t, -E2BIG, "it has too many parts");
	t->head.meta_bytes = meta.n;
	int error = taking_write(t, meta.p, meta.n, &t->head.meta_start);
	t->head.magic = SNAP_MAGIC;
	t->head.any_pid = t->job->any_pid;
	if (!error)
		error = read_boot(t->head.boot);
	if (!error && pwrite(t->job->out, &t->head, sizeof(t->head), 0) != (ssize_t)sizeof(t->head))
		error = -EIO;
	if (!error && ftruncate(t->job->out, (off_t)t->end) < 0)
		error = -errno;
	return error;
}

static int read_place(struct taking *t)
{
	char path[4096];
	ssize_t n = readlinkat(t->proc, "cwd", path, sizeof(path) - 1);
	char *status = taking_read(t, "status", NULL), *mask = status ? strstr(status, "Umask:") : NULL;
	t->head.umask = mask ? (uint32_t)strtoul(mask + 6, NULL, 8) : 022;
	free(status);
	if (n <= 0)
		return taking_refuse(t, -EIO, "its working directory cannot be read");
	path[n] = 0;
	t->head.cwd_at = taking_text(t, path);
	t->head.request_at = taking_text(t, t->job->request);
	t->head.request_bytes = strlen(t->job->request);
	return 0;
}

int snapshot_take(const struct snapshot_job *job, char ret_why[SNAPSHOT_WHY_MAX])
{
	struct taking t = {.job = job, .why = ret_why, .end = SNAP_PAGE, .proc = -1, .memory = -1, .root = -1};
	struct buf *const buffers[] = {&t.maps, &t.runs, &t.threads, &t.fds, &t.polls, &t.entries, &t.timers, &t.text};
	char path[64];
	ret_why[0] = 0;
	for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
		buf_init(buffers[i], SNAP_TABLE_MAX);
	t.stopped = calloc(SNAP_THREADS_MAX, sizeof(*t.stopped));
	t.piece = malloc(SNAP_PIECE);
	snprintf(path, sizeof(path), "/proc/%d", (int)job->pid);
	t.proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t.proc >= 0) {
		t.memory = openat(t.proc, "mem", O_RDWR | O_CLOEXEC);
		t.root = openat(t.proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	int error = !t.stopped || !t.piece ? -ENOMEM : 0;
	if (!error && (t.memory < 0 || t.root < 0))
		error = taking_refuse(&t, -errno, "the process cannot be looked at: %s", strerror(errno));
	if (!error)
		error = stop_all(&t);
	if (!error)
		error = refuse_company(&t);
	if (!error)
		error = find_gate(&t);
	if (!error)
		error = read_process(&t);
	if (!error)
		error = taking_memory(&t);
	if (!error)
		error = read_place(&t);
	if (!error)
		error = taking_fds(&t);
	if (!error && job->tmp)
		error = taking_tmp(&t);
	if (!error)
		error = write_tables(&t);
	if (error && !ret_why[0])
		snprintf(ret_why, SNAPSHOT_WHY_MAX, "%s", strerror(-error));
	for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
		buf_done(buffers[i]);
	free(t.stopped);
	free(t.piece);
	if (t.memory >= 0)
		close(t.memory);
	if (t.root >= 0)
		close(t.root);
	if (t.proc >= 0)
		close(t.proc);
	return error;
}

int snapshot_check(int fd)
{
	struct snap_head head;
	char boot[40];
	ssize_t n = pread(fd, &head, sizeof(head), 0);
	if (n != (ssize_t)sizeof(head) || head.magic != SNAP_MAGIC)
		return n < 0 ? -errno : -ESTALE;
	int error = read_boot(boot);
	return error ? error : memcmp(boot, head.boot, sizeof(boot)) ? -ESTALE : 0;
}
