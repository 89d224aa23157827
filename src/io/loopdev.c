#include "io/loopdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 64 };

int loopdev_make(int file, bool direct, char ret_path[32], dev_t *ret_device)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), error = control < 0 ? -errno : -EAGAIN, fd = -1;
	/* somebody else may take the free one first */
	for (int i = 0; i < TRIES && (error == -EAGAIN || error == -EBUSY); i++) {
		int n = ioctl(control, LOOP_CTL_GET_FREE);
		if (n < 0) {
			error = -errno;
			break;
		}
		snprintf(ret_path, 32, "/dev/loop%d", n);
		fd = open(ret_path, O_RDWR | O_CLOEXEC);
		if (fd < 0) {
			error = -errno;
			break;
		}
		/* A storage daemon's file goes by the page cache: what is written to it directly arrives wrong (seen with QEMU 7.2)
		 */
		struct loop_config c = {.fd = (unsigned)file,
		                        .info.lo_flags = LO_FLAGS_AUTOCLEAR | (direct ? LO_FLAGS_DIRECT_IO : 0)};
		struct stat st;
		error = ioctl(fd, LOOP_CONFIGURE, &c) < 0 || fstat(fd, &st) < 0 ? -errno : 0;
		if (!error)
			*ret_device = st.st_rdev;
		else
			close(fd);
	}
	if (control >= 0)
		close(control);
	return error ? error : fd;
}
