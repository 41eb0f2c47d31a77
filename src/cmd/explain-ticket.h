/*
 * `resin explain --ticket`: what the server's watch over weeks knows about a ticket's process.
 */
#ifndef RESIN_CMD_EXPLAIN_TICKET_H
#define RESIN_CMD_EXPLAIN_TICKET_H

#include <stdbool.h>
#include <stdint.h>

/* Asks the server and prints; returns the exit code. */
int explain_ticket(const char *server, uint64_t ticket, bool as_json);

#endif
