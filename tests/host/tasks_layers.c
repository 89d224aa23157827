/* Layers upon layers, as a container sees them: what is hidden, what comes back, what attributes files keep. */
#include "crew.h"

#include "../unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LAYERS = 4 };
static char files[LAYERS][160], digests[LAYERS][65], ids[LAYERS][65];

static int open_file(void *ctx, size_t index)
{
	(void)ctx;
	int fd = open(files[index], O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* `python` adds to the archive with add(name, type, link, content, ...); {busybox} is that program's bytes. */
static void make_layer(unsigned n, const char *python, const char *flavour)
{
	char command[4096], path[128];
	snprintf(path, sizeof(path), "%s/stack%u.tar", world.dir, n);
	snprintf(files[n], sizeof(files[n]), "%s.z", path);
	snprintf(
	        command, sizeof(command),
	        "cat > %s.py <<'END'\nimport tarfile, io\nD, S, L = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE\n"
	        "t = tarfile.open('%s', 'w', format=tarfile.PAX_FORMAT)\nbusybox = open('/usr/bin/busybox', 'rb').read()\n"
	        "def add(name, type=tarfile.REGTYPE, link='', content=b'', **more):\n    i = tarfile.TarInfo(name)\n    i.type = type\n    i.linkname = link\n"
	        "    i.size = len(content)\n    i.mode = 0o755\n    for k, v in more.items():\n        setattr(i, k, v)\n    t.addfile(i, io.BytesIO(content))\n"
	        "%s\nt.close()\nEND\npython3 %s.py && %s < %s > %s",
	        path, path, python, path, flavour, path, files[n]);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "cat %s", files[n]);
	digest_of(command, digests[n]);
	snprintf(command, sizeof(command), "cat %s", path);
	digest_of(command, ids[n]);
}

static void are_stacked(void **state)
{
	(void)state;
	make_layer(
	        0,
	        "add('bin/busybox', content=busybox)\nfor n in 'sh cat ls stat grep id readlink test'.split(): add('bin/' + n, S, 'busybox')\n"
	        "add('a/gone', content=b'0')\nadd('a/stays', content=b'0')\nadd('o/old', content=b'0')\nadd('o/sub/old', content=b'0')\nadd('d/f', content=b'0')\n"
	        "add('back/f', content=b'0')\nadd('file', content=b'0')\nadd('dir/f', content=b'0')\n"
	        "add('etc/passwd', content=b'root:x:0:0::/:/bin/sh\\nweb:x:1000:1000::/:/bin/sh\\n')",
	        "gzip");
	make_layer(
	        1,
	        "add('a/.wh.gone')\nadd('o/.wh..wh..opq')\nadd('o/new', content=b'1')\nadd('.wh.d')\nadd('.wh.back')\n"
	        "add('h1', content=b'hard')\nadd('h2', L, 'h1')\nadd('h3', L, '/h1')\nadd('file', D)\nadd('file/in', content=b'1')\nadd('dir', content=b'1')",
	        "zstd -q -c");
	/* what was hidden comes back, and only that */
	make_layer(2, "add('back', D, mode=0o715, uid=7, gid=8)\nadd('back/g', content=b'2')\nadd('d', S, 'a')\nadd('o/.wh.new')",
	           "gzip");
	make_layer(
	        3,
	        "add('busybox.capable', content=busybox, pax_headers={'SCHILY.xattr.security.capability': '\\x01\\0\\0\\x02\\0\\x20' + 14 * '\\0'})\n"
	        "add('busybox.setuid', content=busybox, mode=0o4755)\nadd('owned', content=b'3', uid=12, gid=34, mode=0o640, mtime=1000000000)\n"
	        "add('attributes', content=b'3', pax_headers={'SCHILY.xattr.user.mine': 'kept', 'SCHILY.xattr.user.overlay.opaque': 'y', "
	        "'SCHILY.xattr.trusted.overlay.redirect': '/etc', 'SCHILY.xattr.security.selinux': 'x'})",
	        "cat");
	struct image_layer layers[LAYERS];
	for (int i = 0; i < LAYERS; i++)
		layers[i] = (struct image_layer){digests[i], ids[i], 0};
	heard.image_ready = false;
	struct image *i = image_prepare(images, layers, LAYERS, open_file, crew_image, NULL);
	wait_for(&heard.image_ready);
	if (heard.image_error)
		fail_msg("%d %s", heard.image_error, heard.image_why);
	struct task_container c = container(NULL);
	c.image = i;
	c.user = "web";
	assert_int_equal(
	        run_as(c,
	               "ls /a; echo -; ls /o; echo -; ls /back; stat -c '%a %u %g' /back; readlink /d; cat /file/in /dir; echo; stat -c '%h' /h1 /h2 /h3; cat /h3; echo; "
	               "stat -c '%a %u %g %Y' /owned; cat /owned 2>/dev/null || echo denied; "
	               "/busybox.capable grep CapEff /proc/self/status; stat -c %a /busybox.setuid; /bin/busybox grep CapEff /proc/self/status"),
	        0);
	const char *const wanted =
	        "0: stays\n0: -\n0: -\n0: g\n0: 715 7 8\n0: a\n0: 11\n0: 3\n0: 3\n0: 3\n0: hard\n0: 640 12 34 1000000000\n0: denied\n"
	        "0: CapEff:\t0000000000002000\n"; /* of its user namespace, like the file's */
	if (strncmp(heard.text, wanted, strlen(wanted)) != 0)
		fail_msg("%s", heard.text);
	assert_non_null(strstr(heard.text, "0: 4755\n0: CapEff:\t0000000000000000\n"));
	/* who says that nothing may be gained gains nothing */
	c.no_new_privileges = true;
	assert_int_equal(run_as(c, "/busybox.capable grep CapEff /proc/self/status"), 0);
	expect("CapEff:\t0000000000000000");
	/* the attributes that a layer may have, seen from the machine */
	char command[256], path[160];
	snprintf(path, sizeof(path), "%s/layers/%s/fs/attributes", world.dir, ids[3]);
	snprintf(command, sizeof(command), "python3 -c \"import os, sys; sys.exit(sorted(os.listxattr('%s')) != ['user.mine'])\"",
	         path);
	assert_int_equal(system(command), 0);
	image_release(i);
}

/* Nothing in it is too deep to be taken away again. */
static void may_be_deep(void **state)
{
	(void)state;
	make_layer(
	        0,
	        "deep = 'a/' * 1900\nadd(deep + 'x', content=b'1')\nadd('s', S, deep)\nadd('s/' + deep + 'y', content=b'2')\nadd('/no')",
	        "gzip");
	const struct image_layer layer = {digests[0], ids[0], 0};
	heard.image_ready = false;
	struct image *i = image_prepare(images, &layer, 1, open_file, crew_image, NULL);
	wait_for(&heard.image_ready);
	assert_int_equal(heard.image_error, -EPERM);
	assert_non_null(strstr(heard.image_why, "absolute"));
	image_release(i);
	char path[128];
	snprintf(path, sizeof(path), "%s/layers", world.dir);
	assert_int_equal(count_names(path, "."), 2); /* "." and ".." */
}

/* A small file that becomes a large one. */
static void may_not_be_bombs(void **state)
{
	(void)state;
	struct image_limits limits = {.layer_bytes = 8 << 20, .layer_entries = 64};
	static const char *const flavours[] = {"gzip -9", "zstd -q -19 -c"};
	for (int k = 0; k < 2; k++) {
		make_layer(0, "[add(str(i), content=bytes(1 << 20)) for i in range(100)]", flavours[k]);
		struct images *own = images_new(world.loop, world.cells, world.dir, &limits);
		const struct image_layer layer = {digests[0], ids[0], 0};
		heard.image_ready = false;
		struct image *i = image_prepare(own, &layer, 1, open_file, crew_image, NULL);
		wait_for(&heard.image_ready);
		assert_int_equal(heard.image_error, -E2BIG);
		assert_non_null(strstr(heard.image_why, "larger than allowed"));
		image_release(i);
		images_free(own);
	}
	char path[128];
	snprintf(path, sizeof(path), "%s/layers", world.dir);
	assert_int_equal(count_names(path, "."), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(are_stacked), cmocka_unit_test(may_be_deep),
	                                   cmocka_unit_test(may_not_be_bombs)};
	return cmocka_run_group_tests(tests, crew_set_up, crew_tear_down);
}
