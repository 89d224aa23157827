#include "engine/vm/warden_kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int warden_kvm_device(dev_t *ret)
{
	struct stat st;
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -ENOENT;
	bool good = fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && ioctl(fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION;
	close(fd);
	if (!good)
		return -ENOENT;
	*ret = st.st_rdev;
	return 0;
}

void warden_kvm_boot(char *ret, size_t cap)
{
	dev_t device;
	int fd = warden_kvm_device(&device) < 0 ? -1 : open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, ret, cap - 1);
	if (fd >= 0)
		close(fd);
	ret[n > 0 ? n : 0] = 0;
	ret[strcspn(ret, "\n")] = 0;
}

/* The template's /dev is every sandbox's, and functions have no use for the device; so it is not put in there. QEMU's user owns
 * nothing here: the modes are for others. */
int warden_kvm_show(dev_t device)
{
	const struct {
		const char *path;
		dev_t device;
	} nodes[] = {
	        {"/dev/null", makedev(1, 3)}, {"/dev/zero", makedev(1, 5)}, {"/dev/urandom", makedev(1, 9)}, {"/dev/kvm", device}};
	if (mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=4k,nr_inodes=8") < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (mknod(nodes[i].path, S_IFCHR | 0666, nodes[i].device) < 0 || chmod(nodes[i].path, 0666) < 0)
			return -errno;
	if (symlink("/proc/self/fd", "/dev/fd") < 0)
		return -errno;
	return mount(NULL, "/dev", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL) < 0 ? -errno : 0;
}
