// Recurrent layers over whole sequences on each instruction set against plain loops in double: with
// and without masks, kept parts of the state, reversed, all activations, in tiles of any size.
#include "shapes.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

double bend(const std::string& word, double x) {
  if (word == "relu") return x > 0 ? x : 0;
  if (word == "tanh") return std::tanh(x);
  return word == "sigmoid" ? 1 / (1 + std::exp(-x)) : x;
}
double slope(const std::string& word, double y) {
  if (word == "relu") return y > 0 ? 1 : 0;
  if (word == "tanh") return 1 - y * y;
  return word == "sigmoid" ? y * (1 - y) : 1;
}

struct Problem {
  int64_t n, t, m;
  bool masked, kept, reverse, reset_after;
  std::string f, s;

  int64_t step(int64_t i) const { return reverse ? t - 1 - i : i; }
  int64_t before(int64_t i) const { return reverse ? i + 1 : i; }
  int64_t after(int64_t i) const { return reverse ? i : i + 1; }
  int64_t first() const { return reverse ? t : 0; }
  int64_t last() const { return reverse ? 0 : t; }
};

Problem random_problem(Random& random) {
  static constexpr int64_t units[] = {1, 2, 3, 7, 8, 15, 16, 17, 33, 50};
  static const std::string words[] = {"tanh", "sigmoid", "relu", "linear"};
  Problem p;
  p.n = random.below(36);
  p.t = random.below(5);
  p.m = units[random.below(10)];
  p.masked = random.below(2) == 0;
  p.kept = random.below(2) == 0;
  p.reverse = random.below(2) == 0;
  p.reset_after = random.below(2) == 0;
  const bool usual = random.below(2) == 0;
  p.f = usual ? "tanh" : words[random.below(4)];
  p.s = usual ? "sigmoid" : words[random.below(4)];
  return p;
}

// A result in double, [n, steps, width].
struct Wanted {
  int64_t steps, width;
  std::vector<double> values;

  Wanted(int64_t n, int64_t steps_, int64_t width_)
      : steps(steps_), width(width_), values(static_cast<size_t>(n * steps_ * width_)) {}
  double* at(int64_t sample, int64_t step) {
    return values.data() + (sample * steps + step) * width;
  }
  template <typename T>
  void check(Array& found, double bound) {
    for (int64_t i = 0; i < found.size(); ++i) {
      const double want = values[static_cast<size_t>(i)];
      CHECK_NEAR(found.data<T>()[i], want, bound * std::fmax(1.0, std::fabs(want)));
    }
  }
};

// The operands of the operations with `gates` parts, and what is expected of their outputs.
template <typename T>
class Case {
 public:
  Case(const Problem& p, int64_t gates, Random& random)
      : p_(p),
        g_(gates),
        a_(numbers<T>({p.n, p.t, gates * p.m}, 1, random.below(4))),
        u_(numbers<T>({p.m, gates * p.m}, 2, random.below(4))),
        b_(numbers<T>({gates * p.m}, 3)),
        h_(numbers<T>({p.n, p.m}, 4)),
        c_(numbers<T>({p.n, p.m}, 5)),
        mask_(DType::boolean, {p.n, p.masked ? p.t : 0}),
        keep_(numbers<T>({p.n, p.kept ? p.m : 0}, 6)),
        gh_(numbers<T>({p.n, p.t + 1, p.m}, 7)),
        gc_(numbers<T>({p.n, random.below(2) == 0 ? p.t + 1 : 0, p.m}, 8)),
        states_(numbers<T>({p.n, p.t + 1, p.m}, 9)),
        cells_(numbers<T>({p.n, p.t + 1, p.m}, 10)),
        gates_(numbers<T>({p.n, p.t, 4 * p.m}, 11)) {
    for (int64_t i = 0; i < mask_.size(); ++i) mask_.data<uint8_t>()[i] = random.below(3) != 0;
    // Of the size of one, and so small a kernel that no state outgrows the type.
    for (Array* x : {&a_, &b_, &h_, &c_, &keep_, &gh_, &gc_, &states_, &cells_, &gates_})
      shrink(*x, 1000);
    shrink(u_, static_cast<T>(300 * (1 + p.m)));
  }

