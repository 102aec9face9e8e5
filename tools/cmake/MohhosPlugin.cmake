# mohhos_add_plugin(NAME name SOURCES file… MANIFEST plugin.toml [LIBRARIES library…])
#
# Builds <name>.so as a mohhosd plugin: the SDK's headers, the manifest checked and embedded as section
# .mohhos.manifest, one exported symbol, and the hardening that the ELF rules of `plugctl inspect` ask for. The
# target's name is `name`, which should be the manifest's; the file lies in MOHHOS_PLUGIN_DIR (by default
# <build>/plugins). Sign it with `plugctl sign`.
#
# The same file serves the build tree of mohhos itself and, installed, find_package(mohhos).

set(MOHHOS_PLUGIN_DIR ${CMAKE_BINARY_DIR}/plugins CACHE PATH "Where plugins are built")
set(MOHHOS_PLUGIN_EXPORTS ${CMAKE_CURRENT_LIST_DIR}/plugin.map)
set(MOHHOS_PLUGIN_MANIFEST_IN ${CMAKE_CURRENT_LIST_DIR}/manifest.c.in)

function(mohhos_add_plugin)
  cmake_parse_arguments(ARG "" "NAME;MANIFEST" "SOURCES;LIBRARIES" ${ARGN})
  foreach(needed NAME SOURCES MANIFEST)
    if(NOT ARG_${needed})
      message(FATAL_ERROR "mohhos_add_plugin: ${needed} is missing")
    endif()
  endforeach()
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "mohhos_add_plugin(NAME ${ARG_NAME}): unknown argument ${ARG_UNPARSED_ARGUMENTS}")
  endif()

  add_library(${ARG_NAME} MODULE ${ARG_SOURCES})
  set_target_properties(${ARG_NAME} PROPERTIES
    PREFIX "" SUFFIX ".so"
    LIBRARY_OUTPUT_DIRECTORY ${MOHHOS_PLUGIN_DIR}
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON
    SKIP_BUILD_RPATH ON SKIP_INSTALL_RPATH ON # a plugin has no search path of its own: rule of the loader
    LINK_DEPENDS ${MOHHOS_PLUGIN_EXPORTS})
  target_link_libraries(${ARG_NAME} PRIVATE mohhos::sdk ${ARG_LIBRARIES})
  target_compile_options(${ARG_NAME} PRIVATE
    -fstack-protector-strong -fcf-protection -ffunction-sections -fdata-sections
    $<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=2>)
  # The C++ runtime comes along inside, unseen from outside: the plugin runs on a host that was built with
  # another one, and the host's process does not load it twice.
  target_link_options(${ARG_NAME} PRIVATE
    -Wl,--version-script=${MOHHOS_PLUGIN_EXPORTS} -Wl,--gc-sections -Wl,--as-needed -Wl,--build-id
    -Wl,-z,relro,-z,now,-z,noexecstack,-z,defs,-z,separate-code
    -static-libgcc $<$<LINK_LANGUAGE:CXX>:-static-libstdc++>)

  mohhos_embed_manifest(${ARG_NAME} ${ARG_MANIFEST})
endfunction()

# The name out of plugin.toml, for the cross-check of code and manifest; only the line `name = "…"` is read here,
# the checks are plugctl's.
function(mohhos_manifest_name manifest result)
  file(STRINGS ${manifest} line REGEX "^name *= *\"[^\"]*\"" LIMIT_COUNT 1)
  string(REGEX REPLACE "^name *= *\"([^\"]*)\".*" "\\1" name "${line}")
  set(${result} "${name}" PARENT_SCOPE)
endfunction()

function(mohhos_embed_manifest target manifest)
  get_filename_component(manifest ${manifest} ABSOLUTE)
  mohhos_manifest_name(${manifest} name)
  target_compile_definitions(${target} PRIVATE MOHHOS_PLUGIN_NAME="${name}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${manifest})

  # plugctl checks the text and writes the canonical bytes; a source with nothing but .incbin carries them.
  set(MOHHOS_MANIFEST_BYTES ${CMAKE_CURRENT_BINARY_DIR}/${target}.manifest)
  set(plugctl mohhos::plugctl)
  if(TARGET plugctl) # mohhos' own build
    set(plugctl plugctl)
  endif()
  add_custom_command(
    OUTPUT ${MOHHOS_MANIFEST_BYTES}
    COMMAND ${plugctl} manifest compile ${manifest} --output ${MOHHOS_MANIFEST_BYTES}
    DEPENDS ${manifest} ${plugctl}
    COMMENT "Manifest of ${target}"
    VERBATIM)
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${target}.manifest.c)
  if(NOT "C" IN_LIST languages)
    string(APPEND source pp) # the same text is C++
  endif()
  configure_file(${MOHHOS_PLUGIN_MANIFEST_IN} ${source} @ONLY)
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS ${MOHHOS_MANIFEST_BYTES})
  target_sources(${target} PRIVATE ${source})
endfunction()
