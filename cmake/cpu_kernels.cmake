# Kernel files named *_avx2.c and *_avx512.c are compiled for their instruction set; everything else is
# portable. Nothing above src/cpu/ knows.
file(GLOB_RECURSE AVX2_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cpu/*_avx2.c)
file(GLOB_RECURSE AVX512_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cpu/*_avx512.c)
file(GLOB_RECURSE KERNEL_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cpu/*.c)
set_source_files_properties(${KERNEL_SOURCES} PROPERTIES COMPILE_OPTIONS "-O3;-ffp-contract=fast")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set_source_files_properties(${AVX2_SOURCES} PROPERTIES
    COMPILE_OPTIONS "-O3;-ffp-contract=fast;-mavx2;-mfma;-mf16c")
  set_source_files_properties(${AVX512_SOURCES} PROPERTIES
    COMPILE_OPTIONS
    "-O3;-ffp-contract=fast;-mavx2;-mfma;-mf16c;-mavx512f;-mavx512bw;-mavx512vl;-mavx512dq;-mavx512bf16;-mavx512vnni;-mprefer-vector-width=512")
endif()
# Sanitized builds: the two AVX sets go without UBSan; the portable build of the same bodies keeps it. clang 14
# spends many minutes on the checks of unrolled register tiles and unrolls less. gcc keeps the tiles in registers
# where AddressSanitizer does not mark the scope of every local array; heap, stack and globals stay checked. Tests
# run several times as fast as with -O1, and the files compile no slower.
if(ACESTEP_SANITIZE)
  set(sanitized "-O1")
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND ACESTEP_SANITIZE MATCHES "address")
    set(sanitized "-O2;-fno-sanitize-address-use-after-scope")
  endif()
  set_property(SOURCE ${KERNEL_SOURCES} APPEND PROPERTY COMPILE_OPTIONS ${sanitized})
  set_property(SOURCE ${AVX2_SOURCES} ${AVX512_SOURCES} APPEND PROPERTY
    COMPILE_OPTIONS "-fno-sanitize=undefined")
endif()