  void check_rnn(const KernelTable& table) {
    Array y(dtype_of<T>(), {p_.n, p_.t + 1, p_.m});
    CHECK(same_in_tiles(table, call("rnn", {&a_, &u_, &h_, &mask_, &keep_}, {&y}, {1})));
    Wanted states(p_.n, p_.t + 1, p_.m);
    for (int64_t n = 0; n < p_.n; ++n) {
      std::vector<double> h = start(h_, n);
      leave(states, n, p_.first(), h);
      for (int64_t i = 0; i < p_.t; ++i) {
        const int64_t step = p_.step(i);
        const std::vector<double> z = sums(n, h, nullptr);
        for (int64_t v = 0; live(n, step) && v < p_.m; ++v)
          h[idx(v)] = bend(p_.f, in(a_, n, step, v) + z[idx(v)]);
        leave(states, n, p_.after(step), h);
      }
    }
    states.check<T>(y, bound());
  }

  void check_rnn_back(const KernelTable& table) {
    Array ga(dtype_of<T>(), {p_.n, p_.t, p_.m}), dh(dtype_of<T>(), {p_.n, p_.m});
    CHECK(same_in_tiles(
        table, call("rnn_gradient", {&gh_, &states_, &u_, &mask_, &keep_}, {&ga, &dh}, {2})));
    Wanted wanted(p_.n, p_.t, p_.m), first(p_.n, 1, p_.m);
    for (int64_t n = 0; n < p_.n; ++n) {
      std::vector<double> d = row(gh_, n, p_.last());
      for (int64_t i = p_.t; i-- > 0;) {
        const int64_t step = p_.step(i);
        std::vector<double> z(size());
        if (live(n, step)) {
          for (int64_t v = 0; v < p_.m; ++v)
            z[idx(v)] = d[idx(v)] * slope(p_.f, in(states_, n, p_.after(step), v));
          d = back(n, z);
        }
        leave(wanted, n, step, z);
        add(d, row(gh_, n, p_.before(step)));
      }
      leave(first, n, 0, d);
    }
    wanted.check<T>(ga, bound());
    first.check<T>(dh, bound());
  }

  void check_lstm(const KernelTable& table) {
    const int64_t m = p_.m;
    Array y(dtype_of<T>(), {p_.n, p_.t + 1, m}), c(dtype_of<T>(), {p_.n, p_.t + 1, m});
    Array gates(dtype_of<T>(), {p_.n, p_.t, 4 * m});
    CHECK(same_in_tiles(table,
                        call("lstm", {&a_, &u_, &h_, &c_, &mask_, &keep_}, {&y, &c, &gates}, {1})));
    Wanted states(p_.n, p_.t + 1, m), cells(p_.n, p_.t + 1, m), parts(p_.n, p_.t, 4 * m);
    for (int64_t n = 0; n < p_.n; ++n) {
      std::vector<double> h = start(h_, n), cell = start(c_, n);
      leave(states, n, p_.first(), h);
      leave(cells, n, p_.first(), cell);
      for (int64_t i = 0; i < p_.t; ++i) {
        const int64_t step = p_.step(i);
        const std::vector<double> z = sums(n, h, nullptr);
        for (int64_t v = 0; live(n, step) && v < m; ++v) {
          double gate[4];
          for (int64_t q = 0; q < 4; ++q) {
            gate[q] = bend(q == 2 ? p_.f : p_.s, in(a_, n, step, q * m + v) + z[idx(q * m + v)]);
            parts.at(n, step)[q * m + v] = gate[q];
          }
          cell[idx(v)] = gate[1] * cell[idx(v)] + gate[0] * gate[2];
          h[idx(v)] = gate[3] * bend(p_.f, cell[idx(v)]);
        }
        leave(states, n, p_.after(step), h);
        leave(cells, n, p_.after(step), cell);
      }
    }
    states.check<T>(y, bound());
    cells.check<T>(c, bound());
    parts.check<T>(gates, bound());
  }

