/* resin's own detector behind the peers' interface. */
#ifndef BENCH_ACCURACY_OURS_H
#define BENCH_ACCURACY_OURS_H

#include "peers.h"

void ours_run(const struct group *g, size_t hours, float *score);
extern const struct peer ours;

#endif
