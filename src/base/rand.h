/* Randomness from the kernel. Simulations replace the source with a seeded one. */
#pragma once
#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *p, size_t n);
uint64_t rand_u64(void);
/* Uniform in [0, below); below > 0. */
uint64_t rand_below(uint64_t below);
/* A forked child that goes on without exec calls this first, or it would draw its parent's next bytes. */
void rand_forget(void);
/* From now on draws come from a deterministic generator: tests only. */
void rand_seed(uint64_t seed);
