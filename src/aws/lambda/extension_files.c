/* What lies in /opt/extensions, as a cell will see it. A function's layers are merged into one tree on the disk; an image's lie
 * apart, and what is seen of them is what overlayfs would show: a higher layer's entry hides a lower one's, a device 0/0 hides it
 * without being one, and an opaque directory hides all below it. */
#include "aws/lambda/extension.h"

#include "aws/lambda/image.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define DIRECTORY "opt/extensions"
#define OPAQUE "user.overlay.opaque"

enum { SEEN_MAX = 256 }; /* entries that are looked at; more than a start could use */

static bool is_opaque(const char *path)
{
	char value;
	return lgetxattr(path, OPAQUE, &value, 1) == 1 && value == 'y';
}

/* The directory of one layer, and whether layers below it count. */
enum found { FOUND_NOTHING = 1, FOUND_DIRECTORY = 2, FOUND_END = 4 };
static unsigned find(const char *root, const char *directory, char path[static 5000])
{
	unsigned found = FOUND_NOTHING;
	size_t done = 0, length = strlen(directory);
	while (done < length) {
		struct stat st;
		done += strcspn(directory + done, "/");
		snprintf(path, 5000, "%s/%.*s", root, (int)done, directory);
		if (lstat(path, &st) < 0)
			return FOUND_NOTHING | (found & FOUND_END);
		if (!S_ISDIR(st.st_mode))
			return FOUND_NOTHING | FOUND_END;
		if (is_opaque(path))
			found |= FOUND_END;
		done++;
	}
	return FOUND_DIRECTORY | (found & FOUND_END);
}

static bool is_in(const struct str_list *list, struct str name)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i], name))
			return true;
	return false;
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void take(const char *path, struct arena *a, struct str_list *seen, struct str_list *ret)
{
	DIR *d = opendir(path);
	for (struct dirent *entry; d && seen->n < SEEN_MAX && (entry = readdir(d));) {
		char full[5300];
		struct stat st;
		struct str name = str_from(entry->d_name);
		if (str_is(name, ".") || str_is(name, "..") || is_in(seen, name))
			continue;
		*LIST_ADD(a, seen) = arena_dup(a, name);
		snprintf(full, sizeof(full), "%s/%s", path, entry->d_name);
		if (lstat(full, &st) == 0 && (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)))
			*LIST_ADD(a, ret) = seen->v[seen->n - 1];
	}
	if (d)
		closedir(d);
}

void extension_files_of(const char *const *roots, size_t count, const char *directory, struct arena *a, struct str_list *ret)
{
	struct str_list seen = {0};
	*ret = (struct str_list){0};
	for (size_t i = 0; i < count; i++) {
		char path[5000];
		unsigned found = find(roots[i], directory, path);
		if (found & FOUND_DIRECTORY)
			take(path, a, &seen, ret);
		if (found & FOUND_END)
			break;
	}
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
}

void extension_files(const struct environment *e, struct arena *a, struct str_list *ret)
{
	*ret = (struct str_list){0};
	struct str data = str_from(e->lambda->cloud->data_dir);
	if (!e->version->image) {
		if (!str_set(e->opt_dir) || str_empty(e->opt_dir))
			return;
		const char *root = ARENA_CAT(a, data, S("/code/"), e->opt_dir).p;
		extension_files_of(&root, 1, "extensions", a, ret);
		return;
	}
	size_t n;
	const char *const *layers = image_layers(e->version->image, &n);
	const char **roots = arena_array(a, n + 1, sizeof(*roots));
	for (size_t i = 0; i < n; i++)
		roots[i] = ARENA_CAT(a, data, S("/layers/"), str_from(layers[n - 1 - i]), S("/fs")).p;
	extension_files_of(roots, n, DIRECTORY, a, ret);
}
