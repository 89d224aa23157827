/* Pictures of screens: what is a pixmap becomes a picture of that size, and what is none is refused. */
#include "unit.h"

#include "engine/vm/screen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <jpeglib.h>

static int file_of(const char *head, size_t pixels)
{
	int fd = memfd_create("pixmap", MFD_CLOEXEC);
	assert_true(write(fd, head, strlen(head)) == (ssize_t)strlen(head));
	for (size_t i = 0; i < pixels; i++)
		assert_int_equal(write(fd, "\xff\x00\x00", 3), 3);
	return fd;
}

static void a_picture(void **state)
{
	(void)state;
	unsigned char *jpeg = NULL;
	size_t n = 0;
	int fd = file_of("P6\n40 30\n255\n", 40 * 30);
	assert_int_equal(screen_jpeg(fd, &jpeg, &n), 0);
	close(fd);
	struct jpeg_decompress_struct d = {0};
	struct jpeg_error_mgr e;
	unsigned char row[40 * 3], *rows = row;
	d.err = jpeg_std_error(&e);
	jpeg_create_decompress(&d);
	jpeg_mem_src(&d, jpeg, n);
	assert_int_equal(jpeg_read_header(&d, TRUE), JPEG_HEADER_OK);
	assert_int_equal(d.image_width, 40);
	assert_int_equal(d.image_height, 30);
	jpeg_start_decompress(&d);
	assert_int_equal(jpeg_read_scanlines(&d, &rows, 1), 1);
	assert_true(row[0] > 240 && row[1] < 16 && row[2] < 16); /* red */
	jpeg_destroy_decompress(&d);
	free(jpeg);
}

static void what_is_none(void **state)
{
	(void)state;
	static const struct {
		const char *head;
		size_t pixels;
		int error;
	} cases[] = {
	        {"", 0, -EBADMSG},
	        {"P6", 0, -EBADMSG},
	        {"P6\n", 0, -EBADMSG},
	        {"P5\n2 2\n255\n", 4, -EBADMSG},
	        {"P6\n2 2\n255\n", 3, -EBADMSG}, /* not whole */
	        {"P6\n2 2\n255", 0, -EBADMSG},
	        {"P6\n2 2\n65535\n", 8, -EBADMSG},
	        {"P6\n0 2\n255\n", 4, -EBADMSG},
	        {"P6\n-2 2\n255\n", 4, -EBADMSG},
	        {"P6\n2x2\n255\n", 4, -EBADMSG},
	        {"P6\n9000 1\n255\n", 1, -EFBIG},
	        {"P6\n8192 8192\n255\n", 1, -EBADMSG},
	        {"P6\n99999999999 1\n255\n", 1, -EBADMSG},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned char *jpeg = NULL;
		size_t n;
		int fd = file_of(cases[i].head, cases[i].pixels), error = screen_jpeg(fd, &jpeg, &n);
		if (error != cases[i].error || jpeg)
			fail_msg("case %zu: %d", i, error);
		close(fd);
	}
	int fd = memfd_create("large", MFD_CLOEXEC);
	unsigned char *jpeg = NULL;
	size_t n;
	assert_int_equal(ftruncate(fd, SCREEN_BYTES_MAX + 1), 0);
	assert_int_equal(screen_jpeg(fd, &jpeg, &n), -EFBIG);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_picture), cmocka_unit_test(what_is_none)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
