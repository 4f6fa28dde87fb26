// Warped images and the derivative on each instruction set, against the definition in long double.
#include "shapes.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

using Real = long double;

const std::vector<std::string> kModes = {"constant", "nearest", "reflect", "wrap"};

// The pixel at i of an axis of n: -1 for none.
int64_t pixel(int64_t i, int64_t n, const std::string& mode) {
  if (i >= 0 && i < n) return i;
  if (mode == "constant") return -1;
  if (mode == "nearest") return i < 0 ? 0 : n - 1;
  // One period after the other.
  const int64_t period = mode == "wrap" ? n : 2 * n;
  const int64_t at = ((i % period) + period) % period;
  return at < n ? at : 2 * n - 1 - at;
}

struct Tap {
  int64_t pixel;
  Real share;
};

// What a place along an axis of n is a mixture of. The place is found in double, as promised.
std::vector<Tap> taps(double base, double step, int64_t k, int64_t n, const std::string& mode,
                      bool nearest) {
  double at = base + step * static_cast<double>(k);
  at = at >= -0x1p30 ? std::fmin(at, 0x1p30) : -0x1p30;
  if (nearest) return {{pixel(static_cast<int64_t>(std::floor(at + 0.5)), n, mode), 1}};
  const auto low = static_cast<int64_t>(std::floor(at));
  const Real share = static_cast<Real>(at) - static_cast<Real>(low);
  return {{pixel(low, n, mode), 1 - share}, {pixel(low + 1, n, mode), share}};
}

struct Problem {
  int64_t n, h, w, c, oh, ow;
  std::string mode;
  bool nearest;
};

// visit(sample, place of y, place of x or -1, share) for all that are mixed.
template <typename M, typename Visit>
void each(const Problem& p, Array& m, Visit visit) {
  for (int64_t n = 0; n < p.n; ++n) {
    double a[6];
    for (int64_t k = 0; k < 6; ++k) a[k] = static_cast<double>(m.data<M>()[n * 6 + k]);
    for (int64_t i = 0; i < p.oh; ++i) {
      const auto row = static_cast<double>(i);
      for (int64_t j = 0; j < p.ow; ++j)
        for (const Tap& down : taps(a[0] * row + a[2], a[1], j, p.h, p.mode, p.nearest))
          for (const Tap& right : taps(a[3] * row + a[5], a[4], j, p.w, p.mode, p.nearest)) {
            const bool none = down.pixel < 0 || right.pixel < 0;
            const int64_t from = none ? -1 : (n * p.h + down.pixel) * p.w + right.pixel;
            visit((n * p.oh + i) * p.ow + j, from, down.share * right.share);
          }
    }
  }
}

template <typename T>
bool close(Array& found, const std::vector<Real>& want, Real reach) {
  const Real unit = static_cast<Real>(std::numeric_limits<T>::epsilon());
  for (int64_t i = 0; i < found.size(); ++i) {
    const Real error = static_cast<Real>(found.data<T>()[i]) - want[static_cast<size_t>(i)];
    if (!(std::fabs(static_cast<double>(error)) <= static_cast<double>(16 * unit * reach)))
      return false;
  }
  return true;
}

template <typename T, typename M>
void check_warp(const KernelTable& table, const Problem& p, Array& m, int64_t shift) {
  const auto item = static_cast<int64_t>(sizeof(T));
  Array x({p.n, p.h, p.w, p.c}, plain_values<T>(p.n * p.h * p.w * p.c, 1), shift * item);
  Array y(dtype_of<T>(), {p.n, p.oh, p.ow, p.c}, shift * item);
  Invocation run{"warp", {&x, &m}, {&y}, {{"fill_value", 0.25}}};
  run.words = {{"interpolation", p.nearest ? "nearest" : "bilinear"}, {"fill_mode", p.mode}};
  CHECK(same_in_tiles(table, run));
  std::vector<Real> want(static_cast<size_t>(y.size()));
  each<M>(p, m, [&](int64_t to, int64_t from, Real share) {
    for (int64_t c = 0; c < p.c; ++c) {
      const Real value = from < 0 ? Real{0.25} : static_cast<Real>(x.data<T>()[from * p.c + c]);
      want[static_cast<size_t>(to * p.c + c)] += share * value;
    }
  });
  CHECK(close<T>(y, want, 2));
}

