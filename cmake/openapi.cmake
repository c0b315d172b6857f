# The description of the API becomes part of the program.
set(openapi ${CMAKE_SOURCE_DIR}/src/server/openapi.json)
file(WRITE ${CMAKE_BINARY_DIR}/generated/openapi.S.in
".section .rodata
.global ace_openapi_json
.global ace_openapi_json_end
ace_openapi_json:
.incbin \"${openapi}\"
ace_openapi_json_end:
.section .note.GNU-stack,\"\",%progbits
")
configure_file(${CMAKE_BINARY_DIR}/generated/openapi.S.in ${CMAKE_BINARY_DIR}/generated/openapi.S COPYONLY)
set_source_files_properties(${CMAKE_BINARY_DIR}/generated/openapi.S PROPERTIES OBJECT_DEPENDS ${openapi})
target_sources(acestep_service PRIVATE ${CMAKE_BINARY_DIR}/generated/openapi.S)
