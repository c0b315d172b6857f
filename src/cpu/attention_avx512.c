#define ATTENTION_KERNEL ace_attention_avx512
#include "cpu/attention_body.h"
