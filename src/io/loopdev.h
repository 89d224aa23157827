/* Block devices of files (loop devices). For `priv`, which makes disks and limited places of files; the device goes when nobody has
 * it open or mounted any more. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

/* direct: past the page cache, where the file's file system can. A descriptor of the device, or negative errno. */
int loopdev_make(int file, bool direct, char ret_path[32], dev_t *ret_device);
