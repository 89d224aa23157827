/* A container's root has the capabilities of its namespaces, and most of the kernel asks for those of the machine anyway. What is
 * on this list does not ask, or has so often been a way out that it is shut twice. */
#include "engine/vm/warden_box.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const refused[] = {
        "acct",           "add_key",        "bpf",         "clock_adjtime",     "clock_settime",
        "delete_module",  "finit_module",   "init_module", "io_uring_enter",    "io_uring_register",
        "io_uring_setup", "ioperm",         "iopl",        "kexec_file_load",   "kexec_load",
        "keyctl",         "lookup_dcookie", "nfsservctl",  "open_by_handle_at", "perf_event_open",
        "quotactl",       "quotactl_fd",    "request_key", "settimeofday",      "stime",
        "swapoff",        "swapon",         "syslog",      "userfaultfd",       "uselib",
        "vm86",           "vm86old",
};

int box_filter_compile(struct sock_fprog *ret_program)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	struct stat st;
	struct sock_filter *code = NULL;
	if (!f)
		return -ENOMEM;
	seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	int error = 0, fd = -1;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]) && !error; i++) {
		int number = seccomp_syscall_resolve_name(refused[i]);
		if (number >= 0)
			error = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), number, 0);
	}
	if (!error && (fd = memfd_create("seccomp", MFD_CLOEXEC)) < 0)
		error = -errno;
	if (!error)
		error = seccomp_export_bpf(f, fd);
	seccomp_release(f);
	if (!error && (fstat(fd, &st) < 0 || st.st_size == 0 || !(code = malloc((size_t)st.st_size)) ||
	               pread(fd, code, (size_t)st.st_size, 0) != st.st_size))
		error = -EIO;
	if (fd >= 0)
		close(fd);
	if (error) {
		free(code);
		return error;
	}
	*ret_program = (struct sock_fprog){.len = (unsigned short)((size_t)st.st_size / sizeof(*code)), .filter = code};
	return 0;
}
