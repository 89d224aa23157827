/* Power cuts and killed processes in the middle of work on volumes, over a disk that is a few arrays here: what was not synced may
 * be there or not, sector by sector, and of a directory's changes only the first ones. Whatever was acknowledged must be there
 * after every cut, nothing half-made may look whole, and doing again what the records ask for must end well. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the disk */

enum {
	SECTOR = 512,
	FILE_BYTES = 512 * 1024,
	SECTORS = FILE_BYTES / SECTOR,
	INODES = 96,
	NAME = 64,
	NAMES = 128,
	FDS = 16,
	CHANGES = 64,
	DIR = 100, /* the descriptor of the only directory */
};

struct inode {
	bool used;
	unsigned char now[FILE_BYTES], safe[FILE_BYTES];
	bool dirty[SECTORS];
	off_t size, safe_size;
};
struct name {
	char text[NAME];
	int inode;
};
struct names {
	struct name v[NAMES];
	int n;
};

static struct inode *inodes;
static struct names now, safe, changes[CHANGES]; /* the directory after each change since its last sync */
static int change_count;
static struct {
	int inode;
	off_t at;
} fds[FDS];
static int64_t cut_after; /* operations; negative: never */
static jmp_buf power;
static uint64_t random_state;

static unsigned below(unsigned n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % n;
}

/* Every change passes here, once it is made: the process may not live to see the answer. */
static void changed(void)
{
	if (cut_after >= 0 && cut_after-- == 0)
		longjmp(power, 1);
}

static struct name *find(struct names *in, const char *name)
{
	for (int i = 0; i < in->n; i++)
		if (strcmp(in->v[i].text, name) == 0)
			return &in->v[i];
	return NULL;
}

static void set_name(const char *name, int inode)
{
	struct name *n = find(&now, name);
	if (!n) {
		assert_true(now.n < NAMES);
		n = &now.v[now.n++];
		snprintf(n->text, NAME, "%s", name);
	}
	n->inode = inode;
}

static void unset_name(const char *name)
{
	*find(&now, name) = now.v[now.n - 1];
	now.n--;
}

static void directory_changed(void)
{
	assert_true(change_count < CHANGES);
	changes[change_count++] = now;
	changed();
}

static int refuse(int e)
{
	errno = e;
	return -1;
}

static int disk_openat(int dir, const char *name, int flags, ...)
{
	assert_int_equal(dir, DIR);
	struct name *n = find(&now, name);
	int fd = 0, inode = n ? n->inode : 0;
	if (n && flags & O_EXCL)
		return refuse(EEXIST);
	if (!n && !(flags & O_CREAT))
		return refuse(ENOENT);
	while (fds[fd].inode >= 0)
		assert_true(++fd < FDS);
	if (!n) {
		while (inodes[inode].used)
			assert_true(++inode < INODES);
		inodes[inode].used = true;
		set_name(name, inode);
		directory_changed();
	}
	fds[fd].inode = inode;
	fds[fd].at = 0;
	return fd;
}

static int disk_close(int fd)
{
	fds[fd].inode = -1;
	return 0;
}

static ssize_t disk_pread(int fd, void *to, size_t n, off_t at)
{
	struct inode *i = &inodes[fds[fd].inode];
	if (at >= i->size)
		return 0;
	if ((off_t)n > i->size - at)
		n = (size_t)(i->size - at);
	memcpy(to, i->now + at, n);
	return (ssize_t)n;
}

static ssize_t disk_read(int fd, void *to, size_t n)
{
	ssize_t k = disk_pread(fd, to, n, fds[fd].at);
	fds[fd].at += k;
	return k;
}

static ssize_t disk_pwrite(int fd, const void *from, size_t n, off_t at)
{
	struct inode *i = &inodes[fds[fd].inode];
	assert_true(at + (off_t)n <= FILE_BYTES);
	memcpy(i->now + at, from, n);
	for (off_t s = at / SECTOR; s <= (at + (off_t)n - 1) / SECTOR; s++)
		i->dirty[s] = true;
	if (at + (off_t)n > i->size)
		i->size = at + (off_t)n;
	changed();
	return (ssize_t)n;
}

static int disk_ftruncate(int fd, off_t size)
{
	struct inode *i = &inodes[fds[fd].inode];
	assert_true(size >= i->size && size <= FILE_BYTES);
	i->size = size;
	changed();
	return 0;
}

