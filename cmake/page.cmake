# The page becomes part of the program: web/ is bundled at build time and embedded, plain and compressed.
# Where Node.js or its packages are missing the table is empty and the program serves its API alone.
find_program(NODE_PROGRAM NAMES node nodejs)
find_program(NPM_PROGRAM NAMES npm)
if(NODE_PROGRAM AND NPM_PROGRAM)
  execute_process(COMMAND ${NODE_PROGRAM} --version OUTPUT_VARIABLE node_version
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  string(REGEX REPLACE "^v" "" node_version "${node_version}")
endif()
if("${node_version}" VERSION_LESS 18)
  message(STATUS "No page: it needs Node.js 18 or newer and npm (Debian: nodejs, npm). "
    "The program will serve its API alone.")
  set(page_node "")
else()
  set(page_node ${NODE_PROGRAM})
endif()

file(GLOB_RECURSE PAGE_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/src/*)
set(page_folder ${CMAKE_BINARY_DIR}/page)
add_custom_command(OUTPUT ${page_folder}/page_files.c ${page_folder}/page_files.S
  COMMAND ${CMAKE_COMMAND} "-DNODE=${page_node}" "-DNPM=${NPM_PROGRAM}" -DWEB=${CMAKE_SOURCE_DIR}/web
    -DOUTPUT=${page_folder} -P ${CMAKE_SOURCE_DIR}/cmake/page_build.cmake
  DEPENDS ${PAGE_SOURCES} ${CMAKE_SOURCE_DIR}/web/build.mjs ${CMAKE_SOURCE_DIR}/web/package-lock.json
    ${CMAKE_SOURCE_DIR}/cmake/page_build.cmake ${CMAKE_SOURCE_DIR}/cmake/page.cmake
  COMMENT "Building the page" VERBATIM)

enable_language(ASM)
add_library(acestep_page STATIC ${page_folder}/page_files.c ${page_folder}/page_files.S)
target_include_directories(acestep_page PRIVATE src)
target_link_libraries(acestep_page PRIVATE acestep_flags)
target_link_libraries(acestep_service PUBLIC acestep_page)
