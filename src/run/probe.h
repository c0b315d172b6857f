/* The door to the reference: runs exactly one part of the networks on the inputs of a recorded case
 * and writes what comes out under the recording's names. The kind of case is its file name up to
 * the first underscore, the model the word after it. */
#ifndef ACE_RUN_PROBE_H
#define ACE_RUN_PROBE_H

#include "run/request.h"

/* The request names models, precision (auto: f32) and device; its model option, when empty, comes
 * from the case. */
ace_status ace_probe_run(const ace_request *request, const char *case_path, const char *output_path,
                         ace_error *err);

#endif
