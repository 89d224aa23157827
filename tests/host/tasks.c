/* Tasks for real: layers are unpacked, containers run by crun, the kernel is asked from inside, processes are killed, and what is
 * left is counted. The image is busybox. */
#include "crew.h"

#include "../unit/unit.h"
#include "base/clock.h"
#include "base/hash.h"
#include "engine/net/plug.h"
#include "io/msg.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void says_and_ends(void **state)
{
	(void)state;
	assert_int_equal(run("echo out; echo err >&2; printf rest; exit 7"), 7);
	assert_true(heard.started[0]);
	assert_non_null(strstr(heard.text, "0: out\n"));
	assert_non_null(strstr(heard.text, "0! err\n"));
	assert_non_null(strstr(heard.text, "0: rest\n"));
}

static void does_not_start(void **state)
{
	(void)state;
	struct task_container c = container((const char *const[]){"/bin/nothing", NULL});
	struct task *t = make(&c, 1);
	assert_int_equal(task_start(t, 0), 0);
	wait_for(&heard.exited[0]);
	assert_true(heard.not_started[0]);
	assert_false(heard.started[0]);
	assert_non_null(strstr(heard.why, "/bin/nothing"));
	/* the next one in the same task is not hindered */
	memset(&heard.exited, 0, sizeof(heard.exited));
	assert_int_equal(task_start(t, 0), 0);
	wait_for(&heard.exited[0]);
	task_free(t);
	c = container(NULL);
	c.user = "stranger";
	assert_int_equal(run_as(c, "true"), -1);
	assert_non_null(strstr(heard.why, "stranger"));
}

static void is_who_was_asked_for(void **state)
{
	(void)state;
	struct task_container c = container(NULL);
	c.user = "web";
	c.workdir = "/srv/app";
	c.environment = (const char *const[]){"A=b c", NULL};
	assert_int_equal(run_as(c, "id; pwd; echo $A; cat /etc/hostname; ulimit -n"), 0);
	expect("uid=1000(web) gid=1001(web) groups=1001(web),1002(extra)");
	expect("/srv/app");
	expect("b c");
	expect("host-1");
	c = container(NULL);
	c.user = "7:9";
	assert_int_equal(run_as(c, "id"), 0);
	expect("uid=7 gid=9 groups=9");
}

static void is_walled_in(void **state)
{
	(void)state;
	assert_int_equal(
	        run("mount -t tmpfs none /tmp 2>/dev/null || echo no mount; unshare -U true 2>/dev/null || echo no namespace; "
	            "mknod /tmp/d c 1 1 2>/dev/null && cat /tmp/d >/dev/null 2>&1 || echo no device; "
	            "echo x 2>/dev/null > /proc/sys/kernel/core_pattern || echo no pattern; "
	            "echo b 2>/dev/null > /proc/sysrq-trigger || echo no sysrq; "
	            "touch /sys/x 2>/dev/null || echo no sys; cat /proc/kcore 2>/dev/null | wc -c; "
	            "ls /sys/fs/cgroup | wc -l; ls /dev | tr '\\n' ' '; echo; cat /proc/self/uid_map; "
	            "grep CapEff /proc/self/status; grep Seccomp: /proc/self/status; ls /proc | grep -c '^[0-9]'; "
	            "kill -9 1000000 2>/dev/null || echo nobody else; id -u"),
	        0);
	expect("no mount");
	expect("no namespace");
	expect("no device");
	expect("no pattern");
	expect("no sysrq");
	expect("no sys");
	expect("CapEff:\t00000000a80425fb");
	expect("Seccomp:\t2");
	expect("0");
	unsigned inside = 1, outside = 0, count = 0;
	const char *map = strstr(heard.text, "0:          0");
	assert_non_null(map);
	assert_int_equal(sscanf(map + 2, "%u %u %u", &inside, &outside, &count), 3);
	assert_true(inside == 0 && outside >= 0x60000000 && count == 65536); /* nobody on the machine */
	assert_null(strstr(heard.text, "sda"));
}

