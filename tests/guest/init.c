/* The first process of the guest: makes a machine out of a kernel and this machine's own files, and becomes the program that
 * /command names.
 *
 * The files come by virtiofs and are read-only; an overlay keeps in memory what is written. Everything before that is done out of
 * an initial file system with this program, modules of the kernel, and the list of them in the order in which they load. Static,
 * because no library is there yet. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

__attribute__((noreturn)) static void off(const char *why)
{
	if (why)
		printf("\nguest: %s: %s\n", why, strerror(errno));
	fflush(stdout);
	tcdrain(1);
	reboot(RB_AUTOBOOT); /* the emulator ends instead of starting again */
	for (;;)
		pause();
}

static void mount_or_off(const char *what, const char *where, const char *type, unsigned long flags, const char *options)
{
	mkdir(where, 0755);
	if (mount(what, where, type, flags, options) < 0)
		off(where);
}

static void load_modules(void)
{
	char name[128], path[160];
	FILE *list = fopen("/modules/order", "re");
	if (!list)
		off("/modules/order");
	while (fscanf(list, "%127s", name) == 1) {
		snprintf(path, sizeof(path), "/modules/%s", name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
			off(name);
		close(fd);
	}
	fclose(list);
}

static void loopback_up(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0 || ioctl(s, SIOCSIFFLAGS, &r) < 0)
		off("lo");
	close(s);
}

/* Files first from memory, then from this machine. The file systems that are mounted already go along. */
static void enter_root(void)
{
	static const char *const moved[] = {"dev", "proc", "sys"};
	char to[32];
	mount_or_off("none", "/memory", "tmpfs", 0, "mode=0755");
	if (mkdir("/memory/upper", 0755) < 0 || mkdir("/memory/work", 0755) < 0)
		off("/memory");
	mount_or_off("machine", "/machine", "virtiofs", MS_RDONLY, NULL);
	mount_or_off("none", "/root", "overlay", 0, "lowerdir=/machine,upperdir=/memory/upper,workdir=/memory/work");
	for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
		snprintf(to, sizeof(to), "/root/%s", moved[i]);
		if (mount(moved[i], to, NULL, MS_MOVE, NULL) < 0)
			off(to);
	}
	if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		off("the new root");
}

/* Its path and its arguments, a line each. */
static char **read_command(void)
{
	static char text[4096], *list[16];
	size_t n = 0;
	int fd = open("/command", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		off("/command");
	close(fd);
	for (char *line = strtok(text, "\n"); line && n < 15; line = strtok(NULL, "\n"))
		list[n++] = line;
	return list;
}

int main(void)
{
	static char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb", NULL};
	umask(022);
	mount_or_off("none", "/dev", "devtmpfs", 0, NULL);
	int console = open("/dev/console", O_RDWR);
	for (int fd = 0; fd < 3 && console >= 0; fd++)
		dup2(console, fd);
	mount_or_off("none", "/proc", "proc", 0, NULL);
	mount_or_off("none", "/sys", "sysfs", 0, NULL);
	char **command = read_command();
	load_modules();
	loopback_up();
	enter_root();
	mount_or_off("none", "/dev/pts", "devpts", 0, "ptmxmode=0666");
	mount_or_off("none", "/dev/shm", "tmpfs", 0, "mode=1777");
	mount_or_off("none", "/run", "tmpfs", 0, "mode=0755");
	mount_or_off("none", "/tmp", "tmpfs", 0, "mode=1777");
	mount_or_off("none", "/sys/fs/cgroup", "cgroup2", 0, "nsdelegate,memory_recursiveprot");
	execve(command[0], command, env);
	off(command[0]);
}
