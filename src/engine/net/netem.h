/* The kernel's network emulator (tc netem) on a link: what the link sends waits. Each call works in the network namespace in which
 * its socket (link_socket()) was opened; 0 or negative errno. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* delay_ms 0: as it was before. -ENOENT: this kernel has no netem. */
int netem_set(int sock, unsigned ifindex, uint16_t delay_ms);
/* Has the kernel netem? Tried on this link, and undone. */
bool netem_works(int sock, unsigned ifindex);
