/* libnftables, loaded by the one process that needs it: other roles do not pay for it. One `struct nft` is bound to the network
 * namespace in which it was made. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct nft;

/* 0, or -ENOENT: the library is not there. Before a process gives up the machine's files. */
int nft_load(void);
/* NULL: the kernel refuses. */
struct nft *nft_new(void);
void nft_free(struct nft *n);
/* One atomic batch. 0 or -EINVAL; why_not gets the first line of what was said. */
int nft_run(struct nft *n, const char *text, char *ret_why, size_t why_bytes);
/* Packets that the counter has seen; 0 when it is not there. */
uint64_t nft_counter(struct nft *n, const char *family_and_table, const char *name);
uint64_t nft_counter_bytes(struct nft *n, const char *family_and_table, const char *name);
