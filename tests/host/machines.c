/* Machines for real: a guest with a system of our own (machine_guest.c) under QEMU, its disks, its ends, and what is left of it.
 * Run by machines.py. */
#include "world.h"

#include "../unit/unit.h"
#include "engine/vm/machine.h"
#include "engine/volume/volume.h"
#include "io/work.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BOOT_US = 60 * 1000000, SOON_US = 20 * 1000000 };
#define MIB (1ull << 20)

static struct world world;
static struct work *work;
static struct machines *machines;

static struct {
	bool started, ended, disk, down, found, keep;
	enum machine_end how;
	int error, disk_error;
	struct machine *adopted;
} heard;

static void on_started(void *ctx, struct machine *m)
{
	(void)ctx;
	(void)m;
	heard.started = true;
}

static void on_ended(void *ctx, struct machine *m, enum machine_end how, int error)
{
	(void)ctx;
	(void)m;
	heard.ended = true;
	heard.how = how;
	heard.error = error;
}

static void on_disk(void *ctx, struct machine *m, const char *volume, int error)
{
	(void)ctx;
	(void)m;
	(void)volume;
	heard.disk = true;
	heard.disk_error = error;
}

static void on_down(void *ctx, struct machine *m, int error)
{
	(void)ctx;
	(void)m;
	heard.down = true;
	heard.error = error;
}

static void *on_found(void *ctx, struct machine *m, const char *id)
{
	(void)id;
	heard.found = true;
	heard.adopted = m;
	return heard.keep ? ctx : NULL;
}

static void on_settled(void *ctx)
{
	(void)ctx;
}

static const struct machine_events events = {
        .started = on_started, .ended = on_ended, .settled = on_settled, .disk = on_disk, .down = on_down};

static void open_machines(void)
{
	bool never = false;
	machines = machines_new(world.loop, work, world.cells, world.dir, &events, on_found, &world);
	for (int i = 0; i < 1000 && !machines_facts(machines)->known; i++)
		world_wait(&world, &never, 10000);
	assert_true(machines_facts(machines)->works);
}

static int set_up(void **state)
{
	(void)state;
	world_open(&world, NULL);
	work = work_new(world.loop, 2);
	open_machines();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	machines_free(machines);
	work_free(work);
	world_close(&world);
	return 0;
}

static void make_volume(const char *name, uint64_t bytes, const char *word)
{
	char path[128];
	uint64_t size;
	snprintf(path, sizeof(path), "%s/raw", world.dir);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0 && pwrite(fd, word, strlen(word), 0) == (ssize_t)strlen(word));
	char layer[VOLUME_NAME_MAX];
	snprintf(layer, sizeof(layer), "layer-%s", name);
	int dir = machines_volumes_dir(machines);
	assert_int_equal(volume_import(dir, layer, fd, &size), 0);
	assert_int_equal(volume_create(dir, name, size, layer), 0);
	close(fd);
	unlink(path);
}

static struct machine_disk disk_of(const char *volume)
{
	return (struct machine_disk){.volume = volume, .serial = volume, .device = "/dev/sdf"};
}

static struct machine *start_with(const struct machine_disk *disks, size_t n, const char *cmdline)
{
	struct machine_spec spec = {.id = "i-0123",
	                            .vcpus = 1,
	                            .memory_mb = 128,
	                            .cpu_percent = 100,
	                            .kernel = getenv("GUEST_KERNEL"),
	                            .initrd = getenv("GUEST_INITRD"),
	                            .cmdline = cmdline,
	                            .disks = disks,
	                            .disk_count = n};
	memset(&heard, 0, sizeof(heard));
	struct machine *m = machine_start(machines, &spec, &world);
	assert_true(world_wait(&world, &heard.started, SOON_US));
	return m;
}

static struct machine *start(const char *volume)
{
	struct machine_disk root = disk_of(volume);
	return start_with(&root, 1, "console=ttyS0 quiet loglevel=1 rdinit=/init");
}

