// The class of the highest sum of weighted probabilities at every target pixel, where the sums are not kept: a few
// source rows at a time, and only of classes that may win there.
#pragma once

#include <cstdint>
#include <type_traits>

#include "bilinear.h"
#include "views.h"

namespace segrt {

// Writes rows [begin, end) of the probabilities of query q to `out` + q * query_stride, one after the other. `slot` is
// that of parallel_for. A reference to a callable, which must outlive it.
class ProbabilityMaker {
public:
    template <class F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, ProbabilityMaker>)
    explicit ProbabilityMaker(F& function)
        : object_(&function), call_([](void* object, Index begin, Index end, float* out, Index query_stride, int slot) {
              (*static_cast<F*>(object))(begin, end, out, query_stride, slot);
          }) {}

    void operator()(Index begin, Index end, float* out, Index query_stride, int slot) const {
        call_(object_, begin, end, out, query_stride, slot);
    }

private:
    void* object_;
    void (*call_)(void*, Index, Index, float*, Index, int);
};

// What is summed: scores[q * score_stride + c], none negative, times the probability of query q.
struct ClassSums {
    const float* scores = nullptr;
    Index score_stride = 0, queries = 0, classes = 0;
    Size source;  // of the probabilities
    ProbabilityMaker make;
};

// The class of the highest interpolated sum, the first of equal ones. `columns` has kBlock entries of padding. Label is
// std::uint8_t or std::uint16_t and holds `classes`. A thread's source rows are made in ascending
// order, some twice; those that no target row looks at may be left out.
template <class Label>
void label_sums(const ClassSums& sums, const Axis& rows, const Axis& columns, int threads, Map<Label> labels);

}  // namespace segrt
