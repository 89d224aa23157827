/* Process 1 of a cell. It runs unprivileged inside, starts what `api` asks for, and passes exit statuses back. */
#pragma once

/* Serves until the control socket or the lifeline closes, then exits, and with it everything in the cell. */
__attribute__((noreturn)) void init_serve(int control_fd, int lifeline_fd);
