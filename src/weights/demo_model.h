/* The demo model, part of the program: every file under "demo/", for ace_embedded_files_set. */
#ifndef ACE_WEIGHTS_DEMO_MODEL_H
#define ACE_WEIGHTS_DEMO_MODEL_H

#include "base/file_map.h"

const ace_embedded_file *ace_demo_model_files(void);

#endif
