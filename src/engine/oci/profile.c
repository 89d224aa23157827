/* What a container's programs may ask of the kernel: what ordinary programs ask for. What is not here fails with EPERM; calls that
 * are newer than this list fail with ENOSYS, so that libraries fall back. Some calls belong to capabilities, and come with them. */
#include "engine/oci/bundle.h"

#include "base/json.h"

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HYPERVISOR_SOCKETS = 40 /* AF_VSOCK */, NEW_NAMESPACES = 2114060288, NO_SUCH_CALL = 38, REFUSED = 1 };

#define WORDS(...) \
	(const char *const[]) \
	{ \
		__VA_ARGS__, NULL \
	}

static const char *const *const always[] = {
        /* files */
        WORDS("access", "faccessat", "faccessat2", "open", "openat", "openat2", "creat", "close", "close_range", "read", "readv",
              "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2", "lseek", "_llseek", "stat",
              "stat64", "fstat", "fstat64", "lstat", "lstat64", "newfstatat", "fstatat64", "statx", "statfs", "statfs64", "fstatfs",
              "fstatfs64", "truncate", "truncate64", "ftruncate", "ftruncate64", "fallocate", "fadvise64", "fadvise64_64",
              "readahead", "sync", "syncfs", "fsync", "fdatasync", "sync_file_range", "sync_file_range2", "copy_file_range",
              "sendfile", "sendfile64", "splice", "tee", "vmsplice", "cachestat"),
        WORDS("mkdir", "mkdirat", "rmdir", "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "symlink",
              "symlinkat", "readlink", "readlinkat", "mknod", "mknodat", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown",
              "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32", "utime", "utimes", "utimensat", "utimensat_time64",
              "futimesat", "umask", "chdir", "fchdir", "getcwd", "getdents", "getdents64", "flock", "fcntl", "fcntl64", "dup",
              "dup2", "dup3", "ioctl", "pipe", "pipe2", "memfd_create", "memfd_secret"),
        WORDS("getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr", "setxattr", "lsetxattr", "fsetxattr",
              "removexattr", "lremovexattr", "fremovexattr", "inotify_init", "inotify_init1", "inotify_add_watch",
              "inotify_rm_watch", "fanotify_mark", "name_to_handle_at", "io_setup", "io_submit", "io_cancel", "io_destroy",
              "io_getevents", "io_pgetevents", "io_pgetevents_time64", "landlock_create_ruleset", "landlock_add_rule",
              "landlock_restrict_self"),
        /* memory */
        WORDS("brk", "mmap", "mmap2", "munmap", "mremap", "mprotect", "pkey_alloc", "pkey_free", "pkey_mprotect", "madvise",
              "mincore", "mlock", "mlock2", "mlockall", "munlock", "munlockall", "msync", "remap_file_pages", "membarrier",
              "map_shadow_stack", "get_mempolicy", "set_mempolicy", "mbind", "process_mrelease"),
        /* processes and threads */
        WORDS("fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid", "waitpid", "getpid", "getppid",
              "gettid", "getpgid", "getpgrp", "setpgid", "getsid", "setsid", "pidfd_open", "pidfd_send_signal", "set_tid_address",
              "futex", "futex_time64", "futex_waitv", "futex_wake", "futex_wait", "futex_requeue", "set_robust_list",
              "get_robust_list", "rseq", "arch_prctl", "modify_ldt", "set_thread_area", "get_thread_area", "prctl", "seccomp",
              "personality", "capget", "capset", "kcmp"),
        WORDS("getuid", "getuid32", "geteuid", "geteuid32", "getgid", "getgid32", "getegid", "getegid32", "getresuid",
              "getresuid32", "getresgid", "getresgid32", "getgroups", "getgroups32", "setuid", "setuid32", "setgid", "setgid32",
              "setreuid", "setreuid32", "setregid", "setregid32", "setresuid", "setresuid32", "setresgid", "setresgid32",
              "setgroups", "setgroups32", "setfsuid", "setfsuid32", "setfsgid", "setfsgid32", "getrlimit", "ugetrlimit",
              "setrlimit", "prlimit64", "getrusage", "getpriority", "setpriority", "ioprio_get", "ioprio_set", "sysinfo", "uname",
              "times", "getcpu", "getrandom"),
        WORDS("sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getattr", "sched_setattr", "sched_getparam",
              "sched_setparam", "sched_getscheduler", "sched_setscheduler", "sched_get_priority_max", "sched_get_priority_min",
              "sched_rr_get_interval", "sched_rr_get_interval_time64"),
        /* signals and time */
        WORDS("kill", "tkill", "tgkill", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
              "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sigaltstack", "sigreturn",
              "signal", "sigaction", "sigpending", "sigprocmask", "sigsuspend", "signalfd", "signalfd4", "pause", "restart_syscall",
              "alarm", "getitimer", "setitimer", "nanosleep", "clock_nanosleep", "clock_nanosleep_time64", "clock_getres",
              "clock_getres_time64", "clock_gettime", "clock_gettime64", "gettimeofday", "time", "timer_create", "timer_delete",
              "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime", "timer_settime64", "timerfd_create",
              "timerfd_gettime", "timerfd_gettime64", "timerfd_settime", "timerfd_settime64", "adjtimex"),
        /* waiting and talking */
        WORDS("select", "_newselect", "pselect6", "pselect6_time64", "poll", "ppoll", "ppoll_time64", "epoll_create",
              "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_wait", "epoll_wait_old", "epoll_pwait", "epoll_pwait2",
              "eventfd", "eventfd2", "socketpair", "bind", "listen", "accept", "accept4", "connect", "getsockname", "getpeername",
              "getsockopt", "setsockopt", "send", "sendto", "sendmsg", "sendmmsg", "recv", "recvfrom", "recvmsg", "recvmmsg",
              "recvmmsg_time64", "shutdown", "socketcall"),
        WORDS("ipc", "shmget", "shmat", "shmdt", "shmctl", "semget", "semop", "semctl", "semtimedop", "semtimedop_time64", "msgget",
              "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink", "mq_getsetattr", "mq_notify", "mq_timedsend",
              "mq_timedsend_time64", "mq_timedreceive", "mq_timedreceive_time64"),
        NULL,
};

