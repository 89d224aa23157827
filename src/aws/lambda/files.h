/* Small file work of the code store: whole trees and whole files, safe to call on worker threads. Results are 0 or negative errno.
 */
#pragma once
#include "base/str.h"

/* Makes the directory and those above it. */
int files_make_dirs(const char *path);
/* Removes a file or a whole tree without following links; no error when it is not there. */
int files_remove_tree(const char *path);
/* Writes a new file beside its final place, syncs it, renames it and syncs the directory. */
int files_write_durably(const char *path, const char *temporary, struct str data);
/* Maps a whole file for reading; give it back with files_unmap(). */
int files_map(const char *path, struct str *ret);
void files_unmap(struct str data);
/* All of fd's bytes [offset, offset + n) into a malloc'ed buffer. */
int files_read(int fd, uint64_t offset, size_t n, char **ret);
