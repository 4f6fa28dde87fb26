// The derivative of a convolution by an input of few channels: each place of g is multiplied by a
// whole row of the kernel and added to the row of the input that it looks at. Places that are
// multiplied together stand one below the other, so that what they add to does not overlap.
#include "conv_sample.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

struct Scatter {
  int64_t source_size, target_size;  // elements of a sample
  int64_t places, channels, spread;  // along the last axis: places of g, their channels and stride
  int64_t columns;                   // of a row of the kernel
  int64_t target_channels;
  bool direct;                        // the output holds all that is added to
  int64_t extent[kSpace];             // of the array that is added to
  int64_t low[kSpace], size[kSpace];  // where the output lies in it
  std::vector<int32_t> row, to;       // of the places one below the other
  std::vector<int32_t> step;          // 0, 1, ...: the channels of g
  std::vector<int64_t> tap;           // where each row of the kernel begins to add
};

int64_t whole(const Scatter& s) noexcept {
  return s.extent[0] * s.extent[1] * s.extent[2] * s.target_channels;
}

template <typename T>
void take_inner(const Scatter& s, const T* from, T* to) noexcept {
  const int64_t row = s.size[2] * s.target_channels;
  for (int64_t z = 0; z < s.size[0]; ++z) {
    for (int64_t y = 0; y < s.size[1]; ++y, to += row) {
      const int64_t line = (z + s.low[0]) * s.extent[1] + y + s.low[1];
      const T* start = from + (line * s.extent[2] + s.low[2]) * s.target_channels;
      copy_elements(to, start, row);
    }
  }
}

template <typename T>
void add_places(const Scatter& s, const T* g, const T* w, T* y) noexcept {
  const auto rows = static_cast<int64_t>(s.row.size());
  for (int64_t place = 0; place < s.places; ++place) {
    const T* x = g + place * s.channels;
    const T* b = w;
    for (const int64_t tap : s.tap) {
      T* to = y + tap + place * s.spread * s.target_channels;
      multiply_gathered<T>({x, s.row.data(), s.to.data(), rows, s.step.data(), s.channels, b,
                            s.columns, to, s.columns, nullptr, Start::sum, false});
      b += s.channels * s.columns;
    }
  }
}

struct ConvScatter {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Scatter& s = *static_cast<const Scatter*>(call.kept.get());
    const T* g = argument<T>(tile, 0);
    T* y = output<T>(call, tile);
    for (int64_t n = tile.begin; n < tile.end; ++n, g += s.source_size, y += s.target_size) {
      T* sums = s.direct ? y : reinterpret_cast<T*>(tile.scratch);
      clear_elements(sums, whole(s));
      add_places(s, g, argument<T>(tile, 1), sums);
      if (!s.direct) take_inner(s, sums, y);
    }
  }
};

struct Numbers {
  int64_t out[kSpace], kernel[kSpace], stride[kSpace], dilation[kSpace];
};

Numbers numbers_of(const Call& call, Scatter& s) {
  Numbers n;
  const Operand& g = call.operand[0];
  const Operand& w = call.operand[1];
  space_of(g, 1, g.rank - 2, n.out);
  space_of(w, 0, g.rank - 2, n.kernel);
  n.kernel[kSpace - 1] = static_cast<int64_t>(call.number("width", 1));  // beside the columns of w
  spread_out(call, "strides", 1, n.stride);
  spread_out(call, "dilation", 1, n.dilation);
  spread_out(call, "padding", 0, s.low, 2);
  spread_out(call, "size", 1, s.size);
  return n;
}

std::shared_ptr<Scatter> described(const Call& call) {
  auto s = std::make_shared<Scatter>();
  const Numbers n = numbers_of(call, *s);
  const Operand& g = call.operand[0];
  s->source_size = g.row_size;
  s->target_size = call.output().row_size;
  s->places = n.out[2];
  s->channels = g.shape[g.rank - 1];
  s->spread = n.stride[2];
  s->columns = call.operand[1].shape[call.operand[1].rank - 1];
  s->target_channels = call.output().shape[call.output().rank - 1];
  s->direct = true;
  for (int i = 0; i < kSpace; ++i) {
    const int64_t reach = (n.out[i] - 1) * n.stride[i] + (n.kernel[i] - 1) * n.dilation[i] + 1;
    s->direct = s->direct && s->low[i] == 0 && reach <= s->size[i];
    s->extent[i] = std::max(reach, s->low[i] + s->size[i]);
  }
  const int64_t line = s->extent[2] * s->target_channels;
  for (int64_t z = 0; z < n.out[0]; ++z) {
    for (int64_t y = 0; y < n.out[1]; ++y) {
      const int64_t from = (z * n.out[1] + y) * n.out[2] * s->channels;
      s->row.push_back(static_cast<int32_t>(from));
      const int64_t to = (z * n.stride[0] * s->extent[1] + y * n.stride[1]) * line;
      s->to.push_back(static_cast<int32_t>(to));
    }
  }
  for (int64_t z = 0; z < n.kernel[0]; ++z) {
    for (int64_t y = 0; y < n.kernel[1]; ++y) {
      s->tap.push_back((z * n.dilation[0] * s->extent[1] + y * n.dilation[1]) * line);
    }
  }
  for (int64_t i = 0; i < s->channels; ++i) s->step.push_back(static_cast<int32_t>(i));
  return s;
}

}  // namespace

Kernel prepare_conv_scatter(Call& call) {
  const std::shared_ptr<Scatter> s = described(call);
  if (!s->direct) call.scratch_bytes = whole(*s) * size_of(call.operand[0].dtype);
  call.kept = s;
  return floats<ConvScatter>(call);
}

}  // namespace chainrule::CHAINRULE_ISA