  void check_lstm_back(const KernelTable& table) {
    const int64_t m = p_.m;
    Array ga(dtype_of<T>(), {p_.n, p_.t, 4 * m});
    Array dh(dtype_of<T>(), {p_.n, m}), dc(dtype_of<T>(), {p_.n, m});
    CHECK(same_in_tiles(table,
                        call("lstm_gradient", {&gh_, &gc_, &cells_, &gates_, &u_, &mask_, &keep_},
                             {&ga, &dh, &dc}, {4})));
    Wanted wanted(p_.n, p_.t, 4 * m), first(p_.n, 1, m), cell(p_.n, 1, m);
    const bool own = gc_.shape()[1] > 0;
    for (int64_t n = 0; n < p_.n; ++n) {
      std::vector<double> d = row(gh_, n, p_.last()), e(size());
      if (own) e = row(gc_, n, p_.last());
      for (int64_t i = p_.t; i-- > 0;) {
        const int64_t step = p_.step(i);
        std::vector<double> z(idx(4 * m));
        for (int64_t v = 0; live(n, step) && v < m; ++v) {
          const double in_gate = in(gates_, n, step, v), stay = in(gates_, n, step, m + v);
          const double bent = in(gates_, n, step, 2 * m + v), out = in(gates_, n, step, 3 * m + v);
          const double y = bend(p_.f, in(cells_, n, p_.after(step), v));
          const double to_cell = e[idx(v)] + d[idx(v)] * out * slope(p_.f, y);
          z[idx(v)] = to_cell * bent * slope(p_.s, in_gate);
          z[idx(m + v)] = to_cell * in(cells_, n, p_.before(step), v) * slope(p_.s, stay);
          z[idx(2 * m + v)] = to_cell * in_gate * slope(p_.f, bent);
          z[idx(3 * m + v)] = d[idx(v)] * y * slope(p_.s, out);
          e[idx(v)] = to_cell * stay;
        }
        if (live(n, step)) d = back(n, z);
        leave(wanted, n, step, z);
        add(d, row(gh_, n, p_.before(step)));
        if (own) add(e, row(gc_, n, p_.before(step)));
      }
      leave(first, n, 0, d);
      leave(cell, n, 0, e);
    }
    wanted.check<T>(ga, bound());
    first.check<T>(dh, bound());
    cell.check<T>(dc, bound());
  }

  void check_gru(const KernelTable& table) {
    const int64_t m = p_.m;
    Array y(dtype_of<T>(), {p_.n, p_.t + 1, m}), gates(dtype_of<T>(), {p_.n, p_.t, 4 * m});
    CHECK(same_in_tiles(table,
                        call("gru", {&a_, &u_, &b_, &h_, &mask_, &keep_}, {&y, &gates}, {1, 2})));
    Wanted states(p_.n, p_.t + 1, m), parts(p_.n, p_.t, 4 * m);
    for (int64_t n = 0; n < p_.n; ++n) {
      std::vector<double> h = start(h_, n);
      leave(states, n, p_.first(), h);
      for (int64_t i = 0; i < p_.t; ++i) {
        const int64_t step = p_.step(i);
        if (live(n, step)) gru_step(n, step, h, parts.at(n, step));
        leave(states, n, p_.after(step), h);
      }
    }
    states.check<T>(y, bound());
    parts.check<T>(gates, bound());
  }

