#include "engine/oci/layer_path.h"

#include <errno.h>
#include <string.h>

enum { NAME_MAX_BYTES = 255 };
#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"
#define BOOKKEEPING ".wh..wh."

static size_t component(const char *p)
{
	return strcspn(p, "/");
}

static int classify(char *path, enum layer_kind *ret_kind)
{
	char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
	/* a directory of that name could hold anything: only last components have a meaning */
	for (const char *p = path; p < last; p += component(p) + 1)
		if (strncmp(p, WHITEOUT, strlen(WHITEOUT)) == 0)
			return -EINVAL;
	*ret_kind = LAYER_PLAIN;
	if (strncmp(last, WHITEOUT, strlen(WHITEOUT)) != 0)
		return 0;
	if (strcmp(last, OPAQUE) == 0) {
		*ret_kind = LAYER_OPAQUE;
		if (slash)
			*slash = 0;
		else
			strcpy(path, ".");
		return 0;
	}
	if (strncmp(last, BOOKKEEPING, strlen(BOOKKEEPING)) == 0) {
		*ret_kind = LAYER_IGNORED;
		return 0;
	}
	const char *hidden = last + strlen(WHITEOUT);
	if (!*hidden || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
		return -EINVAL;
	memmove(last, hidden, strlen(hidden) + 1);
	*ret_kind = LAYER_WHITEOUT;
	return 0;
}

int layer_path(const char *name, char ret[LAYER_PATH_MAX], enum layer_kind *ret_kind)
{
	char path[LAYER_PATH_MAX];
	enum layer_kind kind;
	size_t n = 0;
	if (!*name || strlen(name) >= LAYER_PATH_MAX)
		return -EINVAL;
	if (*name == '/')
		return -EPERM;
	for (const char *p = name; *p;) {
		size_t length = component(p);
		if (length == 2 && p[0] == '.' && p[1] == '.')
			return -EPERM;
		if (length > NAME_MAX_BYTES)
			return -EINVAL;
		if (length && !(length == 1 && p[0] == '.')) {
			if (n)
				path[n++] = '/';
			memcpy(path + n, p, length);
			n += length;
		}
		p += length;
		while (*p == '/')
			p++;
	}
	if (!n)
		path[n++] = '.';
	path[n] = 0;
	int error = classify(path, &kind);
	if (error)
		return error;
	memcpy(ret, path, strlen(path) + 1);
	*ret_kind = kind;
	return 0;
}

int layer_symlink(const char *path, const char *target)
{
	long depth = 0;
	if (!*target)
		return -EPERM;
	if (*target != '/')
		for (const char *p = path; (p = strchr(p, '/')); p++)
			depth++;
	for (const char *p = target; *p;) {
		size_t length = component(p);
		if (length == 2 && p[0] == '.' && p[1] == '.') {
			/* above an absolute path's root is the root */
			if (--depth < 0 && *target != '/')
				return -EPERM;
		} else if (length && !(length == 1 && p[0] == '.')) {
			depth++;
		}
		p += length;
		while (*p == '/')
			p++;
	}
	return 0;
}
