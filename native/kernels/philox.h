// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011, section 4): four 32-bit words that are a function of a 128-bit counter and a 64-bit key. A
// vector of counters at a time.
#pragma once

#include "simd.h"

namespace chainrule::CHAINRULE_ISA {

// One 32-bit word of a block in each 64-bit lane; the upper half holds anything.
using Words = Vec<uint64_t>;
inline constexpr int64_t kBlocks = kLanes<uint64_t>;

// The 64-bit product of the lower halves.
inline Words multiply_low(Words a, uint32_t b) noexcept {
#if defined(__AVX512F__)
  return (Words)_mm512_maskz_mul_epu32(0xff, (__m512i)a, _mm512_set1_epi64(b));
#elif defined(__AVX2__)
  return (Words)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#elif defined(__SSE2__)
  return (Words)_mm_mul_epu32((__m128i)a, _mm_set1_epi64x(b));
#else
  return (a & 0xffffffff) * b;
#endif
}

struct PhiloxBlocks {
  Words word[4];
};

// The keys of the ten rounds: made once for many blocks (to make them in the loop took half its
// time).
struct PhiloxKeys {
  uint64_t even[10];
  uint64_t odd[10];
};
inline PhiloxKeys philox_keys(uint64_t key) noexcept {
  PhiloxKeys keys = {};
  uint32_t k0 = static_cast<uint32_t>(key);
  uint32_t k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    keys.even[round] = k0;
    keys.odd[round] = k1;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return keys;
}

inline PhiloxBlocks philox(Words c0, Words c1, Words c2, Words c3,
                           const PhiloxKeys& keys) noexcept {
  for (int round = 0; round < 10; ++round) {
    const Words p0 = multiply_low(c0, 0xD2511F53u);
    const Words p1 = multiply_low(c2, 0xCD9E8D57u);
    c0 = (p1 >> 32) ^ c1 ^ keys.even[round];
    c2 = (p0 >> 32) ^ c3 ^ keys.odd[round];
    c1 = p1;
    c3 = p0;
  }
  return {{c0, c1, c2, c3}};
}

// In a 128-bit half or quarter of a register the lower 64 bits of a, then those of b; or the upper.
inline Words pair_low(Words a, Words b) noexcept {
#if defined(__AVX512F__)
  return (Words)_mm512_maskz_unpacklo_epi64(0xff, (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Words)_mm256_unpacklo_epi64((__m256i)a, (__m256i)b);
#else
  return Words{a[0], b[0]};
#endif
}
inline Words pair_high(Words a, Words b) noexcept {
#if defined(__AVX512F__)
  return (Words)_mm512_maskz_unpackhi_epi64(0xff, (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Words)_mm256_unpackhi_epi64((__m256i)a, (__m256i)b);
#else
  return Words{a[1], b[1]};
#endif
}

// The number of the block in each lane, so dealt that pair_low gives the first half of the blocks
// in order, pair_high the second half.
inline Words block_order() noexcept {
  Words order = {};
  for (uint64_t lane = 0; lane < static_cast<uint64_t>(kBlocks); ++lane) {
    order[lane] = lane / 2 + (lane % 2) * static_cast<uint64_t>(kBlocks) / 2;
  }
  return order;
}

// What identifies a stream of random numbers: seed, step and the number of the operation.
struct Stream {
  PhiloxKeys keys;
  uint32_t step;
  uint32_t stream;
};

// kBlocks consecutive blocks from `first`: 2 vectors, in the order of the words.
struct RandomBits {
  Words low, high;
};
inline RandomBits random_bits(const Stream& stream, uint64_t first) noexcept {
  const Words block = block_order() + first;
  const Words zero = {};
  const PhiloxBlocks b = philox(block, block >> 32, zero + uint64_t{stream.step},
                                zero + uint64_t{stream.stream}, stream.keys);
  const Words a01 = (b.word[0] & 0xffffffff) | (b.word[1] << 32);
  const Words a23 = (b.word[2] & 0xffffffff) | (b.word[3] << 32);
  return {pair_low(a01, a23), pair_high(a01, a23)};
}

}  // namespace chainrule::CHAINRULE_ISA
