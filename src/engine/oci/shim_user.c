/* Files of an image are somebody's: they are opened inside its root and read up to a limit. */
#include "engine/oci/shim_state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20, GROUPS_MAX = 64 };

static int open_inside(int root, const char *path, int flags)
{
	struct open_how how = {.flags = (unsigned long long)(flags | O_CLOEXEC),
	                       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

/* The whole file, NUL-terminated, the caller's; NULL: not there, or not plain. */
static char *read_file(int root, const char *path)
{
	int fd = open_inside(root, path, O_RDONLY | O_NONBLOCK);
	struct stat st;
	char *text = NULL;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (text = malloc(FILE_MAX + 1))) {
		size_t n = 0;
		for (ssize_t r; n < FILE_MAX && (r = read(fd, text + n, FILE_MAX - n)) > 0;)
			n += (size_t)r;
		text[n] = 0;
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static bool is_number(const char *s, uint32_t *ret)
{
	char *end;
	unsigned long v = strtoul(s, &end, 10);
	if (!*s || *end || *s < '0' || *s > '9' || v >= TASK_UIDS)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* Cuts the next line off *at, and it into at most `max` fields at colons. How many; -1: no line is left. */
static int next_line(char **at, char **fields, int max)
{
	char *line = *at;
	if (!line || !*line)
		return -1;
	char *end = strchr(line, '\n');
	*at = end ? end + 1 : NULL;
	if (end)
		*end = 0;
	int n = 0;
	for (char *p = line; p && n < max; n++) {
		fields[n] = p;
		p = strchr(p, ':');
		if (p)
			*p++ = 0;
	}
	return n;
}

struct who {
	uint32_t uid, gid;
	char name[256];
	bool has_gid;
};

static bool find_user(int root, const char *user, struct who *w)
{
	char *text = read_file(root, "etc/passwd"), *at = text, *f[7];
	uint32_t number = 0, uid, gid;
	bool numeric = is_number(user, &number), found = false;
	for (int n; !found && (n = next_line(&at, f, 7)) >= 0;) {
		if (n < 4 || !is_number(f[2], &uid) || !is_number(f[3], &gid) ||
		    !(numeric ? uid == number : strcmp(f[0], user) == 0))
			continue;
		*w = (struct who){.uid = uid, .gid = gid, .has_gid = true};
		snprintf(w->name, sizeof(w->name), "%s", f[0]);
		found = true;
	}
	free(text);
	if (!found && numeric)
		*w = (struct who){.uid = number};
	return found || numeric;
}

static bool find_group(int root, const char *group, uint32_t *ret_gid)
{
	char *text, *at, *f[4];
	bool found = is_number(group, ret_gid);
	if (found)
		return true;
	text = at = read_file(root, "etc/group");
	for (int n; !found && (n = next_line(&at, f, 4)) >= 0;)
		found = n >= 3 && strcmp(f[0], group) == 0 && is_number(f[2], ret_gid);
	free(text);
	return found;
}

static bool is_member(char *list, const char *name)
{
	for (char *save, *one = strtok_r(list, ",", &save); one; one = strtok_r(NULL, ",", &save))
		if (strcmp(one, name) == 0)
			return true;
	return false;
}

/* The groups that have the user as a member, when the caller named no group. */
static void add_groups(int root, const struct who *w, char *out, size_t cap)
{
	char *text = read_file(root, "etc/group"), *at = text, *f[4];
	size_t n = strlen(out);
	int count = 1;
	uint32_t gid;
	for (int fields; count < GROUPS_MAX && (fields = next_line(&at, f, 4)) >= 0;) {
		if (fields < 4 || !is_number(f[2], &gid) || gid == w->gid || !is_member(f[3], w->name))
			continue;
		if (n + 16 < cap) {
			n += (size_t)snprintf(out + n, cap - n, ",%u", gid);
			count++;
		}
	}
	free(text);
}

int user_json(int root, const char *user, char *ret, size_t cap)
{
	struct who w = {0};
	char name[256], list[GROUPS_MAX * 16] = "";
	snprintf(name, sizeof(name), "%s", user[0] ? user : "0");
	char *colon = strchr(name, ':');
	if (colon)
		*colon++ = 0;
	if (!find_user(root, name[0] ? name : "0", &w))
		return -ENOENT;
	if (colon && *colon && !find_group(root, colon, &w.gid))
		return -ENOENT;
	if (!colon && w.name[0])
		add_groups(root, &w, list, sizeof(list));
	int n = snprintf(ret, cap, "{\"uid\":%u,\"gid\":%u,\"additionalGids\":[%u%s]}", w.uid, w.gid, w.gid, list);
	return n > 0 && (size_t)n < cap ? 0 : -ENOSPC;
}

static int copy(int from, off_t at, size_t bytes, int to)
{
	char room[65536];
	while (bytes) {
		ssize_t n = pread(from, room, bytes < sizeof(room) ? bytes : sizeof(room), at);
		if (n <= 0 || write(to, room, (size_t)n) != n)
			return -EIO;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

int user_insert(int from, off_t offset, size_t bytes, size_t user_at, const char *user, const char *path)
{
	int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	int error = copy(from, offset, user_at, to);
	if (!error && write(to, user, strlen(user)) != (ssize_t)strlen(user))
		error = -EIO;
	if (!error)
		error = copy(from, offset + (off_t)user_at, bytes - user_at, to);
	close(to);
	return error;
}

int user_make_directory(int root, const char *path)
{
	char part[1024];
	int error = 0;
	for (size_t n = 1; path[n - 1] && !error; n++) {
		if (path[n] && path[n] != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		int fd = open_inside(root, part, O_PATH | O_DIRECTORY);
		if (fd >= 0) {
			close(fd);
			continue;
		}
		if (fd != -ENOENT)
			return fd;
		/* its parent was just found or made */
		char *slash = strrchr(part, '/'), *name = slash ? slash + 1 : part;
		if (slash)
			*slash = 0;
		int parent = open_inside(root, slash && part[0] ? part : ".", O_PATH | O_DIRECTORY);
		if (parent < 0)
			return parent;
		error = *name && mkdirat(parent, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
		close(parent);
	}
	return error;
}
