# SPDX-License-Identifier: GPL-3.0-or-later

# kvloupe_warnings(target): the warnings every target of ours is held to.
function(kvloupe_warnings target)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
    if(KVLOUPE_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
endfunction()

# kvloupe_library(name SOURCES ... PUBLIC ... PRIVATE ...): a static library of one layer, included as "layer/concept/file.h".
function(kvloupe_library name)
    cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
    add_library(${name} STATIC ${arg_SOURCES})
    target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}" "${PROJECT_BINARY_DIR}/generated")
    target_link_libraries(${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
    kvloupe_warnings(${name})
endfunction()

# kvloupe_test(name SOURCES ... LIBRARIES ... [LABELS label] [TIMEOUT seconds]): one GoogleTest program, every test known to
# ctest. Tests find their data through the macro KVLOUPE_TEST_DATA and the programs through KVLOUPE_BIN_DIR. The label is
# the layer (core, capture, views, app) unless another one is given, for example "slow": not run under the sanitizers.
function(kvloupe_test name)
    cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LIBRARIES;LABELS" ${ARGN})
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 300)
    endif()
    if(NOT arg_LABELS)
        cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY "${PROJECT_SOURCE_DIR}/tests" OUTPUT_VARIABLE folder)
        string(REGEX REPLACE "/.*" "" arg_LABELS "${folder}")
    endif()
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} GTest::gtest GTest::gmock)
    if(NOT "kvloupe_widget_test_main" IN_LIST arg_LIBRARIES)
        target_link_libraries(${name} PRIVATE GTest::gtest_main)
    endif()
    target_compile_definitions(${name} PRIVATE
        KVLOUPE_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data" KVLOUPE_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
    kvloupe_warnings(${name})
    gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
        PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}")
endfunction()
