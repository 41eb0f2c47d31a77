/*
 * Evidence as JSON: the same words in the API, on the command line and in a ticket. Schemas are in
 * docs/formats/json.md. Pure.
 */
#ifndef RESIN_TICKET_EVIDENCE_H
#define RESIN_TICKET_EVIDENCE_H

#include "base/json.h"
#include "model/detection.h"
#include "model/finding.h"
#include "model/order.h"
#include "model/suspect.h"
#include "model/ticket.h"

/* resin.diagnosis/1, one object. */
void evidence_diagnosis(struct json *j, const struct profile *p, const struct diagnosis *d);
/* The verdict on a series, one object. */
void evidence_suspect(struct json *j, const struct suspect *s);
/* What weeks of hours say, without brackets: from "verdict" to "reasons". */
void evidence_detection_fields(struct json *j, const struct detection *d);
/* The fields of a ticket, without brackets. */
void evidence_ticket_fields(struct json *j, const struct ticket *t);
/* The fields of an order that people may see (not its nonce), one object. */
void evidence_order(struct json *j, const struct order *o);

/* The first frame that is not the C or C++ library's own: the place that a person looks at first.
 * NULL when there is no frame. */
const struct frame *evidence_headline(const struct site *s);

#endif
