// Runs one kernel of one instruction set as the engine would: arrays with guarded surroundings,
// tiles of rows, and a distance in units in the last place to compare with an oracle in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../engine/registry.h"
#include "../engine/spec.h"
#include "check.h"

namespace chainrule::test {

template <typename T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  if constexpr (std::is_same_v<T, double>) return DType::f64;
  if constexpr (std::is_same_v<T, int32_t>) return DType::i32;
  if constexpr (std::is_same_v<T, int64_t>) return DType::i64;
  if constexpr (std::is_same_v<T, bool>) return DType::boolean;
  return DType::u8;
}

// An array in the middle of guard bytes, `shift` bytes away from an aligned address.
class Array {
 public:
  Array(DType dtype, std::vector<int64_t> shape, int64_t shift = 0)
      : dtype_(dtype), shape_(std::move(shape)) {
    bytes_.assign(static_cast<size_t>(size() * size_of(dtype) + 3 * guard), guard_byte);
    const auto address = reinterpret_cast<uintptr_t>(bytes_.data());
    start_ = guard + (guard - static_cast<int64_t>(address % guard)) % guard + shift;
  }
  template <typename T>
  Array(std::vector<int64_t> shape, const std::vector<T>& values, int64_t shift = 0)
      : Array(dtype_of<T>(), std::move(shape), shift) {
    for (size_t i = 0; i < values.size(); ++i) {
      if constexpr (std::is_same_v<T, bool>) {
        data<uint8_t>()[i] = values[i];
      } else {
        data<T>()[i] = values[i];
      }
    }
  }
  Array(const Array& other) : Array(other.dtype_, other.shape_, other.start_ % guard) {
    std::memcpy(raw(), other.raw(), static_cast<size_t>(size() * size_of(dtype_)));
  }
  Array& operator=(const Array&) = delete;

  template <typename T>
  T* data() {
    return reinterpret_cast<T*>(raw());
  }
  std::byte* raw() { return bytes_.data() + start_; }
  const std::byte* raw() const { return bytes_.data() + start_; }
  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  int64_t rows() const { return shape_.empty() ? 1 : shape_[0]; }
  int64_t size() const {
    int64_t n = 1;
    for (const int64_t axis : shape_) n *= axis;
    return n;
  }
  // Whether nothing was written around the array.
  bool guarded() const {
    const int64_t end = start_ + size() * size_of(dtype_);
    for (int64_t i = 0; i < static_cast<int64_t>(bytes_.size()); ++i) {
      if ((i < start_ || i >= end) && bytes_[static_cast<size_t>(i)] != guard_byte) return false;
    }
    return true;
  }

 private:
  static constexpr int64_t guard = 64;
  static constexpr std::byte guard_byte{0xA5};
  DType dtype_;
  std::vector<int64_t> shape_;
  std::vector<std::byte> bytes_;
  int64_t start_ = 0;
};

inline Operand describe(const Array& array, bool tiled) {
  Operand operand;
  operand.dtype = array.dtype();
  operand.tiled = tiled;
  operand.rank = static_cast<int>(array.shape().size());
  for (int axis = 0; axis < operand.rank; ++axis) {
    operand.shape[axis] = array.shape()[static_cast<size_t>(axis)];
    if (axis > 0) operand.row_size *= operand.shape[axis];
  }
  operand.size = array.size();
  return operand;
}

// A call of one operation. Arguments are tiled unless named in `whole`; outputs follow them, which
// are tiled by `columns` where so said.
struct Invocation {
  std::string operation;
  std::vector<Array*> arguments;
  std::vector<Array*> outputs;
  std::vector<std::pair<std::string, double>> numbers = {};
  std::vector<size_t> whole = {};
  std::vector<std::pair<std::string, std::string>> words = {};
  std::vector<std::pair<std::string, std::vector<int64_t>>> lists = {};
  bool columns = false;
};

inline bool is_whole(const Invocation& invocation, size_t i) {
  for (const size_t index : invocation.whole) {
    if (index == i) return true;
  }
  return false;
}

inline Call make_call(const Invocation& invocation) {
  Call call;
  call.name = invocation.operation;
  call.arguments = static_cast<int>(invocation.arguments.size());
  for (size_t i = 0; i < invocation.arguments.size(); ++i) {
    call.operand.add(describe(*invocation.arguments[i], !is_whole(invocation, i)));
  }
  for (const Array* array : invocation.outputs) {
    call.operand.add(describe(*array, true));
    call.operand[call.operands() - 1].columns = invocation.columns;
  }
  for (const auto& [name, value] : invocation.numbers)
    call.attributes.push_back({name, {value}, ""});
  for (const auto& [name, word] : invocation.words) call.attributes.push_back({name, {}, word});
  for (const auto& [name, list] : invocation.lists)
    call.attributes.push_back({name, {list.begin(), list.end()}, ""});
  return call;
}

// Where the build looks for races, two threads share the tiles of a call.
#if defined(CHAINRULE_TILES_IN_THREADS)
inline constexpr int64_t tile_threads = 2;
#else
inline constexpr int64_t tile_threads = 1;
#endif

