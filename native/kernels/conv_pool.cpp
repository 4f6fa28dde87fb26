// Convolutions joined with the pooling behind them, sample by sample: what lies in between stays in
// scratch. The pooling is the kernel of its own operation, called for one sample.
#include "conv_pairs.h"
#include "pool_sum.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

struct Joined {
  std::shared_ptr<Conv> conv;
  Call pool;
  int64_t between;         // elements of a sample between the two
  bool pairs = false;      // window by window, see conv_pairs.h
  bool rectified = false;  // relu behind the pooling
};

const Joined& joined_of(const Call& call) noexcept {
  return *static_cast<const Joined*>(call.kept.get());
}

Operand one_sample(const Operand& of, DType dtype, const std::vector<double>& space,
                   int64_t channels) {
  Operand operand = of;
  operand.dtype = dtype;
  operand.tiled = true;
  operand.shape[0] = 1;
  operand.row_size = channels;
  for (int i = 0; i < of.rank - 2; ++i) {
    if (!space.empty()) operand.shape[1 + i] = static_cast<int64_t>(space[static_cast<size_t>(i)]);
    operand.row_size *= operand.shape[1 + i];
  }
  operand.shape[of.rank - 1] = channels;
  operand.size = operand.row_size;
  return operand;
}

void name_pooling(const Call& call, Call& pool) {
  const char* const names[][2] = {
      {"window", "window"}, {"pool_strides", "strides"}, {"pool_padding", "padding"}};
  for (const auto& [theirs, own] : names) {
    Attribute attribute = *call.find(theirs);
    attribute.name = own;
    pool.attributes.push_back(std::move(attribute));
  }
}

int64_t aligned_bytes(int64_t elements, DType dtype) noexcept {
  return (elements * size_of(dtype) + 63) / 64 * 64;
}

// A pool call from operands; its scratch is not to be needed.
bool add_pool(Call& pool, Kernel (*prepare)(Call&), int arguments,
              std::initializer_list<Operand> operands) {
  pool.arguments = arguments;
  for (const Operand& operand : operands) pool.operand.add(operand);
  pool.kernel = prepare(pool);
  return pool.kernel != nullptr && pool.scratch_bytes == 0;
}

template <typename... Pointers>
void run_pool(const Call& pool, Status* status, Pointers... pointers) noexcept {
  void* operands[] = {const_cast<void*>(static_cast<const void*>(pointers))...};
  pool.kernel(pool, Tile{operands, 0, 1, nullptr, status});
}

template <typename T>
T* behind(const Tile& tile, int64_t bytes) noexcept {
  return reinterpret_cast<T*>(tile.scratch + bytes);
}

// The relu of n maxima; those that are not above 0 stand in no place.
template <typename T, typename Place>
void rectify_all(int64_t n, int64_t none, T* y, Place* place) noexcept {
  each_vector<T>(n, [=](auto at, int64_t i) {
    Greatest<T> best{at.load(y + i), load_numbers(at, place + i)};
    best.rectify(splat_number<T>(none));
    at.store(y + i, best.value);
    store_numbers(at, place + i, best.number);
  });
}

// Scratch: what lies between, then that of the convolution.
struct ConvPool {
  static bool by_pairs(const Call& call, const Joined& joined) {
    const auto activation = static_cast<Activation>(call.integers[0]);
    return fits_pairs(*joined.conv, form_of(joined.pool)) && call.output(1).dtype == DType::u8 &&
           (activation == Activation::linear || activation == Activation::relu);
  }
  template <typename T>
  static void rectify(const Call& call, const Joined& joined, T* y, std::byte* place) noexcept {
    const int64_t n = call.output().row_size;
    const int64_t none = cells_of(form_of(joined.pool));
    if (call.output(1).dtype == DType::u8) {
      rectify_all<T>(n, none, y, reinterpret_cast<uint8_t*>(place));
    } else {
      rectify_all<T>(n, none, y, reinterpret_cast<int32_t*>(place));
    }
  }
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Joined& joined = joined_of(call);
    const Conv& c = *joined.conv;
    const auto activation = static_cast<Activation>(call.integers[0]);
    const int64_t place_bytes = size_of(call.output(1).dtype);
    T* z = behind<T>(tile, 0);
    T* scratch = behind<T>(tile, aligned_bytes(joined.between, call.operand[0].dtype));
    const T* w = ready_kernel(c, argument<T>(tile, 1), scratch);
    const T* x = argument<T>(tile, 0);
    T* y = output<T>(call, tile, 0);
    std::byte* place = output<std::byte>(call, tile, 1);
    for (int64_t n = tile.begin; n < tile.end; ++n) {
      if (joined.pairs) {
        fill_pairs<T>(c, form_of(joined.pool), x, w, argument<T>(tile, 2),
                      activation == Activation::relu, joined.rectified, y,
                      reinterpret_cast<uint8_t*>(place), scratch);
      } else {
        fill_activated<T>(c, x, w, argument<T>(tile, 2), activation, z, scratch);
        run_pool(joined.pool, tile.status, z, y, place);
        if (joined.rectified) rectify<T>(call, joined, y, place);
      }
      x += c.source_size;
      y += call.output().row_size;
      place += call.output(1).row_size * place_bytes;
    }
  }
};

