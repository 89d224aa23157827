/* What somebody may do who runs code in a task: a program in it tries, the kernel is asked what it was told. */
#include "crew.h"

#include "../unit/unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Everything that the probe tried was refused, for the right reason. */
static void all_refused(const char *text)
{
	static const char *const reasons[] = {"EPERM", "EACCES", "EROFS", "ENOSYS", "ENODATA", "ECONNREFUSED"};
	unsigned count = 0;
	assert_non_null(text);
	const char *granted = strstr(text, "GRANTED");
	for (const char *p = granted; p && granted > text && granted[-1] != '\n'; p = granted)
		granted--;
	if (granted)
		fail_msg("%.100s", granted);
	if (!strstr(text, "tried everything"))
		fail_msg("it did not come to its end: %s", text + (strlen(text) > 500 ? strlen(text) - 500 : 0));
	for (const char *p = text; (p = strstr(p, " refused: ")); count++) {
		bool known = false;
		p += strlen(" refused: ");
		for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
			known |= strncmp(p, reasons[i], strlen(reasons[i])) == 0;
		if (!known)
			fail_msg("not for the right reason: %.100s", p - 40 < text ? text : p - 40);
	}
	assert_true(count > 20);
}

/* A socket of the machine's that has no name in a file system. */
static int listen_for_strangers(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "\0quartet-task-probe"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(at.sun_path + 1)));
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void is_refused_everything(void **state)
{
	(void)state;
	int strangers = listen_for_strangers();
	assert_int_equal(run("/bin/probe"), 0);
	all_refused(heard.text);
	close(strangers);
}

/* Its root may be root of its namespaces: that is not root of the machine. */
static void is_refused_with_all_capabilities(void **state)
{
	(void)state;
	struct task_container c = container(NULL);
	int strangers = listen_for_strangers();
	c.capabilities_add = (const char *const[]){"ALL", NULL};
	assert_int_equal(
	        run_as(c,
	               "grep CapEff /proc/self/status; /bin/probe machine; mount -t tmpfs none /tmp && echo mounted; mkdir /tmp/p /tmp/s /tmp/c; "
	               "mount -t proc none /tmp/p && echo x 2>/dev/null > /tmp/p/sys/kernel/core_pattern || echo no pattern; "
	               "mount -t sysfs none /tmp/s && for f in $(ls -d /tmp/s/kernel/mm/*/* 2>/dev/null); do (echo 1 > $f) 2>/dev/null && echo WROTE $f; done; "
	               "for k in cgroup cgroup2; do for o in memory pids none; do mount -t $k -o $o none /tmp/c 2>/dev/null && "
	               "for f in $(ls /tmp/c); do (echo -1 > /tmp/c/$f) 2>/dev/null && echo WROTE $f; done; done; done; "
	               "ls /dev | tr '\\n' ' '; echo; for d in /dev/mem /dev/kmem /dev/kvm /dev/fuse /dev/loop0 /dev/loop-control /dev/sda; do test -e $d && echo FOUND $d; done; "
	               "ls /proc | grep -c '^[0-9]'; echo done"),
	        0);
	expect("mounted");
	expect("no pattern");
	expect("done");
	assert_null(strstr(heard.text, "WROTE"));
	assert_null(strstr(heard.text, "FOUND"));
	all_refused(heard.text);
	close(strangers);
}

static void on_opened(void *ctx, int fd, int error, const char *why)
{
	(void)ctx;
	heard.opened = true;
	heard.terminal = fd;
	heard.error = error;
	snprintf(heard.why, sizeof(heard.why), "%s", why);
}

static void on_closed(void *ctx, int code)
{
	(void)ctx;
	heard.closed_code = code;
	heard.closed = true;
}

/* A shell that is opened in a container has the walls of its own programs. */
static void is_refused_in_a_shell(void **state)
{
	(void)state;
	static const struct task_exec_events exec_events = {on_opened, on_closed};
	static char text[16384];
	struct task_container c = container((const char *const[]){"/bin/sleep", "1000", NULL});
	struct task *t = make(&c, 1);
	int strangers = listen_for_strangers();
	task_start(t, 0);
	wait_for(&heard.started[0]);
	assert_int_equal(task_exec(t, 0, (const char *const[]){"/bin/probe", NULL}, NULL, &exec_events, NULL), 0);
	wait_for(&heard.opened);
	assert_true(heard.terminal >= 0);
	wait_for(&heard.closed);
	size_t n = 0;
	for (ssize_t r; n < sizeof(text) - 1 && (r = read(heard.terminal, text + n, sizeof(text) - 1 - n)) > 0;)
		n += (size_t)r;
	text[n] = 0;
	close(heard.terminal);
	all_refused(text);
	close(strangers);
	task_free(t);
}

/* ---- neighbours ---- */

static int listen_on_machine(unsigned *ret_port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_ANY)}};
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 8) == 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

static bool nobody_came(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EAGAIN;
}

