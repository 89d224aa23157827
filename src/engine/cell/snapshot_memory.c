/* Memory: what each mapping is, and those of its pages that are not what the mapping brings by itself. Pages of zeros are left out.
 * A mapping that a library has marked to be wiped in a forked child (MADV_WIPEONFORK) is kept empty: such a library looks there
 * whether its random state is a copy. */
#include "engine/cell/snapshot_state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGEMAP_PIECE = 8192, PIECE_PAGES = SNAP_PIECE / SNAP_PAGE };
#define PAGE_HELD (UINT64_C(3) << 62) /* present or swapped */
#define PAGE_OF_FILE (UINT64_C(1) << 61)

/* One mapping of /proc/PID/smaps. */
struct seen {
	uint64_t start, end, offset, inode;
	char permissions[8];
	char *name;
	uint64_t held_kb;
	bool wiped;
};

static bool all_zero(const unsigned char *p)
{
	return !p[0] && !memcmp(p, p + 1, SNAP_PAGE - 1);
}

static int add_run(struct taking *t, struct snap_map *m, uint64_t start, const unsigned char *p, size_t bytes)
{
	struct snap_run run = {.start = start, .bytes = bytes};
	int error = taking_write(t, p, bytes, &run.file);
	if (error)
		return error;
	/* one that follows the last in memory is one with it: they lie side by side in the file, too */
	struct snap_run *last = m->runs ? (struct snap_run *)(void *)(t->runs.p + t->runs.n) - 1 : NULL;
	if (last && last->start + last->bytes == start && last->file + last->bytes == run.file) {
		last->bytes += bytes;
		return 0;
	}
	buf_add(&t->runs, &run, sizeof(run));
	m->runs++;
	return 0;
}

/* n pages from start on, all of them wanted. */
static int copy_pages(struct taking *t, struct snap_map *m, uint64_t start, size_t n)
{
	size_t bytes = n * SNAP_PAGE, from = 0;
	if (pread(t->memory, t->piece, bytes, (off_t)start) != (ssize_t)bytes)
		return taking_refuse(t, -EIO, "its memory at %#llx cannot be read", (unsigned long long)start);
	bool keep_zeros = m->kind == SNAP_MAP_FILE;
	for (size_t i = 0; i <= n; i++) {
		if (i < n && (keep_zeros || !all_zero(t->piece + i * SNAP_PAGE)))
			continue;
		if (i > from) {
			int error = add_run(t, m, start + from * SNAP_PAGE, t->piece + from * SNAP_PAGE, (i - from) * SNAP_PAGE);
			if (error)
				return error;
		}
		from = i + 1;
	}
	return 0;
}

static int copy_contents(struct taking *t, struct snap_map *m, int pagemap, bool whole)
{
	uint64_t *entries = malloc(PAGEMAP_PIECE * sizeof(*entries));
	int error = entries ? 0 : -ENOMEM;
	m->first_run = t->runs.n / sizeof(struct snap_run);
	for (uint64_t at = m->start; at < m->end && !error;) {
		uint64_t pages = (m->end - at) / SNAP_PAGE;
		size_t n = pages < PAGEMAP_PIECE ? (size_t)pages : PAGEMAP_PIECE;
		if (pread(pagemap, entries, n * 8, (off_t)(at / SNAP_PAGE * 8)) != (ssize_t)(n * 8))
			error = taking_refuse(t, -EIO, "its page map cannot be read");
		size_t from = 0, count = 0;
		for (size_t i = 0; i <= n && !error; i++) {
			bool held =
			        i < n &&
			        (whole || (entries[i] & PAGE_HELD && (m->kind != SNAP_MAP_FILE || !(entries[i] & PAGE_OF_FILE))));
			if (held && count < PIECE_PAGES) {
				from = count++ ? from : i;
				continue;
			}
			if (count)
				error = copy_pages(t, m, at + from * SNAP_PAGE, count);
			from = i;
			count = held;
		}
		at += n * SNAP_PAGE;
	}
	free(entries);
	return error;
}

/* The file as the process would open it again. */
static int find_file(struct taking *t, struct snap_map *m, const struct seen *s)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	int fd = (int)syscall(SYS_openat2, t->root, s->name, &how, sizeof(how));
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return taking_refuse(t, -ENOENT, "%.100s, which it has mapped, is not there any more", s->name);
	close(fd);
	m->device = st.st_dev;
	m->inode = st.st_ino;
	m->size = (uint64_t)st.st_size;
	bool copy = t->job->tmp && !strncmp(s->name, "/tmp/", 5);
	m->changed_ns = copy ? 0 : (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	m->path_at = taking_text(t, s->name);
	m->offset = s->offset;
	return 0;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n >= m && !strcmp(s + n - m, end);
}