template <typename T, typename M>
void check_gradient(const KernelTable& table, const Problem& p, Array& m, int64_t shift) {
  const auto item = static_cast<int64_t>(sizeof(T));
  Array g({p.n, p.oh, p.ow, p.c}, plain_values<T>(p.n * p.oh * p.ow * p.c, 2), shift * item);
  Array x(dtype_of<T>(), {p.n, p.h, p.w, p.c}, shift * item);
  Invocation run{"warp_gradient", {&g, &m}, {&x}};
  run.words = {{"interpolation", p.nearest ? "nearest" : "bilinear"}, {"fill_mode", p.mode}};
  CHECK(same_in_tiles(table, run));
  std::vector<Real> want(static_cast<size_t>(x.size()));
  each<M>(p, m, [&](int64_t from, int64_t to, Real share) {
    for (int64_t c = 0; c < p.c && to >= 0; ++c)
      want[static_cast<size_t>(to * p.c + c)] +=
          share * static_cast<Real>(g.data<T>()[from * p.c + c]);
  });
  CHECK(close<T>(x, want, static_cast<Real>(2 + p.oh * p.ow)));
}

// Maps that turn and move; the last of some is no map at all.
template <typename M>
Array maps(const Problem& p, uint64_t seed, double reach) {
  std::vector<M> values = plain_values<M>(p.n * 6, seed, -reach, reach);
  for (int64_t n = 0; n < p.n; ++n) {
    M* a = values.data() + n * 6;
    a[0] += 1, a[4] += 1;
    a[2] *= 20, a[5] *= 20;
    if (seed % 3 == 0 && n == p.n - 1) {
      a[1] = std::numeric_limits<M>::infinity();
      a[5] = std::numeric_limits<M>::quiet_NaN();
    }
  }
  return Array({p.n, 2, 3}, values);
}

template <typename T, typename M>
void check_types(const KernelTable& table, uint64_t seed) {
  Random random(seed);
  const int64_t sizes[] = {1, 2, 3, 5, 8, 17, 28};
  const int64_t widths[] = {0, 1, 7, 8, 9, 16, 28, 128, 129, 140};
  const int64_t channels[] = {0, 1, 1, 2, 3, 3, 5};
  for (uint64_t round = 0; round < 200; ++round) {
    Problem p{random.below(4),           sizes[random.below(7)], sizes[random.below(7)],
              channels[random.below(7)], sizes[random.below(7)], widths[random.below(10)],
              kModes[round % 4],         round % 8 < 4};
    Array m = maps<M>(p, round, round % 5 == 0 ? 0.0 : 0.4);
    check_warp<T, M>(table, p, m, random.below(3));
    check_gradient<T, M>(table, p, m, random.below(3));
  }
}

// The map that changes nothing leaves every bit, that of a NaN among them.
template <typename T>
void check_identity(const KernelTable& table) {
  Array x({1, 5, 9, 1}, awkward_values<T>(45, 3)), y(dtype_of<T>(), {1, 5, 9, 1});
  Array m({1, 2, 3}, std::vector<float>{1, 0, 0, 0, 1, 0});
  Invocation run{"warp", {&x, &m}, {&y}};
  run.words = {{"interpolation", "nearest"}, {"fill_mode", "constant"}};
  CHECK(run_call(table, run));
  CHECK(std::memcmp(x.raw(), y.raw(), 45 * sizeof(T)) == 0);
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    check_types<float, float>(table, 1);
    check_types<float, double>(table, 2);
    check_types<double, float>(table, 3);
    check_types<double, double>(table, 4);
    check_identity<float>(table);
    check_identity<double>(table);
  });
  return check_result();
}
