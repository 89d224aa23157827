/* Pictures of screens. Pure but for the file that is read; for worker threads. */
#pragma once
#include <stddef.h>

enum { SCREEN_SIDE_MAX = 8192, SCREEN_BYTES_MAX = 64 << 20 };

/* A picture in JPEG's format of the binary portable pixmap (P6, 8 bits a colour) in fd, from its beginning. *ret is to be given to
 * free(). 0; -EBADMSG: it is none, or not whole; -EFBIG: larger than the limits above; -ENOMEM. */
int screen_jpeg(int fd, unsigned char **ret, size_t *ret_bytes);
