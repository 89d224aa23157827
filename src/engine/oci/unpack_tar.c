/* The process's root directory is the layer's, so no name leads anywhere else; what would, is refused all the same, because a file
 * system that silently is another than the image's author saw helps nobody. Whiteouts take overlayfs's form: a device 0/0, and an
 * attribute on directories, in the namespace of attributes that ordinary users may set. */
#include "engine/oci/archive_lib.h"
#include "engine/oci/layer_path.h"
#include "engine/oci/unpack.h"

#include "io/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { ROOM = 128 * 1024, WHY_NAME = 120 };
#define OPAQUE "user.overlay.opaque"

struct times {
	struct times *next;
	struct timespec mtime;
	char path[];
};

struct unpack {
	const struct steward_unpack *request;
	struct unpack_report *report;
	struct archive *archive;
	int from, root;
	uint64_t bytes, entries;
	struct times *times; /* of directories: what is made in them later changes theirs */
};

static int refuse(struct unpack *u, int error, const char *path, const char *what)
{
	char name[WHY_NAME + 4];
	snprintf(name, sizeof(name), "%.*s%s", WHY_NAME, path, strlen(path) > WHY_NAME ? "..." : "");
	for (char *c = name; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	if (!u->report->why[0])
		snprintf(u->report->why, sizeof(u->report->why), "the layer's entry \"%s\" %s", name, what);
	return error;
}

static int broken(struct unpack *u, int error, const char *path)
{
	char what[80];
	snprintf(what, sizeof(what), "cannot be made: %.50s", strerror(-error));
	return refuse(u, error, path, what);
}

static int open_inside(struct unpack *u, const char *path, int flags)
{
	struct open_how how = {.flags = (unsigned long long)(flags | O_CLOEXEC),
	                       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, u->root, path, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

/* Makes the directory `part` of the layer; the one around it is there. */
static int make_missing(struct unpack *u, char *part)
{
	char *slash = strrchr(part, '/');
	if (slash)
		*slash = 0;
	int above = open_inside(u, slash ? part : ".", O_RDONLY | O_DIRECTORY);
	if (above < 0)
		return above;
	int error = mkdirat(above, slash ? slash + 1 : part, 0755) < 0 && errno != EEXIST ? -errno : 0;
	close(above);
	if (slash)
		*slash = '/';
	return error;
}

/* The directory that holds `path`, made where it is missing; *ret_last is the name in it. */
static int open_parent(struct unpack *u, const char *path, const char **ret_last)
{
	char part[LAYER_PATH_MAX];
	const char *slash = strrchr(path, '/');
	*ret_last = slash ? slash + 1 : path;
	if (!slash)
		return open_inside(u, ".", O_RDONLY | O_DIRECTORY);
	snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
	int fd = open_inside(u, part, O_RDONLY | O_DIRECTORY);
	for (const char *end = path; fd == -ENOENT && (end = strchr(end, '/')); end++) {
		snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
		fd = open_inside(u, part, O_RDONLY | O_DIRECTORY);
		int error = fd == -ENOENT ? make_missing(u, part) : 0;
		if (error)
			return error;
		if (fd == -ENOENT)
			fd = open_inside(u, part, O_RDONLY | O_DIRECTORY);
		if (fd < 0)
			return fd;
		if (end == slash)
			return fd;
		close(fd);
		fd = -ENOENT;
	}
	return fd;
}

static int write_content(struct unpack *u, int fd, int64_t size)
{
	for (;;) {
		const void *p;
		size_t n;
		la_int64_t at;
		int r = lib.archive_read_data_block(u->archive, &p, &n, &at);
		if (r == ARCHIVE_EOF)
			return ftruncate(fd, size) < 0 ? -errno : 0;
		if (r != ARCHIVE_OK || at < 0 || at + (int64_t)n > size)
			return -EBADMSG;
		while (n) {
			ssize_t w = pwrite(fd, p, n, at);
			if (w <= 0)
				return -errno;
			p = (const char *)p + w;
			n -= (size_t)w;
			at += w;
		}
	}
}

static bool keeps(const char *name)
{
	return strcmp(name, "security.capability") == 0 ||
	       (strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0);
}

static int set_attributes(int fd, struct archive_entry *e, mode_t mode)
{
	const char *name;
	const void *value;
	size_t n;
	if (fchown(fd, (uid_t)lib.archive_entry_uid(e), (gid_t)lib.archive_entry_gid(e)) < 0 || fchmod(fd, mode) < 0)
		return -errno;
	lib.archive_entry_xattr_reset(e);
	while (lib.archive_entry_xattr_next(e, &name, &value, &n) == ARCHIVE_OK)
		if (name && keeps(name) && fsetxattr(fd, name, value, n, 0) < 0)
			return -errno;
	return 0;
}

static struct timespec mtime_of(struct archive_entry *e)
{
	return (struct timespec){.tv_sec = lib.archive_entry_mtime(e), .tv_nsec = lib.archive_entry_mtime_nsec(e)};
}

static int remember_times(struct unpack *u, const char *path, struct archive_entry *e)
{
	struct times *t = malloc(sizeof(*t) + strlen(path) + 1);
	if (!t)
		return -ENOMEM;
	*t = (struct times){.next = u->times, .mtime = mtime_of(e)};
	strcpy(t->path, path);
	u->times = t;
	return 0;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

static int set_opaque(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int error = fd < 0 || fsetxattr(fd, OPAQUE, "y", 1, 0) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return error;
}

static int make_directory(struct unpack *u, int parent, const char *last, const char *path, struct archive_entry *e, bool hides)
{
	if (mkdirat(parent, last, 0700) < 0 && errno != EEXIST)
		return -errno;
	int fd = openat(parent, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int error = fd < 0 ? -errno : set_attributes(fd, e, lib.archive_entry_perm(e) & 07777);
	if (!error && hides)
		error = fsetxattr(fd, OPAQUE, "y", 1, 0) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return error ? error : remember_times(u, path, e);
}

static int make_file(struct unpack *u, int parent, const char *last, struct archive_entry *e)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime_of(e)};
	int fd = openat(parent, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int error = fd < 0 ? -errno : write_content(u, fd, lib.archive_entry_size(e));
	if (!error)
		error = set_attributes(fd, e, lib.archive_entry_perm(e) & 07777);
	if (!error && futimens(fd, times) < 0)
		error = -errno;
	if (fd >= 0)
		close(fd);
	return error;
}

/* Neither can be opened. */
static int make_other(int parent, const char *last, struct archive_entry *e, const char *target)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime_of(e)};
	uid_t uid = (uid_t)lib.archive_entry_uid(e);
	gid_t gid = (gid_t)lib.archive_entry_gid(e);
	if (target ? symlinkat(target, parent, last) < 0 : mknodat(parent, last, S_IFIFO | 0600, 0) < 0)
		return -errno;
	if (fchownat(parent, last, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (!target && fchmodat(parent, last, lib.archive_entry_perm(e) & 07777, 0) < 0) ||
	    utimensat(parent, last, times, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int make_link(struct unpack *u, int parent, const char *last, const char *path, const char *target)
{
	char to[LAYER_PATH_MAX];
	enum layer_kind kind;
	const char *name;
	struct stat st;
	/* some programs write the targets of hard links as from the root */
	if (layer_path(target[0] == '/' ? target + 1 : target, to, &kind) < 0 || kind != LAYER_PLAIN)
		return refuse(u, -EPERM, path, "is a link out of the layer's root");
	int dir = open_parent(u, to, &name);
	if (dir < 0)
		return dir;
	int error = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	if (!error && (S_ISDIR(st.st_mode) || is_whiteout(&st)))
		error = -EPERM;
	if (!error && linkat(dir, name, parent, last, 0) < 0)
		error = -errno;
	close(dir);
	return error == -ENOENT ? refuse(u, -EBADMSG, path, "is a link to an entry that is not there") : error;
}

static int make_whiteout(int parent, const char *last)
{
	struct stat st;
	if (fstatat(parent, last, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		/* this layer has it too: what is hidden is lower */
		return S_ISDIR(st.st_mode) ? set_opaque(parent, last) : 0;
	}
	return mknodat(parent, last, S_IFCHR | 0600, makedev(0, 0)) < 0 ? -errno : 0;
}

static const char *either(const char *bytes, const char *utf8)
{
	return bytes ? bytes : utf8;
}

static int make_plain(struct unpack *u, struct archive_entry *e, const char *path)
{
	const char *hard = either(lib.archive_entry_hardlink(e), lib.archive_entry_hardlink_utf8(e));
	const char *soft = either(lib.archive_entry_symlink(e), lib.archive_entry_symlink_utf8(e)), *last;
	mode_t type = hard ? S_IFREG : lib.archive_entry_filetype(e);
	struct stat st;
	if (type == S_IFCHR || type == S_IFBLK)
		return refuse(u, -EPERM, path, "is a device node");
	if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK && type != S_IFIFO)
		return refuse(u, -EPERM, path, "is of a kind that a layer cannot have");
	if (lib.archive_entry_uid(e) < 0 || lib.archive_entry_uid(e) >= TASK_UIDS || lib.archive_entry_gid(e) < 0 ||
	    lib.archive_entry_gid(e) >= TASK_UIDS)
		return refuse(u, -EPERM, path, "belongs to a user or group above 65535");
	if (type == S_IFLNK && (!soft || layer_symlink(path, soft) < 0))
		return refuse(u, -EPERM, path, "is a link out of the layer's root");
	if (type == S_IFREG && !hard) {
		int64_t size = lib.archive_entry_size(e);
		if (size < 0 || (uint64_t)size > u->request->max_bytes - u->bytes)
			return refuse(u, -E2BIG, path, "makes the layer larger than allowed");
		u->bytes += (uint64_t)size;
	}
	int parent = open_parent(u, path, &last), error = parent < 0 ? parent : 0;
	bool hides = false;
	if (!error && strcmp(path, ".") != 0 && fstatat(parent, last, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !(type == S_IFDIR && S_ISDIR(st.st_mode))) {
		hides = is_whiteout(&st);
		error = tree_remove(parent, last);
	}
	if (!error && strcmp(path, ".") == 0 && type != S_IFDIR)
		error = -EPERM;
	if (!error)
		error = hard              ? make_link(u, parent, last, path, hard)
		        : type == S_IFDIR ? make_directory(u, parent, last, path, e, hides)
		        : type == S_IFREG ? make_file(u, parent, last, e)
		                          : make_other(parent, last, e, type == S_IFLNK ? soft : NULL);
	if (parent >= 0)
		close(parent);
	return error;
}

static int make_entry(struct unpack *u, struct archive_entry *e)
{
	const char *name = either(lib.archive_entry_pathname(e), lib.archive_entry_pathname_utf8(e)), *last;
	char path[LAYER_PATH_MAX];
	enum layer_kind kind;
	if (++u->entries > u->request->max_entries)
		return refuse(u, -E2BIG, name ? name : "", "is one more than a layer may have");
	int error = name ? layer_path(name, path, &kind) : -EINVAL;
	if (error)
		return refuse(u, error == -EINVAL ? -EBADMSG : error, name ? name : "",
		              error == -EPERM ? "has an absolute name or \"..\" in it" : "has no name that can be");
	if (kind == LAYER_IGNORED)
		return 0;
	if (kind == LAYER_PLAIN) {
		error = make_plain(u, e, path);
		return error ? broken(u, error, path) : 0;
	}
	int parent = open_parent(u, path, &last);
	error = parent < 0 ? parent : 0;
	if (!error && kind == LAYER_WHITEOUT)
		error = make_whiteout(parent, last);
	if (!error && kind == LAYER_OPAQUE) {
		if (mkdirat(parent, last, 0755) < 0 && errno != EEXIST)
			error = -errno;
		if (!error)
			error = set_opaque(parent, last);
	}
	if (parent >= 0)
		close(parent);
	return error ? broken(u, error, path) : 0;
}

static la_ssize_t pull(struct archive *a, void *ctx, const void **ret)
{
	(void)a;
	static char room[ROOM];
	struct unpack *u = ctx;
	ssize_t n = read(u->from, room, sizeof(room));
	*ret = room;
	return n < 0 ? ARCHIVE_FATAL : n;
}

static void set_times(struct unpack *u)
{
	for (struct times *t = u->times, *next; t; t = next) {
		const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, t->mtime};
		next = t->next;
		int fd = open_inside(u, t->path, O_RDONLY | O_DIRECTORY);
		if (fd >= 0) {
			futimens(fd, times);
			close(fd);
		}
		free(t);
	}
	u->times = NULL;
}

void unpack_tar(int from, int root, const struct steward_unpack *r, struct unpack_report *ret)
{
	struct unpack u = {.request = r, .report = ret, .from = from, .root = root};
	struct archive_entry *e;
	const void *rest;
	int error = 0, step = ARCHIVE_OK;
	umask(0);
	u.archive = lib.archive_read_new();
	lib.archive_read_support_format_tar(u.archive);
	if (u.root < 0 || lib.archive_read_open(u.archive, &u, NULL, pull, NULL) != ARCHIVE_OK)
		error = -EBADMSG;
	while (!error && ((step = lib.archive_read_next_header(u.archive, &e)) == ARCHIVE_OK || step == ARCHIVE_WARN))
		error = make_entry(&u, e);
	if (!error && step != ARCHIVE_EOF)
		error = -EBADMSG;
	if (error == -EBADMSG && !ret->why[0])
		snprintf(ret->why, sizeof(ret->why), "the layer is no archive, or cut off");
	set_times(&u);
	/* the other child reckons the digest of all of it */
	while (!error && pull(u.archive, &u, &rest) > 0)
		;
	lib.archive_read_free(u.archive);
	ret->error = error;
}
