// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/cuda_kernels.h"
#include "capture/cuda/vector_norms.h"
#include "core/recording/vector_statistics.h"
#include "device_arrays.h"
#include "host_kernels.h"
#include "token_edit_case.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <random>

namespace kvloupe::cuda {
namespace {

std::size_t at(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// Kernels of compressed caches and of weights, launched. Everything begins as NaN.
class CudaDataKernels : public testing::Test {
protected:
    void SetUp() override
    {
        if (const std::string why = whyUnsupported(deviceFacts()); !why.empty())
            GTEST_SKIP() << why;
        kernels = makeCudaKernels(nullptr);
    }

    template <typename Element> std::vector<Element> draw(std::int64_t size)
    {
        std::normal_distribution<float> normal;
        std::vector<Element> values(at(size));
        for (Element& value : values)
            value = fromFloat<Element>(normal(random));
        return values;
    }

    std::unique_ptr<AttentionKernels> kernels;
    std::mt19937_64 random{3};
};

void expectNear(const std::vector<float>& found, const std::vector<float>& expected, float bound)
{
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
        ASSERT_NEAR(found[i], expected[i], bound * std::max(0.1F, std::abs(expected[i]))) << i;
}

/// Contexts, then weights, of two lists; the first has several parts and unseen slots.
template <typename Element>
std::vector<float> attendLists(AttentionKernels& kernels, int dim, const std::vector<Element>& tokens)
{
    using Input = ListsInput<Element>;
    constexpr std::array slots{700, 48};
    constexpr std::array heads{9, 2};
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::mt19937_64 random(4);
    std::normal_distribution<float> normal;
    DeviceArrays memory(kernels);
    std::vector<TokenList<Element>> lists;
    std::vector<ListPart> parts;
    for (std::size_t i = 0; i < slots.size(); ++i) {
        std::vector<std::uint32_t> masked(at((slots[i] + 31) / 32));
        for (std::uint32_t& bits : masked)
            bits = static_cast<std::uint32_t>(random() & random());
        masked.back() |= slots[i] % 32 == 0 ? 0U : ~0U << (slots[i] % 32);
        std::vector<float> queries(at(heads[i] * dim));
        for (float& x : queries)
            x = normal(random);
        lists.push_back({memory.make(tokens), memory.make(tokens), memory.make(masked), memory.make(queries),
            memory.make(std::vector<float>(at(heads[i] * dim), nan)),
            memory.make(std::vector<float>(at(heads[i] * slots[i]), nan)), slots[i], heads[i],
            static_cast<int>(parts.size())});
        for (int head = 0; head < heads[i]; head += Input::partHeads)
            for (int slot = 0; slot < slots[i]; slot += Input::partSlots)
                parts.push_back({static_cast<int>(i), slot, head});
    }
    const std::vector<float> perHead(parts.size() * Input::partHeads, nan);
    kernels.attendLists(dim,
        Input{memory.make(lists), memory.make(parts), memory.make(perHead), memory.make(perHead),
            memory.make(std::vector<float>(perHead.size() * at(dim), nan)), static_cast<int>(lists.size()),
            static_cast<int>(parts.size()), heads[0], 0.11F});
    std::vector<float> result;
    for (std::size_t i = 0; i < slots.size(); ++i) {
        memory.append(result, static_cast<const float*>(lists[i].context), at(heads[i] * dim));
        memory.append(result, static_cast<const float*>(lists[i].weights), at(heads[i] * slots[i]));
    }
    return result;
}

TEST_F(CudaDataKernels, AttendToListsAsOnTheCpu)
{
    const auto expectSame = [&](int dim, const auto& tokens) {
        SCOPED_TRACE(dim);
        HostKernels host;
        const std::vector<float> found = attendLists(*kernels, dim, tokens);
        expectNear(found, attendLists(host, dim, tokens), 1e-5F);
        EXPECT_EQ(found, attendLists(*kernels, dim, tokens));
    };
    for (const int dim : {64, 80, 96, 128, 256}) {
        expectSame(dim, draw<float>(700 * dim));
        expectSame(dim, draw<Bfloat16>(700 * dim));
        expectSame(dim, draw<Float16>(700 * dim));
    }
}

TEST_F(CudaDataKernels, EditTokensAsOnTheCpu)
{
    constexpr int dim = 64;
    constexpr int slots = 32;
    const std::vector<float> keys = draw<float>(slots * dim);
    const std::vector<float> values = draw<float>(slots * dim);
    const std::vector<float> numbers = draw<float>(2 * dim);
    const std::vector<float> frequencies = ropeFrequencies(dim);
    const std::vector<TokenEdit> edits = dependentEdits();
    const auto edited = [&](AttentionKernels& device) {
        DeviceArrays memory(device);
        const TokenEdits<float> list{memory.make(keys), memory.make(values), memory.make(keys),
            memory.make(std::vector<int>(slots, 1)), memory.make(frequencies), memory.make(edits), memory.make(numbers),
            static_cast<int>(edits.size())};
        device.editTokens(dim, memory.make(std::vector{list}), 1);
        std::vector<float> result;
        for (const float* array : {list.keys, list.values, list.cameAs})
            memory.append(result, array, slots * dim);
        std::vector<int> shifts;
        memory.append(shifts, static_cast<const int*>(list.shifts), slots);
        result.insert(result.end(), shifts.begin(), shifts.end());
        return result;
    };
    HostKernels host;
    expectNear(edited(*kernels), edited(host), 1e-5F);
}

TEST_F(CudaDataKernels, GatherKeptVectors)
{
    constexpr int dim = 80;
    constexpr int tokens = 50;
    constexpr int heads = 3;
    const std::vector<Bfloat16> vectors = draw<Bfloat16>(tokens * heads * dim); // [tokens, heads, dim]
    const std::vector<int> counts{4, 0, 7};
    const std::vector<std::int64_t> offsets{0, 4, 4};
    const std::vector<int> kept{0, 3, 10, 49, 1, 2, 3, 30, 31, 40, 48};
    DeviceArrays memory(*kernels);
    auto* out = memory.make(std::vector<Bfloat16>(kept.size() * dim, Bfloat16{0xffff}));
    const auto* from = memory.make(vectors);
    kernels->gatherKept(
        {reinterpret_cast<const unsigned char*>(from), dim * 2, heads * dim * 2, dim * 2, memory.make(counts),
            memory.make(offsets), memory.make(kept), reinterpret_cast<unsigned char*>(out)},
        heads, 7);
    std::vector<Bfloat16> found;
    memory.append(found, static_cast<const Bfloat16*>(out), kept.size() * dim);
    for (int h = 0; h < heads; ++h)
        for (std::int64_t i = offsets[at(h)]; i < offsets[at(h)] + counts[at(h)]; ++i)
            for (int d = 0; d < dim; ++d)
                ASSERT_EQ(found[at(i * dim + d)].bits, vectors[at((kept[at(i)] * heads + h) * dim + d)].bits);
}

TEST_F(CudaDataKernels, ComputeNormsOfTheRecorder)
{
    constexpr int tokens = 21;
    constexpr int heads = 2;
    const auto expectNorms = [&](int dim, auto vectors) {
        using Element = typename decltype(vectors)::value_type;
        DeviceArrays memory(*kernels);
        float* norms = memory.make(std::vector<float>(heads * tokens, -1.0F));
        computeNorms(NormsInput<Element>{memory.make(vectors), tokens * dim, dim, tokens, dim, norms}, heads, nullptr);
        std::vector<float> found;
        memory.append(found, static_cast<const float*>(norms), heads * tokens);
        std::vector<float> wide;
        for (const Element x : vectors)
            wide.push_back(widen(x));
        expectNear(found, euclideanNorms(wide, dim), 1e-6F);
    };
    expectNorms(64, draw<float>(heads * tokens * 64));
    expectNorms(256, draw<Bfloat16>(heads * tokens * 256));
    expectNorms(96, draw<Float16>(heads * tokens * 96));
}

/// Random bytes, so that every bit of every field is met, scales that are infinite or NaN included.
TEST_F(CudaDataKernels, DequantizeToTheBitsOfTheCheckpointReader)
{
    for (const DataType type : {DataType::F32, DataType::F16, DataType::BF16, DataType::Q4_0, DataType::Q4_1,
             DataType::Q5_0, DataType::Q5_1, DataType::Q8_0, DataType::Q2_K, DataType::Q3_K, DataType::Q4_K,
             DataType::Q5_K, DataType::Q6_K, DataType::Q8_K, DataType::IQ4_NL, DataType::IQ4_XS}) {
        SCOPED_TRACE(dataTypeName(type));
        const auto length = static_cast<std::size_t>(blockLength(type));
        const std::size_t values = 20 * 256;
        std::vector<std::byte> blocks(values / length * static_cast<std::size_t>(blockBytes(type)));
        for (std::byte& byte : blocks)
            byte = static_cast<std::byte>(random());
        std::vector<float> expected(values);
        dequantize(type, blocks, expected);
        std::uint32_t expectedFirst = 0xffffffffU; // that is not finite
        for (std::size_t i = values; i-- > 0;)
            expectedFirst = std::isfinite(expected[i]) ? expectedFirst : static_cast<std::uint32_t>(i);
        const auto expectBits = [&](auto element) {
            using Element = decltype(element);
            DeviceArrays memory(*kernels);
            Element* out = memory.make(std::vector<Element>(values, fromFloat<Element>(99.0F)));
            std::uint32_t* first = memory.make(std::vector<std::uint32_t>{0xffffffffU});
            kernels->dequantize(type,
                DequantizationInput<Element>{reinterpret_cast<const std::uint8_t*>(memory.make(blocks)),
                    static_cast<std::int64_t>(values), out, first});
            std::vector<std::uint32_t> foundFirst;
            memory.append(foundFirst, static_cast<const std::uint32_t*>(first), 1);
            EXPECT_EQ(foundFirst.front(), expectedFirst);
            std::vector<Element> found;
            memory.append(found, static_cast<const Element*>(out), values);
            for (std::size_t i = 0; i < values; ++i) {
                const Element rounded = fromFloat<Element>(expected[i]);
                if (std::isnan(expected[i]))
                    ASSERT_TRUE(std::isnan(widen(found[i]))) << i;
                else
                    ASSERT_EQ(std::memcmp(&found[i], &rounded, sizeof(Element)), 0) << i;
            }
        };
        expectBits(float{});
        expectBits(Bfloat16{});
        expectBits(Float16{});
    }
}

} // namespace
} // namespace kvloupe::cuda