static int disk_fsync(int fd)
{
	if (fd == DIR) {
		safe = now;
		change_count = 0;
	} else {
		struct inode *i = &inodes[fds[fd].inode];
		for (int s = 0; s < SECTORS; s++)
			if (i->dirty[s])
				memcpy(i->safe + s * SECTOR, i->now + s * SECTOR, SECTOR);
		memset(i->dirty, 0, sizeof(i->dirty));
		i->safe_size = i->size;
	}
	changed();
	return 0;
}

static int disk_unlinkat(int dir, const char *name, int flags)
{
	assert_true(dir == DIR && flags == 0);
	if (!find(&now, name))
		return refuse(ENOENT);
	unset_name(name);
	directory_changed();
	return 0;
}

static int disk_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	assert_true(from_dir == DIR && to_dir == DIR);
	if (!find(&now, from))
		return refuse(ENOENT);
	if (flags & RENAME_NOREPLACE && find(&now, to))
		return refuse(EEXIST);
	int inode = find(&now, from)->inode;
	unset_name(from);
	set_name(to, inode);
	directory_changed();
	return 0;
}

static int disk_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return disk_renameat2(from_dir, from, to_dir, to, 0);
}

static int disk_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	assert_true(from_dir == DIR && to_dir == DIR && flags == 0);
	if (!find(&now, from))
		return refuse(ENOENT);
	if (find(&now, to))
		return refuse(EEXIST);
	set_name(to, find(&now, from)->inode);
	directory_changed();
	return 0;
}

static int disk_fstat(int fd, struct stat *ret)
{
	*ret = (struct stat){.st_mode = S_IFREG | 0600, .st_ino = (ino_t)fds[fd].inode + 1, .st_size = inodes[fds[fd].inode].size};
	return 0;
}

static int disk_fstatat(int dir, const char *name, struct stat *ret, int flags)
{
	(void)dir;
	(void)flags;
	struct name *n = find(&now, name);
	if (!n)
		return refuse(ENOENT);
	*ret = (struct stat){.st_mode = S_IFREG | 0600, .st_ino = (ino_t)n->inode + 1, .st_size = inodes[n->inode].size};
	return 0;
}

static off_t disk_lseek(int fd, off_t at, int whence)
{
	off_t size = inodes[fds[fd].inode].size;
	if (whence == SEEK_DATA && at >= size)
		return refuse(ENXIO);
	return fds[fd].at = whence == SEEK_HOLE ? size : at;
}

/* A few sectors at a time, or by hand. */
static ssize_t disk_copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t n, unsigned flags)
{
	unsigned char piece[64 * SECTOR];
	assert_true(!from_at && !to_at && !flags);
	if (below(3) == 0)
		return refuse(EXDEV);
	ssize_t k = disk_read(from, piece, n < sizeof(piece) ? n : sizeof(piece));
	off_t at = fds[to].at;
	fds[to].at += k;
	return k > 0 ? disk_pwrite(to, piece, (size_t)k, at) : k;
}

/* What a start after the cut finds. Names that were not synced are there up to a point in time, sectors in any mixture. */
static void cut_power(void)
{
	int kept = (int)below((unsigned)change_count + 1);
	if (kept)
		safe = changes[kept - 1];
	now = safe;
	change_count = 0;
	for (int k = 0; k < INODES; k++) {
		struct inode *i = &inodes[k];
		bool named = false;
		for (int n = 0; n < now.n; n++)
			named |= now.v[n].inode == k;
		if (!named) {
			if (i->used)
				memset(i, 0, sizeof(*i));
			continue;
		}
		if (i->size != i->safe_size && below(2))
			i->size = i->safe_size;
		for (int s = 0; s < SECTORS; s++)
			if (i->dirty[s] && (below(2) || s * SECTOR >= i->size))
				memcpy(i->now + s * SECTOR, i->safe + s * SECTOR, SECTOR);
		for (int s = 0; s < SECTORS; s++)
			if (i->dirty[s])
				memcpy(i->safe + s * SECTOR, i->now + s * SECTOR, SECTOR);
		memset(i->dirty, 0, sizeof(i->dirty));
		i->safe_size = i->size;
	}
}