static void loses_capabilities(void **state)
{
	(void)state;
	struct task_container c = container(NULL);
	c.capabilities_drop = (const char *const[]){"ALL", NULL};
	c.capabilities_add = (const char *const[]){"NET_BIND_SERVICE", NULL};
	c.no_new_privileges = true;
	c.read_only_root = true;
	assert_int_equal(
	        run_as(c,
	               "grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status; touch /x 2>/dev/null || echo read only; "
	               "ping -c 1 127.0.0.1 >/dev/null 2>&1 || echo no raw socket"),
	        0);
	expect("CapEff:\t0000000000000400");
	expect("NoNewPrivs:\t1");
	expect("read only");
	expect("no raw socket");
	assert_int_equal(run("ping -c 1 127.0.0.1 >/dev/null && echo raw socket"), 0);
	expect("raw socket");
}

static void stops_when_told(void **state)
{
	(void)state;
	struct task_container c[2] = {
	        container((const char *const[]){"/bin/sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done", NULL}),
	        container((const char *const[]){"/bin/sleep", "1000", NULL})};
	c[1].name = "two";
	c[1].stop_timeout_us = 200000;
	struct task *t = make(c, 2);
	assert_int_equal(task_container_count(t), 2);
	assert_string_equal(task_container_name(t, 1), "two");
	task_start(t, 0);
	task_start(t, 1);
	wait_for(&heard.started[1]);
	for (int i = 0; i < 6000 && !strstr(heard.text, "up"); i++)
		world_wait(&world, &heard.never, 10000);
	task_stop(t, 0);
	wait_for(&heard.exited[0]);
	assert_int_equal(heard.code[0], 3);
	assert_false(heard.exited[1]);
	task_stop(t, 1); /* process 1 without a handler hears nothing */
	wait_for(&heard.exited[1]);
	assert_int_equal(heard.code[1], 137);
	assert_false(heard.oom[1]);
	task_end(t);
	wait_for(&heard.ended);
	assert_int_equal(heard.error, 0);
	task_free(t);
}

static void keeps_to_its_size(void **state)
{
	(void)state;
	struct task_container c = container(NULL);
	c.memory_bytes = 32 << 20;
	assert_int_equal(run_as(c, "exec dd if=/dev/zero of=/dev/null bs=100M count=1"), 137);
	assert_true(heard.oom[0]);
	assert_true(run("dd if=/dev/zero of=/big bs=1M count=100 2>/dev/null; stat -c %s /big") == 0);
	assert_null(strstr(heard.text, "104857600"));
}

static void shares_volumes(void **state)
{
	(void)state;
	const struct task_mount both = {.kind = TASK_MOUNT_VOLUME, .path = "/data", .volume = "v"};
	const struct task_mount temporary[2] = {{.kind = TASK_MOUNT_VOLUME, .path = "/in", .volume = "v", .read_only = true},
	                                        {.kind = TASK_MOUNT_TMPFS, .path = "/t", .bytes = 1 << 20}};
	struct task_container c[2] = {
	        container((const char *const[]){"/bin/sh", "-c", "echo shared > /data/f", NULL}),
	        container((const char *const[]){"/bin/sh", "-c",
	                                        "cat /in/f; touch /in/g 2>/dev/null || echo read only; dd if=/dev/zero "
	                                        "of=/t/x bs=1M count=2 2>/dev/null || echo small",
	                                        NULL})};
	c[0].mounts = &both;
	c[0].mount_count = 1;
	c[1].name = "two";
	c[1].mounts = temporary;
	c[1].mount_count = 2;
	struct task_spec spec = {.id = "task-1",
	                         .memory_bytes = 128 << 20,
	                         .scratch_bytes = 64 << 20,
	                         .containers = c,
	                         .container_count = 2,
	                         .volumes = (const char *const[]){"v", NULL}};
	memset(&heard, 0, sizeof(heard));
	struct task *t = task_new(tasks, &spec, &heard);
	wait_for(&heard.ready);
	task_start(t, 0);
	wait_for(&heard.exited[0]);
	task_start(t, 1);
	wait_for(&heard.exited[1]);
	assert_non_null(strstr(heard.text, "1: shared\n1: read only\n1: small\n"));
	task_free(t);
}

