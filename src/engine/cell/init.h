/* Process 1 of a cell. It runs unprivileged inside, starts what `api` asks for, and passes exit statuses back. */
#pragma once
#include <stdbool.h>

/* Serves until the control socket or the lifeline closes, then exits, and with it everything in the cell. With has_image it
 * returns, in each process that INIT_IMAGE starts and in no other. */
void init_serve(int control_fd, int lifeline_fd, bool has_image);