#define openat disk_openat
#define close disk_close
#define pread disk_pread
#define read disk_read
#define pwrite disk_pwrite
#define ftruncate disk_ftruncate
#define fsync disk_fsync
#define unlinkat disk_unlinkat
#define renameat2 disk_renameat2
#define renameat disk_renameat
#define linkat disk_linkat
#define fstat disk_fstat
#define fstatat disk_fstatat
#define lseek disk_lseek
#define copy_file_range disk_copy_file_range
#include "engine/volume/volume.c"

/* A cut leaves in the middle of whatever is under way, and what that held goes with the test. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* --- what was acknowledged: a volume or a layer, what it stands on and what a guest wrote */

enum { DEVICES = 24, STAMPS = 120, STAMP_AT = (3 + L1_CLUSTERS) * CLUSTER };

struct device {
	char name[VOLUME_NAME_MAX];
	bool there, layer, imported;
	int under; /* -1: nothing */
	uint64_t size;
	unsigned stamps[STAMPS]; /* 0: none; the number of a write that must be found */
};
static struct device devices[DEVICES];
static unsigned stamp_count, unflushed; /* the last write, if the guest has not flushed it */

static int new_device(void)
{
	for (int i = 0; i < DEVICES; i++)
		if (!devices[i].name[0]) {
			snprintf(devices[i].name, sizeof(devices[i].name), "vol-%d", i);
			devices[i].under = -1;
			return i;
		}
	return -1;
}

static void guest_writes(int d, bool flush)
{
	unsigned char sector[SECTOR] = {0};
	unsigned slot = stamp_count++ % STAMPS, number = stamp_count;
	int fd = openat(DIR, devices[d].name, O_RDWR);
	memcpy(sector, &number, sizeof(number));
	assert_int_equal(pwrite(fd, sector, sizeof(sector), STAMP_AT + (off_t)slot * SECTOR), SECTOR);
	if (flush)
		fsync(fd);
	close(fd);
	devices[d].stamps[slot] = flush ? number : 0;
	unflushed = flush ? 0 : number;
}

static bool has_stamp(const char *name, unsigned slot, unsigned number)
{
	unsigned found = 0;
	int fd = openat(DIR, name, O_RDONLY);
	assert_true(fd >= 0);
	pread(fd, &found, sizeof(found), STAMP_AT + (off_t)slot * SECTOR);
	close(fd);
	return found == number;
}

static void source_byte_check(const char *name);

/* A file with a header has its tables too. */
static void check_tables(const char *name)
{
	unsigned char head[4], table[8], counts[2 * (3 + L1_CLUSTERS)];
	int fd = openat(DIR, name, O_RDONLY);
	if (pread(fd, head, sizeof(head), 0) == sizeof(head) && memcmp(head, magic, sizeof(magic)) == 0) {
		assert_int_equal(pread(fd, table, sizeof(table), CLUSTER), sizeof(table));
		assert_int_equal(get64(table), 2 * CLUSTER);
		assert_int_equal(pread(fd, counts, sizeof(counts), 2 * CLUSTER), sizeof(counts));
		for (size_t i = 0; i < sizeof(counts); i += 2)
			assert_true(counts[i] == 0 && counts[i + 1] == 1);
	}
	close(fd);
}

/* The device as it was acknowledged; extra: a layer that a freeze under way may have put under it. */
static void check(int d, const char *extra, uint64_t other_size)
{
	struct device *v = &devices[d];
	char names[VOLUME_CHAIN_MAX][VOLUME_NAME_MAX];
	uint64_t size, disk;
	int n = volume_chain(DIR, v->name, names), at = 0;
	if (n < 1)
		fail_msg("%s: its chain is %d", v->name, n);
	assert_int_equal(volume_stat(DIR, v->name, &size, &disk), 0);
	check_tables(v->name);
	if (size != v->size && size != other_size)
		fail_msg("%s has %lu bytes and not %lu", v->name, (unsigned long)size, (unsigned long)v->size);
	for (int walk = d; walk >= 0; walk = devices[walk].under, at++) {
		if (at == 1 && extra && n > 1 && strcmp(names[1], extra) == 0)
			at++;
		assert_true(at < n);
		assert_string_equal(names[at], devices[walk].name);
	}
	if (at == 1 && extra && n == 2 && strcmp(names[1], extra) == 0)
		at++;
	assert_int_equal(at, n);
	for (unsigned s = 0; s < STAMPS; s++) {
		bool found = !v->stamps[s];
		for (int k = 0; k < n && !found; k++)
			found = has_stamp(names[k], s, v->stamps[s]);
		if (!found)
			fail_msg("%s has lost what was written to it", v->name);
	}
	if (v->imported)
		source_byte_check(v->name);
}

