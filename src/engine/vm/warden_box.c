/* The mounts here are made in the child's own mount namespace, before it gives its rights up; a disk's file system is a detached
 * mount that never is in priv's. Device nodes in the root file system are dead (nodev): whoever made the image may have put any
 * there. */
#include "engine/vm/warden_box.h"
#include "engine/cell/root.h"
#include "engine/net/plug.h"

#include "base/log.h"
#include "io/loopdev.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINKS_MAX = 32 };
const char storage_program[] = "/usr/bin/qemu-storage-daemon";

const char *warden_box_why_not(const struct cgroups *g)
{
	return access(storage_program, X_OK) < 0       ? "QEMU's storage daemon (qemu-system-common) is not installed"
	       : access("/dev/fuse", F_OK) < 0         ? "this machine has no /dev/fuse (module fuse)"
	       : access("/dev/loop-control", F_OK) < 0 ? "this machine has no /dev/loop-control (module loop)"
	       : g->version == 1 && g->tree < 0        ? "this machine has no control groups of version 2"
	                                               : NULL;
}

int warden_box_check(const struct warden_request *r, unsigned long nfds)
{
	if (r->verb == WARDEN_LINK)
		return nfds == 2 && r->index < 16 ? 0 : -EINVAL;
	if (nfds != BLOCK_FDS || r->slot >= MACHINE_SLOTS || r->is_root > 1 || !memchr(r->name, 0, sizeof(r->name)))
		return -EINVAL;
	for (const char *c = r->name; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9')))
			return -EINVAL;
	return r->is_root || r->name[0] ? 0 : -EINVAL;
}

/* ---- in the child ---- */

static int mount_new(const char *type, const char *at, const char *mode, unsigned attributes, int *ret_dir)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC), m = -1, error = fs < 0 ? -errno : 0;
	if (!error && mode && fsconfig(fs, FSCONFIG_SET_STRING, "mode", mode, 0) < 0)
		error = -errno;
	if (!error && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		error = -errno;
	if (!error &&
	    ((m = fsmount(fs, FSMOUNT_CLOEXEC, attributes)) < 0 || move_mount(m, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) < 0))
		error = -errno;
	if (fs >= 0)
		close(fs);
	if (!error && ret_dir)
		*ret_dir = openat(m, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m >= 0)
		close(m);
	return error;
}

struct node {
	const char *name;
	unsigned major, minor;
};

static int make_nodes(int dir, const struct node *nodes, size_t n, uid_t owner)
{
	for (size_t i = 0; i < n; i++)
		if (mknodat(dir, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0 ||
		    fchownat(dir, nodes[i].name, owner, owner, 0) < 0)
			return -errno;
	return 0;
}

/* The container's /dev. It is the container's to fill, but only who is root of the machine can make a device in it. */
static int make_devices(uid_t owner)
{
	static const struct node nodes[] = {{"null", 1, 3},    {"zero", 1, 5}, {"full", 1, 7},    {"random", 1, 8},
	                                    {"urandom", 1, 9}, {"tty", 5, 0},  {"fuse", 10, 229}, {"net/tun", 10, 200}};
	static const char *const links[][2] = {{"/proc/self/fd", "fd"},
	                                       {"/proc/self/fd/0", "stdin"},
	                                       {"/proc/self/fd/1", "stdout"},
	                                       {"/proc/self/fd/2", "stderr"},
	                                       {"pts/ptmx", "ptmx"}};
	static const char *const directories[] = {"net", "pts", "shm", "mqueue"};
	int dir = -1, error = mount_new("tmpfs", "/tmp/dev", "0755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &dir);
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]) && !error; i++)
		if (mkdirat(dir, directories[i], 0755) < 0 || fchownat(dir, directories[i], owner, owner, 0) < 0)
			error = -errno;
	if (!error)
		error = make_nodes(dir, nodes, sizeof(nodes) / sizeof(nodes[0]), owner);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]) && !error; i++)
		if (symlinkat(links[i][0], dir, links[i][1]) < 0)
			error = -errno;
	int console = error ? -1 : openat(dir, "console", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (!error && (console < 0 || fchown(console, owner, owner) < 0 || fchown(dir, owner, owner) < 0))
		error = -errno;
	if (console >= 0)
		close(console);
	if (dir >= 0)
		close(dir);
	return error;
}