/* Turns the loop until the console says `text`. */
static bool says(struct machine *m, const char *text, int64_t timeout_us)
{
	bool never = false;
	for (int64_t waited = 0; waited < timeout_us * world_patience(); waited += 50000) {
		if (str_find(machine_console(m), str_from(text)) >= 0)
			return true;
		world_wait(&world, &never, 50000);
	}
	struct str c = machine_console(m);
	fprintf(stderr, "the console does not say \"%s\", but:\n%.*s\n", text, STR_ARG(c));
	return false;
}

static int disk_done(void)
{
	assert_true(world_wait(&world, &heard.disk, SOON_US));
	heard.disk = false;
	return heard.disk_error;
}

/* The number after the last "beat NAME ". */
static unsigned last_beat(struct machine *m, const char *name)
{
	char text[64];
	unsigned n = 0;
	snprintf(text, sizeof(text), "beat %s ", name);
	struct str c = machine_console(m);
	for (ssize_t at; (at = str_find(c, str_from(text))) >= 0;) {
		c = str_of(c.p + at + strlen(text), c.n - (size_t)at - strlen(text));
		n = (unsigned)strtoul(c.p, NULL, 10);
	}
	return n;
}

static pid_t find_qemu(void)
{
	char path[300], text[4096];
	pid_t found = 0;
	DIR *d = opendir("/proc");
	for (struct dirent *e; d && (e = readdir(d));) {
		snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
		int fd = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? open(path, O_RDONLY) : -1;
		ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		if (fd >= 0)
			close(fd);
		if (n > 0 && strstr(text, "qemu-system") && memmem(text, (size_t)n, "guest=i-0123", 12))
			found = atoi(e->d_name);
	}
	closedir(d);
	return found;
}

static bool group_is_there(void)
{
	char path[200];
	struct stat st;
	for (int slot = 0; slot < 64; slot++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup/memory/quartet-%s/m%d", world.instance, slot);
		bool there = stat(path, &st) == 0;
		snprintf(path, sizeof(path), "/sys/fs/cgroup/quartet-%s/m%d", world.instance, slot);
		if (there || stat(path, &st) == 0)
			return true;
	}
	return false;
}

static void end(struct machine *m)
{
	char path[128];
	machine_free(m);
	bool never = false;
	for (int i = 0; i < 100 && (find_qemu() || group_is_there()); i++)
		world_wait(&world, &never, 50000);
	assert_int_equal(find_qemu(), 0);
	assert_false(group_is_there());
	snprintf(path, sizeof(path), "%s/machines/i-0123.sock", world.dir);
	assert_int_equal(access(path, F_OK), -1);
}

static void disks_come_and_go(void **state)
{
	(void)state;
	make_volume("root-1", 8 * MIB, "root");
	make_volume("more-1", 16 * MIB, "more");
	struct machine *m = start("root-1");
	assert_true(says(m, "disk root-1 word 'root'", BOOT_US));
	assert_true(says(m, "size root-1 8388608", SOON_US));
	struct machine_disk more = disk_of("more-1");
	assert_int_equal(machine_attach(m, &more), 0);
	assert_int_equal(disk_done(), 0);
	assert_true(says(m, "disk more-1 word 'more'", SOON_US));
	assert_int_equal(machine_attach(m, &more), 0);
	assert_int_equal(disk_done(), -EEXIST);
	more.iops = 200;
	assert_int_equal(machine_resize(m, &more, 32 * MIB), 0);
	assert_int_equal(disk_done(), 0);
	assert_true(says(m, "size more-1 33554432", SOON_US));
	assert_int_equal(machine_detach(m, "more-1", false), 0);
	assert_int_equal(disk_done(), 0);
	assert_true(says(m, "gone more-1", SOON_US));
	assert_int_equal(machine_detach(m, "more-1", false), 0);
	assert_int_equal(disk_done(), -ENOENT);

	/* the button */
	machine_stop(m, SOON_US);
	assert_true(world_wait(&world, &heard.ended, SOON_US));
	assert_int_equal(heard.how, MACHINE_STOPPED);
	assert_true(says(m, "off: the power button", SOON_US));
	end(m);
}

