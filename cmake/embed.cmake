# embed_files(TARGET NAME FUNCTION HEADER ROOT FILE...): FILEs below ROOT become part of TARGET, byte for byte.
# FUNCTION, declared in HEADER, returns them as a table of ace_embedded_file (src/base/file_map.h), in the order
# given and by their paths below ROOT. NAME is that of the sources that are written for it.
enable_language(ASM)
function(embed_files target name function header root)
  set(declarations "")
  set(rows "")
  set(assembly "    .section .rodata\n")
  set(index 0)
  foreach(file ${ARGN})
    set(symbol ace_${name}_file_${index})
    file(SIZE ${root}/${file} bytes)
    string(APPEND declarations "extern const unsigned char ${symbol}[];\n")
    string(APPEND rows "    {\"${file}\", ${symbol}, ${bytes}},\n")
    string(APPEND assembly
      "    .balign 64\n    .global ${symbol}\n    .hidden ${symbol}\n"
      "${symbol}:\n    .incbin \"${root}/${file}\"\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${root}/${file})
    list(APPEND embedded ${root}/${file})
    math(EXPR index "${index} + 1")
  endforeach()
  string(APPEND assembly "    .section .note.GNU-stack,\"\",%progbits\n")
  set(sources ${CMAKE_BINARY_DIR}/${name}.c ${CMAKE_BINARY_DIR}/${name}.S)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${name}.S CONTENT "${assembly}" @ONLY)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${name}.c CONTENT
"/* Written by cmake/embed.cmake. */
#include \"${header}\"

${declarations}
const ace_embedded_file *${function}(void)
{
    static const ace_embedded_file table[] = {
${rows}    {NULL, NULL, 0}};
    return table;
}
" @ONLY)
  set_source_files_properties(${CMAKE_BINARY_DIR}/${name}.S PROPERTIES OBJECT_DEPENDS "${embedded}")
  target_sources(${target} PRIVATE ${sources})
endfunction()
