/* Two children, because they need different things: one reads the file and reckons digests, and may do nothing else at all; the
 * other makes files, as root of a user namespace that has only the ids of layers, in a file system that has only this layer, and
 * never sees the file. So nobody who takes the unpacker over can vouch for what it has unpacked. */
#include "engine/oci/unpack.h"

#include "base/hash.h"
#include "base/sanitized.h"
#include "io/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	NAME_CHARS = 2 * STEWARD_DIGEST_BYTES + 1,
	MEMORY_MAX = 1 << 30,
	NOBODY = LAYER_UID_BASE - 1,
	RESERVE_BYTES = 1 << 30,
	RESERVE_PART = 20
};
#define NEW ".new-"
#define GONE ".gone-"

static void name_of(const uint8_t *digest, char ret[NAME_CHARS])
{
	for (int i = 0; i < STEWARD_DIGEST_BYTES; i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

/* ---- walls ---- */

static const char *const flow_calls[] = {"read",         "write",     "close",         "brk",     "mmap",
                                         "munmap",       "mremap",    "madvise",       "futex",   "exit_group",
                                         "rt_sigreturn", "getrandom", "clock_gettime", "mprotect"};
static const char *const tar_calls[] = {"pwrite64",  "ftruncate",  "openat",  "openat2",  "mkdirat",    "mknodat",  "linkat",
                                        "symlinkat", "unlinkat",   "fchown",  "fchownat", "fchmod",     "fchmodat", "utimensat",
                                        "fsetxattr", "newfstatat", "fstat",   "statx",    "getdents64", "lseek",    "fcntl",
                                        "umask",     "dup",        "fstatfs", "unlink",   "rmdir"};

/* Only of a build that has one: it looks at its stack and takes turns with itself. */
static const char *const sanitizer_calls[] = {"sigaltstack", "sched_yield"};

static int allow(scmp_filter_ctx f, const char *const *names, size_t n)
{
	int error = 0;
	for (size_t i = 0; i < n && !error; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);
		if (number >= 0)
			error = seccomp_rule_add(f, SCMP_ACT_ALLOW, number, 0);
	}
	return error;
}

static int filter(bool is_tar)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int error = f ? allow(f, flow_calls, sizeof(flow_calls) / sizeof(flow_calls[0])) : -ENOMEM;
	if (!error && SANITIZED)
		error = allow(f, sanitizer_calls, sizeof(sanitizer_calls) / sizeof(sanitizer_calls[0]));
	if (!error && is_tar)
		error = allow(f, tar_calls, sizeof(tar_calls) / sizeof(tar_calls[0]));
	if (!error)
		error = seccomp_load(f);
	seccomp_release(f);
	return error;
}

static int keep_capabilities(uint32_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{.effective = keep, .permitted = keep}, {0}};
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int limit(const struct steward_unpack *r)
{
	/* a sanitizer's shadow is of terabytes, reserved and hardly used */
	const rlim_t most = SANITIZED ? RLIM_INFINITY : MEMORY_MAX;
	const struct rlimit memory = {most, most}, file = {r->max_bytes, r->max_bytes}, none = {0, 0};
	return setrlimit(RLIMIT_DATA, &memory) < 0 || setrlimit(RLIMIT_FSIZE, &file) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
	                       setrlimit(RLIMIT_NPROC, &none) < 0
	               ? -errno
	               : 0;
}

static void keep_descriptors(int a, int b, int c)
{
	int kept[3] = {a, b, c};
	for (int fd = 0, most = 3; fd < most; fd++) {
		/* above all: the three become 0, 1 and 2 by way of higher numbers */
		kept[fd] = fcntl(kept[fd], F_DUPFD_CLOEXEC, 1024);
	}
	for (int i = 0; i < 3; i++)
		dup2(kept[i], i);
	close_range(3, ~0u, 0);
}

static int confine_flow(const struct steward_unpack *r)
{
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	int error = limit(r);
	if (!error)
		error = keep_capabilities(0);
	return error ? error : filter(false);
}

