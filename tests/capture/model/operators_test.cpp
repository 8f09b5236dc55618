// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/next_token.h"
#include "capture/model/rms_norm.h"
#include "capture/model/rope.h"
#include "capture/model/swiglu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::FloatNear;

std::vector<float> normalFloats(std::size_t size, unsigned seed, float spread = 1.0F)
{
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, spread);
    std::vector<float> values(size);
    std::generate(values.begin(), values.end(), [&] { return normal(random); });
    return values;
}

TEST(RmsNorm, EqualsTheFormulaInDoubleForEveryLength)
{
    for (std::size_t size = 1; size < 70; ++size) {
        const std::vector<float> x = normalFloats(size, 1);
        const std::vector<float> gain = normalFloats(size, 2);
        std::vector<float> out(size);
        EXPECT_TRUE(rmsNorm(x, gain, 1e-5, out));
        double squares = 0;
        for (const float value : x)
            squares += static_cast<double>(value) * static_cast<double>(value);
        for (std::size_t i = 0; i < size; ++i) {
            const double expected = static_cast<double>(gain[i]) * static_cast<double>(x[i])
                / std::sqrt(squares / static_cast<double>(size) + 1e-5);
            EXPECT_NEAR(out[i], expected, 2e-6) << "element " << i << " of " << size;
        }
    }
}

TEST(RmsNorm, NoticesInfinitiesAndNaN)
{
    for (const float broken : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
        for (const std::size_t place : {0, 20, 36}) {
            std::vector<float> x(37, 1.0F);
            x[place] = broken;
            std::vector<float> out(x.size());
            EXPECT_FALSE(rmsNorm(x, std::vector<float>(x.size(), 1.0F), 1e-5, out)) << place;
        }
    }
}

// cos and sin of LlamaRotaryEmbedding of transformers 5.2.0 (torch 2.15.0, CPU) with head_dim 64 and theta 100,000.
TEST(Rope, HasTheAnglesOfTransformers)
{
    const std::vector<std::int64_t> positions{0, 1, 653, 8191};
    const RopeTable table(plainFrequencies(100000.0, 64), positions);
    const std::vector<float> expectedCosines = {1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F,
        1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F,
        1.0F, 1.0F, 0.540302336F, 0.766237974F, 0.883755982F, 0.94281441F, 0.972014427F, 0.986339092F, 0.993339777F,
        0.996754825F, 0.998419285F, 0.999230146F, 0.999625087F, 0.999817431F, 0.99991107F, 0.999956727F, 0.9999789F,
        0.999989748F, 0.999994993F, 0.999997556F, 0.999998808F, 0.999999404F, 0.999999702F, 0.999999881F, 0.99999994F,
        1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 0.899893105F, -0.988407314F, -0.771914482F, -0.408415765F,
        -0.611649275F, 0.319686979F, 0.999959111F, -0.706974924F, 0.558495283F, 0.881286502F, 0.567214966F,
        0.996143878F, -0.753857553F, 0.978744268F, -0.454603225F, -0.983398736F, -0.474302053F, 0.129434794F,
        0.535605311F, 0.763733685F, 0.882483006F, 0.942181587F, 0.971703172F, 0.986186802F, 0.99326545F, 0.996718585F,
        0.998401642F, 0.999221504F, 0.999620855F, 0.999815404F, 0.999910116F, 0.99995625F, -0.646390498F, -0.196372911F,
        0.478637993F, 0.999772727F, 0.63109684F, -0.136233762F, -0.965726256F, 0.945766449F, -0.362002552F, 0.55041194F,
        -0.314504772F, 0.850708902F, -0.747172713F, 0.67860949F, -0.976714969F, 0.835963786F, 0.718274891F,
        0.714982986F, 0.998887837F, -0.812326908F, 0.990103722F, -0.413273394F, -0.988703489F, -0.493851483F,
        0.113959588F, 0.526385844F, 0.75881058F, 0.879978597F, 0.940936148F, 0.971090555F, 0.985886991F, 0.993119121F};
    const std::vector<float> expectedSines = {0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F,
        0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F,
        0.0F, 0.0F, 0.841470957F, 0.642556906F, 0.467948079F, 0.333318174F, 0.234921068F, 0.164727464F, 0.115221716F,
        0.0804970264F, 0.0562044941F, 0.0392318293F, 0.0273807738F, 0.0191083681F, 0.01333482F, 0.00930558611F,
        0.00649377098F, 0.00453156838F, 0.00316227251F, 0.00220673229F, 0.00153992593F, 0.0010746076F, 0.000749894127F,
        0.000523299095F, 0.000365174114F, 0.000254829676F, 0.00017782794F, 0.000124093771F, 8.65964321e-05F,
        6.04296365e-05F, 4.21696532e-05F, 2.94272722e-05F, 2.05352499e-05F, 1.43301268e-05F, -0.436110497F,
        -0.151825413F, -0.635726333F, 0.912796021F, -0.791129053F, 0.947523236F, 0.00904090051F, 0.707238615F,
        -0.829507709F, 0.47258237F, -0.823569775F, -0.0877344161F, 0.657037854F, -0.205084413F, -0.890694082F,
        0.181457713F, 0.880362153F, 0.991587937F, 0.844468474F, 0.645531416F, 0.470344335F, 0.335102797F, 0.23620522F,
        0.165636882F, 0.11586085F, 0.0809445754F, 0.0565173402F, 0.0394503102F, 0.0275333039F, 0.0192148257F,
        0.0134091154F, 0.00935743563F, -0.763006806F, -0.980529308F, -0.878012359F, 0.0213194136F, 0.775704026F,
        -0.990676701F, -0.259562612F, 0.3248474F, 0.932177126F, 0.834893227F, -0.949255884F, -0.52563709F, 0.664629877F,
        0.734499216F, 0.214541122F, -0.548784614F, 0.695759416F, -0.69914186F, 0.047149688F, 0.583202422F,
        -0.140337422F, -0.91060698F, 0.149884626F, 0.869546294F, 0.993485391F, 0.850245774F, 0.651311398F, 0.475013286F,
        0.338584036F, 0.238711506F, 0.167412192F, 0.117108725F};
    std::size_t next = 0;
    for (std::int64_t row = 0; row < table.rows(); ++row) {
        for (std::size_t i = 0; i < 32; ++i, ++next) {
            EXPECT_NEAR(table.cosines(row)[i], expectedCosines[next], 1e-6) << "row " << row << ", frequency " << i;
            EXPECT_NEAR(table.sines(row)[i], expectedSines[next], 1e-6) << "row " << row << ", frequency " << i;
        }
    }
}

