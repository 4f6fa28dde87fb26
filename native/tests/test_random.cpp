// Random numbers on each instruction set: Philox against published answers, the same numbers
// whatever the tiles, and the distributions against a scalar version.
#include "support.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

struct Block {
  uint32_t word[4];
};

// Philox4x32-10 one counter at a time, as written in the paper.
Block philox(Block counter, uint32_t k0, uint32_t k1) {
  uint32_t* c = counter.word;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c[0], p1 = uint64_t{0xCD9E8D57} * c[2];
    counter = {{static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
                static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}

struct KnownAnswer {
  Block counter;
  uint32_t k0, k1;
  Block answer;
};
// From the file kat_vectors of the Random123 library.
const KnownAnswer known_answers[] = {
    {{{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
    {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
     0xffffffff,
     0xffffffff,
     {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
    {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
     0xa4093822,
     0x299f31d0,
     {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
};

void check_known_answers() {
  for (const KnownAnswer& known : known_answers) {
    const Block got = philox(known.counter, known.k0, known.k1);
    CHECK(std::memcmp(&got, &known.answer, sizeof got) == 0);
  }
}

struct Source {
  int64_t seed, step, stream;
};

Block block_of(const Source& s, int64_t block) {
  const uint64_t step = static_cast<uint64_t>(s.step), seed = static_cast<uint64_t>(s.seed);
  return philox({{static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                  static_cast<uint32_t>(step),
                  static_cast<uint32_t>(s.stream) ^ static_cast<uint32_t>(step >> 32)}},
                static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}
uint64_t wide(const Block& b, int64_t half) {
  return uint64_t{b.word[2 * half + 1]} << 32 | b.word[2 * half];
}
template <typename T>
double uniform(const Source& s, int64_t element) {
  if constexpr (sizeof(T) == 4) {
    return (block_of(s, element / 4).word[element % 4] >> 8) * 0x1p-24;
  } else {
    return static_cast<double>(wide(block_of(s, element / 2), element % 2) >> 11) * 0x1p-53;
  }
}
template <typename T>
double normal(const Source& s, int64_t element) {
  const int64_t pair = element - element % 2;
  const double unit = sizeof(T) == 4 ? 0x1p-24 : 0x1p-53;
  const double radius = std::sqrt(-2 * std::log(uniform<T>(s, pair) + unit));
  const double angle = 2 * 3.14159265358979323846 * uniform<T>(s, pair + 1);
  return radius * (element % 2 == 0 ? std::cos(angle) : std::sin(angle));
}

template <typename T>
void check_stream(const KernelTable& table, const Source& s, std::vector<int64_t> shape,
                  int64_t tile) {
  Array key({2}, std::vector<int64_t>{s.seed, s.step});
  Array out(dtype_of<T>(), shape, static_cast<int64_t>(sizeof(T)));
  const std::vector<std::pair<std::string, double>> numbers = {
      {"stream", static_cast<double>(s.stream)}};
  CHECK(run_call(table, {"random_uniform", {&key}, {&out}, numbers, {0}}, tile));
  for (int64_t i = 0; i < out.size(); ++i) {
    CHECK(static_cast<double>(out.data<T>()[i]) == uniform<T>(s, i));
  }
  CHECK(run_call(table, {"random_normal", {&key}, {&out}, numbers, {0}}, tile));
  const double tolerance = 16 * static_cast<double>(std::numeric_limits<T>::epsilon());
  for (int64_t i = 0; i < out.size(); ++i) {
    CHECK_NEAR(static_cast<double>(out.data<T>()[i]), normal<T>(s, i), tolerance);
  }
  CHECK(out.guarded());
}

template <typename T>
void check_type(const KernelTable& table) {
  const Source sources[] = {
      {0, 0, 0}, {-1, -1, 0xffffffff}, {0x299f31d0a4093822, 0x0370734413198a2e, 7}};
  for (const Source& s : sources) {
    for (const int64_t n : test_sizes()) check_stream<T>(table, s, {n}, INT64_MAX);
    check_stream<T>(table, s, {}, INT64_MAX);
    for (const int64_t tile : {1, 2, 3, 64}) {
      check_stream<T>(table, s, {97, 1}, tile);
      check_stream<T>(table, s, {40, 7}, tile);
      check_stream<T>(table, s, {10, 3, 16}, tile);
    }
  }
}

// A row far into a stream, so that the upper half of the counter is used: the tile begins there.
void check_far_element(const KernelTable& table) {
  const Source s{12345, 6, 3};
  const int64_t begin = int64_t{5} << 33;
  Array key({2}, std::vector<int64_t>{s.seed, s.step}), out(DType::f32, {8});
  Call call = make_call({"random_uniform", {&key}, {&out}, {{"stream", 3.0}}, {0}});
  const Kernel kernel = find_kernel(table, "random_uniform")->prepare(call);
  if (!CHECK(kernel != nullptr)) return;
  Status status;
  void* pointers[] = {key.raw(), out.raw()};
  kernel(call, Tile{pointers, begin, begin + 8, nullptr, &status});
  for (int64_t i = 0; i < 8; ++i) {
    CHECK(static_cast<double>(out.data<float>()[i]) == uniform<float>(s, begin + i));
  }
}

template <typename T>
void check_moments(const KernelTable& table) {
  const int64_t n = 1 << 18;
  Array key({2}, std::vector<int64_t>{7, 1}), out(dtype_of<T>(), {n});
  CHECK(run_call(table, {"random_normal", {&key}, {&out}, {{"stream", 2.0}}, {0}}));
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double x = static_cast<double>(out.data<T>()[i]);
    sum += x;
    squares += x * x;
  }
  CHECK_NEAR(sum / static_cast<double>(n), 0.0, 0.01);
  CHECK_NEAR(squares / static_cast<double>(n), 1.0, 0.015);
}

}  // namespace

int main() {
  check_known_answers();
  for_each_set([](const KernelTable& table) {
    check_type<float>(table);
    check_type<double>(table);
    check_far_element(table);
    check_moments<float>(table);
    check_moments<double>(table);
  });
  return check_result();
}
