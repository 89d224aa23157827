/* The machine's virtualization (/dev/kvm), for sandboxes whose QEMU uses it. Private to the warden. */
#pragma once
#include <stddef.h>
#include <sys/types.h>

/* Which device it is. 0; -ENOENT: this machine has none, or not of the kind that QEMU knows. */
int warden_kvm_device(dev_t *ret);
/* The id of this boot, "" without KVM. */
void warden_kvm_boot(char *ret, size_t cap);
/* In a sandbox that root_enter() has made, still as root: a /dev of its own that has the device besides the usual. */
int warden_kvm_show(dev_t device);
