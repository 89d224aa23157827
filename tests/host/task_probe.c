/* Runs in a container and tries what a container may not. A line an attempt: "NAME refused: WHY" or "NAME GRANTED". Linked
 * statically, because the container has no libraries. With the argument
 * "machine" only what no capability of a container may open; "crowd" starts processes until it may not, "forge FROM TO TEXT" sends
 * a datagram to port 9000 of TO as if FROM had, and "hear" says who sends what to that port. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void tell(const char *name, long result)
{
	if (result < 0)
		printf("%s refused: %s\n", name, strerrorname_np(errno));
	else
		printf("%s GRANTED\n", name);
}
#define TRY(name, ...) (errno = 0, tell(name, (long)(__VA_ARGS__)))

static void write_file(const char *path)
{
	if (access(path, F_OK) < 0)
		return; /* not every kernel has them all */
	int fd = open(path, O_WRONLY);
	char name[128];
	snprintf(name, sizeof(name), "write %s", path);
	errno = fd < 0 ? errno : 0;
	tell(name, fd < 0 ? -1 : write(fd, "1", 1));
	if (fd >= 0)
		close(fd);
}

static void read_file(const char *path)
{
	char room[64], name[128];
	if (access(path, F_OK) < 0)
		return;
	int fd = open(path, O_RDONLY);
	long n = fd < 0 ? -1 : read(fd, room, sizeof(room));
	if (n == 0) {
		errno = ENODATA; /* masked by an empty file */
		n = -1;
	}
	snprintf(name, sizeof(name), "read %s", path);
	tell(name, n);
	if (fd >= 0)
		close(fd);
}

static void device(void)
{
	unlink("/tmp/device");
	TRY("device node", mknod("/tmp/device", S_IFCHR | 0666, makedev(1, 1)) < 0 ? -1 : open("/tmp/device", O_RDWR));
}

/* Those have no place in a file system: a name of the machine's would be found by whoever shares its network. */
static void abstract_socket(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "\0quartet-task-probe"};
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	TRY("the machine's socket", connect(sock, (struct sockaddr *)&to,
	                                    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(to.sun_path + 1))));
	close(sock);
}

static void new_user_namespace(void)
{
	struct {
		unsigned long long flags, rest[10];
	} args = {.flags = CLONE_NEWUSER};
	TRY("unshare user", unshare(CLONE_NEWUSER));
	errno = 0;
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	tell("clone user", pid);
	errno = 0;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(0);
	tell("clone3 user", pid);
}

