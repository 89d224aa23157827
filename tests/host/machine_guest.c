/* The whole system of the guest in machines.c. It says on its console what disks it sees, by what lies in their first sector, and
 * does what that says: beat   counts in the second sector, ten times a second quit   switches the machine off A disk without such a
 * word is told with its count. The power button switches it off too. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/input.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct disk {
	char serial[32], word[8];
	unsigned long long bytes;
	unsigned count;
	int fd;
};
static struct disk disks[8];

static void load_modules(void)
{
	char name[128], path[160];
	FILE *list = fopen("/modules/order", "re");
	while (list && fscanf(list, "%127s", name) == 1) {
		snprintf(path, sizeof(path), "/modules/%s", name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
			printf("module %s: %s\n", name, strerror(errno));
		close(fd);
	}
}

static void *sector(void)
{
	static char *room;
	if (!room && posix_memalign((void **)&room, 4096, 4096))
		abort();
	memset(room, 0, 4096);
	return room;
}

static void off(const char *why)
{
	printf("off: %s\n", why);
	fflush(stdout);
	usleep(100000);
	reboot(RB_POWER_OFF);
}

static void look_at(unsigned i)
{
	char path[64], serial[32] = "";
	struct disk *d = &disks[i];
	snprintf(path, sizeof(path), "/sys/block/vd%c/serial", 'a' + (int)i);
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, serial, sizeof(serial) - 1);
	close(fd);
	if (n <= 0 || strncmp(d->serial, serial, sizeof(serial)) != 0) {
		if (d->serial[0]) {
			printf("gone %s\n", d->serial);
			close(d->fd);
			memset(d, 0, sizeof(*d));
		}
		if (n <= 0)
			return;
		snprintf(path, sizeof(path), "/dev/vd%c", 'a' + (int)i);
		d->fd = open(path, O_RDWR | O_DIRECT);
		if (d->fd < 0)
			return;
		snprintf(d->serial, sizeof(d->serial), "%s", serial);
		char *s = sector();
		if (pread(d->fd, s, 4096, 0) == 4096)
			snprintf(d->word, sizeof(d->word), "%.6s", s);
		s = sector();
		if (pread(d->fd, s, 4096, 4096) == 4096)
			d->count = (unsigned)atoi(s);
		printf("disk %s word '%s' count %u\n", d->serial, d->word, d->count);
	}
	unsigned long long bytes = 0;
	if (ioctl(d->fd, BLKGETSIZE64, &bytes) == 0 && bytes != d->bytes) {
		d->bytes = bytes;
		printf("size %s %llu\n", d->serial, bytes);
	}
	if (strcmp(d->word, "quit") == 0)
		off("a disk says so");
	if (strcmp(d->word, "beat") == 0) {
		char *s = sector();
		snprintf(s, 32, "%u\n", ++d->count);
		if (pwrite(d->fd, s, 4096, 4096) != 4096)
			printf("write: %s\n", strerror(errno));
		if (d->count % 10 == 0)
			printf("beat %s %u\n", d->serial, d->count);
	}
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	load_modules();
	printf("guest up\n");
	int inputs[4] = {0};
	for (;;) {
		for (int i = 0; i < 4; i++) {
			char path[32];
			struct input_event e;
			snprintf(path, sizeof(path), "/dev/input/event%d", i);
			if (inputs[i] <= 0)
				inputs[i] = open(path, O_RDONLY | O_NONBLOCK);
			while (inputs[i] > 0 && read(inputs[i], &e, sizeof(e)) == sizeof(e))
				if (e.type == EV_KEY && e.code == KEY_POWER && e.value == 1)
					off("the power button");
		}
		for (unsigned i = 0; i < 8; i++)
			look_at(i);
		usleep(100000);
	}
}
