# The demo model becomes part of the program: the files below models/demo, byte for byte. Its language model
# is untrained and stays outside.
file(GLOB_RECURSE DEMO_FILES RELATIVE ${CMAKE_SOURCE_DIR}/models CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/models/demo/*)
list(FILTER DEMO_FILES EXCLUDE REGEX "README.md|demo-reference|5Hz-lm")
list(SORT DEMO_FILES)

set(declarations "")
set(rows "")
set(assembly "    .section .rodata\n")
set(index 0)
foreach(file ${DEMO_FILES})
  string(APPEND declarations "extern const unsigned char ace_demo_file_${index}[];\n")
  file(SIZE ${CMAKE_SOURCE_DIR}/models/${file} bytes)
  string(APPEND rows "    {\"${file}\", ace_demo_file_${index}, ${bytes}},\n")
  string(APPEND assembly
    "    .balign 64\n    .global ace_demo_file_${index}\n    .hidden ace_demo_file_${index}\n"
    "ace_demo_file_${index}:\n    .incbin \"${CMAKE_SOURCE_DIR}/models/${file}\"\n")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/models/${file})
  math(EXPR index "${index} + 1")
endforeach()
string(APPEND assembly "    .section .note.GNU-stack,\"\",%progbits\n")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/demo_model.S CONTENT "${assembly}" @ONLY)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/demo_model.c CONTENT
"/* Written by cmake/demo_model.cmake. */
#include \"weights/demo_model.h\"

${declarations}
const ace_embedded_file *ace_demo_model_files(void)
{
    static const ace_embedded_file table[] = {
${rows}    {NULL, NULL, 0}};
    return table;
}
" @ONLY)
enable_language(ASM)
target_sources(acestep PRIVATE ${CMAKE_BINARY_DIR}/demo_model.c ${CMAKE_BINARY_DIR}/demo_model.S)
