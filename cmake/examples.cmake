# The example songs become part of the program: models/examples/*.json, byte for byte.
file(GLOB EXAMPLE_FILES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/models/examples/*.json)
list(SORT EXAMPLE_FILES)

set(declarations "")
set(rows "")
set(assembly "    .section .rodata\n")
set(index 0)
foreach(file ${EXAMPLE_FILES})
  get_filename_component(name ${file} NAME)
  file(SIZE ${file} bytes)
  string(APPEND declarations "extern const char ace_example_${index}[];\n")
  string(APPEND rows "    {\"${name}\", ace_example_${index}, ${bytes}},\n")
  string(APPEND assembly
    "    .global ace_example_${index}\n    .hidden ace_example_${index}\n"
    "ace_example_${index}:\n    .incbin \"${file}\"\n")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  math(EXPR index "${index} + 1")
endforeach()
string(APPEND assembly "    .section .note.GNU-stack,\"\",%progbits\n")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/examples.S CONTENT "${assembly}" @ONLY)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/examples.c CONTENT
"/* Written by cmake/examples.cmake. */
#include \"api/examples.h\"

${declarations}
const ace_example *ace_examples(void)
{
    static const ace_example table[] = {
${rows}    {NULL, NULL, 0}};
    return table;
}
" @ONLY)
target_sources(acestep PRIVATE ${CMAKE_BINARY_DIR}/examples.c ${CMAKE_BINARY_DIR}/examples.S)
