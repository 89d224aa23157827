#include "engine/vm/screen.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* wants stdio */
#include <jpeglib.h>
#include <setjmp.h>

enum { QUALITY = 85 };

struct failure {
	struct jpeg_error_mgr base; /* first: libjpeg knows no more of it */
	jmp_buf back;
};

static void fail(j_common_ptr c)
{
	longjmp(((struct failure *)c->err)->back, 1);
}

static void be_quiet(j_common_ptr c)
{
	(void)c;
}

static int compress(const uint8_t *pixels, unsigned width, unsigned height, unsigned char **ret, unsigned long *ret_bytes)
{
	struct jpeg_compress_struct c = {0};
	struct failure f;
	c.err = jpeg_std_error(&f.base);
	f.base.error_exit = fail;
	f.base.output_message = be_quiet;
	if (setjmp(f.back)) {
		jpeg_destroy_compress(&c);
		return -ENOMEM;
	}
	jpeg_create_compress(&c);
	jpeg_mem_dest(&c, ret, ret_bytes);
	c.image_width = width;
	c.image_height = height;
	c.input_components = 3;
	c.in_color_space = JCS_RGB;
	jpeg_set_defaults(&c);
	jpeg_set_quality(&c, QUALITY, TRUE);
	jpeg_start_compress(&c, TRUE);
	while (c.next_scanline < c.image_height) {
		JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + (size_t)c.next_scanline * width * 3);
		jpeg_write_scanlines(&c, &row, 1);
	}
	jpeg_finish_compress(&c);
	jpeg_destroy_compress(&c);
	return 0;
}

/* A number and the one white space behind it. */
static bool take_number(const uint8_t **p, const uint8_t *end, unsigned *ret)
{
	unsigned n = 0, digits = 0;
	for (; *p < end && **p >= '0' && **p <= '9' && digits < 6; (*p)++, digits++)
		n = n * 10 + (unsigned)(**p - '0');
	if (!digits || *p == end || (**p != ' ' && **p != '\n'))
		return false;
	(*p)++;
	*ret = n;
	return true;
}

int screen_jpeg(int fd, unsigned char **ret, size_t *ret_bytes)
{
	struct stat st;
	unsigned width, height, most;
	unsigned char *made = NULL;
	unsigned long bytes = 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > SCREEN_BYTES_MAX)
		return -EFBIG;
	/* Read, not mapped: whoever made the file may still change it. */
	uint8_t *all = malloc((size_t)st.st_size + 1);
	if (!all)
		return -ENOMEM;
	ssize_t n = pread(fd, all, (size_t)st.st_size, 0);
	const uint8_t *p = all + 3, *end = all + (n > 0 ? n : 0);
	int error = 0;
	if (n < 3 || all[0] != 'P' || all[1] != '6' || all[2] != '\n' || !take_number(&p, end, &width) ||
	    !take_number(&p, end, &height) || !take_number(&p, end, &most) || most != 255 || !width || !height)
		error = -EBADMSG;
	else if (width > SCREEN_SIDE_MAX || height > SCREEN_SIDE_MAX)
		error = -EFBIG;
	else if ((size_t)(end - p) < (size_t)width * height * 3)
		error = -EBADMSG;
	else
		error = compress(p, width, height, &made, &bytes);
	free(all);
	if (error) {
		free(made);
		return error;
	}
	*ret = made;
	*ret_bytes = bytes;
	return 0;
}