  void check_gru_back(const KernelTable& table) {
    const int64_t m = p_.m;
    Array ga(dtype_of<T>(), {p_.n, p_.t, 3 * m}), inner(dtype_of<T>(), {p_.n, p_.t, 3 * m});
    Array dh(dtype_of<T>(), {p_.n, m});
    CHECK(same_in_tiles(table, call("gru_gradient", {&gh_, &states_, &gates_, &u_, &mask_, &keep_},
                                    {&ga, &inner, &dh}, {3})));
    Wanted wanted(p_.n, p_.t, 3 * m), inside(p_.n, p_.t, 3 * m), first(p_.n, 1, m);
    for (int64_t n = 0; n < p_.n; ++n) {
      std::vector<double> d = row(gh_, n, p_.last());
      for (int64_t i = p_.t; i-- > 0;) {
        const int64_t step = p_.step(i);
        if (live(n, step)) gru_step_back(n, step, d, wanted.at(n, step), inside.at(n, step));
        add(d, row(gh_, n, p_.before(step)));
      }
      leave(first, n, 0, d);
    }
    wanted.check<T>(ga, bound());
    inside.check<T>(inner, bound());
    first.check<T>(dh, bound());
  }

 private:
  static void shrink(Array& x, T by) {
    for (int64_t i = 0; i < x.size(); ++i) x.template data<T>()[i] /= by;
  }
  static size_t idx(int64_t i) { return static_cast<size_t>(i); }
  size_t size() const { return idx(p_.m); }
  double bound() const {
    return 200 * static_cast<double>(p_.m + 8) *
           static_cast<double>(std::numeric_limits<T>::epsilon());
  }
  double in(Array& x, int64_t n, int64_t step, int64_t v) const {
    return x.data<T>()[(n * x.shape()[1] + step) * x.shape()[2] + v];
  }
  std::vector<double> row(Array& x, int64_t n, int64_t step) const {
    std::vector<double> values(idx(x.shape()[2]));
    for (size_t v = 0; v < values.size(); ++v) values[v] = in(x, n, step, static_cast<int64_t>(v));
    return values;
  }
  std::vector<double> start(Array& x, int64_t n) const {
    const T* from = x.data<T>() + n * p_.m;
    return {from, from + p_.m};
  }
  static void leave(Wanted& to, int64_t n, int64_t step, const std::vector<double>& values) {
    for (size_t v = 0; v < values.size(); ++v) to.at(n, step)[v] = values[v];
  }
  static void add(std::vector<double>& to, const std::vector<double>& more) {
    for (size_t v = 0; v < to.size(); ++v) to[v] += more[v];
  }
  bool live(int64_t n, int64_t step) {
    return !p_.masked || mask_.data<uint8_t>()[n * p_.t + step] != 0;
  }
  double keep(int64_t n, int64_t v) {
    return p_.kept ? static_cast<double>(keep_.data<T>()[n * p_.m + v]) : 1.0;
  }
  double weight(int64_t k, int64_t j) { return u_.data<T>()[k * g_ * p_.m + j]; }

  // (keep h) U + b
  std::vector<double> sums(int64_t n, const std::vector<double>& h, Array* b) {
    std::vector<double> z(idx(g_ * p_.m));
    for (int64_t j = 0; j < g_ * p_.m; ++j) {
      if (b != nullptr) z[idx(j)] = b->data<T>()[j];
      for (int64_t k = 0; k < p_.m; ++k) z[idx(j)] += keep(n, k) * h[idx(k)] * weight(k, j);
    }
    return z;
  }
  // keep (z U^T)
  std::vector<double> back(int64_t n, const std::vector<double>& z) {
    std::vector<double> d(size());
    for (int64_t k = 0; k < p_.m; ++k)
      for (size_t j = 0; j < z.size(); ++j)
        d[idx(k)] += keep(n, k) * z[j] * weight(k, static_cast<int64_t>(j));
    return d;
  }

