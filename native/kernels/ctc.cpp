// The loss of connectionist temporal classification and its derivative (ops/ctc.py says what they
// are). A sample is one walk through its frames; all states of a frame are taken together by
// vectors, in double.
#include "ctc.h"

#include <algorithm>

#include "elementwise.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

constexpr int64_t kStep = kLanes<double>;
constexpr double kNever = -kInfinity<double>;

// States that a frame has room for: two that are never reached stand before the first one and
// behind the last one, and a whole vector may be read past the end.
int64_t room(int64_t labels) noexcept { return (2 * labels + 1 + 2 * kStep) / kStep * kStep; }
int64_t row_size(int64_t labels) noexcept { return room(labels) + 2 * kStep; }

// What `prepare` leaves in `integers`.
struct Form {
  int64_t t, m, l, blank;
};
Form form_of(const Call& call) noexcept {
  const int64_t* k = call.integers;
  return {k[0], k[1], k[2], k[3]};
}

// One sample and its scratch. Rows of states begin at a multiple of kStep from 64 aligned bytes.
struct Walk {
  Form f;
  int64_t frames, states;
  int64_t* at;       // [frames] those that are used
  int64_t* classes;  // [states]
  double* passes;    // [row] 0 where a state may be entered from two before, else -inf
  double* y;         // [row] log-probabilities of one frame
  double* rows;      // rows of states, one after the other
  double* sums;      // [t] ln sum e^z
  double* p;         // [m] probabilities of one frame

  double* row(int64_t i) const noexcept { return rows + i * row_size(f.l) + kStep; }
};

// Bytes of scratch for a sample that keeps so many rows of states.
int64_t scratch_of(const Form& f, int64_t kept) noexcept {
  const int64_t row = row_size(f.l);
  const int64_t numbers = (3 + kept) * row + 2 * f.t + f.m + 2 * kStep;
  return numbers * static_cast<int64_t>(sizeof(double));
}

Walk walk_of(const Call& call, const Tile& tile, int64_t kept) noexcept {
  Walk w{};
  w.f = form_of(call);
  const int64_t row = row_size(w.f.l);
  auto* next = reinterpret_cast<double*>(tile.scratch);
  w.classes = reinterpret_cast<int64_t*>(next);
  w.passes = next + row + kStep;
  w.y = next + 2 * row + kStep;
  w.rows = next + 3 * row;
  w.sums = w.rows + kept * row;
  w.at = reinterpret_cast<int64_t*>(w.sums + w.f.t);
  w.p = w.sums + 2 * w.f.t;
  return w;
}

// Takes up sample i, whose labels, used frames and length are the operands from `first` on; false
// where the labels are none.
bool take_up(Walk& w, const Call& call, const Tile& tile, int first, int64_t i) noexcept {
  const Form& f = w.f;
  const auto* used = argument<uint8_t>(tile, first + 1) + i * f.t;
  w.frames = 0;
  for (int64_t k = 0; k < f.t; ++k) {
    if (used[k] != 0) w.at[w.frames++] = k;
  }
  const int64_t length = whole(call, tile, first + 2, i);
  if (length < 0 || length > f.l) return false;
  w.states = 2 * length + 1;
  std::fill_n(w.passes - kStep, row_size(f.l), kNever);
  std::fill_n(w.y - kStep, row_size(f.l), kNever);
  for (int64_t s = 0; s < w.states; s += 2) w.classes[s] = f.blank;
  for (int64_t k = 0; k < length; ++k) {
    const int64_t label = whole(call, tile, first, i * f.l + k);
    if (label < 0 || label >= f.m || label == f.blank) return false;
    w.classes[2 * k + 1] = label;
    if (k > 0 && label != w.classes[2 * k - 1]) w.passes[2 * k + 1] = 0;
  }
  return true;
}

// ln(e^a + e^b + e^c); a NaN stays one.
Vec<double> log_sum_of(Vec<double> a, Vec<double> b, Vec<double> c) noexcept {
  const Vec<int64_t> first = a > b;
  const Vec<double> high = select<double>(first, a, b), low = select<double>(first, b, a);
  const Vec<int64_t> second = high > c;
  const Vec<double> top = select<double>(second, high, c), mid = select<double>(second, c, high);
  const Vec<double> from = select<double>(top == kNever, Vec<double>{}, top);
  return top + log<double>(1.0 + (exp<double>(mid - from) + exp<double>(low - from)));
}

template <typename T>
void read_frame(const Walk& w, const T* z, int64_t k) noexcept {
  const T* frame = z + w.at[k] * w.f.m;
  for (int64_t s = 0; s < w.states; ++s) {
    w.y[s] = static_cast<double>(frame[w.classes[s]]) - w.sums[k];
  }
}

// Before the first frame: certainly at the first state.
void begin(const Walk& w) noexcept {
  std::fill_n(w.row(0) - kStep, row_size(w.f.l), kNever);
  w.row(0)[0] = 0;
}

// The states after a frame from those before it.
void advance(const Walk& w, const double* before, double* after) noexcept {
  for (int64_t s = 0; s < w.states; s += kStep) {
    const Vec<double> passed = load(before + s - 2) + load(w.passes + s);
    const Vec<double> sum = log_sum_of(load(before + s), load(before + s - 1), passed);
    store(after + s, sum + load(w.y + s));
  }
  std::fill_n(after - kStep, kStep, kNever);
}

