/* Holds our declarations of the driver's virtual-memory functions (reservation.h) against the
 * vendor's. Compiles to nothing; built where the header is there. */
#include "reservation.h"

#include <cuda.h>

#define SAME(ours, theirs)                                                                         \
    _Static_assert((int)(ours) == (int)(theirs), #theirs " is another number")

SAME(ACE_CU_SUCCESS, CUDA_SUCCESS);
SAME(ACE_CU_OUT_OF_MEMORY, CUDA_ERROR_OUT_OF_MEMORY);
SAME(ACE_CU_HAS_VIRTUAL_MEMORY, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED);
SAME(ACE_CU_PINNED, CU_MEM_ALLOCATION_TYPE_PINNED);
SAME(ACE_CU_ON_DEVICE, CU_MEM_LOCATION_TYPE_DEVICE);
SAME(ACE_CU_READ_AND_WRITE, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
SAME(ACE_CU_RECOMMENDED, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED);
SAME(sizeof(ace_cu_allocation), sizeof(CUmemAllocationProp));
SAME(offsetof(ace_cu_allocation, location), offsetof(CUmemAllocationProp, location));
SAME(offsetof(ace_cu_allocation, flags), offsetof(CUmemAllocationProp, allocFlags));
SAME(sizeof(ace_cu_access), sizeof(CUmemAccessDesc));
SAME(offsetof(ace_cu_access, flags), offsetof(CUmemAccessDesc, flags));
SAME(sizeof(uint64_t), sizeof(CUdeviceptr));
SAME(sizeof(uint64_t), sizeof(CUmemGenericAllocationHandle));
