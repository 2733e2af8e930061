# Warnings, sanitizers and the rule "one target a folder".

add_library(cloze_options INTERFACE)
target_include_directories(cloze_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(cloze_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Werror)
if(CLOZE_SANITIZE)
  target_compile_options(cloze_options INTERFACE -fsanitize=${CLOZE_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(cloze_options INTERFACE -fsanitize=${CLOZE_SANITIZE})
endif()
if(CLOZE_FUZZ)
  target_compile_options(cloze_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# cloze_folder(NAME DEPENDENCY...): library cloze_NAME from cloze/NAME/**.cc (main.cc left out).
function(cloze_folder name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cloze/${name}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  list(TRANSFORM ARGN PREPEND cloze_ OUTPUT_VARIABLE dependencies)
  if(sources)
    add_library(cloze_${name} STATIC ${sources})
    target_link_libraries(cloze_${name} PUBLIC ${dependencies} PRIVATE cloze_options)
    target_include_directories(cloze_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  else()
    add_library(cloze_${name} INTERFACE)
    target_link_libraries(cloze_${name} INTERFACE ${dependencies})
    target_include_directories(cloze_${name} INTERFACE ${PROJECT_SOURCE_DIR})
  endif()
  # foreach_target.h includes a SIMD kernel's file again for each target: such a file must stand on its own.
  file(GLOB simd ${PROJECT_SOURCE_DIR}/cloze/${name}/cpu/*.cc)
  set_source_files_properties(${simd} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  if(CLOZE_SANITIZE)
    # With UndefinedBehaviorSanitizer one SIMD kernel file takes minutes to compile; the other sanitizers stay on. For
    # the same reason the targets below AVX2, which differ in vector width only, are left to the release build.
    # Nor is a fuzzer helped by edges of code that is compiled once for each SIMD target.
    set(simd_options -fno-sanitize=undefined "$<$<BOOL:${CLOZE_FUZZ}>:-fno-sanitize=fuzzer-no-link>")
    if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
      list(APPEND simd_options -march=x86-64-v3)
    endif()
    set_source_files_properties(${simd} PROPERTIES COMPILE_OPTIONS "${simd_options}")
  endif()
  if(CLOZE_FUZZ AND name STREQUAL text)
    # Tracing each comparison with a table of code points would take nine tenths of a fuzzer's time.
    set_source_files_properties(cloze/text/char_map.cc cloze/text/char_class.cc PROPERTIES COMPILE_OPTIONS
                                -fno-sanitize=fuzzer-no-link)
  endif()
  set_property(GLOBAL APPEND PROPERTY CLOZE_FOLDERS ${name})
endfunction()

# One test program a folder of tests/: test_NAME from tests/NAME/*_test.cc, its cases found by ctest.
# Cases whose suite name starts with "Slow" carry the label `slow`, the others `fast`.
function(cloze_tests)
  include(GoogleTest)
  get_property(folders GLOBAL PROPERTY CLOZE_FOLDERS)
  foreach(name ${folders})
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${name}/*.cc)
    if(NOT sources)
      continue()
    endif()
    add_executable(test_${name} ${sources})
    target_link_libraries(test_${name} PRIVATE cloze_${name} cloze_options GTest::gtest GTest::gmock GTest::gtest_main)
    target_compile_definitions(test_${name} PRIVATE CLOZE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                               CLOZE_BINARY="${CMAKE_BINARY_DIR}/bin/cloze")
    gtest_discover_tests(test_${name} TEST_PREFIX ${name}. TEST_FILTER -Slow* DISCOVERY_TIMEOUT 60
                         PROPERTIES LABELS fast TIMEOUT 300)
    gtest_discover_tests(test_${name} TEST_PREFIX ${name}. TEST_FILTER Slow* DISCOVERY_TIMEOUT 60
                         TEST_LIST slow_${name} PROPERTIES LABELS slow TIMEOUT 1500)
  endforeach()
  if(TARGET test_cli)
    add_dependencies(test_cli cloze)
  endif()
endfunction()

# cloze_fuzzer(NAME FOLDER...): the program fuzz_NAME from fuzz/NAME.cc. The target `fuzzers` builds all of them.
function(cloze_fuzzer name)
  list(TRANSFORM ARGN PREPEND cloze_ OUTPUT_VARIABLE libraries)
  add_executable(fuzz_${name} fuzz/${name}.cc)
  target_link_libraries(fuzz_${name} PRIVATE ${libraries} cloze_options)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers fuzz_${name})
endfunction()