/* Two tasks and the machine: neither sees the other's processes, memory, ports or metadata. */
static void is_alone(void **state)
{
	(void)state;
	unsigned port;
	int machine = listen_on_machine(&port);
	struct task_container first = container((const char *const[]){
	        "/bin/sh", "-c", "echo secret > /dev/shm/s; nc -l -p 7000 </dev/null & echo up; sleep 1000", NULL});
	struct task *neighbour = make(&first, 1);
	task_start(neighbour, 0);
	wait_to_hear("up");
	char script[1024];
	snprintf(
	        script, sizeof(script),
	        "for p in 7000 %u; do for a in 127.0.0.1 169.254.171.2 169.254.170.2 10.0.0.1 172.17.0.1; do nc -w 1 $a $p </dev/null 2>/dev/null && echo REACHED $a $p; done; done; "
	        "ip link | grep -c mtu; ls /dev/shm | wc -l; ls /proc | grep -c '^[0-9]'; nc -w 5 169.254.170.2 80 </dev/null; echo done",
	        port);
	struct task_container c = container((const char *const[]){"/bin/sh", "-c", script, NULL});
	struct task_spec spec = {
	        .id = "task-2", .memory_bytes = 128 << 20, .scratch_bytes = 64 << 20, .containers = &c, .container_count = 1};
	memset(&heard, 0, sizeof(heard));
	struct task *t = task_new(tasks, &spec, &heard);
	wait_for(&heard.ready);
	task_start(t, 0);
	int fd = -1;
	for (int i = 0; i < 6000 * world_patience() && fd < 0; i++) {
		world_wait(&world, &heard.never, 10000);
		fd = accept4(task_metadata_listener(t), NULL, NULL, SOCK_CLOEXEC);
	}
	assert_true(fd >= 0); /* its own metadata it reaches */
	close(fd);
	wait_for(&heard.exited[0]);
	expect("done");
	if (strstr(heard.text, "REACHED") || strncmp(heard.text, "0: 2\n0: 0\n", 10) != 0) /* links: lo and its metadata's */
		fail_msg("%s", heard.text);
	assert_true(nobody_came(task_metadata_listener(neighbour)));
	assert_true(nobody_came(machine));
	close(machine);
	task_free(t);
	task_free(neighbour);
}

/* ---- what the kernel was told ---- */

static void read_group(const char *controller, const char *below, const char *file, char ret[64])
{
	char path[256];
	ret[0] = 0;
	for (unsigned slot = 0; slot < 256 && !ret[0]; slot++)
		for (int v2 = 0; v2 < 2 && !ret[0]; v2++) {
			snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/quartet-%s/t%u%s/%s", v2 ? "." : controller, world.instance,
			         slot, below, file);
			FILE *f = fopen(path, "re");
			if (f && !fgets(ret, 64, f))
				ret[0] = 0;
			if (f)
				fclose(f);
		}
	ret[strcspn(ret, "\n")] = 0;
}

/* Whichever version's file is there. */
static void is_told(const char *controller, const char *below, const char *v1, const char *v2, const char *value1,
                    const char *value2)
{
	char text[64];
	read_group(controller, below, v1, text);
	if (text[0]) {
		assert_string_equal(text, value1);
		return;
	}
	read_group(controller, below, v2, text);
	assert_string_equal(text, value2);
}

static void has_limits(void **state)
{
	(void)state;
	struct task_container c = container((const char *const[]){"/bin/sleep", "1000", NULL});
	leaves_nothing(NULL);
	c.memory_bytes = 32 << 20;
	c.cpu_units = 512;
	struct task_spec spec = {.id = "task-1",
	                         .cpu_units = 256,
	                         .memory_bytes = 128 << 20,
	                         .scratch_bytes = 64 << 20,
	                         .containers = &c,
	                         .container_count = 1};
	memset(&heard, 0, sizeof(heard));
	struct task *t = task_new(tasks, &spec, &heard);
	wait_for(&heard.ready);
	task_start(t, 0);
	wait_for(&heard.started[0]);
	assert_int_equal(task_start(t, 0), -EBUSY);
	is_told("memory", "/w", "memory.limit_in_bytes", "memory.max", "134217728", "134217728");
	is_told("memory", "/w/c0", "memory.limit_in_bytes", "memory.max", "33554432", "33554432");
	is_told("pids", "/w", "pids.max", "pids.max", "8192", "8192");
	is_told("cpu", "/w", "cpu.cfs_quota_us", "cpu.max", "5000", "5000 20000");
	task_free(t);
	leaves_nothing(NULL);
}

static void fills_what_it_has(void **state)
{
	(void)state;
	/* the task's own limit, where its container has none */
	assert_int_equal(run("exec dd if=/dev/zero of=/dev/null bs=200M count=1"), 137);
	assert_true(heard.oom[0]);
	/* bytes and files, wherever they are written to */
	assert_int_equal(run("dd if=/dev/zero of=/tmp/big bs=1M count=80 2>/dev/null && echo FITS; rm /tmp/big; mkdir /d; cd /d; "
	                     "seq 40000 | xargs touch 2>/dev/null && echo FITS; rm -r /d && echo x > /tmp/y && echo again"),
	                 0);
	expect("again");
	assert_null(strstr(heard.text, "FITS"));
	assert_int_equal(
	        run("dd if=/dev/zero of=/dev/shm/big bs=1M count=80 2>/dev/null && echo FITS; dd if=/dev/zero of=/dev/big bs=1M count=80 2>/dev/null && echo FITS; true"),
	        0);
	assert_null(strstr(heard.text, "FITS"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(is_refused_everything),
	        cmocka_unit_test(is_refused_with_all_capabilities),
	        cmocka_unit_test(is_refused_in_a_shell),
	        cmocka_unit_test(is_alone),
	        cmocka_unit_test(has_limits),
	        cmocka_unit_test(fills_what_it_has),
	};
	return cmocka_run_group_tests(tests, crew_set_up, crew_tear_down);
}