/* The storage daemon's. Below fd lie ordinary files named as its descriptors: it insists on a file as the place to offer a disk at,
 * and libfuse understands such a name as an open FUSE device, for somebody else to mount. That is the machine's root, because the
 * kernel serves a block device as root, whom a mount of a user namespace does not know. */
static int make_own_devices(uid_t self)
{
	static const struct node nodes[] = {{"null", 1, 3}, {"zero", 1, 5}, {"urandom", 1, 9}};
	char name[16];
	int dir = -1, error = mount_new("tmpfs", "/dev", "0755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &dir);
	if (!error)
		error = make_nodes(dir, nodes, sizeof(nodes) / sizeof(nodes[0]), self);
	if (!error && mkdirat(dir, "fd", 0755) < 0)
		error = -errno;
	for (int i = 3; i < 16 + BOX_OFFERS && !error; i++) {
		snprintf(name, sizeof(name), "fd/%d", i);
		int fd = openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0444);
		if (fd < 0)
			error = -errno;
		else
			close(fd);
	}
	if (dir >= 0)
		close(dir);
	return error;
}

/* What the storage daemon offers on a FUSE device: the mount's root is the file. Nobody can come to it but by the descriptor. */
static int mount_offer(int device)
{
	char text[16];
	snprintf(text, sizeof(text), "%d", device);
	int fs = fsopen("fuse", FSOPEN_CLOEXEC), m = -1, error = fs < 0 ? -errno : 0;
	if (!error &&
	    (fsconfig(fs, FSCONFIG_SET_STRING, "source", "quartet", 0) < 0 ||
	     fsconfig(fs, FSCONFIG_SET_STRING, "fd", text, 0) < 0 ||
	     fsconfig(fs, FSCONFIG_SET_STRING, "rootmode", "100000", 0) < 0 ||
	     fsconfig(fs, FSCONFIG_SET_STRING, "user_id", "0", 0) < 0 ||
	     fsconfig(fs, FSCONFIG_SET_STRING, "group_id", "0", 0) < 0 ||
	     fsconfig(fs, FSCONFIG_SET_FLAG, "allow_other", NULL, 0) < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
	     (m = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)) < 0))
		error = -errno;
	if (fs >= 0)
		close(fs);
	return error ? error : m;
}

static int open_offers(int first)
{
	for (int i = 0; i < BOX_OFFERS; i++) {
		int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
		if (fd < 0 || dup3(fd, first + i, O_CLOEXEC) < 0)
			return -errno;
		close(fd);
	}
	int m = mount_offer(first);
	if (m < 0)
		return m;
	if (dup3(m, first + BOX_OFFER_MOUNT, O_CLOEXEC) < 0)
		return -errno;
	close(m);
	return 0;
}

