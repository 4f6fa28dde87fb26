// The update by a product gives the bits of the product and then the update, in place and not.
#include "support.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

struct Sizes {
  int64_t n, k, m;
};
// Of the weights and of the gradient.
struct Factors {
  double keep, share;
};
// Every so-manieth column of the gradient of what is behind has something, or one number of it.
struct Kept {
  int64_t every;
  bool single;
};
// Columns that are vectors of each set and that are not, rows beyond blocks, few and many steps.
constexpr Sizes all_sizes[] = {{1, 1, 1},     {0, 9, 16},    {3, 5, 7},    {2, 8, 16},
                               {32, 64, 128}, {7, 19, 33},   {40, 23, 48}, {17, 70, 80},
                               {5, 8, 4},     {450, 17, 32}, {12, 24, 112}};

template <typename T>
struct Problem {
  Array w, x, g, m, v, rate, keep, share;
  Problem(const Sizes& s, const Factors& f, const Kept& kept, int64_t shift)
      : w({s.k, s.m}, plain_values<T>(s.k * s.m, 1), shift * size),
        x({s.n, s.k}, plain_values<T>(s.n * s.k, 2), shift * size),
        g({s.n, s.m}, plain_values<T>(s.n * s.m, 3, -1e-2, 1e-2), shift * size),
        m({s.k, s.m}, plain_values<T>(s.k * s.m, 4, -1e-2, 1e-2)),
        v({s.k, s.m}, plain_values<T>(s.k * s.m, 5, 0.0, 1e-4), shift * size),
        rate({}, std::vector<T>{T(0.01)}),
        keep({}, std::vector<T>{static_cast<T>(f.keep)}),
        share({}, std::vector<T>{static_cast<T>(f.share)}) {
    for (int64_t i = 0; i < s.n * s.m; ++i) {
      const int64_t row = i / s.m, column = i % s.m;
      const bool has = column % kept.every == 0 && (!kept.single || row == column % s.n);
      if (!has) g.data<T>()[i] = i % 3 == 0 ? T(-0.0) : T(0);
    }
  }

 private:
  static constexpr int64_t size = static_cast<int64_t>(sizeof(T));
};

template <typename T>
bool same_bits(Array& a, Array& b) {
  return std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.size()) * sizeof(T)) == 0;
}

template <typename T>
void check(const KernelTable& table, const Sizes& s, const Factors& f, const Kept& kept,
           bool in_place, int64_t shift, int64_t tile) {
  Problem<T> p(s, f, kept, shift);
  Array gradient(dtype_of<T>(), {s.k, s.m});
  Array w(dtype_of<T>(), {s.k, s.m}), m(dtype_of<T>(), {s.k, s.m}), v(dtype_of<T>(), {s.k, s.m});
  CHECK(run_call(table, {"matmul", {&p.x, &p.g}, {&gradient}, {{"transpose_x", 1.0}}, {0, 1}}, 8));
  CHECK(run_call(table,
                 {"adam_update",
                  {&p.w, &gradient, &p.m, &p.v, &p.rate, &p.keep, &p.share},
                  {&w, &m, &v},
                  {{"beta_1", 0.9}, {"beta_2", 0.999}, {"epsilon", 1e-7}},
                  {4, 5, 6}},
                 8));
  Array w_in(p.w), m_in(p.m), v_in(p.v);
  Array w_out(dtype_of<T>(), {s.k, s.m}), m_out(dtype_of<T>(), {s.k, s.m});
  Array v_out(dtype_of<T>(), {s.k, s.m});
  Array &w_new = in_place ? w_in : w_out, &m_new = in_place ? m_in : m_out;
  Array& v_new = in_place ? v_in : v_out;
  CHECK(run_call(table,
                 {"product_adam_update",
                  {&w_in, &p.x, &p.g, &m_in, &v_in, &p.rate, &p.keep, &p.share},
                  {&w_new, &m_new, &v_new},
                  {{"beta_1", 0.9}, {"beta_2", 0.999}, {"epsilon", 1e-7}},
                  {1, 2, 5, 6, 7}},
                 tile));
  CHECK(same_bits<T>(w_new, w) && same_bits<T>(m_new, m) && same_bits<T>(v_new, v));
  CHECK(w_new.guarded() && m_new.guarded() && v_new.guarded());
}

template <typename T>
void check_type(const KernelTable& table, const Sizes& s) {
  for (const Factors& f : {Factors{0.99, 0.5}, {1, 1}, {1, 0.5}, {0.99, 1}}) {
    for (const bool in_place : {false, true}) {
      for (const Kept& kept :
           {Kept{1, false}, {1, true}, {2, true}, {5, true}, {2, false}, {1000, false}}) {
        check<T>(table, s, f, kept, in_place, 0, 5);
        check<T>(table, s, f, kept, in_place, 1, 64);
      }
    }
  }
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    for (const Sizes& s : all_sizes) {
      check_type<float>(table, s);
      check_type<double>(table, s);
    }
  });
  return check_result();
}
