#define ATTENTION_KERNEL ace_attention_generic
#include "cpu/attention_body.h"
