# Builds web/ into OUTPUT/dist and OUTPUT/page_files.{c,S}. Run at build time, as
#   cmake -DNODE=... -DNPM=... -DWEB=... -DOUTPUT=... -P page_build.cmake
# Without NODE, or where its packages cannot be installed, the table of files is empty.

function(write_empty_table reason)
  if(reason)
    message(WARNING "The page is left out: ${reason}\n"
      "The program will serve its API alone. To try again: rm ${OUTPUT}/page_files.c")
  endif()
  file(MAKE_DIRECTORY ${OUTPUT})
  file(WRITE ${OUTPUT}/page_files.S "    .section .note.GNU-stack,\"\",%progbits\n")
  file(WRITE ${OUTPUT}/page_files.c
"/* Written by cmake/page_build.cmake. */
#include \"server/page.h\"

const ace_page_file *ace_page_files(size_t *count)
{
    *count = 0;
    return NULL;
}
")
endfunction()

if(NOT NODE)
  write_empty_table("")
  return()
endif()

# Packages are installed when the lock file is not the one they came from. Several builds may come by here.
file(LOCK ${WEB}/node_modules.lock GUARD PROCESS TIMEOUT 600)
file(SHA256 ${WEB}/package-lock.json wanted)
set(stamp ${WEB}/node_modules/.installed)
set(installed "")
if(EXISTS ${stamp})
  file(READ ${stamp} installed)
endif()
if(NOT installed STREQUAL wanted)
  execute_process(COMMAND ${NPM} ci --ignore-scripts WORKING_DIRECTORY ${WEB}
    RESULT_VARIABLE failed OUTPUT_QUIET ERROR_VARIABLE complaint TIMEOUT 300)
  if(failed)
    write_empty_table("npm could not install its packages (is the network there?)\n${complaint}")
    return()
  endif()
  file(WRITE ${stamp} ${wanted})
endif()

execute_process(COMMAND ${NODE} ${WEB}/build.mjs ${OUTPUT} RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "web/build.mjs failed, see above")
endif()
