#include "unit.h"

#include "aws/lambda/zip.h"
#include "base/zip_read.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* A writer of zips, right or wrong: fields are changed afterwards by the tests that want a bad one. */
struct file {
	const char *name, *content;
	unsigned mode; /* 0: made under DOS */
	bool deflate, zip64;
};
struct made {
	unsigned char p[65536];
	size_t n, directory; /* where the central directory begins */
	size_t locals[16], entries[16], packed[16];
};

static void put(struct made *m, uint64_t v, unsigned bytes)
{
	for (; bytes; bytes--, v >>= 8)
		m->p[m->n++] = (unsigned char)v;
}

static void put_bytes(struct made *m, const void *p, size_t n)
{
	memcpy(m->p + m->n, p, n);
	m->n += n;
}

static size_t pack(struct made *m, const struct file *f)
{
	size_t n = strlen(f->content);
	if (!f->deflate) {
		put_bytes(m, f->content, n);
		return n;
	}
	z_stream s = {0};
	assert_int_equal(deflateInit2(&s, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	s.next_in = (Bytef *)(uintptr_t)f->content;
	s.avail_in = (uInt)n;
	s.next_out = m->p + m->n;
	s.avail_out = (uInt)(sizeof(m->p) - m->n);
	assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
	m->n += s.total_out;
	deflateEnd(&s);
	return s.total_out;
}

static struct made *make(const char *before, const struct file *files, unsigned count)
{
	struct made *m = calloc(1, sizeof(*m));
	assert_non_null(m);
	put_bytes(m, before, strlen(before));
	size_t base = m->n, sizes[16];
	for (unsigned i = 0; i < count; i++) {
		m->locals[i] = m->n;
		put(m, 0x04034b50, 4);
		put(m, 0, 22); /* readers go by the directory */
		put(m, strlen(files[i].name), 2);
		put(m, 0, 2);
		put_bytes(m, files[i].name, strlen(files[i].name));
		m->packed[i] = m->n;
		sizes[i] = pack(m, &files[i]);
	}
	m->directory = m->n;
	for (unsigned i = 0; i < count; i++) {
		const struct file *f = &files[i];
		size_t n = strlen(f->content);
		m->entries[i] = m->n;
		put(m, 0x02014b50, 4);
		put(m, f->mode ? 3 << 8 | 20 : 20, 2);
		put(m, 20, 2);
		put(m, 0, 2);
		put(m, f->deflate ? 8 : 0, 2);
		put(m, 0, 4);
		put(m, crc32(0, (const Bytef *)f->content, (uInt)n), 4);
		put(m, f->zip64 ? UINT32_MAX : sizes[i], 4);
		put(m, f->zip64 ? UINT32_MAX : n, 4);
		put(m, strlen(f->name), 2);
		put(m, f->zip64 ? 20 : 0, 2);
		put(m, 0, 2);
		put(m, 0, 4);
		put(m, (uint64_t)f->mode << 16, 4);
		put(m, m->locals[i] - base, 4);
		put_bytes(m, f->name, strlen(f->name));
		if (f->zip64) {
			put(m, 1, 2);
			put(m, 16, 2);
			put(m, n, 8);
			put(m, sizes[i], 8);
		}
	}
	size_t end = m->n;
	put(m, 0x06054b50, 4);
	put(m, 0, 4);
	put(m, count, 2);
	put(m, count, 2);
	put(m, end - m->directory, 4);
	put(m, m->directory - base, 4);
	put(m, 0, 2);
	return m;
}

static struct str bytes(const struct made *m)
{
	return str_of(m->p, m->n);
}

static enum zip_result check(const struct made *m, struct zip_facts *ret)
{
	return zip_unpack(bytes(m), -1, 1 << 20, false, ret);
}

#define ALL(files) (files), sizeof(files) / sizeof(*(files))

static void reads_entries(void **state)
{
	(void)state;
	char long_text[5000];
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = 0;
	const struct file files[] = {{"f.py", "pass\n", S_IFREG | 0755, false, false},
	                             {"lib/", "", S_IFDIR | 0755, false, false},
	                             {"lib/a.txt", long_text, 0, true, true},
	                             {"link", "lib/a.txt", S_IFLNK | 0777, false, false}};
	static const char *const before[] = {"", "#!/bin/sh\n"};
	for (unsigned k = 0; k < 2; k++) {
		struct made *m = make(before[k], ALL(files));
		struct zip_reader z;
		struct zip_entry e;
		assert_true(zip_open(&z, bytes(m)));
		static const enum zip_kind kinds[] = {ZIP_FILE, ZIP_DIRECTORY, ZIP_FILE, ZIP_LINK};
		static const unsigned modes[] = {0755, 0755, 0644, 0777};
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(zip_next(&z, &e), 1);
			assert_str(e.name, files[i].name);
			assert_int_equal(e.kind, kinds[i]);
			assert_int_equal(e.mode, modes[i]);
			assert_int_equal(e.size_bytes, strlen(files[i].content));
			struct zip_content c;
			char got[8192];
			size_t n = 0;
			ptrdiff_t part;
			assert_true(zip_content_open(&c, &e));
			while ((part = zip_content_read(&c, got + n, 999)) > 0)
				n += (size_t)part;
			assert_int_equal(part, 0);
			zip_content_close(&c);
			assert_str(str_of(got, n), files[i].content);
		}
		assert_int_equal(zip_next(&z, &e), 0);
		free(m);
	}
}

static void unpacks(void **state)
{
	(void)state;
	const struct file files[] = {{"f.py", "pass\n", S_IFREG | 0700, true, false},
	                             {"lib/a.txt", "a", 0, false, false},
	                             {"lib/b", "a.txt", S_IFLNK | 0777, false, false}};
	struct made *m = make("", ALL(files));
	char dir[] = "/tmp/lambda_zip.XXXXXX", text[8], command[64];
	assert_non_null(mkdtemp(dir));
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct zip_facts facts;
	assert_int_equal(zip_unpack(bytes(m), fd, 1 << 20, false, &facts), ZIP_OK);
	assert_int_equal(facts.entries, 3);
	assert_int_equal(facts.unzipped_bytes, 6);
	struct stat st;
	assert_int_equal(fstatat(fd, "f.py", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0744);
	int a = openat(fd, "lib/b", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(a, text, sizeof(text)), 1);
	close(a);
	assert_int_equal(zip_unpack(bytes(m), fd, 1 << 20, false, &facts), ZIP_BAD); /* is there already */
	assert_int_equal(zip_unpack(bytes(m), fd, 1 << 20, true, &facts), ZIP_OK);
	close(fd);
	free(m);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

static void refuses_hostile_entries(void **state)
{
	(void)state;
	static const struct file bad[] = {{"../f", "x", 0, false, false},
	                                  {"/etc/f", "x", 0, false, false},
	                                  {"a/../../f", "x", 0, false, false},
	                                  {"l", "/etc/passwd", S_IFLNK | 0777, false, false},
	                                  {"l", "../x", S_IFLNK | 0777, false, false},
	                                  {"d", "", S_IFCHR | 0666, false, false}};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct made *m = make("", &bad[i], 1);
		struct zip_facts facts;
		if (check(m, &facts) != ZIP_BAD)
			fail_msg("%s was taken", bad[i].name);
		free(m);
	}
	const struct file twice[] = {{"f", "x", 0, false, false}, {"f", "y", 0, false, false}};
	struct made *m = make("", ALL(twice));
	struct zip_facts facts;
	assert_int_equal(check(m, &facts), ZIP_BAD);
	free(m);
	m = make("", NULL, 0);
	assert_int_equal(check(m, &facts), ZIP_EMPTY);
	free(m);
}

/* One byte of a good zip is changed: at is relative to a part, xor what changes. */
static void refuses_damage(void **state)
{
	(void)state;
	const struct file files[] = {{"f.py", "pass pass pass pass pass pass pass\n", S_IFREG | 0644, true, false}};
	static const struct {
		enum { ENTRY, LOCAL, PACKED, END } part;
		unsigned at, xor;
		const char *what;
	} changes[] = {
	        {ENTRY, 0, 1, "signature of the entry"}, {ENTRY, 8, 1, "encrypted"},
	        {ENTRY, 10, 4, "unknown method"},        {ENTRY, 16, 1, "checksum"},
	        {ENTRY, 21, 0x7f, "packed size"},        {ENTRY, 24, 1, "size"},
	        {ENTRY, 24, 0x40, "larger size"},        {ENTRY, 29, 0x7f, "name size"},
	        {ENTRY, 31, 0x7f, "extra size"},         {ENTRY, 43, 0x7f, "local offset"},
	        {ENTRY, 45, 0xff, "far offset"},         {LOCAL, 0, 1, "signature of the content"},
	        {LOCAL, 29, 0x7f, "local extra size"},   {PACKED, 0, 6, "compressed data"},
	        {END, 0, 1, "signature of the end"},     {END, 13, 0x7f, "directory size"},
	        {END, 19, 0x7f, "directory offset"},     {END, 20, 1, "comment size"},
	};
	for (unsigned i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct made *m = make("", ALL(files));
		size_t parts[] = {m->entries[0], m->locals[0], m->packed[0], m->n - 22};
		struct zip_facts facts;
		assert_int_equal(check(m, &facts), ZIP_OK);
		m->p[parts[changes[i].part] + changes[i].at] ^= (unsigned char)changes[i].xor ;
		if (check(m, &facts) != ZIP_BAD)
			fail_msg("changed %s was taken", changes[i].what);
		free(m);
	}
	struct made *m = make("", ALL(files));
	struct zip_facts facts;
	for (size_t n = 0; n < m->n; n++)
		assert_int_equal(zip_unpack(str_of(m->p, n), -1, 1 << 20, false, &facts), ZIP_BAD);
	free(m);
}

static void holds_the_limit(void **state)
{
	(void)state;
	char zeros[20000];
	memset(zeros, '0', sizeof(zeros) - 1);
	zeros[sizeof(zeros) - 1] = 0;
	const struct file files[] = {{"a", zeros, 0, true, false}, {"b", zeros, 0, true, false}};
	struct made *m = make("", ALL(files));
	struct zip_facts facts;
	assert_int_equal(zip_unpack(bytes(m), -1, 2 * 19999, false, &facts), ZIP_OK);
	assert_int_equal(zip_unpack(bytes(m), -1, 2 * 19999 - 1, false, &facts), ZIP_TOO_LARGE);
	m->p[m->entries[0] + 24] = 1; /* a size that lies does not help */
	m->p[m->entries[0] + 25] = 0;
	assert_int_equal(zip_unpack(bytes(m), -1, 100, false, &facts), ZIP_BAD);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_entries),  cmocka_unit_test(unpacks),         cmocka_unit_test(refuses_hostile_entries),
	        cmocka_unit_test(refuses_damage), cmocka_unit_test(holds_the_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