/* `ptrace` and its like reach only what the caller's user may reach anyway, but have often been a way to more. */
static const struct {
	const char *capability;
	const char *const *names;
} with[] = {
        {"CAP_SYS_PTRACE", WORDS("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "process_madvise")},
        {"CAP_SYS_CHROOT", WORDS("chroot")},
        {"CAP_SYS_ADMIN",
         WORDS("mount", "umount", "umount2", "pivot_root", "unshare", "setns", "clone", "clone3", "sethostname", "setdomainname",
               "fanotify_init", "fsopen", "fsconfig", "fsmount", "fspick", "move_mount", "open_tree", "mount_setattr")},
        {"CAP_SYS_NICE", WORDS("move_pages", "migrate_pages", "set_mempolicy_home_node")},
        {"CAP_SYS_TTY_CONFIG", WORDS("vhangup")},
};

static void put_names(struct json_out *o, const char *const *names)
{
	for (; *names; names++)
		json_string(o, str_from(*names));
}

static void open_rule(struct json_out *o)
{
	json_open(o, '{');
	json_key(o, S("names"));
	json_open(o, '[');
}

static void close_rule(struct json_out *o, const char *action, int error, const char *arguments)
{
	json_close(o, ']');
	json_key(o, S("action"));
	json_string(o, str_from(action));
	if (error) {
		json_key(o, S("errnoRet"));
		json_int(o, error);
	}
	if (arguments) {
		json_key(o, S("args"));
		json_raw(o, str_from(arguments));
	}
	json_close(o, '}');
}

static bool has(const char *const *capabilities, size_t count, const char *one)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(capabilities[i], one) == 0)
			return true;
	return false;
}