struct UnpooledTranspose {
  static bool by_pairs(const Call&, const Joined&) { return false; }
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Joined& joined = joined_of(call);
    const Conv& c = *joined.conv;
    T* slopes = behind<T>(tile, 0);
    T* scratch = behind<T>(tile, aligned_bytes(joined.between, call.operand[0].dtype));
    const T* w = ready_kernel(c, argument<T>(tile, 2), scratch);
    const T* g = argument<T>(tile, 0);
    const std::byte* place = argument<std::byte>(tile, 1);
    T* x = output<T>(call, tile);
    for (int64_t n = tile.begin; n < tile.end; ++n, x += c.target_size) {
      run_pool(joined.pool, tile.status, g, place, slopes);
      fill_sample<T>(c, slopes, w, nullptr, false, x, scratch);
      g += call.operand[0].row_size;
      place += call.operand[1].row_size * size_of(call.operand[1].dtype);
    }
  }
};

// requires: all arguments whole.
struct UnpooledGradients {
  static bool by_pairs(const Call& call, const Joined& joined) {
    return call.operand[2].dtype == DType::u8 &&
           fits_picking(*joined.conv, form_of(joined.pool), call.operand[0].dtype);
  }
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Joined& joined = joined_of(call);
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<T, float>) {
      if (joined.pairs) return run_by_pairs(call, tile, joined);
    }
#endif
    T* slopes = behind<T>(tile, 0);
    const auto slopes_of = [&](int64_t n) {
      const int64_t place = n * call.operand[2].row_size * size_of(call.operand[2].dtype);
      run_pool(joined.pool, tile.status, argument<T>(tile, 1) + n * call.operand[1].row_size,
               argument<std::byte>(tile, 2) + place, slopes);
      return slopes;
    };
    T* scratch = behind<T>(tile, aligned_bytes(joined.between, call.operand[0].dtype));
    const auto kernel = adding<T>(*joined.conv, argument<T>(tile, 0), slopes_of, scratch);
    const auto add = [&](int64_t n, const Slopes<T>& s, Start start) {
      kernel(n, s, start);
      if (s.b != nullptr) add_bias<T>(call, tile, n, cells_of(form_of(joined.pool)), s.b);
    };
    sum_parts<T>(call, tile, *joined.conv, add, scratch);
  }

  template <typename T>
  static void add_bias(const Call& call, const Tile& tile, int64_t n, int64_t none, T* b) noexcept {
    const int64_t g_size = call.operand[1].row_size, place_size = call.operand[2].row_size;
    const auto add = [&](const auto* place) {
      each_sum_of_placed(argument<T>(tile, 1) + n * g_size, place + n * place_size, g_size,
                         call.output(1).row_size, none, [=](auto at, int64_t j, Vec<T> sum) {
                           at.store(b + j, at.load(b + j) + sum);
                         });
    };
    if (call.operand[2].dtype == DType::u8) {
      add(argument<uint8_t>(tile, 2));
    } else {
      add(argument<int32_t>(tile, 2));
    }
  }

#if defined(__AVX512F__)
  static void run_by_pairs(const Call& call, const Tile& tile, const Joined& joined) noexcept {
    const Conv& c = *joined.conv;
    const Form pool = form_of(joined.pool);
    const float* x = argument<float>(tile, 0);
    const float* g = argument<float>(tile, 1);
    const auto* place = argument<uint8_t>(tile, 2);
    auto* scratch = behind<float>(tile, 0);
    const auto add = [&](int64_t n, const Slopes<float>& s, Start start) {
      const int64_t pooled = n * call.operand[1].row_size;
      add_pair_slopes(c, pool, x + n * c.source_size, g + pooled, place + pooled, start, s,
                      scratch);
    };
    sum_parts<float>(call, tile, c, add, scratch);
  }
