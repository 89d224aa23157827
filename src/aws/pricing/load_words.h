/* A load in words, as `quartet compare` and `quartet choose` are told of it: one reading for both. Pure. */
#pragma once
#include "base/str.h"

#define LOAD_WORDS "steady:50rps, spiky:5rps-100rps/20s or cron:30s"
#define LOAD_SPIKE_SHARE 0.2 /* of each period of a spiky load is at its high rate */

struct load_words {
	enum { LOAD_STEADY, LOAD_SPIKY, LOAD_CRON /* a job of its own each */ } kind;
	double low_s, high_s; /* requests a second; of a spiky load: most of the time, and at the peak */
	double period_s;      /* of a spiky load, and of the jobs; else 0 */
};
/* False: it is none of these. */
bool load_words_read(struct str text, struct load_words *ret);
/* "50rps" or "50", from 0 on: what lines of a file have. */
bool load_rate_read(struct str text, double *ret);
