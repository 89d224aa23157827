/* The unpacking goes from directory to directory by descriptors and follows no link, so even a link that got past the checks could
 * not lead a later entry outside. */
#include "aws/lambda/zip.h"

#include "base/map.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct unpacker {
	int root;
	bool replace;
	int64_t left_bytes;
	struct map seen;
	struct zip_facts *facts;
};

static enum zip_result bad(struct unpacker *u, const char *why, struct str name)
{
	snprintf(u->facts->why, sizeof(u->facts->why), "%s: %.*s", why, (int)(name.n > 80 ? 80 : name.n), name.p ? name.p : "");
	return ZIP_BAD;
}

static enum zip_result io_error(struct unpacker *u)
{
	u->facts->error = errno;
	snprintf(u->facts->why, sizeof(u->facts->why), "cannot write: %s", strerror(errno));
	return ZIP_IO;
}

/* Relative, without empty, "." or ".." parts; a final slash is taken off. */
static bool clean_name(struct str *name)
{
	while (name->n && name->p[name->n - 1] == '/')
		name->n--;
	if (str_starts(*name, S("./")))
		*name = str_from_at(*name, 2);
	if (str_empty(*name) || name->n > 1024 || name->p[0] == '/' || memchr(name->p, 0, name->n))
		return false;
	struct str rest = *name;
	while (str_set(rest)) {
		struct str part = str_cut(&rest, '/');
		if (str_empty(part) || part.n > 255 || str_eq(part, S(".")) || str_eq(part, S("..")))
			return false;
	}
	return true;
}

/* Would the link, lying at name, lead out of the root? */
static bool link_leaves(struct str name, struct str target)
{
	if (str_empty(target) || target.p[0] == '/' || memchr(target.p, 0, target.n))
		return true;
	size_t depth = 0;
	for (size_t i = 0; i < name.n; i++)
		depth += name.p[i] == '/';
	bool leading = true;
	struct str rest = target;
	while (str_set(rest)) {
		struct str part = str_cut(&rest, '/');
		if (str_eq(part, S(".."))) {
			/* Behind a name ".." may mean anything: the name may be a link itself. */
			if (!leading || !depth--)
				return true;
		} else if (!str_empty(part) && !str_eq(part, S("."))) {
			leading = false;
		}
	}
	return false;
}

/* The descriptor of the directory that name lies in, made on the way without ever following a link; *ret_leaf is the last part.
 * Negative: errno is set. */
static int open_parent(struct unpacker *u, char *name, const char **ret_leaf)
{
	int at = fcntl(u->root, F_DUPFD_CLOEXEC, 0);
	char *part = name;
	for (char *slash; at >= 0 && (slash = strchr(part, '/')); part = slash + 1) {
		*slash = 0;
		bool made = mkdirat(at, part, 0755) == 0;
		int next = made || errno == EEXIST ? openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
		if (made && next >= 0)
			fchmod(next, 0755); /* whatever the umask was */
		int error = errno;
		*slash = '/';
		close(at);
		errno = error;
		at = next;
	}
	*ret_leaf = part;
	return at;
}

static enum zip_result copy_data(struct unpacker *u, struct archive *ar, int fd)
{
	char piece[65536];
	for (;;) {
		la_ssize_t n = archive_read_data(ar, piece, sizeof(piece));
		if (n == 0)
			return ZIP_OK;
		if (n < 0)
			return bad(u, "damaged", str_from(archive_error_string(ar)));
		u->facts->unzipped_bytes += n;
		u->left_bytes -= n;
		if (u->left_bytes < 0)
			return ZIP_TOO_LARGE;
		for (la_ssize_t done = 0; fd >= 0 && done < n;) {
			ssize_t wrote = write(fd, piece + done, (size_t)(n - done));
			if (wrote < 0)
				return io_error(u);
			done += wrote;
		}
	}
}