static void a_snapshot_is_of_its_moment(void **state)
{
	(void)state;
	make_volume("beat-1", 8 * MIB, "beat");
	struct machine *m = start("beat-1");
	assert_true(says(m, "beat beat-1 10", BOOT_US));
	unsigned before = last_beat(m, "beat-1");
	assert_int_equal(machine_snapshot(m, "beat-1", "snap-1"), 0);
	assert_int_equal(disk_done(), 0);
	unsigned after = last_beat(m, "beat-1");
	/* twice is once */
	assert_int_equal(machine_snapshot(m, "beat-1", "snap-1"), 0);
	assert_int_equal(disk_done(), 0);
	char names[VOLUME_CHAIN_MAX][VOLUME_NAME_MAX];
	assert_int_equal(volume_chain(machines_volumes_dir(machines), "beat-1", names), 3);
	assert_string_equal(names[1], "snap-1");

	/* the guest counts on, into the new file */
	for (int i = 0; i < 100 && last_beat(m, "beat-1") < after + 20; i++)
		world_wait(&world, &(bool){false}, 100000);
	unsigned later = last_beat(m, "beat-1");
	assert_true(later >= after + 20);
	machine_stop(m, 0);
	assert_true(world_wait(&world, &heard.ended, SOON_US));
	assert_int_equal(heard.how, MACHINE_STOPPED);
	end(m);

	/* a volume of the snapshot has the count of then, the volume itself the later one */
	int dir = machines_volumes_dir(machines);
	assert_int_equal(volume_create(dir, "copy-1", 8 * MIB, "snap-1"), 0);
	/* from below as many layers as there may be */
	int error = 0, layers = 0;
	while (!error && layers < VOLUME_CHAIN_MAX) {
		char layer[16];
		snprintf(layer, sizeof(layer), "deep-%d", layers++);
		error = volume_freeze(dir, "copy-1", layer);
	}
	assert_int_equal(error, -EMLINK);
	assert_int_equal(volume_chain(dir, "copy-1", names), VOLUME_CHAIN_MAX);
	make_volume("root-2", 8 * MIB, "root");
	m = start("root-2");
	assert_true(says(m, "disk root-2", BOOT_US));
	struct machine_disk disk = disk_of("copy-1");
	assert_int_equal(machine_attach(m, &disk), 0);
	assert_int_equal(disk_done(), 0);
	assert_true(says(m, "disk copy-1 word 'beat' count ", SOON_US));
	struct str c = machine_console(m);
	ssize_t at = str_find(c, S("disk copy-1 word 'beat' count "));
	unsigned then = (unsigned)atoi(c.p + at + strlen("disk copy-1 word 'beat' count "));
	assert_true(then >= before && then <= after + 10 && then < later);
	end(m);
}

static unsigned boots(struct machine *m)
{
	unsigned n = 0;
	struct str c = machine_console(m);
	for (ssize_t at; (at = str_find(c, S("guest up"))) >= 0; n++)
		c = str_from_at(c, (size_t)at + 1);
	return n;
}

static bool boots_again(struct machine *m, unsigned times)
{
	bool never = false;
	for (int64_t waited = 0; waited < BOOT_US * world_patience() && boots(m) < times; waited += 50000)
		world_wait(&world, &never, 50000);
	return boots(m) == times && !heard.ended;
}

/* The guest ends in order, and boots anew; between the two its disks stand still for as long as is wanted. */
static void reboots_are_in_order(void **state)
{
	(void)state;
	make_volume("beat-3", 8 * MIB, "beat");
	struct machine *m = start("beat-3");
	assert_true(says(m, "beat beat-3 10", BOOT_US));
	machine_reset(m);
	assert_true(says(m, "off: the power button", SOON_US));
	assert_true(boots_again(m, 2));
	assert_true(says(m, "disk beat-3 word 'beat' count 1", SOON_US)); /* ten and more */
	heard.down = false;
	assert_int_equal(machine_down(m), 0);
	assert_true(world_wait(&world, &heard.down, SOON_US));
	assert_int_equal(heard.error, 0);
	assert_true(machine_is_down(m));
	unsigned then = last_beat(m, "beat-3");
	assert_int_equal(machine_snapshot(m, "beat-3", "snap-3"), 0);
	assert_int_equal(disk_done(), 0);
	world_wait(&world, &(bool){false}, 1000000);
	assert_int_equal(last_beat(m, "beat-3"), then);
	assert_int_equal(boots(m), 2);
	machine_up(m);
	assert_false(machine_is_down(m));
	assert_true(boots_again(m, 3));
	/* One that is down is off when it is stopped. */
	heard.down = false;
	assert_int_equal(machine_down(m), 0);
	assert_true(world_wait(&world, &heard.down, SOON_US));
	machine_stop(m, SOON_US);
	assert_true(world_wait(&world, &heard.ended, SOON_US));
	assert_int_equal(heard.how, MACHINE_STOPPED);
	end(m);
}

