/* Which interpreters this machine has, by looking at files: nothing is run. Python and Ruby carry their version in their names,
 * Java in a `release` file, Node.js in the package database or in the header of its own documentation. */
#include "engine/cell/cell.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct found {
	struct cell_runtime *list;
	size_t n, max;
};

static void add(struct found *f, const char *family, const char *path, unsigned major, unsigned minor)
{
	if (f->n == f->max || access(path, X_OK) != 0 || strlen(path) >= sizeof(f->list->path))
		return;
	struct cell_runtime *r = &f->list[f->n++];
	*r = (struct cell_runtime){.family = family, .major = major, .minor = minor};
	memcpy(r->path, path, strlen(path) + 1);
}

/* "<prefix>3.11" -> 3, 11; false for anything else. */
static bool named_version(const char *name, const char *prefix, unsigned *ret_major, unsigned *ret_minor)
{
	size_t n = strlen(prefix);
	char *end;
	if (strncmp(name, prefix, n) != 0 || !isdigit((unsigned char)name[n]))
		return false;
	unsigned long major = strtoul(name + n, &end, 10);
	if (*end != '.' || !isdigit((unsigned char)end[1]))
		return false;
	unsigned long minor = strtoul(end + 1, &end, 10);
	if (*end)
		return false;
	*ret_major = (unsigned)major;
	*ret_minor = (unsigned)minor;
	return true;
}

static void scan_bin(struct found *f, const char *dir)
{
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		char path[300];
		unsigned major, minor;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (named_version(e->d_name, "python", &major, &minor))
			add(f, "python", path, major, minor);
		else if (named_version(e->d_name, "ruby", &major, &minor))
			add(f, "ruby", path, major, minor);
	}
	if (d)
		closedir(d);
}

/* The first "<key>" of file followed by a version number. */
static bool version_in_file(const char *file, const char *section, const char *key, unsigned *ret_major, unsigned *ret_minor)
{
	FILE *f = fopen(file, "re");
	if (!f)
		return false;
	char line[512];
	bool found = false, inside = !section;
	while (!found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (section && strncmp(line, "Package: ", 9) == 0)
			inside = strcmp(line + 9, section) == 0;
		if (!inside || strncmp(line, key, strlen(key)) != 0)
			continue;
		const char *p = line + strlen(key);
		/* Debian's epoch goes before a colon */
		const char *colon = strchr(p, ':');
		found = sscanf(colon ? colon + 1 : p, "%u.%u", ret_major, ret_minor) >= 1;
	}
	fclose(f);
	return found;
}

static void scan_java(struct found *f)
{
	DIR *d = opendir("/usr/lib/jvm");
	for (struct dirent *e; d && (e = readdir(d));) {
		char path[300];
		unsigned major = 0, minor = 0;
		/* the links beside the directories (default-java, java-1.17.0-...) name the same installations */
		if (e->d_name[0] == '.' || e->d_type != DT_DIR)
			continue;
		snprintf(path, sizeof(path), "/usr/lib/jvm/%s/release", e->d_name);
		if (!version_in_file(path, NULL, "JAVA_VERSION=\"", &major, &minor) || strlen(e->d_name) > 40)
			continue;
		snprintf(path, sizeof(path), "/usr/lib/jvm/%.40s/bin/java", e->d_name);
		add(f, "java", path, major, minor);
	}
	if (d)
		closedir(d);
}

size_t cell_find_runtimes(struct cell_runtime *ret_runtimes, size_t max)
{
	struct found f = {.list = ret_runtimes, .max = max};
	unsigned major = 0, minor = 0;
	scan_bin(&f, "/usr/bin");
	scan_bin(&f, "/usr/local/bin");
	if (version_in_file("/usr/include/node/node_version.h", NULL, "#define NODE_MAJOR_VERSION ", &major, &minor) ||
	    version_in_file("/var/lib/dpkg/status", "nodejs", "Version: ", &major, &minor))
		add(&f, "nodejs", access("/usr/bin/node", X_OK) == 0 ? "/usr/bin/node" : "/usr/bin/nodejs", major, minor);
	scan_java(&f);
	return f.n;
}
