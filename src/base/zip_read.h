/* Reading zip files that lie in memory: their entries in the order of the central directory, and the content of one.
 *
 * Our own, over zlib alone: a general archive library would bring XML, Unicode tables and five more compressions into every role,
 * three times its start-up time, and all of it in front of bytes that strangers send. Stored and deflated entries and zip64 are
 * read; encrypted ones are told as such. Called on worker threads by those who take packages (functions, source bundles); results
 * point into the file's bytes. */
#pragma once
#include "base/str.h"

struct zip_reader {
	struct str data;
	size_t at, end;  /* of the central directory, what is left of it */
	uint64_t base;   /* where offset 0 of the zip lies: bytes may come before it */
	const char *why; /* of a failure */
};

enum zip_kind { ZIP_FILE, ZIP_DIRECTORY, ZIP_LINK, ZIP_OTHER };
struct zip_entry {
	struct str name;
	enum zip_kind kind;
	unsigned mode; /* permission bits; 0644 where the zip was made without any */
	bool encrypted;
	unsigned method;
	uint32_t crc;
	uint64_t size_bytes; /* as the directory claims */
	struct str packed;
};

/* False: no zip file, z->why says what is wrong. */
bool zip_open(struct zip_reader *z, struct str data);
/* 1: the next entry, 0: there is none any more, -1: damaged, z->why says how. */
int zip_next(struct zip_reader *z, struct zip_entry *ret);

struct zip_content {
	const struct zip_entry *entry;
	void *inflate;
	size_t at; /* bytes of packed used */
	uint64_t out_bytes;
	uint32_t crc;
	const char *why;
};

/* Begins to read the content of an entry, which must outlive it. False: it cannot be read, c->why says why. */
bool zip_content_open(struct zip_content *c, const struct zip_entry *e);
/* Up to n bytes. 0 at the end, once length and checksum are what the directory says; -1: damaged, c->why says how. Never more bytes
 * than the directory claims. */
ptrdiff_t zip_content_read(struct zip_content *c, void *to, size_t n);
void zip_content_close(struct zip_content *c);