/* What the kernel keeps for the machine, whatever capabilities a container has in its own namespace. */
static void of_the_machine(void)
{
	union bpf_attr bpf = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
	struct perf_event_attr perf = {.type = PERF_TYPE_SOFTWARE, .size = sizeof(perf), .config = PERF_COUNT_SW_CPU_CLOCK};
	struct io_uring_params ring = {0};
	struct timeval now = {.tv_sec = 1700000000};
	struct timespec then = {.tv_sec = 1700000000};
	TRY("bpf", syscall(SYS_bpf, BPF_MAP_CREATE, &bpf, sizeof(bpf)));
	TRY("perf", syscall(SYS_perf_event_open, &perf, 0, -1, -1, 0));
	TRY("io_uring", syscall(SYS_io_uring_setup, 4, &ring));
	TRY("userfaultfd", syscall(SYS_userfaultfd, 0));
	TRY("add_key", syscall(SYS_add_key, "user", "quartet", "x", 1, -3));
	TRY("keyctl", syscall(SYS_keyctl, 0, -3, 1));
	TRY("request_key", syscall(SYS_request_key, "user", "quartet", NULL, 0));
	TRY("kexec", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	TRY("init_module", syscall(SYS_init_module, "", 0, ""));
	TRY("finit_module", syscall(SYS_finit_module, 0, "", 0));
	TRY("delete_module", syscall(SYS_delete_module, "nothing", 0));
	TRY("iopl", syscall(SYS_iopl, 3));
	TRY("ioperm", syscall(SYS_ioperm, 0x80, 1, 1));
	TRY("settimeofday", settimeofday(&now, NULL));
	TRY("clock_settime", clock_settime(CLOCK_REALTIME, &then));
	TRY("swapon", syscall(SYS_swapon, "/tmp/none", 0));
	TRY("acct", syscall(SYS_acct, "/tmp/none"));
	TRY("syslog", syscall(SYS_syslog, 3, NULL, 0));
	TRY("quotactl", syscall(SYS_quotactl, 0, NULL, 0, NULL));
	TRY("open_by_handle_at", syscall(SYS_open_by_handle_at, 3, "", 0));
	TRY("reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
	device();
	abstract_socket();
	write_file("/proc/sys/kernel/core_pattern");
	write_file("/proc/sys/kernel/modprobe");
	write_file("/proc/sys/vm/overcommit_memory");
	write_file("/proc/sysrq-trigger");
	read_file("/proc/kcore");
}

static void of_capabilities(void)
{
	struct sched_param real = {.sched_priority = 1};
	TRY("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
	TRY("mount proc", mount("none", "/tmp", "proc", 0, NULL));
	TRY("remount", mount("none", "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
	TRY("umount", umount2("/proc/kcore", MNT_DETACH));
	TRY("fsopen", fsopen("tmpfs", 0));
	TRY("open_tree", open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE));
	TRY("pivot_root", syscall(SYS_pivot_root, "/", "/tmp"));
	TRY("setns", setns(open("/proc/self/ns/net", O_RDONLY), 0));
	TRY("unshare mounts", unshare(CLONE_NEWNS));
	TRY("unshare groups", unshare(CLONE_NEWCGROUP));
	new_user_namespace();
	TRY("ptrace", ptrace(PTRACE_SEIZE, 1, NULL, NULL));
	TRY("process_vm_readv", syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
	TRY("pidfd_getfd", syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, 1, 0), 0, 0));
	TRY("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
	TRY("real time", sched_setscheduler(0, SCHED_FIFO, &real));
	TRY("haste", setpriority(PRIO_PROCESS, 0, -10));
	TRY("sethostname", sethostname("other", 5));
	write_file("/proc/1/uid_map");
	static const char *const masked[] = {"/proc/keys", "/proc/timer_list", "/proc/interrupts"};
	static const char *const read_only[] = {"/proc/sys/kernel/hostname", "/proc/sys/net/ipv4/ip_forward",
	                                        "/sys/kernel/mm/ksm/run", "/sys/power/state", "/proc/irq/default_smp_affinity"};
	for (size_t i = 0; i < sizeof(masked) / sizeof(masked[0]); i++)
		read_file(masked[i]);
	for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++)
		write_file(read_only[i]);
}

/* ---- more than an attempt ---- */

static int stand_still(void *nothing)
{
	(void)nothing;
	for (;;)
		syscall(SYS_pause);
	return 0;
}

/* Children that share our memory cost next to nothing but their number. */
static int crowd(void)
{
	static char stacks[4096] __attribute__((aligned(16)));
	int n = 0;
	while (n < 100000 && clone(stand_still, stacks + sizeof(stacks), CLONE_VM | SIGCHLD, NULL) > 0)
		n++;
	printf("%d processes, then %s\n", n, strerrorname_np(errno));
	return 0;
}

static int forge(const char *from, const char *to, const char *text)
{
	unsigned char packet[256] = {0x45};
	size_t n = 28 + strlen(text);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {inet_addr(to)}};
	in_addr_t source = inet_addr(from);
	int sock = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	packet[2] = (unsigned char)(n >> 8);
	packet[3] = (unsigned char)n;
	packet[8] = 64;
	packet[9] = IPPROTO_UDP;
	memcpy(packet + 12, &source, 4);
	memcpy(packet + 16, &at.sin_addr, 4);
	packet[20] = packet[22] = 9000 >> 8;
	packet[21] = packet[23] = 9000 & 255;
	packet[25] = (unsigned char)(n - 20); /* without a checksum, which IPv4 allows */
	memcpy(packet + 28, text, n - 28);
	if (sock < 0 || sendto(sock, packet, n, 0, (struct sockaddr *)&at, sizeof(at)) != (ssize_t)n)
		printf("%s not sent: %s\n", text, strerrorname_np(errno));
	else
		printf("%s sent\n", text);
	return 0;
}

static int hear(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(9000)}, from;
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(sock, (struct sockaddr *)&at, sizeof(at)) < 0)
		return 1;
	puts("hears");
	for (;;) {
		char text[256];
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(sock, text, sizeof(text) - 1, 0, (struct sockaddr *)&from, &size);
		text[n > 0 ? n : 0] = 0;
		printf("%s from %s\n", text, inet_ntoa(from.sin_addr));
	}
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && strcmp(argv[1], "crowd") == 0)
		return crowd();
	if (argc == 2 && strcmp(argv[1], "hear") == 0)
		return hear();
	if (argc == 5 && strcmp(argv[1], "forge") == 0)
		return forge(argv[2], argv[3], argv[4]);
	of_the_machine();
	if (argc < 2 || strcmp(argv[1], "machine") != 0)
		of_capabilities();
	puts("tried everything");
	return 0;
}