static void is_watched(void **state)
{
	(void)state;
	struct task_container c = container((const char *const[]){"/bin/sleep", "1000", NULL});
	c.health = (struct task_health){.argv = (const char *const[]){"/bin/sh", "-c", "test -e /tmp/well", NULL},
	                                .interval_us = 100000,
	                                .timeout_us = SOON_US,
	                                .retries = 2};
	struct task *t = make(&c, 1);
	task_start(t, 0);
	for (int i = 0; i < 6000 && heard.health != TASK_UNHEALTHY; i++)
		world_wait(&world, &heard.never, 10000);
	assert_int_equal(heard.health, TASK_UNHEALTHY);
	task_free(t);
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
	heard.closed = true;
	heard.closed_code = code;
}

static void opens_a_shell(void **state)
{
	(void)state;
	static const struct task_exec_events exec_events = {on_opened, on_closed};
	struct task_container c = container((const char *const[]){"/bin/sleep", "1000", NULL});
	struct task *t = make(&c, 1);
	task_start(t, 0);
	wait_for(&heard.started[0]);
	const char *const argv[] = {"/bin/sh", "-c", "test -t 0 && echo $X; grep CapEff /proc/self/status; exit 5", NULL};
	assert_int_equal(task_exec(t, 0, argv, (const char *const[]){"X=terminal", NULL}, &exec_events, NULL), 0);
	wait_for(&heard.opened);
	if (heard.terminal < 0)
		fail_msg("exec: %d %s", heard.error, heard.why);
	wait_for(&heard.closed);
	assert_int_equal(heard.closed_code, 5);
	char text[512] = "";
	/* a terminal gives what was written bit by bit */
	size_t n = 0;
	for (ssize_t more; n < sizeof(text) - 1 && (more = read(heard.terminal, text + n, sizeof(text) - 1 - n)) > 0;)
		n += (size_t)more;
	close(heard.terminal);
	assert_non_null(strstr(text, "terminal"));
	assert_non_null(strstr(text, "00000000a80425fb"));
	task_free(t);
}

/* ---- its network ---- */

/* A router as `net` has them, of a user namespace of its own, and the plug of its one port. */
static _Noreturn void be_router(int plug)
{
	struct plug_word w;
	int own = unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 ? -1 : open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	fcntl(plug, F_SETFL, 0);
	while (own >= 0 && msg_recv(plug, &w, sizeof(w), NULL, 0, NULL) == sizeof(w)) {
		struct plug_word a = {.verb = w.verb, .name = "p1", .mac = {0x0a, 1, 2, 3, 4, 5}};
		msg_send(plug, &a, sizeof(a), &own, w.verb == PLUG_ASK);
	}
	_exit(0);
}

static int make_port(void)
{
	int pair[2];
	assert_int_equal(msg_pair(pair), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[1]);
		be_router(pair[0]);
	}
	assert_true(pid > 0);
	close(pair[0]);
	return pair[1];
}

static void has_its_interface(void **state)
{
	(void)state;
	struct task_port port = {.fd = make_port(), .address = 0x0a000105, .gateway = 0x0a000101, .prefix = 24};
	struct task_container c = container(
	        (const char *const[]){"/bin/sh", "-c",
	                              "ip -4 addr show eth0; ip link show eth0; ip route; cat /etc/hosts /etc/resolv.conf; "
	                              "nc 169.254.170.2 80 </dev/null; nc -l -p 80 & sleep 0.2; kill $! && echo listened",
	                              NULL});
	struct task_spec spec = {.id = "task-1",
	                         .port = &port,
	                         .memory_bytes = 128 << 20,
	                         .scratch_bytes = 64 << 20,
	                         .host_name = "ip-10-0-1-5",
	                         .dns_servers = (const char *const[]){"10.0.0.2", NULL},
	                         .containers = &c,
	                         .container_count = 1};
	memset(&heard, 0, sizeof(heard));
	struct task *t = task_new(tasks, &spec, &heard);
	for (int i = 0; i < 6000 && !heard.ready && !heard.ended; i++)
		world_wait(&world, &heard.never, 10000);
	if (!heard.ready)
		fail_msg("not ready: %s", heard.why);
	task_start(t, 0);
	int fd = -1;
	for (int i = 0; i < 6000 && fd < 0; i++) {
		world_wait(&world, &heard.never, 10000);
		fd = accept4(task_metadata_listener(t), NULL, NULL, SOCK_CLOEXEC);
	}
	assert_true(fd >= 0);
	close(fd);
	wait_for(&heard.exited[0]);
	if (!strstr(heard.text, "inet 10.0.1.5/24"))
		fail_msg("no address:\n%s", heard.text);
	assert_non_null(strstr(heard.text, "link/ether 0a:01:02:03:04:05"));
	expect("default via 10.0.1.1 dev eth0 ");
	expect("10.0.1.5 ip-10-0-1-5");
	expect("nameserver 10.0.0.2");
	expect("listened");
	task_free(t);
	close(port.fd);
}

