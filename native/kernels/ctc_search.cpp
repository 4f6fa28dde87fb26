// The likeliest strings of labels: the best beginnings of each frame, in a tree of all that were
// ever among them (ops/ctc_search.py says what they are). One sample is searched at a time.
#include <algorithm>
#include <cstddef>

#include "ctc.h"
#include "elementwise.h"

namespace chainrule::CHAINRULE_ISA {
namespace {

constexpr double kNever = -kInfinity<double>;

// A string: that of `parent` and one label more.
struct Node {
  int32_t parent;
  int32_t label;
  int32_t child;    // the one that was added last
  int32_t sibling;  // the child of the same parent that was added before
  int32_t place;    // among the best, -1 where it is not one of them
};

// What a frame leads to: one of the best again (label -1), or one of them and a label more.
struct Candidate {
  double score;
  double blank;  // ln of the probability of the paths that end in a blank
  double other;
  int32_t place;
  int32_t label;
};

// The likelier one; of equal ones that which was among the best, then by place, then by label.
bool better(const Candidate& a, const Candidate& b) noexcept {
  if (a.score != b.score) return a.score > b.score;
  if ((a.label < 0) != (b.label < 0)) return a.label < 0;
  return a.place != b.place ? a.place < b.place : a.label < b.label;
}

// What `prepare` leaves in `integers`.
struct Form {
  int64_t t, m, width, paths, blank;
};
Form form_of(const Call& call) noexcept {
  const int64_t* k = call.integers;
  return {k[0], k[1], k[2], k[3], k[4]};
}

// A beginning has so many children at most that may be among the best of the next frame, those that
// are among the best already not counted: the labels that are likeliest in it.
int64_t labels_of(const Form& f) noexcept { return std::min(f.m, 2 * f.width + 2); }

// One search and its scratch. The best beginnings, likeliest first, are columns.
struct Search {
  Form f;
  int64_t count;  // of the best
  int64_t nodes;
  double *blank, *other, *total;  // [width] ln of probabilities, padded to whole vectors
  double* into;                   // [width] what comes from the beginning with one label less
  double* y;                      // [m] log-probabilities of the frame
  Candidate* found;               // [width] a heap, the worst in front
  int64_t candidates;
  Node* node;        // [1 + width * t]
  int32_t* at;       // [width] the node of each of the best
  int32_t* order;    // [m] labels, the likeliest first
  int32_t* present;  // [m] the place, from 1, whose child with this label is among the best
};

int64_t padded(int64_t n) noexcept { return (n + 15) / 16 * 16; }

// Gives each part of the scratch its place; returns the bytes of all.
int64_t lay_out(Search& s, std::byte* scratch) noexcept {
  int64_t used = 0;
  const auto part = [&]<typename P>(P*& p, int64_t n) {
    p = reinterpret_cast<P*>(scratch + used);
    used += (n * static_cast<int64_t>(sizeof(P)) + 63) / 64 * 64;
  };
  for (double** column : {&s.blank, &s.other, &s.total, &s.into}) part(*column, padded(s.f.width));
  part(s.y, padded(s.f.m));
  part(s.found, s.f.width);
  part(s.node, 1 + s.f.width * s.f.t);
  part(s.at, s.f.width);
  part(s.order, s.f.m);
  part(s.present, s.f.m);
  return used;
}

void begin(Search& s) noexcept {
  std::fill_n(s.blank, 4 * padded(s.f.width), kNever);  // the four columns follow one another
  s.count = s.nodes = 1;
  s.node[0] = {-1, -1, -1, -1, 0};
  s.at[0] = 0;
  s.blank[0] = s.total[0] = 0;
}

template <typename T>
void read_frame(const Search& s, const T* z) noexcept {
  const Form& f = s.f;
  const double sum = log_sum(z, f.m);
  for (int64_t c = 0; c < f.m; ++c) s.y[c] = static_cast<double>(z[c]) - sum;
  int32_t* end = s.order;
  for (int32_t c = 0; c < f.m; ++c) {
    if (c != f.blank) *end++ = c;
  }
  const int64_t labels = std::min<int64_t>(labels_of(f), end - s.order);
  std::partial_sort(s.order, s.order + labels, end, [&s](int32_t a, int32_t b) {
    return s.y[a] > s.y[b] || (!(s.y[a] < s.y[b]) && a < b);
  });
}

// ln of the probability of those paths of the beginning at `place` that the label can follow.
double entered(const Search& s, int64_t place, int32_t label) noexcept {
  return s.node[s.at[place]].label == label ? s.blank[place] : s.total[place];
}

void offer(Search& s, const Candidate& candidate) noexcept {
  if (!(candidate.score > kNever)) return;
  if (s.candidates < s.f.width) {
    s.found[s.candidates++] = candidate;
    std::push_heap(s.found, s.found + s.candidates, better);
  } else if (better(candidate, s.found[0])) {
    std::pop_heap(s.found, s.found + s.candidates, better);
    s.found[s.candidates - 1] = candidate;
    std::push_heap(s.found, s.found + s.candidates, better);
  }
}

// The best that stay what they are: by a blank, by their last label again, or from the beginning
// with one label less.
void offer_again(Search& s) noexcept {
  constexpr int64_t lanes = kLanes<double>;
  alignas(64) double again[lanes], stay[lanes], score[lanes];
  for (int64_t first = 0; first < s.count; first += lanes) {
    const int64_t end = std::min(first + lanes, s.count);
    std::fill_n(again, lanes, kNever);
    for (int64_t i = first; i < end; ++i) {
      const Node& node = s.node[s.at[i]];
      if (node.parent < 0) continue;
      const double y = s.y[node.label];
      const int32_t parent = s.node[node.parent].place;
      again[i - first] = s.other[i] + y;
      s.into[i] = parent < 0 ? kNever : entered(s, parent, node.label) + y;
    }
    const Vec<double> other = log_add(load(again), load(s.into + first));
    const Vec<double> blank = load(s.total + first) + s.y[s.f.blank];
    store(again, other);
    store(stay, blank);
    store(score, log_add(blank, other));
    for (int64_t i = first; i < end; ++i) {
      const int64_t k = i - first;
      offer(s, {score[k], stay[k], again[k], static_cast<int32_t>(i), -1});
    }
  }
}

// Those of one label more that are not among the best already. Labels come likeliest first: one
// that is too unlikely ends the search.
void offer_longer(Search& s, int64_t place) noexcept {
  const auto mark = static_cast<int32_t>(place + 1);
  for (int32_t k = s.node[s.at[place]].child; k >= 0; k = s.node[k].sibling) {
    if (s.node[k].place >= 0) s.present[s.node[k].label] = mark;
  }
  const int64_t labels = std::min(labels_of(s.f), s.f.m - 1);
  for (int64_t i = 0; i < labels; ++i) {
    const int32_t label = s.order[i];
    const double most = s.total[place] + s.y[label];
    if (s.candidates == s.f.width && most < s.found[0].score) return;
    if (s.present[label] == mark) continue;
    const double score = entered(s, place, label) + s.y[label];
    offer(s, {score, kNever, score, static_cast<int32_t>(place), label});
  }
}

// The node of a child, an old one where the string was among the best before.
int32_t child_of(Search& s, int32_t parent, int32_t label) noexcept {
  for (int32_t k = s.node[parent].child; k >= 0; k = s.node[k].sibling) {
    if (s.node[k].label == label) return k;
  }
  const auto made = static_cast<int32_t>(s.nodes++);
  s.node[made] = {parent, label, -1, s.node[parent].child, -1};
  s.node[parent].child = made;
  return made;
}

// Makes the candidates the best.
void choose(Search& s) noexcept {
  std::sort_heap(s.found, s.found + s.candidates, better);
  for (int64_t i = 0; i < s.count; ++i) s.node[s.at[i]].place = -1;
  // The old nodes of the places are needed until the last candidate has its own.
  for (int64_t i = 0; i < s.candidates; ++i) {
    Candidate& c = s.found[i];
    c.place = c.label < 0 ? s.at[c.place] : child_of(s, s.at[c.place], c.label);
  }
  s.count = s.candidates;
  for (int64_t i = 0; i < s.count; ++i) {
    const Candidate& c = s.found[i];
    s.at[i] = c.place;
    s.node[c.place].place = static_cast<int32_t>(i);
    s.blank[i] = c.blank;
    s.other[i] = c.other;
    s.total[i] = c.score;
    s.into[i] = kNever;
  }
}

template <typename T>
void advance(Search& s, const T* z) noexcept {
  read_frame(s, z);
  std::fill_n(s.present, s.f.m, 0);
  s.candidates = 0;
  offer_again(s);
  for (int64_t place = 0; place < s.count; ++place) offer_longer(s, place);
  choose(s);
}

template <typename T>
void write(const Search& s, int64_t* labels, T* scores) noexcept {
  std::fill_n(labels, s.f.paths * s.f.t, -1);
  for (int64_t p = 0; p < s.f.paths; ++p, labels += s.f.t) {
    scores[p] = static_cast<T>(p < s.count ? s.total[p] : kNever);
    if (p >= s.count) continue;
    int64_t length = 0;
    for (int32_t k = s.at[p]; s.node[k].parent >= 0; k = s.node[k].parent) ++length;
    for (int32_t k = s.at[p]; s.node[k].parent >= 0; k = s.node[k].parent) {
      labels[--length] = s.node[k].label;
    }
  }
}

struct BeamSearch {
  template <typename T>
  static void run(const Call& call, const Tile& tile) noexcept {
    Search s{};
    s.f = form_of(call);
    lay_out(s, tile.scratch);
    const T* z = argument<T>(tile, 0);
    auto* labels = output<int64_t>(call, tile, 0);
    T* scores = output<T>(call, tile, 1);
    for (int64_t i = 0; i < tile.end - tile.begin; ++i) {
      const auto* used = argument<uint8_t>(tile, 1) + i * s.f.t;
      begin(s);
      for (int64_t k = 0; k < s.f.t; ++k) {
        if (used[k] != 0) advance(s, z + k * s.f.m);
      }
      write(s, labels, scores);
      z += s.f.t * s.f.m;
      labels += s.f.paths * s.f.t;
      scores += s.f.paths;
    }
  }
};

}  // namespace

Kernel prepare_ctc_beam_search(Call& call) {
  const Operand& z = call.operand[0];
  const auto number = [&](const char* name) { return static_cast<int64_t>(call.number(name, 0)); };
  const int64_t form[] = {z.shape[1], z.shape[2], number("width"), number("paths"),
                          number("blank")};
  std::copy(form, form + 5, call.integers);
  Search s{};
  s.f = form_of(call);
  call.scratch_bytes = lay_out(s, nullptr);
  return floats<BeamSearch>(call);
}

}  // namespace chainrule::CHAINRULE_ISA
