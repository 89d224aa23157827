#include "role/config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20 };

bool config_read_file(struct arena *a, const char *path, struct str *ret, struct str *ret_why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *p = arena_alloc(a, FILE_MAX + 1);
	ssize_t n = 0, k = 0;
	while (fd >= 0 && n <= FILE_MAX && (k = read(fd, p + n, (size_t)(FILE_MAX + 1 - n))) > 0)
		n += k;
	int e = errno;
	if (fd >= 0)
		close(fd);
	if (fd < 0 || k < 0) {
		*ret_why = arena_printf(a, "%s: %s", path, strerror(e));
		return false;
	}
	if (n > FILE_MAX) {
		*ret_why = arena_printf(a, "%s: larger than 1 MiB", path);
		return false;
	}
	*ret = str_of(p, (size_t)n);
	return true;
}

bool config_read(struct arena *a, const char *path, struct config *ret, struct str *ret_why)
{
	struct str text, section = S("");
	if (!config_read_file(a, path, &text, ret_why))
		return false;
	size_t lines = 1;
	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	struct config c = {.entries = arena_array(a, lines, sizeof(*c.entries))};
	for (unsigned number = 1; str_set(text); number++) {
		struct str line = str_trim(str_cut(&text, '\n'));
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (line.p[0] == '[' && line.p[line.n - 1] == ']') {
			section = str_trim(str_sub(line, 1, line.n - 2));
			continue;
		}
		struct str value = line, key = str_trim(str_cut(&value, '='));
		if (!str_set(value) || key.n == 0) {
			*ret_why = arena_printf(a, "%s:%u: expected \"key = value\" or \"[section]\"", path, number);
			return false;
		}
		c.entries[c.count++] = (struct config_entry){.section = section, .key = key, .value = str_trim(value)};
	}
	*ret = c;
	return true;
}

struct str config_get(const struct config *c, const char *section, const char *key)
{
	for (size_t i = c->count; i-- > 0;)
		if (str_is(c->entries[i].section, section) && str_is(c->entries[i].key, key))
			return c->entries[i].value;
	return STR_NONE;
}