/* ---- what a container may ask for ---- */

static void has_an_init(void **state)
{
	(void)state;
	struct task_container c = container(NULL);
	if (access("/usr/bin/tini-static", X_OK) < 0)
		skip();
	c.init_process = true;
	/* it is process 1, reaps who has lost its parent, and hands signals and the exit code on */
	assert_int_equal(run_as(c, "cat /proc/1/comm; (sleep 0.1 & exec true); sleep 0.5; "
	                           "grep -l '^State:.Z' /proc/[0-9]*/status && echo ZOMBIE; exit 9"),
	                 9);
	assert_null(strstr(heard.text, "ZOMBIE"));
	assert_non_null(strstr(heard.text, "0: init\n"));
	c = container((const char *const[]){"/bin/sh", "-c", "trap 'exit 6' TERM; echo up; while :; do sleep 0.1; done", NULL});
	c.init_process = true;
	struct task *t = make(&c, 1);
	task_start(t, 0);
	wait_to_hear("up");
	task_stop(t, 0);
	wait_for(&heard.exited[0]);
	assert_int_equal(heard.code[0], 6);
	task_free(t);
}

static void has_a_terminal(void **state)
{
	(void)state;
	struct task_container c = container(NULL);
	c.tty = true;
	assert_int_equal(
	        run_as(c,
	               "test -t 0 && test -t 1 && test -t 2 && echo terminal; echo $TERM; echo err >&2; ls -l /dev/console; exit 3"),
	        3);
	expect("terminal");
	expect("xterm");
	expect("err"); /* there is one stream */
}

static void has_sysctls(void **state)
{
	(void)state;
	const struct task_pair sysctls[] = {
	        {"net.core.somaxconn", "777"}, {"net.ipv4.ip_local_port_range", "2000\t3000"}, {"kernel.shm_rmid_forced", "1"}};
	struct task_container c = container(NULL);
	c.sysctls = sysctls;
	c.sysctl_count = 3;
	assert_int_equal(
	        run_as(c,
	               "cat /proc/sys/net/core/somaxconn; cat /proc/sys/net/ipv4/ip_local_port_range; cat /proc/sys/kernel/shm_rmid_forced"),
	        0);
	expect("777");
	expect("2000\t3000");
	expect("1");
	/* one that is the machine's */
	const struct task_pair wrong = {"kernel.panic", "1"};
	c.sysctls = &wrong;
	c.sysctl_count = 1;
	assert_int_equal(run_as(c, "true"), -1);
	assert_non_null(strstr(heard.why, "kernel.panic"));
}

/* ---- layers ---- */

static const char *bad_layer;
static char bad_id[65], bad_digest[65];