static int enter_layer(int fs)
{
	const struct mount_attr attr = {.attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
	                                .propagation = MS_PRIVATE};
	int root = open_tree(fs, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (root < 0 || mount_setattr(root, "", AT_EMPTY_PATH, (struct mount_attr *)(uintptr_t)&attr, sizeof(attr)) < 0 ||
	    unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    move_mount(root, "", AT_FDCWD, "/tmp", MOVE_MOUNT_F_EMPTY_PATH) < 0 || chdir("/tmp") < 0 ||
	    syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	close(root);
	return 0;
}

static int confine_tar(const struct steward_unpack *r, int fs, int maps)
{
	const uint32_t wanted = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_FSETID | 1u << CAP_SETFCAP;
	char word = 0;
	int error = enter_layer(fs);
	if (error)
		return error;
	if (setgroups(0, NULL) < 0 || unshare(CLONE_NEWUSER) < 0)
		return -errno;
	if (write(maps, &word, 1) != 1 || read(maps, &word, 1) != 1 || word)
		return -EIO;
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	error = limit(r);
	if (!error)
		error = keep_capabilities(wanted);
	return error;
}

/* ---- the children ---- */

static void report(int fd, const struct unpack_report *r)
{
	_exit(write(fd, r, sizeof(*r)) != sizeof(*r));
}

static _Noreturn void be_flow(const struct steward_unpack *r, int file, int to, int out)
{
	static struct unpack_report answer;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	keep_descriptors(file, to, out);
	answer.error = confine_flow(r);
	if (!answer.error)
		unpack_flow(0, 1, r, &answer);
	report(2, &answer);
	_exit(1);
}

static _Noreturn void be_tar(const struct steward_unpack *r, int fs, int from, int out, int maps)
{
	static struct unpack_report answer;
	answer.error = confine_tar(r, fs, maps);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of identity takes it away */
	keep_descriptors(from, out, out);
	if (!answer.error)
		answer.error = filter(true);
	if (answer.error)
		snprintf(answer.why, sizeof(answer.why), "the unpacker cannot be confined: %s", strerror(-answer.error));
	else
		unpack_tar(0, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), r, &answer);
	report(1, &answer);
	_exit(1);
}

static int write_map(pid_t pid, const char *what)
{
	char path[40], text[48];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	int n = snprintf(text, sizeof(text), "0 %d %d\n", LAYER_UID_BASE, TASK_UIDS);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = fd < 0 || write(fd, text, (size_t)n) != n ? -EIO : 0;
	if (fd >= 0)
		close(fd);
	return error;
}

static void map_ids(pid_t pid, int sock)
{
	char word;
	if (read(sock, &word, 1) != 1)
		return;
	word = write_map(pid, "gid_map") || write_map(pid, "uid_map");
	send(sock, &word, 1, MSG_NOSIGNAL);
}

static void hear(int fd, pid_t pid, struct unpack_report *ret)
{
	*ret = (struct unpack_report){.error = -EIO, .why = "the unpacker was killed"};
	if (pid <= 0)
		return;
	struct unpack_report r;
	if (recv(fd, &r, sizeof(r), 0) == sizeof(r))
		*ret = r;
	ret->why[sizeof(ret->why) - 1] = 0;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int pair(int ret[2], bool is_pipe)
{
	return is_pipe ? pipe2(ret, O_CLOEXEC) : socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret);
}

static int run(const struct steward_unpack *r, int file, int fs, struct unpack_report ret[2])
{
	int data[2] = {-1, -1}, a[2] = {-1, -1}, b[2] = {-1, -1}, maps[2] = {-1, -1};
	if (pair(data, true) < 0 || pair(a, false) < 0 || pair(b, false) < 0 || pair(maps, false) < 0)
		return -errno; /* this process ends now */
	pid_t flow = fork();
	if (flow == 0)
		be_flow(r, file, data[1], a[1]);
	close(data[1]);
	close(a[1]);
	pid_t tar = fork();
	if (tar == 0) {
		close(maps[0]);
		be_tar(r, fs, data[0], b[1], maps[1]);
	}
	close(data[0]);
	close(b[1]);
	close(maps[1]);
	if (tar > 0)
		map_ids(tar, maps[0]);
	hear(b[0], tar, &ret[1]);
	hear(a[0], flow, &ret[0]);
	return 0;
}

/* ---- the layer ---- */

/* The lock says in the file that is locked which file the layer came from: that name is kept too when layers are trimmed. */
static int make_place(int layers, const char *name, const struct steward_unpack *r, int *ret_fs)
{
	char path[80];
	tree_remove(layers, name);
	if (mkdirat(layers, name, 0755) < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/fs", name);
	if (mkdirat(layers, path, 0755) < 0 || fchownat(layers, path, LAYER_UID_BASE, LAYER_UID_BASE, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*ret_fs = openat(layers, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_fs < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/lock", name);
	int lock = openat(layers, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int error = lock < 0 || write(lock, r->digest, sizeof(r->digest)) != sizeof(r->digest) ? -errno : 0;
	if (lock >= 0)
		close(lock);
	return error;
}

static int judge(const struct steward_unpack *r, const struct unpack_report done[2], char *ret_why, size_t cap)
{
	const struct unpack_report *flow = &done[0], *tar = &done[1];
	/* a wrong file is wrong whatever is in it; one that is too large was not read to its end */
	if (flow->error && flow->error != -EBADMSG) {
		snprintf(ret_why, cap, "%s", flow->why);
		return flow->error;
	}
	if (memcmp(flow->digest, r->digest, sizeof(r->digest)) != 0) {
		snprintf(ret_why, cap, "the layer's file does not have the digest that the manifest says");
		return -EBADMSG;
	}
	if (flow->error || (tar->error && tar->error != -EBADMSG)) {
		snprintf(ret_why, cap, "%s", flow->error ? flow->why : tar->why);
		return flow->error ? flow->error : tar->error;
	}
	if (memcmp(flow->diff_id, r->diff_id, sizeof(r->diff_id)) != 0) {
		snprintf(ret_why, cap, "the layer's content does not have the digest that the image's configuration says");
		return -EBADMSG;
	}
	if (tar->error)
		snprintf(ret_why, cap, "%s", tar->why);
	return tar->error;
}

/* What a layer may take of the disk: everybody else needs the last room too, so a bomb is refused before it is full. */
static uint64_t room_of(int layers)
{
	struct statvfs fs;
	if (fstatvfs(layers, &fs) < 0)
		return UINT64_MAX;
	uint64_t part = (uint64_t)fs.f_blocks * fs.f_frsize / RESERVE_PART, kept = part < RESERVE_BYTES ? part : RESERVE_BYTES;
	uint64_t free = (uint64_t)fs.f_bavail * fs.f_frsize;
	return free > kept ? free - kept : 1;
}

int unpack_layer(int layers, unsigned number, int file, const struct steward_unpack *asked, char *ret_why, size_t cap)
{
	const uint64_t room = room_of(layers);
	struct steward_unpack bounded = *asked, *r = &bounded;
	char name[NAME_CHARS], fresh[48];
	struct unpack_report done[2];
	struct stat st;
	int fs = -1, error;
	bool tight = room < asked->max_bytes;
	if (tight)
		bounded.max_bytes = room;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	name_of(r->diff_id, name);
	snprintf(fresh, sizeof(fresh), NEW "%u-%d", number, (int)getpid());
	if (fstatat(layers, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (unpack_load() < 0) {
		snprintf(ret_why, cap, "libarchive is not installed");
		return -ENOTSUP;
	}
	if (lseek(file, 0, SEEK_SET) < 0)
		return -errno;
	error = make_place(layers, fresh, r, &fs);
	if (!error)
		error = run(r, file, fs, done);
	if (!error)
		error = judge(r, done, ret_why, cap);
	if (error == -E2BIG && tight) {
		snprintf(ret_why, cap, "the disk has no room for the layer's content");
		error = -ENOSPC;
	}
	/* under its name it is whole, after a crash of the machine too */
	if (!error && (syncfs(fs) < 0 || renameat(layers, fresh, layers, name) < 0 || fsync(layers) < 0))
		error = errno == EEXIST || errno == ENOTEMPTY ? 0 : -errno;
	if (fs >= 0)
		close(fs);
	tree_remove(layers, fresh);
	if (error && !ret_why[0])
		snprintf(ret_why, cap, "the layer cannot be unpacked: %s", strerror(-error));
	return error;
}

/* ---- removing ---- */

int layer_keep_add(struct layer_keep *k, const uint8_t digests[][STEWARD_DIGEST_BYTES], size_t count)
{
	enum { MOST = 1 << 20 };
	uint8_t(*more)[STEWARD_DIGEST_BYTES] =
	        k->count + count > MOST ? NULL : realloc(k->digests, (k->count + count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	memcpy(more + k->count, digests, count * sizeof(*more));
	k->digests = more;
	k->count += count;
	return 0;
}

void layer_keep_clear(struct layer_keep *k)
{
	free(k->digests);
	*k = (struct layer_keep){0};
}

static bool is_kept(const struct layer_keep *k, const uint8_t *digest)
{
	for (size_t i = 0; i < k->count; i++)
		if (memcmp(k->digests[i], digest, STEWARD_DIGEST_BYTES) == 0)
			return true;
	return false;
}

static void trim_one(int layers, const char *name, const void *ctx)
{
	uint8_t id[STEWARD_DIGEST_BYTES], file[STEWARD_DIGEST_BYTES] = {0};
	char path[NAME_CHARS + 16];
	if (strlen(name) != NAME_CHARS - 1 || !hex_decode(str_from(name), id, sizeof(id)) || is_kept(ctx, id))
		return;
	snprintf(path, sizeof(path), "%s/lock", name);
	int lock = openat(layers, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool kept = lock < 0 || (read(lock, file, sizeof(file)) == sizeof(file) && is_kept(ctx, file));
	snprintf(path, sizeof(path), GONE "%s", name);
	if (!kept && flock(lock, LOCK_EX | LOCK_NB) == 0 && renameat(layers, name, layers, path) == 0)
		tree_remove(layers, path);
	if (lock >= 0)
		close(lock);
}

static int each_name(int layers, void (*fn)(int layers, const char *name, const void *ctx), const void *ctx)
{
	int fd = openat(layers, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return -errno;
	for (struct dirent *e; (e = readdir(d));)
		fn(layers, e->d_name, ctx);
	closedir(d);
	return 0;
}

int layers_trim(int layers, const struct layer_keep *k)
{
	return each_name(layers, trim_one, k);
}

static void sweep_one(int layers, const char *name, const void *ctx)
{
	(void)ctx;
	if (strncmp(name, NEW, strlen(NEW)) == 0 || strncmp(name, GONE, strlen(GONE)) == 0)
		tree_remove(layers, name);
}

void layers_sweep(int layers)
{
	each_name(layers, sweep_one, NULL);
}
