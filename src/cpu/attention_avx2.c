#define ATTENTION_KERNEL ace_attention_avx2
#include "cpu/attention_body.h"