double log_total(const Walk& w, const double* last) noexcept {
  if (w.states == 1) return last[0];
  return log_add(splat(last[w.states - 1]), splat(last[w.states - 2]))[0];
}

// Goes through all frames; `kept` rows of states are used in turn. The log-probability.
template <typename T>
double forward(const Walk& w, const T* z, int64_t kept) noexcept {
  begin(w);
  for (int64_t k = 0; k < w.frames; ++k) {
    w.sums[k] = log_sum(z + w.at[k] * w.f.m, w.f.m);
    read_frame(w, z, k);
    advance(w, w.row(k % kept), w.row((k + 1) % kept));
  }
  return log_total(w, w.row(w.frames % kept));
}

struct Loss {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    Walk w = walk_of(call, tile, 2);
    const T* z = argument<T>(tile, 0);
    T* y = output<T>(call, tile);
    for (int64_t i = 0; i < tile.end - tile.begin; ++i, z += w.f.t * w.f.m) {
      const bool right = take_up(w, call, tile, 1, i);
      y[i] = static_cast<T>(right ? 0.0 - forward(w, z, 2) : kNan<double>);
    }
  }
};

// From the states' log-probabilities for the frames behind k, `after`, those from k on: what a
// state is entered from becomes what it leads to. `y` is that of frame k.
void retreat(const Walk& w, double* after, double* before) noexcept {
  for (int64_t s = 0; s < w.states; s += kStep) store(after + s, load(after + s) + load(w.y + s));
  std::fill_n(after + w.states, 2 * kStep, kNever);
  for (int64_t s = 0; s < w.states; s += kStep) {
    const Vec<double> passed = load(after + s + 2) + load(w.passes + s + 2);
    store(before + s, log_sum_of(load(after + s), load(after + s + 1), passed));
  }
  std::fill_n(before + w.states, 2 * kStep, kNever);
}

// g (softmax(z) - shares) of frame k, `b` those of the frames behind it.
template <typename T>
void slope(const Walk& w, const T* z, int64_t k, const double* b, double total, T g,
           T* out) noexcept {
  const double* a = w.row(k + 1);
  const Vec<double> sum = splat(w.sums[k]);
  const int64_t frame = w.at[k] * w.f.m;
  each_double(z + frame, w.f.m, kNever, [&](Vec<double> x, int64_t i, int64_t count) {
    const Vec<double> p = exp<double>(x - sum);
    if (count == kStep) return store(w.p + i, p);
    store_part(w.p + i, p, count);
  });
  for (int64_t s = 0; s < w.states; s += kStep) {
    store(w.y + s, exp<double>(load(a + s) + load(b + s) - total));
  }
  for (int64_t s = 0; s < w.states; ++s) w.p[w.classes[s]] -= w.y[s];
  for (int64_t i = 0; i < w.f.m; ++i) {
    out[frame + i] = static_cast<T>(static_cast<double>(g) * w.p[i]);
  }
}

// The frames in reverse, with the rows of `forward` still there and two more behind them.
template <typename T>
void backward(const Walk& w, const T* z, double total, T g, T* out) noexcept {
  double* b = w.row(w.f.t + 1);
  double* spare = w.row(w.f.t + 2);
  std::fill_n(b - kStep, row_size(w.f.l), kNever);
  b[w.states - 1] = 0;
  if (w.states > 1) b[w.states - 2] = 0;
  for (int64_t k = w.frames - 1; k >= 0; --k) {
    slope(w, z, k, b, total, g, out);
    std::fill_n(w.y + w.states, kStep, kNever);
    read_frame(w, z, k);
    retreat(w, b, spare);
    std::swap(b, spare);
  }
}

struct Gradient {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    const Form f = form_of(call);
    Walk w = walk_of(call, tile, f.t + 3);
    const T* g = argument<T>(tile, 0);
    const T* z = argument<T>(tile, 1);
    T* out = output<T>(call, tile);
    const int64_t size = f.t * f.m;
    for (int64_t i = 0; i < tile.end - tile.begin; ++i, z += size, out += size) {
      const bool right = take_up(w, call, tile, 2, i);
      const double total = right ? forward(w, z, f.t + 1) : kNan<double>;
      std::fill(out, out + size, total == total ? T{0} : kNan<T>);
      if (total > kNever) backward(w, z, total, g[i], out);
    }
  }
};

// Leaves the form and the scratch of operations whose logits and labels stand at `first`.
bool prepare(Call& call, int first, int64_t kept) noexcept {
  const Operand& z = call.operand[first];
  const Operand& labels = call.operand[first + 1];
  const int64_t form[] = {z.shape[1], z.shape[2], labels.shape[1],
                          static_cast<int64_t>(call.number("blank", 0))};
  std::copy(form, form + 4, call.integers);
  call.scratch_bytes = scratch_of(form_of(call), kept);
  return is_whole(labels) && is_whole(call.operand[first + 3]);
}

}  // namespace

Kernel prepare_ctc_loss(Call& call) { return prepare(call, 0, 2) ? floats<Loss>(call) : nullptr; }

Kernel prepare_ctc_loss_gradient(Call& call) {
  const bool served = prepare(call, 1, call.operand[1].shape[1] + 3);
  return served ? floats<Gradient>(call) : nullptr;
}

}  // namespace chainrule::CHAINRULE_ISA