static void check_all(int but)
{
	for (int d = 0; d < DEVICES; d++)
		if (devices[d].there && d != but)
			check(d, NULL, devices[d].size);
}

static unsigned char source[40 * SECTOR];

static void source_byte_check(const char *name)
{
	unsigned char found[sizeof(source)];
	int fd = openat(DIR, name, O_RDONLY);
	assert_int_equal(pread(fd, found, sizeof(found), 0), sizeof(found));
	close(fd);
	assert_memory_equal(found, source, sizeof(source));
}

/* --- what the records ask for, as aws/ec2/storage/storage.c and image_default.c do it, again and again until it is done */

enum verb { CREATE, IMPORT, FREEZE, RESIZE, REMOVE, VERBS };
struct task {
	enum verb verb;
	int device, under; /* freeze: under is the layer that it makes */
	uint64_t size;
	bool live; /* freeze: of a machine that runs, and goes over to the new file between the halves */
};
static unsigned live_write; /* what its guest wrote to the new file and flushed */

static int freeze_live(const char *name, const char *layer)
{
	unsigned number;
	int error = volume_freeze_begin(DIR, name, layer), fd = error ? -1 : volume_open_new(DIR, name);
	if (fd < 0)
		return error ? error : fd;
	number = stamp_count + 1;
	assert_int_equal(pwrite(fd, &number, sizeof(number), STAMP_AT + (off_t)(stamp_count++ % STAMPS) * SECTOR), sizeof(number));
	if (fsync(fd) == 0)
		live_write = number;
	close(fd);
	return volume_freeze_end(DIR, name);
}

static int perform(const struct task *t)
{
	const char *name = devices[t->device].name, *under = t->under < 0 ? NULL : devices[t->under].name;
	uint64_t size, disk;
	int fd, error;
	switch (t->verb) {
	case CREATE:
		error = volume_create(DIR, name, t->size, under);
		if (error == -EEXIST && (error = volume_delete(DIR, name)) == 0)
			error = volume_create(DIR, name, t->size, under);
		return error ? error : volume_settle(DIR, name);
	case IMPORT:
		if (volume_stat(DIR, name, &size, &disk) == 0)
			return fsync(DIR);
		fd = openat(DIR, "source", O_RDONLY);
		error = volume_import(DIR, name, fd, &size);
		close(fd);
		return error;
	case FREEZE:
		return t->live ? freeze_live(name, under) : volume_freeze(DIR, name, under);
	case RESIZE:
		return volume_resize(DIR, name, t->size);
	default:
		return volume_delete(DIR, name);
	}
}

/* Half done: as before, or as it will be, and nothing else. */
static void check_half_done(const struct task *t)
{
	struct device *d = &devices[t->device];
	uint64_t size, disk;
	if (t->verb == FREEZE || t->verb == RESIZE) {
		check(t->device, t->verb == FREEZE ? devices[t->under].name : NULL, t->verb == RESIZE ? t->size : d->size);
		return;
	}
	/* its record says that it is not made: whatever is there is made anew */
	if (t->verb == CREATE)
		return;
	int error = volume_stat(DIR, d->name, &size, &disk);
	if (error == -ENOENT)
		return;
	assert_int_equal(error, 0);
	assert_int_equal(size, t->verb == REMOVE ? d->size : t->size);
	if (t->verb == IMPORT)
		source_byte_check(d->name);
}

