// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/blas_info.h"

#include "capture/model/linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace kvloupe {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(BlasInfo, FindsTheOpenBlasThatThisProgramIsLinkedWith)
{
    useOneThreadPerProduct();
    const BlasInfo blas = loadedBlas();
    EXPECT_THAT(blas.library, HasSubstr("openblas"));
    EXPECT_THAT(blas.config, HasSubstr("OpenBLAS"));
    EXPECT_THAT(blas.core, testing::Not(IsEmpty()));
    EXPECT_THAT(blasWarning(blas), IsEmpty());
}

TEST(BlasInfo, WarnsOfTheReferenceBlasByName)
{
    const BlasInfo blas{"/usr/lib/x86_64-linux-gnu/blas/libblas.so.3.11.0", "", ""};
    EXPECT_THAT(blasWarning(blas), AllOf(HasSubstr("/blas/libblas.so.3.11.0"), HasSubstr("libopenblas0-pthread")));
}

TEST(BlasInfo, IsSilentAboutOtherFastLibraries)
{
    EXPECT_THAT(blasWarning({"/opt/intel/libmkl_rt.so.2", "", ""}), IsEmpty());
    EXPECT_THAT(blasWarning({"/lib/openblas-pthread/libblas.so.3", "OpenBLAS 0.3.21", "Haswell"}), IsEmpty());
}

TEST(Linear, MultipliesPartsOfRowsWithAndWithoutBias)
{
    Linear linear(3, 2, true);
    const std::vector<float> weight{1, 2, 3, 4, 5, 6};
    const std::vector<float> bias{10, 20, 30};
    std::copy(weight.begin(), weight.end(), linear.weight().begin());
    std::copy(bias.begin(), bias.end(), linear.bias().begin());

    const std::vector<float> x{1, 1, -1, 2, 0, -1}; // two rows of 2, 3 apart
    std::vector<float> y(8, 100); // two rows of 2, 4 apart
    linear.piece(1, 3, {}).apply({x.data(), 2, 3}, {y.data(), 2, 4});
    EXPECT_THAT(y, testing::ElementsAre(27, 41, 100, 100, 26, 40, 100, 100));
    linear.piece(0, 1, {}).addTo({x.data(), 1, 3}, {y.data() + 2, 1, 4});
    EXPECT_EQ(y[2], 100 + 3 + 10);
}

} // namespace
} // namespace kvloupe