static int open_bad_layer(void *ctx, size_t index)
{
	(void)ctx;
	(void)index;
	int fd = open(bad_layer, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* `python` adds to the archive `t` by add(name, type, link, content). flavour: what compresses it. */
static int try_layer(const char *python, const char *flavour, bool wrong_id)
{
	static char path[128];
	char command[4096], one[65], two[65];
	struct image_limits limits = {.layer_bytes = 1 << 20, .layer_entries = 64};
	snprintf(path, sizeof(path), "%s/bad.tar", world.dir);
	snprintf(
	        command, sizeof(command),
	        "python3 -c \"import tarfile, io\nt = tarfile.open('%s', 'w')\ndef add(name, type=tarfile.REGTYPE, link='', content=b'', **more):\n i = "
	        "tarfile.TarInfo(name)\n i.type = type\n i.linkname = link\n i.size = len(content)\n [setattr(i, k, v) for k, v in more.items()]\n t.addfile(i, "
	        "io.BytesIO(content))\n%s\nt.close()\n\" && %s < %s > %s.z",
	        path, python, flavour, path, path);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "cat %s", path);
	digest_of(command, two);
	snprintf(path, sizeof(path), "%s/bad.tar.z", world.dir);
	snprintf(command, sizeof(command), "cat %s", path);
	digest_of(command, one);
	if (wrong_id)
		two[0] = two[0] == '0' ? '1' : '0';
	bad_layer = path;
	memcpy(bad_id, two, sizeof(bad_id));
	memcpy(bad_digest, one, sizeof(bad_digest));
	struct images *own = images_new(world.loop, world.cells, world.dir, &limits);
	const struct image_layer layer = {one, two, 0};
	heard.image_ready = false;
	struct image *i = image_prepare(own, &layer, 1, open_bad_layer, crew_image, NULL);
	wait_for(&heard.image_ready);
	char place[256];
	snprintf(place, sizeof(place), "%s/layers/%s", world.dir, two);
	assert_int_equal(access(place, F_OK) == 0, heard.image_error == 0);
	image_release(i);
	images_free(own);
	snprintf(place, sizeof(place), "%s/layers", world.dir);
	assert_int_equal(count_names(place, ".new-"), 0);
	return heard.image_error;
}

static void refuses(const char *python, int error, const char *why)
{
	int got = try_layer(python, "gzip", false);
	if (got != error || !strstr(heard.image_why, why))
		fail_msg("%s: %d %s", python, got, heard.image_why);
}

static void refuses_hostile_layers(void **state)
{
	(void)state;
	assert_int_equal(try_layer("add('ok', content=b'1')", "gzip", false), 0);
	assert_int_equal(try_layer("add('ok', content=b'2')", "zstd -q -c", false), 0);
	assert_int_equal(try_layer("add('ok', content=b'3')", "cat", false), 0);
	refuses("add('/etc/x')", -EPERM, "absolute");
	refuses("add('a/../../x')", -EPERM, "..");
	refuses("add('l', tarfile.SYMTYPE, '../x')", -EPERM, "link out");
	refuses("add('l', tarfile.LNKTYPE, '../x')", -EPERM, "link out");
	refuses("add('l', tarfile.LNKTYPE, 'none')", -EBADMSG, "not there");
	refuses("add('d', tarfile.CHRTYPE, devmajor=1, devminor=3)", -EPERM, "device node");
	refuses("add('d', tarfile.BLKTYPE, devmajor=7)", -EPERM, "device node");
	refuses("add('u', uid=70000)", -EPERM, "above 65535");
	refuses("add('big', content=bytes(2 << 20))", -E2BIG, "larger than allowed");
	refuses("[add(str(i)) for i in range(100)]", -E2BIG, "one more");
	refuses("add('.wh.')", -EBADMSG, "no name");
	assert_int_equal(try_layer("add('ok', content=b'4')", "gzip", true), -EBADMSG);
	assert_non_null(strstr(heard.image_why, "image's configuration"));
	assert_int_equal(try_layer("add('ok', content=bytes(5000))", "gzip | head -c 60", false), -EBADMSG);
	assert_int_equal(
	        try_layer(
	                "add('etc', tarfile.DIRTYPE, mode=0o755); add('s', tarfile.SYMTYPE, '/etc'); add('s/x', content=b'inside')",
	                "cat", false),
	        0);
	assert_int_not_equal(access("/etc/x", F_OK), 0);
}

static bool has_layer(const char *id)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/layers/%s", world.dir, id);
	return access(path, F_OK) == 0;
}

