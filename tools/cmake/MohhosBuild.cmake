# Compiler settings that hold for every target of the project, and the two functions that declare
# them: mohhos_library(NAME [SANDBOXED] SOURCES… DEPENDS…) and mohhos_test(NAME SOURCES… DEPENDS…).

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 17)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
# All programs in one place, so that mohhosd finds its siblings beside itself, installed or not.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# mohhos_flags_sandboxed: of what runs inside a sandbox. mohhos_flags: of everything else; the same, and the sanitizers.
add_library(mohhos_flags_sandboxed INTERFACE)
target_compile_options(mohhos_flags_sandboxed INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
  -fstack-protector-strong -fno-plt -fcf-protection
  $<$<CONFIG:Release,RelWithDebInfo>:-D_FORTIFY_SOURCE=2>)
target_link_options(mohhos_flags_sandboxed INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
target_include_directories(mohhos_flags_sandboxed INTERFACE
  ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
add_library(mohhos_flags INTERFACE)
target_link_libraries(mohhos_flags INTERFACE mohhos_flags_sandboxed)

set(MOHHOS_SANITIZE "" CACHE STRING "Sanitizers for the whole build, e.g. address,undefined")
if(MOHHOS_SANITIZE)
  target_compile_options(mohhos_flags INTERFACE
    -fsanitize=${MOHHOS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -U_FORTIFY_SOURCE)
  target_link_options(mohhos_flags INTERFACE -fsanitize=${MOHHOS_SANITIZE})
  set(MOHHOS_PATIENCE 4) # what a test's time limit is multiplied by
else()
  set(MOHHOS_PATIENCE 1)
endif()

find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)

# One static library per directory of src, its files listed by name. SANDBOXED: programs that run inside a sandbox are
# linked with it as well; what they name is mohhos_<name>_sandboxed. In a sanitized build that is a twin without the
# sanitizer, whose runtime maps and calls what limits and filters refuse; else it is the same library.
function(mohhos_library name)
  cmake_parse_arguments(ARG "SANDBOXED" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(mohhos_${name} STATIC ${ARG_SOURCES})
  add_library(mohhos::${name} ALIAS mohhos_${name})
  target_link_libraries(mohhos_${name} PUBLIC mohhos_flags ${ARG_DEPENDS})
  if(ARG_SANDBOXED AND MOHHOS_SANITIZE)
    list(TRANSFORM ARG_DEPENDS REPLACE "^mohhos::(base|sys|model|ipc|sandbox_wire|sandbox_enter)$" "mohhos_\\1_sandboxed")
    add_library(mohhos_${name}_sandboxed STATIC EXCLUDE_FROM_ALL ${ARG_SOURCES})
    target_link_libraries(mohhos_${name}_sandboxed PUBLIC mohhos_flags_sandboxed ${ARG_DEPENDS})
  elseif(ARG_SANDBOXED)
    add_library(mohhos_${name}_sandboxed ALIAS mohhos_${name})
  endif()
endfunction()

# A GoogleTest program; every TEST in it becomes a ctest of its own.
function(mohhos_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPENDS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * ${MOHHOS_PATIENCE}")
  find_package(GTest REQUIRED)
  include(GoogleTest)
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE mohhos_flags ${ARG_DEPENDS} GTest::gtest GTest::gmock GTest::gtest_main)
  # A test's own code runs once: -O1 compiles it in two thirds of the time.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT ${ARG_TIMEOUT})
endfunction()
