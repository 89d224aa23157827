#include "unit.h"

#include "engine/cell/lockdown.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *nothing(void *ctx)
{
	return ctx;
}

/* Everything in a child, which cannot come back from it. The number of the first check that failed, or 0. */
static int checks(const char *dir)
{
	bool landlock;
	char path[128];
	struct lockdown config = {.data_dir = dir};
	if (lockdown_api(&config, &landlock) < 0)
		return 1;
	/* what goes on */
	snprintf(path, sizeof(path), "%s/new", dir);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) < 0 || unlink(path) < 0)
		return 2;
	snprintf(path, sizeof(path), "%s/sub", dir);
	if (mkdir(path, 0700) < 0)
		return 3;
	if (open("/etc/passwd", O_RDONLY) < 0 || open("/dev/urandom", O_RDONLY) < 0 || open("/dev/null", O_WRONLY) < 0)
		return 4;
	if (socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 || socket(AF_UNIX, SOCK_SEQPACKET, 0) < 0)
		return 5;
	pthread_t thread;
	if (pthread_create(&thread, NULL, nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
		return 6;
	/* what does not */
	if (execl("/bin/true", "true", (char *)NULL) == 0 || errno != EPERM)
		return 10;
	if (unshare(CLONE_NEWUSER) == 0 || errno != EPERM)
		return 11;
	if (socket(AF_INET, SOCK_RAW, 1) >= 0 || errno != EPERM)
		return 12;
	if (syscall(SYS_ptrace, 16, getppid(), 0, 0) == 0 || errno != EPERM)
		return 13;
	if (mknod("/tmp/quartet-never", S_IFIFO | 0600, 0) == 0 || errno != EPERM)
		return 14;
	if (landlock && (open("/", O_RDONLY) >= 0 || open("/tmp", O_RDONLY | O_DIRECTORY) >= 0 ||
	                 open("/etc/quartet-never", O_RDWR | O_CREAT, 0600) >= 0))
		return 15;
	if (setuid(1) == 0 || errno != EPERM)
		return 16;
	return 0;
}

static void it_goes_on_with_less(void **state)
{
	(void)state;
	char dir[] = "/tmp/quartet-lockdown-XXXXXX", path[128];
	assert_non_null(mkdtemp(dir));
	pid_t pid = fork();
	if (pid == 0)
		_exit(checks(dir));
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	snprintf(path, sizeof(path), "%s/sub", dir);
	rmdir(path);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(it_goes_on_with_less)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
