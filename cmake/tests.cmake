# tests/unit/test_*.c: one cmocka program each, found by name.
enable_testing()
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
if(CMOCKA_FOUND)
  file(GLOB SUPPORT_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/support/*.c)
  add_library(test_support STATIC ${SUPPORT_SOURCES})
  target_include_directories(test_support PUBLIC src tests)
  target_compile_definitions(test_support PUBLIC ACESTEP_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(test_support PUBLIC acestep_service acestep acestep_flags PkgConfig::CMOCKA)

  file(GLOB TEST_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/test_*.c)
  foreach(source ${TEST_SOURCES})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE test_support)
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES TIMEOUT 900 LABELS unit)
  endforeach()
endif()
if(ACESTEP_SANITIZE AND TARGET test_lm_run)
  # Jobs with the language model take minutes here: those in which memory fails, and one that runs
  # through every kind of text.
  set_tests_properties(test_lm_run PROPERTIES ENVIRONMENT "TEST_ONLY=*survived")
  add_test(NAME test_lm_run_words COMMAND test_lm_run WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(test_lm_run_words PROPERTIES TIMEOUT 900 LABELS unit
                       ENVIRONMENT "TEST_ONLY=*a_song")
endif()
if(ACESTEP_FUZZ)
  add_custom_target(fuzzers)
  file(GLOB FUZZ_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
  foreach(source ${FUZZ_SOURCES})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_include_directories(${name} PRIVATE src tests)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_libraries(${name} PRIVATE acestep_service acestep acestep_flags)
    add_dependencies(fuzzers ${name})
  endforeach()
  target_sources(fuzz_plan PRIVATE ${CMAKE_SOURCE_DIR}/tests/support/plan_check.c)
endif()
# tests/kernels: every operation of the CPU device against the reference device.
file(GLOB KERNEL_CHECK_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/kernels/*.c)
add_executable(kernel_check ${KERNEL_CHECK_SOURCES})
target_include_directories(kernel_check PRIVATE src tests/kernels)
target_link_libraries(kernel_check PRIVATE acestep acestep_flags)
add_test(NAME kernel_check COMMAND kernel_check)
set_tests_properties(kernel_check PROPERTIES TIMEOUT 900 LABELS kernels)
# tests/program: the built program from outside: exit codes, messages, files. Python's own library only.
find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND AND TARGET acestep_program)
  add_test(NAME program
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_program.py
            $<TARGET_FILE:acestep_program>)
  add_test(NAME card
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_card.py
            $<TARGET_FILE:acestep_program>)
  add_test(NAME lm
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_lm.py
            $<TARGET_FILE:acestep_program>)
  add_test(NAME recordings
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_recordings.py
            $<TARGET_FILE:acestep_program>)
  add_test(NAME repaint
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_repaint.py
            $<TARGET_FILE:acestep_program>)
  add_test(NAME bench
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_bench.py
            $<TARGET_FILE:acestep_program>)
  add_test(NAME pytorch_bench
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_pytorch_bench.py
            $<TARGET_FILE:acestep_program>)
  add_test(NAME profile_modes
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_profile_modes.py
      $<TARGET_FILE:acestep_program>)
  add_test(NAME profile
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_profile.py
            $<TARGET_FILE:acestep_program>)
  add_test(NAME server
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_server.py
            $<TARGET_FILE:acestep_program>)
  add_test(NAME models
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_models.py
            $<TARGET_FILE:acestep_program>)
  set_tests_properties(program card lm recordings repaint bench pytorch_bench profile profile_modes server models PROPERTIES TIMEOUT 900 LABELS program)
  add_test(NAME server_jobs
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_server_jobs.py
            $<TARGET_FILE:acestep_program>)
  add_test(NAME server_adapters
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_server_adapters.py
            $<TARGET_FILE:acestep_program>)
  add_test(NAME server_recordings
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_server_recordings.py
            $<TARGET_FILE:acestep_program>)
  add_test(NAME server_load
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/load_server.py
            $<TARGET_FILE:acestep_program> --clients 16 --seconds 3)
  add_test(NAME server_compat
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_server_compat.py
            $<TARGET_FILE:acestep_program>)
  set_tests_properties(server_jobs server_adapters server_recordings server_load server_compat PROPERTIES TIMEOUT 900 LABELS program)
endif()
# Networks of other sizes, computed by NumPy, which the system's Python may have where another one stands before it.
# Skipped (77) where there is none.
if(Python3_FOUND AND TARGET acestep_program)
  set(numpy_python ${Python3_EXECUTABLE})
  execute_process(COMMAND ${numpy_python} -c "import numpy" RESULT_VARIABLE no_numpy OUTPUT_QUIET ERROR_QUIET)
  if(no_numpy AND EXISTS /usr/bin/python3)
    set(numpy_python /usr/bin/python3)
  endif()
  add_test(NAME other_sizes
    COMMAND ${numpy_python} ${CMAKE_SOURCE_DIR}/tests/program/test_other_sizes.py
            $<TARGET_FILE:acestep_program>)
  set_tests_properties(other_sizes PROPERTIES TIMEOUT 900 LABELS program SKIP_RETURN_CODE 77)
endif()
# web/test: the page in a browser, against the built program. Skipped (77) where there is no browser.
if(page_node AND TARGET acestep_program)
  add_test(NAME page
    COMMAND ${page_node} ${CMAKE_SOURCE_DIR}/web/test/run.mjs $<TARGET_FILE:acestep_program>
            ${CMAKE_BINARY_DIR}/page/pictures)
  # a browser and a server are more than one process's work
  set_tests_properties(page PROPERTIES TIMEOUT 900 PROCESSORS 2 LABELS program SKIP_RETURN_CODE 77)
endif()
# tests/tools: programs for measuring by hand; built by name only.
file(GLOB TOOL_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/tools/*.c)
foreach(source ${TOOL_SOURCES})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} EXCLUDE_FROM_ALL ${source})
  target_include_directories(${name} PRIVATE src tests)
  target_compile_definitions(${name} PRIVATE ACESTEP_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE acestep acestep_flags)
endforeach()
target_sources(write_checkpoint PRIVATE ${CMAKE_SOURCE_DIR}/tests/support/asked_tensors.c)
# tests/cuda: the CUDA plug-in, in an emulator where there is a C++ compiler (cmake/cuda.cmake), and by
# scripts/gpu-check on a card.
add_executable(cuda_check ${CMAKE_SOURCE_DIR}/tests/cuda/cuda_check.c
  ${CMAKE_SOURCE_DIR}/tests/cuda/choice_cases.c
  ${CMAKE_SOURCE_DIR}/tests/cuda/mirror_device.c ${CMAKE_SOURCE_DIR}/tests/kernels/trial.c
  ${CMAKE_SOURCE_DIR}/tests/kernels/cases.c ${CMAKE_SOURCE_DIR}/tests/kernels/cases_attention.c
  ${CMAKE_SOURCE_DIR}/tests/kernels/cases_product.c ${CMAKE_SOURCE_DIR}/tests/kernels/cases_rows.c)
target_include_directories(cuda_check PRIVATE src tests/kernels tests/cuda)
target_link_libraries(cuda_check PRIVATE acestep acestep_flags)
if(CMOCKA_FOUND)
  set(FAKE_PLUGINS ${CMAKE_BINARY_DIR}/fake_plugins)
  add_executable(test_plugin ${CMAKE_SOURCE_DIR}/tests/cuda/test_plugin.c)
  target_link_libraries(test_plugin PRIVATE test_support)
  target_compile_definitions(test_plugin PRIVATE FAKE_PLUGINS="${FAKE_PLUGINS}")
  foreach(variant RIGHT OLD SIZES OTHER NAMELESS FAILS)
    add_library(fake_plugin_${variant} MODULE ${CMAKE_SOURCE_DIR}/tests/cuda/fake_plugin.c)
    set_target_properties(fake_plugin_${variant} PROPERTIES PREFIX lib OUTPUT_NAME acestep_fake
      LIBRARY_OUTPUT_DIRECTORY ${FAKE_PLUGINS}/${variant})
    target_include_directories(fake_plugin_${variant} PRIVATE include src)
    target_compile_definitions(fake_plugin_${variant} PRIVATE FAKE_${variant})
    target_link_libraries(fake_plugin_${variant} PRIVATE acestep_flags)
    add_dependencies(test_plugin fake_plugin_${variant})
  endforeach()
  add_test(NAME test_plugin COMMAND test_plugin WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(test_plugin PROPERTIES TIMEOUT 900 LABELS unit)
endif()
if(TARGET acestep_cuda_emulated)
  # An ordinary build has the emulated plug-in for these.
  set_target_properties(acestep_cuda_emulated PROPERTIES EXCLUDE_FROM_ALL FALSE)
  add_test(NAME cuda_emulated_kernels COMMAND cuda_check --plugin-dir ${EMULATOR_FOLDER})
  add_test(NAME cuda_emulated_own_kernels
    COMMAND cuda_check --plugin-dir ${EMULATOR_FOLDER} --own-products --tiled-attention --seed 1000)
  set(CUDA_TESTS cuda_emulated_kernels cuda_emulated_own_kernels)
  if(CMOCKA_FOUND)
    foreach(part attention device operations products choose writing recovery steps)
      add_executable(test_cuda_${part} ${CMAKE_SOURCE_DIR}/tests/cuda/test_cuda_${part}.c)
      target_include_directories(test_cuda_${part} PRIVATE tests/cuda)
      target_link_libraries(test_cuda_${part} PRIVATE test_support)
      add_test(NAME cuda_emulated_${part} COMMAND test_cuda_${part})
      list(APPEND CUDA_TESTS cuda_emulated_${part})
    endforeach()
    target_sources(test_cuda_choose PRIVATE ${CMAKE_SOURCE_DIR}/tests/cuda/choice_cases.c)
    add_test(NAME cuda_emulated_recorded COMMAND test_probe WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    add_test(NAME cuda_emulated_architectures COMMAND test_architectures)
    list(APPEND CUDA_TESTS cuda_emulated_recorded cuda_emulated_architectures)
  endif()
  set_tests_properties(${CUDA_TESTS} PROPERTIES TIMEOUT 900 LABELS cuda ENVIRONMENT
    "TEST_PLUGIN_DIR=${EMULATOR_FOLDER};TEST_DEVICE=cuda;LD_LIBRARY_PATH=${EMULATOR_FOLDER};TEST_CASES=text_single,cond_turbo_single,fsq_detokenize,fsq_tokenize,dit_turbo_even16,dit_base_batch2,vae_encode_8f,lm_logits,fsm_codes_8s;TEST_ARCHITECTURES=1:4")
  if(TARGET test_cuda_device)
    list(LENGTH CUDA_KERNEL_SOURCES cuda_files)
    target_compile_definitions(test_cuda_device PRIVATE CUDA_FILES=${cuda_files})
  endif()
  # There AddressSanitizer sees the ends of blocks, because they are malloc's.
  set_tests_properties(cuda_emulated_kernels cuda_emulated_own_kernels PROPERTIES
    ENVIRONMENT_MODIFICATION ACE_EMULATOR_VMM=set:0)
  # Cards without the tensor cores that products use: the same again, by the kernels for those.
  add_test(NAME cuda_emulated_kernels_turing
    COMMAND cuda_check --plugin-dir ${EMULATOR_FOLDER} --seed 2000 --cases 60)
  set(TURING_TESTS cuda_emulated_kernels_turing)
  if(CMOCKA_FOUND)
    foreach(part operations products)
      add_test(NAME cuda_emulated_${part}_turing COMMAND test_cuda_${part})
      list(APPEND TURING_TESTS cuda_emulated_${part}_turing)
    endforeach()
  endif()
  set_tests_properties(${TURING_TESTS} PROPERTIES TIMEOUT 900 LABELS cuda ENVIRONMENT
    "ACE_EMULATOR_CAPABILITY=75;TEST_PLUGIN_DIR=${EMULATOR_FOLDER};LD_LIBRARY_PATH=${EMULATOR_FOLDER}")
  if(Python3_FOUND AND TARGET acestep_program)
    add_test(NAME cuda_emulated_songs
      COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_cuda.py
              $<TARGET_FILE:acestep_program> ${EMULATOR_FOLDER})
    add_test(NAME cuda_emulated_server
      COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/program/test_cuda_server.py
              $<TARGET_FILE:acestep_program> ${EMULATOR_FOLDER})
    set_tests_properties(cuda_emulated_songs cuda_emulated_server PROPERTIES TIMEOUT 900 LABELS cuda)
  endif()
endif()
# The first run on a machine knows no times: the longest tests start first, so that none is left alone at the end.
foreach(name page cuda_emulated_songs test_lm_run models test_pipeline test_tiers_run server_compat test_vae
    test_pack_cache server_jobs program bench cuda_emulated_recovery)
  if(TEST ${name})
    set_tests_properties(${name} PROPERTIES COST 60)
  endif()
endforeach()
