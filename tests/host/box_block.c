/* priv's child that makes a block device of what a storage daemon offers (warden_box.c), and a daemon that dies while it waits.
 * This program is the daemon: it has the FUSE device and answers nothing. */
#include "engine/vm/warden_box.h"

#include "../unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 };

/* What the child comes to; -ETIMEDOUT: it waits on. */
static int end_of(pid_t pid)
{
	int status;
	for (int waited = 0; waited < PATIENCE_MS; waited += 10) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
		usleep(10000);
	}
	return -ETIMEDOUT;
}

static _Noreturn void be_child(int device)
{
	struct warden_request r = {.verb = WARDEN_BLOCK};
	int made[2], fds[BLOCK_FDS] = {[BLOCK_FD_OFFER] = device};
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fds[BLOCK_FD_USERS] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	fds[BLOCK_FD_DEVICES] = -1;
	if (unshare(CLONE_NEWNS) < 0)
		_exit(EXIT_FAILURE);
	_exit(-warden_box_block(&r, fds, made));
}

/* The kernel asks the daemon for the first time, and then the last one who could answer goes. */
static void test_a_daemon_that_dies_is_not_waited_for(void **state)
{
	(void)state;
	int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	struct pollfd asked = {.fd = device, .events = POLLIN};
	if (device < 0 || geteuid() != 0) {
		print_message("needs root and /dev/fuse\n");
		skip();
	}
	pid_t pid = fork();
	if (pid == 0)
		be_child(device);
	assert_true(pid > 0);
	assert_int_equal(poll(&asked, 1, PATIENCE_MS), 1);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	close(device);
	int error = end_of(pid);
	if (error == -ETIMEDOUT) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	assert_true(error == -ENOTCONN || error == -ECONNABORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_a_daemon_that_dies_is_not_waited_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
