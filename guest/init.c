/* The first program of a virtual machine: loads the few modules without which there is no disk, mounts the root file system that
 * the kernel's command line names, and becomes its init. Static, because no library is there yet; the archive that holds it is made
 * by tools/make-image. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 };

__attribute__((noreturn)) static void give_up(const char *what)
{
	printf("init: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	sleep(1);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void load_modules(void)
{
	char name[128], path[160];
	FILE *list = fopen("/modules/order", "re");
	while (list && fscanf(list, "%127s", name) == 1) {
		snprintf(path, sizeof(path), "/modules/%s", name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
			printf("init: module %s: %s\n", name, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	if (list)
		fclose(list);
}

/* The value of `key=` on the kernel's command line. */
static const char *option(const char *key, const char *otherwise)
{
	static char line[2048];
	size_t n = strlen(key);
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	if (fd >= 0)
		close(fd);
	line[got > 0 ? got : 0] = 0;
	for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n"))
		if (strncmp(word, key, n) == 0)
			return word + n;
	return otherwise;
}

int main(void)
{
	printf("init: user space begins\n");
	fflush(stdout);
	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	mkdir("/root", 0755);
	if (mount("proc", "/proc", "proc", 0, NULL) < 0 || mount("dev", "/dev", "devtmpfs", 0, "mode=0755") < 0)
		give_up("/proc and /dev");
	load_modules();
	const char *root = option("root=", "/dev/vda");
	int waited = 0;
	while (mount(root, "/root", "ext4", 0, NULL) < 0) {
		if ((errno != ENOENT && errno != ENXIO) || waited >= PATIENCE_MS)
			give_up(root);
		usleep(20000);
		waited += 20;
	}
	umount("/proc");
	if (mount("/dev", "/root/dev", NULL, MS_MOVE, NULL) < 0 || chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ||
	    chroot(".") < 0 || chdir("/") < 0)
		give_up("changing to the root file system");
	execl("/sbin/init", "/sbin/init", (char *)NULL);
	give_up("/sbin/init");
}
