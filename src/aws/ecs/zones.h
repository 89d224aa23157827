/* How a service's tasks are spread over the zones of its subnets: a pure decision over counts. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { ZONES_MAX = 16 };
/* Of n zones with so many tasks the one with the fewest, and the one with the most; the first of several. n is at least 1. */
uint32_t zones_least(const int64_t *tasks, uint32_t n);
uint32_t zones_most(const int64_t *tasks, uint32_t n);
/* Would it be more even if one task were elsewhere? */
bool zones_uneven(const int64_t *tasks, uint32_t n);
