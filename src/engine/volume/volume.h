/* Block devices as files: qcow2 images below DATA/volumes that share what they have in common.
 *
 * A volume is a writable file; a layer is a file that never changes again and that volumes and later layers stand on. A snapshot
 * freezes a volume's file into a layer and gives the volume a new, empty file on top, so it costs no copy whatever the size, and a
 * new volume of a snapshot or an image is an empty file on its layer. A volume of 100 GiB costs what was written to it. The
 * caller's records say which files there are and which layers are still stood on; this keeps no list. Written from QEMU's
 * docs/interop/qcow2.txt.
 *
 * All calls block for a few file operations and an fsync: call them on a worker thread (io/work). Names are ids of the caller's
 * ("vol-0123456789abcdef0"): letters, digits and '-', at most VOLUME_NAME_MAX bytes with the NUL. Errors are negative errno:
 * -ENOENT, -EEXIST, -ENOSPC, -EINVAL (a name, or a file that is no image of ours). Nothing half-made is left under a name, but for
 * volume_create(). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VOLUME_NAME_MAX = 40, VOLUME_CHAIN_MAX = 64 };

/* A new volume of size bytes (a multiple of 512) on a layer; layer NULL: an empty one. It may be used at once, but what is flushed
 * to it is safe only when volume_settle() has answered: before, a power cut may leave anything under its name, and the caller,
 * whose record says that it is not made yet, deletes it and begins anew. */
int volume_create(int volumes_dir_fd, const char *name, uint64_t size, const char *layer);
int volume_settle(int volumes_dir_fd, const char *name);
/* The volume's file becomes the layer `layer`, and the volume an empty file on it. Only while no machine has it open. After a crash
 * in the middle, repeating it (same names) completes it. */
int volume_freeze(int volumes_dir_fd, const char *name, const char *layer);
/* The two halves of it, for a machine that has the volume open: between them it must go over to the new file (volume_open_new()).
 * begin: -EALREADY when it is done; -EMLINK when the chain would become longer than VOLUME_CHAIN_MAX. A new file that is there
 * already stays: a machine may have written to it. */
int volume_freeze_begin(int volumes_dir_fd, const char *name, const char *layer);
int volume_freeze_end(int volumes_dir_fd, const char *name);
int volume_open_new(int volumes_dir_fd, const char *name);
int volume_delete(int volumes_dir_fd, const char *name); /* a volume or a layer; -ENOENT is success */
/* Grows it; no machine has it open. */
int volume_resize(int volumes_dir_fd, const char *name, uint64_t size);
/* Takes a raw or qcow2 image (without a backing file) from src_fd as layer `layer`; *ret_size: of the device it holds. Blocks for
 * as long as copying takes; holes stay holes. -ENOSPC at once where the disk has no room for it. */
int volume_import(int volumes_dir_fd, const char *layer, int src_fd, uint64_t *ret_size);
/* The same in halves, for an image that comes in pieces: an empty file to write into, the caller's to close; then it is checked and
 * becomes the layer, or goes. volume_delete() forgets one that was begun. */
int volume_import_begin(int volumes_dir_fd, const char *layer);
int volume_import_end(int volumes_dir_fd, const char *layer, int fd, uint64_t *ret_size);
/* The files that make up a volume, top first: name, the layer under it, ... Fills at most VOLUME_CHAIN_MAX; returns how many. */
int volume_chain(int volumes_dir_fd, const char *name, char ret_names[VOLUME_CHAIN_MAX][VOLUME_NAME_MAX]);
/* Size of the device, and bytes that its own file takes on disk. */
int volume_stat(int volumes_dir_fd, const char *name, uint64_t *ret_size, uint64_t *ret_disk_bytes);
/* A descriptor of one file, the caller's. */
int volume_open(int volumes_dir_fd, const char *name, bool write, bool *ret_qcow2);

/* What the first bytes of an image (1024, or the whole of a shorter one) say: 1: qcow2, 0: none, so a raw one of file_bytes;
 * -EINVAL: one that is not ours to open. For tests and fuzzing. */
int volume_parse(const unsigned char *p, size_t n, uint64_t file_bytes, uint64_t *ret_size, char ret_backing[VOLUME_NAME_MAX]);
