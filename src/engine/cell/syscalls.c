/* The system calls that a function may make. A list of what is allowed: what the kernel grows tomorrow is refused today.
 * Left out on purpose: mounts and namespaces, ptrace and the memory of others, keys, bpf, perf, userfaultfd, io_uring, modules,
 * clocks, file handles, raw and packet sockets, and terminal input injection. */
#include "engine/cell/confine.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const allowed[] = {
        "accept",
        "accept4",
        "access",
        "alarm",
        "arch_prctl",
        "bind",
        "brk",
        "capget",
        "capset",
        "chdir",
        "chmod",
        "chown",
        "clock_getres",
        "clock_gettime",
        "clock_nanosleep",
        "close",
        "close_range",
        "connect",
        "copy_file_range",
        "creat",
        "dup",
        "dup2",
        "dup3",
        "epoll_create",
        "epoll_create1",
        "epoll_ctl",
        "epoll_pwait",
        "epoll_pwait2",
        "epoll_wait",
        "eventfd",
        "eventfd2",
        "execve",
        "execveat",
        "exit",
        "exit_group",
        "faccessat",
        "faccessat2",
        "fadvise64",
        "fallocate",
        "fchdir",
        "fchmod",
        "fchmodat",
        "fchmodat2",
        "fchown",
        "fchownat",
        "fcntl",
        "fdatasync",
        "fgetxattr",
        "flistxattr",
        "flock",
        "fork",
        "fremovexattr",
        "fsetxattr",
        "fstat",
        "fstatfs",
        "fsync",
        "ftruncate",
        "futex",
        "futex_requeue",
        "futex_wait",
        "futex_waitv",
        "futex_wake",
        "futimesat",
        "get_mempolicy",
        "get_robust_list",
        "get_thread_area",
        "getcpu",
        "getcwd",
        "getdents",
        "getdents64",
        "getegid",
        "geteuid",
        "getgid",
        "getgroups",
        "getitimer",
        "getpeername",
        "getpgid",
        "getpgrp",
        "getpid",
        "getppid",
        "getpriority",
        "getrandom",
        "getresgid",
        "getresuid",
        "getrlimit",
        "getrusage",
        "getsid",
        "getsockname",
        "getsockopt",
        "gettid",
        "gettimeofday",
        "getuid",
        "getxattr",
        "inotify_add_watch",
        "inotify_init",
        "inotify_init1",
        "inotify_rm_watch",
        "io_cancel",
        "io_destroy",
        "io_getevents",
        "io_pgetevents",
        "io_setup",
        "io_submit",
        "ioprio_get",
        "kill",
        "landlock_add_rule",
        "landlock_create_ruleset",
        "landlock_restrict_self",
        "lchown",
        "lgetxattr",
        "link",
        "linkat",
        "listen",
        "listxattr",
        "llistxattr",
        "lremovexattr",
        "lseek",
        "lsetxattr",
        "lstat",
        "madvise",
        "mbind",
        "membarrier",
        "memfd_create",
        "mincore",
        "mkdir",
        "mkdirat",
        "mknod",
        "mknodat",
        "mlock",
        "mlock2",
        "mlockall",
        "mmap",
        "mprotect",
        "mq_getsetattr",
        "mq_notify",
        "mq_open",
        "mq_timedreceive",
        "mq_timedsend",
        "mq_unlink",
        "mremap",
        "msgctl",
        "msgget",
        "msgrcv",
        "msgsnd",
        "msync",
        "munlock",
        "munlockall",
        "munmap",
        "nanosleep",
        "newfstatat",
        "open",
        "openat",
        "openat2",
        "pause",
        "pidfd_open",
        "pidfd_send_signal",
        "pipe",
        "pipe2",
        "pkey_alloc",
        "pkey_free",
        "pkey_mprotect",
        "poll",
        "ppoll",
        "prctl",
        "pread64",
        "preadv",
        "preadv2",
        "prlimit64",
        "process_mrelease",
        "pselect6",
        "pwrite64",
        "pwritev",
        "pwritev2",
        "read",
        "readahead",
        "readlink",
        "readlinkat",
        "readv",
        "recvfrom",
        "recvmmsg",
        "recvmsg",
        "remap_file_pages",
        "removexattr",
        "rename",
        "renameat",
        "renameat2",
        "restart_syscall",
        "rmdir",
        "rseq",
        "rt_sigaction",
        "rt_sigpending",
        "rt_sigprocmask",
        "rt_sigqueueinfo",
        "rt_sigreturn",
        "rt_sigsuspend",
        "rt_sigtimedwait",
        "rt_tgsigqueueinfo",
        "sched_get_priority_max",
        "sched_get_priority_min",
        "sched_getaffinity",
        "sched_getattr",
        "sched_getparam",
        "sched_getscheduler",
        "sched_rr_get_interval",
        "sched_setaffinity",
        "sched_setattr",
        "sched_setparam",
        "sched_setscheduler",
        "sched_yield",
        "seccomp",
        "select",
        "semctl",
        "semget",
        "semop",
        "semtimedop",
        "sendfile",
        "sendmmsg",
        "sendmsg",
        "sendto",
        "set_mempolicy",
        "set_robust_list",
        "set_thread_area",
        "set_tid_address",
        "setfsgid",
        "setfsuid",
        "setgid",
        "setgroups",
        "setitimer",
        "setpgid",
        "setpriority",
        "setregid",
        "setresgid",
        "setresuid",
        "setreuid",
        "setrlimit",
        "setsid",
        "setsockopt",
        "setuid",
        "setxattr",
        "shmat",
        "shmctl",
        "shmdt",
        "shmget",
        "shutdown",
        "sigaltstack",
        "signalfd",
        "signalfd4",
        "socketpair",
        "splice",
        "stat",
        "statfs",
        "statx",
        "symlink",
        "symlinkat",
        "sync",
        "sync_file_range",
        "syncfs",
        "sysinfo",
        "tee",
        "tgkill",
        "time",
        "timer_create",
        "timer_delete",
        "timer_getoverrun",
        "timer_gettime",
        "timer_settime",
        "timerfd_create",
        "timerfd_gettime",
        "timerfd_settime",
        "times",
        "tkill",
        "truncate",
        "ugetrlimit",
        "umask",
        "uname",
        "unlink",
        "unlinkat",
        "utime",
        "utimensat",
        "utimes",
        "vfork",
        "wait4",
        "waitid",
        "waitpid",
        "write",
        "writev",
};

