// Convolutions, with a bias and an activation or without, and both of their derivatives.
#include "conv_sample.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

const Conv& conv_of(const Call& call) noexcept {
  return *static_cast<const Conv*>(call.kept.get());
}

// conv, conv_transpose, conv_bias.
struct Fill {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Conv& c = conv_of(call);
    const auto activation = static_cast<Activation>(call.integers[0]);
    const T* x = argument<T>(tile, 0);
    const T* bias = call.arguments > 2 ? argument<T>(tile, 2) : nullptr;
    T* y = output<T>(call, tile);
    T* scratch = reinterpret_cast<T*>(tile.scratch);
    const T* w = ready_kernel(c, argument<T>(tile, 1), scratch);
    for (int64_t n = tile.begin; n < tile.end; ++n, x += c.source_size, y += c.target_size) {
      fill_activated<T>(c, x, w, bias, activation, y, scratch);
    }
  }
};

// Gives the slopes of sample n.
template <typename T>
struct Given {
  const T* g;
  int64_t size;
  const T* operator()(int64_t n) const noexcept { return g + n * size; }
};

// requires: x and g whole, w tiled by the first axis of the kernel.
struct KernelGradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Conv& c = conv_of(call);
    const int64_t rows = call.integers[0];  // of the kernel's matrix for a row of w
    T* scratch = reinterpret_cast<T*>(tile.scratch);
    const Given<T> slopes_of{argument<T>(tile, 1), c.target_size};
    sum_slopes<T>(
        c, {0, call.operand[0].shape[0]}, adding<T>(c, argument<T>(tile, 0), slopes_of, scratch),
        {tile.begin * rows, (tile.end - tile.begin) * rows, output<T>(call, tile)}, scratch);
  }
};

// requires: x and g whole.
struct PartialGradients {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Conv& c = conv_of(call);
    T* scratch = reinterpret_cast<T*>(tile.scratch);
    const Given<T> slopes_of{argument<T>(tile, 1), c.target_size};
    sum_parts<T>(call, tile, c, adding<T>(c, argument<T>(tile, 0), slopes_of, scratch), scratch);
  }
};

template <typename Loop>
Kernel finished(Call& call, const std::shared_ptr<Conv>& c, bool may_transform) {
  if (may_transform) consider_winograd(*c, call.operand[0].dtype);
  call.scratch_bytes = c->scratch() * size_of(call.operand[0].dtype);
  call.kept = c;
  return floats<Loop>(call);
}

Kernel prepare_fill(Call& call, bool transposed) {
  const std::optional<Activation> activation = activation_of(call);
  if (!activation) return nullptr;
  call.integers[0] = static_cast<int64_t>(*activation);
  int64_t kernel[kSpace];
  space_of(call.operand[1], 0, call.operand[1].rank - 2, kernel);
  const Operand& x = transposed ? call.output() : call.operand[0];
  const Operand& y = transposed ? call.operand[0] : call.output();
  return finished<Fill>(call, described(call, x, y, kernel, transposed), true);
}

}  // namespace

Kernel prepare_conv(Call& call) { return prepare_fill(call, false); }
Kernel prepare_conv_transpose(Call& call) { return prepare_fill(call, true); }
Kernel prepare_conv_bias(Call& call) { return prepare_fill(call, false); }

Kernel prepare_conv_kernel_gradient(Call& call) {
  const int64_t columns = std::max<int64_t>(call.operand[1].shape[call.operand[1].rank - 1], 1);
  call.integers[0] = call.output().row_size / columns;
  return finished<KernelGradient>(call, described_gradient(call, call.operand[1]), false);
}
Kernel prepare_partial_kernel_gradients(Call& call) {
  return finished<PartialGradients>(call, described_gradient(call, call.operand[1]), true);
}

}  // namespace chainrule::CHAINRULE_ISA