static int add_map(struct taking *t, const struct seen *s, struct snap_map *m, int pagemap)
{
	bool shared = s->permissions[3] == 's', deleted = ends_with(s->name, " (deleted)");
	bool file = s->name[0] == '/' && !deleted;
	int error = 0;
	if (s->start < SNAP_END && s->end > SNAP_STUB)
		return taking_refuse(t, -ENOTSUP, "it has memory where the restorer lives");
	if (!strncmp(s->name, "/SYSV", 5) || !strncmp(s->name, "anon_inode:", 11) || !strncmp(s->name, "/dev/", 5))
		if (!(deleted && !strncmp(s->name, "/dev/zero", 9)))
			return taking_refuse(t, -ENOTSUP, "it has mapped %.100s", s->name);
	m->start = s->start;
	m->end = s->end;
	m->protection = (s->permissions[0] == 'r' ? PROT_READ : 0u) | (s->permissions[1] == 'w' ? PROT_WRITE : 0u) |
	                (s->permissions[2] == 'x' ? PROT_EXEC : 0u);
	m->flags |= shared ? MAP_SHARED : MAP_PRIVATE;
	if (file) {
		m->kind = SNAP_MAP_FILE;
		error = find_file(t, m, s);
		m->writable = m->writable && shared;
		if (shared)
			m->runs = 0;
	} else {
		m->kind = shared ? SNAP_MAP_SHARED : SNAP_MAP_ANONYMOUS;
		m->flags |= MAP_ANONYMOUS | MAP_NORESERVE;
		m->writable = 0;
	}
	bool empty = s->wiped || (file && shared) || (!s->held_kb && !(shared || deleted));
	if (!error && !empty)
		error = copy_contents(t, m, pagemap, shared || deleted);
	if (!error)
		buf_add(&t->maps, m, sizeof(*m));
	return error;
}

static int add_special(struct taking *t, const struct seen *s)
{
	if (t->head.specials == SNAP_SPECIALS)
		return taking_refuse(t, -ENOTSUP, "this kernel has more pages of its own than are known");
	t->head.special[t->head.specials++] = (struct snap_special){s->start, s->end};
	return 0;
}

static void read_flags(const char *flags, struct seen *s, struct snap_map *m)
{
	static const struct {
		char name[3];
		int advice;
	} known[] = {{"dc", MADV_DONTFORK},
	             {"wf", MADV_WIPEONFORK},
	             {"hg", MADV_HUGEPAGE},
	             {"nh", MADV_NOHUGEPAGE},
	             {"dd", MADV_DONTDUMP}};
	for (const char *p = flags; *p && *p != '\n';) {
		p += strspn(p, " ");
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (!strncmp(p, known[i].name, 2))
				m->advice |= 1u << known[i].advice;
		if (!strncmp(p, "gd", 2))
			m->flags |= MAP_GROWSDOWN;
		if (!strncmp(p, "mw", 2))
			m->writable = 1;
		p += strcspn(p, " \n");
	}
	s->wiped = m->advice >> MADV_WIPEONFORK & 1;
}

static int add_seen(struct taking *t, const struct seen *s, struct snap_map *m, int pagemap)
{
	if (!strcmp(s->name, "[vsyscall]"))
		return 0;
	if (!strncmp(s->name, "[vvar", 5) || !strcmp(s->name, "[vdso]"))
		return add_special(t, s);
	return add_map(t, s, m, pagemap);
}

static bool shared_twice(const struct taking *t)
{
	const struct snap_map *maps = (const struct snap_map *)(const void *)t->maps.p;
	size_t n = t->maps.n / sizeof(*maps);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (maps[i].kind == SNAP_MAP_SHARED && maps[k].kind == SNAP_MAP_SHARED && maps[i].inode == maps[k].inode)
				return true;
	return false;
}

int taking_memory(struct taking *t)
{
	char *smaps = taking_read(t, "smaps", NULL);
	int pagemap = openat(t->proc, "pagemap", O_RDONLY | O_CLOEXEC), error = 0;
	if (!smaps || pagemap < 0)
		error = taking_refuse(t, -EIO, "its mappings cannot be read");
	struct seen s = {0};
	struct snap_map m = {0};
	for (char *line = smaps, *next; line && *line && !error; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		unsigned long long start, end, offset, inode, kb;
		int at = 0;
		if (sscanf(line, "%llx-%llx %7s %llx %*s %llu %n", &start, &end, s.permissions, &offset, &inode, &at) >= 5) {
			m = (struct snap_map){.inode = inode};
			s.start = start;
			s.end = end;
			s.offset = offset;
			s.inode = inode;
			s.name = line + at;
			s.held_kb = 0;
		} else if (sscanf(line, "Rss: %llu", &kb) == 1 || sscanf(line, "Swap: %llu", &kb) == 1) {
			s.held_kb += kb;
		} else if (!strncmp(line, "VmFlags:", 8)) {
			read_flags(line + 8, &s, &m);
			error = add_seen(t, &s, &m, pagemap);
		}
		if (!next)
			break;
	}
	free(smaps);
	if (pagemap >= 0)
		close(pagemap);
	if (!error && shared_twice(t))
		error = taking_refuse(t, -ENOTSUP, "it has mapped the same shared memory twice");
	return error;
}