static void acknowledge(const struct task *t)
{
	struct device *d = &devices[t->device], *layer = t->under < 0 ? NULL : &devices[t->under];
	switch (t->verb) {
	case CREATE:
	case IMPORT:
		d->there = true;
		d->layer = d->imported = t->verb == IMPORT;
		d->under = t->under;
		d->size = t->size;
		if (layer)
			memcpy(d->stamps, layer->stamps, sizeof(d->stamps));
		break;
	case FREEZE:
		if (unflushed)
			d->stamps[(unflushed - 1) % STAMPS] = unflushed;
		layer->there = layer->layer = true;
		layer->under = d->under;
		layer->size = d->size;
		memcpy(layer->stamps, d->stamps, sizeof(layer->stamps));
		d->under = t->under;
		if (live_write)
			d->stamps[(live_write - 1) % STAMPS] = live_write;
		break;
	case RESIZE:
		d->size = t->size;
		break;
	default:
		memset(d, 0, sizeof(*d));
	}
}

static void end_process(void)
{
	cut_after = -1;
	for (int i = 0; i < FDS; i++)
		fds[i].inode = -1;
}

static void run_task(struct task *t)
{
	live_write = 0;
	volatile int cuts = (int)below(4);
	for (;;) {
		cut_after = cuts-- > 0 ? (int64_t)below(14) : -1;
		if (setjmp(power) == 0) {
			int error = perform(t);
			if (error)
				fail_msg("task %d on %s ends with %d", t->verb, devices[t->device].name, error);
			break;
		}
		end_process();
		t->live = false; /* the machine is gone, and what it began is completed without it */
		/* Or the process was killed, and the kernel still knows all. */
		if (below(2)) {
			unflushed = 0;
			cut_power();
			check_all(t->device);
			check_half_done(t);
		}
	}
	end_process();
}

static bool stood_on(int d)
{
	for (int i = 0; i < DEVICES; i++)
		if (devices[i].name[0] && devices[i].under == d)
			return true;
	return false;
}

static int any(bool layer)
{
	int from = (int)below(DEVICES);
	for (int i = 0; i < DEVICES; i++) {
		int d = (from + i) % DEVICES;
		if (devices[d].there && devices[d].layer == layer)
			return d;
	}
	return -1;
}

/* False: there is nothing to do it with. */
static bool choose(struct task *t)
{
	*t = (struct task){.verb = (enum verb)below(VERBS), .device = any(t->verb == REMOVE && below(2)), .under = -1};
	switch (t->verb) {
	case CREATE:
		t->under = below(3) ? any(true) : -1;
		t->size = (t->under < 0 ? sizeof(source) : devices[t->under].size) + below(4) * SECTOR;
		t->device = new_device();
		return t->device >= 0;
	case IMPORT:
		t->size = sizeof(source);
		t->device = new_device();
		return t->device >= 0;
	case FREEZE:
		if (t->device < 0 || (t->under = new_device()) < 0)
			return false;
		/* All that was written is in the snapshot, flushed by the guest or not. */
		guest_writes(t->device, false);
		t->live = below(2);
		return true;
	case RESIZE:
		t->size = t->device < 0 ? 0 : devices[t->device].size + (1 + below(9)) * SECTOR;
		return t->device >= 0;
	default:
		return t->device >= 0 && !stood_on(t->device);
	}
}

static void start_over(uint64_t seed)
{
	random_state = seed;
	memset(inodes, 0, INODES * sizeof(*inodes));
	memset(devices, 0, sizeof(devices));
	now.n = safe.n = change_count = 0;
	end_process();
	for (size_t i = 0; i < sizeof(source); i++)
		source[i] = (unsigned char)(1 + i / SECTOR);
	int fd = openat(DIR, "source", O_RDWR | O_CREAT, 0600);
	pwrite(fd, source, sizeof(source), 0);
	fsync(fd);
	fsync(DIR);
	close(fd);
}

static void cuts_at_every_point(void **state)
{
	(void)state;
	unsigned rounds = getenv("SIM_ROUNDS") ? (unsigned)atoi(getenv("SIM_ROUNDS")) : 1000;
	inodes = calloc(INODES, sizeof(*inodes));
	assert_non_null(inodes);
	for (uint64_t seed = 1; seed <= rounds; seed++) {
		start_over(seed);
		for (int step = 0; step < 16; step++) {
			struct task t;
			if (choose(&t)) {
				run_task(&t);
				acknowledge(&t);
			}
			if (below(2)) {
				cut_power();
				check_all(-1);
			}
			int d = any(false);
			if (d >= 0)
				guest_writes(d, true);
			if (below(2)) {
				cut_power();
				check_all(-1);
			}
		}
		check_all(-1);
	}
	free(inodes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(cuts_at_every_point)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