#endif
};

template <typename Loop>
Kernel finished(Call& call, std::shared_ptr<Joined> joined) {
  const DType dtype = call.operand[0].dtype;
  consider_winograd(*joined->conv, dtype);
  joined->pairs = Loop::by_pairs(call, *joined);
  if (joined->pairs) joined->between = 0;
  call.scratch_bytes =
      aligned_bytes(joined->between, dtype) + joined->conv->scratch() * size_of(dtype);
  call.kept = std::move(joined);
  return floats<Loop>(call);
}

// What `max_pool_gradient` gives for one sample of g and its places.
Operand add_spreading(const Call& call, const Operand& g, const Operand& place, Joined& joined) {
  name_pooling(call, joined.pool);
  const int64_t m = g.shape[g.rank - 1];
  const Operand slopes = one_sample(g, g.dtype, call.find("space")->numbers, m);
  joined.between = slopes.size;
  const Operand one = one_sample(g, g.dtype, {}, m), its = one_sample(place, place.dtype, {}, m);
  joined.pool.attributes.push_back({"size", call.find("space")->numbers, ""});
  add_pool(joined.pool, prepare_max_pool_gradient, 2, {one, its, slopes});
  return slopes;
}

}  // namespace

Kernel prepare_conv_pool(Call& call) {
  const std::optional<Activation> activation = activation_of(call);
  if (!activation) return nullptr;
  call.integers[0] = static_cast<int64_t>(*activation);
  auto joined = std::make_shared<Joined>();
  joined->rectified = call.number("rectified", 0) != 0;
  const Operand& x = call.operand[0];
  const Operand& w = call.operand[1];
  int64_t kernel[kSpace], size[kSpace], stride[kSpace], dilation[kSpace], low[kSpace], high[kSpace];
  space_of(w, 0, w.rank - 2, kernel);
  space_of(x, 1, x.rank - 2, size);
  spread_out(call, "strides", 1, stride);
  spread_out(call, "dilation", 1, dilation);
  spread_out(call, "padding", 0, low, 2, 0);
  spread_out(call, "padding", 0, high, 2, 1);
  std::vector<double> space;
  for (int i = kSpace - (x.rank - 2); i < kSpace; ++i) {
    const int64_t reach = (kernel[i] - 1) * dilation[i] + 1;
    const int64_t past = size[i] + low[i] + high[i] - reach;
    space.push_back(past < 0 ? 0.0 : static_cast<double>(past / stride[i] + 1));
  }
  const int64_t m = w.shape[w.rank - 1];
  const Operand z = one_sample(x, x.dtype, space, m);
  joined->between = z.size;
  joined->conv = described(call, x, z, kernel, false);
  name_pooling(call, joined->pool);
  const Operand y = one_sample(call.output(0), x.dtype, {}, m);
  const Operand place = one_sample(call.output(1), call.output(1).dtype, {}, m);
  if (!add_pool(joined->pool, prepare_max_pool, 1, {z, y, place})) return nullptr;
  return finished<ConvPool>(call, std::move(joined));
}

Kernel prepare_unpooled_conv_transpose(Call& call) {
  auto joined = std::make_shared<Joined>();
  const Operand slopes = add_spreading(call, call.operand[0], call.operand[1], *joined);
  int64_t kernel[kSpace];
  space_of(call.operand[2], 0, call.operand[2].rank - 2, kernel);
  joined->conv = described(call, call.output(), slopes, kernel, true);
  return joined->pool.kernel != nullptr ? finished<UnpooledTranspose>(call, std::move(joined))
                                        : nullptr;
}

Kernel prepare_unpooled_kernel_gradients(Call& call) {
  auto joined = std::make_shared<Joined>();
  const Operand slopes = add_spreading(call, call.operand[1], call.operand[2], *joined);
  joined->conv = described_gradient(call, slopes);
  return joined->pool.kernel != nullptr ? finished<UnpooledGradients>(call, std::move(joined))
                                        : nullptr;
}

}  // namespace chainrule::CHAINRULE_ISA
