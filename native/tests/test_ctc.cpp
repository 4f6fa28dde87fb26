// Connectionist temporal classification and edit distances on each instruction set, against sums of
// probabilities in long double, a search in a map of strings and the whole table of distances.
#include <algorithm>
#include <map>

#include "shapes.h"

using namespace chainrule;
using namespace chainrule::test;

namespace {

using Numbers = std::vector<long double>;
using Label = std::vector<int64_t>;

struct Problem {
  int64_t n, t, m, l, blank;
};

Problem random_problem(Random& random) {
  static constexpr int64_t sizes[] = {1, 2, 3, 4, 7, 8, 9, 16, 17, 33, 70};
  const int64_t m = sizes[random.below(11)];
  const int64_t l = m > 1 ? random.below(19) : 0;
  return {random.below(5), random.below(40), m, l, random.below(m)};
}

// Operands of one call: logits, labels of which few differ, lengths of all sizes.
template <typename T, typename I>
struct Operands {
  Array z, labels, used, lengths;

  Operands(const Problem& p, Random& random)
      : z({p.n, p.t, p.m},
          plain_values<T>(p.n * p.t * p.m, static_cast<uint64_t>(random.below(1000)), -4, 4),
          random.below(4) * static_cast<int64_t>(sizeof(T))),
        labels(dtype_of<I>(), {p.n, p.l}),
        used(DType::boolean, {p.n, p.t}),
        lengths(dtype_of<I>(), {p.n}) {
    for (int64_t i = 0; i < labels.size(); ++i) {
      const int64_t other = 1 + random.below(std::min<int64_t>(3, p.m - 1));
      labels.template data<I>()[i] = static_cast<I>((p.blank + other) % p.m);
    }
    for (int64_t i = 0; i < p.n; ++i) {
      lengths.template data<I>()[i] = static_cast<I>(random.below(p.l + 1));
      // All up to some frame, or any.
      const int64_t frames = random.below(3) > 0 ? random.below(p.t + 1) : -1;
      for (int64_t k = 0; k < p.t; ++k)
        used.data<uint8_t>()[i * p.t + k] = frames < 0 ? random.below(4) > 0 : k < frames;
    }
  }
  Label string(const Problem& p, int64_t i) {
    const I* first = labels.template data<I>() + i * p.l;
    return Label(first, first + static_cast<int64_t>(lengths.template data<I>()[i]));
  }
  bool uses(int64_t i) { return used.data<uint8_t>()[i] != 0; }
};

// The probabilities of the classes of one frame.
template <typename T>
Numbers softmax(const T* z, int64_t m) {
  Numbers p(static_cast<size_t>(m));
  long double sum = 0;
  for (size_t c = 0; c < p.size(); ++c) sum += p[c] = std::exp(static_cast<long double>(z[c]));
  for (long double& x : p) x /= sum;
  return p;
}

// The states of a string and what they may be entered from.
struct States {
  Label classes;
  explicit States(const Label& string, int64_t blank) : classes{blank} {
    for (const int64_t label : string) classes.insert(classes.end(), {label, blank});
  }
  bool follows(size_t from, size_t to) const {
    if (to == from || to == from + 1) return true;
    return to == from + 2 && to % 2 == 1 && classes[to] != classes[from];
  }
  bool last(size_t s) const { return s + 2 >= classes.size(); }
};

// The probability of the string and the share of its paths at each class in each frame.
Numbers shares(const States& states, const std::vector<Numbers>& p, long double& total) {
  const size_t count = states.classes.size(), t = p.size();
  std::vector<Numbers> a(t + 1, Numbers(count)), b(t + 1, Numbers(count));
  a[0][0] = 1;
  for (size_t k = 0; k < t; ++k)
    for (size_t s = 0; s < count; ++s)
      for (size_t from = 0; from <= s; ++from)
        if (states.follows(from, s))
          a[k + 1][s] += a[k][from] * p[k][static_cast<size_t>(states.classes[s])];
  total = 0;
  for (size_t s = 0; s < count; ++s)
    if (states.last(s)) total += a[t][s], b[t][s] = 1;
  for (size_t k = t; k-- > 0;)
    for (size_t s = 0; s < count; ++s)
      for (size_t to = s; to < count; ++to)
        if (states.follows(s, to))
          b[k][s] += b[k + 1][to] * p[k][static_cast<size_t>(states.classes[to])];
  const size_t m = t > 0 ? p[0].size() : 0;
  Numbers found(t * m);
  for (size_t k = 0; k < t; ++k)
    for (size_t s = 0; s < count; ++s)
      found[k * m + static_cast<size_t>(states.classes[s])] += a[k + 1][s] * b[k + 1][s] / total;
  return found;
}

template <typename T, typename I>
void check_loss(const KernelTable& table, const Problem& p, Random& random) {
  Operands<T, I> o(p, random);
  Array g({p.n}, plain_values<T>(p.n, 5));
  Array y(dtype_of<T>(), {p.n}), dz(dtype_of<T>(), {p.n, p.t, p.m});
  const auto blank = static_cast<double>(p.blank);
  CHECK(same_in_tiles(
      table, {"ctc_loss", {&o.z, &o.labels, &o.used, &o.lengths}, {&y}, {{"blank", blank}}}));
  CHECK(same_in_tiles(table, {"ctc_loss_gradient",
                              {&g, &o.z, &o.labels, &o.used, &o.lengths},
                              {&dz},
                              {{"blank", blank}}}));
  const double bound = 8 * static_cast<double>(std::numeric_limits<T>::epsilon());
  for (int64_t i = 0; i < p.n; ++i) {
    const T* z = o.z.template data<T>() + i * p.t * p.m;
    const T* slope = dz.template data<T>() + i * p.t * p.m;
    std::vector<Numbers> probabilities;
    for (int64_t k = 0; k < p.t; ++k)
      if (o.uses(i * p.t + k)) probabilities.push_back(softmax(z + k * p.m, p.m));
    long double total = 0;
    const Numbers share = shares(States(o.string(p, i), p.blank), probabilities, total);
    const auto want = static_cast<double>(-std::log(total));
    CHECK_NEAR(y.template data<T>()[i], want, bound * (1 + std::fabs(want)));
    size_t e = 0;
    for (int64_t k = 0; k < p.t * p.m; ++k) {
      long double d = 0;
      if (o.uses(i * p.t + k / p.m)) {
        const auto m = static_cast<size_t>(p.m);
        if (total > 0) d = probabilities[e / m][e % m] - share[e];
        ++e;
      }
      // Shares come from sums of logarithms, which may be large.
      CHECK_NEAR(slope[k], static_cast<double>(d * g.template data<T>()[i]), 2 * bound + 1e-12);
    }
  }
}

using Beam = std::map<Label, std::pair<long double, long double>>;

// One frame of the search: probabilities of paths that end in a blank, and of the others.
std::vector<Label> advance(Beam& beam, const Numbers& p, int64_t blank, int64_t width) {
  Beam next;
  for (const auto& [string, pair] : beam) {
    const auto [b, other] = pair;
    next[string].first += (b + other) * p[static_cast<size_t>(blank)];
    if (!string.empty()) next[string].second += other * p[static_cast<size_t>(string.back())];
    for (int64_t c = 0; c < static_cast<int64_t>(p.size()); ++c) {
      if (c == blank) continue;
      Label longer = string;
      longer.push_back(c);
      const bool repeated = !string.empty() && string.back() == c;
      next[longer].second += (repeated ? b : b + other) * p[static_cast<size_t>(c)];
    }
  }
  std::vector<Label> order;
  const auto score = [&](const Label& s) { return next[s].first + next[s].second; };
  for (const auto& entry : next)
    if (score(entry.first) > 0) order.push_back(entry.first);
  std::stable_sort(order.begin(), order.end(),
                   [&](const Label& a, const Label& b) { return score(a) > score(b); });
  if (static_cast<int64_t>(order.size()) > width) order.resize(static_cast<size_t>(width));
  beam.clear();
  for (const Label& string : order) beam[string] = next[string];
  return order;
}

template <typename T, typename I>
void check_search(const KernelTable& table, const Problem& p, Random& random) {
  Operands<T, I> o(p, random);
  const int64_t width = 1 + random.below(9), paths = 1 + random.below(width);
  Array labels(DType::i64, {p.n, paths, p.t}), scores(dtype_of<T>(), {p.n, paths});
  CHECK(same_in_tiles(table, {"ctc_beam_search",
                              {&o.z, &o.used},
                              {&labels, &scores},
                              {{"blank", static_cast<double>(p.blank)},
                               {"width", static_cast<double>(width)},
                               {"paths", static_cast<double>(paths)}}}));
  for (int64_t i = 0; i < p.n; ++i) {
    Beam beam{{{}, {1, 0}}};
    std::vector<Label> order{{}};
    for (int64_t k = 0; k < p.t; ++k) {
      if (!o.uses(i * p.t + k)) continue;
      const T* z = o.z.template data<T>() + (i * p.t + k) * p.m;
      order = advance(beam, softmax(z, p.m), p.blank, width);
    }
    for (int64_t q = 0; q < paths; ++q) {
      const auto place = static_cast<size_t>(q);
      const int64_t* row = labels.data<int64_t>() + (i * paths + q) * p.t;
      Label want(static_cast<size_t>(p.t), -1);
      double score = -std::numeric_limits<double>::infinity();
      if (place < order.size()) {
        std::copy(order[place].begin(), order[place].end(), want.begin());
        const auto [b, other] = beam[order[place]];
        score = static_cast<double>(std::log(b + other));
      }
      CHECK(std::equal(want.begin(), want.end(), row));
      const double unit = static_cast<double>(std::numeric_limits<T>::epsilon());
      CHECK_NEAR(scores.template data<T>()[i * paths + q], score, 8 * unit * (1 - score));
    }
  }
}

template <typename X, typename Y>
void check_edits(const KernelTable& table, Random& random) {
  const int64_t n = random.below(5), a = random.below(20), b = random.below(20);
  Array x(dtype_of<X>(), {n, a}), y(dtype_of<Y>(), {n, b}), d(DType::i64, {n});
  Array x_length(dtype_of<Y>(), {n}), y_length(dtype_of<X>(), {n});
  for (int64_t i = 0; i < n * a; ++i) x.data<X>()[i] = static_cast<X>(random.below(3));
  for (int64_t i = 0; i < n * b; ++i) y.data<Y>()[i] = static_cast<Y>(random.below(3));
  for (int64_t i = 0; i < n; ++i) {
    x_length.data<Y>()[i] = static_cast<Y>(random.below(a + 3) - 1);
    y_length.data<X>()[i] = static_cast<X>(random.below(b + 3) - 1);
  }
  CHECK(same_in_tiles(table, {"edit_distance", {&x, &x_length, &y, &y_length}, {&d}}));
  for (int64_t i = 0; i < n; ++i) {
    const int64_t rows = std::clamp<int64_t>(x_length.data<Y>()[i], 0, a);
    const int64_t columns = std::clamp<int64_t>(y_length.data<X>()[i], 0, b);
    std::vector<Label> best(static_cast<size_t>(rows + 1), Label(static_cast<size_t>(columns + 1)));
    for (size_t r = 0; r < best.size(); ++r) {
      for (size_t c = 0; c < best[r].size(); ++c) {
        int64_t least = static_cast<int64_t>(r + c);
        if (r > 0 && c > 0) {
          const int64_t at = static_cast<int64_t>(r) - 1, other = static_cast<int64_t>(c) - 1;
          const bool same = x.data<X>()[i * a + at] == y.data<Y>()[i * b + other];
          least = std::min({best[r - 1][c] + 1, best[r][c - 1] + 1, best[r - 1][c - 1] + !same});
        }
        best[r][c] = least;
      }
    }
    CHECK(d.data<int64_t>()[i] == best.back().back());
  }
}

// What has no loss: NaN logits, labels that are none, lengths beyond the arrays.
template <typename T>
void check_wrong(const KernelTable& table) {
  Array z({5, 3, 4}, plain_values<T>(60, 1)), g({5}, plain_values<T>(5, 2));
  z.template data<T>()[1] = std::numeric_limits<T>::quiet_NaN();
  Array labels(Shape{5, 2}, std::vector<int64_t>{1, 2, 0, 1, 4, 1, -1, 1, 1, 1});
  Array used(Shape{5, 3}, std::vector<bool>(15, true));
  Array lengths(Shape{5}, std::vector<int64_t>{2, 2, 2, 2, 3});
  Array y(dtype_of<T>(), {5}), dz(dtype_of<T>(), {5, 3, 4});
  CHECK(run_call(table, {"ctc_loss", {&z, &labels, &used, &lengths}, {&y}, {{"blank", 0.0}}}));
  CHECK(run_call(
      table, {"ctc_loss_gradient", {&g, &z, &labels, &used, &lengths}, {&dz}, {{"blank", 0.0}}}));
  for (int64_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y.template data<T>()[i]));
  for (int64_t i = 0; i < dz.size(); ++i) CHECK(std::isnan(dz.template data<T>()[i]));
}

template <typename T>
void check_type(const KernelTable& table, uint64_t seed) {
  Random random(seed);
  for (int i = 0; i < 80; ++i) {
    const Problem p = random_problem(random);
    check_loss<T, int32_t>(table, p, random);
    check_loss<T, int64_t>(table, p, random);
    check_search<T, int64_t>(table, p, random);
    // With few labels, beginnings that were given up come back while longer ones are still there.
    check_search<T, int32_t>(table, {3, 30, 3, 0, 0}, random);
    check_edits<int32_t, int64_t>(table, random);
    check_edits<int64_t, int32_t>(table, random);
  }
  check_wrong<T>(table);
}

}  // namespace

int main() {
  for_each_set([](const KernelTable& table) {
    check_type<float>(table, 1);
    check_type<double>(table, 2);
  });
  return check_result();
}
