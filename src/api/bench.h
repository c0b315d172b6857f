/* Inside of the benchmarks' API. */
#ifndef ACE_API_BENCH_H
#define ACE_API_BENCH_H

#include "api/api.h"
#include "run/bench.h"

struct acestep_bench {
    ace_bench measured;
    char date[24]; /* "2026-11-24T20:17:06Z" */
};

#define ACE_BENCH_FORMAT "acestep-bench" /* value of "format" in its JSON files */
enum { ACE_BENCH_FORMAT_VERSION = 1 };

/* Git's description of the commit, with "-dirty" for changed files; "" when it is not known. */
const char *ace_bench_commit(void);

#endif
