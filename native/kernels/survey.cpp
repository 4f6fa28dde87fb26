// Measures of arrays while they are in the cache: of each row, then of the whole.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <type_traits>

#include "widen.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

constexpr int64_t kMeasures = 8;
constexpr int64_t kBins = 32;
constexpr int kMost = 255;

template <typename T>
struct Measured {
  int64_t kept = 0;
  double sum = 0;
  double squares = 0;
  T low = static_cast<T>(__builtin_huge_val());
  T high = -static_cast<T>(__builtin_huge_val());
  int64_t zeros = 0;
  int64_t saturated = 0;
  int64_t lost = 0;
};

// What is measured: an array, or the difference of two.
template <typename T>
struct Array {
  const T* x;
  [[nodiscard]] T at(int64_t i) const noexcept { return x[i]; }
  [[nodiscard]] Vec<T> vector(int64_t i) const noexcept { return load(x + i); }
  [[nodiscard]] Array from(int64_t i) const noexcept { return {x + i}; }
};
template <typename T>
struct Difference {
  const T* x;
  const T* less;
  [[nodiscard]] T at(int64_t i) const noexcept { return x[i] - less[i]; }
  [[nodiscard]] Vec<T> vector(int64_t i) const noexcept { return load(x + i) - load(less + i); }
  [[nodiscard]] Difference from(int64_t i) const noexcept { return {x + i, less + i}; }
};

template <typename T>
struct Lanes {
  Vec<T> sum = {};
  Vec<T> squares = {};
  Vec<T> low = splat<T>(static_cast<T>(__builtin_huge_val()));
  Vec<T> high = splat<T>(-static_cast<T>(__builtin_huge_val()));
  Vec<IntOf<T>> zeros = {};
  Vec<IntOf<T>> saturated = {};

  template <bool bounded>
  void take(Vec<T> x, Vec<T> from, Vec<T> to) noexcept {
    sum += x;
    squares = fma(x, x, squares);
    low = x < low ? x : low;
    high = x > high ? x : high;
    zeros -= x == Vec<T>{};
    if constexpr (bounded) saturated -= (x <= from) | (x >= to);
  }
  void join(const Lanes& other) noexcept {
    sum += other.sum;
    squares += other.squares;
    low = other.low < low ? other.low : low;
    high = other.high > high ? other.high : high;
    zeros += other.zeros;
    saturated += other.saturated;
  }
};

// One element at a time, those that are not finite left out: few rows need it.
template <typename T, typename Source>
Measured<T> measured_one_by_one(Source x, int64_t n, T from, T to) noexcept {
  Measured<T> m;
  for (int64_t i = 0; i < n; ++i) {
    const T v = x.at(i);
    if (!(v - v == T{0})) {
      ++m.lost;
      continue;
    }
    m.sum += static_cast<double>(v);
    m.squares += static_cast<double>(v) * static_cast<double>(v);
    m.low = v < m.low ? v : m.low;
    m.high = v > m.high ? v : m.high;
    m.zeros += v == T{0};
    m.saturated += (v <= from) | (v >= to);
  }
  return m;
}

// Sums of a block are held in T, those of blocks in double.
constexpr int64_t kBlock = 1024;

template <typename T, bool bounded, typename Source>
void add_block(Source x, int64_t n, T from, T to, Measured<T>& m) noexcept {
  constexpr int64_t lanes = kLanes<T>;
  const Vec<T> a = splat<T>(from), b = splat<T>(to);
  Lanes<T> one, two;
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    one.template take<bounded>(x.vector(i), a, b);
    two.template take<bounded>(x.vector(i + lanes), a, b);
  }
  if (i < n) one.template take<bounded>(x.vector(i), a, b);
  one.join(two);
  const auto least = [](auto p, auto q) { return p < q ? p : q; };
  const auto most = [](auto p, auto q) { return p > q ? p : q; };
  m.sum += static_cast<double>(sum_lanes<T>(one.sum));
  m.squares += static_cast<double>(sum_lanes<T>(one.squares));
  const T low = fold<T>(one.low, least), high = fold<T>(one.high, most);
  m.low = low < m.low ? low : m.low;
  m.high = high > m.high ? high : m.high;
  m.zeros += sum_lanes<IntOf<T>>(one.zeros);
  if constexpr (bounded) m.saturated += sum_lanes<IntOf<T>>(one.saturated);
}

template <typename T, bool bounded, typename Source>
Measured<T> measured(Source x, int64_t n, T from, T to) noexcept {
  const int64_t whole = n - n % kLanes<T>;
  Measured<T> m = measured_one_by_one<T>(x.from(whole), n - whole, from, to);
  for (int64_t i = 0; i < whole; i += kBlock) {
    add_block<T, bounded>(x.from(i), whole - i < kBlock ? whole - i : kBlock, from, to, m);
  }
  const double bad = m.sum - m.sum + (m.squares - m.squares) + static_cast<double>(m.lost);
  return bad == 0 ? m : measured_one_by_one<T>(x, n, from, to);
}

