/* Deployment packages: checking a zip file and unpacking it, whoever made it.
 *
 * Nothing in the archive is trusted: entries may neither leave the directory (absolute names, "..", links that point out), nor be
 * anything but files, directories and symbolic links, nor come twice, nor be encrypted, nor grow beyond the limit. Called on worker
 * threads by the code store and by the fuzz target; keeps no state. */
#pragma once
#include "base/arena.h"

enum zip_result {
	ZIP_OK,
	ZIP_BAD,       /* not a zip, damaged, or hostile */
	ZIP_EMPTY,     /* a zip without any entry */
	ZIP_TOO_LARGE, /* more than max_bytes once unpacked */
	ZIP_IO,        /* our disk: errno in ret->error */
};
struct zip_facts {
	int64_t unzipped_bytes;
	unsigned entries;
	int error;
	char why[120]; /* what was wrong, for the log of the role */
};
enum { ZIP_MAX_ENTRIES = 100000 };

/* Unpacks data into the directory dirfd (empty, or holding lower layers when replace is set: then later files win over earlier
 * ones). Files are made readable for all and writable by the owner only; set-id bits are dropped. dirfd < 0: only checks. */
enum zip_result zip_unpack(struct str data, int dirfd, int64_t max_bytes, bool replace, struct zip_facts *ret);
