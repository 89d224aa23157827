#include "unit.h"

#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void structs_and_descriptors_arrive(void **state)
{
	(void)state;
	int s[2], p[2], got[4];
	size_t n;
	char text[8];
	assert_int_equal(msg_pair(s), 0);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(msg_recv(s[1], text, sizeof(text), NULL, 0, NULL), -EAGAIN);
	assert_int_equal(msg_send(s[0], "hello", 5, p, 2), 0);
	assert_int_equal(msg_recv(s[1], text, sizeof(text), got, 4, &n), 5);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(n, 2);
	assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(got[1], "x", 1), 1);
	assert_int_equal(read(p[0], text, 1), 1);
	msg_close_fds(got, 2);
	close(s[0]);
	assert_int_equal(msg_recv(s[1], text, sizeof(text), NULL, 0, NULL), 0);
	assert_int_equal(msg_send(s[1], "x", 1, NULL, 0), -EPIPE);
	close(s[1]);
	close(p[0]);
	close(p[1]);
}

static void unwanted_descriptors_are_closed(void **state)
{
	(void)state;
	int s[2], got[2];
	size_t n = 9;
	char text[4];
	assert_int_equal(msg_pair(s), 0);
	int before = open_descriptors();
	int many[3] = {0, 1, 2};
	assert_int_equal(msg_send(s[0], "abc", 3, many, 3), 0);
	assert_int_equal(msg_recv(s[1], text, sizeof(text), got, 2, &n), -EMSGSIZE);
	assert_int_equal(n, 0);
	assert_int_equal(msg_send(s[0], "too long", 8, many, 1), 0);
	assert_int_equal(msg_recv(s[1], text, sizeof(text), got, 2, &n), -EMSGSIZE);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(msg_send(s[0], "", 0, NULL, 0), -EINVAL);
	msg_close_fds(s, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(structs_and_descriptors_arrive),
	        cmocka_unit_test(unwanted_descriptors_are_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
