/* The two roads of `quartet image import`: cli_image.c for images of instances, cli_image_push.c for container images. */
#pragma once
#include "role/cli.h"

/* Pushes the container image at `path` - a folder in the OCI layout, an archive of one, or what `docker save` writes - to
 * `target`, NAME[:TAG] of the registry, which is made if it is not there. *ret_name: what the image is called, in the arena. An
 * exit status. */
int cli_image_push(struct cli *cli, const struct cli_cloud *cloud, const char *target, const char *path, struct str *ret_name);
