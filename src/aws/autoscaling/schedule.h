/* Scheduled actions. Private to aws/autoscaling. */
#pragma once
#include "step.h"

/* Does what is due, before anything else of a step is decided. */
void schedule_step(struct step *t);