static enum zip_result make_file(struct unpacker *u, struct archive *ar, int parent, const char *leaf, mode_t mode)
{
	/* Zips that Python's writestr() or DOS made carry modes that nobody else could read by; the function runs as another user.
	 */
	mode = (mode & 0111) | 0644;
	if (u->replace)
		unlinkat(parent, leaf, 0);
	int fd = openat(parent, leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return errno == EEXIST || errno == ENOTDIR || errno == EISDIR ? bad(u, "is there twice", str_from(leaf))
		                                                              : io_error(u);
	fchmod(fd, mode);
	enum zip_result result = copy_data(u, ar, fd);
	close(fd);
	return result;
}

static enum zip_result unpack_entry(struct unpacker *u, struct archive *ar, struct archive_entry *entry)
{
	const char *raw = archive_entry_pathname(entry);
	struct str name = str_from(raw);
	if (!raw || !clean_name(&name))
		return raw && (str_eq(name, S(".")) || str_empty(name)) && raw[0] != '/' ? ZIP_OK
		                                                                         : bad(u, "bad name", str_from(raw));
	if (archive_entry_is_encrypted(entry))
		return bad(u, "encrypted", name);
	if (archive_entry_hardlink(entry))
		return bad(u, "a hard link", name);
	mode_t type = archive_entry_filetype(entry);
	bool directory = type == AE_IFDIR;
	if (!directory && type != AE_IFREG && type != AE_IFLNK)
		return bad(u, "neither file, directory nor link", name);
	void *before = map_put(&u->seen, name, directory ? (void *)1 : (void *)2);
	if (before && !(directory && before == (void *)1))
		return bad(u, "is there twice", name);
	/* A link's target is its content; libarchive has read it already. */
	struct str target = type == AE_IFLNK ? str_from(archive_entry_symlink(entry)) : STR_NONE;
	if (type == AE_IFLNK && (!str_set(target) || link_leaves(name, target)))
		return bad(u, "a link that leads out", name);
	if (archive_entry_size_is_set(entry) && archive_entry_size(entry) > u->left_bytes)
		return ZIP_TOO_LARGE;
	if (u->root < 0)
		return type == AE_IFREG ? copy_data(u, ar, -1) : ZIP_OK;

	char path[1032];
	snprintf(path, sizeof(path), "%.*s", STR_ARG(name));
	const char *leaf;
	int parent = open_parent(u, path, &leaf);
	if (parent < 0)
		return errno == ENOTDIR || errno == ELOOP ? bad(u, "below a file or link", name) : io_error(u);
	enum zip_result result = ZIP_OK;
	if (directory) {
		if (mkdirat(parent, leaf, 0755) < 0 ? errno != EEXIST : fchmodat(parent, leaf, 0755, 0) < 0)
			result = io_error(u);
	} else if (type == AE_IFLNK) {
		char to[1032];
		if (u->replace)
			unlinkat(parent, leaf, 0);
		if (target.n >= sizeof(to))
			result = bad(u, "a link that leads out", name);
		else if (snprintf(to, sizeof(to), "%.*s", STR_ARG(target)), symlinkat(to, parent, leaf) < 0)
			result = errno == EEXIST ? bad(u, "is there twice", name) : io_error(u);
	} else {
		result = make_file(u, ar, parent, leaf, archive_entry_perm(entry));
	}
	close(parent);
	return result;
}

enum zip_result zip_unpack(struct str data, int dirfd, int64_t max_bytes, bool replace, struct zip_facts *ret)
{
	memset(ret, 0, sizeof(*ret));
	struct unpacker u = {.root = dirfd, .replace = replace, .left_bytes = max_bytes, .facts = ret};
	if (data.n < 22 || !str_starts(data, S("PK")))
		return bad(&u, "not a zip file", STR_NONE);
	struct archive *ar = archive_read_new();
	archive_read_support_format_zip_seekable(ar);
	enum zip_result result = ZIP_OK;
	if (archive_read_open_memory(ar, data.p, data.n) != ARCHIVE_OK)
		result = bad(&u, "not a zip file", str_from(archive_error_string(ar)));
	while (result == ZIP_OK) {
		struct archive_entry *entry;
		int got = archive_read_next_header(ar, &entry);
		if (got == ARCHIVE_EOF)
			break;
		if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
			result = bad(&u, "damaged", str_from(archive_error_string(ar)));
		else if (++ret->entries > ZIP_MAX_ENTRIES)
			result = bad(&u, "too many entries", STR_NONE);
		else
			result = unpack_entry(&u, ar, entry);
	}
	archive_read_free(ar);
	map_done(&u.seen);
	return result == ZIP_OK && !ret->entries ? ZIP_EMPTY : result;
}
