# cmake -DOUTPUT=… -DCOMPLETION=… -DTEMPLATE_DIR=… -DTEMPLATES="a;b" -P embed_texts.cmake
#
# Writes plugctl_texts.hpp: files that plugctl carries inside, as raw string literals (in pieces: the standard
# promises no more than 64 KiB for one literal).

function(literal file result)
  file(READ ${file} text)
  string(LENGTH "${text}" length)
  if(length GREATER 60000)
    message(FATAL_ERROR "${file} is too long to embed")
  endif()
  set(${result} "R\"mohhos_text(${text})mohhos_text\"" PARENT_SCOPE)
endfunction()

set(out "// Made by tools/cmake/embed_texts.cmake.\n#pragma once\n\n#include <array>\n#include <string_view>\n\n")
string(APPEND out "namespace mohhos::plugctl {\n\nstruct Text {\n  std::string_view name;\n  std::string_view content;\n};\n\n")
literal(${COMPLETION} text)
string(APPEND out "inline constexpr std::string_view kBashCompletion = ${text};\n\n")
string(REPLACE "," ";" TEMPLATES "${TEMPLATES}")
list(LENGTH TEMPLATES count)
string(APPEND out "inline constexpr std::array<Text, ${count}> kTemplates = {{\n")
foreach(name IN LISTS TEMPLATES)
  literal(${TEMPLATE_DIR}/${name} text)
  # A template's own name may hold @NAME@; a trailing .in is not part of it.
  string(REGEX REPLACE "\\.in$" "" target "${name}")
  string(APPEND out "    Text{\"${target}\", ${text}},\n")
endforeach()
string(APPEND out "}};\n\n} // namespace mohhos::plugctl\n")
file(WRITE ${OUTPUT} "${out}")