/* Goes before libseccomp's program, whose comparisons see 64 bits of an argument of which the kernel uses 32, and which cannot
 * exclude several values: input pushed into a terminal by whoever has it open, and changes of line discipline, are refused. */
static const struct sock_filter prologue[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 offsetof(struct seccomp_data, args[1]) + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSETD, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
};

static int add_socket_rules(scmp_filter_ctx f)
{
	const unsigned type_mask = 0xf;
	static const int inet[] = {AF_INET, AF_INET6};
	int error = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	for (size_t i = 0; i < 2 && !error; i++) {
		error = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, inet[i]),
		                         SCMP_A1(SCMP_CMP_MASKED_EQ, type_mask, SOCK_STREAM));
		if (!error)
			error = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, inet[i]),
			                         SCMP_A1(SCMP_CMP_MASKED_EQ, type_mask, SOCK_DGRAM));
	}
	/* getaddrinfo and getifaddrs ask route netlink (protocol 0); the others are for administrators */
	if (!error)
		error = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
		                         SCMP_A2(SCMP_CMP_EQ, 0));
	return error;
}

static bool is_one_of(const char *name, const char *const *names)
{
	for (; names && *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

static int add_rules(scmp_filter_ctx f, const char *const *except)
{
	int error = 0;
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && !error; i++) {
		int number = seccomp_syscall_resolve_name(allowed[i]);
		/* absent on this architecture, or younger than this libseccomp: refused */
		if (number < 0 || is_one_of(allowed[i], except))
			continue;
		error = seccomp_rule_add(f, SCMP_ACT_ALLOW, number, 0);
	}
	if (!error)
		error = add_socket_rules(f);
	/* threads and processes, not namespaces */
	const unsigned long namespaces =
	        CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
	if (!error)
		error = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces, 0));
	if (!error)
		error = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* 0: plain Linux; 0xffffffff: asks. Anything else weakens address randomisation or changes the ABI. */
	if (!error)
		error = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1, SCMP_A0(SCMP_CMP_EQ, 0));
	if (!error)
		error = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(personality), 1, SCMP_A0(SCMP_CMP_EQ, 0xffffffff));
	if (!error)
		error = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 0);
	return error;
}

int confine_compile(struct sock_fprog *ret_program)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!f)
		return -ENOMEM;
	int fd = -1;
	struct stat st;
	struct sock_filter *code = NULL;
	seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	int error = add_rules(f, NULL);
	if (!error)
		fd = memfd_create("seccomp", MFD_CLOEXEC);
	if (!error && fd < 0)
		error = -errno;
	if (!error)
		error = seccomp_export_bpf(f, fd);
	seccomp_release(f);
	if (!error && (fstat(fd, &st) < 0 || st.st_size == 0 || !(code = malloc(sizeof(prologue) + (size_t)st.st_size)) ||
	               pread(fd, code + sizeof(prologue) / sizeof(*code), (size_t)st.st_size, 0) != st.st_size))
		error = -EIO;
	if (fd >= 0)
		close(fd);
	if (error) {
		free(code);
		return error;
	}
	memcpy(code, prologue, sizeof(prologue));
	*ret_program = (struct sock_fprog){.len = (unsigned short)((sizeof(prologue) + (size_t)st.st_size) / sizeof(*code)),
	                                   .filter = code};
	return 0;
}

int confine_api_syscalls(void)
{
	/* api serves bytes, files and sockets: it runs no program, changes no identity and makes no device */
	static const char *const except[] = {"execve",           "execveat",  "vfork",    "fork",     "mknod",
	                                     "mknodat",          "setuid",    "setgid",   "setreuid", "setregid",
	                                     "setresuid",        "setresgid", "setfsuid", "setfsgid", "setgroups",
	                                     "capset",           "shmget",    "shmat",    "semget",   "msgget",
	                                     "remap_file_pages", NULL};
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!f)
		return -ENOMEM;
	seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	/* threads that already run come along */
	int error = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!error)
		error = add_rules(f, except);
	if (!error)
		error = seccomp_load(f);
	seccomp_release(f);
	return error;
}
