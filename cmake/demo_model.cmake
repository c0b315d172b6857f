# The demo model becomes part of the program: the files below models/demo. Its language model is untrained and
# stays outside.
file(GLOB_RECURSE DEMO_FILES RELATIVE ${CMAKE_SOURCE_DIR}/models CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/models/demo/*)
list(FILTER DEMO_FILES EXCLUDE REGEX "README.md|demo-reference|5Hz-lm")
list(SORT DEMO_FILES)
embed_files(acestep demo_model ace_demo_model_files weights/demo_model.h ${CMAKE_SOURCE_DIR}/models
  ${DEMO_FILES})