/* What no image, no task and no list names goes; the layer of a running task stays, whoever trims. */
static void trims_layers(void **state)
{
	(void)state;
	char gone[65], kept[65], filed[65];
	assert_int_equal(try_layer("add('trim', content=b'gone')", "cat", false), 0);
	memcpy(gone, bad_id, sizeof(gone));
	assert_int_equal(try_layer("add('trim', content=b'kept')", "cat", false), 0);
	memcpy(kept, bad_id, sizeof(kept));
	assert_int_equal(try_layer("add('trim', content=b'file')", "gzip", false), 0);
	memcpy(filed, bad_id, sizeof(filed));
	struct task_container c = container((const char *const[]){"/bin/sh", "-c", "echo up; read x; sleep 1000", NULL});
	struct task *t = make(&c, 1);
	struct images *stranger = images_new(world.loop, world.cells, world.dir, NULL);
	images_trim(stranger, (const char *const[]){kept, bad_digest}, 2);
	for (int i = 0; i < 1000 * world_patience() && has_layer(gone); i++)
		world_wait(&world, &heard.never, 10000);
	assert_false(has_layer(gone));
	assert_true(has_layer(kept));
	assert_true(has_layer(filed)); /* by its file */
	task_start(t, 0);              /* from layers that the stranger did not name */
	wait_for(&heard.started[0]);
	wait_to_hear("up");
	task_free(t);
	images_free(stranger);
	leaves_nothing(NULL);
	/* one of them is wanted while it goes: it comes again */
	const struct image_layer layer = {bad_digest, filed, 0};
	images_trim(images, NULL, 0);
	heard.image_ready = false;
	struct image *i = image_prepare(images, &layer, 1, open_bad_layer, crew_image, NULL);
	wait_for(&heard.image_ready);
	assert_int_equal(heard.image_error, 0);
	assert_false(has_layer(kept));
	assert_true(has_layer(filed));
	image_release(i);
	assert_int_equal(run("echo still here"), 0); /* `images` holds it */
}

/* ---- faults ---- */

static void outlives_priv_and_api(void **state)
{
	(void)state;
	struct task_container c = container(
	        (const char *const[]){"/bin/sh", "-c", "trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.1; done", NULL});
	struct task *t = make(&c, 1);
	task_start(t, 0);
	wait_for(&heard.started[0]);
	kill(world.priv, SIGKILL);
	tasks_free(tasks);
	world_restart_priv(&world);
	memset(&heard, 0, sizeof(heard));
	tasks = tasks_new(world.loop, world.cells, world.dir, getenv("QUARTET_CONTAINER_RUNTIME"), &crew_events, crew_found,
	                  &heard);
	wait_for(&heard.settled);
	assert_non_null(heard.found);
	wait_for(&heard.started[0]);
	assert_string_equal(task_container_name(heard.found, 0), "one");
	task_stop(heard.found, 0);
	wait_for(&heard.exited[0]);
	assert_int_equal(heard.code[0], 4);
	expect("bye");
	task_free(heard.found);
	leaves_nothing(NULL);
}

static pid_t shim_of(unsigned slot)
{
	char path[160];
	int pid = 0;
	snprintf(path, sizeof(path), "/sys/fs/cgroup/pids/quartet-%s/t%u/s/cgroup.procs", world.instance, slot);
	FILE *f = fopen(path, "re");
	if (!f) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup/quartet-%s/t%u/s/cgroup.procs", world.instance, slot);
		f = fopen(path, "re");
	}
	if (f && fscanf(f, "%d", &pid) != 1)
		pid = 0;
	if (f)
		fclose(f);
	return pid;
}

static void dies_with_its_shim(void **state)
{
	(void)state;
	struct task_container c = container((const char *const[]){"/bin/sleep", "1000", NULL});
	struct task *t = make(&c, 1);
	task_start(t, 0);
	wait_for(&heard.started[0]);
	pid_t pid = 0;
	for (unsigned slot = 0; slot < 256 && !pid; slot++)
		pid = shim_of(slot);
	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	wait_for(&heard.ended);
	assert_int_equal(heard.error, -EIO);
	task_free(t);
	leaves_nothing(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(says_and_ends),        cmocka_unit_test(does_not_start),
	        cmocka_unit_test(is_who_was_asked_for), cmocka_unit_test(is_walled_in),
	        cmocka_unit_test(loses_capabilities),   cmocka_unit_test(stops_when_told),
	        cmocka_unit_test(keeps_to_its_size),    cmocka_unit_test(shares_volumes),
	        cmocka_unit_test(is_watched),           cmocka_unit_test(opens_a_shell),
	        cmocka_unit_test(has_its_interface),    cmocka_unit_test(refuses_hostile_layers),
	        cmocka_unit_test(has_an_init),          cmocka_unit_test(has_a_terminal),
	        cmocka_unit_test(has_sysctls),          cmocka_unit_test(trims_layers),
	        cmocka_unit_test(leaves_nothing),       cmocka_unit_test(outlives_priv_and_api),
	        cmocka_unit_test(dies_with_its_shim),
	};
	return cmocka_run_group_tests(tests, crew_set_up, crew_tear_down);
}
