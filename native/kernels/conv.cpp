// Convolutions, with a bias and an activation or without, and both of their derivatives.
#include "conv_sample.h"
#include "vec_math.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

const Conv& conv_of(const Call& call) noexcept {
  return *static_cast<const Conv*>(call.kept.get());
}

// conv and conv_transpose.
struct Fill {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Conv& c = conv_of(call);
    const T* x = argument<T>(tile, 0);
    T* y = output<T>(call, tile);
    T* scratch = reinterpret_cast<T*>(tile.scratch);
    const T* w = ready_kernel(c, argument<T>(tile, 1), scratch);
    for (int64_t n = tile.begin; n < tile.end; ++n, x += c.source_size, y += c.target_size) {
      fill_sample<T>(c, x, w, nullptr, false, y, scratch);
    }
  }
};

enum class Activation : uint8_t { linear, relu, tanh, sigmoid };

template <Activation activation>
struct FillWithBias {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Conv& c = conv_of(call);
    const T* x = argument<T>(tile, 0);
    T* y = output<T>(call, tile);
    T* scratch = reinterpret_cast<T*>(tile.scratch);
    const T* w = ready_kernel(c, argument<T>(tile, 1), scratch);
    for (int64_t n = tile.begin; n < tile.end; ++n, x += c.source_size, y += c.target_size) {
      fill_sample<T>(c, x, w, argument<T>(tile, 2), activation == Activation::relu, y, scratch);
      if constexpr (activation == Activation::tanh || activation == Activation::sigmoid) {
        each_vector<T>(c.target_size, [=](auto at, int64_t i) {
          const Vec<T> z = at.load(y + i);
          at.store(y + i, activation == Activation::tanh ? tanh<T>(z) : sigmoid<T>(z));
        });
      }
    }
  }
};

// The slopes of samples [begin, end).
template <typename T>
void sum_slopes(const Call& call, const Tile& tile, int64_t begin, int64_t end,
                const Slopes<T>& s) noexcept {
  const Conv& c = conv_of(call);
  if (begin >= end || c.strips == 0) clear_elements(s.w, s.count * c.columns);
  for (int64_t n = begin; n < end; ++n) {
    add_slopes<T>(c, argument<T>(tile, 0) + n * c.source_size,
                  argument<T>(tile, 1) + n * c.target_size, s,
                  n == begin ? Start::zero : Start::sum, reinterpret_cast<T*>(tile.scratch));
  }
  if (begin < end && c.strips > 0) finish_slopes(c, s.w, reinterpret_cast<T*>(tile.scratch));
}

// requires: x and g whole, w tiled by the first axis of the kernel.
struct KernelGradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t rows = call.integers[0];  // of the kernel's matrix for a row of w
    sum_slopes<T>(call, tile, 0, call.operand[0].shape[0],
                  {tile.begin * rows, (tile.end - tile.begin) * rows, output<T>(call, tile)});
  }
};

// requires: x and g whole; a row of the output is a part of the samples.
struct PartialGradients {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const int64_t samples = call.operand[0].shape[0], each = call.integers[0];
    T* w = output<T>(call, tile);
    for (int64_t part = tile.begin; part < tile.end; ++part, w += call.output().row_size) {
      const int64_t begin = std::min(part * each, samples);
      sum_slopes<T>(call, tile, begin, std::min(begin + each, samples),
                    {0, call.output().shape[1], w});
    }
  }
};

template <typename Loop>
Kernel finished(Call& call, const std::shared_ptr<Conv>& c, bool may_transform) {
  if (may_transform) consider_winograd(*c, call.operand[0].dtype);
  call.scratch_bytes = c->scratch() * size_of(call.operand[0].dtype);
  call.kept = c;
  return floats<Loop>(call);
}

template <typename Loop>
Kernel prepare_fill(Call& call, bool transposed) {
  int64_t kernel[kSpace];
  space_of(call.operand[1], 0, call.operand[1].rank - 2, kernel);
  const Operand& x = transposed ? call.output() : call.operand[0];
  const Operand& y = transposed ? call.operand[0] : call.output();
  return finished<Loop>(call, described(call, x, y, kernel, transposed), true);
}

template <typename Loop>
Kernel prepare_gradient(Call& call, bool may_transform) {
  int64_t kernel[kSpace];
  spread_out(call, "kernel", 1, kernel);
  const std::shared_ptr<Conv> c = described(call, call.operand[0], call.operand[1], kernel, false);
  const auto rows = static_cast<int64_t>(c->classes.front().step.size());
  for (int64_t i = 0; i < rows; ++i) c->slope.push_back(static_cast<int32_t>(i * c->columns));
  return finished<Loop>(call, c, may_transform);
}

}  // namespace

Kernel prepare_conv(Call& call) { return prepare_fill<Fill>(call, false); }
Kernel prepare_conv_transpose(Call& call) { return prepare_fill<Fill>(call, true); }

Kernel prepare_conv_bias(Call& call) {
  const Attribute* activation = call.find("activation");
  const std::string word = activation != nullptr ? activation->word : "linear";
  if (word == "linear") return prepare_fill<FillWithBias<Activation::linear>>(call, false);
  if (word == "relu") return prepare_fill<FillWithBias<Activation::relu>>(call, false);
  if (word == "tanh") return prepare_fill<FillWithBias<Activation::tanh>>(call, false);
  if (word == "sigmoid") return prepare_fill<FillWithBias<Activation::sigmoid>>(call, false);
  return nullptr;
}

Kernel prepare_conv_kernel_gradient(Call& call) {
  const int64_t columns = std::max<int64_t>(call.operand[1].shape[call.operand[1].rank - 1], 1);
  call.integers[0] = call.output().row_size / columns;
  return prepare_gradient<KernelGradient>(call, false);
}
Kernel prepare_partial_kernel_gradients(Call& call) {
  const int64_t parts = std::max<int64_t>(call.output().shape[0], 1);
  call.integers[0] = (call.operand[0].shape[0] + parts - 1) / parts;
  return prepare_gradient<PartialGradients>(call, true);
}

}  // namespace chainrule::CHAINRULE_ISA
