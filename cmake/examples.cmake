# The example songs become part of the program: models/examples/*.json.
file(GLOB EXAMPLE_FILES RELATIVE ${CMAKE_SOURCE_DIR}/models/examples CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/models/examples/*.json)
list(SORT EXAMPLE_FILES)
embed_files(acestep examples ace_examples api/examples.h ${CMAKE_SOURCE_DIR}/models/examples ${EXAMPLE_FILES})
