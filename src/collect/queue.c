#include "collect/queue.h"

#include <errno.h>
#include <string.h>

static void pop(struct queue *q)
{
	struct queue_item *i = q->head;

	q->head = i->next;
	if (!q->head)
		q->tail = NULL;
	q->bytes -= i->bytes;
	q->n--;
	free(i);
}

void queue_done(struct queue *q)
{
	if (!q)
		return;
	while (q->head)
		pop(q);
}

int queue_put(struct queue *q, uint64_t seq, const void *p, size_t n)
{
	struct queue_item *i;

	if (n > q->limit) {
		q->dropped++;
		return -EMSGSIZE;
	}
	while (q->head && q->bytes + n > q->limit) {
		pop(q);
		q->dropped++;
	}
	i = malloc(sizeof(*i) + n);
	if (!i) {
		q->dropped++;
		return -ENOMEM;
	}
	*i = (struct queue_item){.seq = seq, .bytes = n};
	memcpy(i->data, p, n);
	if (q->tail)
		q->tail->next = i;
	else
		q->head = i;
	q->tail = i;
	q->bytes += n;
	q->n++;
	return 0;
}

const struct queue_item *queue_peek(const struct queue *q)
{
	return q->head;
}

void queue_ack(struct queue *q, uint64_t seq)
{
	while (q->head && q->head->seq <= seq)
		pop(q);
}
