/* How fast volumes of each type are. The oldest SSDs and both kinds of hard disks have a bucket of credits, which the machine's
 * disk really has (engine/vm); what is left in it is reckoned here from what the disk has done, by the same rule. */
#include "aws/ec2/storage/volume_speed.h"

enum { GP2_BURST_IOPS = 3000, GP2_BUCKET = 5400000, PIECE_BYTES = 262144 };

static uint32_t at_most(int64_t x, int64_t most)
{
	return (uint32_t)(x < 1 ? 1 : x > most ? most : x);
}

/* By the TiB, in MiB/s; the bucket holds as much as the volume. */
static struct volume_speed of_hard_disk(int64_t gib, int64_t base, int64_t base_most, int64_t burst, int64_t burst_most)
{
	struct volume_speed s = {.mib_per_s = at_most((base * gib + 512) / 1024, base_most),
	                         .burst = at_most((burst * gib + 512) / 1024, burst_most)};
	s.burst_s = (uint32_t)(gib * 1024 / s.burst);
	return s.burst > s.mib_per_s ? s : (struct volume_speed){.mib_per_s = s.mib_per_s};
}

struct volume_speed ec2_volume_speed(const struct ec2_volume *v)
{
	if (str_is(v->volume_type, "st1"))
		return of_hard_disk(v->size.v, 40, 500, 250, 500);
	if (str_is(v->volume_type, "sc1"))
		return of_hard_disk(v->size.v, 12, 192, 80, 250);
	struct volume_speed s = {.iops = (uint32_t)v->iops.v, .mib_per_s = (uint32_t)v->throughput.v};
	if (str_is(v->volume_type, "gp2") && s.iops < GP2_BURST_IOPS) {
		s.burst = GP2_BURST_IOPS;
		s.burst_s = GP2_BUCKET / GP2_BURST_IOPS;
	}
	return s;
}

struct volume_load ec2_volume_load(const struct volume_speed *s, double operations, double bytes, double passed_s, double *spent)
{
	double pieces = bytes / PIECE_BYTES > operations ? bytes / PIECE_BYTES : operations, mib = bytes / 1048576;
	double bucket = (double)s->burst * s->burst_s, base = s->iops ? s->iops : s->mib_per_s, done = s->iops ? pieces : mib;
	bool full_speed = s->burst && *spent < bucket;
	double iops = s->iops && full_speed ? s->burst : s->iops, mib_per_s = !s->iops && full_speed ? s->burst : s->mib_per_s;
	if (s->burst) {
		*spent += done - base * passed_s;
		*spent = *spent < 0 ? 0 : *spent > bucket ? bucket : *spent;
	}
	/* What a limit lets through is a little less than the limit. */
	return (struct volume_load){.pieces = pieces,
	                            .balance = s->burst ? 100 * (1 - *spent / bucket) : 100,
	                            .iops_reached = iops > 0 && pieces >= 0.98 * iops * passed_s,
	                            .mib_reached = mib_per_s > 0 && mib >= 0.98 * mib_per_s * passed_s};
}
