/* The adapters of a job: files open, scales read from the option `lora`. */
#ifndef ACE_RUN_ADAPTERS_H
#define ACE_RUN_ADAPTERS_H

#include "model/dit_adapters.h"

typedef struct ace_job_adapters {
    ace_adapter *adapter[ACE_MAX_ADAPTERS]; /* owned */
    ace_adapter_use use[ACE_MAX_ADAPTERS];
    int n;
} ace_job_adapters;

/* "PATH" or "PATH:SCALE", comma-separated; scale -2 … 4, 1 when absent. Each file is checked against
 * the model. ARGUMENT, MODEL, UNSUPPORTED or IO, naming the file. */
ace_status ace_job_adapters_open(const char *text, const ace_dit_config *c, ace_job_adapters *out,
                                 ace_error *err);
void ace_job_adapters_close(ace_job_adapters *a); /* a zeroed one is fine */

#endif