static int make_mounts(const struct child_world *w, uid_t self, uid_t owner)
{
	if (setns(w->template_fd, CLONE_NEWNS) < 0 || unshare(CLONE_NEWNS) < 0)
		return -errno;
	int error = mount_new("tmpfs", "/tmp", "0755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, NULL);
	/* The kernel lets a container mount these two only where they can be seen whole already. */
	if (!error)
		error = mount_new("proc", "/proc", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, NULL);
	if (!error && (mkdir("/tmp/sys", 0555) < 0 || mkdir("/tmp/dev", 0755) < 0))
		error = -errno;
	if (!error)
		error = mount_new("sysfs", "/tmp/sys", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, NULL);
	if (!error)
		error = make_devices(owner);
	if (!error)
		error = make_own_devices(self);
	if (!error && chdir("/") < 0)
		error = -errno;
	return error;
}

static int protect_from_memory_killer(const struct child_world *w)
{
	int fd = openat(w->host_proc_fd, "self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	int error = fd < 0 || write(fd, "-900", 4) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return error == -EACCES || error == -EPERM ? 0 : error; /* where we are in a container ourselves */
}

int warden_box_enter(const struct child_world *w, uid_t uid_base, unsigned slot, int report, int offers_fd)
{
	uid_t self = uid_base + slot, owner = BOX_UID_BASE + slot * BOX_UIDS;
	int32_t word = 0;
	int error = protect_from_memory_killer(w);
	umask(0);
	if (!error)
		error = open_offers(offers_fd);
	if (!error && sethostname("container", 9) < 0)
		error = -errno;
	if (!error)
		error = make_mounts(w, self, owner);
	if (!error && (chown("/tmp", self, self) < 0 || setgroups(0, NULL) < 0 || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ||
	               setresgid(self, self, self) < 0 || setresuid(self, self, self) < 0 || unshare(CLONE_NEWUSER) < 0))
		error = -errno;
	/* While it waits it ends with the warden: others that wait, and itself, hold copies of the warden's ends of their sockets,
	 * which would never be closed. (A change of identity takes the signal away; the shim goes on without.) */
	if (!error && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		error = -errno;
	if (error)
		return error;
	/* the warden writes the maps: several ids are more than one may map for oneself */
	if (write(report, &word, sizeof(word)) != sizeof(word) || read(report, &word, sizeof(word)) != sizeof(word))
		return -EIO;
	if (word)
		return word;
	/* The mounts of before are the machine's; in a copy that belongs to this namespace, it may mount. Its storage daemon opens
	 * files by this process's descriptors, for which it has to be dumpable; nothing of the container sees it. */
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, 0) < 0)
		return -errno;
	return 0;
}

static int write_map(const struct child_world *w, pid_t pid, const char *what, uid_t uid_base, unsigned slot)
{
	char path[40], text[80];
	snprintf(path, sizeof(path), "%d/%s", (int)pid, what);
	int n = snprintf(text, sizeof(text), "0 %u 1\n1 %u %d\n", uid_base + slot, BOX_UID_BASE + slot * BOX_UIDS, BOX_UIDS);
	int fd = openat(w->host_proc_fd, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = write(fd, text, (size_t)n) < 0 ? -errno : 0;
	close(fd);
	return error;
}

int warden_box_map(const struct child_world *w, uid_t uid_base, unsigned slot, pid_t pid, int report)
{
	int32_t error;
	if (read(report, &error, sizeof(error)) != sizeof(error))
		return -EIO;
	if (error)
		return error; /* it has ended */
	error = write_map(w, pid, "gid_map", uid_base, slot);
	if (!error)
		error = write_map(w, pid, "uid_map", uid_base, slot);
	if (send(report, &error, sizeof(error), MSG_NOSIGNAL) != sizeof(error) && !error)
		error = -EIO;
	return error;
}

/* ---- block devices ---- */

/* The file that the storage daemon offers: as the shim has opened it, or by its device, which is closed. */
static int open_offer(int offer)
{
	char path[40];
	struct stat st;
	struct statfs fs;
	if (fstat(offer, &st) < 0 || fstatfs(offer, &fs) < 0)
		return -errno;
	if (S_ISREG(st.st_mode) && fs.f_type == FUSE_SUPER_MAGIC && (fcntl(offer, F_GETFL) & O_ACCMODE) == O_RDWR)
		return fcntl(offer, F_DUPFD_CLOEXEC, 3);
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(10, 229))
		return -EINVAL;
	int m = mount_offer(offer);
	if (m < 0)
		return m;
	/* While somebody has the device the kernel waits for answers: a daemon that has died must have been the last. */
	close(offer);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", m);
	int fd = open(path, O_RDWR | O_CLOEXEC), error = fd < 0 ? -errno : 0;
	close(m);
	return error ? error : fd;
}

/* In a child that is nobody: what a program makes of an image is its own affair. */
static _Noreturn void become_resizer(int file, uid_t nobody)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	const char *const argv[] = {"/usr/sbin/resize2fs", "-f", path, NULL};
	const char *const environment[] = {"PATH=/usr/sbin:/usr/bin", "LC_ALL=C", NULL};
	int null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	fcntl(file, F_SETFD, 0);
	if (setgroups(0, NULL) == 0 && setresgid(nobody, nobody, nobody) == 0 && setresuid(nobody, nobody, nobody) == 0)
		execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
	_exit(127);
}

