/* The order matters. The user namespace comes last of the namespaces, so that the others belong to the first user
 * namespace and nobody inside has power over them. Mapping one's own uid needs no privilege in the parent, so the child
 * writes its map itself and `priv` never waits for it. A new user namespace gives all capabilities inside it; they
 * are dropped from every set, the bounding one first, while we still may. */
#include "engine/cell/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int write_proc(int proc_fd, const char *file, const char *text)
{
	int fd = openat(proc_fd, file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return error;
}

/* Leaves `keep` in the effective and permitted sets and nothing in the inheritable one. */
static int set_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
	        {.effective = (uint32_t)keep, .permitted = (uint32_t)keep},
	        {.effective = (uint32_t)(keep >> 32), .permitted = (uint32_t)(keep >> 32)},
	};
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int drop_bounding(uint64_t keep)
{
	for (int cap = 0; cap < 64; cap++) {
		if (keep >> cap & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			if (errno == EINVAL)
				break; /* past the kernel's last */
			return -errno;
		}
	}
	return 0;
}

#define BIT(cap) (1ull << (cap))

int confine_priv(void)
{
	const uint64_t wanted =
	        BIT(CAP_SYS_ADMIN) /* namespaces and mounts */ | BIT(CAP_SYS_CHROOT) /* entering a mount namespace */ |
	        BIT(CAP_NET_ADMIN) /* links, nftables */ | BIT(CAP_NET_RAW) /* nft's own sockets on old kernels */ |
	        BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) /* leaving privilege in children */ |
	        BIT(CAP_KILL) /* ending cells, which are other users */ | BIT(CAP_MKNOD) /* /dev of the cells' root */ |
	        BIT(CAP_DAC_OVERRIDE) /* code directories belong to the user quartet */ | BIT(CAP_CHOWN) | BIT(CAP_FOWNER) |
	        BIT(CAP_SYS_PTRACE) /* opening /proc/<pid>/ns of a cell */ | BIT(CAP_SYS_RESOURCE) /* limits above the defaults */;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	int error = drop_bounding(wanted);
	if (error)
		return error;
	return set_capabilities(wanted & (data[0].permitted | (uint64_t)data[1].permitted << 32));
}

/* Becomes that user on the machine and enters a user namespace whose only user it is, as `uid_inside`. */
static int enter_user_namespace(uid_t host_uid, uid_t uid_inside, gid_t gid_inside, int proc_fd)
{
	gid_t host_gid = host_uid;
	char map[48];
	int error;
	if (setgroups(0, NULL) < 0 || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setresgid(host_gid, host_gid, host_gid) < 0 ||
	    setresuid(host_uid, host_uid, host_uid) < 0)
		return -errno;
	/* Kernels that keep user namespaces from ordinary users let this one make its own; the capability ends with the line after.
	 */
	error = set_capabilities(BIT(CAP_SYS_ADMIN));
	if (error)
		return error;
	/* /proc/self belongs to root while a process is not dumpable, and a change of uid made it so; nobody else is in here yet */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (unshare(CLONE_NEWUSER) < 0)
		return -errno;
	error = write_proc(proc_fd, "self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", gid_inside, host_gid);
	if (!error)
		error = write_proc(proc_fd, "self/gid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", uid_inside, host_uid);
	if (!error)
		error = write_proc(proc_fd, "self/uid_map", map);
	return error;
}

int confine_net(uid_t host_uid, int proc_fd)
{
	const uint64_t wanted = BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW) | BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_ADMIN) /* setns */;
	int error = enter_user_namespace(host_uid, 0, 0, proc_fd);
	if (!error)
		error = drop_bounding(wanted);
	if (!error)
		error = set_capabilities(wanted);
	if (!error && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
		error = -errno;
	return error;
}

int confine_identity(uid_t host_uid, int proc_fd)
{
	int error = enter_user_namespace(host_uid, CELL_UID, CELL_GID, proc_fd);
	if (error)
		return error;

	const struct rlimit files = {1024, 1024}, processes = {1024, 1024}, core = {0, 0};
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_NPROC, &processes) < 0 || setrlimit(RLIMIT_CORE, &core) < 0)
		return -errno;
	error = drop_bounding(0);
	if (error)
		return error;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* no uid, not even a mapped 0, ever gives capabilities again */
	if (prctl(PR_SET_SECUREBITS,
	          SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
	                  SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
	          0, 0, 0) < 0)
		return -errno;
	error = set_capabilities(0);
	if (error)
		return error;
	/* After the last change of credentials, which clears both. Not dumpable: what runs inside cannot look into pid 1. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

int confine_syscalls(const struct sock_fprog *program)
{
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) < 0 ? -errno : 0;
}
