/*
 * Every ceiling of resin in one place, each with its reason. Hitting one is an outcome that is
 * counted and reported ("truncated", "dropped"), never silent and never a crash.
 */
#ifndef RESIN_BASE_LIMITS_H
#define RESIN_BASE_LIMITS_H

/* One HTTP body or helper message. A full profile of 2,048 sites is about 2 MB. */
#define LIMIT_MESSAGE_BYTES (16u << 20)

/* One /proc file; the maps of a process with 65,530 mappings (the kernel's default) is 6 MB. */
#define LIMIT_PROC_FILE_BYTES (16u << 20)

/* Processes in one batch. pid_max of a default 64-bit kernel is 4 M, but a host that runs more than
 * this many at once is shedding load already. */
#define LIMIT_BATCH_ENTITIES 32768u

/* Metrics in one batch's table: today 8, with room for every field of memory.stat. */
#define LIMIT_BATCH_METRICS 64u

/* Strings in one batch (components, versions): two for each entity, plus the envelope. */
#define LIMIT_BATCH_STRINGS 65536u

/* Bytes of one string on the wire: PATH_MAX would do; names of containers are shorter. */
#define LIMIT_STRING_BYTES 4096u

/* Unsent batches that the agent keeps in memory: with 200 processes about 10 KB each. */
#define LIMIT_QUEUE_BYTES (4u << 20)

/* Entities in the server's memory: 720 steps x 16 bytes each, 1.2 GB at the most. */
#define LIMIT_HEAD_ENTITIES 100000u

/* Mappings and modules of a target that the profiler looks at. */
#define LIMIT_MAPPINGS 65536u
#define LIMIT_MODULES 1024u

/* Distinct allocation stacks in one profile; later ones are counted as dropped. */
#define LIMIT_PROFILE_SITES 2048u

/* Frames of one stack, from the allocation outwards. */
#define LIMIT_FRAMES 96u

/* Checkpoints (live bytes by stack at one moment) of one profile. */
#define LIMIT_CHECKPOINTS 64u

/* Sampled live allocations that the fold keeps: 24 bytes each. */
#define LIMIT_LIVE_SAMPLES (1u << 20)

/* One configuration or policy file. */
#define LIMIT_CONFIG_BYTES (1u << 20)

/* Memory and processor time of the worker that parses a target's ELF and DWARF. */
#define LIMIT_WORKER_MEMORY_BYTES (2048ull << 20)
#define LIMIT_WORKER_CPU_SECONDS 120u

#endif