/* Makes an ext4 file system as large as its disk, as a virtual machine does in its first boot; of another kind, nothing. */
static void grow(int file, uid_t nobody)
{
	unsigned char super[1024];
	struct stat st;
	int status = -1;
	/* the kernel's Documentation/filesystems/ext4/super.rst */
	if (fstat(file, &st) < 0 || pread(file, super, sizeof(super), 1024) != sizeof(super) || super[0x38] != 0x53 ||
	    super[0x39] != 0xef || super[0x18] > 6)
		return;
	uint64_t blocks = super[4] | super[5] << 8 | super[6] << 16 | (uint64_t)super[7] << 24;
	if ((uint64_t)st.st_size / (1024ull << super[0x18]) <= blocks)
		return;
	pid_t pid = fork();
	if (pid == 0)
		become_resizer(file, nobody);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		log_warn("a container's root file system stays smaller than its disk (resize2fs: status %d)", status);
}

/* errors=remount-ro: what a damaged file system says about panics is not asked. */
static int mount_root(const char *device, int users, int *ret_fd)
{
	int fs = fsopen("ext4", FSOPEN_CLOEXEC), m = -1, error = fs < 0 ? -errno : 0;
	if (!error &&
	    (fsconfig(fs, FSCONFIG_SET_STRING, "source", device, 0) < 0 ||
	     fsconfig(fs, FSCONFIG_SET_STRING, "errors", "remount-ro", 0) < 0 ||
	     fsconfig(fs, FSCONFIG_SET_FLAG, "discard", NULL, 0) < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
	     (m = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV)) < 0))
		error = -errno;
	if (fs >= 0)
		close(fs);
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .propagation = MS_PRIVATE, .userns_fd = (uint64_t)users};
	if (!error && mount_setattr(m, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		error = -errno;
	if (error && m >= 0)
		close(m);
	if (!error)
		*ret_fd = m;
	return error;
}

static int make_node(int devices, const struct warden_request *r, dev_t device)
{
	struct statfs fs;
	struct stat st;
	uid_t owner = BOX_UID_BASE + r->slot * BOX_UIDS;
	/* a /dev of ours, of this container's, and no other place */
	if (fstatfs(devices, &fs) < 0 || fstat(devices, &st) < 0)
		return -errno;
	if (fs.f_type != TMPFS_MAGIC || st.st_uid != owner)
		return -EPERM;
	if (unlinkat(devices, r->name, 0) < 0 && errno != ENOENT)
		return -errno;
	umask(0);
	int error = mknodat(devices, r->name, S_IFBLK | 0600, device) < 0 ||
	                            fchownat(devices, r->name, owner, owner, AT_SYMLINK_NOFOLLOW) < 0
	                    ? -errno
	                    : 0;
	umask(077);
	return error;
}

int warden_box_block(const struct warden_request *r, const int *fds, int ret_fds[2])
{
	char path[32];
	dev_t device = 0;
	int mount_fd = -1;
	if (ioctl(fds[BLOCK_FD_USERS], NS_GET_NSTYPE) != CLONE_NEWUSER)
		return -EINVAL;
	int file = open_offer(fds[BLOCK_FD_OFFER]);
	if (file < 0)
		return file;
	if (r->is_root)
		grow(file, BOX_UID_BASE + r->slot * BOX_UIDS);
	int loop = loopdev_make(file, false, path, &device), error = loop < 0 ? loop : 0;
	if (!error)
		error = r->is_root ? mount_root(path, fds[BLOCK_FD_USERS], &mount_fd) : make_node(fds[BLOCK_FD_DEVICES], r, device);
	if (error)
		close(file);
	if (loop >= 0 && (error || r->is_root))
		close(loop);
	if (error)
		return error;
	ret_fds[0] = r->is_root ? mount_fd : loop;
	ret_fds[1] = file;
	return 0;
}

/* ---- links ---- */

static bool same_file(int a, int b)
{
	struct stat x, y;
	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int warden_box_link(const struct child_world *w, const struct warden_request *r, const int *fds)
{
	char name[16];
	int error = -EEXIST;
	if (ioctl(fds[1], NS_GET_NSTYPE) != CLONE_NEWNET || same_file(fds[1], w->host_net_ns_fd))
		return -EINVAL;
	for (unsigned i = r->index; error == -EEXIST && i <= LINKS_MAX; i++) {
		snprintf(name, sizeof(name), "eth%u", i);
		error = plug_link(fds[0], fds[1], name);
	}
	return error;
}