  void gru_step(int64_t n, int64_t step, std::vector<double>& h, double* part) {
    const int64_t m = p_.m;
    std::vector<double> z = sums(n, h, &b_), used(size());
    for (int64_t v = 0; v < m; ++v) {
      for (int64_t q = 0; q < 2; ++q)
        part[q * m + v] = bend(p_.s, in(a_, n, step, q * m + v) + z[idx(q * m + v)]);
      used[idx(v)] = part[m + v] * h[idx(v)];
      part[3 * m + v] = p_.reset_after ? z[idx(2 * m + v)] : keep(n, v) * used[idx(v)];
    }
    if (!p_.reset_after) z = sums(n, used, &b_);
    for (int64_t v = 0; v < m; ++v) {
      const double q = z[idx(2 * m + v)] * (p_.reset_after ? part[m + v] : 1);
      part[2 * m + v] = bend(p_.f, in(a_, n, step, 2 * m + v) + q);
      h[idx(v)] = part[v] * h[idx(v)] + (1 - part[v]) * part[2 * m + v];
    }
  }

  void gru_step_back(int64_t n, int64_t step, std::vector<double>& d, double* ga, double* inner) {
    const int64_t m = p_.m;
    std::vector<double> last(idx(3 * m)), joint(idx(3 * m));
    for (int64_t v = 0; v < m; ++v) {
      const double stay = in(gates_, n, step, v), r = in(gates_, n, step, m + v);
      const double y = in(gates_, n, step, 2 * m + v), q = in(gates_, n, step, 3 * m + v);
      const double h = in(states_, n, p_.before(step), v), g = d[idx(v)];
      ga[v] = joint[idx(v)] = g * (h - y) * slope(p_.s, stay);
      ga[2 * m + v] = last[idx(2 * m + v)] = g * (1 - stay) * slope(p_.f, y);
      joint[idx(2 * m + v)] = ga[2 * m + v] * r;
      ga[m + v] = joint[idx(m + v)] = ga[2 * m + v] * q * slope(p_.s, r);
    }
    std::vector<double> to_reset(size());
    if (!p_.reset_after) {
      to_reset = back(n, last);  // times keep, as the state is on its way into the product
      for (int64_t v = 0; v < m; ++v) {
        const double h = in(states_, n, p_.before(step), v);
        ga[m + v] = joint[idx(m + v)] =
            to_reset[idx(v)] * h * slope(p_.s, in(gates_, n, step, m + v));
        to_reset[idx(v)] *= in(gates_, n, step, m + v);
        joint[idx(2 * m + v)] = 0;
      }
    }
    std::vector<double> whole = back(n, joint);
    add(whole, to_reset);
    for (int64_t v = 0; v < m; ++v) {
      inner[v] = ga[v];
      inner[m + v] = ga[m + v];
      inner[2 * m + v] = p_.reset_after ? joint[idx(2 * m + v)] : ga[2 * m + v];
      d[idx(v)] = d[idx(v)] * in(gates_, n, step, v) + whole[idx(v)];
    }
  }

  Invocation call(const std::string& name, std::vector<Array*> arguments,
                  std::vector<Array*> outputs, std::vector<size_t> whole) const {
    Invocation call{name, std::move(arguments), std::move(outputs)};
    call.whole = std::move(whole);
    call.numbers = {{"reverse", p_.reverse}, {"reset_after", p_.reset_after}};
    call.words = {{"activation", p_.f}};
    if (name.rfind("rnn", 0) != 0) call.words.emplace_back("recurrent_activation", p_.s);
    return call;
  }

  Problem p_;
  int64_t g_;
  Array a_, u_, b_, h_, c_, mask_, keep_, gh_, gc_, states_, cells_, gates_;
};

template <typename T>
void check_type(const KernelTable& table, uint64_t seed) {
  Random random(seed);
  for (int i = 0; i < 40; ++i) {
    const Problem p = random_problem(random);
    Case<T> one(p, 1, random), three(p, 3, random), four(p, 4, random);
    one.check_rnn(table);
    one.check_rnn_back(table);
    four.check_lstm(table);
    four.check_lstm_back(table);
    three.check_gru(table);
    three.check_gru_back(table);
  }
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    check_type<float>(table, 1);
    check_type<double>(table, 2);
  });
  return check_result();
}