/* A guest that hears of no plugs lets go of nothing. */
static void a_disk_is_taken_by_force(void **state)
{
	(void)state;
	make_volume("root-6", 8 * MIB, "root");
	make_volume("beat-6", 8 * MIB, "beat");
	const struct machine_disk disks[] = {disk_of("root-6"),
	                                     {.volume = "beat-6", .serial = "beat-6", .device = "/dev/sdg", .iops = 100}};
	struct machine *m = start_with(disks, 2, "console=ttyS0 quiet loglevel=1 rdinit=/init acpiphp.disable=1");
	assert_true(says(m, "beat beat-6 10", BOOT_US));
	assert_int_equal(machine_detach(m, "beat-6", true), 0);
	assert_int_equal(disk_done(), 0);
	assert_true(says(m, "write: Input/output error", SOON_US));
	assert_false(heard.ended);
	/* Free for others, who find all of it. */
	assert_int_equal(volume_freeze(machines_volumes_dir(machines), "beat-6", "free-6"), 0);
	assert_int_equal(machine_detach(m, "beat-6", true), 0);
	assert_int_equal(disk_done(), -ENOENT);
	machine_stop(m, 0);
	assert_true(world_wait(&world, &heard.ended, SOON_US));
	end(m);
}

/* Ten beats a second are more than the disk lets through at first. */
static void a_disk_becomes_faster(void **state)
{
	(void)state;
	make_volume("root-7", 8 * MIB, "root");
	make_volume("beat-7", 8 * MIB, "beat");
	struct machine_disk disks[] = {disk_of("root-7"), disk_of("beat-7")};
	disks[1].iops = 1;
	struct machine *m = start_with(disks, 2, "console=ttyS0 quiet loglevel=1 rdinit=/init");
	assert_true(says(m, "beat beat-7 1", BOOT_US));
	unsigned before = last_beat(m, "beat-7");
	disks[1].iops = 1000;
	assert_int_equal(machine_resize(m, &disks[1], 8 * MIB), 0);
	assert_int_equal(disk_done(), 0);
	for (int i = 0; i < 200 && last_beat(m, "beat-7") < before + 40; i++)
		world_wait(&world, &(bool){false}, 100000);
	assert_true(last_beat(m, "beat-7") >= before + 40);
	machine_stop(m, 0);
	assert_true(world_wait(&world, &heard.ended, SOON_US));
	end(m);
}

static void ends_are_told_apart(void **state)
{
	(void)state;
	make_volume("quit-1", 8 * MIB, "quit");
	struct machine *m = start("quit-1");
	assert_true(world_wait(&world, &heard.ended, BOOT_US));
	assert_int_equal(heard.how, MACHINE_SHUT_DOWN);
	assert_true(says(m, "off: a disk says so", SOON_US));
	end(m);

	make_volume("root-3", 8 * MIB, "root");
	m = start("root-3");
	assert_true(says(m, "disk root-3", BOOT_US));
	assert_int_equal(kill(find_qemu(), SIGKILL), 0);
	assert_true(world_wait(&world, &heard.ended, SOON_US));
	assert_int_equal(heard.how, MACHINE_CRASHED);
	end(m);

	/* a volume that is not there */
	struct machine_disk missing = disk_of("nothing");
	struct machine_spec spec = {.id = "i-0123",
	                            .vcpus = 1,
	                            .memory_mb = 128,
	                            .cpu_percent = 100,
	                            .kernel = getenv("GUEST_KERNEL"),
	                            .initrd = getenv("GUEST_INITRD"),
	                            .disks = &missing,
	                            .disk_count = 1};
	memset(&heard, 0, sizeof(heard));
	m = machine_start(machines, &spec, &world);
	assert_true(world_wait(&world, &heard.ended, SOON_US));
	assert_int_equal(heard.how, MACHINE_NOT_STARTED);
	assert_int_equal(heard.error, -ENOENT);
	end(m);
}