TEST(Rope, TurnsTheTwoHalvesAgainstEachOther)
{
    // A quarter turn of the first pair, none of the second.
    const std::vector<float> cosines{0, 1};
    const std::vector<float> sines{1, 0};
    std::vector<float> vector{1, 2, 3, 4};
    applyRope(vector, cosines, sines, vector);
    EXPECT_THAT(vector, ElementsAre(-3, 2, 1, 4));
}

TEST(Rope, KeepsProductsOfVectorsThatAreEquallyFarApart)
{
    const std::vector<float> query = normalFloats(48, 3);
    const std::vector<float> key = normalFloats(48, 4);
    const std::vector<std::int64_t> positions{10, 3, 110, 103};
    const RopeTable table(plainFrequencies(10000.0, 48), positions);
    const auto product = [&](std::int64_t queryRow, std::int64_t keyRow) {
        std::vector<float> q(48);
        std::vector<float> k(48);
        applyRope(query, table.cosines(queryRow), table.sines(queryRow), q);
        applyRope(key, table.cosines(keyRow), table.sines(keyRow), k);
        return std::inner_product(q.begin(), q.end(), k.begin(), 0.0);
    };
    EXPECT_NEAR(product(0, 1), product(2, 3), 1e-4);
}

TEST(SwiGlu, EqualsTheFormulaInDoubleAndSurvivesLargeGates)
{
    std::vector<float> gate = normalFloats(100, 5, 8.0F);
    gate[0] = -1000;
    gate[1] = 1000;
    gate[99] = -1000;
    const std::vector<float> up = normalFloats(100, 6);
    std::vector<float> out(100);
    swiglu(gate, up, out);
    for (std::size_t i = 0; i < out.size(); ++i) {
        const auto x = static_cast<double>(gate[i]);
        const double expected = x / (1 + std::exp(-x)) * static_cast<double>(up[i]);
        EXPECT_NEAR(out[i], expected, 1e-6 * std::max(1.0, std::abs(expected))) << "gate " << x;
    }
}

TEST(NextToken, EqualsASlowSoftmaxHoweverTheVocabularyIsCut)
{
    const std::vector<float> logits = normalFloats(5003, 7, 6.0F);
    double sum = 0;
    for (const float logit : logits)
        sum += std::exp(static_cast<double>(logit));
    std::vector<std::int32_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
    });

    for (const std::size_t piece : {1, 3, 512, 1000, 5003}) {
        NextToken total;
        for (std::size_t begin = 0; begin < logits.size(); begin += piece) {
            NextToken part;
            part.add(std::span(logits).subspan(begin, std::min(piece, logits.size() - begin)),
                static_cast<std::int32_t>(begin));
            total.merge(part);
        }
        EXPECT_NEAR(total.logSumExp(), std::log(sum), 1e-6) << "pieces of " << piece;
        EXPECT_TRUE(std::equal(total.ids().begin(), total.ids().end(), order.begin())) << "pieces of " << piece;
        EXPECT_TRUE(total.finite());
    }
}

TEST(NextToken, BreaksTiesByTheSmallerIdInWhateverOrderThePiecesCome)
{
    const std::vector<float> logits{1, 3, 3, 2, 3, 3, 3, 3, 2};
    NextToken backwards;
    backwards.add(std::span(logits).subspan(5), 5);
    backwards.add(std::span(logits).first(5), 0);
    EXPECT_THAT(backwards.ids(), ElementsAre(1, 2, 4, 5, 6));
}

TEST(NextToken, LeavesPlacesEmptyWhenTheVocabularyIsTiny)
{
    NextToken token;
    token.add(std::vector<float>{0, 1}, 0);
    EXPECT_THAT(token.ids(), ElementsAre(1, 0, -1, -1, -1));
    EXPECT_THAT(token.logSumExp(), testing::DoubleNear(std::log(1 + std::exp(1.0)), 1e-7));
}

TEST(NextToken, NoticesInfinitiesAndNaN)
{
    for (const float broken : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
             std::numeric_limits<float>::quiet_NaN()}) {
        for (const std::size_t place : {0, 40, 66}) {
            std::vector<float> logits(67, 1.0F);
            logits[place] = broken;
            NextToken token;
            token.add(logits, 0);
            EXPECT_FALSE(token.finite()) << broken << " at " << place;
        }
    }
}

TEST(NextToken, DoesNotOverflowWithLargeLogits)
{
    NextToken token;
    token.add(std::vector<float>{5000, 4999, -5000}, 0);
    EXPECT_THAT(token.logSumExp(), testing::DoubleNear(5000 + std::log(1 + std::exp(-1.0)), 1e-6));
}

} // namespace
} // namespace kvloupe
