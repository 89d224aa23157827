/* The unpacking goes from directory to directory by descriptors and follows no link, so even a link that got past the checks could
 * not lead a later entry outside. */
#include "aws/lambda/zip.h"

#include "base/map.h"
#include "base/zip_read.h"

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

static enum zip_result copy_data(struct unpacker *u, const struct zip_entry *entry, int fd)
{
	char piece[65536];
	struct zip_content content;
	enum zip_result result = ZIP_OK;
	ptrdiff_t n = 0;
	if (!zip_content_open(&content, entry))
		return bad(u, content.why, entry->name);
	while (result == ZIP_OK && (n = zip_content_read(&content, piece, sizeof(piece))) > 0) {
		u->facts->unzipped_bytes += n;
		u->left_bytes -= n;
		if (u->left_bytes < 0)
			result = ZIP_TOO_LARGE;
		for (ptrdiff_t done = 0; result == ZIP_OK && fd >= 0 && done < n;) {
			ssize_t wrote = write(fd, piece + done, (size_t)(n - done));
			if (wrote < 0)
				result = io_error(u);
			else
				done += wrote;
		}
	}
	if (n < 0)
		result = bad(u, content.why, entry->name);
	zip_content_close(&content);
	return result;
}

/* A link's target is its content. */
static bool read_target(const struct zip_entry *entry, char *to, size_t room)
{
	struct zip_content content;
	size_t n = 0;
	ptrdiff_t got = -1;
	if (entry->size_bytes < room && zip_content_open(&content, entry)) {
		while ((got = zip_content_read(&content, to + n, room - 1 - n)) > 0)
			n += (size_t)got;
		zip_content_close(&content);
	}
	to[n] = 0;
	return got == 0 && !memchr(to, 0, n);
}

static enum zip_result make_file(struct unpacker *u, const struct zip_entry *entry, int parent, const char *leaf)
{
	/* Zips that Python's writestr() or DOS made carry modes that nobody else could read by; the function runs as another user.
	 */
	mode_t mode = (entry->mode & 0111) | 0644;
	if (u->replace)
		unlinkat(parent, leaf, 0);
	int fd = openat(parent, leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return errno == EEXIST || errno == ENOTDIR || errno == EISDIR ? bad(u, "is there twice", str_from(leaf))
		                                                              : io_error(u);
	fchmod(fd, mode);
	enum zip_result result = copy_data(u, entry, fd);
	close(fd);
	return result;
}

static enum zip_result unpack_entry(struct unpacker *u, const struct zip_entry *entry)
{
	struct str name = entry->name;
	if (!clean_name(&name))
		return str_is(entry->name, "./") || str_is(entry->name, ".") ? ZIP_OK : bad(u, "bad name", entry->name);
	if (entry->encrypted)
		return bad(u, "encrypted", name);
	bool directory = entry->kind == ZIP_DIRECTORY, link = entry->kind == ZIP_LINK;
	if (entry->kind == ZIP_OTHER)
		return bad(u, "neither file, directory nor link", name);
	void *before = map_put(&u->seen, name, directory ? (void *)1 : (void *)2);
	if (before && !(directory && before == (void *)1))
		return bad(u, "is there twice", name);
	char target[1032];
	if (link && (!read_target(entry, target, sizeof(target)) || link_leaves(name, str_from(target))))
		return bad(u, "a link that leads out", name);
	if (!directory && !link && entry->size_bytes > (uint64_t)u->left_bytes)
		return ZIP_TOO_LARGE;
	if (u->root < 0)
		return directory || link ? ZIP_OK : copy_data(u, entry, -1);

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
	} else if (link) {
		if (u->replace)
			unlinkat(parent, leaf, 0);
		if (symlinkat(target, parent, leaf) < 0)
			result = errno == EEXIST ? bad(u, "is there twice", name) : io_error(u);
	} else {
		result = make_file(u, entry, parent, leaf);
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
	struct zip_reader reader;
	struct zip_entry entry;
	enum zip_result result = zip_open(&reader, data) ? ZIP_OK : bad(&u, reader.why, STR_NONE);
	while (result == ZIP_OK) {
		int got = zip_next(&reader, &entry);
		if (got == 0)
			break;
		if (got < 0)
			result = bad(&u, reader.why, STR_NONE);
		else if (++ret->entries > ZIP_MAX_ENTRIES)
			result = bad(&u, "too many entries", STR_NONE);
		else
			result = unpack_entry(&u, &entry);
	}
	map_done(&u.seen);
	return result == ZIP_OK && !ret->entries ? ZIP_EMPTY : result;
}