void profile_put(struct buf *b, const char *const *capabilities, size_t count)
{
	struct json_out out = json_out(b), *o = &out;
	bool admin = has(capabilities, count, "CAP_SYS_ADMIN");
	json_raw(o, S("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,"
	              "\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"],\"syscalls\":["));
	out.comma = false;
	open_rule(o);
	for (const char *const *const *group = always; *group; group++)
		put_names(o, *group);
	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++)
		if (has(capabilities, count, with[i].capability))
			put_names(o, with[i].names);
	close_rule(o, "SCMP_ACT_ALLOW", 0, NULL);
	/* every family of sockets but those to other machines' hypervisors */
	open_rule(o);
	json_string(o, S("socket"));
	close_rule(o, "SCMP_ACT_ALLOW", 0, "[{\"index\":0,\"value\":40,\"op\":\"SCMP_CMP_NE\"}]");
	if (!admin) {
		/* threads and processes, but no namespaces; the flags of clone3 lie where a filter cannot look */
		open_rule(o);
		json_string(o, S("clone"));
		close_rule(o, "SCMP_ACT_ALLOW", 0,
		           "[{\"index\":0,\"value\":2114060288,\"valueTwo\":0,\"op\":\"SCMP_CMP_MASKED_EQ\"}]");
		open_rule(o);
		json_string(o, S("clone3"));
		close_rule(o, "SCMP_ACT_ERRNO", 38, NULL);
	}
	buf_add_lit(b, "]}"); /* what was opened in the raw text */
}

/* ---- the same as a program of the kernel's ---- */

static int allow(scmp_filter_ctx f, const char *const *names)
{
	int error = 0;
	for (; *names && !error; names++) {
		int number = seccomp_syscall_resolve_name(*names);
		if (number != __NR_SCMP_ERROR)
			error = seccomp_rule_add(f, SCMP_ACT_ALLOW, number, 0);
	}
	return error;
}

static int add_rules(scmp_filter_ctx f, const char *const *capabilities, size_t count)
{
	int error = seccomp_arch_add(f, SCMP_ARCH_X86);
	if (!error)
		error = seccomp_arch_add(f, SCMP_ARCH_X32);
	for (const char *const *const *group = always; *group && !error; group++)
		error = allow(f, *group);
	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]) && !error; i++)
		if (has(capabilities, count, with[i].capability))
			error = allow(f, with[i].names);
	if (!error)
		error = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_NE, HYPERVISOR_SOCKETS));
	if (!error && !has(capabilities, count, "CAP_SYS_ADMIN"))
		error = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, NEW_NAMESPACES, 0));
	if (!error && !has(capabilities, count, "CAP_SYS_ADMIN"))
		error = seccomp_rule_add(f, SCMP_ACT_ERRNO(NO_SUCH_CALL), SCMP_SYS(clone3), 0);
	return error;
}

static int compile(const char *const *capabilities, size_t count, struct str *ret)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(REFUSED));
	struct stat st = {0};
	char *code = NULL;
	int error = f ? add_rules(f, capabilities, count) : -ENOMEM, fd = error ? -1 : memfd_create("seccomp", MFD_CLOEXEC);
	if (!error)
		error = fd < 0 ? -errno : seccomp_export_bpf(f, fd);
	if (f)
		seccomp_release(f);
	if (!error && (fstat(fd, &st) < 0 || st.st_size <= 0 || !(code = malloc((size_t)st.st_size)) ||
	               pread(fd, code, (size_t)st.st_size, 0) != st.st_size))
		error = -EIO;
	if (fd >= 0)
		close(fd);
	if (error)
		free(code);
	else
		*ret = str_of(code, (size_t)st.st_size);
	return error;
}

int profile_compile(const char *const *capabilities, size_t count, struct str *ret)
{
	enum { KINDS = 1 << (sizeof(with) / sizeof(with[0])) };
	static struct str made[KINDS];
	unsigned kind = 0;
	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++)
		kind |= (unsigned)has(capabilities, count, with[i].capability) << i;
	int error = made[kind].n ? 0 : compile(capabilities, count, &made[kind]);
	if (!error)
		*ret = made[kind];
	return error;
}