template <typename T>
constexpr int kExponents = sizeof(T) == 8 ? 2048 : 256;

// The bin of each exponent; kBins for that of what is not finite.
template <typename T>
constexpr auto kBinOf = [] {
  std::array<uint8_t, kExponents<T>> bins{};
  for (int e = 0; e < kExponents<T>; ++e) {
    bins[static_cast<size_t>(e)] =
        static_cast<uint8_t>(std::clamp((e - kExponents<T> / 2 + 37) >> 1, 0, int{kBins} - 1));
  }
  bins.back() = kBins;
  return bins;
}();

// The size of x; kBins and more where it has none, being 0 or not finite. Without a branch: which
// elements are 0 is not foreseen.
template <typename T>
size_t bin_of(T x) noexcept {
  using Bits = std::make_unsigned_t<IntOf<T>>;
  constexpr int fraction = sizeof(T) == 8 ? 52 : 23;
  const Bits size = static_cast<Bits>(std::bit_cast<Bits>(x) << 1);
  return kBinOf<T>[size >> (fraction + 1)] + static_cast<size_t>(size == 0) * kBins;
}

// In four tables in turn, since most elements are in a few bins: an increment waits for the last
// one of its place.
struct Sizes {
  static constexpr int64_t most = 240;  // elements of which the sums do not overflow
  uint8_t tables[4][2 * kBins] = {};

  // Counts up to `most` elements from `i` on; returns where to go on.
  template <typename Source>
  int64_t count(Source x, int64_t n, int64_t i, int64_t stride) noexcept {
    const int64_t end = std::min(n, i + most * stride);
    for (; i + 3 * stride < end; i += 4 * stride) {
      ++tables[0][bin_of(x.at(i))];
      ++tables[1][bin_of(x.at(i + stride))];
      ++tables[2][bin_of(x.at(i + 2 * stride))];
      ++tables[3][bin_of(x.at(i + 3 * stride))];
    }
    for (; i < end; i += stride) ++tables[0][bin_of(x.at(i))];
    return i;
  }
  void add_to(uint8_t* counts) const noexcept {
    for (int64_t b = 0; b < kBins; ++b) {
      const int sum = tables[0][b] + tables[1][b] + tables[2][b] + tables[3][b];
      counts[b] = static_cast<uint8_t>(std::min(counts[b] + sum, kMost));
    }
  }
};

template <typename T>
void write_measures(T* y, const Measured<T>& m) noexcept {
  y[0] = static_cast<T>(m.kept);
  y[1] = static_cast<T>(m.sum);
  y[2] = static_cast<T>(m.squares);
  y[3] = m.low;
  y[4] = m.high;
  y[5] = static_cast<T>(m.zeros);
  y[6] = static_cast<T>(m.saturated);
  y[7] = static_cast<T>(m.lost);
}

void read_groups(Call& call) noexcept {
  call.integers[2] = static_cast<int64_t>(call.number("group", 1));
  call.integers[3] = static_cast<int64_t>(call.number("every", 1));
}

// Calls look(first, last) for the rows of each group that is measured, as far as the tile has them.
template <typename Look>
void for_groups(const Call& call, const Tile& tile, Look look) noexcept {
  const int64_t group = call.integers[2], apart = group * call.integers[3];
  for (int64_t first = tile.begin / apart * apart; first < tile.end; first += apart) {
    const int64_t r = std::max(first, tile.begin), last = std::min(first + group, tile.end);
    if (r < last) look(r, last);
  }
}

// What a group of rows is measured stands in its first row within the tile: for rows of 128
// elements, folding registers, clearing and dividing for each took 28 ns. Other rows are not
// written: to clear those of a step of 784-128-10 took 1.6 us.
template <typename T, bool bounded, typename Source>
void survey_rows(const Call& call, const Tile& tile, Source x) noexcept {
  const int64_t size = call.operand[0].row_size;
  const int64_t stride = call.integers[0], probes = call.integers[1];
  const int64_t width = kMeasures + probes;
  const T from = static_cast<T>(call.reals[0]), to = static_cast<T>(call.reals[1]);
  T* y = output<T>(call, tile);
  uint8_t* counts = output<uint8_t>(call, tile, 1);
  for_groups(call, tile, [=](int64_t r, int64_t last) {
    const int64_t row = r - tile.begin, n = (last - r) * size;
    const Source part = x.from(row * size);
    const int64_t past = r * size % stride;
    // Added up last: to read as vectors what was just written byte by byte would stall.
    Sizes sizes;
    int64_t i = sizes.count(part, n, past == 0 ? 0 : stride - past, stride);
    Measured<T> m = measured<T, bounded>(part, n, from, to);
    m.kept = n - m.lost;
    write_measures(y + row * width, m);
    for (int64_t p = 0; p < probes; ++p) {
      const auto hash = static_cast<uint32_t>((64 * r + p) * 2654435761);
      const T picked = n > 0 ? part.at(static_cast<int64_t>(hash) * n >> 32) : T{0};
      y[row * width + kMeasures + p] = picked;
    }
    uint8_t* const counted = counts + row * kBins;
    std::memset(counted, 0, static_cast<size_t>(kBins));
    sizes.add_to(counted);
    while (i < n) {
      Sizes more;
      i = more.count(part, n, i, stride);
      more.add_to(counted);
    }
  });
}

