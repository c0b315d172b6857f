# The CUDA plug-in. Nothing here is part of an ordinary build: `make cuda`, that is the target acestep_cuda,
# needs nvcc; acestep_cuda_emulated needs a C++ compiler and runs the same source on the CPU, for tests.
file(GLOB CUDA_HOST_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/plugins/cuda/*.c)
file(GLOB CUDA_KERNEL_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/plugins/cuda/*.cu)
file(GLOB CUDA_HEADERS CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/plugins/cuda/*.h ${CMAKE_SOURCE_DIR}/plugins/cuda/*.cuh)
list(FILTER CUDA_HOST_SOURCES EXCLUDE REGEX "_check.c$")
# What the plug-in shares with the program, it has a copy of.
set(CUDA_SHARED_SOURCES ${CMAKE_SOURCE_DIR}/src/base/status.c ${CMAKE_SOURCE_DIR}/src/base/dtype.c
  ${CMAKE_SOURCE_DIR}/src/base/block_formats.c)

function(cuda_plugin target about)
  add_library(${target} MODULE EXCLUDE_FROM_ALL ${CUDA_HOST_SOURCES} ${CUDA_SHARED_SOURCES})
  set_target_properties(${target} PROPERTIES PREFIX lib OUTPUT_NAME acestep_cuda C_VISIBILITY_PRESET hidden
    CXX_VISIBILITY_PRESET hidden)
  target_include_directories(${target} PRIVATE include src plugins/cuda)
  target_compile_definitions(${target} PRIVATE "ACE_CUDA_ABOUT=\"${about}\"")
  target_link_libraries(${target} PRIVATE acestep_flags Threads::Threads m ${CMAKE_DL_LIBS})
  target_link_options(${target} PRIVATE -Wl,--no-undefined)
endfunction()

# ---- for cards ------------------------------------------------------------------------------------------
set(ACESTEP_CUDA_ARCHITECTURES "75;80;86;89;90" CACHE STRING "Cards that make cuda compiles for; the last as PTX too")
set(ACESTEP_CUDA_FLAGS "" CACHE STRING "More options for nvcc, e.g. -lineinfo for compute-sanitizer and profilers")
find_program(NVCC_PROGRAM nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda/bin /opt/cuda/bin)
if(NVCC_PROGRAM)
  # The program found may be a script that starts the compiler elsewhere: the compiler itself knows its place.
  execute_process(COMMAND ${NVCC_PROGRAM} --dryrun -c -x cu /dev/null OUTPUT_QUIET ERROR_VARIABLE nvcc_steps)
  if(nvcc_steps MATCHES "TOP=([^\n]+)")
    file(REAL_PATH ${CMAKE_MATCH_1} CUDA_ROOT)
  else()
    file(REAL_PATH ${NVCC_PROGRAM} nvcc_file)
    cmake_path(GET nvcc_file PARENT_PATH nvcc_folder)
    cmake_path(GET nvcc_folder PARENT_PATH CUDA_ROOT)
  endif()
  find_path(CUDA_RUNTIME_INCLUDE cuda_runtime_api.h PATHS ${CUDA_ROOT}/include
    ${CUDA_ROOT}/targets/${CMAKE_SYSTEM_PROCESSOR}-linux/include NO_DEFAULT_PATH)
  find_library(CUDA_RUNTIME_LIBRARY cudart_static PATHS ${CUDA_ROOT}/lib64 ${CUDA_ROOT}/lib
    ${CUDA_ROOT}/targets/${CMAKE_SYSTEM_PROCESSOR}-linux/lib NO_DEFAULT_PATH)
endif()
if(NVCC_PROGRAM AND CUDA_RUNTIME_INCLUDE AND CUDA_RUNTIME_LIBRARY)
  execute_process(COMMAND ${NVCC_PROGRAM} --version OUTPUT_VARIABLE nvcc_version ERROR_QUIET)
  string(REGEX MATCH "release [0-9.]+" nvcc_version "${nvcc_version}")
  string(REPLACE "release" "CUDA" nvcc_version "${nvcc_version}")
  set(cuda_codes "")
  foreach(arch ${ACESTEP_CUDA_ARCHITECTURES})
    list(APPEND cuda_codes -gencode arch=compute_${arch},code=sm_${arch})
  endforeach()
  list(GET ACESTEP_CUDA_ARCHITECTURES -1 arch)
  list(APPEND cuda_codes -gencode arch=compute_${arch},code=compute_${arch})
  string(REPLACE ";" " sm_" cuda_cards "${ACESTEP_CUDA_ARCHITECTURES}")

  set(cuda_objects "")
  foreach(source ${CUDA_KERNEL_SOURCES})
    get_filename_component(name ${source} NAME)
    set(object ${CMAKE_BINARY_DIR}/cuda/${name}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${NVCC_PROGRAM} -std=c++17 -O3 ${ACESTEP_CUDA_FLAGS} -Xcompiler
          -fPIC,-fvisibility=hidden,-fno-threadsafe-statics,-Wall,-Wextra
        -I${CMAKE_SOURCE_DIR}/include -I${CMAKE_SOURCE_DIR}/src -I${CMAKE_SOURCE_DIR}/plugins/cuda
        ${cuda_codes} -c ${source} -o ${object}
      DEPENDS ${source} ${CUDA_HEADERS} ${CMAKE_SOURCE_DIR}/src/device/device.h
      COMMENT "Compiling ${name} for sm_${cuda_cards}" VERBATIM)
    list(APPEND cuda_objects ${object})
  endforeach()
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/cuda)
  cuda_plugin(acestep_cuda "${nvcc_version}, sm_${cuda_cards} and PTX")
  target_sources(acestep_cuda PRIVATE ${cuda_objects})
  if(EXISTS ${CUDA_RUNTIME_INCLUDE}/cublasLt.h)
    target_sources(acestep_cuda PRIVATE ${CMAKE_SOURCE_DIR}/plugins/cuda/library_check.c)
  endif()
  if(EXISTS ${CUDA_RUNTIME_INCLUDE}/cuda.h)
    target_sources(acestep_cuda PRIVATE ${CMAKE_SOURCE_DIR}/plugins/cuda/reservation_check.c)
  endif()
  target_include_directories(acestep_cuda SYSTEM PRIVATE ${CUDA_RUNTIME_INCLUDE})
  target_link_libraries(acestep_cuda PRIVATE ${CUDA_RUNTIME_LIBRARY} rt)
  # beside the program, where it looks first
  set_target_properties(acestep_cuda PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
else()
  add_custom_target(acestep_cuda
    COMMAND ${CMAKE_COMMAND} -E echo "The CUDA plug-in is not built: it needs nvcc, the CUDA toolkit's compiler, and its static runtime (docs/cuda.md)."
    COMMAND ${CMAKE_COMMAND} -E false VERBATIM)
endif()

# ---- for machines without one ---------------------------------------------------------------------------
# The kernels as C++, a card that is host memory, its driver and a cuBLASLt of plain loops, all in one
# folder: ACESTEP_PLUGIN_DIR and LD_LIBRARY_PATH lead there.
include(CheckLanguage)
check_language(CXX)
if(NOT CMAKE_CXX_COMPILER OR ACESTEP_FUZZ)
  message(STATUS "No test of the CUDA plug-in in the emulator: it needs a C++ compiler (Debian: g++).")
  return()
endif()
enable_language(CXX)
set(EMULATOR ${CMAKE_SOURCE_DIR}/tests/cuda/emulator)
set(EMULATOR_FOLDER ${CMAKE_BINARY_DIR}/cuda_emulated)
add_library(cuda_emulated_driver SHARED EXCLUDE_FROM_ALL
  ${EMULATOR}/runtime.c ${EMULATOR}/streams.c ${EMULATOR}/graphs.c ${EMULATOR}/driver.c
  ${EMULATOR}/context.c ${EMULATOR}/virtual_memory.c ${EMULATOR}/grid.cpp)
set_target_properties(cuda_emulated_driver PROPERTIES OUTPUT_NAME cuda SOVERSION 1)
add_library(cuda_emulated_blas SHARED EXCLUDE_FROM_ALL ${EMULATOR}/cublaslt.c)
set_target_properties(cuda_emulated_blas PROPERTIES OUTPUT_NAME cublasLt SOVERSION 13)
target_link_libraries(cuda_emulated_blas PRIVATE cuda_emulated_driver)
cuda_plugin(acestep_cuda_emulated "emulator: computes on the CPU, without a card")
target_sources(acestep_cuda_emulated PRIVATE ${CUDA_KERNEL_SOURCES})
target_link_libraries(acestep_cuda_emulated PRIVATE cuda_emulated_driver)
set_source_files_properties(${CUDA_KERNEL_SOURCES} PROPERTIES LANGUAGE CXX
  COMPILE_OPTIONS "-x;c++;-Wno-unknown-pragmas")
add_dependencies(acestep_cuda_emulated cuda_emulated_blas)
foreach(target cuda_emulated_driver cuda_emulated_blas acestep_cuda_emulated)
  set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${EMULATOR_FOLDER} CXX_STANDARD 17
    CXX_EXTENSIONS OFF BUILD_RPATH "\$ORIGIN")
  target_include_directories(${target} BEFORE PRIVATE ${EMULATOR})
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-O3;-ffp-contract=off;-Wall;-Wextra;-fno-exceptions;-fno-rtti>)
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C)
endforeach()
target_link_libraries(cuda_emulated_driver PRIVATE acestep_flags Threads::Threads)
target_link_libraries(cuda_emulated_blas PRIVATE acestep_flags)
target_compile_options(cuda_emulated_blas PRIVATE -O3)
