/* The file system that a cell sees. A template mount namespace is made once: a read-only skeleton with the machine's own
 * /usr in it. A cell copies that namespace (a dozen mounts, not the machine's hundred), adds its own /proc and /tmp,
 * and gets its code mounted later, while it already runs. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct root_config {
	const char *stage_dir;   /* an empty directory to mount on for a moment, in a private namespace */
	const char *runtime_dir; /* becomes /var/runtime; NULL: an empty directory */
	const char *resolver;    /* nameserver address in /etc/resolv.conf; NULL: the machine's own that are not loopback */
};

/* Gives the calling process a mount namespace of its own from which nothing propagates. Refuses (-EPERM) when the result
 * would still be that of pid 1. Every other function of this header must come after it. */
int root_private_mounts(void);

/* Makes the template in a short-lived child process. ret_ns_fd refers to its mount namespace and keeps it alive. On failure ret_why
 * says what could not be done. */
int root_make_template(const struct root_config *config, int *ret_ns_fd, char *ret_why, size_t why_cap);

/* In a cell's own process, as root: leaves the present mount namespace for a fresh copy of the template, with /proc of the present
 * pid namespace and a /tmp that belongs to uid. */
int root_enter(int template_fd, uid_t uid, uint64_t tmp_bytes);

/* A detached, read-only copy of the directory below dir_fd at path; path may not be absolute, climb out or pass a symbolic link.
 * A descriptor or negative errno. */
int root_open_tree(int dir_fd, const char *path);

/* From `priv`: what is to be seen in a running cell. Detached mounts, or -1. */
struct root_clothes {
	int code_fd;  /* at /var/task */
	int opt_fd;   /* at /opt */
	int image_fd; /* becomes the root; the machine's files go */
	int names_fd; /* at /etc/resolv.conf */
	uint64_t tmp_bytes;
};
/* Mounts them and resizes /tmp, then comes back to own_ns_fd. Failing to come back is fatal to the process. *ret_tmp_fd is a
 * descriptor in that /tmp, the caller's. */
int root_dress(int cell_ns_fd, int own_ns_fd, const struct root_clothes *clothes, int *ret_tmp_fd);

/* root_image.c: roots made of the unpacked layers of images. They are put together on the stage: a small file system at
 * config->stage_dir in the namespace of `priv`, which has what every such root gets on top of its layers. A descriptor of it, to be
 * taken away with root_close_stage(), or negative errno. `stage_dir` lies beside the directory `layers`. */
int root_open_stage(const struct root_config *config);
void root_close_stage(int data_dir, int stage_fd);
/* A detached, read-only root of so many layers, the lowest first, each 32 bytes (a diff id). A descriptor or negative errno. */
int root_open_image(int stage_fd, const uint8_t layers[][32], size_t count);
/* The resolv.conf of a cell whose link leads into a VPC. A descriptor or negative errno. */
int root_open_names(int stage_fd);

/* template.c: hosts and resolv.conf of a cell, in the directory etc below `root`. 0, or -1 with errno. */
int root_write_network(int root, const struct root_config *config);
