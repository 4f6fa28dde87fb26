// What a kernel is given: the operands of a call, its constants, and one tile of rows. The engine
// builds these from a plan; shapes, places and tile sizes are decided in Python (plan/).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace chainrule {

enum class DType : uint8_t { f32, f64, i32, i64, u8, boolean };

constexpr int64_t size_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::f32: return 4;
    case DType::f64: return 8;
    case DType::i32: return 4;
    case DType::i64: return 8;
    default: return 1;
  }
}

constexpr int max_rank = 8;
constexpr int max_operands = 16;

// The type of one operand of a call. Arrays are dense and row-major. A tiled operand is handed to
// the kernel at the first row of the tile, or where it is tiled by columns at that element of the
// first row; any other operand is handed over whole.
struct Operand {
  DType dtype = DType::f32;
  bool tiled = false;
  bool columns = false;
  bool constant = false;  // no call of the program writes it: rows after the tile may be read too
  int rank = 0;
  int64_t shape[max_rank] = {};
  int64_t row_size =
      1;             // elements in one row: the product of all axes but the first (1 for a scalar)
  int64_t size = 1;  // elements in all
};

// A named attribute of an operation: numbers, or a word.
struct Attribute {
  std::string name;
  std::vector<double> numbers;  // integers up to 2^53 arrive exactly
  std::string word;
};

// As many as the call has: room for the most would be two thirds of what a program takes.
class Operands {
 public:
  void reserve(size_t count) { all_.reserve(count); }
  void add(const Operand& operand) { all_.push_back(operand); }
  [[nodiscard]] int count() const noexcept { return static_cast<int>(all_.size()); }
  Operand& operator[](int64_t i) noexcept { return all_[static_cast<size_t>(i)]; }
  const Operand& operator[](int64_t i) const noexcept { return all_[static_cast<size_t>(i)]; }

 private:
  std::vector<Operand> all_;
};

struct Call;

// Set by operations that look at values (a NaN in the data, a label out of range); the run stops at
// the end of the phase and the first row at fault is reported. Smallest (row, code) wins, so that
// the report does not depend on the number of threads.
struct Status;

// One tile of one call. `operand[i]` points at row (or column) `begin` where operand i is tiled, at
// element 0 where it is not; the outputs follow the arguments. Scratch is the calling thread's,
// 64-byte aligned, `Call::scratch_bytes` long, and holds nothing between calls.
struct Tile {
  void* const* operand;
  int64_t begin;
  int64_t end;
  std::byte* scratch;
  Status* status;
};

using Kernel = void (*)(const Call& call, const Tile& tile) noexcept;

// One operation of a plan. Its kernel's `prepare` reads the attributes and leaves what `run` needs
// in `integers` and `reals`, or, where that is more than numbers, in `kept`.
struct Call {
  std::string name;
  int arguments = 0;
  Operands operand;  // the arguments, then the outputs
  std::vector<Attribute> attributes;
  int64_t scratch_bytes = 0;
  int64_t integers[24] = {};
  double reals[8] = {};
  std::shared_ptr<const void> kept;
  Kernel kernel = nullptr;

  [[nodiscard]] int operands() const noexcept { return operand.count(); }
  [[nodiscard]] const Operand& output(int i = 0) const noexcept { return operand[arguments + i]; }
  [[nodiscard]] const Attribute* find(const char* attribute) const noexcept {
    for (const Attribute& a : attributes) {
      if (a.name == attribute) return &a;
    }
    return nullptr;
  }
  [[nodiscard]] double number(const char* attribute, double otherwise) const noexcept {
    const Attribute* a = find(attribute);
    return a != nullptr && !a->numbers.empty() ? a->numbers[0] : otherwise;
  }
};

// Chooses the variant for the operand types of the call, fills its constants and scratch size, and
// returns its kernel; nullptr where no variant serves these types.
using Prepare = Kernel (*)(Call& call);

struct KernelEntry {
  const char* name;
  Prepare prepare;
};

struct Status {
  // (row << 16 | code) + 1 of the first fault, 0 while there is none.
  uint64_t fault = 0;
  void report(int64_t row, int code) noexcept {
    const uint64_t mine = ((static_cast<uint64_t>(row) << 16) | static_cast<uint64_t>(code)) + 1;
    uint64_t seen = __atomic_load_n(&fault, __ATOMIC_RELAXED);
    while ((seen == 0 || mine < seen) &&
           !__atomic_compare_exchange_n(&fault, &seen, mine, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
    }
  }
};

}  // namespace chainrule
