# Which commit a program was built from, for the results of `acestep bench`. Run at every build, as
#   cmake -DSOURCE=... -DOUTPUT=... -P build_id.cmake
# OUTPUT is only touched when something changed. Without git, or outside a repository, it is empty.
set(commit "")
find_program(GIT git)
if(GIT AND EXISTS ${SOURCE}/.git)
  execute_process(COMMAND ${GIT} -C ${SOURCE} describe --always --dirty --abbrev=12
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define ACESTEP_COMMIT \"${commit}\"\n" @ONLY)
