// Random numbers as a function of seed, step, operation and element: the same whatever the tile,
// the number of threads or the instruction set. The key {seed, step} is a whole argument.
#include "philox.h"
#include "vec_math.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

Stream stream_of(const Call& call, const Tile& tile) noexcept {
  const int64_t* key = argument<int64_t>(tile, 0);
  const uint64_t step = static_cast<uint64_t>(key[1]);
  const uint32_t stream = static_cast<uint32_t>(call.integers[0]);
  return {philox_keys(static_cast<uint64_t>(key[0])), static_cast<uint32_t>(step),
          stream ^ static_cast<uint32_t>(step >> 32)};
}

// [0, 1) from the upper 24 bits of each 32.
Vec<float> unit_floats(Words bits) noexcept {
  const Vec<int32_t> integer = (Vec<int32_t>)((Vec<uint32_t>)bits >> 8);
  return __builtin_convertvector(integer, Vec<float>) * 0x1p-24f;
}
// [0, 1) from the upper 53 bits of each 64. The two halves become doubles by exponents put before
// them.
Vec<double> unit_doubles(Words bits) noexcept {
  constexpr uint64_t two_52 = 0x4330000000000000, two_84 = 0x4530000000000000;
  const Words integer = bits >> 11;
  const Vec<double> low = (Vec<double>)((integer & 0xffffffff) | two_52) - 0x1p52;
  const Vec<double> high = (Vec<double>)((integer >> 32) | two_84) - 0x1p84;
  return (high + low) * 0x1p-53;
}

// cos and sin of 2 pi u, for u in [0, 1).
template <typename T>
struct Turn {
  Vec<T> cosine, sine;
};
// Of an angle up to an eighth of a turn; the sine is still to be multiplied by the angle.
Turn<float> turn_polynomials(Vec<float> square) noexcept {  // 2^-34
  return {
      polynomial<float>(square, {1.0f, -19.73920865f, 64.93931611f, -85.44284189f, 59.22006729f}),
      polynomial<float>(square,
                        {6.283185307f, -41.34170215f, 81.6052047f, -76.69786476f, 41.47277503f})};
}
Turn<double> turn_polynomials(Vec<double> square) noexcept {  // 2^-75
  return {
      polynomial<double>(square, {1.0, -19.7392088021787172, 64.9393940226682912,
                                  -85.4568172066935498, 60.2446413718180755, -26.4262567725411129,
                                  7.90353519441070308, -1.71431617306535019, 0.27945841782994213}),
      polynomial<double>(square,
                         {6.28318530717958648, -41.3417022403997602, 81.6052492760750541,
                          -76.7058597530613269, 42.0586939448782666, -15.0946425732381862,
                          3.81995219541653961, -0.718097639205228768, 0.10338636088847507})};
}
template <typename T>
Turn<T> turn(Vec<T> u) noexcept {
  const Vec<T> shifted = u * static_cast<T>(4) + kRounder<T>;
  const Vec<T> rest = u - (shifted - kRounder<T>)*static_cast<T>(0.25);
  const IntVec<T> quarter = (IntVec<T>)shifted;
  const Turn<T> p = turn_polynomials(rest * rest);
  const Vec<T> sine = p.sine * rest;
  const IntVec<T> odd = (quarter & 1) != 0;
  const IntVec<T> cosine_sign = ((quarter + 1) & 2) != 0;
  const IntVec<T> sine_sign = (quarter & 2) != 0;
  const Vec<T> c = select<T>(odd, sine, p.cosine);
  const Vec<T> s = select<T>(odd, p.cosine, sine);
  return {select<T>(cosine_sign, -c, c), select<T>(sine_sign, -s, s)};
}

// The numbers of kBlocks blocks, in two vectors: those of a uniform distribution over [0, 1) ...
struct Uniform {
  static void draw(RandomBits bits, float* out) noexcept {
    store(out, unit_floats(bits.low));
    store(out + kLanes<float>, unit_floats(bits.high));
  }
  static void draw(RandomBits bits, double* out) noexcept {
    store(out, unit_doubles(bits.low));
    store(out + kLanes<double>, unit_doubles(bits.high));
  }
};

// ... or a normal one: Box and Muller, "A note on the generation of random normal deviates", 1958.
// Numbers in even places are u1, in odd places u2; the results take the same places.
Words both_even(Words u, float) noexcept { return (u & 0xffffffff) | (u << 32); }
Words both_even(Words u, double) noexcept { return pair_low(u, u); }
Words both_odd(Words u, float) noexcept { return (u >> 32) | (u & ~uint64_t{0xffffffff}); }
Words both_odd(Words u, double) noexcept { return pair_high(u, u); }

template <typename T>
Vec<T> box_muller(Vec<T> u, T unit) noexcept {
  const Vec<T> u1 = (Vec<T>)both_even((Words)u, T{});
  const Vec<T> u2 = (Vec<T>)both_odd((Words)u, T{});
  const Vec<T> radius = sqrt(log<T>(u1 + unit) * static_cast<T>(-2));
  const Turn<T> angle = turn<T>(u2);
  const IntVec<T> odd = (lane_numbers<T>() & 1) != 0;
  return radius * select<T>(odd, angle.sine, angle.cosine);
}
struct Normal {
  static void draw(RandomBits bits, float* out) noexcept {
    store(out, box_muller<float>(unit_floats(bits.low), 0x1p-24f));
    store(out + kLanes<float>, box_muller<float>(unit_floats(bits.high), 0x1p-24f));
  }
  static void draw(RandomBits bits, double* out) noexcept {
    store(out, box_muller<double>(unit_doubles(bits.low), 0x1p-53));
    store(out + kLanes<double>, box_muller<double>(unit_doubles(bits.high), 0x1p-53));
  }
};

// Elements first, first + 1, ... of a stream. A tile may begin and end inside a block: these
// elements are drawn into a buffer and copied.
template <typename Distribution, typename T>
void fill_stream(const Stream& stream, int64_t first, int64_t n, T* out) noexcept {
  constexpr int64_t of_block = 16 / static_cast<int64_t>(sizeof(T));
  constexpr int64_t batch = kBlocks * of_block;
  alignas(kBytes) T part[batch];
  while (n > 0) {
    const int64_t skip = first % of_block;
    const RandomBits bits = random_bits(stream, static_cast<uint64_t>(first / of_block));
    const int64_t count = n < batch - skip ? n : batch - skip;
    if (count == batch) {
      Distribution::draw(bits, out);
    } else {
      Distribution::draw(bits, part);
      std::memcpy(out, part + skip, static_cast<size_t>(count) * sizeof(T));
    }
    first += count;
    out += count;
    n -= count;
  }
}

template <typename Distribution, typename T>
void run(const Call& call, const Tile& tile) noexcept {
  const int64_t row_size = call.output().row_size;
  fill_stream<Distribution>(stream_of(call, tile), tile.begin * row_size,
                            (tile.end - tile.begin) * row_size, output<T>(call, tile));
}

template <typename Distribution>
Kernel choose(Call& call) {
  call.integers[0] = static_cast<int64_t>(call.number("stream", 0.0));
  switch (call.output().dtype) {
    case DType::f32: return run<Distribution, float>;
    case DType::f64: return run<Distribution, double>;
    default: return nullptr;
  }
}

}  // namespace

Kernel prepare_random_uniform(Call& call) { return choose<Uniform>(call); }

Kernel prepare_random_normal(Call& call) { return choose<Normal>(call); }

}  // namespace chainrule::CHAINRULE_ISA
