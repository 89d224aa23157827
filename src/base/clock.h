/* Time: reading it, and every spelling of it that AWS uses.
 *
 * Wall time is milliseconds since 1970 UTC (`_ms`); durations for timers are microseconds (`_us`) of the
 * monotonic clock. The cloud's wall clock may be moved by the user (`quartet clock`) and faked by
 * simulations, so everything above `base` asks clock_wall_ms() and never the kernel. */
#pragma once
#include "base/arena.h"

int64_t clock_wall_ms(void);
/* The machine's own wall clock, whatever the cloud's says: what clients sign their requests with. */
int64_t clock_machine_ms(void);
int64_t clock_mono_us(void);
/* Moves the wall clock by an offset from the machine's. */
void clock_shift_ms(int64_t offset_ms);
/* From now on both clocks stand where they are set: simulations only. */
void clock_fake(int64_t wall_ms, int64_t mono_us);

enum time_format {
	TIME_ISO8601,    /* 2024-05-01T12:00:00Z, with .123 only when there are milliseconds */
	TIME_ISO8601_MS, /* 2024-05-01T12:00:00.000Z always */
	TIME_RFC822,     /* Wed, 01 May 2024 12:00:00 GMT: HTTP dates */
	TIME_EPOCH,      /* 1714564800 or 1714564800.123 */
	TIME_LAMBDA,     /* 2024-05-01T12:00:00.000+0000: Lambda's LastModified */
	TIME_BASIC,      /* 20240501T120000Z: SigV4 */
};
struct str time_format(struct arena *a, int64_t ms, enum time_format format);
/* Writes at most 32 bytes with a NUL into out; returns the length. */
size_t time_format_to(char out[static 40], int64_t ms, enum time_format format);
/* Any of the spellings above, ISO 8601 with numeric offsets and dates alone included. False: none of them; *ret_ms untouched. */
bool time_parse(struct str s, int64_t *ret_ms);
