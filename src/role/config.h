/* The configuration file: `key = value` lines, `[section]` headings, # comments. Read once at start by whoever needs a part of it.
 *
 *	listen = 127.0.0.1:4566
 *	[credentials]
 *	AKIDEXAMPLE = secret, 123456789012 */
#pragma once
#include "base/arena.h"

struct config_entry {
	struct str section, key, value;
};
struct config {
	struct config_entry *entries;
	size_t count;
};
/* Reads the file (at most 1 MiB). False: *ret_why is one line with the file's name and line number. Memory is the arena's. */
bool config_read(struct arena *a, const char *path, struct config *ret, struct str *ret_why);
/* Another file that the configuration names, whole: at most 1 MiB. */
bool config_read_file(struct arena *a, const char *path, struct str *ret, struct str *ret_why);
/* The last value of a key, or absent. */
struct str config_get(const struct config *c, const char *section, const char *key);
