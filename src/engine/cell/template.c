/* Building the template. It happens in a child with a mount namespace of its own, so that a failure half-way leaves nothing: the
 * namespace dies with the child. `priv` keeps the finished one by a descriptor. */
#include "engine/cell/root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

struct outcome {
	int error;
	char what[128];
};

static int fail(struct outcome *o, const char *what, const char *name)
{
	o->error = -errno;
	snprintf(o->what, sizeof(o->what), "%s %.70s", what, name);
	return -1;
}

static const char *const directories[] = {
        "proc", "dev", "tmp", "etc", "etc/ssl", "etc/ssl/certs", "usr", "var", "var/task", "var/runtime", "opt", "mnt", "sys",
};

/* Small files of the machine that a program may need, copied; and directories, bound. What is missing is left out. */
static const char *const copied_files[] = {
        "ld.so.cache", "ld.so.conf", "localtime", "mime.types", "services", "protocols", "ssl/openssl.cnf",
};
static const char *const bound_directories[] = {"alternatives", "ssl/certs", "ca-certificates"};
static const char *const bound_prefixes[] = {"java-", "python3"};
/* On a machine with merged /usr these are symbolic links; elsewhere directories. */
static const char *const top_level[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};

static const char passwd[] =
        "root:x:0:0:root:/root:/sbin/nologin\nsbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n";
static const char group[] = "root:x:0:\nsbx_user1051:x:990:\nnogroup:x:65534:\n";
static const char nsswitch[] =
        "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\nethers: files\nrpc: files\n";
static const char hosts[] = "127.0.0.1 localhost sandbox.localdomain\n::1 localhost\n";

static int write_file(int root, const char *path, const char *text, size_t n)
{
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	ssize_t r = write(fd, text, n);
	close(fd);
	return r == (ssize_t)n ? 0 : -1;
}

static int bind_tree(const char *from, int root, const char *to, unsigned attributes)
{
	int tree = open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0)
		return -1;
	struct mount_attr attr = {.attr_set = attributes, .propagation = MS_PRIVATE};
	int r = mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr));
	if (r == 0)
		r = move_mount(tree, "", root, to, MOVE_MOUNT_F_EMPTY_PATH);
	int saved = errno;
	close(tree);
	errno = saved;
	return r;
}

enum { BIND_ATTRIBUTES = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };

static void copy_file(int root, const char *name)
{
	char from[128], to[128];
	static char content[512 * 1024];
	snprintf(from, sizeof(from), "/etc/%s", name);
	snprintf(to, sizeof(to), "etc/%s", name);
	int fd = open(from, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t n = read(fd, content, sizeof(content));
	close(fd);
	if (n > 0)
		write_file(root, to, content, (size_t)n);
}

/* Adds every nameserver of file that is not a loopback address: those are this machine's, and no cell reaches them. */
static void add_nameservers(const char *file, char *text, size_t cap)
{
	FILE *f = fopen(file, "re");
	if (!f)
		return;
	char line[256], address[64];
	while (fgets(line, sizeof(line), f)) {
		size_t n = strlen(text);
		if (sscanf(line, "nameserver %63s", address) == 1 && strncmp(address, "127.", 4) != 0 &&
		    strcmp(address, "::1") != 0)
			snprintf(text + n, cap - n, "nameserver %s\n", address);
	}
	fclose(f);
}

static int write_resolver(int root, const char *resolver)
{
	char text[512] = "";
	if (resolver)
		snprintf(text, sizeof(text), "nameserver %s\n", resolver);
	else {
		add_nameservers("/etc/resolv.conf", text, sizeof(text));
		if (!text[0])
			add_nameservers("/run/systemd/resolve/resolv.conf", text, sizeof(text));
	}
	strncat(text, "options timeout:2 attempts:2\n", sizeof(text) - strlen(text) - 1);
	return write_file(root, "etc/resolv.conf", text, strlen(text));
}

int root_write_network(int root, const struct root_config *config)
{
	return write_file(root, "etc/hosts", hosts, sizeof(hosts) - 1) || write_resolver(root, config->resolver) ? -1 : 0;
}

static int fill_etc(int root, const struct root_config *config, struct outcome *o)
{
	if (write_file(root, "etc/passwd", passwd, sizeof(passwd) - 1) || write_file(root, "etc/group", group, sizeof(group) - 1) ||
	    write_file(root, "etc/nsswitch.conf", nsswitch, sizeof(nsswitch) - 1) || root_write_network(root, config) ||
	    symlinkat("../usr/lib/os-release", root, "etc/os-release") || symlinkat("/proc/mounts", root, "etc/mtab") ||
	    /* ECMAScript modules do not look at NODE_PATH, but in every folder above /var/task */
	    symlinkat("runtime/node_modules", root, "var/node_modules"))
		return fail(o, "writing", "/etc");
	for (size_t i = 0; i < sizeof(copied_files) / sizeof(copied_files[0]); i++)
		copy_file(root, copied_files[i]);
	char from[300], to[300];
	for (size_t i = 0; i < sizeof(bound_directories) / sizeof(bound_directories[0]); i++) {
		snprintf(from, sizeof(from), "/etc/%s", bound_directories[i]);
		snprintf(to, sizeof(to), "etc/%s", bound_directories[i]);
		if (access(from, F_OK) == 0 &&
		    ((mkdirat(root, to, 0755) < 0 && errno != EEXIST) || bind_tree(from, root, to, BIND_ATTRIBUTES)))
			return fail(o, "binding", from);
	}
	DIR *d = opendir("/etc");
	for (struct dirent *e; d && (e = readdir(d));) {
		bool wanted = false;
		for (size_t i = 0; i < sizeof(bound_prefixes) / sizeof(bound_prefixes[0]); i++)
			wanted |= e->d_type == DT_DIR && strncmp(e->d_name, bound_prefixes[i], strlen(bound_prefixes[i])) == 0;
		if (!wanted)
			continue;
		snprintf(from, sizeof(from), "/etc/%s", e->d_name);
		snprintf(to, sizeof(to), "etc/%s", e->d_name);
		if (mkdirat(root, to, 0755) < 0 || bind_tree(from, root, to, BIND_ATTRIBUTES)) {
			fail(o, "binding", from);
			closedir(d);
			return -1;
		}
	}
	if (d)
		closedir(d);
	return 0;
}

/* A tmpfs of its own, because device files only work on a mount without `nodev`. */
static int fill_dev(int root, struct outcome *o)
{
	static const struct {
		const char *name;
		unsigned major, minor;
	} nodes[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
	static const char *const links[][2] = {{"/proc/self/fd", "fd"},
	                                       {"/proc/self/fd/0", "stdin"},
	                                       {"/proc/self/fd/1", "stdout"},
	                                       {"/proc/self/fd/2", "stderr"}};
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), dev = -1;
	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "size", "64k", 0) < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
	    (dev = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)) < 0 ||
	    move_mount(dev, "", root, "dev", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return fail(o, "mounting", "/dev");
	close(fs);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		char from[32];
		snprintf(from, sizeof(from), "/dev/%s", nodes[i].name);
		if (mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) == 0 &&
		    fchmodat(dev, nodes[i].name, 0666, 0) == 0)
			continue;
		/* a container may forbid making device files but not binding those it has */
		if (write_file(dev, nodes[i].name, "", 0) < 0 ||
		    bind_tree(from, dev, nodes[i].name, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC) < 0)
			return fail(o, "making", from);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlinkat(links[i][0], dev, links[i][1]) < 0)
			return fail(o, "linking /dev", links[i][1]);
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	if (mount_setattr(dev, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return fail(o, "protecting", "/dev");
	close(dev);
	return 0;
}

static int fill_top(int root, struct outcome *o)
{
	for (size_t i = 0; i < sizeof(top_level) / sizeof(top_level[0]); i++) {
		char from[16], target[128];
		struct stat st;
		snprintf(from, sizeof(from), "/%s", top_level[i]);
		if (lstat(from, &st) < 0)
			continue;
		if (S_ISLNK(st.st_mode)) {
			ssize_t n = readlink(from, target, sizeof(target) - 1);
			if (n <= 0)
				return fail(o, "reading", from);
			target[n] = 0;
			if (symlinkat(target, root, top_level[i]) < 0)
				return fail(o, "linking", from);
		} else if (mkdirat(root, top_level[i], 0755) < 0 || bind_tree(from, root, top_level[i], BIND_ATTRIBUTES) < 0) {
			return fail(o, "binding", from);
		}
	}
	return 0;
}

static int build(const struct root_config *config, struct outcome *o)
{
	int error = root_private_mounts();
	if (error) {
		errno = -error;
		return fail(o, "making", "a private mount namespace");
	}
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), root = -1;
	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "size", "4m", 0) < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
	    (root = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)) < 0 ||
	    move_mount(root, "", AT_FDCWD, config->stage_dir, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return fail(o, "mounting the root at", config->stage_dir);
	close(fs);
	umask(022);
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		if (mkdirat(root, directories[i], 0755) < 0)
			return fail(o, "making", directories[i]);
	if (bind_tree("/usr", root, "usr", BIND_ATTRIBUTES) < 0)
		return fail(o, "binding", "/usr");
	if (config->runtime_dir && bind_tree(config->runtime_dir, root, "var/runtime", BIND_ATTRIBUTES) < 0)
		return fail(o, "binding", config->runtime_dir);
	if (fill_top(root, o) || fill_etc(root, config, o) || fill_dev(root, o))
		return -1;
	/* after pivot_root the old root lies on top of the new one and is taken off: nothing but the skeleton is left */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
		return fail(o, "changing to", "the new root");
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	if (mount_setattr(root, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return fail(o, "protecting", "the root");
	return 0;
}

int root_make_template(const struct root_config *config, int *ret_ns_fd, char *ret_why, size_t why_cap)
{
	int up[2], down[2];
	if (pipe2(up, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(down, O_CLOEXEC) < 0) {
		int error = -errno;
		close(up[0]);
		close(up[1]);
		return error;
	}
	pid_t pid = fork();
	if (pid == 0) {
		struct outcome o = {0};
		close(down[1]);
		build(config, &o);
		/* stays until the parent holds the namespace and closes its end */
		if (write(up[1], &o, sizeof(o)) == sizeof(o))
			(void)!read(down[0], &o, 1);
		_exit(0);
	}
	close(up[1]);
	close(down[0]);
	struct outcome o = {.error = -ECHILD, .what = "the builder"};
	int error = pid < 0 ? -EAGAIN : 0, ns = -1;
	if (!error && read(up[0], &o, sizeof(o)) == sizeof(o) && !o.error) {
		char path[40];
		snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
		ns = open(path, O_RDONLY | O_CLOEXEC);
		if (ns < 0) {
			o.error = -errno;
			snprintf(o.what, sizeof(o.what), "opening %s", path);
		}
	}
	close(up[0]);
	close(down[1]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (!error)
		error = o.error;
	if (error) {
		snprintf(ret_why, why_cap, "%s failed: %s", o.what, strerror(-error));
		return error;
	}
	*ret_ns_fd = ns;
	return 0;
}
