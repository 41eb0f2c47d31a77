#include "ticket/evidence.h"

#include <math.h>
#include <string.h>

static bool is_system_library(const char *module)
{
	static const char *const names[] = {"libc.so", "libc-", "libstdc++.so", "libgcc_s.so",
		"ld-linux", "libc++.so", "libjemalloc.so", "libtcmalloc", "libmimalloc.so"};
	const char *slash = strrchr(module, '/');

	module = slash ? slash + 1 : module;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(module, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

const struct frame *evidence_headline(const struct site *s)
{
	for (uint32_t i = 0; i < s->n_frames; i++)
		if (!is_system_library(s->frames[i].module))
			return &s->frames[i];
	return s->n_frames ? &s->frames[0] : NULL;
}

static void put_frame(struct json *j, const struct frame *f)
{
	char offset[24];

	snprintf(offset, sizeof(offset), "0x%llx", (unsigned long long)f->offset);
	json_object(j);
	json_kv(j, string, "function", f->function[0] ? f->function : NULL);
	json_kv(j, string, "file", f->file[0] ? f->file : NULL);
	json_key(j, "line");
	if (f->line)
		json_u64(j, f->line);
	else
		json_null(j);
	json_kv(j, string, "module", f->module[0] ? f->module : NULL);
	json_kv(j, string, "build_id", f->build_id[0] ? f->build_id : NULL);
	json_kv(j, string, "offset", offset);
	json_kv(j, bool, "inlined", f->inlined);
	json_object_end(j);
}

static void put_finding(struct json *j, const struct profile *p, const struct finding *f)
{
	const struct site *s = f->site;

	json_object(j);
	json_kv(j, string, "kind", finding_kind_name(f->kind));
	json_kv(j, string, "site", site_kind_name(s->kind));
	json_kv(j, u64, "live_bytes", f->live_bytes);
	json_kv(j, double, "growth_bytes_per_hour", f->growth_bytes_per_hour);
	json_kv(j, double, "share", f->share);
	json_kv(j, double, "confidence", f->confidence);
	json_kv(j, double, "survival", f->survival);
	json_kv(j, u64, "samples", s->samples);
	json_kv(j, u64, "allocated_bytes", s->allocated_bytes);
	json_kv(j, u64, "live_count", p->n_checkpoints ? s->live_count[p->n_checkpoints - 1] : 0);
	json_kv(j, string, "refuted_by", f->refute);
	json_key(j, "live_bytes_at");
	json_array(j);
	for (uint32_t i = 0; i < p->n_checkpoints; i++)
		json_u64(j, s->live_bytes[i]);
	json_array_end(j);
	json_key(j, "frames");
	json_array(j);
	for (uint32_t i = 0; i < s->n_frames; i++)
		put_frame(j, &s->frames[i]);
	json_array_end(j);
	json_object_end(j);
}

void evidence_diagnosis(struct json *j, const struct profile *p, const struct diagnosis *d)
{
	json_object(j);
	json_kv(j, string, "schema", "resin.diagnosis/1");
	json_kv(j, u64, "pid", p->target.pid);
	json_kv(j, string, "executable", p->exe);
	json_kv(j, time, "started_at", p->start_unix_ns);
	json_kv(j, u64, "duration_ns", p->duration_ns);
	json_kv(j, u64, "sample_period_bytes", p->period_bytes);
	json_kv(j, u64, "longest_stop_ns", p->pause_ns);
	json_kv(j, u64, "anon_start_bytes", p->anon_start_bytes);
	json_kv(j, u64, "anon_end_bytes", p->anon_end_bytes);
	json_kv(j, double, "growth_bytes_per_hour", d->growth_bytes_per_hour);
	json_key(j, "explained_share");
	if (d->explained > 0)
		json_double(j, d->explained);
	else
		json_null(j);
	json_kv(j, u64, "events", p->events);
	json_kv(j, u64, "dropped", p->dropped);
	json_kv(j, u64, "sites", p->n_sites);
	json_key(j, "checkpoints_ns");
	json_array(j);
	for (uint32_t i = 0; i < p->n_checkpoints; i++)
		json_u64(j, p->checkpoint_ns[i]);
	json_array_end(j);
	json_key(j, "findings");
	json_array(j);
	for (size_t i = 0; i < d->n; i++)
		put_finding(j, p, &d->findings[i]);
	json_array_end(j);
	json_object_end(j);
}

void evidence_suspect(struct json *j, const struct suspect *s)
{
	json_object(j);
	json_kv(j, string, "verdict", verdict_name(s->verdict));
	json_kv(j, string, "pattern", pattern_name(s->pattern));
	json_kv(j, time, "start", s->start_ns);
	json_kv(j, time, "end", s->end_ns);
	json_kv(j, u64, "steps", s->steps);
	json_kv(j, u64, "from_bytes", s->from_bytes);
	json_kv(j, u64, "to_bytes", s->to_bytes);
	json_kv(j, double, "growth_bytes", s->growth_bytes);
	json_kv(j, double, "bytes_per_hour", s->bytes_per_hour);
	json_kv(j, double, "bytes_per_hour_low", s->bytes_per_hour_lo);
	json_kv(j, double, "bytes_per_hour_high", s->bytes_per_hour_hi);
	json_kv(j, double, "late_to_early", s->late_to_early);
	json_kv(j, double, "severity", s->severity);
	json_kv(j, string, "reason", s->reason);
	json_object_end(j);
}

static void put_bytes(struct json *j, const char *key, double v)
{
	json_kv(j, u64, key, v > 0 ? (uint64_t)fmin(v, 0x1p63) : 0);
}

static void put_forecast(struct json *j, const struct forecast *f)
{
	json_key(j, "forecast");
	if (!f->known) {
		json_null(j);
		return;
	}
	json_object(j);
	put_bytes(j, "limit_bytes", f->limit_bytes);
	json_kv(j, double, "hours", f->hours); /* not finite becomes null */
	json_kv(j, double, "hours_low", f->hours_lo);
	json_kv(j, double, "hours_high", f->hours_hi);
	json_kv(j, double, "coverage", 0.8);
	json_object_end(j);
}

void evidence_detection_fields(struct json *j, const struct detection *d)
{
	json_kv(j, string, "verdict", detection_verdict_name(d->verdict));
	json_kv(j, string, "behaviour", behaviour_kind_name(d->behaviour));
	json_kv(j, string, "pattern", pattern_name(d->pattern));
	json_kv(j, time, "start", d->start_ns);
	json_kv(j, time, "end", d->end_ns);
	json_kv(j, time, "first_alarm", d->first_alarm_ns);
	put_bytes(j, "size_bytes", d->size_bytes);
	put_bytes(j, "growth_bytes", d->growth_bytes);
	json_kv(j, double, "rate_bytes_per_hour", d->bytes_per_hour);
	json_kv(j, double, "rate_bytes_per_hour_low", d->bytes_per_hour_lo);
	json_kv(j, double, "rate_bytes_per_hour_high", d->bytes_per_hour_hi);
	json_kv(j, double, "severity", d->severity);
	put_forecast(j, &d->forecast);
	json_key(j, "reasons");
	json_array(j);
	for (size_t i = 0; i < d->n_reasons; i++)
		json_string(j, d->reason[i]);
	json_array_end(j);
}

static void put_fleet(struct json *j, const struct fleet_evidence *f)
{
	json_key(j, "fleet");
	if (!f->hosts) {
		json_null(j);
		return;
	}
	json_object(j);
	json_kv(j, u64, "hosts", f->hosts);
	json_kv(j, u64, "edge_bytes", f->edge_bytes);
	json_kv(j, u64, "hosts_above", f->count);
	json_kv(j, double, "hosts_expected", f->expected);
	json_kv(j, double, "z", f->z);
	json_kv(j, time, "since", f->since_unix_ns);
	json_kv(j, double, "growth_bytes_per_day", f->growth_bytes_per_day);
	json_kv(j, string, "version", f->version[0] ? f->version : NULL);
	json_kv(j, string, "version_before", f->before[0] ? f->before : NULL);
	json_object_end(j);
}

void evidence_order(struct json *j, const struct order *o)
{
	json_object(j);
	json_kv(j, u64, "id", o->id);
	json_kv(j, string, "state", order_state_name(o->state));
	json_kv(j, string, "host", o->host);
	json_kv(j, u64, "pid", o->target.pid);
	json_kv(j, u64, "ticket", o->ticket_id);
	json_kv(j, time, "issued_at", o->issued_unix_ns);
	json_kv(j, time, "expires_at", o->expires_unix_ns);
	json_kv(j, u64, "duration_ns", o->duration_ns);
	json_kv(j, u64, "sample_period_bytes", o->sample_period_bytes);
	json_kv(j, string, "reason", o->reason);
	json_object_end(j);
}

void evidence_ticket_fields(struct json *j, const struct ticket *t)
{
	json_kv(j, u64, "id", t->id);
	json_kv(j, string, "state", ticket_state_name(t->state));
	json_kv(j, string, "host", t->host);
	json_kv(j, string, "component", t->component);
	json_kv(j, string, "version", t->version[0] ? t->version : NULL);
	json_kv(j, u64, "pid", t->process.pid);
	json_kv(j, u64, "entity", t->entity_id);
	json_kv(j, time, "opened_at", t->opened_unix_ns);
	json_kv(j, time, "updated_at", t->updated_unix_ns);
	json_kv(j, time, "closed_at", t->closed_unix_ns);
	json_kv(j, u64, "pace", t->pace);
	json_kv(j, u64, "attempts", t->attempts);
	json_kv(j, string, "note", t->note);
	json_kv(j, string, "seen_by", ticket_seen_by_name(t->seen_by));
	json_key(j, "suspect");
	evidence_suspect(j, &t->suspect);
	json_key(j, "detection");
	if (t->detection.n_reasons) {
		json_object(j);
		evidence_detection_fields(j, &t->detection);
		json_object_end(j);
	} else {
		json_null(j);
	}
	put_fleet(j, &t->fleet);
}
