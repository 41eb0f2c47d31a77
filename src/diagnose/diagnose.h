/*
 * Diagnose: which sites of a profile grow, and are they leaks?
 *
 * Pure. Every site's live bytes are regressed over all checkpoints (RESIN compares two snapshots,
 * OSDI '22 Algorithm 2; a regression uses them all and yields a rate). A leak's early samples are
 * still there at the end; a queue or a cache that turns over grows for a while but lets go. Order:
 * growth weighed by that survival, then live bytes.
 */
#ifndef RESIN_DIAGNOSE_DIAGNOSE_H
#define RESIN_DIAGNOSE_DIAGNOSE_H

#include "model/finding.h"

/* Findings point into `p`. At most DIAGNOSIS_MAX_FINDINGS, most important first. */
void diagnose(const struct profile *p, struct diagnosis *ret);

#endif