// One in `tile_threads` of the tiles of `tile` rows, from tile `first` on.
inline void run_tiles(const Call& call, const std::vector<Array*>& arrays, int64_t tile,
                      int64_t first, Status& status) {
  std::vector<std::byte> scratch(static_cast<size_t>(call.scratch_bytes) + 64);
  const size_t past = reinterpret_cast<uintptr_t>(scratch.data()) % 64;
  const int64_t rows = rows_of(call.output());
  for (int64_t begin = first * tile; begin < rows; begin += tile_threads * tile) {
    void* pointers[max_operands];
    for (size_t i = 0; i < arrays.size(); ++i) {
      const Operand& operand = call.operand[i];
      const int64_t skip = operand.tiled ? begin * row_bytes_of(operand) : 0;
      pointers[i] = arrays[i]->raw() + skip;
    }
    const int64_t end = rows - begin < tile ? rows : begin + tile;
    call.kernel(call, {pointers, begin, end, scratch.data() + (64 - past) % 64, &status});
  }
}

// Runs the rows of a call in tiles of `tile` rows; false where the kernel does not serve the types.
inline bool run_call(const KernelTable& table, const Invocation& invocation,
                     int64_t tile = INT64_MAX, Status* status = nullptr) {
  Call call = make_call(invocation);
  const KernelEntry* entry = find_kernel(table, invocation.operation);
  if (entry == nullptr) return false;
  call.kernel = entry->prepare(call);
  if (call.kernel == nullptr) return false;
  std::vector<Array*> arrays = invocation.arguments;
  arrays.insert(arrays.end(), invocation.outputs.begin(), invocation.outputs.end());
  Status own;
  if (status == nullptr) status = &own;
  const int64_t rows = std::max<int64_t>(rows_of(call.output()), 1);
  tile = std::min(tile, rows);
  std::vector<std::thread> others;
  for (int64_t first = 1; first < tile_threads && tile < rows; ++first) {
    others.emplace_back([&, first] { run_tiles(call, arrays, tile, first, *status); });
  }
  run_tiles(call, arrays, tile, 0, *status);
  for (std::thread& other : others) other.join();
  return true;
}

// |got - want| in units in the last place of T at `want`; infinite where one is NaN or infinite and
// the other is not.
template <typename T>
double units_apart(T got, double want) {
  const double infinity = std::numeric_limits<double>::infinity();
  if (std::isnan(want) || std::isnan(got))
    return std::isnan(want) && std::isnan(got) ? 0.0 : infinity;
  const T rounded = static_cast<T>(want);
  if (std::isinf(rounded) || std::isinf(got)) return rounded == got ? 0.0 : infinity;
  const T size = std::fabs(rounded);
  const T next = std::nextafter(size, std::numeric_limits<T>::infinity());
  const double unit = std::isinf(next)
                          ? static_cast<double>(size) * std::numeric_limits<T>::epsilon()
                          : static_cast<double>(next - size);
  return std::fabs(static_cast<double>(got) - want) / unit;
}

// Calls test(table) for each instruction set of this machine.
inline void for_each_set(const std::function<void(const KernelTable&)>& test) {
  for (const std::string& name : instruction_sets()) {
    const KernelTable* table = kernels_of(name);
    if (CHECK(table != nullptr)) test(*table);
  }
}

// 0, 1, N - 1, N, N + 1 and 4 N + 3 for every number of lanes N, and some beyond.
inline const std::vector<int64_t>& test_sizes() {
  static const std::vector<int64_t> sizes = {0,  1,  2,  3,  4,  5,  7,  8,  9,  11,  15,  16,  17,
                                             19, 31, 32, 33, 35, 63, 64, 65, 67, 131, 259, 1003};
  return sizes;
}

// Numbers of every size and sign, the special ones first.
template <typename T>
std::vector<T> awkward_values(int64_t n, uint64_t seed) {
  using Limits = std::numeric_limits<T>;
  const std::vector<T> special = {T(0),
                                  -T(0),
                                  T(1),
                                  T(-1),
                                  Limits::infinity(),
                                  -Limits::infinity(),
                                  Limits::quiet_NaN(),
                                  Limits::min(),
                                  Limits::denorm_min(),
                                  -Limits::denorm_min(),
                                  Limits::max(),
                                  Limits::lowest(),
                                  T(0.5),
                                  T(88.8),
                                  T(-104),
                                  T(709.9)};
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  std::vector<T> values;
  for (int64_t i = 0; i < n; ++i) {
    const double scales[] = {1e-4, 0.1, 1.0, 5.0, 30.0, 300.0};
    const bool plain = n > 64 ? i >= static_cast<int64_t>(special.size()) : random() % 4 != 0;
    values.push_back(plain ? static_cast<T>(uniform(random) * scales[i % 6])
                           : special[static_cast<size_t>(
                                 n > 64 ? i : static_cast<int64_t>(random() % special.size()))]);
  }
  return values;
}
template <typename T>
std::vector<T> plain_values(int64_t n, uint64_t seed, double low = -2.0, double high = 2.0) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<T> values;
  for (int64_t i = 0; i < n; ++i) values.push_back(static_cast<T>(uniform(random)));
  return values;
}

}  // namespace chainrule::test