static void it_outlives_who_started_it(void **state)
{
	(void)state;
	make_volume("beat-2", 8 * MIB, "beat");
	struct machine *m = start("beat-2");
	assert_true(says(m, "beat beat-2 10", BOOT_US));

	/* priv */
	kill(world.priv, SIGKILL);
	world_restart_priv(&world);
	unsigned before = last_beat(m, "beat-2");
	for (int i = 0; i < 100 && last_beat(m, "beat-2") <= before; i++)
		world_wait(&world, &(bool){false}, 100000);
	assert_true(last_beat(m, "beat-2") > before);
	assert_false(heard.ended);

	/* api */
	machines_free(machines);
	memset(&heard, 0, sizeof(heard));
	heard.keep = true;
	open_machines();
	assert_true(world_wait(&world, &heard.found, SOON_US));
	assert_true(world_wait(&world, &heard.started, SOON_US));
	m = heard.adopted;
	assert_string_equal(machine_id(m), "i-0123");
	struct machine_usage usage;
	machine_usage(m, &usage);
	assert_true(usage.cpu_us > 0 && usage.disk_write_bytes > 0);
	machine_stop(m, SOON_US);
	assert_true(world_wait(&world, &heard.ended, SOON_US));
	assert_int_equal(heard.how, MACHINE_STOPPED);
	end(m);

	/* one that nobody takes is ended */
	make_volume("root-4", 8 * MIB, "root");
	m = start("root-4");
	assert_true(says(m, "disk root-4", BOOT_US));
	machines_free(machines);
	memset(&heard, 0, sizeof(heard));
	open_machines();
	assert_true(world_wait(&world, &heard.found, SOON_US));
	for (int i = 0; i < 100 && (find_qemu() || group_is_there()); i++)
		world_wait(&world, &(bool){false}, 50000);
	assert_int_equal(find_qemu(), 0);
	assert_false(group_is_there());
}

static bool status_says(pid_t pid, const char *line)
{
	char path[64], text[8192];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return strstr(text, line) != NULL;
}

static ino_t namespace_of(pid_t pid, const char *kind)
{
	char path[64];
	struct stat st = {0};
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kind);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void qemu_has_no_rights(void **state)
{
	(void)state;
	make_volume("root-5", 8 * MIB, "root");
	struct machine *m = start("root-5");
	assert_true(says(m, "disk root-5", BOOT_US));
	pid_t pid = find_qemu();
	assert_true(pid > 0);
	assert_true(status_says(pid, "CapEff:\t0000000000000000"));
	assert_true(status_says(pid, "CapBnd:\t0000000000000000"));
	assert_true(status_says(pid, "NoNewPrivs:\t1"));
	assert_true(status_says(pid, "Seccomp:\t2"));
	assert_false(status_says(pid, "Uid:\t0\t"));
	static const char *const kinds[] = {"mnt", "net", "pid", "ipc", "uts", "user"};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		assert_true(namespace_of(pid, kinds[i]) != namespace_of(getpid(), kinds[i]));
	/* its root has the machine's programs and nothing of its files */
	static const char *const absent[] = {"root", "home", "sys/kernel", "run", "var/lib", "etc/shadow"};
	char path[128];
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%d/root/%s", (int)pid, absent[i]);
		assert_int_equal(access(path, F_OK), -1);
	}
	end(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(disks_come_and_go),     cmocka_unit_test(a_snapshot_is_of_its_moment),
	        cmocka_unit_test(ends_are_told_apart),   cmocka_unit_test(it_outlives_who_started_it),
	        cmocka_unit_test(reboots_are_in_order),  cmocka_unit_test(a_disk_is_taken_by_force),
	        cmocka_unit_test(a_disk_becomes_faster), cmocka_unit_test(qemu_has_no_rights),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