template <typename T, bool bounded>
void survey(const Call& call, const Tile& tile) noexcept {
  survey_rows<T, bounded>(call, tile, Array<T>{argument<T>(tile, 0)});
}
template <typename T>
void survey_change(const Call& call, const Tile& tile) noexcept {
  const T* now = argument<T>(tile, 1);
  survey_rows<T, false>(call, tile, Difference<T>{now, argument<T>(tile, 0)});
}

template <typename T>
void survey_total(const Call& call, const Tile& tile) noexcept {
  const int64_t rows = call.operand[0].shape[0], width = call.operand[0].shape[1];
  const int64_t size = call.integers[0], group = call.integers[2], every = call.integers[3];
  if (tile.begin >= tile.end) return;
  double total[kMeasures + kBins] = {};
  T low = static_cast<T>(__builtin_huge_val()), high = -low;
  for (int64_t first = 0; first < rows; first += group * every) {
    // A part of a group says by the number of its elements how many rows it stands for.
    const int64_t last = size > 0 ? std::min(first + group, rows) : first;
    for (int64_t r = first; r < last;) {
      const T* x = argument<T>(tile, 0) + r * width;
      const uint8_t* counts = argument<uint8_t>(tile, 1) + r * kBins;
      for (int64_t i = 0; i < kMeasures; ++i) total[i] += static_cast<double>(x[i]);
      for (int64_t i = 0; i < kBins; ++i) total[kMeasures + i] += counts[i];
      low = x[3] < low ? x[3] : low;
      high = x[4] > high ? x[4] : high;
      const double n = static_cast<double>(x[0]) + static_cast<double>(x[7]);
      r += std::max<int64_t>(std::llround(n / static_cast<double>(size)), 1);
    }
  }
  total[3] = static_cast<double>(low);
  total[4] = static_cast<double>(high);
  T* y = output<T>(call, tile);
  for (int64_t i = 0; i < kMeasures + kBins; ++i) y[i] = static_cast<T>(total[i]);
}

void survey_keep(const Call& call, const Tile& tile) noexcept {
  const int64_t bytes = call.operand[0].row_size * size_of(call.operand[0].dtype);
  const auto* x = argument<std::byte>(tile, 0);
  auto* y = output<std::byte>(call, tile);
  for_groups(call, tile, [=](int64_t r, int64_t last) {
    const int64_t from = (r - tile.begin) * bytes;
    std::memcpy(y + from, x + from, static_cast<size_t>((last - r) * bytes));
  });
}

template <typename T>
Kernel surveyor(Call& call) noexcept {
  constexpr double infinity = __builtin_huge_val();
  read_groups(call);
  call.integers[0] = static_cast<int64_t>(call.number("stride", 1));
  call.integers[1] = static_cast<int64_t>(call.number("probes", 0));
  call.reals[0] = call.number("low", -infinity);
  call.reals[1] = call.number("high", infinity);
  if (call.arguments == 2) return survey_change<T>;
  const bool bounded = call.reals[0] > -infinity || call.reals[1] < infinity;
  return bounded ? survey<T, true> : survey<T, false>;
}

}  // namespace

Kernel prepare_survey(Call& call) {
  switch (call.operand[0].dtype) {
    case DType::f32: return surveyor<float>(call);
    case DType::f64: return surveyor<double>(call);
    default: return nullptr;
  }
}

Kernel prepare_survey_change(Call& call) { return prepare_survey(call); }

Kernel prepare_survey_keep(Call& call) {
  read_groups(call);
  return survey_keep;
}

Kernel prepare_survey_total(Call& call) {
  read_groups(call);
  call.integers[0] = static_cast<int64_t>(call.number("size", 1));
  switch (call.operand[0].dtype) {
    case DType::f32: return survey_total<float>;
    case DType::f64: return survey_total<double>;
    default: return nullptr;
  }
}

}  // namespace chainrule::CHAINRULE_ISA
